"""The one place that knows aiohttp: sends a request, and maps its exceptions to typed errors."""

import asyncio
import math
import re
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache, partial
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from codat_async import errors
from codat_async.addresses import bindable, find_proxy
from codat_async.deadlines import Deadlines
from codat_middleware.messages import Request, Response, Timeout
from codat_middleware.text import one_line

_PIECE: Final = 1 << 16
"""Bytes of an upload passed to aiohttp at once, which then waits for the socket."""
_ERROR_BODY: Final = 1 << 20
"""Bytes read of the body of an answer that is not a success."""
_KEPT: Final = 1 << 24
"""Bytes of a block to release at first. From then on glibc keeps blocks up to that size, where it would
return each to the system (mallopt(3), on the dynamic M_MMAP_THRESHOLD)."""
_HEADER: Final = 1 << 16
"""Bytes of one header of an answer, or of its status line; aiohttp accepts 128 headers."""
_SIZES: Final[dict[str, Any]] = {"max_line_size": _HEADER, "max_field_size": _HEADER}

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
        build = partial(URL.build, scheme=base.scheme, authority=base.raw_authority, encoded=True)
        # By their query, since to give one a path takes a third of the time that it takes to build one.
        self._addresses = lru_cache(maxsize=512)(lambda query: build(query_string=_encoded(query)))
        self._before = base.raw_path.rstrip("/")
        self._headers = CIMultiDict(headers)
        # A session that was passed in has its own idea of the environment.
        found = find_proxy(base, proxy) if session is None or proxy else None
        self._fixed: dict[str, Any] = {"allow_redirects": False}
        if session is not None:
            self._fixed |= {"raise_for_status": False, **_SIZES}
        if found is not None:
            self._fixed |= {"proxy": found.url, "proxy_headers": found.headers}
            if base.scheme == "http":
                # Without a tunnel the proxy reads the headers of the request itself.
                self._headers.update(found.headers)
        self._timeout, self._limits = timeout, _limits(timeout, watched=False)
        self._deadlines = Deadlines()
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
        # Otherwise bodies may take a page fault for every 4 kB, a tenth of what a pull costs.
        bytes(_KEPT)
        if self._session is None:
            host = self._addresses(()).host_port_subcomponent or ""
            headers = CIMultiDict({"Host": host, "User-Agent": aiohttp.http.SERVER_SOFTWARE})
            headers.update(aiohttp.ClientRequest.DEFAULT_HEADERS)
            headers.update(self._headers)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections, local_addr=self._source),
                cookie_jar=_NoCookies(),
                headers=headers,
                request_class=_Request,
                **_SIZES,
            )
            # aiohttp would send a GET, PUT or DELETE again by itself if the connection breaks: in no count
            # of attempts, and outside the rate limit. It has no public switch for that.
            if hasattr(self._session, "_retry_connection"):
                self._session._retry_connection = False
        return self._session

    async def aclose(self) -> None:
        """Close the session and its connections, unless it was passed in."""
        if self._loop is not None and not self._deadlines.due:
            self._deadlines.wake_up(math.inf, self._loop)
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
        address = self._addresses(tuple(request.query))
        url = address.with_path(self._before + request.path, encoded=True, keep_query=True)
        body, timeout, limits = request.body, request.timeout or self._timeout, self._limits
        data: Any = None if body is None else body.content
        streamed = data is not None and (callable(data) or timeout.total is None)
        # Whether sending the body, or reading that of the answer, may take longer than the total.
        watched = streamed or request.stream
        if watched or timeout is not self._timeout:
            limits = _limits(timeout, watched)
        # A session of its own adds the client's headers.
        headers = request.headers if data is None and self._owned else all_headers(self._headers, request)
        deadlines, task = self._deadlines, asyncio.current_task(loop)
        answer = upload = None
        assert task is not None
        cancelling = task.cancelling()
        if streamed and body is not None:
            data = upload = _Upload(body.content, task, deadlines, limits.sock_read, timeout.total)
        deadlines.expire_in(timeout.total, task)
        try:
            answer = await session.request(
                request.method, url, headers=headers, data=data, timeout=limits, **self._fixed
            )
            if request.stream and answer.status < 300:
                stream = _Stream(answer, request, limits.sock_read)
                return Response(status=answer.status, headers=answer.headers, stream=stream)
            if upload is not None:
                upload.over, upload.unread = True, False
            if watched:
                deadlines.expire_in(timeout.total, task)
            content, limit = answer.content, self._max_size
            if answer.status >= 300:
                limit = _ERROR_BODY
            elif request.max_response_size is not None:
                limit = min(limit, request.max_response_size)
            # What has arrived is read without the steps that waiting takes.
            whole = content.is_eof() and content.total_bytes <= limit
            read = content.read_nowait() if whole else await _read(answer, request, limit, limits.sock_read)
            return Response(status=answer.status, headers=answer.headers, body=read)
        except BaseException as error:
            if answer is not None:
                answer.close()
            # One that is no longer among them was cancelled by its deadline.
            expired = task not in deadlines.due and task.uncancel() <= cancelling
            if expired and isinstance(error, asyncio.CancelledError):
                error = aiohttp.SocketTimeoutError() if upload and upload.unread else TimeoutError()
            if not isinstance(error, aiohttp.ClientError | OSError):
                raise
            if upload is not None and upload.failure is not None:
                raise upload.failure from None
            raise _mapped(error, request) from error
        finally:
            deadlines.due.pop(task, None)
            if upload is not None:
                upload.over = True


