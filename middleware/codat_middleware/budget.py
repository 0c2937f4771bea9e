"""Bounds the retries of all calls together, so that a failing API is not hammered."""

import logging

from codat_middleware.clock import Clock, SystemClock

__all__ = ["RetryBudget"]

_log = logging.getLogger(__name__)


class RetryBudget:
    """Tokens for retries, shared by all calls and by as many ``Retry`` instances as wanted.

    Each retry takes one token, each success gives ``refund`` back, and ``per_second`` more
    come with time, up to ``capacity``. With none left failures are reported at once.
    Retries after a 429 take none: the governor is there for those.
    """

    __slots__ = ("_capacity", "_clock", "_dry", "_per_second", "_refund", "_seen", "tokens")

    def __init__(
        self,
        capacity: float = 500.0,
        *,
        refund: float = 0.1,
        per_second: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        self._capacity = capacity
        self._refund = refund
        self._per_second = per_second
        self._clock: Clock = clock or SystemClock()
        self._seen = self._clock.monotonic()
        self._dry = False
        self.tokens = capacity
        """How many are left, as of the last retry or success."""

    def take(self) -> bool:
        """Take a token for a retry; False when there is none, which is logged when it begins."""
        now = self._clock.monotonic()
        self.tokens = min(self._capacity, self.tokens + (now - self._seen) * self._per_second)
        self._seen = now
        if self.tokens < 1.0:
            if not self._dry:
                self._dry = True
                _log.warning("the retry budget is spent: failures are no longer tried again")
            return False
        self._dry = False
        self.tokens -= 1.0
        return True

    def succeeded(self) -> None:
        """Note a success."""
        if self.tokens < self._capacity:
            self.tokens = min(self._capacity, self.tokens + self._refund)
