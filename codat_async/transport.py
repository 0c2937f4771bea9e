"""The one place that knows aiohttp: sends a request, and maps its exceptions to typed errors."""

import asyncio
import math
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping
from functools import lru_cache
from ipaddress import ip_address
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
    ResponseTooLarge,
    TLSError,
    TransportError,
)
from codat_async.proxies import find_proxy, http_url
from codat_middleware.messages import Body, Request, Response, Timeout
from codat_middleware.text import one_line

_READ_AHEAD: Final = 1 << 18
"""Bytes buffered of an answer: with aiohttp's default of 64 kB a page of 1,000 records pauses
the socket so often that reading it takes a quarter longer."""
_PIECE: Final = 1 << 16
"""Bytes of an upload passed to aiohttp at once, which then waits for the socket."""
_ERROR_BODY: Final = 1 << 20
"""Bytes read of the body of an answer that is not a success."""
_HEADER: Final = 1 << 16
"""Bytes of one header of an answer, or of its status line; aiohttp accepts 128 headers."""

_TOO_LARGE: Final = re.compile("Got more than|Too many headers")
"""How the texts of aiohttp's errors for headers begin; they have no class of their own."""


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
        max_response_size: int | None = None,
        proxy: str | None = None,
        source_address: str | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        base = URL(base_url)
        self._scheme, self._authority = base.scheme, base.raw_authority
        self._before = base.raw_path.rstrip("/")
        self._headers: CIMultiDict[str] = CIMultiDict()
        for name, value in headers.items():
            # Of two that differ only in case the later wins: a header must not be sent twice.
            self._headers[name] = value
        # A session that was passed in has its own idea of the environment.
        found = find_proxy(base, proxy) if session is None or proxy else None
        self._proxy: dict[str, Any] = {}
        if found is not None:
            self._proxy = {"proxy": found.url, "proxy_headers": found.headers}
        if found is not None and self._scheme == "http":
            # Without a tunnel the proxy reads the headers of the request itself.
            self._headers.update(found.headers)
        self._timeout = timeout
        self._deadlines = None if timeout.total is None else _Deadlines(timeout.total)
        self._usual_limits = _limits(timeout, streamed=False)
        self._max_connections = max_connections
        self._max_size = max_response_size or sys.maxsize
        self._source = None if source_address is None else _bindable(source_address)
        self._session = session
        self._owns_session = session is None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def connections(self) -> float:
        """Connections that can be open at once to the API; infinity for no limit."""
        if self._owns_session or self._session is None or self._session.connector is None:
            return self._max_connections
        connector = self._session.connector
        return min(connector.limit or math.inf, connector.limit_per_host or math.inf)

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("this client is closed; create a new one")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, local_addr=self._source),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            read_bufsize=_READ_AHEAD,
        )
        # aiohttp would send a GET, PUT or DELETE again by itself if the connection breaks: in no count of
        # attempts, and outside the rate limit. It has no public switch for that.
        if hasattr(self._session, "_retry_connection"):
            self._session._retry_connection = False
        return self._session

    def _belong_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            raise RuntimeError(
                "this client belongs to the event loop of its first request; "
                "create one in each event loop, that is, in each asyncio.run"
            )
        self._loop = loop

    async def aclose(self) -> None:
        """Close the session and its connections, unless it was passed in."""
        if self._deadlines is not None:
            self._deadlines.stop()
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
            query_string=_query(request) if request.query else "",
            encoded=True,
        )
        timeout, limits, shared = self._timeout, self._usual_limits, self._deadlines
        body = request.body
        streamed = request.stream or (body is not None and callable(body.content))
        if streamed or request.timeout is not None:
            timeout, shared = request.timeout or timeout, None
            limits = _limits(timeout, streamed=streamed)
        whole = not streamed and timeout.total is not None
        headers = request.headers
        if not self._owns_session:
            # The client's, which a session that was passed in does not add.
            headers = CIMultiDict(self._headers)
            headers.update(request.headers)
        data: bytes | _Content | None = None
        content: _Content | None = None
        if body is not None:
            headers = CIMultiDict(headers)
            headers["Content-Type"] = body.content_type
            if whole and isinstance(body.content, bytes):
                data = body.content
            else:
                data = content = _Content(body, limits.sock_read, timeout.total)
                if content.length is not None:
                    headers["Content-Length"] = str(content.length)
        sending = session.request(
            request.method,
            url,
            headers=headers,
            data=data,
            timeout=limits,
            allow_redirects=False,
            raise_for_status=False,
            max_line_size=_HEADER,
            max_field_size=_HEADER,
            **self._proxy,
        )
        try:
            if shared is not None:
                return await shared.wait_for(self._whole_answer(sending, request), loop)
            async with asyncio.timeout(timeout.total if content is None else None) as deadline:
                response = await (sending if content is None else content.answered(sending, deadline))
                if request.stream and response.status < 300:
                    stream = _Stream(response, request, limits.sock_read)
                    return Response(status=response.status, headers=response.headers, stream=stream)
                if not whole:
                    _expire_in(deadline, timeout.total)
                return await self._answer(response, request, None if whole else limits.sock_read)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if content is not None:
                if content.failure is not None:
                    raise content.failure from None
                if isinstance(error, TimeoutError) and content.unread:
                    error = aiohttp.SocketTimeoutError()
            raise _mapped(error, request) from error

    async def _whole_answer(self, sending: Awaitable[aiohttp.ClientResponse], request: Request) -> Response:
        return await self._answer(await sending, request, None)

    async def _answer(
        self, response: aiohttp.ClientResponse, request: Request, silence: float | None
    ) -> Response:
        """Read the body, of a failure its beginning only; raises ResponseTooLarge."""
        content = response.content
        failed = response.status >= 300
        limit = _ERROR_BODY if failed else min(self._max_size, request.max_response_size or sys.maxsize)
        if content.is_eof():
            size: float = content.total_bytes
        else:
            # Known beforehand, unless it is inflated or must be watched while it arrives.
            plain = silence is None and "Content-Encoding" not in response.headers
            size = (plain and response.content_length) or math.inf
        try:
            if size <= limit:
                # What has arrived is read without the steps that waiting takes.
                body = content.read_nowait() if content.is_eof() else await response.read()
            else:
                size, pieces = 0, []
                while piece := await _piece(content, silence):
                    pieces.append(piece)
                    size += len(piece)
                    if size > limit:
                        response.close()
                        if not failed:
                            # The error's traceback would keep them.
                            pieces.clear()
                            raise _too_large(f"its body is larger than {limit:,} bytes", request)
                        break
                    # Reading also inflates what follows, without returning to the event loop.
                    await asyncio.sleep(0)
                body = b"".join(pieces)
        except BaseException:
            response.close()
            raise
        return Response(status=response.status, headers=response.headers, body=body)