class _Request(aiohttp.ClientRequest):
    """A request with the headers of its session and its own, which aiohttp has merged already.

    It would add each to another dictionary, and look for those that it adds by itself and that the session
    has here, which takes longer than all middleware. A version of aiohttp that does not call these methods
    does so again, and sends the same.
    """

    def update_headers(self, headers: Any) -> None:
        self.headers = headers

    def update_auto_headers(self, skip_auto_headers: Any) -> None:
        pass


class _NoCookies(aiohttp.DummyCookieJar):
    """Keeps no cookies, and has none to send; aiohttp's own makes a new set of none for each request."""

    _none: Final = SimpleCookie()

    def filter_cookies(self, request_url: URL) -> SimpleCookie:
        return self._none


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


async def _read(answer: aiohttp.ClientResponse, request: Request, limit: int, silence: float | None) -> bytes:
    """Read the body, of a failure at least so many bytes; raises ResponseTooLarge for more of a success."""
    size, pieces = 0, []
    while piece := await _piece(answer.content, silence):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            if answer.status >= 300:
                answer.close()
                break
            # The error's traceback would keep them.
            pieces.clear()
            reason = f"the answer is too large: its body is larger than {limit:,} bytes"
            raise errors.ResponseTooLarge(reason, method=request.method, path=request.path, sent=True)
        if "Content-Encoding" in answer.headers:
            # Reading also inflates what follows, without returning to the event loop.
            await asyncio.sleep(0)
    return b"".join(pieces)


@lru_cache
def _limits(wanted: Timeout, watched: bool) -> aiohttp.ClientTimeout:
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


class _Upload:
    """The streamed body of one attempt; ``failure`` is the exception of its source, if that failed.

    The server has ``silence`` seconds to read each piece, since aiohttp watches the socket only
    once everything is sent, and then ``total`` for the headers of the answer. The time that the
    source takes is not counted.
    """

    failure: Exception | None = None
    unread = False
    """Whether a piece was passed to aiohttp that the server has not read."""
    over = False
    """Whether there is an answer, to read which has a deadline of its own."""

    def __init__(
        self,
        source: bytes | Callable[[], AsyncIterable[bytes]],
        task: asyncio.Task[Any],
        deadlines: Deadlines,
        silence: float | None,
        total: float | None,
    ) -> None:
        self._source, self._task, self._deadlines = source, task, deadlines
        self._silence, self._total = silence, total

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            source = self._source
            self._expire_in(None)
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
        # One that is no longer among them is being cancelled.
        if not self.over and self._task in self._deadlines.due:
            self.unread = unread
            self._deadlines.expire_in(seconds, self._task)


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


def _encoded(query: Sequence[tuple[str, str]]) -> str:
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
        case aiohttp.ClientResponseError() if _TOO_LARGE.match(error.message):
            reason = f"the answer is too large: it has too many headers, or one of over {_HEADER:,} bytes"
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
        query = f"?{_encoded(request.query)}"
        error.args = tuple(each.replace(query, "") if isinstance(each, str) else each for each in error.args)
        if isinstance(error, OSError) and error.strerror:
            # The text of an OSError is not made from its arguments.
            error.strerror = error.strerror.replace(query, "")
