"""The longest time that the event loop is blocked while a page of 5,000 records is read."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import msgspec

from benchmarks import clients, records
from benchmarks.cases.decode import Decode, from_floor, from_ours, from_sdk
from benchmarks.clients import COMPANY
from benchmarks.measure import FLOOR, OURS, SDK, Goal, Measure, Round, Row, Sample, Setting, Side
from codat_async.models import Invoice, Page

_STALL = "longest stall"
MEASURES = (Measure(_STALL, "ms"),)
SPLIT = "splitting the page into records is one step, of two thirds of a microsecond a kilobyte"


async def _longest_gap(work: Awaitable[Any]) -> float:
    """Return the longest time in seconds that another task had to wait during the work."""
    longest, last = 0.0, perf_counter()
    ended = False

    async def watch() -> None:
        nonlocal longest, last
        while not ended:
            await asyncio.sleep(0)
            now = perf_counter()
            longest, last = max(longest, now - last), now

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    result = await work
    ended = True
    await watcher
    # Freeing the records takes time too, but the user decides when.
    del result
    return longest


def _round(work: Callable[[], Awaitable[Any]]) -> Round:
    async def measure() -> Sample:
        gc.collect()
        return {_STALL: await _longest_gap(work()) * 1000}

    return measure


def decoding(make: Callable[[], Decode], size: int) -> Side:
    """Decodes a page that is already in memory."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        decode = make()
        data = records.page("invoices", 1, size, size)
        yield _round(lambda: decode(data))

    return side


def ours(size: int) -> Side:
    """Fetches the page from the server."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async with clients.ours(setting.base_url(records=size)) as codat:
            yield _round(lambda: codat.invoices.list(COMPANY, page_size=size).collect())

    return side


def sdk(size: int) -> Side:
    """Fetches the page from the server."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        from codat_accounting.models import operations

        request = operations.ListInvoicesRequest(company_id=COMPANY, page=1, page_size=size)
        async with clients.sdk(setting.base_url(records=size)) as codat:
            yield _round(lambda: codat.invoices.list_async(request=request))

    return side


def floor(size: int) -> Side:
    """Fetches the page from the server."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        url = f"{setting.base_url(records=size)}/companies/{COMPANY}/data/invoices?page=1&pageSize={size}"
        decode = msgspec.json.Decoder(Page[Invoice]).decode
        async with clients.floor() as session:

            async def read() -> Page[Invoice]:
                async with session.get(url) as response:
                    return decode(await response.read())

            yield _round(read)

    return side


def rows(short: bool) -> list[Row]:
    """Decoding alone, and fetching with decoding."""
    size = 500 if short else 5000
    return [
        Row(
            case="stall",
            title=f"longest stall, decoding a page of {size:,}",
            sides={
                OURS: decoding(from_ours, size),
                SDK: decoding(from_sdk, size),
                FLOOR: decoding(from_floor, size),
            },
            measures=MEASURES,
            goals=(Goal(_STALL, 10, shortfall=SPLIT),),
            rounds=4,
        ),
        Row(
            case="stall",
            title=f"longest stall, fetching a page of {size:,}",
            sides={OURS: ours(size), SDK: sdk(size), FLOOR: floor(size)},
            measures=MEASURES,
            rounds=4,
            needs_server=True,
        ),
    ]
