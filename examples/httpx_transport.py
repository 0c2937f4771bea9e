"""httpx in place of aiohttp: ``Codat(transport=HttpxTransport(client))``.

For programs that have an ``httpx.AsyncClient`` with proxies, certificates or tracing of its own.
Keep its redirects off, as they are by default: a redirect would be sent the credential.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from urllib.parse import quote, urlencode

import httpx

from codat_async import Request, Response, errors


class HttpxTransport:
    """One request, one attempt, one answer of any status; whoever made the httpx client closes it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, request: Request) -> Response:
        """Send one attempt; raises a TransportError if there is no complete answer."""
        assert request.timeout, "Codat sets the time-out, the base URL and all headers"
        connect, total = request.timeout.connect, request.timeout.total
        if total:
            # So that an attempt that never got a connection is reported as that.
            connect = min(total * 0.8, connect or total)
        query = f"?{urlencode(request.query, quote_via=quote)}" if request.query else ""
        content = request.body.content if request.body else None
        try:
            async with asyncio.timeout(None if callable(content) else total) as deadline:
                sent = self._client.build_request(
                    request.method,
                    request.base_url + request.path + query,
                    headers=dict(request.headers),
                    content=_upload(content(), deadline, total) if callable(content) else content,
                    timeout=httpx.Timeout(request.timeout.read, connect=connect, pool=connect),
                )
                answer = await self._client.send(sent, stream=True)
                body = _Body(answer, request)
                if request.stream and answer.is_success:
                    return Response(status=answer.status_code, headers=answer.headers, stream=body)
                return Response(status=answer.status_code, headers=answer.headers, body=await body.read())
        except (httpx.HTTPError, TimeoutError) as error:
            raise _mapped(error, request) from error


async def _upload(
    pieces: AsyncIterable[bytes], deadline: asyncio.Timeout, total: float | None
) -> AsyncIterator[bytes]:
    """Pass the pieces on, and begin the total time-out once all are sent."""
    async for piece in pieces:
        yield piece
    if total:
        deadline.reschedule(asyncio.get_running_loop().time() + total)


class _Body:
    """The body of an answer, streamed or read."""

    def __init__(self, answer: httpx.Response, request: Request) -> None:
        self._answer, self._request = answer, request

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        try:
            async for piece in self._answer.aiter_bytes():
                yield piece
        except httpx.HTTPError as error:
            raise _mapped(error, self._request) from error

    async def aclose(self) -> None:
        """Release the connection, or close it if the body was not read to its end."""
        await self._answer.aclose()

    async def read(self) -> bytes:
        """Read the body, of a failure a megabyte; raises ResponseTooLarge."""
        succeeded = self._answer.is_success
        limit = self._request.max_response_size if succeeded else 1 << 20
        body = bytearray()
        try:
            async with aclosing(aiter(self)) as pieces:
                async for piece in pieces:
                    body += piece
                    if limit and len(body) > limit:
                        if not succeeded:
                            break
                        raise errors.ResponseTooLarge(
                            f"the answer is larger than {limit:,} bytes",
                            method=self._request.method,
                            path=self._request.path,
                            sent=True,
                        )
            return bytes(body)
        finally:
            await self.aclose()


def _mapped(error: Exception, request: Request) -> errors.TransportError:
    """The error of this client for one of httpx's, whose texts hold neither query nor credential."""
    where = {"method": request.method, "path": request.path}
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return errors.RequestTimeout("no connection in time", phase="connect", sent=False, **where)
        case httpx.TimeoutException():
            return errors.RequestTimeout("nothing received in time", phase="read", sent=True, **where)
        case TimeoutError():
            return errors.RequestTimeout("the attempt took too long", phase="total", sent=True, **where)
        case httpx.ConnectError() if _is_tls(error):
            return errors.TLSError(reason, sent=False, **where)
        case httpx.ConnectError() | httpx.ProxyError() | httpx.UnsupportedProtocol():
            return errors.ConnectError(reason, sent=False, **where)
        case _:
            return errors.ConnectionLost(reason, sent=True, **where)


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None
