"""The governor's settings and the snapshot of its state."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

__all__ = ["GovernorState", "Limits"]


class Limits(Struct, frozen=True, kw_only=True):
    """The API's limits; ``None`` switches one off. Source: "Rate limits" in Codat's documentation.

    Raises :class:`ValueError` for a limit below 1 and for a negative ``max_quota_wait``.
    """

    in_flight: int | None = 100
    """Requests in flight at once, in total.

    Not a limit of the API: with no more requests than connections they queue here, in fair
    order, and not in the connection pool, where waiting counts as connecting.
    """
    in_flight_per_company: int | None = 10
    """Requests in flight at once for one company."""
    per_minute: int | None = 1000
    """Requests from one IP address in any 60 seconds. Divide it between processes on one address."""
    wait_for_quota: bool = False
    """Whether to wait for the reset, possibly for hours, if the daily quota is spent, instead of raising."""
    max_quota_wait: float = 60.0
    """Seconds until the quota's reset that are always waited."""

    def __post_init__(self) -> None:
        for name in ("in_flight", "in_flight_per_company", "per_minute"):
            limit: int | None = getattr(self, name)
            if limit is not None and limit < 1:
                raise ValueError(f"{name} is {limit}; it must be at least 1, or None for no limit")
        # Written so that NaN is rejected too.
        if not self.max_quota_wait >= 0.0:
            raise ValueError(f"max_quota_wait is {self.max_quota_wait}; it must not be negative")


class GovernorState(Struct, frozen=True, kw_only=True):
    """A snapshot of the governor."""

    in_flight: int
    """Requests that hold a place."""
    waiting: int
    """Tasks waiting for a place."""
    remaining: int | None
    """What is left of the daily quota, requests in flight deducted; ``None`` while unknown."""
    limit: int | None
    """The daily quota; ``None`` while unknown."""
    resets_at: datetime | None
    """When the quota resets; ``None`` while unknown."""
    closed_until: datetime | None
    """Until when nothing is sent, after a 429; ``None`` if not paused."""
    in_flight_per_company: int | None
    """The limit in force: the configured one, or less after 429s."""
    per_minute: float | None
    """The pace in force: the configured one, or less after 429s."""
    companies: Mapping[str, int]
    """Requests in flight by company, for companies that have any."""
