"""The cost of the default middleware, layer by layer, without a network."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter

from benchmarks import clients, records
from benchmarks.clients import COMPANY
from benchmarks.measure import OURS, SDK, Goal, Measure, Round, Row, Sample, Setting, Side
from codat_async import Codat, default_middleware
from codat_middleware import Governor, Limits, Middleware, Request, Response, compose

_PER_CALL = "per call"
_ALL = "all"
_BODY = records.rendered("accounts", 7)
_RESPONSE = Response(
    status=200,
    headers={
        "X-Rate-Limit-Limit": "1000000",
        "X-Rate-Limit-Remaining": "999999",
        "X-Rate-Limit-Reset": records.RESETS,
    },
    body=_BODY,
)
_REQUEST = Request(method="GET", path=f"/companies/{COMPANY}/data/accounts/7", company_id=COMPANY)


async def _respond(_: Request) -> Response:
    return _RESPONSE


def _middleware() -> list[Middleware]:
    governor = Governor(Limits(per_minute=1_000_000_000))
    return default_middleware(clients.KEY, governor=governor)


async def _microseconds(calls: int, call: Callable[[], Awaitable[object]]) -> float:
    started = perf_counter()
    for _ in range(calls):
        await call()
    return (perf_counter() - started) / calls * 1e6


def layers(calls: int) -> Side:
    """The innermost layer alone, then one more at a time, each without the cost of the stub."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        middleware = _middleware()
        depths = range(1, len(middleware) + 1)
        handlers = [compose(middleware[-depth:], _respond) for depth in depths]

        async def measure() -> Sample:
            alone = await _microseconds(calls, partial(_respond, _REQUEST))
            costs = [await _microseconds(calls, partial(handler, _REQUEST)) - alone for handler in handlers]
            return {**dict(zip(_names(), costs, strict=True)), _ALL: costs[-1]}

        yield measure

    return side


def _names() -> list[str]:
    names = [type(layer).__name__ for layer in reversed(_middleware())]
    return [names[0], *(f"with {name}" for name in names[1:])]


def ours(calls: int) -> Side:
    """A complete ``accounts.get`` on a transport that responds immediately."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async def respond(request: Request, _: object) -> Response:
            return await _respond(request)

        async with Codat(middleware=[*_middleware(), respond]) as codat:

            async def measure() -> Sample:
                return {_PER_CALL: await _microseconds(calls, lambda: codat.accounts.get(COMPANY, "7"))}

            yield measure

    return side


def sdk(calls: int) -> Side:
    """A complete ``accounts.get_async`` on an httpx transport that responds immediately."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        import httpx
        from codat_accounting import CodatAccounting
        from codat_accounting.models import operations, shared

        def respond(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers={"Content-Type": "application/json"}, content=_BODY)

        request = operations.GetAccountRequest(company_id=COMPANY, account_id="7")
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
            codat = CodatAccounting(security=shared.Security(auth_header=clients.KEY), async_client=client)

            async def measure() -> Sample:
                return {
                    _PER_CALL: await _microseconds(calls, lambda: codat.accounts.get_async(request=request))
                }

            yield measure

    return side


def rows(short: bool) -> list[Row]:
    """The layers, and a complete call."""
    calls = 200 if short else 20_000
    names = _names()
    return [
        Row(
            case="pipeline",
            title="the default middleware, innermost first",
            sides={OURS: layers(calls)},
            measures=(*(Measure(name, "µs") for name in names), Measure(_ALL, "µs")),
            goals=(Goal(_ALL, 15),),
            note="each figure includes those before it; the SDK has no middleware",
        ),
        Row(
            case="pipeline",
            title="a complete small GET without a network",
            sides={OURS: ours(calls), SDK: sdk(max(20, calls // 100))},
            measures=(Measure(_PER_CALL, "µs"),),
        ),
    ]
