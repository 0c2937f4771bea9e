"""The API's rate limits: in flight per company, per minute and source address, per day."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from time import time
from typing import Final

from msgspec import Struct

from codat_async.sandbox.replies import ApiError

QUOTA_PER_COMPANY: Final = 1000
"""The daily quota is this many requests times the active companies and one more (the API's
documentation on rate limits)."""


class RateLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The limits to enforce; ``None`` leaves one out. The defaults are the API's own."""

    in_flight: int | None = 10
    """Requests at one time for one company."""
    per_minute: int | None = 1000
    """Requests from one source address within any :attr:`minute`."""
    minute: float = 60.0
    """Length of that minute in seconds: a shorter one lets a test see it pass."""
    per_day: int | None = None
    """Requests until midnight UTC; unless given, 1,000 × (1 + companies)."""
    daily: bool = True
    """Whether the day's quota is enforced."""


class RateLimiter:
    """Counts requests and answers 429 to those past a limit; without limits it only announces the quota.

    ``companies`` returns how many there are, which is what the quota depends on. ``on_quota`` is called when
    the day's quota is spent (True), and when it is renewed (False).
    """

    def __init__(
        self,
        limits: RateLimits | None,
        companies: Callable[[], int],
        clock: Callable[[], float] = time,
        on_quota: Callable[[bool], object] = lambda spent: None,
    ) -> None:
        self._limits = limits
        self.used = 0
        """Requests counted today."""
        self.in_flight: dict[str, int] = {}
        """Requests under way, by company."""
        self.most_in_flight = 0
        """The most requests of one company that were ever in flight together."""
        self._companies = companies
        self._on_quota = on_quota
        self._is_spent = False
        self._clock = clock
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._day = -1

    @property
    def limits(self) -> RateLimits | None:
        """The limits to enforce."""
        return self._limits

    @limits.setter
    def limits(self, limits: RateLimits | None) -> None:
        self._limits = limits
        self.look()

    @property
    def quota(self) -> int:
        """The day's quota."""
        if self.limits is not None and self.limits.per_day is not None:
            return self.limits.per_day
        return QUOTA_PER_COMPANY * (1 + self._companies())

    @property
    def remaining(self) -> int:
        """What is left of the quota today; while no quota is enforced none is used up."""
        is_enforced = self.limits is not None and self.limits.daily
        return max(self.quota - self.used, 0) if is_enforced else self.quota

    @property
    def resets_at(self) -> datetime:
        """When the quota is renewed."""
        return datetime.fromtimestamp(max(self._day, 0) * 86400, UTC) + timedelta(days=1)

    @property
    def resets_in(self) -> float:
        """Seconds until the quota is renewed."""
        return self.resets_at.timestamp() - self._clock()

    def headers(self) -> dict[str, str]:
        """The ``X-Rate-Limit-*`` headers of an answer now."""
        return {
            "X-Rate-Limit-Limit": str(self.quota),
            "X-Rate-Limit-Remaining": str(self.remaining),
            "X-Rate-Limit-Reset": f"{self.resets_at:%Y-%m-%dT%H:%M:%SZ}",
        }

    def look(self) -> float:
        """Begin a new day if it is time, and report a quota that was spent or renewed; the time now."""
        moment = self._clock()
        day = int(moment // 86400)
        if day != self._day:
            self._day = day
            self.used = 0
        if (self.remaining == 0) != self._is_spent:
            self._is_spent = not self._is_spent
            self._on_quota(self._is_spent)
        return moment

    @contextmanager
    def place(self, address: str, company_id: str | None) -> Iterator[None]:
        """Holds a place for a request from an address; raises 429 past a limit."""
        self._enter(address, company_id)
        try:
            yield
        finally:
            if company_id is not None:
                self.in_flight[company_id] -= 1
                if not self.in_flight[company_id]:
                    del self.in_flight[company_id]

    def _enter(self, address: str, company_id: str | None) -> None:
        moment = self.look()
        if self.limits is not None:
            self._check(self.limits, address, company_id, moment)
            self._recent[address].append(moment)
        self.used += 1
        self.look()
        if company_id is not None:
            count = self.in_flight.get(company_id, 0) + 1
            self.in_flight[company_id] = count
            self.most_in_flight = max(self.most_in_flight, count)

    def _check(self, limits: RateLimits, address: str, company_id: str | None, moment: float) -> None:
        if limits.daily and self.used >= self.quota:
            raise _rate_limited("The daily quota of requests has been used up.", self.resets_in)
        recent = self._recent[address]
        while recent and recent[0] <= moment - limits.minute:
            recent.popleft()
        if limits.per_minute is not None and len(recent) >= limits.per_minute:
            # If the limit has been lowered since, more than one request has to grow old first.
            wait = recent[-limits.per_minute] + limits.minute - moment
            raise _rate_limited("Too many requests within a minute.", wait)
        if (
            limits.in_flight is not None
            and company_id is not None
            and self.in_flight.get(company_id, 0) >= limits.in_flight
        ):
            raise _rate_limited("Too many requests at one time for this company.", 1.0)


def _rate_limited(error: str, wait: float) -> ApiError:
    """The 429, with the wait in seconds rounded up: a client that keeps to it is not too early."""
    return ApiError(429, error, headers={"Retry-After": str(max(ceil(wait), 1))})
