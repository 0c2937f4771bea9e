"""Growth of time and memory with the number of records, and of the rate with the concurrency."""

from benchmarks.cases import gets, lists
from benchmarks.measure import FLOOR, OURS, SDK, THROUGHPUT, Row

RECORDS, CONCURRENCY = "records", "concurrent calls"


def rows(short: bool) -> list[Row]:
    """A row for each point of the plots."""
    return [*_records(short), *_concurrency(short)]


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
