"""The moving window: the companies that are visited and the lists that are read at one time."""

import asyncio
from collections import deque
from typing import Final

from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.feed import Entry, Feed
from codat_async.bulk.extract.gate import Gate, Visit
from codat_async.bulk.extract.worker import FATAL, Worker
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
        fatal: Exception | None = None
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            while fatal is None and not self._stopped.is_set():
                while len(visits) < _VISITS and len(self._ring) < at_once:
                    entry = await self._feed.next()
                    if entry is None:
                        break
                    visits.add(asyncio.create_task(self._visit(entry)))
                while self._ring and len(workers) < at_once:
                    worker = Worker(self._context, *self._ring.next())
                    workers.add(asyncio.create_task(worker.run()))
                if not workers and not visits:
                    break
                running = [stopped, *workers, *visits]
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for tasks in (workers, visits):
                    for ended in [each for each in tasks if each.done()]:
                        tasks.remove(ended)
                        error = ended.exception()
                        if isinstance(error, FATAL):
                            fatal = fatal or error
                        elif error is not None:
                            raise error
        except FATAL as error:
            fatal = error
        finally:
            left = [stopped, *workers, *visits]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        return fatal

    async def _visit(self, entry: Entry) -> None:
        visit, opened = await self._gate.enter(entry, last=self._feed.last)
        for each in opened:
            self._ring.add(each, visit)
