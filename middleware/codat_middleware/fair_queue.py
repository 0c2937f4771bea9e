"""The companies: their places, 429s and waiting requests. All times are seconds of a monotonic clock."""

import asyncio
import random
from collections import OrderedDict
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, islice
from typing import Final, TypeAlias

from msgspec import Struct

_NEVER: Final = float("inf")
_LONGEST_HOLD: Final = 60.0
_PRUNED_FROM: Final = 1000  # companies; idle ones are then forgotten, and again each time they double


class Place(Struct, eq=False):
    """A request's permission to be in flight."""

    company: "Company"
    epoch: int  # number of verdicts on the rate before the request was sent
    sent_at: float
    asked: float = 0.0  # seconds, of the Retry-After of its 429
    ghost_until: float = 0.0  # how long the place stays taken after its release


Waiter: TypeAlias = "asyncio.Future[Place]"


@dataclass(eq=False, slots=True)
class Company:
    """Counts a company's requests, and holds it back after repeated 429s.

    From the second in a row, sent after the previous one arrived, it is held for its ``Retry-After``, at
    least for 2, 4… up to 60 seconds (± 20 %), and then sends one request at a time until one succeeds.
    """

    id: str | None  # None for requests without a company; they share no limit and are never held
    unanswered: int = 0  # requests sent that have no response
    streams: int = 0  # responses whose stream is open
    ghosts: tuple[float, ...] = ()  # ends of places whose requests timed out here
    queue: OrderedDict[Waiter, float] = field(default_factory=OrderedDict)  # who waits, and since when
    urgent: bool = False  # whether its next request should not wait for the company's turn
    in_a_row: int = 0  # consecutive 429s
    rate_limited_at: float = -_NEVER  # the last 429 in a row
    held_until: float = -_NEVER
    requested_until: float = -_NEVER  # the part of the hold that the server asked for
    moved_at: float = -_NEVER  # when a place was last granted or released
    wakes_at: float = _NEVER  # when the queue is looked at again without a response

    @property
    def places(self) -> int:
        """Requests in flight, open streams included."""
        return self.unanswered + self.streams

    def opens_at(self, now: float, limit: float) -> float:
        """When another request may be sent: ``now``, later, or infinity for not without a response."""
        if self.id is None:
            return now
        if self.in_a_row > 1:
            if now < self.held_until:
                return self.held_until
            if self.unanswered:
                return _NEVER
        if self.unanswered + self.streams + len(self.ghosts) < limit:
            return now
        self.ghosts = tuple(ends for ends in self.ghosts if ends > now)
        return now if self.places + len(self.ghosts) < limit else min(self.ghosts, default=_NEVER)

    def idle(self, now: float) -> bool:
        """Whether nothing that matters is lost with this object."""
        suspect_until = max(self.held_until, self.rate_limited_at) + _LONGEST_HOLD if self.in_a_row else now
        return not (self.places or self.queue) and max(suspect_until, *self.ghosts, now) <= now

    def rate_limited(self, now: float, sent_at: float, asked: float, success: float, hold: float) -> float:
        """Record a 429; return how much it is evidence of a limit for everybody: 1, 0 or -1.

        The second in a row while other companies succeed is a limit of its own, as the first was then.
        ``hold``: seconds of the first; ``asked``: of ``Retry-After``; ``success``: the last of all was sent.
        """
        others_succeed = self.id is not None and success > self.rate_limited_at
        if self.in_a_row and sent_at < self.rate_limited_at:
            return 0.0 if others_succeed else 1.0
        self.in_a_row += 1
        self.rate_limited_at = now
        if self.in_a_row == 1 or self.id is None:
            return 1.0
        own = hold * min(2.0 ** min(self.in_a_row - 2, 60), _LONGEST_HOLD / 2)
        self.held_until, self.requested_until = now + max(own, asked), now + asked
        if not others_succeed:
            return 1.0
        return -1.0 if self.in_a_row == 2 else 0.0

    def succeeded(self) -> None:
        """Record a success, which ends the hold."""
        self.in_a_row = 0
        self.held_until = self.requested_until = -_NEVER


class FairQueue:
    """Keeps the companies, and the ring of those that may send their next request.

    Each company in the ring is served once per turn, its own requests first come, first served. One that
    has ``limit`` requests in flight leaves the ring until a response, or until a hold or a ghost ends.
    """

    def __init__(self, limit: float, rng: random.Random) -> None:
        self.limit = limit
        self._random = rng
        self._prune_at = _PRUNED_FROM
        self._wakes: list[tuple[float, int, Company]] = []
        self._order = count()
        self.companies: dict[str | None, Company] = {}
        self.queued: dict[Company, None] = {}  # companies with a request waiting
        self.ring: OrderedDict[Company, None] = OrderedDict()  # those of them that may send it

    @property
    def wakes_at(self) -> float:
        """When a company may enter the ring without a response; infinity for never."""
        return self._wakes[0][0] if self._wakes else _NEVER

    def company(self, company_id: str | None, now: float) -> Company:
        """The company of that id, created if it is not known."""
        companies = self.companies
        company = companies.get(company_id)
        if company is None:
            if len(companies) >= self._prune_at:
                for each in [each for each in companies.values() if each.idle(now)]:
                    del companies[each.id]
                self._prune_at = max(_PRUNED_FROM, 2 * len(companies))
            company = companies[company_id] = Company(company_id)
        return company

    def add(self, company: Company, waiter: Waiter, now: float, *, first: bool, urgent: bool) -> None:
        """Queue a request: ``first`` in its company, ``urgent`` ahead of other companies too."""
        company.queue[waiter] = now
        if first:
            company.queue.move_to_end(waiter, last=False)
        self.queued[company] = None
        self.line_up(company, now)
        if urgent and company in self.ring:
            company.urgent = True
            self.ring.move_to_end(company, last=False)

    def line_up(self, company: Company, now: float) -> None:
        """Put a company in the ring if a request of it waits and may be sent."""
        if not company.queue or company in self.ring:
            return
        opens_at = company.opens_at(now, self.limit)
        if opens_at <= now:
            self.ring[company] = None
        elif opens_at < company.wakes_at:
            company.wakes_at = opens_at
            heappush(self._wakes, (opens_at, next(self._order), company))

    def wake(self, now: float) -> None:
        """Line up the companies whose time has come."""
        while self._wakes and self._wakes[0][0] <= now:
            company = heappop(self._wakes)[2]
            company.wakes_at = _NEVER
            self.line_up(company, now)

    def take(self, now: float, *, mixed: bool, probe: bool) -> tuple[Company, Waiter] | None:
        """Remove and return the next request; ``None`` if its company may no longer send it.

        ``mixed`` takes one of the next 256 at random instead of the first, urgent ones excepted unless for a
        ``probe``: neighbours often share a platform, whose own 429s would look like everybody's.
        """
        company = next(iter(self.ring))
        if probe or (mixed and not company.urgent):
            company = next(islice(self.ring, self._random.randrange(min(len(self.ring), 256)), None))
        company.urgent = False
        del self.ring[company]
        if company.opens_at(now, self.limit) > now:
            self.line_up(company, now)
            return None
        waiter = next(iter(company.queue))
        self.remove(company, waiter)
        return company, waiter

    def remove(self, company: Company, waiter: Waiter) -> None:
        """Remove a request, if it is still queued."""
        company.queue.pop(waiter, None)
        if not company.queue:
            self.queued.pop(company, None)
            self.ring.pop(company, None)
