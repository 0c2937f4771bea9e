"""Sends answers, and breaks them off as faults ask: waits, resets, stalls, and bodies cut short.

The waits end with the request: aiohttp cancels it when the client goes or the sandbox stops.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web

from codat_async.sandbox.faults import Fault
from codat_async.sandbox.replies import FileReply, Reply

_BREAKS_BODY: Final = frozenset({"reset-body", "truncate", "stall-body", "drip"})
_DRIPS: Final = 20


async def before(request: web.BaseRequest, struck: Sequence[Fault]) -> web.StreamResponse | None:
    """Waits as long as the faults say; a response only if the connection breaks before the work."""
    for fault in struck:
        if fault.kind == "latency":
            await asyncio.sleep(fault.amount)
        elif fault.kind == "stall":
            await asyncio.sleep(fault.amount)
            return _hang_up(request)
        elif fault.kind == "reset":
            return _reset(request)
    return None


async def send(
    request: web.BaseRequest,
    reply: Reply | FileReply,
    limits: Mapping[str, str],
    struck: Sequence[Fault],
) -> web.StreamResponse:
    """Sends an answer, or the part of it that the faults let through."""
    headers = dict(limits)
    if reply.content_type is not None:
        headers[hdrs.CONTENT_TYPE] = reply.content_type
    if isinstance(reply, FileReply):
        headers[hdrs.CONTENT_DISPOSITION] = disposition(reply.name)
    elif reply.headers:
        headers |= reply.headers
    for fault in struck:
        if fault.kind == "lost":
            return _reset(request)
        if fault.kind in _BREAKS_BODY:
            return await _break(request, reply, headers, fault)
    if isinstance(reply, FileReply):
        return web.FileResponse(reply.path, headers=headers, chunk_size=262144)
    return web.Response(status=reply.status, body=reply.body, headers=headers)


async def _break(
    request: web.BaseRequest, reply: Reply | FileReply, headers: dict[str, str], fault: Fault
) -> web.StreamResponse:
    if isinstance(reply, FileReply):
        body, status = await asyncio.to_thread(reply.path.read_bytes), 200
    else:
        body, status = reply.body, reply.status
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    if fault.kind == "drip":
        size = max(len(body) // _DRIPS, 1)
        for start in range(0, len(body), size):
            await response.write(body[start : start + size])
            await asyncio.sleep(fault.amount / _DRIPS)
        return response
    await response.write(body[: max(len(body) // 2, 1)])
    if fault.kind == "reset-body":
        # What was written has to leave the buffer first, or nothing of it arrives.
        await asyncio.sleep(0.01)
        return _reset(request, response)
    if fault.kind == "stall-body":
        await asyncio.sleep(fault.amount)
    return _hang_up(request, response)


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
    if request.transport is not None:
        request.transport.close()
    return _ended(response)


def _ended(response: web.StreamResponse | None) -> web.StreamResponse:
    ended = response or web.Response()
    ended.force_close()
    return ended
