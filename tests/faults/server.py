"""A small raw server whose answers go wrong in every way that a test asks for."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

OK = b'{"id":"1","status":"Active"}'


@dataclass
class Exchange:
    """One request as it came, and the way to answer it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter = field(repr=False)

    async def send(self, data: bytes) -> None:
        """Put bytes on the wire."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: int = 200, body: bytes = OK, **headers: str) -> None:
        """A proper answer; header names are given with underscores."""
        lines = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        await self.send(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + body)

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Act: TypeAlias = Callable[[Exchange], Awaitable[None]]


class Server:
    """Plays the given acts in turn, one a request, and the last one for ever."""

    def __init__(self, *acts: Act, tls: ssl.SSLContext | None = None) -> None:
        self._acts = acts
        self._tls = tls
        self._listener: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._arrivals: asyncio.Queue[Exchange] = asyncio.Queue()
        self.exchanges: list[Exchange] = []
        self.url = ""

    async def arrivals(self, count: int) -> None:
        """Return once so many more requests have come."""
        for _ in range(count):
            await self._arrivals.get()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._listener.sockets[0].getsockname()[1]
        self.url = f"{'http' if self._tls is None else 'https'}://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
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
                exchange = await _read(reader, writer)
                act = self._acts[min(len(self.exchanges), len(self._acts) - 1)]
                self.exchanges.append(exchange)
                self._arrivals.put_nowait(exchange)
                await act(exchange)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            # The client hung up, or the test is over.
            pass
        finally:
            self._serving.discard(task)
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(method, path, headers, body, writer)


async def ok(exchange: Exchange) -> None:
    """A record, as it should be."""
    await exchange.answer()


def status(code: int, body: bytes = b"{}", **headers: str) -> Act:
    """An answer of some status."""

    async def act(exchange: Exchange) -> None:
        await exchange.answer(code, body, **headers)

    return act


async def reset_before_answer(exchange: Exchange) -> None:
    """A reset instead of an answer."""
    exchange.reset()


async def reset_in_body(exchange: Exchange) -> None:
    """A reset after half the body."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 500)
    await asyncio.sleep(0.02)
    exchange.reset()


async def hang_up(exchange: Exchange) -> None:
    """The connection closed without an answer."""
    exchange.writer.close()


async def stall_before_headers(exchange: Exchange) -> None:
    """Nothing, for long."""
    await asyncio.sleep(30)


async def stall_in_headers(exchange: Exchange) -> None:
    """Half the headers, then nothing."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    await asyncio.sleep(30)


async def stall_in_body(exchange: Exchange) -> None:
    """Half the body, then nothing."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 500)
    await asyncio.sleep(30)


async def truncated(exchange: Exchange) -> None:
    """Fewer bytes than were told, and the end."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 500)
    exchange.writer.close()


async def truncated_chunks(exchange: Exchange) -> None:
    """A chunked body without its last chunk."""
    await exchange.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n')
    exchange.writer.close()


async def length_too_small(exchange: Exchange) -> None:
    """More bytes than were told: the answer ends within the JSON, and waste follows it."""
    await exchange.answer(Content_Length="5")


async def length_not_a_number(exchange: Exchange) -> None:
    """A length that is none."""
    await exchange.answer(Content_Length="many")


async def not_http(exchange: Exchange) -> None:
    """Something else than HTTP."""
    await exchange.send(b"220 mail.example ESMTP\r\n")


async def drip(exchange: Exchange) -> None:
    """A proper answer, a byte at a time."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(OK))
    for byte in OK:
        await exchange.send(bytes([byte]))
        await asyncio.sleep(0.05)
