"""Small GETs: one record by its id, so many at once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from benchmarks import clients
from benchmarks.clients import COMPANY, at_once
from benchmarks.measure import FLOOR, OURS, SDK, THROUGHPUT, UVLOOP, PER_SECOND, Reach, Round, Row, Setting, Side, timed
from codat_async.models import Account

RECORD = "7"


def _rounds(concurrency: int, calls: int, call: Callable[[int], Awaitable[object]]) -> Round:
    async def go() -> dict[str, float]:
        return await timed(calls, at_once(concurrency, calls, call))

    return go


def ours(concurrency: int, calls: int) -> Side:
    """Our ``accounts.get``."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async with clients.ours(setting.base_url()) as codat:
            yield _rounds(concurrency, calls, lambda _: codat.accounts.get(COMPANY, RECORD))

    return side


def sdk(concurrency: int, calls: int) -> Side:
    """The SDK's ``accounts.get_async``."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        from codat_accounting.models import operations

        request = operations.GetAccountRequest(company_id=COMPANY, account_id=RECORD)
        async with clients.sdk(setting.base_url()) as codat:
            yield _rounds(concurrency, calls, lambda _: codat.accounts.get_async(request=request))

    return side


def floor(concurrency: int, calls: int) -> Side:
    """aiohttp's ``get``, and the record decoded."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        url = f"{setting.base_url()}/companies/{COMPANY}/data/accounts/{RECORD}"
        decode = msgspec.json.Decoder(Account).decode
        async with clients.floor() as session:

            async def call(_: int) -> Account:
                async with session.get(url) as response:
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
