"""The clock that the middleware reads and sleeps on; tests pass one of their own. Durations are seconds."""

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, Protocol

queued: Final[ContextVar[float]] = ContextVar("codat_middleware.queued", default=0.0)
"""Seconds that this task has waited in a governor's queue, which no time budget of a retry counts."""


class Timer(Protocol):
    """What :meth:`Clock.call_later` returns."""

    def cancel(self) -> None:
        """Prevent the callback from being called."""


class Clock(Protocol):
    """Reads the time, sleeps and schedules callbacks."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary point; never decreases."""

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC."""

    async def sleep(self, seconds: float, /) -> None:
        """Return after this many seconds."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call ``callback`` once after this many seconds, unless the timer is cancelled first."""


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
    sleep = staticmethod(asyncio.sleep)

    @staticmethod
    def call_later(seconds: float, callback: Callable[[], object]) -> Timer:
        """Use the event loop's own timer."""
        return asyncio.get_running_loop().call_later(seconds, callback)
