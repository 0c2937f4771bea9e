"""Small GETs of one record by its id, several concurrently."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from benchmarks import clients
from benchmarks.clients import COMPANY, OUR_TIMEOUT, TIMED_FLOOR, run_concurrently
from benchmarks.measure import (
    FLOOR,
    OURS,
    PER_SECOND,
    SDK,
    THROUGHPUT,
    UVLOOP,
    Goal,
    Round,
    Row,
    Setting,
    Side,
    timed,
)
from codat_async.models import Account

RECORDS = 200
"""Number of different records, so that no side profits from repeating one URL."""


_RULES = (
    "beyond the floor a GET has the middleware (pace, a place for each company, retry budget, credential),"
    " decoding and the operation, less what the transport saves of aiohttp's timers, headers and cookies;"
    " the aim leaves 10 µs"
)
GOALS = (
    Goal(
        PER_SECOND,
        50,
        SDK,
        shortfall="the floor itself is only about 40 times as fast as the SDK, which spends a third of its "
        "time creating a pydantic class for each response and a quarter in httpcore's pool",
    ),
    Goal(PER_SECOND, 0.92, TIMED_FLOOR, shortfall=_RULES),
)


def _rounds(concurrency: int, calls: int, call: Callable[[int], Awaitable[object]]) -> Round:
    async def get_all() -> dict[str, float]:
        return await timed(calls, run_concurrently(concurrency, calls, call))

    return get_all


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
    """aiohttp's ``get`` and a decoder, with one total timeout or another configuration."""

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
        goals = GOALS if concurrency == 16 else GOALS[1:]
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
                goals=goals,
                rounds=15,
                needs_server=True,
                note=f"the floor has only a total timeout; {TIMED_FLOOR!r} has all of ours",
            )
        )
    return found
