"""Transports, over aiohttp and over httpx: what goes out, what comes back, and what each failure becomes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from math import ceil, inf
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aioresponses import aioresponses

from codat_async import Codat
from codat_async.addresses import checked_base_url
from codat_async.deadlines import Deadlines
from codat_async.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    RequestTimeout,
    ResponseTooLarge,
    TLSError,
    TransportError,
)
from codat_async.transport import AiohttpTransport, _limits, _Upload
from codat_middleware.messages import Body, Request, Response, Timeout

Serve = Callable[..., Awaitable[Any]]

GET = Request(method="GET", path="/companies/c/data/info", operation="company_info.get")
POST = GET.copy(method="POST", body=Body(b"{}"))


class OwnTransport:
    """The example over httpx, as a client uses it."""

    def __init__(self, url: str, *, max_connections: int = 2, **options: Any) -> None:
        httpx = pytest.importorskip("httpx", reason="httpx is not installed: pip install httpx")
        from examples.httpx_transport import HttpxTransport

        self._client = httpx.AsyncClient(limits=httpx.Limits(max_connections=max_connections))
        self._send = Codat(base_url=url, middleware=[], transport=HttpxTransport(self._client), **options)

    async def __call__(self, request: Request) -> Response:
        """Send one attempt."""
        return await self._send._handler(request)

    async def aclose(self) -> None:
        """Close the client of httpx."""
        await self._client.aclose()


def aiohttp_transport(url: str, **options: Any) -> AiohttpTransport:
    """The transport over aiohttp; two connections."""
    return AiohttpTransport(
        url,
        **{"headers": {"Accept": "application/json"}, "timeout": Timeout(), "max_connections": 2, **options},
    )


Make = Callable[..., AiohttpTransport | OwnTransport]


@pytest.fixture(params=[aiohttp_transport, OwnTransport], ids=["aiohttp", "httpx"])
def transport(request: pytest.FixtureRequest) -> Make:
    """Make a transport: of each kind."""
    return request.param


@pytest.fixture
async def sending(transport: Make) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Send one request by a transport that is closed after the test."""
    opened: list[AiohttpTransport | OwnTransport] = []

    async def send(url: str, request: Request = GET, **options: Any) -> Any:
        opened.append(transport(url, **options))
        return await opened[-1](request)

    yield send
    for held in opened:
        await held.aclose()


only_aiohttp = pytest.mark.parametrize("transport", [aiohttp_transport], ids=["aiohttp"], indirect=True)


# --- what goes out ----------------------------------------------------------------------------------


async def test_query_is_encoded_once(serve: Serve, sending: Serve) -> None:
    """Every sign that means something in a query arrives as itself."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(list(request.query.items()))

    pairs = (("query", "{a=1 && b!=2}||c~é+/?#%25&d"), ("orderBy", "-issueDate"), ("empty", ""))
    server = await serve(answer)
    response = await sending(server.url, GET.copy(query=pairs))
    assert response.status == 200
    raw = server.seen[0].raw_path
    assert raw.startswith(
        "/companies/c/data/info?query=%7Ba%3D1%20%26%26%20b%21%3D2%7D%7C%7Cc~%C3%A9%2B%2F%3F%23%2525%26d&"
    )
    assert (await asyncio.to_thread(lambda: response.body)).decode().count("issueDate") == 1


async def test_requests_are_sent_from_a_source_address(serve: Serve) -> None:
    """The limit a minute is that of an address."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.remote)

    server = await serve(answer)
    sending = aiohttp_transport(server.url, source_address="127.0.0.7")
    assert (await sending(GET)).body == b"127.0.0.7"
    await sending.aclose()


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (
            "host",
            "the source address 'host': this machine cannot send from it .'host' does not appear to",
        ),
        (
            "203.0.113.1",
            r"the source address '203.0.113.1': this machine cannot send from it \(.*Cannot assign",
        ),
    ],
)
def test_source_address_that_cannot_be_used(address: str, error: str) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match=error):
        aiohttp_transport("http://127.0.0.1:1", source_address=address)


