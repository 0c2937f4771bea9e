"""The one place that knows aiohttp: sends a request, and maps its exceptions to typed errors."""

import asyncio
import math
import re
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from codat_async import errors
from codat_async.addresses import bindable, find_proxy
from codat_middleware.messages import Request, Response, Timeout
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

_TOO_LARGE: Final = "the answer is too large"
_HEADERS_TOO_LARGE: Final = re.compile("Got more than|Too many headers")
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
        # Built from parts, which is faster than parsing them from a string.
        self._url = partial(URL.build, scheme=base.scheme, authority=base.raw_authority, encoded=True)
        self._before = base.raw_path.rstrip("/")
        self._headers = CIMultiDict(headers)
        self._settings: dict[str, Any] = {
            "allow_redirects": False,
            "raise_for_status": False,
            "max_line_size": _HEADER,
            "max_field_size": _HEADER,
        }
        # A session that was passed in has its own idea of the environment.
        found = find_proxy(base, proxy) if session is None or proxy else None
        if found is not None:
            self._settings |= {"proxy": found.url, "proxy_headers": found.headers}
            if base.scheme == "http":
                # Without a tunnel the proxy reads the headers of the request itself.
                self._headers.update(found.headers)
        self._timeout, self._limits = timeout, _limits(timeout, watched=False)
        self._deadlines = _Deadlines()
        self._max_connections = max_connections
        self._max_size = max_response_size or sys.maxsize
        self._source = None if source_address is None else bindable(source_address)
        self._session = session
        self._owned = session is None
        connector = None if session is None else session.connector
        self.connections: float = max_connections
        """Connections that can be open at once to the API; infinity for no limit."""
        if connector is not None:
            self.connections = min(connector.limit or math.inf, connector.limit_per_host or math.inf)
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def _open(self, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("this client is closed; create a new one")
        if self._loop not in (None, loop):
            raise RuntimeError(
                "this client belongs to the event loop of its first request; "
                "create one in each event loop, that is, in each asyncio.run"
            )
        self._loop = loop
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections, local_addr=self._source),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                read_bufsize=_READ_AHEAD,
            )
            # aiohttp would send a GET, PUT or DELETE again by itself if the connection breaks: in no count
            # of attempts, and outside the rate limit. It has no public switch for that.
            if hasattr(self._session, "_retry_connection"):
                self._session._retry_connection = False
        return self._session

    async def aclose(self) -> None:
        """Close the session and its connections, unless it was passed in."""
        self._deadlines.stop()
        if self._owned:
            self._closed = True
            session, self._session = self._session, None
            if session is not None:
                await session.close()

    async def __call__(self, request: Request) -> Response:
        """Send one attempt; raises a :class:`~codat_async.errors.TransportError`."""
        loop, session = asyncio.get_running_loop(), self._session
        if session is None or loop is not self._loop:
            session = self._open(loop)
        query = _encoded(tuple(request.query)) if request.query else ""
        url = self._url(path=self._before + request.path, query_string=query)
        timeout = request.timeout or self._timeout
        data: Any = None if request.body is None else request.body.content
        upload = callable(data) or (data is not None and timeout.total is None)
        # Whether sending the body, or reading that of the answer, may take longer than the total.
        watched = upload or request.stream
        usual = timeout is self._timeout and not watched
        limits = self._limits if usual else _limits(timeout, watched=watched)
        # A session of its own adds the client's headers.
        headers = request.headers if self._owned and data is None else all_headers(self._headers, request)
        attempt = _Attempt(self._deadlines, loop, timeout.total)
        if upload:
            data = _upload(data, attempt, limits.sock_read, timeout.total)
        try:
            with attempt:
                response = await session.request(
                    request.method, url, headers=headers, data=data, timeout=limits, **self._settings
                )
                if not watched:
                    return await self._read(response, request, limits.sock_read)
            if request.stream and response.status < 300:
                stream = _Stream(response, request, limits.sock_read)
                return Response(status=response.status, headers=response.headers, stream=stream)
            # The rest of an upload may still be sent, which must not move the deadline of the answer.
            with _Attempt(self._deadlines, loop, timeout.total):
                return await self._read(response, request, limits.sock_read)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if attempt.failure is not None:
                raise attempt.failure from None
            raise _mapped(error, request) from error

    async def _read(
        self, answer: aiohttp.ClientResponse, request: Request, silence: float | None
    ) -> Response:
        """Read the body, of a failure its beginning only; raises ResponseTooLarge."""
        content, failed = answer.content, answer.status >= 300
        limit = _ERROR_BODY if failed else min(self._max_size, request.max_response_size or sys.maxsize)
        size, pieces = 0, []
        try:
            # What has arrived is read without the steps that waiting takes.
            while piece := content.read_nowait() if content.is_eof() else await _piece(content, silence):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    answer.close()
                    if failed:
                        break
                    # The error's traceback would keep them.
                    pieces.clear()
                    reason = f"{_TOO_LARGE}: its body is larger than {limit:,} bytes"
                    where = {"method": request.method, "path": request.path}
                    raise errors.ResponseTooLarge(reason, sent=True, **where)
                if not content.is_eof() and "Content-Encoding" in answer.headers:
                    # Reading also inflates what follows, without returning to the event loop.
                    await asyncio.sleep(0)
        except BaseException:
            answer.close()
            raise
        return Response(status=answer.status, headers=answer.headers, body=b"".join(pieces))


