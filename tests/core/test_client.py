"""The client: its settings, its pipeline, its session, and the cheap copies of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from codat_async import Codat, Limits, Request, Response, RetryPolicy, Timeout, default_middleware
from codat_async.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    NotFound,
    RequestTimeout,
    Unauthorized,
)
from codat_async.testing import page
from codat_async.transport import AiohttpTransport
from codat_middleware import Auth, Body, Governor, Handler, Idempotency, Logging, RateLimit, Retry

Serve = Callable[..., Awaitable[Any]]
Connect = Callable[..., Codat]


async def ok(request: web.Request) -> web.Response:
    """A server that is content with everything."""
    return web.json_response({"id": "a"})


# --- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", "   "])
def test_no_key(key: str | None) -> None:
    """A client without a key raises when it is created, and names both ways to give one."""
    with pytest.raises(ConfigurationError, match=r"CODAT_API_KEY.*api_key"):
        Codat(key)


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and address are read from the environment; arguments take precedence."""
    monkeypatch.setenv("CODAT_API_KEY", "from-environment")
    monkeypatch.setenv("CODAT_BASE_URL", "http://localhost:9/")
    assert Codat().base_url == "http://localhost:9"
    assert Codat(base_url="http://localhost:8").base_url == "http://localhost:8"


def test_default_address() -> None:
    """The default base URL is Codat's own."""
    assert Codat("key").base_url == "https://api.codat.io"


def test_settings_that_exclude_each_other() -> None:
    """Two settings of which one would be ignored raise."""
    with pytest.raises(ConfigurationError, match="governor"):
        Codat("key", governor=Governor(Limits()), limits=Limits())
    with pytest.raises(ConfigurationError, match="retry"):
        Codat(middleware=[], retry=RetryPolicy())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"api_key": "a\nsecret"}, "control characters"),
        ({"api_key": "Basic é"}, "no base64"),
        ({"api_key": 5}, "not int"),
        ({"max_connections": 0}, "max_connections must be greater than 0, not 0"),
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any], message: str) -> None:
    """Each is one line of a ConfigurationError when the client is made, without the key in it."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        Codat(**{"api_key": "key", **wrong})
    assert "secret" not in str(caught.value)


def test_representation_hides_the_key() -> None:
    """Printing a client, a resource or an operation shows no credential."""
    codat = Codat("hunter2-key")
    text = f"{codat!r} {codat.bills!r} {codat.bills.get!r} {codat._middleware!r}"
    assert "hunter2" not in text
    assert "bills.get: GET /companies/{companyId}/data/bills/{billId}" in text


@pytest.mark.parametrize(
    ("key", "header"),
    [("secret-key", "Basic c2VjcmV0LWtleQ=="), ("Basic c2VjcmV0LWtleQ==", "Basic c2VjcmV0LWtleQ==")],
)
async def test_key_in_both_forms(serve: Serve, connect: Connect, key: str, header: str) -> None:
    """The raw key and the ready header reach the server as the same header."""
    server = await serve(ok)
    await connect(server.url, api_key=key).accounts.get("c", "a")
    assert server.seen[0].headers["Authorization"] == header


async def test_key_that_rotates(serve: Serve, connect: Connect) -> None:
    """A function is asked for the key when one is needed."""

    async def current() -> str:
        return "secret-key"

    server = await serve(ok)
    await connect(server.url, api_key=current).accounts.get("c", "a")
    assert server.seen[0].headers["Authorization"] == "Basic c2VjcmV0LWtleQ=="


# --- the pipeline -----------------------------------------------------------------------------------


def test_default_order() -> None:
    """The default middleware is in its documented order."""
    kinds = [type(layer) for layer in default_middleware("key")]
    assert kinds == [Idempotency, Retry, RateLimit, Auth, Logging]


async def test_adding_and_replacing_middleware() -> None:
    """Extra layers stand outside, the first outermost; a list of one's own replaces all the rest."""
    order: list[str] = []

    def layer(name: str) -> Any:
        async def call(request: Request, handler: Handler) -> Response:
            order.append(name)
            return await handler(request)

        return call

    async def end(request: Request, handler: Handler) -> Response:
        assert "Authorization" not in request.headers
        return Response(status=200, body=b"{}")

    async with Codat(
        middleware=[layer("own"), end], extra_middleware=[layer("first"), layer("second")]
    ) as codat:
        await codat.accounts.get("c", "a")
    assert order == ["first", "second", "own"]


