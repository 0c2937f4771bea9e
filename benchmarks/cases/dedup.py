"""Finding the records that a list has twice: our set of records read, and a plain set of their ids."""

import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random

import msgspec

from benchmarks.measure import CPU, FLOOR, OURS, Goal, Measure, Round, Row, Sample, Setting, Side
from codat_async.dedup import SeenRecords
from codat_async.models import Account, Page

PAGE_SIZE = 500
_KEPT = "memory an id"
MEASURES = (Measure(CPU, "µs"), Measure(_KEPT, "B"))

Add = Callable[[list[Account]], object]
Make = Callable[[], tuple[Add, Callable[[], int]]]


def _ours() -> tuple[Add, Callable[[], int]]:
    seen = SeenRecords()
    return seen.new, lambda: sum(seen.counts())


def _plain_set() -> tuple[Add, Callable[[], int]]:
    """What one writes by hand; it keeps the ids, and drops a newer version of a record."""
    seen: set[str] = set()

    def new(records: list[Account]) -> list[Account]:
        kept = []
        for record in records:
            if record.id is not None and record.id not in seen:
                seen.add(record.id)
                kept.append(record)
        return kept

    return new, lambda: len(seen)


def _neither() -> tuple[Add, Callable[[], int]]:
    return lambda records: records, lambda: 0


def _pages(count: int) -> Iterator[list[Account]]:
    """Pages as a decoder makes them: the ids and dates of a page are objects of its own."""
    decode = msgspec.json.Decoder(Page[Account]).decode
    draw = Random(count)
    day = datetime(2024, 3, 1, tzinfo=UTC)
    for _ in range(0, count, PAGE_SIZE):
        results = [{"id": f"{draw.getrandbits(128):032x}", "modifiedDate": day} for _ in range(PAGE_SIZE)]
        yield decode(msgspec.json.encode({"results": results})).results


def _read(count: int, make: Make) -> None:
    add, different = make()
    for page in _pages(count):
        add(page)
        # As a pager's user does, who is done with one record after another.
        while page:
            page.pop()
    different()


def _cpu(count: int, make: Make) -> float:
    """Read lists of at least 100,000 records in all; return the processor seconds for each record."""
    times = -(-100_000 // count)
    gc.collect()
    before = time.process_time()
    for _ in range(times):
        _read(count, make)
    return (time.process_time() - before) / count / times


def _memory(count: int, make: Make) -> float:
    gc.collect()
    add, different = make()
    tracemalloc.start()
    for page in _pages(count):
        add(page)
    del page
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if different() not in (0, count):
        raise RuntimeError(f"{different()} of {count} records were different")
    return kept / count


def reading(count: int, make: Make) -> Side:
    """A list of different records, read with and without; the memory is measured once and apart."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        memory = _memory(count, make) - _memory(count, _neither)

        async def go() -> Sample:
            bare = _cpu(count, _neither)
            return {CPU: (_cpu(count, make) - bare) * 1e6, _KEPT: memory}

        yield go

    return side


def rows(short: bool) -> list[Row]:
    """Lists of a usual size, a large one and a huge one."""
    sizes = (1_000,) if short else (10_000, 100_000, 1_000_000)
    return [
        Row(
            case="dedup",
            title=f"duplicates in a list of {size:,}",
            sides={OURS: reading(size, _ours), FLOOR: reading(size, _plain_set)},
            measures=MEASURES,
            goals=(Goal(CPU, 1.3, FLOOR), *([Goal(_KEPT, 10)] if size == 1_000_000 else [])),
            rounds=3 if size == 1_000_000 else 7,
            note=f"pages of {PAGE_SIZE}; the floor is a plain set of ids, which keeps no versions",
        )
        for size in sizes
    ]
