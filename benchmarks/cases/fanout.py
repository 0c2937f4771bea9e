"""Fan-out: short lists of many companies, many of them concurrently.

Three processes of each side share the rounds, since the ratio of two differs by 3 % from pair to pair, and
the SDK takes three rounds to reach its pace.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from benchmarks import clients
from benchmarks.clients import OUR_TIMEOUT, TIMED_FLOOR, run_concurrently
from benchmarks.measure import (
    FLOOR,
    OURS,
    PER_SECOND,
    SDK,
    THROUGHPUT,
    Goal,
    Round,
    Row,
    Sample,
    Setting,
    Side,
    timed,
)
from codat_async.models import Account, Customer, Invoice, Page, Supplier

CONCURRENCY = 64
RECORDS = 20
MODELS = {"invoices": Invoice, "customers": Customer, "suppliers": Supplier, "accounts": Account}

_RULES = (
    "by taking one after the other away, a list has 15 µs of the middleware (a place for each company, pace,"
    " retry budget), 12 of operation and pager (5 of them to look for ids that come twice), and 10 of"
    " decoding (7 of them to look for times that must be cut and not rounded), less 23 that the transport"
    " saves of aiohttp's timers, headers and cookies; the aim leaves 16"
)


def _company(number: int) -> str:
    return f"8a210b68-6988-11ed-a1eb-{number:012d}"


def _round(companies: int, read: Callable[[str, str], Awaitable[object]]) -> Round:
    work = [(_company(number), kind) for number in range(companies) for kind in MODELS]

    async def read_all() -> Sample:
        return await timed(len(work), run_concurrently(CONCURRENCY, len(work), lambda n: read(*work[n])))

    return read_all


def ours(companies: int) -> Side:
    """``collect()`` of our pagers."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async with clients.ours(setting.base_url(records=RECORDS)) as codat:
            lists = {kind: getattr(codat, kind).list for kind in MODELS}
            yield _round(companies, lambda company, kind: lists[kind](company).collect())

    return side


def sdk(companies: int) -> Side:
    """The SDK's first pages, since these lists have only one."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        from codat_accounting.models import operations

        requests = {
            "invoices": operations.ListInvoicesRequest,
            "customers": operations.ListCustomersRequest,
            "suppliers": operations.ListSuppliersRequest,
            "accounts": operations.ListAccountsRequest,
        }
        async with clients.sdk(setting.base_url(records=RECORDS)) as codat:

            async def read(company: str, kind: str) -> object:
                request = requests[kind](company_id=company, page=1, page_size=100)
                return await getattr(codat, kind).list_async(request=request)

            yield _round(companies, read)

    return side


def floor(companies: int, timeout: aiohttp.ClientTimeout | None = None) -> Side:
    """aiohttp's ``get`` and a decoder for each type."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        base_url = setting.base_url(records=RECORDS)
        decoders = {kind: msgspec.json.Decoder(Page[model]) for kind, model in MODELS.items()}  # type: ignore[valid-type]
        async with clients.floor(timeout) as session:

            async def read(company: str, kind: str) -> object:
                url = f"{base_url}/companies/{company}/data/{kind}?page=1&pageSize=100"
                async with session.get(url) as response:
                    return decoders[kind].decode(await response.read())

            yield _round(companies, read)

    return side


def rows(short: bool) -> list[Row]:
    """500 companies and four types."""
    companies, sdk_companies = (10, 2) if short else (500, 30)
    return [
        Row(
            case="fanout",
            title=f"fan-out over {companies} companies × {len(MODELS)} types",
            sides={
                OURS: ours(companies),
                SDK: sdk(sdk_companies),
                FLOOR: floor(companies),
                TIMED_FLOOR: floor(companies, OUR_TIMEOUT),
            },
            measures=THROUGHPUT,
            goals=(Goal(PER_SECOND, 0.92, TIMED_FLOOR, shortfall=_RULES),),
            rounds=27,
            processes=3,
            needs_server=True,
            note=f"lists of {RECORDS} records, {CONCURRENCY} at a time; the SDK: {sdk_companies} companies",
        )
    ]
