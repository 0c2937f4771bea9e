"""A server that only sends rendered responses, so that the clients are the bottleneck.

The base URL sets what it simulates: ``http://host:port/<records>/<latency in ms>``; every list
has that many records. ``python -m benchmarks.server`` starts it and prints its port.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Final, cast
from urllib.parse import parse_qs

import uvloop

from benchmarks import machine, records

ATTACHMENT_MB: Final = "attachment-mb-"
"""Prefix of an attachment's id; the rest is its size."""

_MEGABYTE: Final = bytes(1 << 20)
_PUSHED: Final = (
    b'{"pushOperationKey":"k","companyId":"c","dataConnectionKey":"d","status":"Success",'
    b'"statusCode":200,"requestedOnUtc":"2024-01-01T00:00:00Z"}'
)


class Server(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._body_left = 0
        self._pending: Callable[[], None] = _nothing
        self._transport: asyncio.Transport
        self._stream_left = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._body_left:
            self._body_left -= len(data)
        else:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head, received, self._buffer = self._buffer[:end], len(self._buffer) - end - 4, b""
            self._body_left = _content_length(head) - received
            self._pending = self._answer_to(head)
        if self._body_left <= 0:
            self._body_left = 0
            self._pending()

    def _answer_to(self, head: bytes) -> Callable[[], None]:
        method, target, _ = head.split(b" ", 2)
        path, _, query = target.decode("latin-1").partition("?")
        _, total, latency, *rest = path.split("/")
        if method == b"POST":
            return lambda: self._write(_response(_PUSHED))
        if rest[-1] == "download":
            size = int(rest[-2].removeprefix(ATTACHMENT_MB))
            return lambda: self._stream(size)
        answer = (
            _list_page(rest[-1], query, int(total)) if rest[-2] == "data" else _record(rest[-2], rest[-1])
        )
        if latency == "0":
            return lambda: self._write(answer)
        return lambda: self._write_later(answer, int(latency) / 1000)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)

    def _write_later(self, answer: bytes, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._write, answer)

    def _stream(self, megabytes: int) -> None:
        self._write(_head(megabytes << 20, "application/octet-stream"))
        self._stream_left = megabytes
        self._send_chunks()

    def _send_chunks(self) -> None:
        while self._stream_left and not self._paused and not self._transport.is_closing():
            self._stream_left -= 1
            self._transport.write(_MEGABYTE)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send_chunks()


def _nothing() -> None:
    pass


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _head(length: int, content_type: str = "application/json") -> bytes:
    return (
        "HTTP/1.1 200 OK\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\n"
        "X-Rate-Limit-Limit: 1000000\r\n"
        "X-Rate-Limit-Remaining: 999999\r\n"
        f"X-Rate-Limit-Reset: {records.RESETS}\r\n"
        "X-Correlation-Id: 3f2504e04f8911d39a0c0305e82c3301\r\n\r\n"
    ).encode()


def _response(body: bytes) -> bytes:
    return _head(len(body)) + body


@lru_cache(maxsize=512)
def _record(kind: str, identifier: str) -> bytes:
    return _response(records.rendered(kind, int(identifier)))


@lru_cache(maxsize=32)
def _records(kind: str, count: int) -> list[bytes]:
    joined = b",".join(records.rendered(kind, index) for index in range(count))
    return joined.split(records.PAGE_MARK.encode())


def _list_page(kind: str, query: str, total: int) -> bytes:
    asked = parse_qs(query)
    number, size = int(asked["page"][0]), int(asked["pageSize"][0])
    count = max(0, min(size, total - (number - 1) * size))
    head, tail = records.envelope(kind, number, size, total)
    return _response(head + records.page_number(number).join(_records(kind, count)) + tail)


async def _serve() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    machine.unpace(listening)
    await asyncio.get_running_loop().create_server(Server, sock=listening, backlog=2048)
    print(listening.getsockname()[1], flush=True)
    # It ends with its parent process, whose end of this pipe then closes.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    machine.pin(machine.SERVER)
    uvloop.run(_serve())