class _Deadlines:
    """Those of the attempts under way, which share one timer: it costs less than one for each."""

    def __init__(self) -> None:
        self.pending: set[_Attempt] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, due: float, loop: asyncio.AbstractEventLoop) -> None:
        """Look at them when one is due, or before."""
        if self._timer is not None and due < self._timer.when():
            self._timer.cancel()
            self._timer = None
        if self._timer is None and due < math.inf:
            self._timer = loop.call_at(due, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, now = None, loop.time()
        for each in sorted(self.pending, key=lambda each: each.due):
            if each.due > now:
                self.watch(each.due, loop)
                break
            self.pending.remove(each)
            each.task.cancel()

    def stop(self) -> None:
        """Cancel the timer, unless attempts are under way."""
        if self._timer is not None and not self.pending:
            self._timer.cancel()
            self._timer = None


class _Attempt:
    """An attempt under way, which ends by a TimeoutError at its deadline, as in :func:`asyncio.timeout`."""

    __slots__ = ("_all", "_cancelling", "_loop", "_seconds", "due", "failure", "task", "unread")

    def __init__(self, deadlines: _Deadlines, loop: asyncio.AbstractEventLoop, seconds: float | None) -> None:
        self._all, self._loop, self._seconds = deadlines, loop, seconds
        self.failure: Exception | None = None
        """The exception of the source of an upload, if that failed."""

    def __enter__(self) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self.task, self._cancelling = task, task.cancelling()
        self._all.pending.add(self)
        self.expire_in(self._seconds)

    def expire_in(self, seconds: float | None, *, unread: bool = False) -> None:
        """Move the deadline to so many seconds from now, or away, unless the attempt has ended.

        ``unread`` is whether a piece was passed to aiohttp that the server has not read.
        """
        if self in self._all.pending:
            self.unread = unread
            self.due = math.inf if seconds is None else self._loop.time() + seconds
            self._all.watch(self.due, self._loop)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self in self._all.pending:
            self._all.pending.remove(self)
        elif self.task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise (aiohttp.SocketTimeoutError if self.unread else TimeoutError) from None


async def _piece(content: aiohttp.StreamReader, silence: float | None) -> bytes:
    """The next bytes of a body; raises SocketTimeoutError after so many seconds without any.

    aiohttp's own time-out ends with the connection. A body whose decompression fails at its end
    is then never ended, and one whose decompression fails before is a RuntimeError.
    """
    try:
        if silence is None:
            return await content.readany()
        async with asyncio.timeout(silence):
            return await content.readany()
    except TimeoutError:
        raise aiohttp.SocketTimeoutError from None
    except RuntimeError as error:
        raise aiohttp.ClientPayloadError(str(error)) from error


@lru_cache
def _limits(wanted: Timeout, *, watched: bool) -> aiohttp.ClientTimeout:
    total = None if watched else wanted.total
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
        self._response, self._request, self._silence = response, request, silence

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


async def _upload(
    source: bytes | Callable[[], AsyncIterable[bytes]],
    attempt: _Attempt,
    silence: float | None,
    total: float | None,
) -> AsyncIterator[bytes]:
    """The streamed body of one attempt, whose deadline it moves.

    The server has ``silence`` seconds to read each piece, since aiohttp watches the socket only
    once everything is sent, and then ``total`` for the headers of the answer. The time that the
    source takes is not counted.
    """
    try:
        attempt.expire_in(None)
        async for piece in _single(source) if isinstance(source, bytes) else source():
            if not isinstance(piece, bytes | bytearray | memoryview):
                raise TypeError(f"the source of an upload must yield bytes, not {type(piece).__name__}")
            # In small pieces: a slow connection would need longer than the limit for a large one.
            for start in range(0, len(piece), _PIECE):
                attempt.expire_in(silence, unread=True)
                yield piece[start : start + _PIECE]
                attempt.expire_in(None)
        attempt.expire_in(total)
    except Exception as error:
        attempt.failure = error
        raise


def merged(usual: Mapping[str, str], headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers, the last of those that differ only in case, and the usual ones that they do not have."""
    found = CIMultiDict(usual)
    for name, value in headers.items():
        found[name] = value
    return found


def all_headers(usual: Mapping[str, str], request: Request) -> CIMultiDict[str]:
    """The request's headers and those of its body, and the usual ones that it does not have."""
    found = merged(usual, request.headers)
    if (body := request.body) is not None:
        found["Content-Type"] = body.content_type
        length = len(body.content) if isinstance(body.content, bytes) else body.length
        if length is not None:
            found["Content-Length"] = str(length)
    return found


@lru_cache(maxsize=512)
def _encoded(query: tuple[tuple[str, str], ...]) -> str:
    return urlencode(query, quote_via=quote)


def _mapped(error: Exception, request: Request) -> errors.TransportError:
    """The typed error for one of aiohttp's."""
    _clean(error, request)
    reason = one_line(error.message if isinstance(error, aiohttp.ClientResponseError) else str(error))
    reason, target = reason or type(error).__name__, {"method": request.method, "path": request.path}
    match error:
        case aiohttp.ConnectionTimeoutError():
            return errors.RequestTimeout("no connection in time", phase="connect", sent=False, **target)
        case aiohttp.SocketTimeoutError():
            return errors.RequestTimeout("nothing received in time", phase="read", sent=True, **target)
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return errors.TLSError(reason, sent=False, **target)
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError() | aiohttp.InvalidURL():
            return errors.ConnectError(reason, sent=False, **target)
        case aiohttp.ClientResponseError() if _HEADERS_TOO_LARGE.match(error.message):
            reason = f"{_TOO_LARGE}: its headers have more than {_HEADER:,} bytes each, or are too many"
            return errors.ResponseTooLarge(reason, sent=True, **target)
        case TimeoutError():
            return errors.RequestTimeout("the attempt took too long", phase="total", sent=True, **target)
        case _:
            return errors.ConnectionLost(reason, sent=True, **target)


def _clean(error: Exception, request: Request) -> None:
    """Remove the query and the credential from aiohttp's error, since a chained error is logged too."""
    if isinstance(error, aiohttp.ClientResponseError):
        url = URL(request.path, encoded=True)
        error.request_info = aiohttp.RequestInfo(url, request.method, CIMultiDictProxy(CIMultiDict()), url)
        error.args = (error.request_info, error.history)
    elif request.query:
        query = f"?{_encoded(tuple(request.query))}"
        error.args = tuple(each.replace(query, "") if isinstance(each, str) else each for each in error.args)
        if isinstance(error, OSError) and error.strerror:
            # The text of an OSError is not made from its arguments.
            error.strerror = error.strerror.replace(query, "")
