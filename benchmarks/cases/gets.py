"""Small GETs: one record by its id, so many at once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

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

RECORDS = 200
"""Different ones are read, so that no side lives on one URL that it has met before."""


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


def floor(concurrency: int, calls: int) -> Side:
    """aiohttp's ``get``, and the record decoded."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        url = f"{setting.base_url()}/companies/{COMPANY}/data/accounts/"
        decode = msgspec.json.Decoder(Account).decode
        async with clients.floor() as session:

            async def call(n: int) -> Account:
                async with session.get(url + str(n % RECORDS)) as response:
                    return decode(await response.read())

            yield _rounds(concurrency, calls, call)

    return side


def rows(short: bool) -> list[Row]:
    """At 1, 16 and 256 at once."""
    scale = 20 if short else 1
    found = []
    for concurrency, calls in ((1, 1500), (16, 3000), (256, 3000)):
        reach = (Reach(PER_SECOND, 50, SDK), Reach(PER_SECOND, 0.85, FLOOR)) if concurrency == 16 else ()
        found.append(
            Row(
                case="gets",
                title=f"small GETs, {concurrency} at once",
                sides={
                    OURS: ours(concurrency, calls // scale),
                    SDK: sdk(concurrency, max(concurrency, calls // 10 // scale)),
                    FLOOR: floor(concurrency, calls // scale),
                    UVLOOP: ours(concurrency, calls // scale),
                },
                measures=THROUGHPUT,
                reach=reach,
                needs_server=True,
            )
        )
    return found
