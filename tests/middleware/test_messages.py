"""Requests and responses as values, errors, and the composition of middleware."""

import functools
import inspect
import math
import pickle
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, Final
from unittest.mock import Mock

import pytest

import codat_middleware
from codat_middleware import Handler, Request, Response, Timeout, TransportError, compose
from codat_middleware.errors import ConnectionLost, QuotaExhausted, RequestTimeout
from tests.middleware.fakes import START, Script, get


def test_copies() -> None:
    """A copy differs only in the given fields; the original is unchanged."""
    request, response = get(), Response(status=200, body=b"x")
    assert request.copy(path="/y").path == "/y"
    assert request.copy(path="/companies/x") == request
    assert response.copy(status=404) == Response(status=404, body=b"x")
    with pytest.raises(AttributeError):
        request.path = "/z"  # type: ignore[misc]


def test_with_header_replaces_any_case() -> None:
    """Header names are compared without case."""
    request = get(headers={"x-one": "1", "X-Two": "2"}).with_header("X-One", "3")
    assert request.headers == {"X-Two": "2", "X-One": "3"}


@pytest.mark.parametrize(("method", "idempotent"), [("GET", True), ("DELETE", True), ("POST", False)])
def test_idempotent(method: str, idempotent: bool) -> None:
    """Which methods are idempotent."""
    assert get(method=method).idempotent is idempotent


@pytest.mark.parametrize(
    ("method", "path", "starts"),
    [
        ("PUT", "/companies/a/connections/b/push/bills/1", True),
        ("DELETE", "/companies/a/connections/b/push/bills/1", True),
        ("POST", "/companies/a/connections/b/push/bills", True),
        ("GET", "/companies/a/push/key", False),
        ("PUT", "/companies/a%2Fpush%2Fb", False),
        ("DELETE", "/companies/a", False),
    ],
)
def test_start_of_a_push_operation(method: str, path: str, starts: bool) -> None:
    """Known by the method and the path."""
    assert get(method=method, path=path).starts_push is starts


async def test_compose_order() -> None:
    """The first middleware is outermost."""
    order: list[str] = []

    def layer(name: str) -> codat_middleware.Middleware:
        async def call(request: Request, call_next: Handler) -> Response:
            order.append(f"{name} in")
            response = await call_next(request)
            order.append(f"{name} out")
            return response

        return call

    await compose([layer("a"), layer("b")], Script(200))(get())
    assert order == ["a in", "b in", "b out", "a out"]


UNUSED: Final = Script(500)


