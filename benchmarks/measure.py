"""What a benchmark consists of: rows of a table, the sides compared in each, and their figures."""

import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks import machine

Sample: TypeAlias = dict[str, float]
"""The figures of one round, by the name of the measure."""

Round: TypeAlias = Callable[[], Awaitable[Sample]]
"""Does the work once and returns its figures."""

Side: TypeAlias = Callable[["Setting"], AbstractAsyncContextManager[Round]]
"""One of the clients compared: prepares its work, and cleans up after the last round."""

OURS, SDK, FLOOR, UVLOOP = "ours", "sdk", "floor", "ours on uvloop"


@dataclass(frozen=True)
class Setting:
    """The settings of a side."""

    server: str
    """The server's address."""
    short: bool
    """Whether to do only enough work to show that it runs."""

    def base_url(self, *, records: int = 0, latency_ms: int = 0) -> str:
        """Return the base URL under which lists have so many records and responses so much latency."""
        return f"{self.server}/{records}/{latency_ms}"


@dataclass(frozen=True)
class Measure:
    """A figure that a row shows."""

    name: str
    unit: str
    more_is_better: bool = False


@dataclass(frozen=True)
class Goal:
    """A bound for a measure: as a ratio to another side, or absolute if ``to`` is None."""

    measure: str
    bound: float
    to: str | None = None
    numerator: str = OURS
    shortfall: str = ""
    """The reason for missing it, as found by profiling."""


@dataclass(frozen=True)
class Row:
    """A row of the table: the same work on every side."""

    case: str
    title: str
    sides: Mapping[str, Side]
    measures: tuple[Measure, ...]
    goals: tuple[Goal, ...] = ()
    rounds: int = 5
    """At the least: if the figures still differ there are more, within the time of the case."""
    processes: int = 1
    """How many processes of each side share the rounds, if they differ from one process to the next."""
    warm_up: bool = True
    """Whether each process runs one uncounted round first."""
    needs_server: bool = False
    server: tuple[str, ...] = ("benchmarks.server",)
    """The module that serves it, if it needs a server, and its arguments; it prints its port."""
    environment: str | None = None
    """The environment that its sides run in; None for the one that runs the benchmarks."""
    point: tuple[str, int] | None = None
    """Its place in a growth plot: what grows, and its size."""
    note: str = ""
    """A remark for the reader, such as why a side is missing."""

    @property
    def key(self) -> str:
        """The key by which a worker finds its row."""
        return f"{self.case}/{self.title}"


STEP_MARK = ": "
"""Between a step and a figure of it in the name of a measure; such measures make a table of their own."""
PER_SECOND = "per second"
CPU = "CPU each"
PEAK = "peak memory"
PROCESS_PEAK = "peak of the process"

THROUGHPUT = (Measure(PER_SECOND, "/s", more_is_better=True), Measure(CPU, "µs"))


async def timed_with_memory(units: int, work: Awaitable[Any]) -> Sample:
    """Like :func:`timed`, and how far the memory rose above its level before the work, in MB."""
    gc.collect()
    machine.reset_peak_memory()
    before = machine.memory_mb()
    sample = await timed(units, work)
    return {**sample, PEAK: machine.peak_memory_mb() - before}


async def timed(units: int, work: Awaitable[Any]) -> Sample:
    """Return the units a second that the work did, and the processor time of each in µs."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {PER_SECOND: units / wall, CPU: cpu / units * 1e6}
