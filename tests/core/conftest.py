"""Servers on real sockets that answer as a test asks them to, and clients that talk to them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from codat_async import Codat, RetryPolicy

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

KEY = "secret-key-of-the-tests"


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    raw_path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """A server on an ephemeral port, and what has reached it."""

    url: str
    seen: list[Seen] = field(default_factory=list)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[Server]]]:
    """Start a server that answers every request by one function."""
    running: list[TestServer] = []

    async def start(handler: Handler) -> Server:
        seen: list[Seen] = []

        async def answer(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            seen.append(Seen(request.method, request.raw_path, dict(request.headers), body))
            return await handler(request)

        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{anything:(?s:.*)}", answer)
        server = TestServer(app)
        await server.start_server()
        running.append(server)
        return Server(str(server.make_url("")).rstrip("/"), seen)

    yield start
    for server in running:
        await server.close()


@pytest.fixture
async def serve_bytes() -> AsyncIterator[Callable[[Talk], Awaitable[str]]]:
    """Start a server that speaks bytes, for what a proper server would never say; gives its URL."""
    running: list[asyncio.Server] = []

    async def start(talk: Talk) -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await talk(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        running.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in running:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Codat]]:
    """Make clients that are closed after the test; their retries do not wait."""
    clients: list[Codat] = []

    def make(url: str, **options: Any) -> Codat:
        if "middleware" not in options:
            options.setdefault("retry", RetryPolicy(waits=False))
            options.setdefault("api_key", KEY)
        client = Codat(base_url=url, **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()
