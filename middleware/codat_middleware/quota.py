"""Keeps count of the day's quota, as the API's answers tell it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from codat_middleware.clock import Clock
from codat_middleware.headers import parse_rate_limit

__all__ = ["DAY", "Quota", "moment"]

_NEVER: Final = float("inf")
DAY: Final = 86_400.0
"""Seconds; there is a new quota after that at the latest."""
_SAME_RESET: Final = 60.0
"""Resets told as seconds from now wander a little; within this they are the same."""


class Quota:
    """What is left of the day's quota.

    An answer tells what was left when the server counted that request; those under way may
    be in that number or not, so all of them are taken off. Answers overtake each other, so
    of one day's numbers the least holds. Source: "Rate limits" in Codat's documents: the
    quota is for a day and resets at 00:00 UTC, which is assumed where no answer says when.
    """

    __slots__ = ("_clock", "_told_limit", "_told_reset", "left", "limit", "resets_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told_limit: str | None = None
        self._told_reset: str | None = None
        self.left: int | None = None
        """Of the quota, with those under way not yet taken off; ``None`` while unknown."""
        self.limit: int | None = None
        self.resets_at = 0.0
        """Unix time in seconds; of no meaning while ``left`` is ``None``."""

    def note(self, headers: Mapping[str, str], retry_after: float | None = None) -> None:
        """Take what an answer's headers tell; ``retry_after`` stands in for a missing reset."""
        told = headers.get("X-Rate-Limit-Remaining")
        if told is None:
            return
        if (
            self.left is not None
            and headers.get("X-Rate-Limit-Reset") == self._told_reset
            and headers.get("X-Rate-Limit-Limit") == self._told_limit
        ):
            try:
                left = int(told)
            except ValueError:
                return
            if left < self.left:
                self.left = max(0, left)
            return
        self._note_anew(headers, retry_after)

    def spend(self, seconds: float) -> None:
        """Take it as spent for so many seconds, because the server said so."""
        self.left = 0
        self.resets_at = self._clock.time() + seconds
        self._told_reset = self._told_limit = None

    def delay(self, unanswered: int) -> float:
        """Seconds until another request may go: 0 is now, infinity after some answer."""
        if self.left is None or self.left > unanswered:
            return 0.0
        wait = self.resets_at - self._clock.time()
        if wait <= 0:
            self.left = None
            return 0.0
        return _NEVER if self.left > 0 else wait

    def spent_for(self) -> float:
        """Seconds until there will be a new quota where this one is spent, else 0."""
        return self.delay(0)

    def _note_anew(self, headers: Mapping[str, str], retry_after: float | None) -> None:
        now = self._clock.time()
        told = parse_rate_limit(headers, now)
        if told.remaining is None:
            return
        resets_at = told.resets_at
        if resets_at is None:
            resets_at = _midnight_after(now) if retry_after is None else now + retry_after
        if resets_at <= now:
            # An answer that was on its way while the day ended.
            return
        same = (
            self.left is not None
            and now < self.resets_at
            and told.limit == self.limit
            and abs(resets_at - self.resets_at) < _SAME_RESET
        )
        self.left = min(self.left, told.remaining) if same and self.left is not None else told.remaining
        self.limit = told.limit
        self.resets_at = resets_at
        self._told_limit = headers.get("X-Rate-Limit-Limit")
        self._told_reset = headers.get("X-Rate-Limit-Reset")


def _midnight_after(now: float) -> float:
    return now - now % DAY + DAY


def moment(unix: float) -> datetime:
    """The moment of a Unix time in seconds."""
    return datetime.fromtimestamp(unix, UTC)
