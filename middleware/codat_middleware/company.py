"""One company's places, queue and 429s; a part of the governor."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from msgspec import Struct

from codat_middleware.errors import CodatError

_NEVER: Final = float("inf")
_LONGEST_HOLD: Final = 60.0


class Place(Struct, eq=False):
    """A request's permission to be in flight."""

    company: "Company"
    epoch: int
    """Number of verdicts on the rate before the request was sent."""
    sent_at: float
    ghost_until: float = 0.0
    """How long the place stays taken after its release."""


Waiter: TypeAlias = "asyncio.Future[Place | CodatError]"


@dataclass(eq=False, slots=True)
class Company:
    """Counts a company's requests, and holds it back after repeated 429s.

    Its first 429 concerns only the call that received it. From the second in a row, sent
    after the previous one arrived, the company is held for its ``Retry-After``, and at least
    for 2, 4… up to 60 seconds (± 20 %), then sends one request at a time until one succeeds.
    All times are seconds of a monotonic clock.
    """

    id: str | None
    """``None`` for requests without a company; they share no limit and are never held."""
    places: int = 0
    """Requests in flight, open streams included."""
    unanswered: int = 0
    ghosts: list[float] = field(default_factory=list)
    """When the places end of requests that timed out here and may still run at the server."""
    queue: OrderedDict[Waiter, float] = field(default_factory=OrderedDict)
    """Who waits, and since when."""
    urgent: bool = False
    """Whether its next request should not wait for the company's turn."""
    in_a_row: int = 0
    """Consecutive 429s."""
    rate_limited_at: float = -_NEVER
    """The last 429 in a row."""
    held_until: float = -_NEVER
    requested_until: float = -_NEVER
    """The part of the hold that the server asked for."""
    moved_at: float = -_NEVER
    """When a place was last granted or released."""
    wakes_at: float = _NEVER
    """When the governor looks at the queue again without a response."""

    def opens_at(self, now: float, limit: float) -> float:
        """When another request may be sent: ``now``, later, or infinity for not without a response."""
        if self.id is None:
            return now
        if self.in_a_row > 1:
            if now < self.held_until:
                return self.held_until
            if self.unanswered:
                return _NEVER
        if self.places + len(self.ghosts) < limit:
            return now
        self.ghosts = [ends for ends in self.ghosts if ends > now]
        return now if self.places + len(self.ghosts) < limit else min(self.ghosts, default=_NEVER)

    def idle(self, now: float) -> bool:
        """Whether nothing that matters is lost with this object."""
        return not (
            self.places
            or self.queue
            or (self.in_a_row and now < max(self.held_until, self.rate_limited_at) + _LONGEST_HOLD)
            or any(ends > now for ends in self.ghosts)
        )

    def rate_limited(
        self, now: float, sent_at: float, retry_after: float, succeeded_at: float, *, hold: float
    ) -> float:
        """Record a 429; return how much it is evidence of a limit for everybody: 1, 0 or -1.

        If it is the second in a row and other companies succeed, the company has a limit of
        its own: then neither this 429 is evidence nor was the first. ``succeeded_at`` is when
        the latest successful request of all was sent; ``hold`` the seconds that a hold lasts
        at first, before it is doubled.
        """
        others_succeed = self.id is not None and succeeded_at > self.rate_limited_at
        if self.in_a_row and sent_at < self.rate_limited_at:
            return 0.0 if others_succeed else 1.0
        self.in_a_row += 1
        self.rate_limited_at = now
        if self.in_a_row == 1:
            return 1.0
        own = hold * min(2.0 ** min(self.in_a_row - 2, 60), _LONGEST_HOLD / 2)
        self.held_until = now + max(own, retry_after)
        self.requested_until = now + retry_after
        if not others_succeed:
            return 1.0
        return -1.0 if self.in_a_row == 2 else 0.0

    def succeeded(self) -> None:
        """Record a success, which ends the hold."""
        self.in_a_row = 0
        self.held_until = self.requested_until = -_NEVER
