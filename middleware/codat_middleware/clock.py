"""Where the middleware takes its time from, so that tests can give it a time of their own."""

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, Protocol

__all__ = ["Clock", "InstantClock", "SystemClock", "Timer", "queued"]

queued: Final[ContextVar[float]] = ContextVar("codat_middleware.queued", default=0.0)
"""Seconds that this task has spent waiting its turn in a governor, in all.

The retry middleware subtracts them, so that a call which stood in a long queue keeps its
whole budget for failures.
"""


class Timer(Protocol):
    """What :meth:`Clock.call_later` returns."""

    def cancel(self) -> None:
        """Make sure that the callback is not called any more."""


class Clock(Protocol):
    """The time, and waiting for it. All durations are seconds."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Return after that many seconds."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back once after that many seconds, unless cancelled before."""
        ...


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
    sleep = staticmethod(asyncio.sleep)

    @staticmethod
    def call_later(seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back once after that many seconds, unless cancelled before."""
        return asyncio.get_running_loop().call_later(seconds, callback)


class InstantClock:
    """A clock for tests: its waits take no time, yet its time passes by as much.

    Give one to :class:`~codat_middleware.Retry` and :class:`~codat_middleware.Governor`
    alike, and backoff, ``Retry-After``, pacing and closed gates are all gone through at
    once, in their order.
    """

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        """The machine's, plus all that was waited for here."""
        return time.monotonic() + self._ahead

    def time(self) -> float:
        """The machine's, plus all that was waited for here."""
        return time.time() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Let others run, and be that many seconds later."""
        self._ahead += max(0.0, seconds)
        await asyncio.sleep(0)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back in the loop's next turn, that many seconds later."""
        due = self.monotonic() + seconds

        def arrive() -> None:
            self._ahead += max(0.0, due - self.monotonic())
            callback()

        return asyncio.get_running_loop().call_soon(arrive)