async def test_headers_are_replaced_whatever_their_case(serve: Serve, sending: Serve) -> None:
    """A request's own header takes the place of the default one instead of standing beside it."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(request.headers.getall("Accept"))

    server = await serve(answer)
    response = await sending(server.url, GET.copy(headers={"accept": "text/plain"}))
    assert response.body == b'["text/plain"]'


async def two_pieces() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


@pytest.mark.parametrize(
    "own",
    [{}, {"user-agent": "mine", "X-More": "1"}, {"host": "books.test", "Accept-Encoding": "identity"}],
    ids=["usual", "more", "replaced"],
)
@pytest.mark.parametrize(
    "request_",
    [GET, GET.copy(headers={"authorization": "key", "accept": "text/plain"}), POST]
    + [POST.copy(method=each, body=Body(two_pieces, length=7)) for each in ("POST", "PUT")]
    + [POST.copy(body=Body(two_pieces)), POST.copy(body=None), POST.copy(method="DELETE", body=None)],
    ids=["get", "with its own", "bytes", "measured", "put", "chunked", "no body", "delete"],
)
async def test_headers_are_those_that_aiohttp_sends(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, own: dict[str, str], request_: Request
) -> None:
    """A shorter way to the same: with aiohttp's own class of requests, and in a session of the user's own."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response([[name.decode(), value.decode()] for name, value in request.raw_headers])

    server = await serve(answer)
    headers, found = {"Accept": "application/json", **own}, []
    for patched in (False, True, None):
        session = aiohttp.ClientSession() if patched is None else None
        if patched:
            monkeypatch.setattr("codat_async.transport._Request", aiohttp.ClientRequest)
        sending = aiohttp_transport(server.url, headers=headers, session=session)
        answered = await sending(request_)
        found.append(msgspec.json.decode(answered.body, type=list[tuple[str, str]]))
        await (session.close() if session else sending.aclose())
    short, whole, users = found
    assert short == whole
    assert sorted((name.lower(), value) for name, value in users) == sorted(
        (name.lower(), value) for name, value in short
    )
    names = [name.lower() for name, _ in short]
    assert names[0] == "host"
    assert len(names) == len(set(names))
    assert {"user-agent", "accept", "accept-encoding"} < set(names)


async def test_cookies_are_not_kept(serve: Serve) -> None:
    """An answer's cookie is in no later request."""

    async def answer(request: web.Request) -> web.Response:
        response = web.Response(text=request.headers.get("Cookie", "none"))
        response.set_cookie("session", "1")
        return response

    server = await serve(answer)
    sending = aiohttp_transport(server.url)
    assert [(await sending(GET)).body for _ in range(2)] == [b"none", b"none"]
    await sending.aclose()


async def test_bodies(serve: Serve, sending: Serve) -> None:
    """Bytes are sent as they are; a factory streams, with its length if that is known."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    server = await serve(answer)
    await sending(server.url, POST)
    await sending(server.url, POST.copy(body=Body(two_pieces, content_type="text/plain", length=7)))
    await sending(server.url, POST.copy(body=Body(two_pieces, content_type="text/plain")))
    plain, measured, chunked = server.seen
    assert (plain.body, plain.headers["Content-Type"]) == (b"{}", "application/json")
    assert (measured.body, measured.headers["Content-Length"]) == (b"one two", "7")
    assert (chunked.body, chunked.headers["Transfer-Encoding"]) == (b"one two", "chunked")
    assert measured.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize("status", [200, 202, 204, 301, 302, 404, 429, 500])
async def test_statuses_are_values(serve: Serve, sending: Serve, status: int) -> None:
    """Whatever the status, it is an answer; a redirect is not followed."""

    async def answer(request: web.Request) -> web.Response:
        headers = {"Location": "https://evil.test/", "X-Rate-Limit-Remaining": "7"}
        return web.Response(status=status, headers=headers)

    server = await serve(answer)
    response = await sending(server.url)
    assert response.status == status
    assert response.headers["x-rate-limit-remaining"] == "7"
    assert len(server.seen) == 1


@pytest.mark.parametrize("size", [9, 10])
async def test_answers_have_a_maximum_size(serve: Serve, sending: Serve, size: int) -> None:
    """A body that is larger than the limit of the request is an error, and that of a failure is read."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.query["status"]), body=bytes(10))

    server = await serve(answer)
    limited = GET.copy(max_response_size=size)
    assert len((await sending(server.url, limited.copy(query=(("status", "404"),)))).body) == 10
    wanted = sending(server.url, limited.copy(query=(("status", "200"),)))
    if size == 10:
        assert len((await wanted).body) == 10
    else:
        with pytest.raises(ResponseTooLarge, match="larger than 9 bytes"):
            await wanted


