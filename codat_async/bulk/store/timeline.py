"""The course of a run over time, kept small however long the run takes: pace, pauses and the quota."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field
from msgspec.structs import replace

__all__ = ["Pause", "PauseKind", "PauseSum", "Point", "Timeline"]

_POINTS: Final = 500
_PAUSES: Final = 100
_FIRST_INTERVAL: Final = 1.0

PauseKind: TypeAlias = Literal["rate_limited", "quota", "stopped"]
"""After 429s, until the quota's reset, or between two processes that worked on the run."""


class Point(Struct, frozen=True, array_like=True):
    """The sums at one moment; in JSON an array in this order."""

    at: float
    """Seconds since :attr:`Timeline.began`."""
    requests: int
    rows: int
    per_minute: float | None
    """The pace in force, in requests a minute; None for none."""
    quota_left: int | None
    """Requests left of the day's quota; None if it is unknown."""


class Pause(Struct, frozen=True, kw_only=True):
    """A time in which requests waited."""

    kind: PauseKind
    company: str | None = None
    """The company that waited; None if all did."""
    at: float
    """When it began, in seconds since :attr:`Timeline.began`."""
    seconds: float

    @property
    def until(self) -> float:
        """When it ended, in the same seconds."""
        return self.at + self.seconds


class PauseSum(Struct):
    """All pauses of one kind, those that are not listed included."""

    count: int = 0
    seconds: float = 0.0


class Timeline(Struct, kw_only=True):
    """At most 500 points and 100 pauses of a run.

    With each 501st point every other one is dropped and the interval doubles; sums lose nothing by
    that. Of the pauses the longest are kept, in order of time.
    """

    began: Annotated[datetime, Meta(tz=True)] = field(default_factory=lambda: datetime.now(UTC))
    """When the run's first process began to send requests, in UTC; all times count from here."""
    interval: float = _FIRST_INTERVAL
    """Least seconds between two points."""
    points: list[Point] = []
    pauses: list[Pause] = []
    sums: dict[str, PauseSum] = {}
    """The pauses by kind."""
    quota: int | None = None
    """The day's quota, as far as known."""

    def is_due(self, at: float) -> bool:
        """Whether a point at this time is far enough from the last one."""
        return not self.points or at >= self.points[-1].at + self.interval

    def add(self, point: Point) -> None:
        """Add a point later than all others."""
        self.points.append(point)
        if len(self.points) > _POINTS:
            # The first and the last one stay.
            self.points = [*self.points[:-1:2], self.points[-1]]
            self.interval *= 2

    def pause(self, kind: PauseKind, at: float, seconds: float, company: str | None = None) -> bool:
        """Add a pause, or extend the one it overlaps with; return whether it is a new one."""
        total = self.sums.setdefault(kind, PauseSum())
        for index, earlier in enumerate(self.pauses):
            if (earlier.kind, earlier.company) == (kind, company) and at <= earlier.until:
                more = max(0.0, at + seconds - earlier.until)
                total.seconds = round(total.seconds + more, 3)
                self.pauses[index] = replace(earlier, seconds=round(earlier.seconds + more, 3))
                return False
        total.count += 1
        total.seconds = round(total.seconds + seconds, 3)
        self.pauses.append(Pause(kind=kind, company=company, at=round(at, 3), seconds=round(seconds, 3)))
        if len(self.pauses) > _PAUSES:
            self.pauses.remove(min(self.pauses, key=lambda each: each.seconds))
        return True

    def end(self, at: float) -> None:
        """Cut off the pauses that would have lasted longer than the run."""
        for index, each in enumerate(self.pauses):
            if each.until > at:
                kept = round(max(0.0, at - each.at), 3)
                total = self.sums[each.kind]
                total.seconds = round(total.seconds - (each.seconds - kept), 3)
                self.pauses[index] = replace(each, seconds=kept)

    def resume(self, at: float) -> None:
        """Continue at a later time, in another process: nothing was sent in between."""
        if self.points:
            last = self.points[-1]
            self.pause("stopped", last.at, at - last.at)
            # The sums did not grow meanwhile.
            self.add(replace(last, at=at))
