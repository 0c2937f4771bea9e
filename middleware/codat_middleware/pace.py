"""When the next request may be sent: the daily quota, the gate, the pace, and the rate, adapted to 429s.

Times are seconds of a monotonic clock. A ``delay`` is the seconds until another request may be sent: 0 for
now, infinity for after a response.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final

from codat_middleware.clock import Clock
from codat_middleware.text import parse_reset, whole_number

_NEVER: Final = float("inf")
_MINUTE: Final = 60.0
DAY: Final = 86_400.0  # seconds; a quota lasts no longer than this
_SAME_RESET: Final = 60.0  # seconds; resets given as seconds from now vary a little
_CATCH_UP: Final = 0.25
_GROWTH: Final = 1.0e-6  # growth away from the peak per second cubed, as a part of the limit
_FLOOR: Final = 1 / 200  # the lowest rate, as a part of the limit
_SCORE: Final = 3.5
_LEAK: Final = 0.1
_NOISE_WEIGHT: Final = 1 / 200


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

    def delay(self, unanswered: int = 0) -> float:
        """The delay of the next request; with none unanswered how long the quota is spent."""
        if self.left is None or self.left > unanswered:
            return 0.0
        wait = self.resets_at - self._time()
        if wait <= 0:
            self.left = None
            return 0.0
        return _NEVER if self.left > 0 else wait


class Gate:
    """Limits unanswered requests to 2 at first, and to one more with each of 200 successes: TCP's slow start.

    After a pause one request is the probe. Unless the server asks for more, it lasts 2, 4, 8… 15 seconds.
    """

    def __init__(self) -> None:
        self.allowance = 2.0  # how many requests may be unanswered; infinity for any, never in a pause
        self.tries = 0  # pauses since the last success
        self.paused_until = self.requested_until = -_NEVER  # requested by the server, at most as long

    def delay(self, now: float, unanswered: int) -> float:
        """The delay of the next request."""
        if now < self.paused_until:
            return self.paused_until - now
        return _NEVER if unanswered >= self.allowance else 0.0

    def pause(self, now: float, retry_after: float, rate: float = 1e9) -> None:
        """Pause all requests for at least ``retry_after`` seconds."""
        own = min(15.0, max(2.0, 4.0 / rate) * 2.0 ** min(self.tries, 60))
        self.tries += 1
        self.paused_until = max(self.paused_until, now + max(own, retry_after))
        self.requested_until = max(self.requested_until, now + retry_after)
        self.allowance = 1

    def succeeded(self) -> None:
        """Allow one more unanswered request."""
        self.tries = 0
        self.allowance = self.allowance + 1 if self.allowance < 200 else _NEVER


class Pace:
    """At most ``limit`` requests (infinity for any number) in any minute, evenly spaced.

    A late request is made up for within a quarter of a second. One counts from when it is sent until a
    minute after its response, so no minute at the server has more than the limit, whatever the latency.
    """

    def __init__(self, limit: float) -> None:
        self._due = -_NEVER
        self._answers: deque[float] = deque()
        self.change(limit, -_NEVER)

    def change(self, limit: float, now: float) -> None:
        """Change the limit; earlier requests still count, and nothing is made up for."""
        self._limit = limit
        self.interval = _MINUTE / limit  # seconds between two requests
        self._due = max(self._due, now)

    def delay(self, now: float, unanswered: int) -> float:
        """The delay of the next request."""
        answers = self._answers
        horizon = now - _MINUTE
        while answers and answers[0] <= horizon:
            answers.popleft()
        if unanswered + len(answers) >= self._limit:
            return answers[0] - horizon if answers else _NEVER
        return self._due - now if self._due > now else 0.0

    def sent(self, now: float) -> None:
        """Record that a request was sent."""
        if self._due < now - _CATCH_UP:
            self._due = now - _CATCH_UP
        self._due += self.interval

    def answered(self, now: float) -> None:
        """Record that a request was answered or failed."""
        self._answers.append(now)


class AdaptiveRate:
    """The rate at which to send, in requests per second, at most ``limit``.

    Single 429s do not change it. Each adds 1 to a score and each success subtracts 0.1; a score of 3.5 is a
    verdict: gRPC's retry throttling (proposal A6) turned round. Above the rate last known to be accepted,
    where 429s are expected, 1.5 is enough. 429s well below it are noise, and raise what is needed.

    A verdict multiplies the accepted rate by the accepted share, within 0.7 (as the AWS SDKs' adaptive
    retry mode) and 0.9. From there the rate follows CUBIC's curve (RFC 9438) back to a peak, rests there,
    and grows beyond it. Unlike CUBIC's, the peak is the rate *accepted* before the cut: that at which 429s
    began is above the server's limit. After a minute at ``limit`` the past is forgotten.

    Responses to requests sent before the last verdict are not evidence: compare ``epoch``. The curve's
    time passes only with requests sent, so that the rate does not grow in a pause or while idle.
    """

    def __init__(self, limit: float = _NEVER, epoch: int = 0) -> None:
        self.limit = limit
        self._scale = limit  # the limit, or without one the rate accepted before the first cut
        # The curve's growth, its time, where it reaches the peak and ends, when it was advanced and began.
        self._growth = self._t = self._turn = self._settled = self._last = self._cut_at = 0.0
        self._accepted: deque[float] = deque()
        self._noise = 0.0
        self._reset()
        self.epoch = epoch  # incremented by each verdict
        self.peak: float | None = None  # the accepted rate before the last cut, until it is forgotten
        self.rate = limit  # requests per second; infinity if there is no limit and none was found

    def _reset(self) -> None:
        self.score = 0.0  # above 0 if there are recent 429s that may become a verdict
        self._rate_limited = self._seen = 0
        self._retry_after = _NEVER

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
        self.rate = min(self.limit, self.peak + self._growth * (self._t - self._turn) ** 3)
        if self._t > self._settled:
            self.peak = None

    def accepted(self, now: float) -> None:
        """Record a success."""
        if self.peak is not None or self.limit == _NEVER:
            self._note_noise(0.0)
            accepted = self._accepted
            accepted.append(now)
            while accepted[0] <= now - _MINUTE:
                accepted.popleft()
        if self.score > 0.0:
            self._seen += 1
            self.score -= _LEAK
            if self.score <= 0.0:
                self._reset()
        elif self.score < 0.0:
            self.score += _LEAK

    def rate_limited(self, now: float, retry_after: float | None, *, probe: bool) -> float | None:
        """Record a 429, which is a verdict once there is enough evidence: of a ``probe`` one is enough.

        On half 429s or more return the seconds to pause at least: the shortest ``Retry-After``, or 0.
        """
        self._rate_limited += 1
        self._seen += 1
        self.score += 1.0
        if retry_after is not None:
            self._retry_after = min(retry_after, self._retry_after)
        if probe:
            needed = 1.0
        elif self.probing:
            needed = max(1.5, 1.0 + 50.0 * self._noise)
        else:
            needed = _SCORE + 20.0 * self._noise
            self._note_noise(1.0)
        if self.score < needed:
            return None
        share, shortest = self._rate_limited / self._seen, self._retry_after
        self._cut(now, 1.0 - share)
        self._reset()
        self.epoch += 1
        if share < 0.5:
            return None
        return 0.0 if shortest == _NEVER else shortest

    def retract(self) -> None:
        """Take back a 429 that turned out to concern only its company."""
        self.score = max(self.score - 1.0, -_SCORE)
        if self.score <= 0.0:
            self._seen = self._rate_limited = 0

    def _note_noise(self, share: float) -> None:
        if self.peak is not None and self.rate < 0.95 * self.peak:
            self._noise += (share - self._noise) * _NOISE_WEIGHT

    def _cut(self, now: float, accepted_share: float) -> None:
        if self.peak is None and self.limit != _NEVER:
            accepted = self.limit
        elif not self._accepted:
            return
        else:
            since = self._accepted[0] if self.peak is None else self._cut_at
            horizon = max(since, now - _MINUTE)
            count = max(1, sum(at >= horizon for at in self._accepted))
            accepted = min(self.rate, count / max(now - horizon, 1.0))
            self._scale = accepted if self._scale == _NEVER else self._scale
        before = min(self.rate, self._scale)
        low = max(accepted, before / 8) * min(max(accepted_share, 0.7), 0.9)
        low = max(low, _FLOOR * self._scale, 0.5 * before if accepted_share > 0.5 else 0.0)
        self.rate = low
        self.peak = peak = max(accepted, 1.02 * low)
        self._growth = _GROWTH * self._scale
        self._turn = ((peak - low) / self._growth) ** (1 / 3)
        rest = max(0.0, self.limit - peak) / self._growth
        self._settled = self._turn + rest ** (1 / 3) + _MINUTE
        self._t, self._last, self._cut_at = 0.0, now, now
        self._accepted.clear()
