"""The progress of a pull: counts so far, speed, what requests wait for, and events as they happen."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from codat_async.bulk.store.counts import Counts, sum_of
from codat_async.bulk.store.state import UnitState
from codat_async.bulk.store.timeline import PauseKind, Point, Timeline
from codat_async.bulk.units.unit import Unit
from codat_middleware.governor import Governor
from codat_middleware.limits import GovernorEvent

__all__ = ["Event", "Monitor", "Progress", "merge_progress"]

_WINDOW: Final = 30.0
"""Seconds over which the speed is measured."""
_TICK: Final = 1.0
"""Least seconds between two looks at the governor for the timeline."""


class Event(Struct, kw_only=True):
    """Something that happened, worth a line in a log."""

    event: str
    """Its name, such as ``run_started`` or ``unit_failed``."""
    at: str
    """When it happened, in UTC."""
    details: Mapping[str, Any]

    @classmethod
    def now(cls, event: str, details: Mapping[str, Any]) -> Self:
        """An event that happens now."""
        return cls(event=event, at=datetime.now(UTC).isoformat(timespec="milliseconds"), details=details)


class Progress(Struct, kw_only=True):
    """A snapshot of a pull in progress."""

    phase: str
    types: Mapping[str, Counts]
    total: Counts
    records_per_second: float
    requests_per_second: float
    in_flight: int
    waiting: int
    waiting_for: str | None
    """Why requests wait, in a few words."""
    quota_left: int | None
    """Requests left of the day's quota; None if the API does not report it."""
    seconds_left: float | None
    """An estimate; None while there is nothing to base it on."""
    elapsed: float
    """Seconds since the pull began."""

    @classmethod
    def of(cls, types: Mapping[str, Counts]) -> Self:
        """That of a pull which has ended."""
        return cls(
            phase="done",
            types=types,
            total=sum_of(types.values()),
            records_per_second=0.0,
            requests_per_second=0.0,
            in_flight=0,
            waiting=0,
            waiting_for=None,
            quota_left=None,
            seconds_left=None,
            elapsed=0.0,
        )


def merge_progress(parts: Iterable[Progress], elapsed: float, ended: float) -> Progress:
    """The progress of several pulls as of one, of which a part, 0 to 1, has ended after so many seconds."""
    found = list(parts)
    names = dict.fromkeys(name for each in found for name in each.types)
    merged = Progress.of(
        {name: sum_of(each.types[name] for each in found if name in each.types) for name in names}
    )
    for each in found:
        merged.records_per_second += each.records_per_second
        merged.requests_per_second += each.requests_per_second
        merged.in_flight += each.in_flight
        merged.waiting += each.waiting
        merged.waiting_for = merged.waiting_for or each.waiting_for
    left = [each.quota_left for each in found if each.quota_left is not None]
    merged.quota_left = min(left, default=None)
    phases = {each.phase for each in found} - {"done"}
    merged.phase = next(
        (name for name in ("pulling", "sealing") if name in phases), min(phases, default="done")
    )
    merged.elapsed = elapsed
    merged.seconds_left = elapsed / ended - elapsed if ended else None
    return merged


