"""The one place that knows aiohttp: sends a request, and maps its exceptions to typed errors."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from codat_async.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    RequestTimeout,
    TLSError,
    TransportError,
)
from codat_middleware.messages import Body, Request, Response, Timeout

_REASON: Final = 200
"""Characters kept of the text of an aiohttp error: some quote what the server sent."""
_READ_AHEAD: Final = 1 << 18
"""Bytes buffered of an answer: with aiohttp's default of 64 kB a page of 1,000 records pauses
the socket so often that reading it takes a quarter longer."""
_PIECE: Final = 1 << 16
"""Bytes of an upload passed to aiohttp at once, which then waits for the socket."""
_ERROR_BODY: Final = 1 << 20
"""Bytes read of the error answer to a request for a stream."""


class AiohttpTransport:
    """The innermost handler: one request, one attempt, one answer.

    A session of its own is created by the first request and closed by :meth:`aclose`; one that
    was passed in is used unchanged and left open. Redirects are not followed, and an answer
    of any status is returned.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        timeout: Timeout,
        max_connections: int,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self.base_url = checked_base_url(base_url)
        base = URL(self.base_url)
        self._scheme, self._authority = base.scheme, base.raw_authority
        self._before = base.raw_path.rstrip("/")
        self._headers: CIMultiDict[str] = CIMultiDict()
        for name, value in headers.items():
            # Of two that differ only in case the later wins: a header must not be sent twice.
            self._headers[name] = value
        self._timeout = timeout
        self._usual_limits = _limits(timeout, streamed=False)
        self._max_connections = max_connections
        self._session = session
        self._owns_session = session is None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("this client is closed; create a new one")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            read_bufsize=_READ_AHEAD,
        )
        return self._session

    def _belong_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            raise RuntimeError(
                "this client belongs to the event loop of its first request; "
                "create one in each event loop, that is, in each asyncio.run"
            )
        self._loop = loop

    def _completed(self, headers: Mapping[str, str]) -> CIMultiDict[str]:
        """The headers together with the client's, which a session that was passed in does not add."""
        completed = CIMultiDict(self._headers)
        completed.update(headers)
        return completed

    async def aclose(self) -> None:
        """Close the session and its connections, unless it was passed in."""
        if self._owns_session:
            self._closed = True
            session, self._session = self._session, None
            if session is not None:
                await session.close()

    async def __call__(self, request: Request) -> Response:
        """Send one attempt; raises a :class:`~codat_async.errors.TransportError`."""
        session = self._session or self._open()
        if self._loop is not (loop := asyncio.get_running_loop()):
            self._belong_to(loop)
        # Built from parts, which is faster than parsing them from a string.
        url = URL.build(
            scheme=self._scheme,
            authority=self._authority,
            path=self._before + request.path,
            query_string=_query(request),
            encoded=True,
        )
        headers = (request.headers or None) if self._owns_session else self._completed(request.headers)
        data = None
        limits = self._usual_limits
        streamed = request.stream or (request.body is not None and callable(request.body.content))
        if streamed or request.timeout is not None:
            limits = _limits(request.timeout or self._timeout, streamed=streamed)
        if request.body is not None:
            headers = CIMultiDict(headers or ())
            headers["Content-Type"] = request.body.content_type
            data = _payload(request.body, headers, limits)
        sending = session.request(
            request.method,
            url,
            headers=headers,
            data=data,
            timeout=limits,
            allow_redirects=False,
            raise_for_status=False,
        )
        try:
            response = await (data.answered(sending) if isinstance(data, _Content) else sending)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(data, _Content) and data.failure is not None:
                raise data.failure from None
            raise _mapped(error, request) from error
        if request.stream and response.status < 300:
            return Response(
                status=response.status, headers=response.headers, stream=_Stream(response, request)
            )
        try:
            # Reading to the end releases the connection.
            body = await (_beginning(response) if request.stream else response.read())
        except BaseException as error:
            response.close()
            if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
                raise _mapped(error, request) from error
            raise
        return Response(status=response.status, headers=response.headers, body=body)


@lru_cache
def _limits(wanted: Timeout, *, streamed: bool) -> aiohttp.ClientTimeout:
    total = None if streamed else wanted.total
    # A timer for each packet is expensive, and useless if it cannot fire before the total's.
    silence = None if total is not None and wanted.read is not None and wanted.read >= total else wanted.read
    connect = wanted.connect
    if total is not None:
        # A time-out of its own shows that nothing was sent. A fifth is enough to fire before the
        # total's, although aiohttp rounds up to whole seconds from five seconds on.
        connect = total * 0.8 if connect is None else min(connect, total * 0.8)
    return aiohttp.ClientTimeout(total=total, connect=connect, sock_connect=connect, sock_read=silence)


