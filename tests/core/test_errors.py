"""The tree of errors: the right class, one readable line, no credential, and a way through pickle."""

import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from codat_async import PushOperation, errors
from codat_async.models import DatasetStatus, ErrorMessage, PushOperationStatus, Validation, ValidationItem
from codat_middleware.messages import Request, Response

REQUEST = Request(
    method="GET",
    path="/companies/c/data/bills",
    query=(("query", "secret=1"),),
    headers={"Authorization": "Basic c2VjcmV0LWtleQ=="},
    operation="bills.list",
)

BODY = b"""{"statusCode":404,"service":"ClientApi","error":"No data available","correlationId":"7f2a",
    "canBeRetried":"Unknown","detailedErrorCode":7,
    "validation":{"warnings":[],
        "errors":[{"itemId":"lineItems[0]","message":"too long","validatorName":"length"}]}}"""


def raised(status: int, body: bytes = b"", **changes: Any) -> errors.StatusError:
    """The error for an answer."""
    headers, unconfirmed = changes.pop("headers", {}), changes.pop("unconfirmed", None)
    response = Response(status=status, headers=headers, body=body, unconfirmed=unconfirmed)
    return errors.from_response(REQUEST.copy(**changes), response)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.Unauthorized),
        (402, errors.PaymentRequired),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (405, errors.MethodNotAllowed),
        (409, errors.Conflict),
        (422, errors.UnprocessableEntity),
        (429, errors.TooManyRequests),
        (500, errors.InternalServerError),
        (503, errors.ServiceUnavailable),
        (502, errors.ServerError),
        (599, errors.ServerError),
        (418, errors.StatusError),
        (302, errors.StatusError),
    ],
)
def test_class_of_a_status(status: int, kind: type[errors.StatusError]) -> None:
    """Each documented status has its class, the others the nearest one above."""
    error = raised(status)
    assert type(error) is kind
    assert error.status == status
    assert str(error).startswith(f"{status} GET /companies/c/data/bills: ")


def test_fields_of_an_error() -> None:
    """The error body is available by field, and in one line with the correlation id."""
    error = raised(404, BODY, headers={"X-Rate-Limit-Remaining": "9"})
    assert (error.error, error.service, error.correlation_id) == ("No data available", "ClientApi", "7f2a")
    assert (error.can_be_retried, error.detailed_error_code) == ("Unknown", 7)
    assert error.validation is not None
    assert error.validation.errors is not None
    assert error.validation.errors[0].validator_name == "length"
    assert (error.method, error.path, error.operation) == ("GET", "/companies/c/data/bills", "bills.list")
    assert error.headers == {"X-Rate-Limit-Remaining": "9"}
    assert error.body == BODY
    assert str(error) == (
        "404 GET /companies/c/data/bills: No data available; lineItems[0]: too long; correlation id 7f2a"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><h1>502 Bad Gateway</h1></html>",
        b'{"error": "cut o',
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b"[" * 99_999,
    ],
    ids=["empty", "HTML", "broken", "list", "text", "null", "no UTF-8", "nested"],
)
def test_bodies_that_say_nothing(body: bytes) -> None:
    """Whatever a proxy answers, the class is right and the line readable."""
    error = raised(503, body)
    assert type(error) is errors.ServiceUnavailable
    assert str(error) == "503 GET /companies/c/data/bills: Service Unavailable"
    assert error.body == body


def test_an_odd_field_does_not_cost_the_others() -> None:
    """A field of another type than documented is left out, and the others are kept."""
    error = raised(400, b'{"error":"bad","correlationId":"x","canBeRetried":["?"],"detailedErrorCode":"11"}')
    assert (error.error, error.correlation_id, error.can_be_retried) == ("bad", "x", None)
    assert error.detailed_error_code == 11


def test_text_is_one_line() -> None:
    """Line ends in a message do not make more of it."""
    assert "\n" not in str(raised(400, b'{"error":"first\\nsecond"}'))


OBEYED = "\x1b]0;title\x07\x1b[31m\x00\x9b2J\u202e"
"""What a terminal obeys, or shows in another order."""


def test_texts_of_a_server_are_bounded_and_plain() -> None:
    """Each part of a message has 200 characters at most, and no control characters."""
    text = msgspec.json.encode(OBEYED + "x" * 1000).decode()
    item = f'{{"itemId":{text},"message":{text}}}'
    body = (
        f'{{"error":{text},"correlationId":{text},"validation":{{"errors":[{item},{item},{item},{item}]}}}}'
    )
    for error in (
        raised(400, body.encode()),
        errors.DecodingError(OBEYED + "x" * 1000, path=OBEYED + "x" * 1000, operation="bills.get"),
        errors.InvalidRecord("bad", record_id=OBEYED + "x" * 1000, path="$", raw=b""),
        errors.PushFailed(operation(push_operation_key=OBEYED + "x" * 1000), OBEYED + "x" * 9000),
        errors.SyncFailed(OBEYED + "x" * 1000, {"bills": DatasetStatus(OBEYED + "x" * 1000)}),
        errors.ConnectionLost("reset", method="GET", path="/" + "x" * 9000, sent=True),
        raised(404, path="/" + "x" * 9000),
    ):
        assert str(error).isprintable()
        assert repr(error).isprintable()
        assert len(str(error)) < 9 * 200


def test_links_of_a_server_have_no_query() -> None:
    """A redirect may hold a token; the rest of the headers is as received."""
    links = {"location": "https://login.test/a?token=secret#x", "Link": "</b?c=secret>; rel=next"}
    error = raised(302, headers={**links, "X": "?"})
    assert error.headers == {"location": "https://login.test/a", "Link": "</b>; rel=next", "X": "?"}


