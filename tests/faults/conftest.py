"""The scene of every fault: a client with short times, a server, and nothing left behind."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest

from codat_async import Codat
from codat_async.sandbox import Fault, Sandbox
from codat_middleware import Limits, RetryPolicy, Timeout
from tests.faults.server import Act, Server

QUICK = RetryPolicy(attempts=3, max_elapsed=4.0, wait_initial=0.02, wait_max=0.05)
SHORT = Timeout(connect=0.5, read=0.2, total=0.5)

Scene: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[Codat, Sandbox]]]
RawScene: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[Codat, Server]]]


def open_files() -> int:
    """Descriptors that this process holds."""
    return len(os.listdir("/dev/fd"))


def connections_in_use(codat: Codat) -> int:
    """Connections that the pool has lent and not got back."""
    session = codat._transport._session
    if session is None or session.connector is None:
        return 0
    return len(session.connector._acquired)


async def assert_nothing_left(codat: Codat) -> None:
    """No place in the gate and no connection is still held."""
    for _ in range(20):
        await asyncio.sleep(0)
    state = codat.governor.state()
    assert (state.in_flight, state.waiting) == (0, 0)
    assert connections_in_use(codat) == 0


@asynccontextmanager
async def client(base_url: str, key: str, **options: Any) -> AsyncIterator[Codat]:
    """A client with short times that leaves nothing behind."""
    settings: dict[str, Any] = {"base_url": base_url, "retry": QUICK, "timeout": SHORT, "limits": Limits()}
    async with Codat(key, **(settings | options)) as codat:
        yield codat
        await assert_nothing_left(codat)


async def arrivals(sandbox: Sandbox, count: int) -> None:
    """Returns once the sandbox has received so many requests."""
    for _ in range(1000):
        if sandbox.stats["requests"] >= count:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"the sandbox received {sandbox.stats['requests']} requests, not {count}")


@pytest.fixture
async def _tasks_and_files() -> AsyncIterator[None]:
    """Whatever happened, tasks and files are as before afterwards."""
    files = open_files()
    yield
    for _ in range(200):
        if asyncio.all_tasks() == {asyncio.current_task()} and open_files() <= files:
            break
        await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert open_files() <= files


@pytest.fixture
async def scene(_tasks_and_files: None) -> Scene:
    """Opens a sandbox of one company whose answers go wrong, and a client."""

    @asynccontextmanager
    async def opened(faults: str | Iterable[Fault], **options: Any) -> AsyncIterator[tuple[Codat, Sandbox]]:
        async with (
            Sandbox(
                companies=1,
                sizes={"customers": 2, "invoices": 40},
                faults=faults,
                warm=("customers", "invoices"),
            ) as sandbox,
            client(options.pop("base_url", sandbox.base_url), sandbox.api_key, **options) as codat,
        ):
            yield codat, sandbox

    return opened


@pytest.fixture
async def raw_scene(_tasks_and_files: None) -> RawScene:
    """Opens a raw server that plays acts, and a client."""

    @asynccontextmanager
    async def opened(*acts: Act, **options: Any) -> AsyncIterator[tuple[Codat, Server]]:
        tls = options.pop("tls", None)
        async with Server(*acts, tls=tls) as server, client(server.url, "key", **options) as codat:
            yield codat, server

    return opened