async def test_base_url_with_a_path(serve: Serve, sending: Serve) -> None:
    """A base URL may lead into a path, with or without a slash at its end."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    server = await serve(answer)
    await sending(server.url + "/mirror/")
    assert server.seen[0].raw_path == "/mirror/companies/c/data/info"


# --- what comes back ----------------------------------------------------------------------------------


async def test_streams_and_their_errors(serve: Serve, sending: Serve) -> None:
    """A stream is asked for and comes as one; an error comes read, up to a bound."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.query["status"]), body=b"x" * 3_000_000)

    server = await serve(answer)
    wanted = GET.copy(stream=True)
    response = await sending(server.url, wanted.copy(query=(("status", "200"),)))
    assert response.body == b""
    assert sum([len(chunk) async for chunk in response.stream]) == 3_000_000
    await response.stream.aclose()
    await response.stream.aclose()
    failed = await sending(server.url, wanted.copy(query=(("status", "403"),)))
    assert failed.stream is None
    assert 1 << 20 <= len(failed.body) < 3_000_000


async def test_connections_are_released(serve: Serve, transport: Make) -> None:
    """Answers of every kind leave the one connection of a small pool free for the next request."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.query["status"]), body=b"x" * 2_000_000)

    server = await serve(answer)
    small = transport(server.url, max_connections=1, timeout=Timeout(connect=2.0))
    for status in ("200", "500", "204", "200"):
        for stream in (False, True):
            response = await small(GET.copy(query=(("status", status),), stream=stream))
            if response.stream is not None:
                await response.stream.aclose()
    assert len(server.seen) == 8
    await small.aclose()


# --- failures -------------------------------------------------------------------------------------------


async def failure(send: Awaitable[Any], kind: type[TransportError]) -> Any:
    """The error that a request ends in, with the request's name and without more."""
    with pytest.raises(kind) as caught:
        await send
    assert type(caught.value) is kind
    assert (caught.value.path, caught.value.__cause__ is not None) == ("/companies/c/data/info", True)
    return caught.value


async def test_refused_connection(sending: Serve, unused_tcp_port: int) -> None:
    """Nobody listens: nothing was sent."""
    error = await failure(sending(f"http://127.0.0.1:{unused_tcp_port}", POST), ConnectError)
    assert not error.sent
    assert not error.outcome_unknown


async def test_name_that_does_not_resolve(sending: Serve) -> None:
    """No such host: nothing was sent."""
    error = await failure(sending("http://nowhere.invalid"), ConnectError)
    assert not error.sent


async def test_server_that_speaks_no_tls(serve_bytes: Serve, sending: Serve) -> None:
    """A handshake that fails is a TLSError, which no retry helps."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    url = (await serve_bytes(talk)).replace("http:", "https:")
    error = await failure(sending(url), TLSError)
    assert not error.sent


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-",
    ],
    ids=["nothing", "half a body", "no HTTP", "half a head"],
)
async def test_connection_that_breaks(serve_bytes: Serve, sending: Serve, answer: bytes) -> None:
    """An answer that is not whole is a lost connection, after which a write may have happened."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    error = await failure(sending(await serve_bytes(talk), POST), ConnectionLost)
    assert error.sent
    assert error.outcome_unknown
    assert "outcome of this write is unknown" in str(error)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes a request and says nothing until the client goes."""
    await reader.read()


async def silent_after_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that answers one request, so that there is a connection when the next is sent."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    await silent(reader, writer)


async def with_one_connection_taken(
    serve_bytes: Serve, transport: Make, **options: Any
) -> tuple[AiohttpTransport | OwnTransport, asyncio.Task[Response]]:
    """A transport whose only connection is in use, and the request that uses it, which gets no answer."""
    arrived = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await silent(reader, writer)

    small = transport(await serve_bytes(talk), max_connections=1, **options)
    holding = asyncio.create_task(small(GET.copy(timeout=Timeout())))
    await arrived.wait()
    return small, holding


class Unanswered:
    """A session whose requests are never answered, in place of aiohttp's."""

    connector = None

    async def request(self, *_: object, **options: object) -> None:
        await asyncio.Event().wait()


