"""A bound, in bytes, on the pages that are in memory at once."""

import asyncio
from collections import deque

__all__ = ["MemoryBudget", "Share"]


class Share:
    """Bytes taken from a budget: guessed before a page comes, then made true, then given back."""

    __slots__ = ("_budget", "size")

    def __init__(self, budget: "MemoryBudget", size: int) -> None:
        self._budget = budget
        self.size = size

    def resize(self, size: int) -> None:
        """Hold so many bytes from now on; more than the guess is never refused."""
        self._budget.used += size - self.size
        freed = size < self.size
        self.size = size
        if freed:
            self._budget.wake()

    def release(self) -> None:
        """Give everything back; again is harmless."""
        self.resize(0)


class MemoryBudget:
    """Hands out shares, first come first served; one is granted in any case while none is held."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> Share:
        """Wait until so many bytes are free."""
        if not self._waiting and self._fits(size):
            self.used += size
            return Share(self, size)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((size, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.used -= size
            self.wake()
            raise
        return Share(self, size)

    def _fits(self, size: int) -> bool:
        return self.used <= 0 or self.used + size <= self.limit

    def wake(self) -> None:
        """Grant what fits by now."""
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
