"""When the next request may be sent: the gate, for pauses and slow starts, and the pace."""

from collections import deque
from typing import Final

_NEVER: Final = float("inf")
_START: Final = 2
_UNRESTRICTED_FROM: Final = 200
_LONGEST_PAUSE: Final = 15.0
_CATCH_UP: Final = 0.25


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
