"""A running sandbox over known records, and a client of its first company."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from small_books import Api, credential, small_sandbox

from codat_async.sandbox import Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A running sandbox with two companies of 25 invoices."""
    async with small_sandbox(push_delay=0.02, sync_delay=0.02) as running:
        yield running


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[Api]:
    """A client of the first company."""
    async with aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session:
        yield Api(sandbox, session)


@pytest.fixture
async def slow() -> AsyncIterator[Api]:
    """A sandbox whose syncs take long enough to be watched."""
    async with (
        small_sandbox(push_delay=0, sync_delay=1.0) as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
    ):
        yield Api(sandbox, session)
