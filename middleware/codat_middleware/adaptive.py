"""Adapts the request rate to what the server accepts, from its 429 responses."""

from collections import deque
from typing import Final

from msgspec import Struct

_UNBOUNDED: Final = float("inf")
_GROWTH: Final = 1.0e-6
"""Growth away from the peak per second cubed, as a part of the limit."""
_FLOOR: Final = 1 / 200
"""The lowest rate, as a part of the limit."""
_WINDOW: Final = 60.0
"""Seconds over which the accepted rate is measured at most."""
_SCORE: Final = 3.5
_LEAK: Final = 0.1
"""What a success subtracts from the score."""
_NOISE_WEIGHT: Final = 1 / 200


class Verdict(Struct, frozen=True, gc=False):
    """Enough 429s to act on."""

    overloaded: bool
    """Whether at least half of the responses were 429s, so that all requests should pause."""
    retry_after: float
    """Seconds; the shortest ``Retry-After`` among them, 0 if none had one."""
    cut: bool
    """Whether the rate was reduced."""


class AdaptiveRate:
    """The rate at which to send, in requests per second, at most ``limit``.

    Single 429s do not change it. Each adds 1 to a score and each success subtracts 0.1, and
    only a score of 3.5 is a verdict: gRPC's retry throttling (proposal A6) turned round. A
    score of 1.5 is enough above the rate last known to be accepted, where 429s are expected.
    429s that come well below it are noise, which says nothing about the rate; the more of
    them, the higher the score that is needed.

    A verdict reduces the rate to the accepted rate times the accepted share, at least by 0.9
    and at most by 0.7 (as the AWS SDKs' adaptive retry mode). From there it follows CUBIC's
    curve (RFC 9438) back to a remembered peak, rests there, and grows beyond it. Unlike
    CUBIC's, the peak is the rate *accepted* before the cut: the rate at which 429s began is
    above the server's limit. After a minute at ``limit`` the past is forgotten.

    Responses to requests sent before the last verdict are not evidence: compare ``epoch``.
    The curve's time passes only with requests sent, so the rate does not grow in a pause or
    while idle. All times are seconds of a monotonic clock; ``second`` scales the constants.
    """

    def __init__(self, limit: float = _UNBOUNDED, *, second: float = 1.0, epoch: int = 0) -> None:
        self._limit = limit
        self._second = second
        self._scale = limit
        """The limit, or without one the rate accepted before the first cut."""
        self._growth = self._cut_at = 0.0
        self._t = self._turn = self._settled = self._last = 0.0
        """The curve's time, where it reaches the peak, where it ends, and when it was advanced."""
        self._accepted: deque[float] = deque()
        self._noise = 0.0
        self._reset()
        self.epoch = epoch
        """Incremented by each verdict."""
        self.peak: float | None = None
        """The accepted rate that is remembered; ``None`` if there was no cut, or long ago."""
        self.rate = limit
        """Requests per second; infinity if there is no limit and none was found."""

    def _reset(self) -> None:
        self._score = 0.0
        self._rate_limited = self._seen = 0
        self._retry_after = _UNBOUNDED

    @property
    def suspicious(self) -> bool:
        """Whether there are recent 429s that may or may not become a verdict."""
        return self._score > 0.0

    @property
    def probing(self) -> bool:
        """Whether the rate is above the one last known to be accepted, where 429s are expected."""
        return self.peak is not None and self.rate > self.peak

    def sent(self, now: float) -> None:
        """Record a request, and move the rate along its curve; not needed without a ``peak``."""
        if self.peak is None:
            return
        self._t += min(now - self._last, 2.0 / self.rate)
        self._last = now
        self.rate = min(self._limit, self.peak + self._growth * (self._t - self._turn) ** 3)
        if self._t > self._settled:
            self.peak = None

    def accepted(self, now: float) -> None:
        """Record a success."""
        if self.peak is not None or self._limit == _UNBOUNDED:
            if self._below_peak():
                self._noise -= self._noise * _NOISE_WEIGHT
            horizon = now - _WINDOW * self._second
            accepted = self._accepted
            accepted.append(now)
            while accepted[0] <= horizon:
                accepted.popleft()
        if self._score > 0.0:
            self._seen += 1
            self._score -= _LEAK
            if self._score <= 0.0:
                self._reset()
        elif self._score < 0.0:
            self._score += _LEAK

    def rate_limited(self, now: float, retry_after: float | None, *, probe: bool) -> Verdict | None:
        """Record a 429; return what to do about it once there is enough evidence.

        ``probe`` is true for a request sent alone after a pause, which is evidence by itself.
        """
        self._rate_limited += 1
        self._seen += 1
        self._score += 1.0
        if retry_after is not None:
            self._retry_after = min(retry_after, self._retry_after)
        if probe:
            needed = 1.0
        elif self.probing:
            needed = max(1.5, 1.0 + 50.0 * self._noise)
        else:
            needed = _SCORE + 20.0 * self._noise
            if self._below_peak():
                self._noise += (1.0 - self._noise) * _NOISE_WEIGHT
        if self._score < needed:
            return None
        share = self._rate_limited / self._seen
        retry_after = 0.0 if self._retry_after == _UNBOUNDED else self._retry_after
        cut = self._cut(now, 1.0 - share)
        self._reset()
        self.epoch += 1
        return Verdict(share >= 0.5, retry_after, cut)

    def retract(self) -> None:
        """Take back a 429 that turned out to concern only its company."""
        self._score = max(self._score - 1.0, -_SCORE)
        if self._score <= 0.0:
            self._seen = self._rate_limited = 0

    def _below_peak(self) -> bool:
        return self.peak is not None and self.rate < 0.95 * self.peak

    def _cut(self, now: float, accepted_share: float) -> bool:
        if self.peak is None and self._limit != _UNBOUNDED:
            accepted = self._limit
        elif not self._accepted:
            return False
        else:
            since = self._accepted[0] if self.peak is None else self._cut_at
            horizon = max(since, now - _WINDOW * self._second)
            count = max(1, sum(at >= horizon for at in self._accepted))
            accepted = min(self.rate, count / max(now - horizon, self._second))
            self._scale = accepted if self._scale == _UNBOUNDED else self._scale
        low = max(accepted, min(self.rate, self._scale) / 8) * min(max(accepted_share, 0.7), 0.9)
        if accepted_share > 0.5:
            low = max(low, 0.5 * min(self.rate, self._scale))
        self.rate = low = max(low, _FLOOR * self._scale)
        self.peak = peak = max(accepted, 1.02 * low)
        self._growth = _GROWTH * self._scale / self._second**3
        self._turn = ((peak - low) / self._growth) ** (1 / 3)
        rest = max(0.0, self._limit - peak) / self._growth
        self._settled = self._turn + rest ** (1 / 3) + _WINDOW * self._second
        self._t, self._last, self._cut_at = 0.0, now, now
        self._accepted.clear()
        return True