async def test_sending_what_has_no_method(serve: Serve, connect: Connect) -> None:
    """A request of one's own goes through the same pipeline, and fails in the same way."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": "nothing there"}, status=200 if "yes" in request.path else 404)

    codat = connect((await serve(answer)).url)
    response = await codat.send(Request(method="GET", path="/profile/yes"))
    assert response.status == 200
    with pytest.raises(NotFound, match="nothing there"):
        await codat.send(Request(method="GET", path="/profile/no"))


async def test_redirects_are_not_followed(serve: Serve, connect: Connect) -> None:
    """A redirect is an error and the credential goes nowhere else."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    server = await serve(answer)
    with pytest.raises(Exception, match="302"):
        await connect(server.url).accounts.get("c", "a")
    assert len(server.seen) == 1


async def test_wrong_key_is_not_repeated(serve: Serve, connect: Connect) -> None:
    """A 401 is raised after one attempt and shows no key."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": "who are you?"}, status=401)

    server = await serve(answer)
    with pytest.raises(Unauthorized, match="who are you") as caught:
        await connect(server.url).accounts.get("c", "a")
    assert len(server.seen) == 1
    assert "secret" not in repr(caught.value)


# --- the session ------------------------------------------------------------------------------------


async def test_own_session_is_closed(serve: Serve) -> None:
    """Leaving the block closes the session; the client is of no use after, and says so."""
    server = await serve(ok)
    async with Codat("key", base_url=server.url) as codat:
        await codat.accounts.get("c", "a")
        session = codat._transport._session
        assert session is not None
    assert session.closed
    with pytest.raises(RuntimeError, match="closed"):
        await codat.accounts.get("c", "a")
    await codat.aclose()


async def test_a_client_never_used_needs_no_closing() -> None:
    """No session is made before the first request."""
    Codat("key")
    async with Codat("key"):
        pass


async def test_injected_session_is_left_open(serve: Serve) -> None:
    """A session of the caller's own is used with our headers and not closed."""
    server = await serve(ok)
    async with aiohttp.ClientSession(headers={"X-Mine": "1"}) as session:
        for _ in range(2):
            async with Codat("key", base_url=server.url, session=session, headers={"X-Ours": "2"}) as codat:
                await codat.accounts.get("c", "a")
            assert not session.closed
    for request in server.seen:
        assert request.headers["X-Mine"] == "1"
        assert request.headers["X-Ours"] == "2"
        assert request.headers["Accept"] == "application/json"
        assert request.headers["User-Agent"].startswith("codat-async/")


