"""A fleet of companies with ten small lists each, night after night, from a server in memory.

A first night; a quiet one, on which the data status of each company says that nothing has changed;
one on which 5 % of the lists have a new record; conversion, status and plan; then quiet nights up to
the fortieth, written to the checkpoint as a pull writes them. Each step is a process of its own, and
its CPU is without the imports.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Final

from benchmarks.fleet import Fleet, fleet
from benchmarks.fleet_server import TYPES
from benchmarks.measure import OURS, Goal, Measure, Round, Row, Sample, Setting, Side
from benchmarks.runner import Outcome

CASE: Final = "fleet"
RECORDS: Final = 5
ALLOWED: Final = 1000
"""Requests a minute that Codat allows an address."""

_SHORTFALL: Final = (
    "with the data status a list takes 1.2 requests; of the CPU 42 % is the socket's send and 11 % aiohttp's,"
    " 20 % reading and deciding, 17 % the store"
)

FIRST, QUIET, CHANGED = "first night", "quiet night", "night with 5 % changed"
STEPS: Final = (FIRST, QUIET, CHANGED, "to Parquet", "to DuckDB", "status", "plan")
COUNTED: Final = (1, 2, 3, 10, 40)
"""The nights after which the directory is measured."""
REQUESTS, MINUTES = "requests", "minutes at 1,000 a minute"
STEP: Final = (
    Measure(REQUESTS, ""),
    Measure(MINUTES, "min"),
    Measure("CPU", "s"),
    Measure("CPU a list", "ms"),
    Measure("start-up", "s"),
    Measure("elapsed", "s"),
    Measure("syncs", ""),
    Measure("peak memory", "MB"),
)
SIZES: Final = (
    Measure("files", ""),
    Measure("size", "MB"),
    Measure("on disk", "MB"),
    Measure("checkpoint", "MB"),
    Measure("report", "kB"),
)


def after(nights: int) -> str:
    """The name of the sizes after so many nights."""
    return f"after night {nights}"


def _named(step: str, measures: tuple[Measure, ...]) -> tuple[Measure, ...]:
    return tuple(Measure(f"{step}: {measure.name}", measure.unit) for measure in measures)


def _step(name: str, lists: int, found: Sample) -> Sample:
    requests = found.get("requests", 0)
    values = (
        requests,
        requests / ALLOWED,
        found["CPU"],
        1e3 * found["CPU"] / lists,
        found["start-up"],
        found["seconds"],
        found["syncs"],
        found["peak MB"],
    )
    return {f"{name}: {measure.name}": value for measure, value in zip(STEP, values, strict=True)}


def _sizes(nights: int, found: Sample) -> Sample:
    values = (found[name] for name in ("files", "MB", "MB on disk", "checkpoint MB", "report kB"))
    return {f"{after(nights)}: {measure.name}": value for measure, value in zip(SIZES, values, strict=True)}


def _nights(running: Fleet, lists: int) -> Sample:
    figures: Sample = {}

    def add(name: str, work: Callable[[], Sample]) -> Sample:
        found = work()
        figures.update(_step(name, lists, found))
        return found

    figures.update(_sizes(1, add(FIRST, lambda: running.night(1))))
    figures.update(_sizes(2, add(QUIET, lambda: running.night(1))))
    figures.update(_sizes(3, add(CHANGED, lambda: running.night(2))))
    add("to Parquet", lambda: running.convert("parquet"))
    add("to DuckDB", lambda: running.convert("duckdb"))
    add("status", running.status)
    add("plan", running.plan)
    running.remove_converted()
    for before, nights in pairwise(COUNTED[2:]):
        figures.update(_sizes(nights, running.skip(nights - before)))
    return figures


def side(companies: int) -> Side:
    """All nights of so many companies."""

    @asynccontextmanager
    async def prepared(setting: Setting) -> AsyncIterator[Round]:
        async def nights() -> Sample:
            with fleet(companies, RECORDS) as running:
                return _nights(running, companies * len(TYPES))

        yield nights

    return prepared


def sentence(outcome: Outcome) -> str:
    """What a user can quote."""

    def median(step: str, measure: str) -> float:
        return outcome.figures[OURS].median(f"{step}: {measure}")

    return (
        f"{outcome.row.title[0].upper()}{outcome.row.title[1:]}: the first night sends"
        f" {median(FIRST, REQUESTS):,.0f} requests, which is {median(FIRST, MINUTES):.0f} minutes at Codat's"
        f" limit, and takes {median(FIRST, 'CPU'):.0f} s of CPU and {median(FIRST, 'peak memory'):.0f} MB of"
        f" memory; a night on which nothing changed sends {median(QUIET, REQUESTS):,.0f}"
        f" ({median(QUIET, MINUTES):.0f} minutes, {median(QUIET, 'CPU'):.0f} s of CPU)."
    )


def rows(short: bool) -> list[Row]:
    """One row."""
    companies = 20 if short else 10_000
    steps = tuple(each for step in STEPS for each in _named(step, STEP))
    sizes = tuple(each for nights in COUNTED for each in _named(after(nights), SIZES))
    goals = (
        # One request for the data status of each company, and the pages of the companies.
        Goal(f"{QUIET}: {REQUESTS}", 1.01 * companies),
        Goal(f"{after(1)}: files", 100),
        Goal(f"{after(40)}: checkpoint", companies * len(TYPES) * 300 / 1e6),
        Goal(f"{FIRST}: CPU a list", 0.7, shortfall=_SHORTFALL),
    )
    return [
        Row(
            case=CASE,
            title=f"{companies:,} companies × {len(TYPES)} types × {RECORDS} records",
            sides={OURS: side(companies)},
            measures=(*steps, *sizes),
            goals=() if short else goals,
            rounds=1,
            warm_up=False,
            note="one round; the server is a process of its own; the requests are the report's, without those"
            " for the list of companies",
        )
    ]
