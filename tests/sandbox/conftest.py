"""A sandbox over small hand-made books, and a bare HTTP client that knows its key."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from stand_in import SmallBooks

from codat_async.sandbox import Sandbox


class Api:
    """A bare client of one sandbox."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.company = sandbox.company_ids[0]
        self.connection = sandbox.connection_ids(self.company)[0]
        self.data = f"/companies/{self.company}/data"
        self.linked = f"/companies/{self.company}/connections/{self.connection}"
        self.push = f"{self.linked}/push"

    async def send(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """The status and decoded body of an answer."""
        async with self.session.request(method, self.sandbox.base_url + path, **options) as response:
            body = await response.read()
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, body

    async def get(self, path: str, **parameters: str) -> Any:
        """The body of an answer that must be a success."""
        status, body = await self.send("GET", path, params=parameters)
        assert status == 200, body
        return body

    async def refused(self, path: str, **parameters: str) -> tuple[int, str]:
        """The status and text of an answer that must be an error in the API's shape."""
        status, body = await self.send("GET", path, params=parameters)
        assert status == body["statusCode"]
        assert body["correlationId"]
        assert body["canBeRetried"] in ("True", "False", "Unknown")
        return status, body["error"]


async def eventually(true: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Waits until something is true, and fails after a few seconds."""
    async with asyncio.timeout(5):
        while True:
            outcome = true()
            if await outcome if isinstance(outcome, Awaitable) else outcome:
                return
            await asyncio.sleep(0.005)


def credential(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A running sandbox with two companies of 25 invoices."""
    async with Sandbox(books=SmallBooks(), push_delay=0.02) as running:
        yield running


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[Api]:
    """A client of the first company."""
    async with aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session:
        yield Api(sandbox, session)
