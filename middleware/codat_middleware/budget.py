"""Bounds the retries of all calls together, so that retries do not overload a failing API."""

import logging

from codat_middleware.clock import Clock, SystemClock

__all__ = ["RetryBudget"]

_log = logging.getLogger(__name__)


class RetryBudget:
    """A token bucket for retries, shared by all calls and any number of ``Retry`` instances.

    Each retry takes one token; each success adds ``refund`` and each second ``per_second``,
    up to ``capacity``. Without a token a failure is returned to the caller without a retry.
    Retries after a 429 take no token, since the governor limits those.
    """

    __slots__ = ("_capacity", "_clock", "_exhausted", "_per_second", "_refund", "_updated", "tokens")

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
        self._updated = self._clock.monotonic()
        self._exhausted = False
        self.tokens = capacity
        """Tokens left as of the last retry or success."""

    def take(self) -> bool:
        """Take a token for a retry; false if there is none. Only the first time in a row is logged."""
        now = self._clock.monotonic()
        self.tokens = min(self._capacity, self.tokens + (now - self._updated) * self._per_second)
        self._updated = now
        if self.tokens < 1.0:
            if not self._exhausted:
                self._exhausted = True
                _log.warning(
                    "retry budget spent: failed requests are not retried until requests succeed again"
                )
            return False
        self._exhausted = False
        self.tokens -= 1.0
        return True

    def succeeded(self) -> None:
        """Add ``refund`` tokens after a success."""
        if self.tokens < self._capacity:
            self.tokens = min(self._capacity, self.tokens + self._refund)
