"""What a refusal does: nothing is sent until the server's time, then little, then more."""

from typing import Final

__all__ = ["Gate"]

_NEVER: Final = float("inf")
_FEW: Final = 2
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_SMALLEST_SHARE: Final = 1 / 128
_STEP: Final = 0.1
_FIRST_HOLD: Final = 30.0
_LONGEST_HOLD: Final = 600.0


class Gate:
    """Closed by a 429 until its ``Retry-After``; without one for 1, 2, 4… up to 60 seconds.

    It opens to a few unanswered requests and to one more with each success, until half as
    many as at the refusal are unanswered. A refusal also halves ``share``, the part of the
    configured limits that is made use of, since an answer does not tell which limit it was
    about; it comes back by a tenth for each quiet time, and that time doubles from refusal
    to refusal, so that a server stricter than configured is asked seldom.

    Requests under way when the gate closes may be refused as well, which says nothing new:
    ``round`` tells them from those sent since. All times are seconds of a monotonic clock.
    """

    __slots__ = (
        "_allowance",
        "_goal",
        "_hold",
        "_rises_at",
        "_streak",
        "calm",
        "closed_until",
        "round",
        "share",
    )

    def __init__(self) -> None:
        self.calm = True
        """Whether nothing here holds anybody back."""
        self.closed_until = -_NEVER
        self.round = 0
        self.share = 1.0
        self._allowance: int | None = None
        self._goal = 0
        self._streak = 0
        self._hold = _FIRST_HOLD / 2
        self._rises_at = _NEVER

    def delay(self, now: float, unanswered: int) -> float:
        """Seconds until another request may pass: 0 is now, infinity after some success."""
        if now < self.closed_until:
            return self.closed_until - now
        if self._allowance is not None and unanswered >= self._allowance:
            return _NEVER
        return 0.0

    def refused(self, now: float, round_: int, pause: float | None, unanswered: int) -> bool:
        """Close for ``pause`` seconds; true where the refusal says something new.

        ``unanswered`` counts the refused request itself.
        """
        news = round_ == self.round
        if news:
            self.calm = False
            self.round += 1
            self.share = max(_SMALLEST_SHARE, self.share / 2)
            self._streak += 1
            self._hold = min(_LONGEST_HOLD, self._hold * 2)
            self._allowance = _FEW
            self._goal = max(_FEW, unanswered // 2)
        if pause is None:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._streak - 1, 60))
        self.closed_until = max(self.closed_until, now + pause)
        self._rises_at = self.closed_until + self._hold
        return news

    def succeeded(self, now: float, round_: int) -> bool:
        """Let one more pass after a success; true where ``share`` has grown."""
        if round_ != self.round:
            return False
        if self._allowance is not None:
            self._allowance += 1
            if self._allowance > self._goal:
                self._allowance = None
                self._streak = 0
        if now < self._rises_at:
            return False
        self.share = min(1.0, round(self.share + _STEP, 6))
        self._rises_at = now + self._hold
        if self.share == 1.0 and self._allowance is None:
            self.calm = True
            self._hold = _FIRST_HOLD / 2
            self._rises_at = _NEVER
        return True