async def endless() -> AsyncIterator[bytes]:
    """More than any buffer on the way holds."""
    while True:
        yield bytes(1 << 20)


@pytest.mark.parametrize(
    ("timeout", "phase"),
    [(Timeout(read=0.05), "read"), (Timeout(total=0.05), "total")],
    ids=["read", "total"],
)
async def test_time_out(serve_bytes: Serve, transport: Make, timeout: Timeout, phase: str) -> None:
    """Silence and an attempt that takes too long are different phases."""
    small = transport(await serve_bytes(silent_after_one))
    assert (await small(GET)).status == 200
    error = await failure(small(GET.copy(timeout=timeout)), RequestTimeout)
    assert (error.phase, error.sent) == (phase, True)
    await small.aclose()


async def test_attempts_that_may_take_as_long_are_each_timed() -> None:
    """They share one timer, end in the order in which they began, and leave no timer behind."""
    transport = aiohttp_transport("http://api.test", session=Unanswered(), timeout=Timeout(total=0.1))
    ended: list[int] = []

    async def attempt(number: int) -> None:
        await asyncio.sleep(0.02 * number)
        error = await failure(transport(GET), RequestTimeout)
        assert (error.phase, error.sent) == ("total", True)
        ended.append(number)

    await asyncio.gather(*map(attempt, range(3)))
    assert ended == [0, 1, 2]
    assert not transport._deadlines.due
    assert transport._deadlines._timer is None
    await transport.aclose()


async def test_a_shorter_time_out_ends_first() -> None:
    """The timer that all attempts share fires for the one that is due first, whenever it began."""
    transport = aiohttp_transport("http://api.test", session=Unanswered())
    usual = asyncio.create_task(transport(GET))
    await asyncio.sleep(0)
    await failure(transport(GET.copy(timeout=Timeout(total=0.05))), RequestTimeout)
    assert not usual.done()
    deadlines = transport._deadlines
    assert deadlines._timer is not None
    # For a moment, as if the other's time had come.
    assert deadlines._timer.when() == deadlines.due[usual]
    deadlines.expire_in(0.0, usual)
    await failure(usual, RequestTimeout)
    await transport.aclose()


async def test_a_timer_is_cancelled_with_the_transport(serve: Serve) -> None:
    """It would keep objects alive for as long as an attempt may take."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    server = await serve(answer)
    transport = aiohttp_transport(server.url)
    await transport(GET)
    assert transport._deadlines._timer is not None
    await transport.aclose()
    assert transport._deadlines._timer is None


@pytest.mark.parametrize("late", [False, True], ids=["in time", "when its time has passed as well"])
async def test_cancelling_an_attempt(serve_bytes: Serve, late: bool) -> None:
    """It ends cancelled, not in a time-out, also if that comes at the same moment."""
    transport = aiohttp_transport(await serve_bytes(silent))
    task = asyncio.create_task(transport(GET))
    await asyncio.sleep(0.01)
    task.cancel()
    if late:
        transport._deadlines.due[task] = 0.0
        transport._deadlines._expire(asyncio.get_running_loop())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not transport._deadlines.due
    await transport.aclose()


async def test_time_out_of_one_request(serve_bytes: Serve, sending: Serve) -> None:
    """A request's own time-out takes precedence over the transport's."""
    url = await serve_bytes(silent)
    error = await failure(sending(url, GET.copy(timeout=Timeout(read=0.05))), RequestTimeout)
    assert error.phase == "read"


async def test_waiting_for_a_connection(serve_bytes: Serve, transport: Make) -> None:
    """A pool that stays full is a time-out to connect: nothing was sent."""
    small, holding = await with_one_connection_taken(serve_bytes, transport)
    error = await failure(small(GET.copy(timeout=Timeout(connect=0.05))), RequestTimeout)
    assert (error.phase, error.sent) == ("connect", False)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    await small.aclose()


async def test_connecting_ends_before_the_whole(serve_bytes: Serve, transport: Make) -> None:
    """An attempt that never got a connection says so, although the time for all of it is shorter."""
    # A fifth of it is between the two, also on a busy machine.
    small, holding = await with_one_connection_taken(serve_bytes, transport, timeout=Timeout(total=2.0))
    error = await failure(small(POST), RequestTimeout)
    assert (error.phase, error.sent) == ("connect", False)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    await small.aclose()


@pytest.mark.parametrize("total", [0.1, 4.9, 5.0, 5.5, 6.0, 9.99, 10.0, 10.4, 60.0])
def test_connecting_ends_before_the_whole_when_rounded(total: float) -> None:
    """aiohttp rounds long time-outs up to whole seconds of its clock; the order stays."""
    limits = _limits(Timeout(total=total), watched=False)
    for now in (0.0, 0.01, 0.49, 0.5, 0.51, 0.99):
        assert (limit := limits.connect) is not None
        assert (ceil(now + limit) if limit >= limits.ceil_threshold else now + limit) < now + total


async def test_streams_have_no_total(serve: Serve, sending: Serve) -> None:
    """A download may take as long as it does, while bytes come."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(3):
            await response.write(b"x")
            await asyncio.sleep(0.35)
        return response

    server = await serve(answer)
    # Connecting may take four fifths of it, also on a busy machine.
    response = await sending(server.url, GET.copy(stream=True), timeout=Timeout(total=1.0))
    assert b"".join([chunk async for chunk in response.stream]) == b"xxx"


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (aiohttp.ServerDisconnectedError(), ConnectionLost),
        (aiohttp.ClientPayloadError("cut"), ConnectionLost),
        (aiohttp.ClientOSError(104, "reset"), ConnectionLost),
        (ConnectionResetError(104, "reset"), ConnectionLost),
        (aiohttp.ConnectionTimeoutError("slow"), RequestTimeout),
        (aiohttp.SocketTimeoutError("slow"), RequestTimeout),
        (TimeoutError(), RequestTimeout),
        (aiohttp.InvalidURL("x"), ConnectError),
        (
            aiohttp.ClientConnectorCertificateError(
                aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None),
                ssl.SSLCertVerificationError("expired"),
            ),
            TLSError,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@only_aiohttp
