"""Every error this client raises on purpose, under one root.

::

    CodatError
    ├── ConfigurationError        wrong settings of the client: no key, a bad base URL (also a ValueError)
    ├── TransportError            no complete answer was received
    │   ├── ConnectError          no connection could be made: DNS, refused, proxy
    │   │   └── TLSError          the certificate or the handshake was not accepted
    │   ├── ConnectionLost        the connection broke before the answer was complete
    │   ├── RequestTimeout        connecting, waiting or the whole attempt took too long
    │   └── ResponseTooLarge      more bytes, decompressed, than ``max_response_size``
    ├── RateLimited               too many requests; has the time to wait, and for whom
    │   ├── ApiPaused             the API asks all requests to wait longer than is waited for
    │   └── TooManyRequests       429 after the last retry (also a StatusError)
    ├── QueueTimeout              no place in the rate limit became free
    ├── QuotaExhausted            the daily quota is used up; has the time of its reset
    ├── StatusError               an answer that is not a success
    │   ├── BadRequest            400  malformed request or query
    │   ├── Unauthorized          401  wrong API key
    │   ├── PaymentRequired       402  an account limit
    │   ├── Forbidden             403  the key is not allowed there
    │   ├── NotFound              404  no such record, or the platform lacks that data type
    │   ├── MethodNotAllowed      405  no such operation on that path
    │   ├── Conflict              409  never requested, still syncing, or an idempotency key in progress
    │   ├── UnprocessableEntity   422  an idempotency key used again with another body
    │   ├── TooManyRequests       429  too many requests (also a RateLimited)
    │   └── ServerError           5xx
    │       ├── InternalServerError   500
    │       └── ServiceUnavailable    503
    ├── DecodingError             a successful answer whose body cannot be decoded
    │   └── InvalidRecord         one record that does not fit its model
    ├── PagingError               a list whose pages do not advance
    ├── EmptyList                 a list without the record that ``one()`` returns
    ├── DownloadError             a download that ended short or could not be resumed
    ├── PushError                 a write that the platform did not carry out
    │   ├── PushFailed            rejected; has the reason and the validation
    │   └── PushTimedOut          the platform or the caller's time-out gave up
    └── SyncError                 data types that were not synced; has the state of each
        ├── SyncFailed            some ended in an error, or no connection is linked
        └── SyncTimeout           some had not ended when the caller's time-out passed

``codat_async.bulk`` and ``codat_async.webhooks`` add their own below the root.
"""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import responses
from typing import Any

import msgspec
from msgspec.structs import fields

from codat_async.models import DatasetStatus, ErrorMessage, PushOperation, Validation
from codat_middleware.errors import ApiPaused as ApiPaused
from codat_middleware.errors import CodatError as CodatError
from codat_middleware.errors import ConnectError as ConnectError
from codat_middleware.errors import ConnectionLost as ConnectionLost
from codat_middleware.errors import QueueTimeout as QueueTimeout
from codat_middleware.errors import QuotaExhausted as QuotaExhausted
from codat_middleware.errors import RateLimited as RateLimited
from codat_middleware.errors import RateLimitScope
from codat_middleware.errors import RequestTimeout as RequestTimeout
from codat_middleware.errors import ResponseTooLarge as ResponseTooLarge
from codat_middleware.errors import TLSError as TLSError
from codat_middleware.errors import TransportError as TransportError
from codat_middleware.headers import retry_after
from codat_middleware.messages import SAFE_METHODS, Request, Response
from codat_middleware.text import DECODE_ERRORS as DECODE_ERRORS
from codat_middleware.text import PART, PATH, one_line, well_formed

_LINKS = frozenset({"location", "content-location", "link", "refresh"})
_QUERY = re.compile(r"[?#][^\s,;>\"]*")


class ConfigurationError(CodatError, ValueError):
    """The settings of the client are wrong: no API key, or a base URL that cannot be used."""


