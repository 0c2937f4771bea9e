"""Growth of time and memory with the records of a list or a pull and the lists of a pull, and of rates.

Pulls are from a server in memory, each in a process of its own: ten companies of ten lists that grow, or
more and more companies of ten lists with a record each.
"""

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
    SDK,
    THROUGHPUT,
    Measure,
    Round,
    Row,
    Sample,
    Setting,
    Side,
)

RECORDS, CONCURRENCY = "records", "concurrent calls"
PULLED, LISTS = "records of a pull", "lists of a pull"
MEASURES = (Measure(PER_SECOND, "/s", more_is_better=True), Measure(CPU, "µs"), Measure(PEAK, "MB"))


def rows(short: bool) -> list[Row]:
    """A row for each point of the plots."""
    return [*_records(short), *_pulls(short), *_concurrency(short)]


def pulling(companies: int, records: int, units: int) -> Side:
    """Pull everything into a new directory, in a process of its own."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async def pull() -> Sample:
            with fleet(companies, records, changed=0) as running:
                found = running.night(1)
            return {
                PER_SECOND: units / found["seconds"],
                CPU: 1e6 * found["CPU"] / units,
                PEAK: found["added MB"],
            }

        yield pull

    return side


def _pulls(short: bool) -> list[Row]:
    pulled = (1000,) if short else (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000)
    counts = (100,) if short else (1000, 3000, 10_000, 30_000, 100_000, 300_000)
    sizes = [
        *((PULLED, count, 10, count // 10 // len(TYPES)) for count in pulled),
        *((LISTS, count, count // len(TYPES), 1) for count in counts),
    ]
    return [
        Row(
            case="growth",
            title=f"a pull of {count:,} {'records' if grown == PULLED else 'lists'}",
            sides={OURS: pulling(companies, records, count)},
            measures=MEASURES,
            rounds=1 if count > 30_000 else 3,
            warm_up=False,
            point=(grown, count),
        )
        for grown, count, companies, records in sizes
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