@pytest.mark.parametrize("value", ["7", " 7 "])
def test_retry_after_in_seconds(value: str) -> None:
    """Seconds are taken as they are."""
    error = raised(429, headers={"Retry-After": value})
    assert error.retry_after == 7.0
    assert "retry after 7 s" in str(error)


def test_retry_after_as_a_date() -> None:
    """A date becomes the seconds from the answer until it; a past one becomes 0."""
    soon = datetime.now(UTC) + timedelta(seconds=100)
    for value in (format_datetime(soon, usegmt=True), soon.isoformat()):
        wait = raised(429, headers={"Retry-After": value}).retry_after
        assert wait is not None
        assert 95 < wait <= 100
    assert raised(429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}).retry_after == 0.0
    for value in ("soon", ""):
        assert raised(429, headers={"Retry-After": value}).retry_after is None


def test_outcome_of_a_write() -> None:
    """The outcome of a write is unknown after a 5xx, but not that of a read, or after a 4xx."""
    assert raised(500, method="POST").outcome_unknown
    assert "outcome of this write is unknown" in str(raised(500, method="POST"))
    assert not raised(500).outcome_unknown
    assert not raised(400, method="POST").outcome_unknown


@pytest.mark.parametrize("status", [400, 409, 422])
def test_outcome_after_an_unconfirmed_attempt(status: int) -> None:
    """A 4xx that an earlier attempt of the write may have caused leaves its outcome unknown."""
    error = raised(status, method="PUT", unconfirmed="ConnectionLost")
    assert error.outcome_unknown
    assert "an earlier attempt may have been carried out (ConnectionLost)" in str(error)
    assert "the outcome of this write is unknown" in str(error)


def test_deletion_that_was_probably_done() -> None:
    """A 404 after an unconfirmed attempt to delete is reported for what it most likely means."""
    error = raised(404, method="DELETE", unconfirmed="status 503")
    assert error.outcome_unknown
    assert str(error).endswith("(status 503); the deletion was probably done")
    assert "probably" not in str(raised(404, method="DELETE"))
    assert "probably" not in str(raised(404, method="PUT", unconfirmed="status 503"))


def operation(push_operation_key: str = "k") -> PushOperation[Any]:
    """A write that failed."""
    return PushOperation(
        push_operation_key=push_operation_key,
        company_id="c",
        data_connection_key="n",
        status=PushOperationStatus.FAILED,
        status_code=400,
        requested_on_utc=datetime(2022, 1, 1),
        validation=Validation(errors=[ValidationItem(item_id="x", message="no")]),
    )


def every_kind() -> list[errors.CodatError]:
    """One of each error that carries something."""
    where = {"method": "POST", "path": "/p", "sent": True}
    return [
        errors.ConfigurationError("no key"),
        errors.ConnectError("refused", **where),
        errors.TLSError("expired", **where),
        errors.ConnectionLost("reset", **where),
        errors.RequestTimeout("slow", phase="read", **where),
        errors.QuotaExhausted(datetime(2022, 1, 1, tzinfo=UTC)),
        raised(404, BODY, headers={"Retry-After": "3"}),
        errors.DecodingError("bad", path="$.a", raw=b"{}", operation="bills.get"),
        errors.InvalidRecord("bad", record_id="1", path="$.a", raw=b"{}", operation="bills.list"),
        errors.PagingError("stuck"),
        errors.DownloadError("short"),
        errors.PushFailed(operation(), "why"),
        errors.PushTimedOut(operation(), "late"),
        errors.SyncFailed("c", {"bills": DatasetStatus.AUTH_ERROR, "items": None}),
        errors.SyncTimeout("c", {"bills": DatasetStatus("New")}, "why"),
    ]


@pytest.mark.parametrize("error", every_kind(), ids=lambda error: type(error).__name__)
def test_through_pickle(error: errors.CodatError) -> None:
    """Errors cross process borders whole, as workers need."""
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert copied.__dict__ == error.__dict__
    assert isinstance(copied, errors.CodatError)


def test_push_errors_have_their_reason() -> None:
    """A failed write names its operation and holds the validation."""
    error = errors.PushFailed(operation(), "why")
    assert str(error) == "push operation k: why"
    assert error.validation is not None


def test_no_credential_is_shown() -> None:
    """Neither text, representation nor fields of an error hold the key or the query."""
    error = raised(401, b'{"error":"denied"}')
    text = f"{error} {error!r} {error.__dict__} {REQUEST!r}"
    assert "c2VjcmV0" not in text
    assert "secret=1" not in text


def test_the_tree_is_as_drawn() -> None:
    """docs/errors.md shows every class under the one it derives from, and no other."""
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.CodatError)
    }
    drawn: list[tuple[int, str]] = []
    text = (Path(__file__).parents[2] / "docs/errors.md").read_text("utf-8")
    for line in text.partition("```text")[2].partition("```")[0].splitlines():
        name = line.lstrip(" │├└─").split(" ")[0]
        if name in defined:
            drawn.append((line.index(name), name))
    assert {name for _, name in drawn} == defined
    above: list[tuple[int, str]] = []
    for depth, name in drawn:
        while above and above[-1][0] >= depth:
            above.pop()
        if above:
            assert getattr(errors, above[-1][1]) in getattr(errors, name).__bases__
        above.append((depth, name))


def test_empty_message() -> None:
    """An error made without any words still has its line."""
    assert "Not Found" in str(errors.NotFound(REQUEST, Response(status=404), ErrorMessage()))
