"""Spaces requests out, so that no 60 seconds anywhere hold more of them than allowed."""

from collections import deque
from typing import Final

__all__ = ["Pace"]

_WINDOW: Final = 60.0
_NEVER: Final = float("inf")


class Pace:
    """At most ``per_minute`` requests in any 60 seconds, evenly spaced after a small burst.

    A request counts from when it is let go until 60 seconds after its answer. Wherever
    between the two it reached the server, the server never sees more than the limit in any
    60 seconds of its own, however uneven the network. Times are seconds of a monotonic clock.
    """

    __slots__ = ("_answers", "_due", "_interval", "_lead", "_per_minute")

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._interval = _WINDOW / per_minute
        # Three seconds' worth may go at once, so that small jobs need not queue at all.
        self._lead = (max(1, per_minute // 20) - 1) * self._interval
        self._due = -_NEVER
        self._answers: deque[float] = deque()

    @property
    def per_minute(self) -> float:
        """The pace in force."""
        return _WINDOW / self._interval

    def ease(self, share: float) -> None:
        """Go at a part of the configured pace, from 0 (excluded) to 1."""
        self._interval = _WINDOW / (self._per_minute * share)

    def delay(self, now: float, unanswered: int) -> float:
        """Seconds until another request may go: 0 is now, infinity after some answer."""
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
        """Note that a request was let go."""
        due = self._due
        self._due = (max(now, due)) + self._interval

    def withdrawn(self) -> None:
        """Note that the one just let go was not sent after all."""
        self._due -= self._interval

    def answered(self, now: float) -> None:
        """Note that a request was answered, or failed."""
        self._answers.append(now)

    def flatten(self, now: float) -> None:
        """Allow no burst from then on: who had to stop goes on evenly."""
        self._due = max(self._due, now + self._lead)
