"""Keeps to the API's limits and decides which request is sent next."""

import asyncio
import logging
from collections import OrderedDict
from datetime import datetime
from typing import Final, TypeAlias

from codat_middleware.clock import Clock, SystemClock, Timer, queued
from codat_middleware.errors import QuotaExhausted
from codat_middleware.gate import Gate
from codat_middleware.headers import parse_rate_limit, retry_after
from codat_middleware.limits import GovernorState, Limits
from codat_middleware.messages import Response
from codat_middleware.pace import Pace
from codat_middleware.quota import DAY, Quota, utc

__all__ = ["Governor"]

_NEVER: Final = float("inf")

_log = logging.getLogger(__name__)

_Waiter: TypeAlias = "asyncio.Future[datetime | None]"
"""Resolved with ``None`` for a place, or with the quota's reset if there will be none before."""


class Governor:
    """Grants places to requests, within the limits per company, per minute and per day.

    Companies with a request waiting and a place free are served in turn, one place each;
    within a company requests are served first come, first served. A waiter is a future that
    is resolved when a place is released or the one timer fires; nothing polls. A governor
    belongs to one event loop at a time. Use one per process, since the limits apply to the
    IP address and the account.
    """

    def __init__(self, limits: Limits | None = None, *, clock: Clock | None = None) -> None:
        self.limits = limits or Limits()
        self._clock: Clock = clock or SystemClock()
        self._now = self._clock.monotonic
        self._gate = Gate()
        self._quota = Quota(self._clock)
        self._pace = None if self.limits.per_minute is None else Pace(self.limits.per_minute)
        self._max_in_flight = _NEVER if self.limits.in_flight is None else self.limits.in_flight
        self._max_per_company = (
            _NEVER if self.limits.in_flight_per_company is None else self.limits.in_flight_per_company
        )
        # A limit reduced by a 429 is compared with unanswered requests only: if open streams
        # counted, they could block every request whose success would raise it again.
        self._cap = self._max_per_company
        self._in_flight = 0
        self._unanswered = 0
        self._places: dict[str, int] = {}
        self._unanswered_of: dict[str, int] = {}
        self._queues: dict[str | None, OrderedDict[_Waiter, None]] = {}
        self._ring: OrderedDict[str | None, None] = OrderedDict()
        self._waiting = 0
        self._timer: Timer | None = None
        self._timer_due = _NEVER

    @property
    def epoch(self) -> int:
        """Incremented by each 429 to a request sent after the last one; see :meth:`answered`."""
        return self._gate.epoch

    def state(self) -> GovernorState:
        """Return a snapshot of the limits and what is in flight."""
        now, unix = self._now(), self._clock.time()
        left = self._quota.left
        if left is not None and unix >= self._quota.resets_at:
            left = None
        closed = self._gate.closed_until - now
        return GovernorState(
            in_flight=self._in_flight,
            waiting=self._waiting,
            remaining=None if left is None else max(0, left - self._unanswered),
            limit=self._quota.limit,
            resets_at=None if left is None else utc(self._quota.resets_at),
            closed_until=utc(unix + closed) if closed > 0 else None,
            in_flight_per_company=None if self._cap == _NEVER else int(self._cap),
            per_minute=None if self._pace is None else self._pace.per_minute,
            companies=dict(self._places),
        )

    def try_acquire(self, company: str | None) -> bool:
        """Take a place if one is free and no request waits for it; return whether it was taken."""
        if self._ring or company in self._queues:
            return False
        if self._full(company):
            return False
        now = self._now()
        if self._delay(now) > 0.0:
            return False
        self._grant(company, now)
        return True

    async def acquire(self, company: str | None, *, first: bool = False) -> None:
        """Wait for a place; with ``first``, ahead of others of the same company.

        Raises :class:`QuotaExhausted` at once if the quota is spent for longer than
        ``limits.max_quota_wait``, unless ``limits.wait_for_quota``. Cancelling releases the place.
        """
        if self.try_acquire(company):
            return
        resets_at = self._quota_reset()
        if resets_at is not None:
            raise QuotaExhausted(resets_at)
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        queue = self._queues.get(company)
        if queue is None:
            queue = self._queues[company] = OrderedDict()
        queue[waiter] = None
        if first:
            queue.move_to_end(waiter, last=False)
        self._waiting += 1
        begun = self._now()
        self._enqueue_company(company)
        self._dispatch()
        try:
            resets_at = await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._discard(company, waiter)
            elif waiter.result() is None:
                self._withdraw(company)
            raise
        finally:
            queued.set(queued.get() + self._now() - begun)
        if resets_at is not None:
            raise QuotaExhausted(resets_at)

    def answered(self, company: str | None, response: Response | None, epoch: int) -> None:
        """Update the limits from a response, or from its absence; the place is still held.

        ``epoch`` is :attr:`epoch` at the time the request was sent.
        """
        now = self._now()
        self._decrement_unanswered(company)
        if self._pace is not None:
            self._pace.answered(now)
        if response is not None:
            status = response.status
            if status == 429:
                self._rate_limited(response, now, epoch)
            else:
                quota = self._quota
                quota.note(response.headers)
                if quota.left == 0:
                    self._fail_waiters()
                if not self._gate.unrestricted and status < 500 and self._gate.succeeded(now, epoch):
                    self._apply_limit_factor()
        if self._queues:
            self._enqueue_company(company)
            self._dispatch()

    def release(self, company: str | None) -> None:
        """Release a place and grant it to the next request."""
        self._in_flight -= 1
        if company is not None:
            _decrement(self._places, company)
        if self._queues:
            self._enqueue_company(company)
            self._dispatch()

    def spent(self) -> datetime | None:
        """When the quota resets if it is spent for longer than ``limits.max_quota_wait``, else ``None``."""
        wait = self._quota.spent_for()
        return utc(self._quota.resets_at) if wait > self.limits.max_quota_wait else None

    def _quota_reset(self) -> datetime | None:
        return None if self.limits.wait_for_quota else self.spent()

    def _delay(self, now: float) -> float:
        if self._in_flight >= self._max_in_flight:
            return _NEVER
        wait = self._gate.delay(now, self._unanswered)
        if wait > 0.0:
            return wait
        if self._quota.left is not None:
            wait = self._quota.delay(self._unanswered)
            if wait > 0.0:
                return wait
        return 0.0 if self._pace is None else self._pace.delay(now, self._unanswered)

    def _grant(self, company: str | None, now: float) -> None:
        self._in_flight += 1
        self._unanswered += 1
        if company is not None:
            self._places[company] = self._places.get(company, 0) + 1
            self._unanswered_of[company] = self._unanswered_of.get(company, 0) + 1
        if self._pace is not None:
            self._pace.sent(now)

    def _decrement_unanswered(self, company: str | None) -> None:
        self._unanswered -= 1
        if company is not None:
            _decrement(self._unanswered_of, company)

    def _withdraw(self, company: str | None) -> None:
        self._decrement_unanswered(company)
        if self._pace is not None:
            self._pace.withdrawn()
        self.release(company)

    def _full(self, company: str | None) -> bool:
        return company is not None and (
            self._places.get(company, 0) >= self._max_per_company
            or self._unanswered_of.get(company, 0) >= self._cap
        )

    def _enqueue_company(self, company: str | None) -> None:
        if company in self._queues and not self._full(company):
            self._ring.setdefault(company)

    def _dispatch(self) -> None:
        ring, now = self._ring, self._now()
        while ring:
            wait = self._delay(now)
            if wait > 0.0:
                self._wake_in(wait, now)
                return
            company, _ = ring.popitem(last=False)
            if self._full(company):
                continue
            queue = self._queues[company]
            waiter, _ = queue.popitem(last=False)
            if not queue:
                del self._queues[company]
            if not waiter.done():
                self._waiting -= 1
                self._grant(company, now)
                waiter.set_result(None)
            self._enqueue_company(company)
        self._disarm()

    def _discard(self, company: str | None, waiter: _Waiter) -> None:
        queue = self._queues.get(company)
        self._waiting -= 1
        if queue is not None and waiter in queue:
            del queue[waiter]
            if not queue:
                del self._queues[company]
                self._ring.pop(company, None)
        if not self._ring:
            self._disarm()

    def _wake_in(self, seconds: float, now: float) -> None:
        due = now + seconds
        if due == _NEVER or (self._timer is not None and self._timer_due <= due):
            return
        self._disarm()
        self._timer_due = due
        self._timer = self._clock.call_later(seconds, self._on_time)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        self._dispatch()

    def _rate_limited(self, response: Response, now: float, epoch: int) -> None:
        pause = retry_after(response.headers, self._clock.time())
        if pause is not None:
            pause = min(pause, DAY)
        self._quota.note(response.headers, pause)
        left = parse_rate_limit(response.headers, self._clock.time()).remaining
        if (
            pause is not None
            and pause > self.limits.max_quota_wait
            and not left
            and self._quota.spent_for() == 0.0
        ):
            # Unless a response contradicts it, only a spent quota explains so long a wait.
            self._quota.spend(pause)
        if self._quota.spent_for() > self.limits.max_quota_wait:
            self._fail_waiters()
            return
        if self._gate.rate_limited(now, epoch, pause, self._unanswered + 1):
            self._apply_limit_factor()
            closed = self._gate.closed_until - now
            _log.warning(
                "rate limited (429): pausing %.3f s, %d requests queued; then %.1f%% of the limits",
                closed,
                self._waiting,
                self._gate.limit_factor * 100,
                extra={"wait": closed, "waiting": self._waiting, "limit_factor": self._gate.limit_factor},
            )
        if self._pace is not None:
            self._pace.flatten(self._gate.closed_until)

    def _fail_waiters(self) -> None:
        resets_at = self._quota_reset()
        if resets_at is None or not self._waiting:
            return
        _log.warning(
            "daily quota spent until %s: failing %d queued requests",
            resets_at,
            self._waiting,
            extra={"resets_at": resets_at, "waiting": self._waiting},
        )
        for queue in self._queues.values():
            for waiter in queue:
                if not waiter.done():
                    self._waiting -= 1
                    waiter.set_result(resets_at)
        self._queues.clear()
        self._ring.clear()
        self._disarm()

    def _apply_limit_factor(self) -> None:
        limit_factor = self._gate.limit_factor
        if self.limits.in_flight_per_company is not None:
            self._cap = max(1, int(self.limits.in_flight_per_company * limit_factor))
            for company in self._queues:
                self._enqueue_company(company)
        if self._pace is not None:
            self._pace.ease(limit_factor)


def _decrement(counts: dict[str, int], company: str) -> None:
    left = counts[company] - 1
    if left:
        counts[company] = left
    else:
        del counts[company]