async def test_every_foreign_error_is_mapped(
    mocked: aioresponses, sending: Serve, raised: Exception, kind: type[TransportError]
) -> None:
    """What aiohttp raises never comes through as itself."""
    mocked.get("https://api.test/companies/c/data/info", exception=raised)
    error = await failure(sending("https://api.test"), kind)
    assert error.reason


async def test_errors_show_no_query_and_no_credential(
    serve_bytes: Serve, sending: Serve, transport: Make
) -> None:
    """Neither our error nor those chained to it show what was asked for, or by whom."""

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"nonsense\r\n\r\n")
        await writer.drain()

    asked = POST.copy(query=(("query", "name=Private Person"),), headers={"Authorization": "Basic secret"})
    errors = [await failure(sending(await serve_bytes(garbage), asked), ConnectionLost)]
    small, holding = await with_one_connection_taken(serve_bytes, transport)
    for phase, timeout in (("connect", Timeout(connect=0.05)), ("read", Timeout(read=0.05))):
        errors.append(await failure(small(asked.copy(timeout=timeout)), RequestTimeout))
        assert errors[-1].phase == phase
        holding.cancel()
        await asyncio.wait([holding])
    await small.aclose()
    for error in errors:
        chained: BaseException | None = error
        while chained is not None:
            shown = f"{chained!r} {chained} {chained.args}"
            assert "Private" not in shown
            assert "secret" not in shown
            chained = chained.__cause__ or chained.__context__
    assert "://" not in errors[0].reason


async def test_cancelling_a_request(serve_bytes: Serve, transport: Make) -> None:
    """A cancelled request is cancelled, not mapped, and leaves the pool usable."""
    small, task = await with_one_connection_taken(serve_bytes, transport)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(RequestTimeout, match="nothing received in time"):
        await small(GET.copy(timeout=Timeout(read=0.02)))
    await small.aclose()


METHODS = ("GET", "PUT", "DELETE", "POST", "PATCH", "HEAD", "OPTIONS")


