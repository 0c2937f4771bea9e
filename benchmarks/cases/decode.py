"""Decoding pages of invoices: speed, and the memory of the records."""

import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from benchmarks import records
from benchmarks.measure import (
    CPU,
    FLOOR,
    OURS,
    PER_SECOND,
    SDK,
    Goal,
    Measure,
    Round,
    Row,
    Sample,
    Setting,
    Side,
    timed,
)
from codat_async import codec
from codat_async.models import Invoice, Page

_KEPT, _PEAK = "retained memory", "peak memory"

BOUND = "this is the time of msgspec's decoder, five sixths of it for Decimals, datetimes and Structs"
SLICED = (
    "finding out whether a page has times that must be cut costs a tenth of its decoding, and decoding it in "
    "slices, so that it does not block the event loop for more than 10 ms, half of that"
)

Decode = Callable[[bytes], Awaitable[Any]]


def from_ours() -> Decode:
    return lambda data: codec.decode_page(data, Invoice)


def from_floor() -> Decode:
    decoder = msgspec.json.Decoder(Page[Invoice])

    async def decode(data: bytes) -> Page[Invoice]:
        return decoder.decode(data)

    return decode


def from_sdk() -> Decode:
    from codat_accounting.models import shared
    from codat_accounting.utils import unmarshal_json

    async def decode(data: bytes) -> Any:
        return unmarshal_json(data.decode(), shared.Invoices | None)

    return decode


async def _memory(data: bytes, decode: Decode) -> Sample:
    await decode(data)
    gc.collect()
    tracemalloc.start()
    page = await decode(data)
    gc.collect()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del page
    return {_KEPT: kept / 2**20, _PEAK: peak / 2**20}


async def _repeat(times: int, data: bytes, decode: Decode) -> None:
    for _ in range(times):
        await decode(data)


def decoding(make: Callable[[], Decode], size: int, times: int) -> Side:
    """Measures memory once before the rounds, since tracing allocations takes time."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        decode = make()
        data = records.page("invoices", 1, size, size)
        memory = await _memory(data, decode)

        async def decode_pages() -> Sample:
            return {**await timed(size * times, _repeat(times, data, decode)), **memory}

        yield decode_pages

    return side


def rows(short: bool) -> list[Row]:
    """Pages of 100, 1,000 and 5,000 records."""
    found = []
    sizes = ((100, 100, 4, 7), (1000, 10, 1, 7), (5000, 3, 1, 3))
    for size, times, sdk_times, rounds in sizes[:1] if short else sizes:
        goals = (
            Goal(PER_SECOND, 25, SDK, shortfall=BOUND),
            Goal(_KEPT, 0.4, SDK),
            Goal(PER_SECOND, 0.95, FLOOR, shortfall=SLICED),
        )
        found.append(
            Row(
                case="decode",
                title=f"decode {size:,} invoices",
                sides={
                    OURS: decoding(from_ours, size, 1 if short else times),
                    SDK: decoding(from_sdk, 20 if short else size, sdk_times),
                    FLOOR: decoding(from_floor, size, 1 if short else times),
                },
                measures=(
                    Measure(PER_SECOND, "/s", more_is_better=True),
                    Measure(CPU, "µs"),
                    Measure(_KEPT, "MB"),
                    Measure(_PEAK, "MB"),
                ),
                goals=goals if size == 1000 else (),
                rounds=rounds,
                note=f"{len(records.page('invoices', 1, size, size)) / size / 1000:.1f} kB of JSON each",
            )
        )
    return found
