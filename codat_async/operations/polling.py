"""Waiting for something that ends on its own: pauses that grow, up to a time-out."""

import math
from typing import Final

from codat_middleware.clock import Clock

clock = Clock()
"""The time, and waiting for it; a test may replace it."""

_FIRST: Final = 1.0
_LONGEST: Final = 15.0
_GROWTH: Final = 1.5


class Poll:
    """The pauses between looks at one thing; ``timeout`` is in seconds, None for no limit."""

    def __init__(self, timeout: float | None) -> None:
        self._until = math.inf if timeout is None else clock.monotonic() + timeout
        self._interval = _FIRST

    async def pause(self) -> bool:
        """Sleep until the next look is due, at the latest until the time-out; False if that has passed."""
        left = self._until - clock.monotonic()
        if left > 0:
            await clock.sleep(min(self._interval, left))
            self._interval = min(self._interval * _GROWTH, _LONGEST)
        return left > 0
