"""Pauses all requests after an overload, and lets them through gradually at the start and afterwards."""

from typing import Final

__all__ = ["Gate"]

_NEVER: Final = float("inf")
_START: Final = 2
_UNRESTRICTED_FROM: Final = 200
_LONGEST_PAUSE: Final = 15.0


class Gate:
    """Limits unanswered requests to a few at first, and to one more with each success.

    That is TCP's slow start: 2, 4, 8… per round trip. After a pause a single request is the
    probe; the next ones follow its success. Without a ``Retry-After`` the pause lasts 2, 4,
    8… up to 15 seconds until a probe succeeds. All times are seconds of a monotonic clock;
    ``second`` scales the constants.
    """

    def __init__(self, *, second: float = 1.0) -> None:
        self._second = second
        self.allowance: float = _START
        """How many requests may be unanswered; infinity for any number."""
        self.tries = 0
        """Pauses since the last success."""
        self.paused_until = self.requested_until = -_NEVER
        """The end of the pause, and of the part of it that the server asked for."""

    def delay(self, now: float, unanswered: int) -> float:
        """Seconds until another request may be sent: 0 is now, infinity after a response."""
        if now < self.paused_until:
            return self.paused_until - now
        return _NEVER if unanswered >= self.allowance else 0.0

    def pause(self, now: float, retry_after: float, rate: float = 1e9) -> None:
        """Pause all requests for at least ``retry_after`` seconds."""
        first = max(2.0 * self._second, 4.0 / rate)
        own = min(_LONGEST_PAUSE * self._second, first * 2.0 ** min(self.tries, 60))
        self.tries += 1
        self.paused_until = max(self.paused_until, now + max(own, retry_after))
        self.requested_until = max(self.requested_until, now + retry_after)
        self.allowance = 1

    def succeeded(self) -> None:
        """Allow one more unanswered request."""
        self.tries = 0
        self.allowance = self.allowance + 1 if self.allowance < _UNRESTRICTED_FROM else _NEVER
