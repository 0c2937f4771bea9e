"""Passes requests on from a client to the sandbox, and makes some of the answers hostile."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import NamedTuple, Self

import aiohttp
from yarl import URL

from codat_async.sandbox import Sandbox
from codat_middleware import authorization
from tests.fuzz.mutations import Answer, mutated

__all__ = ["HostileServer"]

_DROPPED = {"content-length", "transfer-encoding", "connection", "date", "server"}
_PASSED_ON = {"content-type", "range", "if-range", "idempotency-key"}


class HostileServer:
    """Answers as the sandbox does, and mutates a part of the answers.

    What is done to an answer depends on the seed, the request, and how often it came.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._proper: dict[tuple[str, str], Answer] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self.url = ""
        self.begin("", 0.0)

    def begin(self, seed: str, part: float) -> None:
        """Mutate this part of the answers from now on."""
        self._seed, self._part = seed, part
        self._came: Counter[str] = Counter()
        self.notes: list[str] = []
        """What was done to which answer."""
        self.requests = 0

    def calm(self) -> None:
        """Mutate no more answers until the next ``begin``."""
        self._part = 0.0

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The connections that are served."""
        return self._serving

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._session.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            while True:
                answer = await self._answer(await _request(reader))
                writer.write(answer.wire())
                await writer.drain()
                if answer.cut is not None or answer.length is not None or answer.before or answer.after:
                    break
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        except asyncio.LimitOverrunError:
            # A path with a hostile id of more than 64 kB.
            pass
        finally:
            self._serving.discard(task)
            writer.close()
            with suppress(Exception):
                await writer.wait_closed()

    async def _answer(self, request: "_Request") -> Answer:
        answer = await self._proper_answer(request)
        key = f"{request.method} {request.target}"
        rng = random.Random(f"{self._seed}/{key}/{self._came[key]}")
        self._came[key] += 1
        self.requests += 1
        if rng.random() < self._part:
            answer = mutated(answer, rng)
            self.notes.append(f"{key}: {', '.join(answer.notes)}")
        return answer

    async def _proper_answer(self, request: "_Request") -> Answer:
        key = (request.target, request.headers.get("range", ""))
        if request.method == "GET" and key in self._proper:
            return self._proper[key]
        headers = {name: text for name, text in request.headers.items() if name in _PASSED_ON}
        headers["Authorization"] = authorization(self._sandbox.api_key)
        url = URL(self._sandbox.base_url + request.target, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=request.body, allow_redirects=False
        ) as response:
            kept = [each for each in response.headers.items() if each[0].lower() not in _DROPPED]
            answer = Answer(response.status, kept, await response.read())
        # Only what does not change: an operation that was started is read until it ends.
        if request.method == "GET" and "/push" not in request.target:
            self._proper[key] = answer
        return answer


class _Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


async def _request(reader: asyncio.StreamReader) -> _Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    fields = (line.partition(": ") for line in head[1:] if line)
    headers = {name.lower(): text for name, _, text in fields}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return _Request(method, target, headers, body)
