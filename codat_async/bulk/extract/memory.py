"""A limit, in bytes, on the pages that are in memory at once."""

import asyncio
from collections import deque
from collections.abc import Callable

__all__ = ["MemoryBudget", "Reservation"]


class Reservation:
    """Bytes of a budget: estimated before a page arrives, then set to its size, then released."""

    __slots__ = ("_budget", "size", "taken")

    def __init__(self, budget: "MemoryBudget", size: int) -> None:
        self._budget = budget
        self.size = size
        self.taken = False
        """Whether it is held by what became of the page, and no longer by the reader of the pages."""

    def resize(self, size: int) -> None:
        """Hold this many bytes from now on; growing beyond the estimate never waits."""
        self._budget.used += size - self.size
        freed = size < self.size
        self.size = size
        if freed:
            self._budget.wake()

    def release(self) -> None:
        """Free all bytes; calling it again has no effect."""
        self.resize(0)


class MemoryBudget:
    """Grants reservations in the order of the requests; while nothing is held, one of any size."""

    def __init__(self, limit: int, on_wait: Callable[[], None] = lambda: None) -> None:
        self.limit = limit
        self._on_wait = on_wait
        """Called when somebody has to wait: to free soon what is held until it is written."""
        self.used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def waits(self) -> bool:
        """Whether somebody waits for bytes to become free."""
        return bool(self._waiting)

    async def reserve(self, size: int) -> Reservation:
        """Wait until this many bytes are free, and reserve them."""
        if not self._waiting and self._fits(size):
            self.used += size
            return Reservation(self, size)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((size, waiter))
        self._on_wait()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.used -= size
            self.wake()
            raise
        return Reservation(self, size)

    def _fits(self, size: int) -> bool:
        return self.used <= 0 or self.used + size <= self.limit

    def wake(self) -> None:
        """Grant the waiting requests that fit now."""
        while self._waiting:
            size, waiter = self._waiting[0]
            if waiter.done():
                self._waiting.popleft()
            elif self._fits(size):
                self._waiting.popleft()
                self.used += size
                waiter.set_result(None)
            else:
                return
