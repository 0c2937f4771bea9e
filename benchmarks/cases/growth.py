"""Growth of time and memory with the records of a list or a pull and the lists of a pull, and of rates.

Pulls are from a server in memory, each in a process of its own. That of records has four lists of one
company, of 2,500 records each at the least and in pages of 500 whatever their length, so that a record
always takes the same work. What a run and its lists take in themselves is that of a pull of the same lists
of five records just before, in the same process; it is a figure of its own, and not part of the CPU of the
records. That of lists has more and more companies of ten lists with one record each, and nothing is taken
from it. The memory of a pull is that of the whole process at its peak, and what it has added since it began.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.cases import gets, lists
from benchmarks.fleet import fleet
from benchmarks.fleet_server import TYPES
from benchmarks.measure import (
    CPU,
    FLOOR,
    OURS,
    PEAK,
    PER_SECOND,
    PROCESS_PEAK,
    SDK,
    THROUGHPUT,
    Goal,
    Measure,
    Round,
    Row,
    Sample,
    Setting,
    Side,
)

RECORDS, CONCURRENCY = "records", "concurrent calls"
PULLED, LISTS = "records of a pull", "lists of a pull"
FEW_LISTS, PAGE_SIZE = 4, 500
OWN = "of the run and its lists"
MEASURES = (
    Measure(PER_SECOND, "/s", more_is_better=True),
    Measure(CPU, "µs"),
    Measure(PROCESS_PEAK, "MB"),
    Measure(PEAK, "MB"),
)
_HASHES = (
    "each id is remembered, in 8 bytes a record as soon as there are more than 16,384, so that what comes"
    " twice or is missing is found in a list of any length; the floor remembers nothing"
)
AIMS: dict[tuple[str, str], tuple[float, float]] = {
    (PULLED, CPU): (0.95, 1.05),
    (LISTS, CPU): (0.95, 1.05),
    (PULLED, PROCESS_PEAK): (-math.inf, 0.1),
}
"""Between which exponents the growth of a figure should be."""


def rows(short: bool) -> list[Row]:
    """A row for each point of the plots."""
    return [*_records(short), *_pulls(short), *_concurrency(short)]


def pulling_records(records: int) -> Side:
    """Pull a few lists of so many records in all."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async def pull() -> Sample:
            with fleet(1, records // FEW_LISTS, changed=0) as running, fleet(1, 5, changed=0) as short:
                options = (running.base_url, short.base_url, str(FEW_LISTS), str(PAGE_SIZE))
                found = running.step("pull-warm", str(running.root), *options)
            return {
                **_sample(found, records),
                CPU: 1e6 * (found["CPU"] - found["own CPU"]) / records,
                OWN: 1e3 * found["own CPU"],
            }

        yield pull

    return side


def pulling_lists(lists: int) -> Side:
    """Pull so many lists of one record."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async def pull() -> Sample:
            with fleet(lists // len(TYPES), 1, changed=0) as running:
                return _sample(running.night(1), lists)

        yield pull

    return side


def _sample(found: Sample, units: int) -> Sample:
    return {
        PER_SECOND: units / found["seconds"],
        CPU: 1e6 * found["CPU"] / units,
        PROCESS_PEAK: found["peak MB"],
        PEAK: found["added MB"],
    }


def _pulls(short: bool) -> list[Row]:
    pulled = (1000,) if short else (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000)
    counts = (100,) if short else (1000, 3000, 10_000, 30_000, 100_000, 300_000)
    records = [(PULLED, count, pulling_records(count), (*MEASURES, Measure(OWN, "ms"))) for count in pulled]
    lists = [(LISTS, count, pulling_lists(count), MEASURES) for count in counts]
    return [
        Row(
            case="growth",
            title=f"a pull of {count:,} {'records' if grown == PULLED else 'lists'}",
            sides={OURS: side},
            measures=measures,
            rounds=1 if count > 300_000 or (grown == LISTS and count > 30_000) else 3,
            warm_up=False,
            point=(grown, count),
        )
        for grown, count, side, measures in [*records, *lists]
    ]


def _records(short: bool) -> list[Row]:
    found = []
    for count in (1000,) if short else (10_000, 30_000, 100_000, 300_000, 1_000_000):
        sides = {OURS: lists.ours(count, 0), FLOOR: lists.floor(count, 0)}
        if count <= 10_000:
            sides[SDK] = lists.sdk(count, 0)
        large = count > 100_000
        found.append(
            Row(
                case="growth",
                title=f"a list of {count:,}",
                sides=sides,
                measures=lists.MEASURES,
                goals=(Goal(PEAK, 1.6, FLOOR, shortfall=_HASHES),),
                rounds=1 if large or SDK in sides else 3,
                warm_up=not large,
                needs_server=True,
                point=(RECORDS, count),
                note="" if SDK in sides else "without the SDK, which would take minutes",
            )
        )
    return found


def _concurrency(short: bool) -> list[Row]:
    found = []
    for concurrency in (10,) if short else (1, 3, 10, 30, 100, 300, 1000):
        calls = 20 if short else 3000
        found.append(
            Row(
                case="growth",
                title=f"small GETs, {concurrency:,} concurrently",
                sides={
                    OURS: gets.ours(concurrency, calls),
                    SDK: gets.sdk(concurrency, max(concurrency, calls // 15)),
                    FLOOR: gets.floor(concurrency, calls),
                },
                measures=THROUGHPUT,
                rounds=3,
                needs_server=True,
                point=(CONCURRENCY, concurrency),
            )
        )
    return found
