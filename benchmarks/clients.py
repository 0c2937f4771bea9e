"""The clients that are compared: ours, the published SDK, and the floor, which is aiohttp alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from codat_async import Codat, Limits

if TYPE_CHECKING:
    from codat_accounting import CodatAccounting

KEY: Final = "Basic YmVuY2htYXJr"
COMPANY: Final = "8a210b68-6988-11ed-a1eb-0242ac120002"
CONNECTION: Final = "2e9d2c44-f675-40ba-8049-353bfcb5e171"
CONNECTIONS: Final = 1000
"""Enough that no client waits for a connection."""

TIMED_FLOOR: Final = "floor with our timeouts"
OUR_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, connect=10, sock_connect=10)

NO_LIMITS: Final = Limits(in_flight=None, in_flight_per_company=None, per_minute=None)
"""With Codat's limits, nothing else would be measured; the governor still counts every request."""


def ours(base_url: str, **options: Any) -> Codat:
    """Our client with all its default middleware."""
    return Codat(KEY, base_url=base_url, limits=NO_LIMITS, max_connections=CONNECTIONS, **options)


@asynccontextmanager
async def sdk(base_url: str) -> "AsyncIterator[CodatAccounting]":
    """The published SDK, with as many connections as the others."""
    import httpx
    from codat_accounting import CodatAccounting
    from codat_accounting.models import shared

    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(limits=limits) as client:
        yield CodatAccounting(
            security=shared.Security(auth_header=KEY), server_url=base_url, async_client=client
        )


@asynccontextmanager
async def floor(timeout: aiohttp.ClientTimeout | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """A plain aiohttp session with the header that every request needs."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Authorization": KEY, "Accept": "application/json"},
        timeout=timeout or aiohttp.ClientTimeout(total=300),
    ) as session:
        yield session


async def run_concurrently(concurrency: int, calls: int, call: Callable[[int], Awaitable[object]]) -> None:
    """Make ``calls`` calls, at most ``concurrency`` of them at a time."""
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            await call(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, calls)):
            group.create_task(worker())
