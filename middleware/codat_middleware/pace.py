"""Spaces requests out, so that no 60 seconds contain more than the limit."""

from collections import deque
from typing import Final

__all__ = ["Pace"]

_WINDOW: Final = 60.0
_NEVER: Final = float("inf")


class Pace:
    """At most ``per_minute`` requests in any 60 seconds, evenly spaced after a small burst.

    A request counts from when it is sent until 60 seconds after its response. Whenever it
    reached the server in between, the server never sees more than the limit in any 60
    seconds, however much the latency varies. Times are seconds of a monotonic clock.
    """

    __slots__ = ("_answers", "_due", "_interval", "_lead", "_per_minute")

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._interval = _WINDOW / per_minute
        # Three seconds' worth may be sent at once, so that small jobs need not queue.
        self._lead = (max(1, per_minute // 20) - 1) * self._interval
        self._due = -_NEVER
        self._answers: deque[float] = deque()

    @property
    def per_minute(self) -> float:
        """The pace in force."""
        return _WINDOW / self._interval

    def ease(self, limit_factor: float) -> None:
        """Use a part of the configured pace, from 0 (exclusive) to 1."""
        self._interval = _WINDOW / (self._per_minute * limit_factor)

    def delay(self, now: float, unanswered: int) -> float:
        """Seconds until another request may be sent: 0 is now, infinity after a response."""
        answers = self._answers
        horizon = now - _WINDOW
        while answers and answers[0] <= horizon:
            answers.popleft()
        if unanswered + len(answers) >= self._per_minute:
            self.flatten(now)
            return answers[0] - horizon if answers else _NEVER
        early = self._due - self._lead - now
        return early if early > 0 else 0.0

    def sent(self, now: float) -> None:
        """Record that a request was sent."""
        due = self._due
        self._due = (max(now, due)) + self._interval

    def withdrawn(self) -> None:
        """Record that the last one was not sent after all."""
        self._due -= self._interval

    def answered(self, now: float) -> None:
        """Record that a request was answered or failed."""
        self._answers.append(now)

    def flatten(self, now: float) -> None:
        """Allow no burst from ``now`` on: after a stop requests continue evenly spaced."""
        self._due = max(self._due, now + self._lead)