class _Stream:
    """The body of a streamed answer."""

    def __init__(self, response: aiohttp.ClientResponse, request: Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _mapped(error, self._request) from error

    async def aclose(self) -> None:
        """Release the connection if the body was read to its end, otherwise close it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) >= _ERROR_BODY:
            response.close()
            break
    return bytes(body)


def _payload(body: Body, headers: CIMultiDict[str], limits: aiohttp.ClientTimeout) -> "bytes | _Content":
    if isinstance(body.content, bytes):
        if limits.total is not None:
            return body.content
        # Only a stream is watched while it is sent, and there is no total to end this body.
        whole = body.content
        body = Body(lambda: _single(whole), length=len(whole))
    assert callable(body.content)
    if body.length is not None:
        headers["Content-Length"] = str(body.length)
    return _Content(body.content, limits.sock_read)


async def _single(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


class _Content:
    """The streamed body of one attempt; ``failure`` is the exception of its source, if that failed.

    It times out if the server reads nothing of it for ``silence`` seconds, since aiohttp watches
    the socket only once everything is sent. The time that the source takes is not counted.
    """

    def __init__(self, opened: Callable[[], AsyncIterable[bytes]], silence: float | None) -> None:
        self._open = opened
        self._silence = silence
        self._deadline: asyncio.Timeout | None = None
        self.failure: Exception | None = None

    async def answered(self, sending: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        """Send the request and return its answer; raises SocketTimeoutError after ``silence``."""
        try:
            async with asyncio.timeout(None) as self._deadline:
                return await sending
        except TimeoutError:
            if self._deadline is not None and self._deadline.expired():
                raise aiohttp.SocketTimeoutError from None
            raise
        finally:
            # The rest may be sent while aiohttp reads the answer, with a time-out of its own.
            self._deadline = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._open():
                if not isinstance(piece, bytes | bytearray | memoryview):
                    raise TypeError(f"the source of an upload must yield bytes, not {type(piece).__name__}")
                # In small pieces: a slow connection would need longer than the limit for a large one.
                for start in range(0, len(piece), _PIECE):
                    self._watch(self._silence)
                    yield piece[start : start + _PIECE]
                    self._watch(None)
        except Exception as error:
            self.failure = error
            raise

    def _watch(self, silence: float | None) -> None:
        if self._deadline is not None and not self._deadline.expired():
            now = asyncio.get_running_loop().time()
            self._deadline.reschedule(None if silence is None else now + silence)


def _query(request: Request) -> str:
    return urlencode(request.query, quote_via=quote) if request.query else ""


def _mapped(error: Exception, request: Request) -> TransportError:
    """The typed error for one of aiohttp's."""
    _clean(error, request)
    target = {"method": request.method, "path": request.path}
    match error:
        case aiohttp.ConnectionTimeoutError():
            return RequestTimeout("no connection in time", phase="connect", sent=False, **target)
        case aiohttp.SocketTimeoutError():
            return RequestTimeout("nothing received in time", phase="read", sent=True, **target)
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return TLSError(_reason(error), sent=False, **target)
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError() | aiohttp.InvalidURL():
            return ConnectError(_reason(error), sent=False, **target)
        case TimeoutError():
            return RequestTimeout("the attempt took too long", phase="total", sent=True, **target)
        case _:
            return ConnectionLost(_reason(error), sent=True, **target)


def _clean(error: Exception, request: Request) -> None:
    """Remove the query and the credential from aiohttp's error, since a chained error is logged too."""
    if isinstance(error, aiohttp.ClientResponseError):
        url = URL(request.path, encoded=True)
        error.request_info = aiohttp.RequestInfo(url, request.method, CIMultiDictProxy(CIMultiDict()), url)
        error.args = (error.request_info, error.history)
    elif query := _query(request):
        error.args = tuple(_without(query, argument) for argument in error.args)
        if isinstance(error, OSError):
            # The text of an OSError is not made from its arguments.
            error.strerror = _without(query, error.strerror)


def _without(query: str, value: Any) -> Any:
    return value.replace(f"?{query}", "") if isinstance(value, str) else value


def _reason(error: Exception) -> str:
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return " ".join(text.split())[:_REASON] or type(error).__name__


def checked_base_url(base_url: str) -> str:
    """The base URL without a slash at its end; raises ConfigurationError if it is not valid."""
    try:
        url = URL(base_url)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
        raise ConfigurationError(f"not a base URL: {base_url!r}; it must look like https://api.codat.io")
    if url.user is not None:
        raise ConfigurationError("base_url must not contain credentials; pass the key as api_key")
    return str(url).rstrip("/")
