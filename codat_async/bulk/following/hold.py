"""Closes the way to the API while the day's quota is spent, as events say."""

from datetime import UTC, datetime

from codat_async.bulk.following.bursts import Delivery
from codat_async.bulk.following.needs import closed_until, generated
from codat_async.webhooks import RateLimitReached, RateLimitReset

__all__ = ["Hold"]


class Hold:
    """Until when nothing is pulled.

    The event that closes it is acknowledged when it opens again, so that a process that starts meanwhile
    is closed too. Events come in any order: one that was generated before the latest reset closes nothing.
    """

    def __init__(self) -> None:
        self.until: datetime | None = None
        """None while it is open."""
        self._reset_at = datetime.min.replace(tzinfo=UTC)
        self._reached_at = datetime.min.replace(tzinfo=UTC)
        self._held: list[Delivery] = []

    def reached(self, event: RateLimitReached, delivery: Delivery, now: datetime) -> list[Delivery]:
        """Close it until the expiry of the quota; returns the events that are done with."""
        until, at = closed_until(event, now), generated(event, now)
        if at <= self._reset_at or until <= now:
            return [delivery]
        self._held.append(delivery)
        self._reached_at = max(self._reached_at, at)
        self.close(until)
        return []

    def close(self, until: datetime) -> None:
        """Close it until a moment, unless it is closed for longer."""
        self.until = until if self.until is None else max(self.until, until)

    def reset(self, event: RateLimitReset, delivery: Delivery, now: datetime) -> list[Delivery]:
        """Open it; returns the events that are done with."""
        at = generated(event, now)
        self._reset_at = max(self._reset_at, at)
        return [delivery] if at < self._reached_at else [delivery, *self._open()]

    def expired(self, now: datetime) -> list[Delivery]:
        """Open it if it is time; returns the events that are done with."""
        return self._open() if self.until is not None and self.until <= now else []

    def _open(self) -> list[Delivery]:
        self.until = None
        held, self._held = self._held, []
        return held