@pytest.mark.parametrize("kept_alive", [False, True])
@pytest.mark.parametrize("method", METHODS)
async def test_one_request_on_the_wire(serve_bytes: Serve, method: str, kept_alive: bool) -> None:
    """If a connection breaks, fresh or kept alive, the request is not sent again behind the retry policy.

    Fails if a release of aiohttp changes its private switch for that.
    """
    arrived: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            arrived.append(head.split(b" ")[0].decode())
            if not kept_alive or len(arrived) > 1:
                break
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    client = aiohttp_transport(await serve_bytes(talk), max_connections=1)
    if kept_alive:
        await client(GET)
    await failure(client(GET.copy(method=method)), ConnectionLost)
    await client.aclose()
    assert arrived == ["GET"] * kept_alive + [method]


async def test_session_that_was_passed_in_is_left_as_it_is() -> None:
    """A session of the caller's keeps aiohttp's own way of sending again."""
    async with aiohttp.ClientSession() as session:
        aiohttp_transport("http://127.0.0.1:9", session=session)
        assert session._retry_connection


async def test_connections_that_can_be_open() -> None:
    """The number of connections is the client's own, or that of the session that was passed in."""
    assert aiohttp_transport("http://127.0.0.1:9", max_connections=7).connections == 7
    for connector, connections in (
        (aiohttp.TCPConnector(limit=5), 5),
        (aiohttp.TCPConnector(limit=50, limit_per_host=4), 4),
        (aiohttp.TCPConnector(limit=0), inf),
    ):
        async with aiohttp.ClientSession(connector=connector) as session:
            assert aiohttp_transport("http://127.0.0.1:9", session=session).connections == connections


async def test_error_while_a_body_is_read(serve: Serve, sending: Serve) -> None:
    """A source that fails in the middle of an upload fails as itself: the connection is not to blame."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise OSError("disk on fire")

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    server = await serve(answer)
    with pytest.raises(OSError, match="disk on fire"):
        await sending(server.url, POST.copy(body=Body(broken, length=10)))


async def test_body_that_has_arrived_and_cannot_be_read() -> None:
    """Its answer is closed, so that the connection is not used again."""

    class Content:
        total_bytes = 2

        def is_eof(self) -> bool:
            return True

        def read_nowait(self) -> bytes:
            raise aiohttp.ClientPayloadError("not gzip")

    class Answer:
        status, headers, content, closed = 200, dict[str, str](), Content(), False

        def close(self) -> None:
            self.closed = True

    answer = Answer()

    class Session:
        connector = None

        async def request(self, *_: object, **__: object) -> Answer:
            return answer

    session: Any = Session()
    with pytest.raises(ConnectionLost, match="not gzip"):
        await aiohttp_transport("http://test", session=session)(GET)
    assert answer.closed


@pytest.mark.parametrize("content", [endless, bytes(50_000_000)], ids=["a stream", "bytes"])
async def test_server_that_stops_reading(serve_bytes: Serve, sending: Serve, content: Any) -> None:
    """A body that is not taken is silence too, and ends like it."""
    over = asyncio.Event()

    async def stalled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        await over.wait()
        writer.transport.abort()

    url = await serve_bytes(stalled)
    request = POST.copy(body=Body(content), timeout=Timeout(read=0.1, total=None))
    async with asyncio.timeout(5):
        error = await failure(sending(url, request), RequestTimeout)
    assert (error.phase, error.sent) == ("read", True)
    over.set()
    await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "head",
    [
        "200 OK\r\nX-Long: ",
        "404 Not Found\r\nContent-Length: 1000000\r\n\r\n",
        "200 OK\r\nContent-Length: 1000000\r\n\r\n",
    ],
    ids=["headers", "failure", "answer"],
)
async def test_answer_to_an_upload_that_never_ends(serve_bytes: Serve, sending: Serve, head: str) -> None:
    """Once all is sent the answer has the total time-out, however long the sending took."""
    sent, over = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0.1)
            yield b"x"

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\nxxx")
        sent.set()
        writer.write(f"HTTP/1.1 {head}".encode())
        while not over.is_set():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    request = POST.copy(body=Body(pieces, length=3), timeout=Timeout(read=5, total=0.2))
    async with asyncio.timeout(20):
        error = await failure(sending(await serve_bytes(dripping), request), RequestTimeout)
    assert (error.phase, error.sent) == ("total", True)
    assert sent.is_set()
    over.set()
    await asyncio.sleep(0.05)


async def test_time_of_the_source_does_not_count(serve: Serve, sending: Serve) -> None:
    """A source may take its time: that is no silence of the server's."""

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(2):
            await asyncio.sleep(0.6)
            yield b"x"

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    server = await serve(answer)
    # The server has as long for each piece and for its answer, also on a busy machine.
    request = POST.copy(body=Body(slow), timeout=Timeout(read=0.5))
    assert (await sending(server.url, request)).status == 200
    assert server.seen[0].body == b"xx"


