"""The API's rate limits, enforced or only told: in flight per company, per minute and address, per day."""

from collections import defaultdict, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import ceil
from time import time
from typing import Final, Literal

from msgspec import Struct

from codat_async.sandbox.errors import ApiError

__all__ = ["Governor", "Limits", "Place"]

QUOTA_PER_COMPANY: Final = 1000
"""The daily quota is this many requests times the active companies and one more (the API's
documentation on rate limits)."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The limits to enforce; ``None`` leaves one out. The defaults are the API's own."""

    in_flight: int | None = 10
    """Requests at one time for one company."""
    per_minute: int | None = 1000
    """Requests from one address within any :attr:`minute`."""
    minute: float = 60.0
    """Length of that minute in seconds: a shorter one lets a test see it pass."""
    per_day: int | None = None
    """Requests until midnight UTC; unless given, 1,000 × (1 + companies)."""
    daily: bool = True
    """Whether the day's quota is enforced."""
    retry_after: Literal["seconds", "date", "none"] = "seconds"
    """How ``Retry-After`` is written: the API does not document its form."""


class Place(Struct):
    """A place taken in the limits, to be given back."""

    company_id: str | None


class Governor:
    """Counts requests and refuses those past a limit with 429; without limits it only tells the quota."""

    def __init__(
        self, limits: Limits | None, companies: Callable[[], int], clock: Callable[[], float] = time
    ) -> None:
        self.limits = limits
        self._companies = companies
        self._clock = clock
        self._in_flight: dict[str, int] = {}
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._day = -1
        self._used = 0
        self._headers: dict[str, str] = {}
        self._headers_for: tuple[int, int, int] | None = None
        self.most_in_flight = 0
        """The most requests of one company that were ever in flight together."""

    @property
    def quota(self) -> int:
        """The day's quota."""
        if self.limits is not None and self.limits.per_day is not None:
            return self.limits.per_day
        return QUOTA_PER_COMPANY * (1 + self._companies())

    @property
    def used(self) -> int:
        """Requests counted today."""
        return self._used

    @property
    def in_flight(self) -> dict[str, int]:
        """Requests under way, by company."""
        return dict(self._in_flight)

    def headers(self) -> dict[str, str]:
        """The ``X-Rate-Limit-*`` headers of an answer now; while no quota is enforced none is used up."""
        quota = self.quota
        remaining = max(quota - self._used, 0) if self.limits is not None and self.limits.daily else quota
        key = (quota, remaining, self._day)
        if key != self._headers_for:
            self._headers = {
                "X-Rate-Limit-Limit": str(quota),
                "X-Rate-Limit-Remaining": str(remaining),
                "X-Rate-Limit-Reset": f"{self._midnight():%Y-%m-%dT%H:%M:%SZ}",
            }
            self._headers_for = key
        return self._headers

    def enter(self, address: str, company_id: str | None) -> Place:
        """Takes a place for a request, to be given back to :meth:`leave`; raises 429 past a limit."""
        moment = self._clock()
        day = int(moment // 86400)
        if day != self._day:
            self._day = day
            self._used = 0
        limits = self.limits
        if limits is not None:
            self._check(limits, address, company_id, moment)
            if limits.per_minute is not None:
                self._recent[address].append(moment)
        self._used += 1
        if company_id is not None:
            count = self._in_flight.get(company_id, 0) + 1
            self._in_flight[company_id] = count
            self.most_in_flight = max(self.most_in_flight, count)
        return Place(company_id)

    def leave(self, place: Place) -> None:
        """Gives a place back."""
        company_id = place.company_id
        if company_id is None:
            return
        left = self._in_flight[company_id] - 1
        if left:
            self._in_flight[company_id] = left
        else:
            del self._in_flight[company_id]

    def _check(self, limits: Limits, address: str, company_id: str | None, moment: float) -> None:
        if limits.daily and self._used >= self.quota:
            wait = self._midnight().timestamp() - moment
            raise self._refusal(limits, "The daily quota of requests has been used up.", wait, moment)
        if limits.per_minute is not None:
            recent = self._recent[address]
            while recent and recent[0] <= moment - limits.minute:
                recent.popleft()
            if len(recent) >= limits.per_minute:
                wait = recent[0] + limits.minute - moment
                raise self._refusal(limits, "Too many requests within a minute.", wait, moment)
        if (
            limits.in_flight is not None
            and company_id is not None
            and self._in_flight.get(company_id, 0) >= limits.in_flight
        ):
            raise self._refusal(limits, "Too many requests at one time for this company.", 1.0, moment)

    def _refusal(self, limits: Limits, error: str, wait: float, moment: float) -> ApiError:
        return ApiError(429, error, headers=retry_after(limits.retry_after, wait, moment))

    def _midnight(self) -> datetime:
        today = datetime.fromtimestamp(max(self._day, 0) * 86400, UTC)
        return today + timedelta(days=1)


def retry_after(form: Literal["seconds", "date", "none"], wait: float, moment: float) -> dict[str, str]:
    """The ``Retry-After`` header for a wait in seconds, rounded up: coming back then is not too early."""
    if form == "none":
        return {}
    if form == "seconds":
        return {"Retry-After": str(max(ceil(wait), 1))}
    return {"Retry-After": format_datetime(datetime.fromtimestamp(ceil(moment + wait), UTC), usegmt=True)}