@pytest.mark.parametrize("own_session", [True, False])
@pytest.mark.parametrize("limits", [None, Limits(per_minute=None), Limits(per_minute=None, in_flight=40)])
async def test_no_more_requests_than_connections(
    serve: Serve, limits: Limits | None, own_session: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls wait for a place and not for a connection, whatever ``limits`` or ``session`` is passed."""
    all_taken, send = asyncio.Event(), AiohttpTransport.__call__
    active = most = 0

    async def answer(request: web.Request) -> web.Response:
        # Until the first is answered there are no others.
        if len(server.seen) > 1:
            await all_taken.wait()
        return web.json_response({"id": "a"})

    async def counted(self: AiohttpTransport, request: Request) -> Response:
        nonlocal active, most
        active += 1
        most = max(most, active)
        if active == 3:
            all_taken.set()
        try:
            return await send(self, request)
        finally:
            active -= 1

    monkeypatch.setattr(AiohttpTransport, "__call__", counted)
    server = await serve(answer)
    options: dict[str, Any] = {"retry": RetryPolicy(attempts=1)}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=3)) as session:
        options |= {"max_connections": 3} if own_session else {"session": session}
        async with Codat("key", base_url=server.url, limits=limits, **options) as client:
            await asyncio.gather(*(client.accounts.get(f"c{number}", "a") for number in range(45)))
    assert most == 3


async def test_headers_of_the_client(serve: Serve, connect: Connect) -> None:
    """Headers of one's own go with every request and replace the default ones in any case."""
    server = await serve(ok)
    await connect(server.url, headers={"user-agent": "mine/1", "X-Trace": "7"}).accounts.get("c", "a")
    headers = {name.lower(): value for name, value in server.seen[0].headers.items()}
    assert (headers["user-agent"], headers["x-trace"]) == ("mine/1", "7")


# --- deadlines ----------------------------------------------------------------------------------------


async def test_deadline_ends_the_whole_call(connect: Connect) -> None:
    """Retries and the waits between them count; a write may have happened."""
    attempts: list[Request] = []

    async def transport(request: Request) -> Response:
        attempts.append(request)
        raise ConnectError("refused", method=request.method, path=request.path, sent=False)

    policy = RetryPolicy(wait_initial=1000.0, wait_max=1000.0, max_elapsed=10_000.0)
    codat = connect("http://localhost:9", transport=transport, retry=policy)
    hurried = codat.with_options(deadline=0.05).with_options(headers={"X-Some": "1"})
    with pytest.raises(RequestTimeout, match="the deadline has passed") as caught:
        await hurried.accounts.get("c", "a")
    assert (caught.value.phase, caught.value.path) == ("deadline", "/companies/c/data/accounts/a")
    assert not caught.value.outcome_unknown
    assert len(attempts) == 1
    with pytest.raises(RequestTimeout) as caught:
        await hurried.bills.delete("c", "n", "b")
    assert caught.value.outcome_unknown


async def test_deadline_of_a_list(connect: Connect) -> None:
    """It counts from the call, over all pages; the time-out is that of each attempt."""
    seen: list[Request] = []
    stopped = asyncio.Event()

    async def transport(request: Request) -> Response:
        seen.append(request)
        if dict(request.query)["page"] == "3":
            await stopped.wait()
        return page([{"id": str(number), "name": "n"} for number in range(9)], number=len(seen), size=1)

    codat = connect("http://localhost:9", transport=transport)
    pager = codat.companies.list(page_size=1, timeout=7, deadline=1.0)
    with pytest.raises(RequestTimeout, match="deadline"):
        await pager.collect()
    assert [request.timeout for request in seen] == [Timeout(total=7.0)] * 3
    with pytest.raises(RequestTimeout, match="deadline"):
        await pager.first()
    assert len(seen) == 3


async def test_earlier_deadline_holds(connect: Connect) -> None:
    """The earlier one of a request's and the options' holds; another time-out inside stays as it is."""
    seen: list[float | None] = []

    async def transport(request: Request) -> Response:
        seen.append(request.deadline)
        raise TimeoutError("of the transport")

    codat = connect("http://localhost:9", middleware=[], transport=transport).with_options(deadline=1000)
    early, late = time.monotonic() + 500, time.monotonic() + 5000
    for deadline in (early, late):
        with pytest.raises(TimeoutError, match="of the transport"):
            await codat.send(Request(method="GET", path="/", deadline=deadline))
    assert seen[0] == early
    assert early < (seen[1] or 0) < late


@pytest.mark.parametrize("wrong", [0, -1, float("nan")])
def test_deadline_that_makes_no_sense(wrong: float) -> None:
    """A deadline is a number of seconds from now."""
    with pytest.raises(ConfigurationError, match="deadline must be greater than 0"):
        Codat("key").with_options(deadline=wrong)


@pytest.mark.parametrize("wrong", [0, -1])
@pytest.mark.parametrize("option", ["timeout", "max_response_size"])
def test_options_are_checked_wherever_they_are_passed(option: str, wrong: int) -> None:
    """with_options rejects what the constructor rejects."""
    for accept in (partial(Codat, "key"), Codat("key").with_options):
        with pytest.raises(ValueError, match="must be greater than 0"):
            accept(**{option: wrong})


# --- a transport of your own --------------------------------------------------------------------------


async def test_own_transport_gets_whole_requests() -> None:
    """The request that reaches it has the base URL, all headers, the time-out and the limit of the size."""
    seen: list[Request] = []

    async def transport(request: Request) -> Response:
        seen.append(request)
        return Response(status=200, body=b'{"id": "a"}')

    async with Codat(
        "key",
        base_url="https://api.test/",
        transport=transport,
        timeout=5,
        headers={"user-agent": "mine/1"},
        max_response_size=1000,
    ) as codat:
        await codat.accounts.get("c", "a")
        await codat.with_options(timeout=1, max_response_size=2000).accounts.get("c", "a")
        await codat.with_options(max_response_size=20).accounts.get("c", "a")
        await codat.send(Request(method="POST", path="/x", body=Body(b"{}", content_type="text/x", length=2)))
    first = seen[0]
    assert (first.base_url, first.path) == ("https://api.test", "/companies/c/data/accounts/a")
    assert dict(first.headers) == {
        "Accept": "application/json",
        "user-agent": "mine/1",
        "Authorization": "Basic a2V5",
    }
    assert [request.timeout for request in seen[:2]] == [Timeout(total=5.0), Timeout(total=1.0)]
    assert [request.max_response_size for request in seen[:3]] == [1000, 1000, 20]
    assert (seen[3].headers["Content-Type"], seen[3].headers["Content-Length"]) == ("text/x", "2")


async def test_own_transport_streams() -> None:
    """A download gets what the transport streams, and closes it."""
    closed: list[bool] = []

    class Stream:
        async def __aiter__(self) -> Any:
            yield b"pdf"

        async def aclose(self) -> None:
            closed.append(True)

    async def transport(request: Request) -> Response:
        assert request.stream
        return Response(status=200, stream=Stream())

    async with (
        Codat("key", transport=transport) as codat,
        codat.invoices.download_pdf("c", "i") as download,
    ):
        assert await download.read() == b"pdf"
    assert closed


async def test_errors_of_an_own_transport_are_retried(connect: Connect) -> None:
    """The typed errors that it raises are those that the retry middleware knows."""
    attempts: list[int] = []

    async def transport(request: Request) -> Response:
        attempts.append(request.attempt)
        if request.attempt < 3:
            raise ConnectionLost("gone", method=request.method, path=request.path, sent=True)
        return Response(status=200, body=b'{"id": "a"}')

    await connect("http://localhost:9", transport=transport).accounts.get("c", "a")
    assert attempts == [1, 2, 3]


@pytest.mark.parametrize("setting", ["session", "max_connections", "proxy"])
def test_settings_that_a_transport_ignores(setting: str) -> None:
    """A setting of the transport over aiohttp is no setting of another one."""

    async def transport(request: Request) -> Response:
        raise AssertionError

    with pytest.raises(ConfigurationError, match=f"{setting} has no effect on a transport of your own"):
        Codat("key", transport=transport, **{setting: object()})


# --- cheap copies -------------------------------------------------------------------------------------


async def test_options_for_some_calls(serve: Serve, connect: Connect) -> None:
    """A copy has its own headers and time-outs on the same session, governor and budget."""
    seen: list[Request] = []

    async def watch(request: Request, handler: Handler) -> Response:
        seen.append(request)
        return await handler(request)

    server = await serve(ok)
    codat = connect(server.url, extra_middleware=[watch])
    other = codat.with_options(timeout=5, headers={"X-Some": "1"})
    await codat.accounts.get("c", "a")
    await other.accounts.get("c", "a")
    await codat.accounts.get("c", "a")
    assert [request.headers.get("X-Some") for request in seen] == [None, "1", None]
    assert [request.timeout for request in seen] == [None, Timeout(total=5.0), None]
    assert other._transport is codat._transport
    assert other.governor is codat.governor
    assert other.accounts is not codat.accounts


async def test_a_request_takes_precedence_over_the_options(connect: Connect) -> None:
    """What a request sets for itself is kept."""
    seen: list[Request] = []

    async def end(request: Request, handler: Handler) -> Response:
        seen.append(request)
        return Response(status=200)

    codat = connect("http://localhost:9", middleware=[end])
    mine = Request(method="GET", path="/", headers={"x-some": "own"}, timeout=Timeout(total=1))
    await codat.with_options(timeout=5, headers={"X-Some": "1"}).send(mine)
    assert (dict(seen[0].headers), seen[0].timeout) == ({"x-some": "own"}, Timeout(total=1))


async def test_retry_policy_for_some_calls(serve: Serve, connect: Connect) -> None:
    """Another policy applies to the copy alone; without a Retry in the middleware it raises."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=503)

    server = await serve(answer)
    codat = connect(server.url)
    with pytest.raises(Exception, match="503"):
        await codat.with_options(retry=RetryPolicy(attempts=2, waits=False)).accounts.get("c", "a")
    assert len(server.seen) == 2
    with pytest.raises(ConfigurationError, match="no Retry"):
        connect(server.url, middleware=[]).with_options(retry=RetryPolicy())


class Tenant(Codat):
    """A client with attributes of its own, in slots and not, and a group of its own."""

    __slots__ = ("slotted",)

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(**options)
        self.tenant = name
        self.slotted = [name]

    @cached_property
    def upper(self) -> str:
        """A cached value that is no resource."""
        return self.tenant.upper()


async def test_copy_of_a_subclass() -> None:
    """with_options on a subclass keeps its attributes, and binds resources to the copy."""
    seen: list[dict[str, str]] = []

    async def end(request: Request, handler: Handler) -> Response:
        seen.append(dict(request.headers))
        return Response(status=200, body=b'{"id": "a"}')

    original = Tenant("acme", middleware=[end])
    await original.accounts.get("c", "a")
    assert original.upper == "ACME"
    copied = original.with_options(headers={"X-Some": "1"})
    assert type(copied) is Tenant
    assert (copied.tenant, copied.slotted, vars(copied)["upper"]) == ("acme", ["acme"], "ACME")
    copied.tenant = "other"
    assert original.tenant == "acme"
    await copied.accounts.get("c", "a")
    await original.accounts.get("c", "a")
    assert seen == [{}, {"X-Some": "1"}, {}]


async def test_closing_the_original_closes_for_both(serve: Serve, connect: Connect) -> None:
    """A copy lives as long as the client it was made from."""
    server = await serve(ok)
    codat = connect(server.url)
    other = codat.with_options(timeout=5)
    await other.accounts.get("c", "a")
    await codat.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await other.accounts.get("c", "a")
