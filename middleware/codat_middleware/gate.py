"""Reacts to a 429: pauses until ``Retry-After``, then lets requests through gradually."""

from typing import Final

__all__ = ["Gate"]

_NEVER: Final = float("inf")
_FEW: Final = 2
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_SMALLEST_FACTOR: Final = 1 / 128
_STEP: Final = 0.1
_FIRST_HOLD: Final = 30.0
_LONGEST_HOLD: Final = 600.0


class Gate:
    """Closed by a 429 until its ``Retry-After``; without one for 1, 2, 4… up to 60 seconds.

    It reopens for a few unanswered requests and one more with each success, until half as
    many as at the 429 are unanswered. A 429 also halves ``limit_factor``, the part of the
    configured limits in use, since the response does not name the limit that was exceeded;
    it returns by a tenth after each quiet period, and that period doubles with each 429, so
    that a server stricter than configured is probed seldom.

    Requests in flight when the gate closes may be answered with 429 too, which is no new
    information: ``epoch`` distinguishes them from later ones. All times are seconds of a
    monotonic clock.
    """

    __slots__ = (
        "_allowance",
        "_goal",
        "_hold",
        "_rises_at",
        "_streak",
        "closed_until",
        "epoch",
        "limit_factor",
        "unrestricted",
    )

    def __init__(self) -> None:
        self.unrestricted = True
        """Whether nothing is restricted."""
        self.closed_until = -_NEVER
        self.epoch = 0
        self.limit_factor = 1.0
        self._allowance: int | None = None
        self._goal = 0
        self._streak = 0
        self._hold = _FIRST_HOLD / 2
        self._rises_at = _NEVER

    def delay(self, now: float, unanswered: int) -> float:
        """Seconds until another request may be sent: 0 is now, infinity after a success."""
        if now < self.closed_until:
            return self.closed_until - now
        if self._allowance is not None and unanswered >= self._allowance:
            return _NEVER
        return 0.0

    def rate_limited(self, now: float, epoch: int, pause: float | None, unanswered: int) -> bool:
        """Close for ``pause`` seconds; true if the request was sent after the last 429.

        ``unanswered`` includes the request itself.
        """
        new = epoch == self.epoch
        if new:
            self.unrestricted = False
            self.epoch += 1
            self.limit_factor = max(_SMALLEST_FACTOR, self.limit_factor / 2)
            self._streak += 1
            self._hold = min(_LONGEST_HOLD, self._hold * 2)
            self._allowance = _FEW
            self._goal = max(_FEW, unanswered // 2)
        if pause is None:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._streak - 1, 60))
        self.closed_until = max(self.closed_until, now + pause)
        self._rises_at = self.closed_until + self._hold
        return new

    def succeeded(self, now: float, epoch: int) -> bool:
        """Let one more request through after a success; true if ``limit_factor`` has grown."""
        if epoch != self.epoch:
            return False
        if self._allowance is not None:
            self._allowance += 1
            if self._allowance > self._goal:
                self._allowance = None
                self._streak = 0
        if now < self._rises_at:
            return False
        self.limit_factor = min(1.0, round(self.limit_factor + _STEP, 6))
        self._rises_at = now + self._hold
        if self.limit_factor == 1.0 and self._allowance is None:
            self.unrestricted = True
            self._hold = _FIRST_HOLD / 2
            self._rises_at = _NEVER
        return True