class _Deadlines:
    """Cancels attempts that have not ended in so many seconds, as :func:`asyncio.timeout` does.

    All may take as long, so they are due in the order in which they began, and share one timer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def wait_for(self, attempt: Awaitable[Response], loop: asyncio.AbstractEventLoop) -> Response:
        task = asyncio.current_task(loop)
        assert task is not None
        cancelling = task.cancelling()
        self._due[task] = due = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._expire, loop)
        try:
            return await attempt
        except BaseException as error:
            expired = task not in self._due and task.uncancel() <= cancelling
            if expired and isinstance(error, asyncio.CancelledError):
                raise TimeoutError from None
            raise
        finally:
            self._due.pop(task, None)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for task, due in tuple(self._due.items()):
            if due > loop.time():
                self._timer = loop.call_at(due, self._expire, loop)
                break
            del self._due[task]
            task.cancel()

    def stop(self) -> None:
        """Cancel the timer, unless attempts are under way."""
        if self._timer is not None and not self._due:
            self._timer.cancel()
            self._timer = None


async def _piece(content: aiohttp.StreamReader, silence: float | None) -> bytes:
    """The next bytes of a body; raises SocketTimeoutError after so many seconds without any.

    aiohttp's own time-out ends with the connection. A body whose decompression fails at its end
    is then never ended, and one whose decompression fails before is a RuntimeError.
    """
    try:
        async with asyncio.timeout(silence):
            return await content.readany()
    except TimeoutError:
        raise aiohttp.SocketTimeoutError from None
    except RuntimeError as error:
        raise aiohttp.ClientPayloadError(str(error)) from error


def _expire_in(deadline: asyncio.Timeout, seconds: float | None) -> None:
    """Move the deadline to so many seconds from now, or away."""
    if not deadline.expired():
        now = asyncio.get_running_loop().time()
        deadline.reschedule(None if seconds is None else now + seconds)


@lru_cache
def _limits(wanted: Timeout, *, streamed: bool) -> aiohttp.ClientTimeout:
    total = None if streamed else wanted.total
    # A timer for each packet is expensive, and useless if it cannot fire before the total's.
    silence = None if total is not None and wanted.read is not None and wanted.read >= total else wanted.read
    connect = wanted.connect
    if wanted.total is not None:
        # A time-out of its own shows that nothing was sent. A fifth is enough to fire before the
        # total's, although aiohttp rounds up to whole seconds from five seconds on.
        connect = min(wanted.total * 0.8, connect or wanted.total)
    # Of the total :class:`AiohttpTransport` takes care itself: aiohttp's timer costs a tenth of a small GET.
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=silence)


class _Stream:
    """The body of a streamed answer."""

    def __init__(self, response: aiohttp.ClientResponse, request: Request, silence: float | None) -> None:
        self._response = response
        self._request = request
        self._silence = silence

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await _piece(self._response.content, self._silence):
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _mapped(error, self._request) from error

    async def aclose(self) -> None:
        """Release the connection if the body was read to its end, otherwise close it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