class Layers:
    """The kinds of what can be called as middleware; each marks the request."""

    class Object:
        async def __call__(self, request: Request, call_next: Handler) -> Response:
            return await call_next(request.with_header("a", "1"))

    class Heir(Object):
        async def __call__(self, request: Request, call_next: Handler) -> Response:
            return await super().__call__(request, call_next)

    class Static:
        @staticmethod
        async def __call__(request: Request, call_next: Handler) -> Response:
            return await call_next(request.with_header("a", "1"))

    @staticmethod
    async def positional(request: Request, call_next: Handler, /) -> Response:
        return await call_next(request.with_header("a", "1"))

    @staticmethod
    async def with_defaults(request: Request, call_next: Handler, value: str = "1") -> Response:
        return await call_next(request.with_header("a", value))

    @staticmethod
    async def with_default_handler(request: Request, call_next: Handler = UNUSED) -> Response:
        return await call_next(request.with_header("a", "1"))

    @staticmethod
    async def with_keyword(request: Request, call_next: Handler, *, value: str = "1") -> Response:
        return await call_next(request.with_header("a", value))

    @staticmethod
    async def with_any(*both: Any, **none: Any) -> Response:
        request, call_next = both
        return await call_next(request.with_header("a", "1"))

    @staticmethod
    def plain(request: Request, call_next: Handler) -> Awaitable[Response]:
        return call_next(request.with_header("a", "1"))

    def method(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        return call_next(request.with_header("a", "1"))


@pytest.mark.parametrize(
    "layer",
    [
        Layers.Object(), Layers.Heir(), Layers.Static(), Layers.positional, Layers.with_defaults,
        Layers.with_default_handler, Layers.with_keyword, Layers.with_any, Layers.plain, Layers().method,
        functools.partial(Layers.with_keyword, value="1"), functools.partial(Layers().method),
        Mock(side_effect=Layers.plain), lambda request, inner: inner(request.with_header("a", "1")),
    ],
)  # fmt: skip
async def test_whatever_can_be_called_is_middleware(layer: codat_middleware.Middleware) -> None:
    """With handlers of two kinds, in two pipelines at once, and twice in one."""
    inner, other = Script(200), Script(201)

    async def handler(request: Request) -> Response:
        return await other(request)

    first, second = compose([layer, layer], inner), compose([layer], handler)
    assert [(await first(get())).status, (await second(get())).status] == [200, 201]
    for script in (inner, other):
        assert [dict(each.headers) for each in script.requests] == [{"a": "1"}]
    assert (await compose([], inner)(get())).status == 200


@pytest.mark.parametrize(
    ("method", "sent", "unknown"), [("POST", True, True), ("POST", False, False), ("GET", True, False)]
)
def test_unknown_outcome(method: str, sent: bool, unknown: bool) -> None:
    """The outcome is unknown only for a write that may have arrived, and the message says so."""
    error = ConnectionLost("reset", method=method, path="/x", sent=sent)
    assert error.outcome_unknown is unknown
    assert ("outcome" in str(error)) is unknown


@pytest.mark.parametrize(
    "error",
    [
        ConnectionLost("reset", method="GET", path="/x", sent=True),
        RequestTimeout("slow", method="GET", path="/x", sent=True, phase="read"),
    ],
)
def test_transport_errors_pickle(error: TransportError) -> None:
    """Errors keep all their fields when pickled."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.__dict__ == error.__dict__
    assert str(copy) == str(error)


def test_quota_error() -> None:
    """The error carries and shows the reset time, and can be pickled."""
    resets_at = datetime.fromtimestamp(START, UTC)
    error = pickle.loads(pickle.dumps(QuotaExhausted(resets_at)))
    assert error.resets_at == resets_at
    assert str(error) == "the daily quota is spent; it resets at 2027-01-15T08:00:00+00:00"
    assert repr(error) == f"QuotaExhausted({str(error)!r})"


def test_public_names() -> None:
    """The package itself has these names, and the errors in their module."""
    public = {
        name
        for name, value in vars(codat_middleware).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == {
        "ON_RETRY", "Auth", "Body", "Clock", "CodatError", "Governor", "GovernorEvent", "GovernorState",
        "Handler", "Idempotency", "Limits", "Logging", "Middleware", "RateLimit", "Request", "Response",
        "Retry", "RetryBudget", "RetryEvent", "RetryPolicy", "Timeout", "Tracing", "TransportError",
        "authorization", "compose",
    }  # fmt: skip
    assert codat_middleware.errors.TransportError is TransportError


def test_imports_nothing_heavy() -> None:
    """The package imports neither aiohttp nor the client nor OpenTelemetry."""
    import subprocess
    import sys

    code = (
        "import sys, codat_middleware; "
        "print({'aiohttp', 'codat_async', 'opentelemetry'} & {name.split('.')[0] for name in sys.modules})"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["connect", "read", "total"])
@pytest.mark.parametrize("seconds", [0, -1.0, math.nan])
def test_a_time_out_is_above_zero(name: str, seconds: float) -> None:
    """A time-out of zero or less is rejected, since it means no limit in some libraries."""
    with pytest.raises(ValueError, match=f"{name} is"):
        Timeout(**{name: seconds})
    assert getattr(Timeout(**{name: 0.1}), name) == 0.1
    assert getattr(Timeout(**{name: None}), name) is None


def test_timeout_of_a_number() -> None:
    """A number is the total, and a time-out is itself."""
    assert Timeout.of(5) == Timeout(total=5.0)
    assert Timeout.of(Timeout(read=1.0)) == Timeout(read=1.0)
