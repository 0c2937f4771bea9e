"""The limits that the governor keeps to, and the reading that it gives of itself."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

__all__ = ["GovernorState", "Limits"]


class Limits(Struct, frozen=True, kw_only=True):
    """What the API allows; ``None`` switches one off. Source: "Rate limits" in Codat's documents.

    Raises :class:`ValueError` for a limit below 1 and for a negative ``max_quota_wait``.
    """

    in_flight: int | None = 100
    """Requests that may be under way at once in all.

    Not a rule of the API's: with no more requests than the transport has connections they
    queue here, in fair order, and not in the pool, where waiting counts as connecting.
    """
    in_flight_per_company: int | None = 10
    """Requests that may be under way at once for one company."""
    per_minute: int | None = 1000
    """Requests from one IP address in any 60 seconds. Give each of several processes its share."""
    wait_for_quota: bool = False
    """Whether to wait, for hours if need be, when the day's quota is spent, instead of raising."""
    max_quota_wait: float = 60.0
    """Seconds until the quota's reset that are waited for in any case."""

    def __post_init__(self) -> None:
        for name in ("in_flight", "in_flight_per_company", "per_minute"):
            limit: int | None = getattr(self, name)
            if limit is not None and limit < 1:
                raise ValueError(f"{name} is {limit}; it must be at least 1, or None for no limit")
        # Put so that it refuses a NaN as well.
        if not self.max_quota_wait >= 0.0:
            raise ValueError(f"max_quota_wait is {self.max_quota_wait}; it must not be negative")


class GovernorState(Struct, frozen=True, kw_only=True):
    """A reading of the governor."""

    in_flight: int
    """Requests that hold a place."""
    waiting: int
    """Tasks that wait for one."""
    remaining: int | None
    """What is left of the day's quota once all under way are counted; ``None`` while unknown."""
    limit: int | None
    """The day's quota; ``None`` while unknown."""
    resets_at: datetime | None
    """When there will be a new quota; ``None`` while unknown."""
    closed_until: datetime | None
    """Until when nothing is sent at all, after a 429."""
    in_flight_per_company: int | None
    """The limit in force: the configured one, or less after refusals."""
    per_minute: float | None
    """The pace in force: the configured one, or less after refusals."""
    companies: Mapping[str, int]
    """Requests in flight by company; only companies that have any."""
