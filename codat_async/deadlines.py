"""When attempts have taken too long, kept by one timer."""

import asyncio
import math
from typing import Any


class Deadlines:
    """When tasks are cancelled, as by :func:`asyncio.timeout`, but by one timer, which costs less."""

    def __init__(self) -> None:
        self.due: dict[asyncio.Task[Any], float] = {}
        self._next = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def expire_in(self, seconds: float | None, task: asyncio.Task[Any]) -> None:
        """Cancel the task in so many seconds from now, or never."""
        loop = task.get_loop()
        self.due[task] = due = math.inf if seconds is None else loop.time() + seconds
        if due < self._next:
            self.wake_up(due, loop)

    def wake_up(self, due: float, loop: asyncio.AbstractEventLoop) -> None:
        """Set the timer to when a task is due, or before."""
        if self._timer is not None:
            self._timer.cancel()
        self._next = due
        self._timer = loop.call_at(due, self._expire, loop) if due < math.inf else None

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, due in self.due.items() if due <= now]:
            del self.due[task]
            task.cancel()
        self.wake_up(min(self.due.values(), default=math.inf), loop)
