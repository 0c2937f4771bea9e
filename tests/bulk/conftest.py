"""A sandbox and a server whose answers a test controls, and a client of each that never waits."""

from collections.abc import AsyncIterator

import pytest
from bulk_server import Server, client
from memory_objects import buckets as buckets

from codat_async import Codat
from codat_async.sandbox import Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Three companies with small books."""
    async with Sandbox(companies=3, size=30) as running:
        yield running


@pytest.fixture
async def codat(sandbox: Sandbox) -> AsyncIterator[Codat]:
    """A client of the sandbox."""
    async with client(sandbox.base_url, sandbox.api_key) as made:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server of one company whose lists the test sets."""
    async with Server() as running:
        yield running


@pytest.fixture
async def caller(server: Server) -> AsyncIterator[Codat]:
    """A client of that server."""
    async with client(server.base_url) as made:
        yield made
