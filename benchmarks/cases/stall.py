"""How long the event loop stands still while a page of 5,000 records is read."""

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
from benchmarks.measure import FLOOR, OURS, SDK, Measure, Reach, Round, Row, Sample, Setting, Side
from codat_async.models import Invoice, Page

_STALL = "longest stall"
MEASURES = (Measure(_STALL, "ms"),)
SPLIT = "splitting the page's text into records goes in one step: two thirds of a microsecond a kilobyte"


async def _longest_gap(work: Awaitable[Any]) -> float:
    """The longest time, in seconds, that another task had to wait for its turn during the work."""
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
    # What letting the records go takes is not the reading's, and comes when their user likes.
    del result
    return longest


def _round(work: Callable[[], Awaitable[Any]]) -> Round:
    async def go() -> Sample:
        gc.collect()
        return {_STALL: await _longest_gap(work()) * 1000}

    return go


def decoding(make: Callable[[], Decode], size: int) -> Side:
    """The page's bytes are there already."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        decode = make()
        data = records.page("invoices", 1, size, size)
        yield _round(lambda: decode(data))

    return side


def ours(size: int) -> Side:
    """The page comes from the server."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async with clients.ours(setting.base_url(records=size)) as codat:
            yield _round(lambda: codat.invoices.list(COMPANY, page_size=size).collect())

    return side


def sdk(size: int) -> Side:
    """The page comes from the server."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        from codat_accounting.models import operations

        request = operations.ListInvoicesRequest(company_id=COMPANY, page=1, page_size=size)
        async with clients.sdk(setting.base_url(records=size)) as codat:
            yield _round(lambda: codat.invoices.list_async(request=request))

    return side


def floor(size: int) -> Side:
    """The page comes from the server."""

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
    """Decoding alone, and the whole way from the network."""
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
            reach=(Reach(_STALL, 10, shortfall=SPLIT),),
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
