"""Runs jobs concurrently, of which some put results and some make further jobs, with a bound on both."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Generic, TypeAlias, TypeVar

__all__ = ["Job", "Workers"]

R = TypeVar("R")
Job: TypeAlias = Coroutine[Any, Any, None]


class Workers(Generic[R]):
    """At most ``at_once`` jobs that run, and as many results that wait for the consumer.

    ``next_job`` returns the next job, or None if there is none now; it is asked again whenever a job
    ends, so a job makes others by leaving them where ``next_job`` looks.
    """

    def __init__(self, at_once: int, next_job: Callable[[], Job | None]) -> None:
        self._at_once = at_once
        self._next_job = next_job
        self._running = set[asyncio.Task[None]]()
        self._queue = asyncio.Queue[tuple[R] | asyncio.Task[None]]()
        """Results, and the jobs that ended."""
        self._room = asyncio.Semaphore(at_once)

    async def put(self, result: R) -> None:
        """Hand a result to the consumer, once there is room for it."""
        await self._room.acquire()
        self._queue.put_nowait((result,))

    async def results(self) -> AsyncGenerator[R, None]:
        """Run all jobs and yield their results in the order in which they were put.

        Those of one job are in its order. An error of a job ends the others, and is raised after the
        results that were put before it. The jobs end when the generator is closed.
        """
        try:
            self._start()
            while self._running or not self._queue.empty():
                item = await self._queue.get()
                if isinstance(item, asyncio.Task):
                    item.result()
                else:
                    yield item[0]
                    self._room.release()
        finally:
            jobs, self._running = self._running, set()
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    def _start(self) -> None:
        while len(self._running) < self._at_once and (job := self._next_job()) is not None:
            task = asyncio.create_task(job)
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task not in self._running:
            # The generator was closed.
            return
        self._running.discard(task)
        self._queue.put_nowait(task)
        if task.cancelled() or task.exception() is not None:
            self._next_job = lambda: None
        self._start()
