"""The clock that the middleware reads and sleeps on, in seconds; tests pass one of their own."""

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


class Clock:
    """The machine's clock and the running event loop's timers; a subclass may replace any of its methods."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
    sleep = staticmethod(asyncio.sleep)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call ``callback`` once after this many seconds, unless the timer is cancelled first."""
        return asyncio.get_running_loop().call_later(seconds, callback)
