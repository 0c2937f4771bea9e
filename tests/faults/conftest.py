"""The scene of every fault: a client with short times, a server, and nothing left behind."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest

from codat_async import Codat
from codat_middleware import Limits, RetryPolicy, Timeout
from tests.faults.server import Act, Server

QUICK = RetryPolicy(attempts=3, max_elapsed=4.0, wait_initial=0.02, wait_max=0.05)
SHORT = Timeout(connect=0.5, read=0.2, total=0.5)

Scene: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[Codat, Server]]]


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
    assert (state.in_flight, state.waiting, state.companies) == (0, 0, {})
    assert connections_in_use(codat) == 0


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """Opens a server and a client; whatever happened, tasks and files are as before afterwards."""
    files = open_files()

    @asynccontextmanager
    async def opened(*acts: Act, **options: Any) -> AsyncIterator[tuple[Codat, Server]]:
        async with Server(*acts, tls=options.pop("tls", None)) as server:
            settings: dict[str, Any] = {
                "base_url": server.url,
                "retry": QUICK,
                "timeout": SHORT,
                "limits": Limits(),
            }
            async with Codat("key", **(settings | options)) as codat:
                yield codat, server
                await assert_nothing_left(codat)

    yield opened
    for _ in range(100):
        if asyncio.all_tasks() == {asyncio.current_task()} and open_files() <= files:
            break
        await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert open_files() <= files
