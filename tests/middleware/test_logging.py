"""What is logged about an attempt, and what never is."""

import logging
from decimal import Decimal

import msgspec
import pytest

from codat_middleware import Auth, Body, Idempotency, Logging, Response, compose
from codat_middleware.errors import ConnectError
from tests.middleware.fakes import FakeStream, Script, get, post

NAME = "codat_middleware.logging"


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Captures at DEBUG."""
    caplog.set_level(logging.DEBUG, NAME)
    return caplog


async def test_nothing_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    """At INFO nothing is logged and the handler's own awaitable is returned."""
    caplog.set_level(logging.INFO, NAME)
    script = Script(200)
    assert (await Logging()(get(), script)).status == 200
    assert caplog.records == []


async def test_one_line_per_attempt(debug: pytest.LogCaptureFixture) -> None:
    """The message and the record's extra fields describe the attempt."""
    await Logging()(get(attempt=2), Script(Response(status=200, body=b"12345")))
    (record,) = debug.records
    assert record.name == NAME
    assert record.levelname == "DEBUG"
    assert record.getMessage().startswith("GET /companies/x: 200 in 0.")
    assert record.getMessage().endswith(" s, attempt 2")
    extra = record.__dict__
    assert extra["operation"] == "things.list"
    assert extra["company_id"] == "a"
    assert (extra["method"], extra["path"], extra["attempt"], extra["status"]) == (
        "GET",
        "/companies/x",
        2,
        200,
    )
    assert extra["bytes"] == 5
    assert extra["correlation_id"] is None
    assert extra["idempotency_key"] is None
    assert 0 <= extra["duration"] < 5


async def test_failure(debug: pytest.LogCaptureFixture) -> None:
    """An attempt without a response is logged with the error's name."""
    with pytest.raises(ConnectError):
        await Logging(bodies=True)(get(), Script(ConnectError("no", method="GET", path="/", sent=False)))
    (record,) = debug.records
    assert "ConnectError in" in record.getMessage()
    assert record.__dict__["status"] is None
    assert record.__dict__["bytes"] is None
    assert record.__dict__["response_body"] is None


@pytest.mark.parametrize(
    ("response", "correlation_id"),
    [
        (Response(status=500, body=b'{"correlationId": "c-1"}'), "c-1"),
        (Response(status=500, body=b"{}", headers={"X-Correlation-Id": "c-2"}), "c-2"),
        (Response(status=502, body=b"<html>", headers={"X-Correlation-Id": "c-3"}), "c-3"),
        (Response(status=503), None),
        (Response(status=200, body=b'{"correlationId": "c-4"}'), None),
    ],
)
async def test_correlation_id(
    debug: pytest.LogCaptureFixture, response: Response, correlation_id: str | None
) -> None:
    """The correlation id is taken from an error's body, else from the header."""
    await Logging()(get(), Script(response))
    assert debug.records[0].__dict__["correlation_id"] == correlation_id


async def test_idempotency_key_is_visible(debug: pytest.LogCaptureFixture) -> None:
    """The record contains a write's idempotency key."""
    script = Script(200)
    await compose([Idempotency(), Logging()], script)(post())
    assert debug.records[0].__dict__["idempotency_key"] == script.requests[0].headers["Idempotency-Key"]


async def test_credential_is_never_logged(debug: pytest.LogCaptureFixture) -> None:
    """Neither the key nor its header is in any part of the record, even with bodies."""
    handler = compose([Auth("s3cret"), Logging(bodies=True)], Script(200))
    await handler(post(body=Body(b'{"apiKey": "s3cret"}')))
    shown = repr(debug.records[0].__dict__) + debug.text
    assert "s3cret" not in shown
    assert "czNjcmV0" not in shown


async def test_no_bodies_unless_asked_for(debug: pytest.LogCaptureFixture) -> None:
    """By default no part of a body is logged."""
    await Logging()(post(body=Body(b'{"name": "Ann"}')), Script(Response(status=200, body=b'{"x": "Bob"}')))
    shown = repr(debug.records[0].__dict__)
    assert "Ann" not in shown
    assert "Bob" not in shown


async def test_bodies_redacted(debug: pytest.LogCaptureFixture) -> None:
    """Sensitive fields are redacted at any depth and in any case; numbers stay exact."""
    answer = b'{"results": [{"IBAN": "DE00", "total": 0.10}], "token": {"a": 1}}'
    await Logging(bodies=True)(get(), Script(Response(status=200, body=answer)))
    extra = debug.records[0].__dict__
    assert extra["request_body"] is None
    assert extra["response_body"] == '{"results":[{"IBAN":"***","total":0.10}],"token":"***"}'
    assert extra["response_body"] in debug.text
    assert msgspec.json.decode(extra["response_body"], type=dict[str, object])["token"] == "***"


async def test_own_list_of_sensitive_names(debug: pytest.LogCaptureFixture) -> None:
    """The names can be replaced."""
    await Logging(bodies=True, sensitive=["Name"])(get(), Script(Response(status=200, body=b'{"name":1}')))
    assert debug.records[0].__dict__["response_body"] == '{"name":"***"}'


async def test_bodies_cut(debug: pytest.LogCaptureFixture) -> None:
    """A long body is truncated and its length logged."""
    body = b'{"memo":"' + b"x" * 3000 + b'"}'
    await Logging(bodies=True)(get(), Script(Response(status=200, body=body)))
    assert debug.records[0].__dict__["response_body"] == '{"memo":"' + "x" * 1990 + "… (3011 characters)"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (Body(b""), ""),
        (Body(b"%PDF"), "<4 bytes, not valid JSON>"),
        (Body(b" " * 1_000_001), "<1000001 bytes>"),
        (Body(FakeStream, content_type="application/pdf"), "<stream of application/pdf>"),
    ],
)
async def test_other_bodies(debug: pytest.LogCaptureFixture, body: Body, shown: str) -> None:
    """A body that is not JSON, too long or streamed is only described, since it cannot be redacted."""
    await Logging(bodies=True)(post(body=body), Script(Response(status=200, stream=FakeStream())))
    extra = debug.records[0].__dict__
    assert extra["request_body"] == shown
    assert extra["bytes"] is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "\xe4", "correlationId": "\xf6"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 1_000 + b"]" * 1_000,
        b'{"correlationId": 1e999999999999999999999}',
        b'{"correlationId": ' + b"9" * 5000 + b"}",
    ],
    ids=["latin-1", "arrays", "objects", "nested", "exponent", "digits"],
)
async def test_body_that_cannot_be_read(debug: pytest.LogCaptureFixture, body: bytes) -> None:
    """A body that cannot be decoded does not make the request fail."""
    response = Response(status=500, body=body, headers={"X-Correlation-Id": "c-1"})
    assert await Logging(bodies=True)(get(), Script(response)) is response
    extra = debug.records[0].__dict__
    assert extra["correlation_id"] == "c-1"
    assert extra["response_body"] == f"<{len(body)} bytes, not valid JSON>"


async def test_decimals_stay_exact(debug: pytest.LogCaptureFixture) -> None:
    """An amount is logged with all the digits it was sent with."""
    amount = "12345678901234567.89"
    await Logging(bodies=True)(get(), Script(Response(status=200, body=f'{{"a":{amount}}}'.encode())))
    assert Decimal(amount) == Decimal(debug.records[0].__dict__["response_body"][5:-1])
