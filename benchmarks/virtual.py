"""An event loop whose time passes only while nothing can run, and servers that limit by it."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from codat_middleware.clock import Clock

T = TypeVar("T")
START = 1_800_000_000.0


class _Selector(selectors.DefaultSelector):
    """Waits by advancing the loop's time instead of sleeping."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "all tasks wait for something that never happens"
        self.loop.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs timers at once, in order; a simulated hour takes no real time of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


class LoopClock(Clock):
    """The running loop's time."""

    def __init__(self) -> None:
        self.monotonic = asyncio.get_running_loop().time

    def time(self) -> float:
        return START + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