class StatusError(CodatError):
    """An answer that is not a success; the fields are empty if the body is not Codat's."""

    def __init__(self, request: Request, response: Response, message: ErrorMessage) -> None:
        self.status: int = response.status
        self.method: str = request.method
        self.path: str = request.path
        self.operation: str = request.operation
        self.company_id: str | None = request.company_id
        self.headers: Mapping[str, str] = {
            name: _QUERY.sub("", value) if name.lower() in _LINKS else value
            for name, value in response.headers.items()
        }
        """As received, but for the queries of links, which may hold credentials."""
        self.error: str | None = message.error
        self.service: str | None = message.service
        self.correlation_id: str | None = message.correlation_id
        self.can_be_retried: str | None = message.can_be_retried
        """As the API words it: ``True``, ``False`` or ``Unknown``."""
        self.detailed_error_code: int | None = message.detailed_error_code
        self.validation: Validation | None = message.validation
        self.retry_after: float | None = retry_after(response.headers, time.time())
        """Seconds from the answer on that the server asked to wait, by ``Retry-After``."""
        self.body: bytes = response.body
        """As received."""
        self.unconfirmed: str | None = response.unconfirmed
        """How an earlier attempt of this write failed, if it may have caused this answer."""
        CodatError.__init__(self, self.status, self.error and one_line(self.error))

    @property
    def outcome_unknown(self) -> bool:
        """Whether a write may have happened in spite of the error: after a 5xx, or if ``unconfirmed``.

        What to do then is described in ``codat_async.operations.writes``.
        """
        return self.method not in SAFE_METHODS and (self.status >= 500 or self.unconfirmed is not None)

    def __str__(self) -> str:
        error = one_line(self.error or "") or responses.get(self.status, "unexpected status")
        path = one_line(self.path, PATH)
        parts = [f"{self.status} {self.method} {path}: {error}", *validation_errors(self.validation)[:3]]
        if self.retry_after is not None:
            parts.append(f"retry after {self.retry_after:.0f} s")
        if self.unconfirmed:
            parts.append(f"an earlier attempt may have been carried out ({self.unconfirmed})")
        if self.unconfirmed and self.status == 404 and self.method == "DELETE":
            parts.append("the deletion was probably done")
        elif self.outcome_unknown:
            parts.append("the outcome of this write is unknown")
            if self.method in ("POST", "PATCH"):
                parts.append("it was not sent again")
        if self.correlation_id:
            parts.append(f"correlation id {one_line(self.correlation_id)}")
        return "; ".join(parts)


class BadRequest(StatusError):
    """400: a malformed request or query."""


class Unauthorized(StatusError):
    """401: the API key is wrong."""


class PaymentRequired(StatusError):
    """402: an account limit is reached: companies, the free plan, or hourly syncs."""


class Forbidden(StatusError):
    """403: the key is not allowed there."""


class NotFound(StatusError):
    """404: no such record, or that platform does not have the data type."""


class MethodNotAllowed(StatusError):
    """405: the path has no operation of that method."""


class Conflict(StatusError):
    """409: the data set was never requested or is still syncing, or an idempotency key is in progress."""


class UnprocessableEntity(StatusError):
    """422: an idempotency key was used again with another body."""


class TooManyRequests(StatusError, RateLimited):
    """429: too many requests, after the last retry; ``retry_after`` is how long to wait."""

    scope: RateLimitScope = "call"


class ServerError(StatusError):
    """5xx: a failure on the server's side."""


class InternalServerError(ServerError):
    """500: a server error."""


class ServiceUnavailable(ServerError):
    """503: maintenance, or overload."""


class DecodingError(CodatError):
    """A successful answer whose body cannot be decoded: broken JSON, or a shape that no model accepts.

    ``path`` is the place in the document (``$.totalAmount``), ``reason`` what is wrong there,
    ``raw`` the bytes as received.
    """

    _subject = ""

    def __init__(self, reason: str, *, path: str = "$", raw: bytes = b"", operation: str = "") -> None:
        super().__init__(one_line(reason))
        self.reason = one_line(reason)
        self.path = path
        self.raw = raw
        self.operation = operation

    def __str__(self) -> str:
        name = f"{self.operation}: " if self.operation else ""
        return f"{name}{self._subject}{self.reason} at {one_line(self.path)}"


