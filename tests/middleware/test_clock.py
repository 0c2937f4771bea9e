"""The clocks that ship with the middleware."""

import asyncio
import time

from codat_async.testing import InstantClock
from codat_middleware import Clock
from tests.middleware.fakes import settle


async def test_system_clock() -> None:
    """It reads the system clock and uses the event loop's timers."""
    clock, fired = Clock(), asyncio.Event()
    assert abs(clock.monotonic() - time.monotonic()) < 5
    assert abs(clock.time() - time.time()) < 5
    clock.call_later(3600, fired.set).cancel()
    clock.call_later(0, fired.set)
    await clock.sleep(0)
    await asyncio.wait_for(fired.wait(), 5)


async def test_instant_clock_sleeps_at_once() -> None:
    """An hour passes on the clock without real time passing."""
    clock, real = InstantClock(), time.monotonic()
    before, unix = clock.monotonic(), clock.time()
    await clock.sleep(3600)
    assert 3600 <= clock.monotonic() - before < 3605
    assert 3600 <= clock.time() - unix < 3605
    assert time.monotonic() - real < 5


async def test_instant_clock_timers() -> None:
    """A timer fires in the next iteration, at its time; a cancelled one does not."""
    clock = InstantClock()
    before, seen = clock.monotonic(), list[float]()
    clock.call_later(60, lambda: seen.append(clock.monotonic() - before))
    clock.call_later(60, lambda: seen.append(0.0)).cancel()
    await settle()
    assert len(seen) == 1
    assert 60 <= seen[0] < 65
