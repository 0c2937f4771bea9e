"""Tracks the daily quota from the API's response headers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from codat_middleware.clock import Clock
from codat_middleware.headers import parse_reset, whole_number

_NEVER: Final = float("inf")
DAY: Final = 86_400.0  # seconds; a quota lasts no longer than this
_SAME_RESET: Final = 60.0  # seconds; resets given as seconds from now vary a little


class Quota:
    """What is left of the daily quota.

    What a response reports may not include the requests in flight, so all of them are deducted; as
    responses overtake each other, the lowest number of a day counts. Source: "Rate limits" in Codat's
    documentation: daily, reset at 00:00 UTC, which is assumed if no response gives the reset.
    """

    def __init__(self, clock: Clock) -> None:
        self._time = clock.time
        self._day: tuple[str | None, str | None] | None = None
        self.left: int | None = None  # requests left, without deducting those in flight; None while unknown
        self.limit: int | None = None
        self.resets_at = 0.0  # unix time in seconds; meaningless while left is None

    def note(self, headers: Mapping[str, str], retry_after: float | None = None) -> None:
        """Update from a response's headers; ``retry_after`` (seconds) replaces a missing reset."""
        try:
            left = int(headers.get("X-Rate-Limit-Remaining", ""))
        except ValueError:
            return
        day = headers.get("X-Rate-Limit-Limit"), headers.get("X-Rate-Limit-Reset")
        if self.left is None or day != self._day:
            now, limit = self._time(), whole_number(day[0])
            resets_at = parse_reset(day[1], now)
            if resets_at is None:
                resets_at = now - now % DAY + DAY if retry_after is None else now + retry_after
            if resets_at <= now:
                # A response that was in transit at the reset.
                return
            if now >= self.resets_at or limit != self.limit or abs(resets_at - self.resets_at) >= _SAME_RESET:
                self.left = None
            self._day, self.limit, self.resets_at = day, limit, resets_at
        if self.left is None or left < self.left:
            self.left = max(0, left)

    def delay(self, unanswered: int) -> float:
        """Seconds until another request may be sent: 0 is now, infinity after a response."""
        if self.left is None or self.left > unanswered:
            return 0.0
        wait = self.resets_at - self._time()
        if wait <= 0:
            self.left = None
            return 0.0
        return _NEVER if self.left > 0 else wait

    def spent_for(self) -> float:
        """Seconds until the reset if the quota is spent, else 0."""
        return self.delay(0)


def utc(unix: float) -> datetime:
    """The UTC datetime of a Unix time in seconds."""
    return datetime.fromtimestamp(unix, UTC)
