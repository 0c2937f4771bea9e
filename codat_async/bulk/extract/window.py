"""The moving window: the companies that are visited and the lists that are read at one time."""

import asyncio
from collections import deque
from functools import partial
from typing import Final

from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.feed import Entry, Feed
from codat_async.bulk.extract.gate import Gate, Visit
from codat_async.bulk.extract.worker import FATAL, Worker
from codat_async.bulk.extract.workers import Job
from codat_async.bulk.store.state import Opened

__all__ = ["Window"]

_VISITS: Final = 16
"""Companies whose data status is asked at one time."""


class _Ring:
    """Lists to be read, alternating between companies: one company's limit does not hold up the others."""

    def __init__(self) -> None:
        self._by_company: dict[str, deque[tuple[Opened, Visit]]] = {}
        self._turns: deque[str] = deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, opened: Opened, visit: Visit) -> None:
        company = opened.unit.company
        queue = self._by_company.get(company)
        if queue is None:
            queue = self._by_company[company] = deque()
            self._turns.append(company)
        queue.append((opened, visit))
        self._size += 1

    def next(self) -> tuple[Opened, Visit]:
        company = self._turns.popleft()
        queue = self._by_company[company]
        found = queue.popleft()
        if queue:
            self._turns.append(company)
        else:
            del self._by_company[company]
        self._size -= 1
        return found


class Window:
    """Visits companies as room for their lists becomes free."""

    def __init__(self, context: Context, gate: Gate, feed: Feed, stopped: asyncio.Event) -> None:
        self._context = context
        self._gate = gate
        self._feed = feed
        self._stopped = stopped
        self._ring = _Ring()
        gate.enqueue = self._ring.add

    async def drain(self) -> Exception | None:
        """Read until nothing is left, or an error ends the pull, which is returned."""
        workers, visits = set[asyncio.Task[None]](), set[asyncio.Task[None]]()
        at_once = self._context.units_at_once
        errors: list[BaseException] = []
        some_ended = asyncio.Event()

        def start(job: Job, tasks: set[asyncio.Task[None]]) -> None:
            task = asyncio.create_task(job)
            tasks.add(task)
            task.add_done_callback(partial(ended, tasks))

        def ended(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
            if task in tasks:
                tasks.remove(task)
                some_ended.set()
                if not task.cancelled() and (error := task.exception()) is not None:
                    errors.append(error)

        stopped = asyncio.create_task(self._stopped.wait())
        stopped.add_done_callback(lambda _: some_ended.set())
        try:
            while not errors and not self._stopped.is_set():
                some_ended.clear()
                while len(visits) < _VISITS and len(self._ring) < at_once:
                    entry = await self._feed.next()
                    if entry is None:
                        break
                    start(self._visit(entry), visits)
                while self._ring and len(workers) < at_once:
                    start(Worker(self._context, *self._ring.next()).run(), workers)
                if not workers and not visits:
                    break
                await some_ended.wait()
        except FATAL as error:
            errors.append(error)
        finally:
            left = [stopped, *workers, *visits]
            workers.clear()
            visits.clear()
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        fatal: Exception | None = None
        for each in errors:
            if not isinstance(each, FATAL):
                raise each
            fatal = fatal or each
        return fatal

    async def _visit(self, entry: Entry) -> None:
        visit, opened = await self._gate.enter(entry, last=self._feed.last)
        for each in opened:
            self._ring.add(each, visit)