async def test_large_pieces_are_handed_on_in_small_ones() -> None:
    """A slow line takes a little at a time, and must be seen to take it."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b""
        yield b"ab" * 100_000
        yield b"c"

    task = asyncio.current_task()
    assert task is not None
    sizes = [len(piece) async for piece in _Upload(pieces, task, Deadlines(), None, None)]
    assert (max(sizes), sum(sizes)) == (1 << 16, 200_001)


async def test_an_upload_moves_no_deadline_that_has_passed() -> None:
    """A piece read while its attempt is being cancelled must not make a cancellation of a time-out."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    task, deadlines = asyncio.current_task(), Deadlines()
    assert task is not None
    for due in ({}, {task: inf}):
        deadlines.due = dict(due)
        moved = [deadlines.due.get(task) async for _ in _Upload(pieces, task, deadlines, 1.0, 2.0)]
        assert (moved == [None]) == (not due)
        assert bool(deadlines.due) == bool(due)
    deadlines.wake_up(inf, asyncio.get_running_loop())


@only_aiohttp
async def test_answer_before_the_end_of_an_upload(serve_bytes: Serve, sending: Serve) -> None:
    """An answer that does not wait for the body is the answer, and the rest is not sent.

    httpx reads no answer before the whole body is sent.
    """

    pieces, over = 0, asyncio.Event()

    async def counted() -> AsyncIterator[bytes]:
        nonlocal pieces
        try:
            async for piece in endless():
                pieces += 1
                yield piece
        finally:
            over.set()

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 2\r\n\r\n")
        await writer.drain()
        # While more of the body is being taken than is on its way.
        enough = pieces + 20
        while pieces < enough:
            await reader.read(1 << 16)
        writer.write(b"no")
        await writer.drain()

    response = await sending(await serve_bytes(hasty), POST.copy(body=Body(counted)))
    assert (response.status, response.body) == (422, b"no")
    await over.wait()


async def test_a_source_of_text(serve: Serve, sending: Serve) -> None:
    """Text instead of bytes is the caller's mistake and named as that."""

    async def text() -> AsyncIterator[Any]:
        yield "abc"

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    server = await serve(answer)
    with pytest.raises(TypeError, match=r"bytes.*str"):
        await sending(server.url, POST.copy(body=Body(text)))


# --- event loops ------------------------------------------------------------------------------------------


@only_aiohttp
def test_second_event_loop(unused_tcp_port: int, transport: Make) -> None:
    """A transport used in another loop than the first says what is wrong."""
    small = transport(f"http://127.0.0.1:{unused_tcp_port}")
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        for _ in range(2):
            with pytest.raises(ConnectError):
                first.run_until_complete(small(GET))
        with pytest.raises(RuntimeError, match="belongs to the event loop"):
            second.run_until_complete(small(GET))
        first.run_until_complete(small.aclose())
    finally:
        first.close()
        second.close()


# --- the base URL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.codat.io",
        "ftp://api.codat.io",
        "https://",
        "https://x/?a=1",
        "https://x/#a",
        "https://[",
        "/relative",
    ],
)
def test_unusable_base_urls(url: str) -> None:
    """What cannot be a base URL is said so at once, with an example of one that can."""
    with pytest.raises(ConfigurationError, match=r"https://api\.codat\.io"):
        checked_base_url(url)


def test_credentials_in_a_base_url() -> None:
    """A base URL with a password raises, and the message does not repeat it."""
    for url in ("https://user:hunter2@api.codat.io", "https://user:hunter2@api.codat.io/?a=1"):
        with pytest.raises(ConfigurationError, match="must not contain credentials") as caught:
            checked_base_url(url)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "checked"),
    [("https://api.codat.io/", "https://api.codat.io"), ("http://localhost:8080", "http://localhost:8080")],
)
def test_usable_base_urls(url: str, checked: str) -> None:
    """A slash at the end is no matter."""
    assert checked_base_url(url) == checked
