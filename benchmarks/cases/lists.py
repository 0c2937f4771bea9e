"""A full list, page after page or with prefetching, at two latencies of the server.

Three processes of each side share the rounds without latency, since the ratio of two differs by 2 % from pair
to pair.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from benchmarks import clients
from benchmarks.cases.decode import BOUND
from benchmarks.clients import COMPANY
from benchmarks.measure import (
    CPU,
    FLOOR,
    OURS,
    PEAK,
    PER_SECOND,
    SDK,
    UVLOOP,
    Goal,
    Measure,
    Round,
    Row,
    Sample,
    Setting,
    Side,
    timed_with_memory,
)
from codat_async.models import Invoice, Page

PAGE_SIZE = 500
PREFETCH = 10
SLICE = 16
"""Records that the floor decodes at a time, 32 kB: its values fit the processor's cache."""
PREFETCHED = "ours with prefetch"
_RULES = (
    "of a record's 11 µs the search for times that are to be cut and not rounded takes 0.7, the ids already"
    " read 0.3 and the iteration 0.1; the aim leaves 0.5"
)
BUSY = "the latency is hidden completely, and the decoder keeps the core busy all the time"
SDK_RECORDS = 5000
"""Records that the SDK reads; the whole list would take it minutes."""

MEASURES = (Measure(PER_SECOND, "/s", more_is_better=True), Measure(CPU, "µs"), Measure(PEAK, "MB"))


def _round(count: int, read: Callable[[], Awaitable[int]]) -> Round:
    async def whole() -> None:
        seen = await read()
        if seen != count:
            raise RuntimeError(f"{seen} of {count} records were read")

    async def read_list() -> Sample:
        return await timed_with_memory(count, whole())

    return read_list


def ours(count: int, latency_ms: int, prefetch: int = 0, page_size: int = PAGE_SIZE) -> Side:
    """``async for`` over our list."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async with clients.ours(setting.base_url(records=count, latency_ms=latency_ms)) as codat:

            async def read() -> int:
                seen = 0
                async for _ in codat.invoices.list(COMPANY, page_size=page_size, prefetch=prefetch):
                    seen += 1
                return seen

            yield _round(count, read)

    return side


def sdk(count: int, latency_ms: int, page_size: int = PAGE_SIZE) -> Side:
    """The SDK's ``list_async``; it has no pager, so the benchmark loops over the pages."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        from codat_accounting.models import operations

        async with clients.sdk(setting.base_url(records=count, latency_ms=latency_ms)) as codat:

            async def read() -> int:
                seen, number = 0, 1
                while True:
                    page = await codat.invoices.list_async(
                        request=operations.ListInvoicesRequest(
                            company_id=COMPANY, page=number, page_size=page_size
                        )
                    )
                    assert page is not None
                    for _ in page.results or ():
                        seen += 1
                    if page.links.next is None:
                        return seen
                    number += 1

            yield _round(count, read)

    return side


def floor(count: int, latency_ms: int, page_size: int = PAGE_SIZE) -> Side:
    """aiohttp's ``get`` and a decoder in a loop, one page after another, decoded in slices as ours are."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        base_url = setting.base_url(records=count, latency_ms=latency_ms)
        url = f"{base_url}/companies/{COMPANY}/data/invoices"
        split = msgspec.json.Decoder(Page[msgspec.Raw]).decode
        decode = msgspec.json.Decoder(Invoice).decode
        async with clients.floor() as session:

            async def read() -> int:
                seen, number = 0, 1
                while True:
                    async with session.get(f"{url}?page={number}&pageSize={page_size}") as response:
                        page = split(await response.read())
                    for start in range(0, len(page.results), SLICE):
                        for _ in [decode(raw) for raw in page.results[start : start + SLICE]]:
                            seen += 1
                    if not page.has_next:
                        return seen
                    number += 1

            yield _round(count, read)

    return side


def rows(short: bool) -> list[Row]:
    """Without latency and with 50 ms; ours with and without prefetch."""
    count, sdk_count = (1000, 500) if short else (100_000, SDK_RECORDS)
    note = (
        f"pages of {PAGE_SIZE}; {PREFETCH} pages prefetched; the SDK has no pager and no prefetch: "
        f"the benchmark loops over the pages of {sdk_count:,} records"
    )
    return [
        Row(
            case="lists",
            title=f"full list of {count:,}, no latency",
            sides={
                OURS: ours(count, 0),
                PREFETCHED: ours(count, 0, PREFETCH),
                UVLOOP: ours(count, 0),
                SDK: sdk(sdk_count, 0),
                FLOOR: floor(count, 0),
            },
            measures=MEASURES,
            goals=(
                Goal(PER_SECOND, 20, SDK, shortfall=BOUND),
                Goal(PER_SECOND, 0.95, FLOOR, shortfall=_RULES),
                Goal(PEAK, 1.6, FLOOR),
            ),
            rounds=9,
            processes=3,
            needs_server=True,
            note=note,
        ),
        Row(
            case="lists",
            title=f"full list of {count:,}, 50 ms latency",
            sides={
                OURS: ours(count, 50),
                PREFETCHED: ours(count, 50, PREFETCH),
                SDK: sdk(sdk_count, 50),
                FLOOR: floor(count, 50),
            },
            measures=MEASURES,
            goals=(Goal(PER_SECOND, 5, FLOOR, numerator=PREFETCHED, shortfall=BUSY),),
            rounds=2,
            warm_up=False,
            needs_server=True,
            note=note,
        ),
    ]
