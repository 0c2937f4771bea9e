"""Every error this client raises on purpose, under one root; ``bulk`` and ``webhooks`` add their own."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from http.client import responses

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
from codat_middleware.messages import SAFE_METHODS, Request, Response
from codat_middleware.text import DECODE_ERRORS as DECODE_ERRORS
from codat_middleware.text import PART, PATH, one_line, retry_after, well_formed

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
        CodatError.__init__(self, self.status)

    @property
    def outcome_unknown(self) -> bool:
        """Whether a write may have happened: after a 5xx or if ``unconfirmed``; see ``operations.writes``."""
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


@dataclass(eq=False, repr=False)
class DecodingError(CodatError):
    """A successful answer whose body cannot be decoded: broken JSON, or a shape that no model accepts.

    ``path`` is the place in the document (``$.totalAmount``), ``reason`` what is wrong there, ``raw``
    the bytes as received, ``record_id`` the ``id`` of an :class:`InvalidRecord` if it could be read.
    """

    reason: str
    _: KW_ONLY
    path: str = "$"
    raw: bytes = b""
    operation: str = ""
    record_id: str | None = None

    def __post_init__(self) -> None:
        self.reason = one_line(self.reason)

    def __str__(self) -> str:
        name = f"{self.operation}: " if self.operation else ""
        record = f"record {one_line(self.record_id)}: " if self.record_id else ""
        return f"{name}{record}{self.reason} at {one_line(self.path)}"


class InvalidRecord(DecodingError):
    """One record, not its page, that does not fit its model; passed to a pager's ``on_invalid`` or raised."""


class PagingError(CodatError):
    """A list whose pages do not advance: following it would lead nowhere, or never end."""


class EmptyList(CodatError, LookupError):
    """A list, after its filter, without any record, of which ``one()`` was to return the first."""


class DownloadError(CodatError):
    """A download that ended short of its size, or broke and could not be resumed."""


@dataclass(eq=False, repr=False)
class PushError(CodatError):
    """A write that the platform did not carry out; ``operation`` is its last known state."""

    operation: PushOperation[object]
    reason: str

    @property
    def validation(self) -> Validation | None:
        """What the platform found wrong with the record, if it answered that."""
        return self.operation.validation

    def __str__(self) -> str:
        key = one_line(self.operation.push_operation_key)
        return f"push operation {key}: {one_line(self.reason, 4 * PART)}"


class PushFailed(PushError):
    """The platform rejected the write; ``validation`` and ``operation.error_message`` are its reasons."""


class PushTimedOut(PushError):
    """No final state in time; if only the caller's time-out passed, call ``wait`` on ``operation`` again."""


@dataclass(eq=False, repr=False)
class SyncError(CodatError):
    """Data types of a company that were not synced.

    ``states`` has the last of each by Codat's name; None if it never was synced, or cannot be queued.
    """

    company_id: str
    states: dict[str, DatasetStatus | None]
    reason: str | None = None

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
    message = ErrorMessage()
    with suppress(*DECODE_ERRORS):
        found = msgspec.json.decode(well_formed(response.body), type=dict[str, msgspec.Raw])
        # Field by field, so that a malformed one does not cost the others.
        for field in fields(ErrorMessage):
            with suppress(KeyError, *DECODE_ERRORS):
                value = msgspec.json.decode(found[field.encode_name], type=field.type, strict=False)
                setattr(message, field.name, value)
    kind = _BY_STATUS.get(response.status) or (ServerError if response.status >= 500 else StatusError)
    return kind(request, response, message)


def validation_errors(validation: Validation | None) -> list[str]:
    """A line for each error of a validation."""
    found = (validation and validation.errors) or []
    return [f"{one_line(it.item_id or 'record')}: {one_line(it.message or 'no message')}" for it in found]
