"""Tracks the daily quota from the API's response headers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from codat_middleware.clock import Clock
from codat_middleware.headers import parse_rate_limit

__all__ = ["DAY", "Quota", "utc"]

_NEVER: Final = float("inf")
DAY: Final = 86_400.0
"""Seconds; a quota lasts no longer than this."""
_SAME_RESET: Final = 60.0
"""Seconds; resets given as seconds from now vary a little, within this they are the same."""


class Quota:
    """What is left of the daily quota.

    A response reports what was left when the server counted its request; that may or may
    not include the requests in flight, so all of them are deducted. Responses overtake each
    other, so the lowest number of a day counts. Source: "Rate limits" in Codat's
    documentation: the quota is daily and resets at 00:00 UTC, which is assumed if no
    response gives the reset.
    """

    __slots__ = ("_clock", "_limit_header", "_reset_header", "left", "limit", "resets_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit_header: str | None = None
        self._reset_header: str | None = None
        self.left: int | None = None
        """Requests left, without deducting those in flight; ``None`` while unknown."""
        self.limit: int | None = None
        self.resets_at = 0.0
        """Unix time in seconds; meaningless while ``left`` is ``None``."""

    def note(self, headers: Mapping[str, str], retry_after: float | None = None) -> None:
        """Update from a response's headers; ``retry_after`` (seconds) replaces a missing reset."""
        remaining = headers.get("X-Rate-Limit-Remaining")
        if remaining is None:
            return
        if (
            self.left is not None
            and headers.get("X-Rate-Limit-Reset") == self._reset_header
            and headers.get("X-Rate-Limit-Limit") == self._limit_header
        ):
            try:
                left = int(remaining)
            except ValueError:
                return
            if left < self.left:
                self.left = max(0, left)
            return
        self._parse(headers, retry_after)

    def delay(self, unanswered: int) -> float:
        """Seconds until another request may be sent: 0 is now, infinity after a response."""
        if self.left is None or self.left > unanswered:
            return 0.0
        wait = self.resets_at - self._clock.time()
        if wait <= 0:
            self.left = None
            return 0.0
        return _NEVER if self.left > 0 else wait

    def spent_for(self) -> float:
        """Seconds until the reset if the quota is spent, else 0."""
        return self.delay(0)

    def _parse(self, headers: Mapping[str, str], retry_after: float | None) -> None:
        now = self._clock.time()
        parsed = parse_rate_limit(headers, now)
        if parsed.remaining is None:
            return
        resets_at = parsed.resets_at
        if resets_at is None:
            resets_at = _midnight_after(now) if retry_after is None else now + retry_after
        if resets_at <= now:
            # A response that was in transit at the reset.
            return
        same = (
            self.left is not None
            and now < self.resets_at
            and parsed.limit == self.limit
            and abs(resets_at - self.resets_at) < _SAME_RESET
        )
        self.left = min(self.left, parsed.remaining) if same and self.left is not None else parsed.remaining
        self.limit = parsed.limit
        self.resets_at = resets_at
        self._limit_header = headers.get("X-Rate-Limit-Limit")
        self._reset_header = headers.get("X-Rate-Limit-Reset")


def _midnight_after(now: float) -> float:
    return now - now % DAY + DAY


def utc(unix: float) -> datetime:
    """The UTC datetime of a Unix time in seconds."""
    return datetime.fromtimestamp(unix, UTC)
