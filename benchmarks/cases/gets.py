"""Small GETs: one record by its id, so many at once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from benchmarks import clients
from benchmarks.clients import COMPANY, at_once
from benchmarks.measure import (
    FLOOR,
    OURS,
    PER_SECOND,
    SDK,
    THROUGHPUT,
    UVLOOP,
    Reach,
    Round,
    Row,
    Setting,
    Side,
    timed,
)
from codat_async.models import Account

TIMED_FLOOR = "floor with our time-outs"
OUR_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10, sock_connect=10)

RECORDS = 200
"""Different ones are read, so that no side lives on one URL that it has met before."""


REACH = (
    Reach(
        PER_SECOND,
        50,
        SDK,
        shortfall="the floor itself is no more than some 40 times as fast as the SDK, a third of whose "
        "time goes into making a pydantic class for each answer and a quarter into httpcore's pool",
    ),
    Reach(
        PER_SECOND,
        0.85,
        FLOOR,
        shortfall="a sampling profile puts a sixth of the time into what bare aiohttp has not: the request "
        "and the answer as values 6%, the rate limit's books 4%, unknown fields 2%, retry and the other "
        "layers 3%; on a busy machine rounds differ by more than that",
    ),
)


def _rounds(concurrency: int, calls: int, call: Callable[[int], Awaitable[object]]) -> Round:
    async def go() -> dict[str, float]:
        return await timed(calls, at_once(concurrency, calls, call))

    return go


def ours(concurrency: int, calls: int) -> Side:
    """Our ``accounts.get``."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async with clients.ours(setting.base_url()) as codat:
            yield _rounds(concurrency, calls, lambda n: codat.accounts.get(COMPANY, str(n % RECORDS)))

    return side


def sdk(concurrency: int, calls: int) -> Side:
    """The SDK's ``accounts.get_async``."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        from codat_accounting.models import operations

        async with clients.sdk(setting.base_url()) as codat:

            async def call(n: int) -> object:
                request = operations.GetAccountRequest(company_id=COMPANY, account_id=str(n % RECORDS))
                return await codat.accounts.get_async(request=request)

            yield _rounds(concurrency, calls, call)

    return side


def floor(concurrency: int, calls: int, timeout: aiohttp.ClientTimeout | None = None) -> Side:
    """aiohttp's ``get``, and the record decoded; with aiohttp's own time-out or another."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        url = f"{setting.base_url()}/companies/{COMPANY}/data/accounts/"
        decode = msgspec.json.Decoder(Account).decode
        async with clients.floor(timeout) as session:

            async def call(n: int) -> Account:
                async with session.get(url + str(n % RECORDS)) as response:
                    return decode(await response.read())

            yield _rounds(concurrency, calls, call)

    return side


def rows(short: bool) -> list[Row]:
    """At 1, 16 and 256 at once."""
    scale = 20 if short else 1
    found = []
    for concurrency, calls in ((16, 3000),) if short else ((1, 1500), (16, 3000), (256, 3000)):
        reach = REACH if concurrency == 16 else ()
        found.append(
            Row(
                case="gets",
                title=f"small GETs, {concurrency} at once",
                sides={
                    OURS: ours(concurrency, calls // scale),
                    SDK: sdk(concurrency, max(concurrency, calls // 10 // scale)),
                    FLOOR: floor(concurrency, calls // scale),
                    TIMED_FLOOR: floor(concurrency, calls // scale, OUR_TIMEOUT),
                    UVLOOP: ours(concurrency, calls // scale),
                },
                measures=THROUGHPUT,
                reach=reach,
                rounds=15 if concurrency == 16 else 5,
                needs_server=True,
                note=f"the floor has only a time-out for the whole; {TIMED_FLOOR!r} also has our others",
            )
        )
    return found
