"""The requests that wait for a place, served in turn by company."""

import random
from collections import OrderedDict
from heapq import heappop, heappush
from itertools import count, islice
from typing import Final

from codat_middleware.company import Company, Waiter

_NEVER: Final = float("inf")
_PRUNED_FROM: Final = 1000
"""Companies; idle ones are forgotten when there are so many, and then each time they double."""
_MIXED: Final = 256


class FairQueue:
    """Keeps the companies, and the ring of those that may send their next request.

    Each company in the ring is served once per turn, and its own requests first come, first
    served. A company that is full leaves the ring until a response, or until a hold or a
    ghost ends. ``limit`` is the requests in flight per company. Times are seconds of a
    monotonic clock.
    """

    def __init__(self, limit: float, rng: random.Random) -> None:
        self._limit = limit
        self._random = rng
        self._prune_at = _PRUNED_FROM
        self._wakes: list[tuple[float, int, Company]] = []
        self._order = count()
        self.companies: dict[str | None, Company] = {}
        self.queued: dict[Company, None] = {}
        """Companies with a request waiting."""
        self.ring: OrderedDict[Company, None] = OrderedDict()
        """Those of them that may send it."""

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(len(company.queue) for company in self.queued)

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

    def may_send(self, company: Company, now: float) -> bool:
        """Whether a new request of the company need not wait for others, or for its own limit."""
        return not (self.ring or company.queue or company.opens_at(now, self._limit) > now)

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
        opens_at = company.opens_at(now, self._limit)
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

        ``mixed`` takes companies at random instead of in turn, urgent ones excepted unless
        for a ``probe``: neighbours often share a platform, and a platform's own 429s would
        look like everybody's.
        """
        company = next(iter(self.ring))
        if probe or (mixed and not company.urgent):
            company = next(islice(self.ring, self._random.randrange(min(len(self.ring), _MIXED)), None))
        company.urgent = False
        del self.ring[company]
        if company.opens_at(now, self._limit) > now:
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
