"""Keeps to the API's limits and decides which request is sent next."""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from msgspec.structs import asdict

from codat_middleware.clock import Clock, Timer, queued
from codat_middleware.errors import ApiPaused, CodatError, QueueTimeout, QuotaExhausted, RateLimited
from codat_middleware.fair_queue import Company, FairQueue, Place, Waiter
from codat_middleware.limits import GovernorEvent, GovernorState, Limits
from codat_middleware.messages import Response
from codat_middleware.pace import DAY, AdaptiveRate, Gate, Pace, Quota
from codat_middleware.text import retry_after

_NEVER: Final = float("inf")
_TICK: Final = 1e-6  # seconds; rounding may leave a shorter wait that does not advance the clock

_log = logging.getLogger(__name__)
_utc = partial(datetime.fromtimestamp, tz=UTC)


class Governor:
    """Grants places to requests, within the limits per company, per minute and per day.

    A waiting request is a future that is resolved when a place is released or the one timer fires. Use
    one governor per process and event loop, since the limits apply to the IP address and the account.

    ``FairQueue`` decides who is next. What a 429 changes is decided by ``Company`` for one company, and
    for everybody by ``AdaptiveRate`` (how fast) and ``Gate`` (whether at all).
    """

    def __init__(
        self, limits: Limits | None = None, *, clock: Clock | None = None, rng: random.Random | None = None
    ) -> None:
        self.limits = limits = limits or Limits()
        self._clock: Clock = clock or Clock()
        self._now = self._clock.monotonic
        self._random = rng or random.Random()
        limit = limits.per_minute or _NEVER
        self._rate, self._gate, self._pace = AdaptiveRate(limit / 60.0), Gate(), Pace(limit)
        self._quota = Quota(self._clock)
        self._queue = FairQueue(limits.in_flight_per_company or _NEVER, self._random)
        self._max_in_flight: float = limits.in_flight or _NEVER
        self._unanswered = self._streams = 0
        self._succeeded_at = self._moved_at = -_NEVER
        self._check_at = self._timer_due = _NEVER
        self._timer: Timer | None = None
        self._reported_reset = 0.0
        self.listeners: list[Callable[[GovernorEvent], object]] = []
        """Called with each :class:`GovernorEvent`."""

    def bound_in_flight(self, connections: float) -> None:
        """Keep the requests in flight within the number of connections, whatever ``limits`` say."""
        self._max_in_flight = min(self._max_in_flight, connections)

    def limit_per_minute(self, per_minute: int) -> None:
        """Change ``limits.per_minute``, and forget what 429s have shown; :class:`ValueError` below 1."""
        # A new one, since msgspec 0.20's replace() does not check.
        self.limits = Limits(**{**asdict(self.limits), "per_minute": per_minute})
        self._rate = AdaptiveRate(per_minute / 60.0, self._rate.epoch + 1)
        self._pace.change(per_minute, self._now())
        self._dispatch(self._now())

    def renew_quota(self) -> None:
        """Forget what is left of the day's quota, when it is known to have been renewed before its time."""
        self._quota.left, self._reported_reset = None, 0.0
        self._dispatch(self._now())

    def try_acquire(self, company_id: str | None) -> Place | None:
        """Take a place if one is free and no request waits for it; return ``None`` otherwise."""
        now, queue = self._now(), self._queue
        company = queue.companies.get(company_id) or queue.company(company_id, now)
        if queue.queued and (queue.ring or company.queue):
            return None
        if company.opens_at(now, queue.limit) > now:
            return None
        return None if self._delay(now) else self._grant(company, now)

    async def acquire(
        self, company_id: str | None, *, first: bool = False, ghost: Place | None = None
    ) -> Place:
        """Wait for a place; with ``first``, ahead of others of the same company.

        ``ghost`` is the place of the call's previous attempt, which timed out, to be taken over. Raises
        :class:`QuotaExhausted` or :class:`RateLimited` at once if the wait would be longer than
        ``limits.max_quota_wait``, and :class:`QueueTimeout` after ``limits.max_place_wait``.
        """
        begun, inherited, place = self._now(), 0.0, None
        company = self._queue.company(company_id, begun)
        if ghost is not None and ghost.ghost_until in company.ghosts:
            inherited = ghost.ghost_until
            at = company.ghosts.index(inherited)
            company.ghosts = company.ghosts[:at] + company.ghosts[at + 1 :]
        try:
            place = self.try_acquire(company_id) or await self._wait(company, first)
            place.ghost_until = inherited
            return place
        finally:
            queued.set(queued.get() + self._now() - begun)
            if place is None and inherited:
                company.ghosts += (inherited,)

    async def _wait(self, company: Company, first: bool) -> Place:
        begun = self._now()
        if (error := self._refusal(company, begun)) is not None:
            raise error
        waiter: Waiter = asyncio.get_running_loop().create_future()
        # The next answer of a company that was rate limited shows whether it alone is.
        urgent = first and begun - company.rate_limited_at >= 1.0
        self._queue.add(company, waiter, begun, first=first, urgent=urgent)
        self._check_at = min(self._check_at, begun + (self.limits.max_place_wait or _NEVER))
        self._dispatch(begun)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._queue.remove(company, waiter)
                self._dispatch(self._now())
            elif waiter.exception() is None:
                self.finished(waiter.result(), None)
            raise

    def finished(self, place: Place, response: Response | None, *, timed_out: bool = False) -> None:
        """Update the limits from a response, or from its absence, and release the place.

        After a time-out here the server may still work on the request, so the place stays taken in its
        company for as long as the attempt took, at most 30 seconds.
        """
        now = self._now()
        if timed_out:
            place.ghost_until = max(place.ghost_until, now + min(30.0, now - place.sent_at))
        try:
            self._note(place, response, now)
        finally:
            self._free(place, now)

    def answered(self, place: Place, response: Response) -> None:
        """Update the limits from the response to a request whose place is held until :meth:`release`."""
        now = self._now()
        self._streams += 1
        place.company.streams += 1
        self._note(place, response, now)
        if self._queue.queued:
            self._queue.line_up(place.company, now)
            self._dispatch(now)

    def release(self, place: Place) -> None:
        """Release a place after :meth:`answered`, and grant it to the next request."""
        self._streams -= 1
        place.company.streams -= 1
        self._free(place, self._now())

    def _note(self, place: Place, response: Response | None, now: float) -> None:
        company, rate = place.company, self._rate
        self._unanswered -= 1
        company.unanswered -= 1
        if self._pace.interval:
            self._pace.answered(now)
        if response is None:
            return
        if response.status == 429:
            self._rate_limited(place, response, now)
            return
        quota = self._quota
        quota.note(response.headers)
        if quota.left == 0:
            self._quota_spent(now)
        if response.status < 500:
            if place.sent_at > self._succeeded_at:
                self._succeeded_at = place.sent_at
            if company.in_a_row:
                company.succeeded()
            if place.epoch == rate.epoch:
                if rate.score or rate.peak is not None or rate.limit == _NEVER:
                    rate.accepted(now)
                if self._gate.allowance != _NEVER:
                    self._gate.succeeded()

    def _free(self, place: Place, now: float) -> None:
        company, queue = place.company, self._queue
        self._moved_at = now
        if place.ghost_until > now and company.id is not None:
            company.ghosts += (place.ghost_until,)
        else:
            company.moved_at = now
        if queue.queued or self._timer is not None:
            queue.line_up(company, now)
            self._dispatch(now)

    def _delay(self, now: float) -> float:
        count, gate, quota, pace = self._unanswered, self._gate, self._quota, self._pace
        if count + self._streams >= self._max_in_flight:
            return _NEVER
        # Each is asked only if it can object, since a call costs more than to see that.
        if gate.allowance != _NEVER and (wait := gate.delay(now, count)):
            return wait
        if quota.left is not None and quota.left <= count and (wait := quota.delay(count)):
            return wait
        return pace.delay(now, count) if pace.interval else 0.0

    def _grant(self, company: Company, now: float) -> Place:
        self._unanswered += 1
        company.unanswered += 1
        company.moved_at = now
        if self._rate.peak is not None:
            self._rate.sent(now)
            self._pace.interval = 1.0 / self._rate.rate
        if self._pace.interval:
            self._pace.sent(now)
        return Place(company, self._rate.epoch, now)

    def _dispatch(self, now: float) -> None:
        queue = self._queue
        queue.wake(now)
        due = _NEVER
        while queue.ring:
            if wait := self._delay(now):
                due = now + wait
                break
            taken = queue.take(now, mixed=self._rate.score > 0.0, probe=self._gate.tries > 0)
            if taken is not None:
                company, waiter = taken
                if not waiter.done():
                    waiter.set_result(self._grant(company, now))
                queue.line_up(company, now)
        due = min(due, queue.wakes_at, self._check_at)
        if self._timer is not None and (due < self._timer_due or not queue.queued):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and queue.queued and due != _NEVER:
            self._timer_due = due
            self._timer = self._clock.call_later(max(due - now, _TICK), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        now = self._now()
        if now >= self._check_at:
            self._check_at = _NEVER
            self._fail_waiters(now)
        self._dispatch(now)

    def waits(self, place: Place) -> bool:
        """Whether its 429 is answered by waiting here, for the quota or for everybody's pause.

        Raises :class:`QuotaExhausted` or :class:`RateLimited` for a wait over ``limits.max_quota_wait``.
        """
        now, longest = self._now(), self.limits.max_quota_wait
        if (error := self._refusal(place.company, now)) is not None:
            raise error
        if max(self._quota.delay(), self._gate.requested_until - now) > longest:
            return True
        if place.asked > longest:
            raise RateLimited("call", place.asked, place.company.id)
        return False

    def _refusal(self, company: Company, now: float) -> CodatError | None:
        longest = self.limits.max_quota_wait
        if not self.limits.wait_for_quota:
            if self._quota.delay() > longest:
                return QuotaExhausted(_utc(self._quota.resets_at))
            if (wait := self._gate.requested_until - now) > longest:
                return ApiPaused("everybody", wait, company.id)
        wait = company.requested_until - now
        return RateLimited("company", wait, company.id) if wait > longest else None

    def _fail_waiters(self, now: float) -> None:
        """Fail those that would wait too long, or have waited too long for a place that nobody releases."""
        longest = self.limits.max_place_wait or _NEVER
        for company in tuple(self._queue.queued):
            # Since when no place was released that the company's next request could have had.
            moved_at = company.moved_at
            if company in self._queue.ring:
                moved_at = self._moved_at if self._in_flight >= self._max_in_flight else now
            since = min(now, max(moved_at, company.held_until, self._gate.paused_until))
            for waiter, begun in tuple(company.queue.items()):
                # Each task raises an error of its own, since an error holds its traceback.
                error, due = self._refusal(company, now), max(since, begun) + longest
                if error is None and due > now:
                    self._check_at = min(self._check_at, due)
                    continue
                text = f"no place for {longest:.0f} s, waiting for {self._place_text(company)}"
                self._queue.remove(company, waiter)
                if not waiter.done():
                    waiter.set_exception(error or QueueTimeout(text))

    def _rate_limited(self, place: Place, response: Response, now: float) -> None:
        company, rate, gate = place.company, self._rate, self._gate
        asked = retry_after(response.headers, self._clock.time())
        if asked is not None:
            asked = place.asked = min(asked, DAY)
        self._quota.note(response.headers, asked)
        if self._quota.delay() > 0.0:
            # This explains the 429, which is then no evidence of another limit.
            self._quota_spent(now)
            return
        held_until, hold = company.held_until, 2.0 * self._random.uniform(0.8, 1.2)
        evidence = company.rate_limited(now, place.sent_at, asked or 0.0, self._succeeded_at, hold=hold)
        if company.held_until > max(held_until, now):
            seconds = company.held_until - now
            text = f"rate limited (429): holding company {company.id} for {seconds:.1f} s"
            self._report(GovernorEvent("held", text, company.id, seconds))
        if evidence < 0.0 and not rate.probing:
            # While the rate probes for the limit it may as well be everybody's.
            rate.retract()
        elif evidence > 0.0 and place.epoch == rate.epoch:
            before = rate.rate
            pause = rate.rate_limited(now, asked, probe=gate.tries > 0)
            if rate.rate < before:
                self._report(GovernorEvent("slowed", f"rate limited (429): now at {self._pace_text()}"))
            if pause is not None:
                # A platform that asks for hours must not stop the others, so ask four companies first.
                believed = pause <= self.limits.max_quota_wait or gate.tries >= 4
                gate.pause(now, pause if believed else 0.0, rate.rate)
                seconds = gate.paused_until - now
                text = f"pausing all requests for {seconds:.1f} s, {self._waiting} queued"
                self._report(GovernorEvent("paused", f"rate limited (429): {text}", None, seconds))
        if self._refusal(company, now) is not None:
            self._fail_waiters(now)

    def _quota_spent(self, now: float) -> None:
        if abs(self._quota.resets_at - self._reported_reset) > 60.0:
            self._reported_reset = self._quota.resets_at
            text = f"waiting for {self._quota_text()}; {self._waiting} queued"
            self._report(GovernorEvent("quota", text, None, self._quota.delay()))
        self._fail_waiters(now)

    def _report(self, event: GovernorEvent) -> None:
        _log.log(logging.INFO if event.kind == "held" else logging.WARNING, event.text)
        for listener in tuple(self.listeners):
            listener(event)

    @property
    def _in_flight(self) -> int:
        return self._unanswered + self._streams

    @property
    def _waiting(self) -> int:
        return sum(len(company.queue) for company in self._queue.queued)

    def state(self) -> GovernorState:
        """Return a snapshot of the limits and what is in flight."""
        now, unix = self._now(), self._clock.time()
        left = self._quota.left if unix < self._quota.resets_at else None
        paused = self._gate.paused_until - now
        return GovernorState(
            in_flight=self._in_flight,
            waiting=self._waiting,
            waiting_for=self._waiting_for(now),
            per_minute=None if self._rate.rate == _NEVER else round(60.0 * self._rate.rate, 6),
            pace=self._pace_text(),
            paused_until=_utc(unix + paused) if paused > 0.0 else None,
            remaining=None if left is None else max(0, left - self._unanswered),
            limit=self._quota.limit,
            resets_at=None if left is None else _utc(self._quota.resets_at),
        )

    def _pace_text(self) -> str:
        rate, limit = self._rate, self.limits.per_minute
        if rate.rate == _NEVER:
            return "no pace: there is no limit per minute"
        text = f"the pace of {60.0 * rate.rate:.0f} requests a minute"
        if rate.peak is None or rate.rate == rate.limit:
            return text
        of = "" if limit is None else f" of {limit}"
        return f"{text}{of}: reduced after 429s, the server accepted {60.0 * rate.peak:.0f}"

    def _quota_text(self) -> str:
        left, resets_at = self._quota.left, _utc(self._quota.resets_at)
        what = f"may be spent by the requests in flight ({left} left)" if left else "is spent"
        return f"the daily quota, which {what}; it resets at {resets_at:%Y-%m-%d %H:%M} UTC"

    def _place_text(self, company: Company) -> str:
        if company in self._queue.ring:
            return f"a connection: all {self._in_flight} are in use by requests and open downloads"
        ghosts = f", and {len(company.ghosts)} that timed out may still run there" if company.ghosts else ""
        what = f"{company.places} of its requests and downloads are in flight{ghosts}"
        return f"a place of company {company.id}: {what}"

    def _waiting_for(self, now: float) -> str | None:
        queue, paused_for = self._queue, self._gate.paused_until - now
        if paused_for > 0.0:
            return f"the pause for all requests after 429s, {paused_for:.1f} s left"
        if not queue.queued:
            return None
        if self._quota.delay(self._unanswered) > 0.0:
            return self._quota_text()
        held = max(queue.queued, key=lambda each: each.held_until)
        if not queue.ring and held.held_until > now:
            return f"the pause for company {held.id} after 429s, {held.held_until - now:.1f} s left"
        if not queue.ring or self._in_flight >= self._max_in_flight:
            return self._place_text(next(iter(queue.ring), held))
        if self._gate.delay(now, self._unanswered) > 0.0:
            when = "at the start" if self._gate.paused_until == -_NEVER else "after a pause"
            return f"the responses to {self._unanswered} requests: few are sent at once {when}"
        return self._pace_text()
