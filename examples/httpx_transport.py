"""httpx in place of aiohttp: ``Codat(transport=HttpxTransport(client))``. You close the client of httpx."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from urllib.parse import quote, urlencode

import httpx

from codat_async import Request, Response, errors


class HttpxTransport:
    """One request, one attempt, one answer of any status. The client must not follow redirects."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, request: Request) -> Response:
        """Send one attempt; raises a TransportError if there is no complete answer."""
        assert request.timeout, "Codat sets the time-out, the base URL and all headers"
        limits, total = request.timeout, request.timeout.total
        # An attempt that never gets a connection must end as that, before the total.
        connect = min(total * 0.8, limits.connect or total) if total else limits.connect
        content = request.body.content if request.body else None
        query = f"?{urlencode(request.query, quote_via=quote)}" if request.query else ""
        try:
            async with asyncio.timeout(None if callable(content) else total) as deadline:
                sent = self._client.build_request(
                    request.method,
                    request.base_url + request.path + query,
                    headers=dict(request.headers),
                    content=_upload(content(), deadline, total) if callable(content) else content,
                    timeout=httpx.Timeout(limits.read, connect=connect, pool=connect),
                )
                answer = await self._client.send(sent, stream=True)
                body = _Body(answer, request)
                head = Response(status=answer.status_code, headers=answer.headers)
                if request.stream and answer.is_success:
                    return head.copy(stream=body)
                return head.copy(body=await body.read())
        except (httpx.HTTPError, TimeoutError) as error:
            raise _mapped(error, request) from error


async def _upload(
    pieces: AsyncIterable[bytes], deadline: asyncio.Timeout, total: float | None
) -> AsyncGenerator[bytes]:
    async for piece in pieces:
        yield piece
    if total:  # It begins once everything is sent.
        deadline.reschedule(asyncio.get_running_loop().time() + total)


class _Body:
    def __init__(self, answer: httpx.Response, request: Request) -> None:
        self._answer, self._request, self.aclose = answer, request, answer.aclose

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        try:
            async for piece in self._answer.aiter_bytes():
                yield piece
        except httpx.HTTPError as error:
            raise _mapped(error, self._request) from error

    async def read(self) -> bytes:
        """Read the body, of a failure a megabyte."""
        body, limit = bytearray(), self._request.max_response_size if self._answer.is_success else 1 << 20
        async with aclosing(self), aclosing(aiter(self)) as pieces:
            async for piece in pieces:
                body += piece
                if limit and len(body) > limit:
                    if self._answer.is_success:
                        where = {"method": self._request.method, "path": self._request.path}
                        raise errors.ResponseTooLarge(f"larger than {limit:,} bytes", sent=True, **where)
                    break
        return bytes(body)


def _mapped(error: Exception, request: Request) -> errors.TransportError:
    where = {"method": request.method, "path": request.path}
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return errors.RequestTimeout("no connection in time", phase="connect", sent=False, **where)
        case httpx.TimeoutException():
            return errors.RequestTimeout("nothing received in time", phase="read", sent=True, **where)
        case TimeoutError():
            return errors.RequestTimeout("the attempt took too long", phase="total", sent=True, **where)
        case httpx.ConnectError() | httpx.ProxyError() | httpx.UnsupportedProtocol():
            kind = errors.TLSError if "SSL" in reason else errors.ConnectError
            return kind(reason, sent=False, **where)
        case _:
            return errors.ConnectionLost(reason, sent=True, **where)
