"""What is logged of an attempt, and what never is."""

import logging
from decimal import Decimal

import msgspec
import pytest

from codat_middleware import Auth, Body, ConnectError, Idempotency, Logging, Response, compose
from tests.middleware.fakes import FakeStream, Script, get, post

NAME = "codat_middleware.logging"


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Captures at DEBUG."""
    caplog.set_level(logging.DEBUG, NAME)
    return caplog


async def test_nothing_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    """At INFO there is no line, and the handler's own awaitable is handed through."""
    caplog.set_level(logging.INFO, NAME)
    script = Script(200)
    assert (await Logging()(get(), script)).status == 200
    assert caplog.records == []


async def test_one_line_per_attempt(debug: pytest.LogCaptureFixture) -> None:
    """The line is readable, and the record carries its parts."""
    await Logging()(get(attempt=2), Script(Response(status=200, body=b"12345")))
    (record,) = debug.records
    assert record.name == NAME
    assert record.levelname == "DEBUG"
    assert record.getMessage().startswith("GET /companies/x: 200 in 0.")
    assert record.getMessage().endswith(" s, attempt 2")
    told = record.__dict__
    assert told["operation"] == "things.list"
    assert told["company_id"] == "a"
    assert (told["method"], told["path"], told["attempt"], told["status"]) == ("GET", "/companies/x", 2, 200)
    assert told["bytes"] == 5
    assert told["correlation_id"] is None
    assert told["idempotency_key"] is None
    assert 0 <= told["duration"] < 5


async def test_failure(debug: pytest.LogCaptureFixture) -> None:
    """An attempt without answer is logged with the error's name."""
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
    """Taken from an error's body, else from the header."""
    await Logging()(get(), Script(response))
    assert debug.records[0].__dict__["correlation_id"] == correlation_id


async def test_idempotency_key_is_visible(debug: pytest.LogCaptureFixture) -> None:
    """The key of a write is in the record."""
    script = Script(200)
    await compose([Idempotency(), Logging()], script)(post())
    assert debug.records[0].__dict__["idempotency_key"] == script.requests[0].headers["Idempotency-Key"]


async def test_credential_is_never_logged(debug: pytest.LogCaptureFixture) -> None:
    """Not the key, not its header, in no part of the record, even with bodies."""
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
    """Sensitive names are blanked at any depth and in any case, and numbers stay exact."""
    answer = b'{"results": [{"IBAN": "DE00", "total": 0.10}], "token": {"a": 1}}'
    await Logging(bodies=True)(get(), Script(Response(status=200, body=answer)))
    told = debug.records[0].__dict__
    assert told["request_body"] is None
    assert told["response_body"] == '{"results":[{"IBAN":"***","total":0.10}],"token":"***"}'
    assert told["response_body"] in debug.text
    assert msgspec.json.decode(told["response_body"], type=dict[str, object])["token"] == "***"


async def test_own_list_of_sensitive_names(debug: pytest.LogCaptureFixture) -> None:
    """The names can be replaced."""
    await Logging(bodies=True, sensitive=["Name"])(get(), Script(Response(status=200, body=b'{"name":1}')))
    assert debug.records[0].__dict__["response_body"] == '{"name":"***"}'


async def test_bodies_cut(debug: pytest.LogCaptureFixture) -> None:
    """A long body is cut, and its length told."""
    body = b'{"memo":"' + b"x" * 100 + b'"}'
    await Logging(bodies=True, body_limit=20)(get(), Script(Response(status=200, body=body)))
    assert debug.records[0].__dict__["response_body"] == '{"memo":"xxxxxxxxxxx… (111 characters)'


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (Body(b""), ""),
        (Body(b"%PDF"), "<4 bytes, not readable as JSON>"),
        (Body(b" " * 1_000_001), "<1000001 bytes>"),
        (Body(FakeStream, content_type="application/pdf"), "<a stream of application/pdf>"),
    ],
)
async def test_other_bodies(debug: pytest.LogCaptureFixture, body: Body, shown: str) -> None:
    """What is not JSON, too long or streamed is told in a word, since it cannot be redacted."""
    await Logging(bodies=True)(post(body=body), Script(Response(status=200, stream=FakeStream())))
    told = debug.records[0].__dict__
    assert told["request_body"] == shown
    assert told["bytes"] is None


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
    """Whatever an answer holds, the log does not take its place."""
    response = Response(status=500, body=body, headers={"X-Correlation-Id": "c-1"})
    assert await Logging(bodies=True)(get(), Script(response)) is response
    told = debug.records[0].__dict__
    assert told["correlation_id"] == "c-1"
    assert told["response_body"] == f"<{len(body)} bytes, not readable as JSON>"


async def test_decimals_stay_exact(debug: pytest.LogCaptureFixture) -> None:
    """An amount is logged with all the digits it was sent with."""
    amount = "12345678901234567.89"
    await Logging(bodies=True)(get(), Script(Response(status=200, body=f'{{"a":{amount}}}'.encode())))
    assert Decimal(amount) == Decimal(debug.records[0].__dict__["response_body"][5:-1])