class InvalidRecord(DecodingError):
    """One record that does not fit its model; the other records of its page are not affected.

    Passed to the ``on_invalid`` of a pager, or raised by default.
    """

    def __init__(
        self, reason: str, *, record_id: str | None, path: str, raw: bytes, operation: str = ""
    ) -> None:
        super().__init__(reason, path=path, raw=raw, operation=operation)
        self.record_id = record_id
        """The record's ``id``, if it could be read."""
        self._subject = f"record {one_line(record_id or 'without id')}: "


class PagingError(CodatError):
    """A list whose pages do not advance: following it would lead nowhere, or never end."""


class EmptyList(CodatError, LookupError):
    """A list, after its filter, without any record, of which ``one()`` was to return the first."""


class DownloadError(CodatError):
    """A download that ended short of its size, or broke and could not be resumed."""


class PushError(CodatError):
    """A write that the platform did not carry out; ``operation`` is its last known state."""

    def __init__(self, operation: PushOperation[Any], reason: str) -> None:
        super().__init__(one_line(reason, 4 * PART))
        self.operation: PushOperation[object] = operation

    @property
    def validation(self) -> Validation | None:
        """What the platform found wrong with the record, if it answered that."""
        return self.operation.validation

    def __str__(self) -> str:
        return f"push operation {one_line(self.operation.push_operation_key)}: {self.args[0]}"


class PushFailed(PushError):
    """The platform rejected the write; ``validation`` and ``operation.error_message`` are its reasons."""


class PushTimedOut(PushError):
    """No final state in time: the platform gave up, or the caller's time-out passed first.

    After the caller's time-out the operation may still end; call ``wait`` with it again.
    """


class SyncError(CodatError):
    """Data types of a company that were not synced.

    ``states`` has the last known state of each by Codat's name: None for one that never was
    synced, or cannot be queued.
    """

    def __init__(
        self, company_id: str, states: Mapping[str, DatasetStatus | None], reason: str | None = None
    ) -> None:
        self.company_id = company_id
        self.states: dict[str, DatasetStatus | None] = dict(states)
        self.reason = reason
        super().__init__(one_line(company_id), *self.states)

    def __str__(self) -> str:
        parts = [f"{name}: {one_line(state or 'never synced')}" for name, state in self.states.items()]
        if DatasetStatus.AUTH_ERROR in self.states.values():
            parts.append("AuthError means that the company must link its software again")
        return f"company {one_line(self.company_id)}: {self.reason or 'not synced'} ({'; '.join(parts)})"


class SyncFailed(SyncError):
    """Some syncs ended in an error, or could not be queued because no connection is linked."""


class SyncTimeout(SyncError):
    """Some syncs had not ended in time; they go on, so ``refresh_data.wait`` can be called again."""


_BY_STATUS: dict[int, type[StatusError]] = {
    400: BadRequest, 401: Unauthorized, 402: PaymentRequired, 403: Forbidden, 404: NotFound,
    405: MethodNotAllowed, 409: Conflict, 422: UnprocessableEntity, 429: TooManyRequests,
    500: InternalServerError, 503: ServiceUnavailable,
}  # fmt: skip


def from_response(request: Request, response: Response) -> StatusError:
    """The error for an answer that is not a success, whatever its body holds."""
    message = _message(response.body)
    kind = _BY_STATUS.get(response.status) or (ServerError if response.status >= 500 else StatusError)
    return kind(request, response, message)


def _message(body: bytes) -> ErrorMessage:
    """Decode an error's body field by field, so that one malformed field does not lose the others."""
    message = ErrorMessage()
    with suppress(*DECODE_ERRORS):
        found = msgspec.json.decode(well_formed(body), type=dict[str, msgspec.Raw])
        for field in fields(ErrorMessage):
            with suppress(KeyError, *DECODE_ERRORS):
                value = msgspec.json.decode(found[field.encode_name], type=field.type, strict=False)
                setattr(message, field.name, value)
    return message


def validation_errors(validation: Validation | None) -> list[str]:
    """A line for each error of a validation."""
    found = (validation and validation.errors) or []
    return [
        f"{one_line(each.item_id or 'record')}: {one_line(each.message or 'no message')}" for each in found
    ]
