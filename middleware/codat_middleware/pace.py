"""Spaces requests out at a rate, and keeps any minute within a limit."""

from collections import deque
from typing import Final

__all__ = ["Pace"]

_NEVER: Final = float("inf")
_CATCH_UP: Final = 0.25


class Pace:
    """At most ``limit`` requests (infinity for any number) in ``minute`` seconds, evenly spaced.

    A request that is late, because a timer was or nothing was to be sent, is made up for
    within a quarter of a second. A request counts from when it is sent until a minute after
    its response. Whenever it reached the server in between, the server never sees more than
    the limit in any minute, however much the latency varies. Times are seconds of a
    monotonic clock.
    """

    def __init__(self, limit: float, *, minute: float = 60.0) -> None:
        self._limit = limit
        self._minute = minute
        self._catch_up = _CATCH_UP * minute / 60.0
        self._due = -_NEVER
        self._answers: deque[float] = deque()
        self.interval = minute / limit
        """Seconds between two requests."""

    def change(self, limit: float, now: float) -> None:
        """Change the limit; earlier requests still count, and nothing is made up for."""
        self._limit = limit
        self.interval = self._minute / limit
        self._due = max(self._due, now)

    def delay(self, now: float, unanswered: int) -> float:
        """Seconds until another request may be sent: 0 is now, infinity after a response."""
        answers = self._answers
        horizon = now - self._minute
        while answers and answers[0] <= horizon:
            answers.popleft()
        if unanswered + len(answers) >= self._limit:
            return answers[0] - horizon if answers else _NEVER
        return max(0.0, self._due - now)

    def sent(self, now: float) -> None:
        """Record that a request was sent."""
        self._due = max(now - self._catch_up, self._due) + self.interval

    def withdrawn(self) -> None:
        """Record that the last one was not sent after all."""
        self._due -= self.interval

    def answered(self, now: float) -> None:
        """Record that a request was answered or failed."""
        if self._limit != _NEVER:
            self._answers.append(now)
