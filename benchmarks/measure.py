"""What a benchmark is made of: rows of a table, the sides compared in each, and the figures they give."""

import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks import machine

Sample: TypeAlias = dict[str, float]
"""The figures of one round, by name."""

Round: TypeAlias = Callable[[], Awaitable[Sample]]
"""Does the work once."""

Side: TypeAlias = Callable[["Setting"], AbstractAsyncContextManager[Round]]
"""One of those compared: prepares its work, and clears up after the last round."""

OURS, SDK, FLOOR, UVLOOP = "ours", "sdk", "floor", "ours on uvloop"


@dataclass(frozen=True)
class Setting:
    """What a side is told."""

    server: str
    """The server's address."""
    short: bool
    """Whether the work should be cut to the least that shows that it can be done."""

    def base_url(self, *, records: int = 0, latency_ms: int = 0) -> str:
        """Where lists hold so many records and answers take so long."""
        return f"{self.server}/{records}/{latency_ms}"


@dataclass(frozen=True)
class Measure:
    """A figure that a row shows."""

    name: str
    unit: str
    more_is_better: bool = False


@dataclass(frozen=True)
class Reach:
    """What a row is meant to come to: a ratio to another side, or ours alone where there is none."""

    measure: str
    bound: float
    to: str | None = None
    numerator: str = OURS
    shortfall: str = ""
    """What profiles gave as the reason where it falls short."""


@dataclass(frozen=True)
class Row:
    """A line of the table: the same work on every side."""

    case: str
    title: str
    sides: Mapping[str, Side]
    measures: tuple[Measure, ...]
    reach: tuple[Reach, ...] = ()
    rounds: int = 5
    warm_up: bool = True
    """Whether a round that is not counted goes before."""
    needs_server: bool = False
    point: tuple[str, int] | None = None
    """Where it stands in a growth plot: what grows, and how far it has."""
    note: str = ""
    """What a reader has to know, such as why a side is missing."""

    @property
    def key(self) -> str:
        """By which a worker finds its row."""
        return f"{self.case}/{self.title}"


PER_SECOND = "per second"
CPU = "CPU each"
PEAK = "peak memory"

THROUGHPUT = (Measure(PER_SECOND, "/s", more_is_better=True), Measure(CPU, "µs"))


async def watched(units: int, work: Awaitable[Any]) -> Sample:
    """As :func:`timed`, with how much more memory than before the process held at the most."""
    gc.collect()
    machine.reset_peak_memory()
    before = machine.memory_mb()
    sample = await timed(units, work)
    return {**sample, PEAK: machine.peak_memory_mb() - before}


async def timed(units: int, work: Awaitable[Any]) -> Sample:
    """How many units a second the work did, and the processor time that each took."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {PER_SECOND: units / wall, CPU: cpu / units * 1e6}
