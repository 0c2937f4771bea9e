"""The governor's settings, the snapshot of its state, and the events it reports."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from codat_middleware.messages import check_range


class Limits(Struct, frozen=True, kw_only=True):
    """The API's limits; ``None`` switches one off. Source: "Rate limits" in Codat's documentation.

    Raises :class:`ValueError` for a limit below 1, and a duration of 0 or less (but for ``max_quota_wait``).
    """

    in_flight: int | None = None
    """Requests in flight at once; for ``None`` and at most, as many as the client has connections."""
    in_flight_per_company: int | None = 10
    """Requests in flight at once for one company."""
    per_minute: int | None = 1000
    """Requests from one IP address in any minute. Divide it between processes on one address."""
    wait_for_quota: bool = False
    """Whether a spent daily quota, or a pause of the API for all, is waited for instead of raised."""
    max_quota_wait: float = 60.0
    """Seconds until the quota's reset, or of a ``Retry-After``, that are always waited."""
    max_place_wait: float | None = 300.0
    """Seconds without a released place that a waiting call could have had; pace, pauses and quota aside."""

    def __post_init__(self) -> None:
        check_range(self, "in_flight", "in_flight_per_company", "per_minute", least=1)
        check_range(self, "max_quota_wait", least=0)
        check_range(self, "max_place_wait")


class GovernorState(Struct, frozen=True, kw_only=True):
    """A snapshot of the governor."""

    in_flight: int
    """Requests that hold a place."""
    waiting: int
    """Tasks waiting for a place."""
    waiting_for: str | None
    """What they wait for, whose it is and how long it lasts, in plain words; ``None`` for nothing."""
    per_minute: float | None
    """The pace in force, in requests per minute; ``None`` for none."""
    pace: str
    """The pace and its reason, in plain words."""
    paused_until: datetime | None
    """Until when no request is sent, after 429s; ``None`` if not paused."""
    remaining: int | None
    """What is left of the daily quota after the requests in flight; ``None`` while unknown."""
    limit: int | None
    """The daily quota; ``None`` while unknown."""
    resets_at: datetime | None
    """When the quota resets; ``None`` while unknown."""


class GovernorEvent(Struct, frozen=True):
    """A change in what the governor lets through; passed to its listeners."""

    kind: Literal["held", "paused", "quota", "slowed"]
    """A company is held, all requests pause, the quota is spent, the pace was reduced."""
    text: str
    """The event in plain words, as it is logged."""
    company_id: str | None = None
    """The company it concerns; ``None`` for everybody."""
    seconds: float | None = None
    """How long it lasts, if that is known."""