class Monitor:
    """Keeps the counts of a pull, and emits its events."""

    def __init__(self, governor: Governor, on_event: Callable[[Event], None] | None = None) -> None:
        self._governor = governor
        self._on_event = on_event
        self.phase = "finding companies"
        self.types: dict[str, Counts] = {}
        self._begun = time.monotonic()
        self._samples: deque[tuple[float, int, int]] = deque([(self._begun, 0, 0)])
        self._before = (0, 0)
        self._due = float("inf")
        self._timeline_zero = self._begun
        self.timeline = Timeline()
        """The pace and the pauses so far; see :meth:`begin`."""

    @property
    def total(self) -> Counts:
        """The sums over all types."""
        return sum_of(self.types.values())

    def emit(self, event: str, **details: Any) -> None:
        """Call the listener, if there is one, with an event."""
        if self._on_event is not None:
            self._on_event(Event.now(event, details))

    def start_from(self, types: Mapping[str, Counts]) -> None:
        """Take over the sums of a run, as they are before its units are read."""
        self.types = {name: replace(counts) for name, counts in types.items()}

    def add(self, unit: Unit, state: UnitState) -> None:
        """Add a unit to the counts."""
        self._counts(unit).add(state)
        self._look_if_due()

    def remove(self, unit: Unit, state: UnitState) -> None:
        """Remove a unit from the counts, before its state changes."""
        self._counts(unit).add(state, -1)

    def sent(self, unit: Unit, waited: float) -> None:
        """Add a request of a unit, which its state has already, and the seconds that it waited."""
        counts = self._counts(unit)
        counts.requests += 1
        counts.waited += waited
        self._look_if_due()

    def count(self, type_name: str, field: str, number: int) -> None:
        """Add to one of the counts of a type."""
        counts = self.types.setdefault(type_name, Counts())
        setattr(counts, field, getattr(counts, field) + number)
        self._look_if_due()

    def begin(self, earlier: Timeline | None = None) -> None:
        """Measure the speed and keep the timeline from now on; ``earlier`` is that of a resumed run."""
        self.phase = "pulling"
        self.timeline = earlier or Timeline()
        # The clock of the machine may have been set back meanwhile.
        last = self.timeline.points[-1].at if self.timeline.points else 0.0
        offset = max(last, (datetime.now(UTC) - self.timeline.began).total_seconds())
        self._timeline_zero = time.monotonic() - offset
        self.timeline.resume(offset)
        self._governor.listeners.append(self._hear)
        self._look(last=True)
        total = self.total
        self._before = (total.rows, total.requests)
        self._samples = deque([(time.monotonic(), *self._before)])

    def end(self) -> Timeline:
        """Complete the timeline and return it."""
        if self._due != float("inf"):
            self._governor.listeners.remove(self._hear)
            self._look(last=True)
            self.timeline.end(time.monotonic() - self._timeline_zero)
            self._due = float("inf")
        return self.timeline

    def _look_if_due(self) -> None:
        if time.monotonic() >= self._due:
            self._look()

    def _look(self, *, last: bool = False) -> None:
        """Add to the timeline what is to be seen now."""
        now = time.monotonic()
        self._due = now + _TICK
        at, state = now - self._timeline_zero, self._governor.state()
        timeline = self.timeline
        timeline.quota = state.limit or timeline.quota
        if last or timeline.is_due(at):
            total = self.total
            point = Point(round(at, 3), total.requests, total.rows, state.per_minute, state.remaining)
            timeline.add(point)

    def _hear(self, event: GovernorEvent) -> None:
        """Add a pause to the timeline, or a pace that was reduced."""
        at = time.monotonic() - self._timeline_zero
        if event.kind == "slowed":
            self._look()
            return
        kind: PauseKind = "quota" if event.kind == "quota" else "rate_limited"
        if self.timeline.pause(kind, at, event.seconds or 0.0, event.company_id):
            self.emit("paused", kind=kind, company=event.company_id, seconds=event.seconds, reason=event.text)

    def _counts(self, unit: Unit) -> Counts:
        return self.types.setdefault(unit.type, Counts())

    def progress(self) -> Progress:
        """A snapshot of the counts and the speed."""
        now, total = time.monotonic(), self.total
        samples = self._samples
        if now - samples[-1][0] >= 0.5:
            samples.append((now, total.rows, total.requests))
        while len(samples) > 2 and now - samples[0][0] > _WINDOW:
            samples.popleft()
        then, rows, requests = samples[0]
        span = max(now - then, 1e-3)
        state = self._governor.state()
        speed = max(0, total.requests - requests) / span
        return Progress(
            phase=self.phase,
            types=self.types,
            total=total,
            records_per_second=max(0, total.rows - rows) / span,
            requests_per_second=speed,
            in_flight=state.in_flight,
            waiting=state.waiting,
            waiting_for=state.waiting_for,
            quota_left=state.remaining,
            seconds_left=self._left(speed),
            elapsed=now - self._begun,
        )

    def _left(self, speed: float) -> float | None:
        """Seconds left: the requests that the remaining rows and units should take, at the current speed."""
        total = self.total
        if speed <= 0.0 or not total.ended:
            return None
        open_units = total.units - total.ended
        rows = max(0, total.expected - total.rows - total.overlap - total.repeats)
        per_row = total.pages / total.rows if total.rows else 0.0
        per_unit = total.requests / max(1, total.ended)
        # About as many units may be in progress: their rows are in ``expected``, so they take little more.
        waiting = max(0, open_units - 50)
        return (rows * per_row + waiting * per_unit + min(open_units, 50)) / speed
