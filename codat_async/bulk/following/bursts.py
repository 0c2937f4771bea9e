"""Gathers the events of a company that come within a few seconds, so that it is pulled once."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from codat_async.bulk.following.needs import Need
from codat_async.webhooks import Event

__all__ = ["Burst", "Bursts", "Delivery"]


class Delivery(Struct, frozen=True, kw_only=True):
    """An event, and how to acknowledge it to where it came from."""

    event: Event
    acknowledge: Callable[[], Awaitable[object]]
    """Called once, when what the event asks for is committed to disk."""


class Burst(Struct):
    """The events of one company that are answered by one pull of it."""

    company: str
    due: float
    """When it is pulled."""
    types: frozenset[str] = frozenset()
    look: bool = False
    deleted: bool = False
    deliveries: list[Delivery] = []
    attempts: int = 0
    """How many pulls of it have failed."""

    def add(self, need: Need) -> None:
        """Add what an event asks for."""
        self.types |= need.types
        self.look |= need.look
        self.deleted |= need.deleted


class Bursts:
    """The companies that are to be pulled."""

    def __init__(self, gather: float) -> None:
        self._gather = gather
        self._bursts: dict[str, Burst] = {}

    def __len__(self) -> int:
        """The number of companies."""
        return len(self._bursts)

    @property
    def deliveries(self) -> int:
        """The number of events."""
        return sum(len(each.deliveries) for each in self._bursts.values())

    @property
    def failing(self) -> int:
        """The number of companies whose last pull failed."""
        return sum(each.attempts > 0 for each in self._bursts.values())

    def add(self, company: str, need: Need, delivery: Delivery, now: float) -> None:
        """Add an event; the first one of a company says when it is pulled."""
        due = now + self._gather
        burst = self._bursts.setdefault(company, Burst(company, due))
        burst.due = min(burst.due, due)
        burst.add(need)
        burst.deliveries.append(delivery)

    def put_back(self, burst: Burst, due: float) -> None:
        """Have a burst pulled again, together with what has come meanwhile."""
        later = self._bursts.get(burst.company)
        if later is not None:
            burst.add(Need(later.types, later.look, later.deleted))
            burst.deliveries += later.deliveries
            due = min(due, later.due)
        burst.due = due
        self._bursts[burst.company] = burst

    def take(self, now: float, most: int, *, ended: bool = False) -> list[Burst]:
        """The bursts that are due, the earliest first; if no more events come, those that did not fail."""
        due = [each for each in self._bursts.values() if each.due <= now or (ended and not each.attempts)]
        due = sorted(due, key=lambda each: each.due)[:most]
        for each in due:
            del self._bursts[each.company]
        return due

    def next_due(self) -> float | None:
        """When the next burst is due."""
        return min((each.due for each in self._bursts.values()), default=None)