async def _single(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


class _Content:
    """The streamed body of one attempt; ``failure`` is the exception of its source, if that failed.

    The attempt's deadline allows ``silence`` seconds for the server to read each piece, since
    aiohttp watches the socket only once everything is sent, and then ``total`` for the headers
    of the answer. The time that the source takes is not counted.
    """

    def __init__(self, body: Body, silence: float | None, total: float | None) -> None:
        self._content = body.content
        self.length = len(body.content) if isinstance(body.content, bytes) else body.length
        self._silence = silence
        self._total = total
        self._deadline: asyncio.Timeout | None = None
        self.failure: Exception | None = None
        self.unread = False
        """Whether a piece was passed to aiohttp that the server has not read."""

    async def answered(
        self, sending: Awaitable[aiohttp.ClientResponse], deadline: asyncio.Timeout
    ) -> aiohttp.ClientResponse:
        """Send the request and return its answer, moving the deadline on with each piece."""
        self._deadline = deadline
        try:
            return await sending
        finally:
            # The rest may be sent while the answer is read, which has a deadline of its own.
            self._deadline = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            source = self._content
            async for piece in _single(source) if isinstance(source, bytes) else source():
                if not isinstance(piece, bytes | bytearray | memoryview):
                    raise TypeError(f"the source of an upload must yield bytes, not {type(piece).__name__}")
                # In small pieces: a slow connection would need longer than the limit for a large one.
                for start in range(0, len(piece), _PIECE):
                    self._expire_in(self._silence, unread=True)
                    yield piece[start : start + _PIECE]
                    self._expire_in(None)
            self._expire_in(self._total)
        except Exception as error:
            self.failure = error
            raise

    def _expire_in(self, seconds: float | None, *, unread: bool = False) -> None:
        if self._deadline is not None:
            self.unread = unread
            _expire_in(self._deadline, seconds)


def _query(request: Request) -> str:
    return _encoded(tuple(request.query))


@lru_cache(maxsize=512)
def _encoded(query: tuple[tuple[str, str], ...]) -> str:
    return urlencode(query, quote_via=quote)


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
        case aiohttp.ClientResponseError() if _TOO_LARGE.match(error.message):
            return _too_large(f"its headers have more than {_HEADER:,} bytes each, or are too many", request)
        case TimeoutError():
            return RequestTimeout("the attempt took too long", phase="total", sent=True, **target)
        case _:
            return ConnectionLost(_reason(error), sent=True, **target)


def _too_large(reason: str, request: Request) -> ResponseTooLarge:
    return ResponseTooLarge(
        f"the answer is too large: {reason}", method=request.method, path=request.path, sent=True
    )


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
    return one_line(text) or type(error).__name__


def _bindable(address: str) -> tuple[str, int]:
    """A source address, with any port; raises ConfigurationError if this machine cannot send from it."""
    try:
        family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.bind((address, 0))
    except ValueError:
        raise ConfigurationError(f"the source address {address!r} is not an IP address") from None
    except OSError as error:
        reason = f"this machine cannot send from it ({error.strerror})"
        raise ConfigurationError(f"the source address {address}: {reason}") from None
    return address, 0


def checked_base_url(base_url: str) -> str:
    """The base URL without a slash at its end; raises ConfigurationError if it is not valid."""
    url = http_url(base_url)
    if url is not None and url.user is not None:
        raise ConfigurationError("base_url must not contain credentials; pass the key as api_key")
    if url is None or url.query_string or url.fragment:
        raise ConfigurationError(f"not a base URL: {base_url!r}; it must look like https://api.codat.io")
    return str(url).rstrip("/")
