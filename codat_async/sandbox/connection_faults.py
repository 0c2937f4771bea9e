"""Carries out the faults of the connection: waits, resets, stalls and bodies that break off."""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web

from codat_async.sandbox.faults import Fault
from codat_async.sandbox.replies import FileReply, Reply

__all__ = ["Sabotage"]

_BREAKS_BODY: Final = frozenset({"reset-body", "truncate", "stall-body", "drip"})
_DRIPS: Final = 20


class Sabotage:
    """Breaks answers as faults say; the waits among them end at once when the sandbox stops."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Lets waits last as long as they should."""
        self._stopping.clear()

    def stop(self) -> None:
        """Ends all waits."""
        self._stopping.set()

    async def wait(self, seconds: float) -> None:
        """Sleeps, but not beyond the sandbox's stop."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def before(self, request: web.BaseRequest, struck: Sequence[Fault]) -> web.StreamResponse | None:
        """Waits as long as the faults say; an answer only where the connection breaks before the work."""
        for fault in struck:
            if fault.kind == "latency":
                await self.wait(fault.amount)
            elif fault.kind == "stall":
                await self.wait(fault.amount)
                return _hang_up(request)
            elif fault.kind == "reset":
                return _reset(request)
        return None

    @staticmethod
    def instead(struck: Sequence[Fault]) -> Fault | None:
        """The fault that is answered in place of the real answer, if one is."""
        for fault in struck:
            if fault.status is not None or fault.kind in ("html", "empty"):
                return fault
        return None

    async def after(
        self, request: web.BaseRequest, reply: Reply, limits: Mapping[str, str], struck: Sequence[Fault]
    ) -> web.StreamResponse:
        """Sends a finished answer, or the part of it that the faults let through."""
        headers = dict(limits) | dict(reply.headers or {})
        if reply.content_type is not None:
            headers[hdrs.CONTENT_TYPE] = reply.content_type
        for fault in struck:
            if fault.kind == "lost":
                return _reset(request)
            if fault.kind in _BREAKS_BODY:
                response = web.StreamResponse(status=reply.status, headers=headers)
                response.content_length = len(reply.body)
                await response.prepare(request)
                return await self._break(request, response, reply.body, fault)
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    async def after_file(
        self, request: web.BaseRequest, reply: FileReply, limits: Mapping[str, str], struck: Sequence[Fault]
    ) -> web.StreamResponse:
        """Sends a file, or the part of it that the faults let through."""
        headers = dict(limits) | {
            hdrs.CONTENT_TYPE: reply.content_type,
            hdrs.CONTENT_DISPOSITION: disposition(reply.name),
        }
        for fault in struck:
            if fault.kind == "lost":
                return _reset(request)
            if fault.kind in _BREAKS_BODY:
                body = await asyncio.to_thread(_head, reply.path)
                response = web.StreamResponse(headers=headers)
                response.content_length = body[1]
                await response.prepare(request)
                return await self._break(request, response, body[0], fault)
        return web.FileResponse(reply.path, headers=headers, chunk_size=262144)

    async def _break(
        self, request: web.BaseRequest, response: web.StreamResponse, body: bytes, fault: Fault
    ) -> web.StreamResponse:
        if fault.kind == "drip":
            size = max(len(body) // _DRIPS, 1)
            for start in range(0, len(body), size):
                await response.write(body[start : start + size])
                await self.wait(fault.amount / _DRIPS)
            if (response.content_length or 0) > len(body):
                return _hang_up(request, response)
            return response
        await response.write(body[: max(len(body) // 2, 1)])
        if fault.kind == "reset-body":
            # What was written has to leave the buffer first, or nothing of it arrives.
            await asyncio.sleep(0.01)
            return _reset(request, response)
        if fault.kind == "stall-body":
            await self.wait(fault.amount)
        return _hang_up(request, response)


_HEAD: Final = 1 << 20


def _head(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as file:
        return file.read(_HEAD), path.stat().st_size


def disposition(name: str) -> str:
    """``Content-Disposition`` for a file name of any characters (RFC 6266, with the RFC 8187 form)."""
    plain = "".join(each if " " <= each <= "~" and each not in '"\\' else "_" for each in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _reset(request: web.BaseRequest, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Ends the connection with a reset instead of an orderly close."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # Lingering for no time at all makes the kernel send a reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return _ended(response)


def _hang_up(request: web.BaseRequest, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Closes the connection once what was written has left."""
    transport = request.transport
    if transport is not None:
        transport.close()
    return _ended(response)


def _ended(response: web.StreamResponse | None) -> web.StreamResponse:
    ended = response or web.Response()
    ended.force_close()
    return ended
