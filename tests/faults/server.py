"""A raw server for what no HTTP server does: answers that break the protocol itself, and TLS."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeAlias

OK = b'{"id":"1","status":"Active"}'

Act: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Answers one request by writing bytes."""


class Server:
    """Plays the given acts in turn, one a request, and the last one for ever."""

    def __init__(self, *acts: Act, tls: ssl.SSLContext | None = None) -> None:
        self._acts = acts
        self._tls = tls
        self._serving: set[asyncio.Task[None]] = set()
        self.requests = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._listener.sockets[0].getsockname()[1]
        self.url = f"{'http' if self._tls is None else 'https'}://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            while not writer.is_closing():
                await reader.readuntil(b"\r\n\r\n")
                act = self._acts[min(self.requests, len(self._acts) - 1)]
                self.requests += 1
                await act(writer)
                await writer.drain()
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            # The client hung up, or the test is over.
            pass
        finally:
            self._serving.discard(task)
            writer.transport.abort()


def answer(status: int = 200, body: bytes = OK, **headers: str) -> Act:
    """A proper answer; header names are given with underscores."""
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + body)

    return act


ok = answer()
length_too_small = answer(Content_Length="5")
length_not_a_number = answer(Content_Length="many")


async def truncated_chunks(writer: asyncio.StreamWriter) -> None:
    """A chunked body without its last chunk."""
    writer.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n')
    writer.close()


async def not_http(writer: asyncio.StreamWriter) -> None:
    """Bytes that are not HTTP."""
    writer.write(b"220 mail.example ESMTP\r\n")


async def stall_in_headers(writer: asyncio.StreamWriter) -> None:
    """Half the headers, then nothing."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await asyncio.sleep(30)
