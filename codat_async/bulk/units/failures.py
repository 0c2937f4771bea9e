"""Failures of a unit, classified by what can be done about them."""

from typing import Final

from msgspec import Struct

from codat_async.errors import (
    BadRequest,
    CodatError,
    Conflict,
    DecodingError,
    Forbidden,
    NotFound,
    PagingError,
    PaymentRequired,
    QuotaExhausted,
    RateLimited,
    RequestTimeout,
    ResponseTooLarge,
    ServerError,
    TransportError,
    Unauthorized,
)
from codat_middleware.text import one_line

__all__ = ["OUT_OF_STEP", "UNSUPPORTED", "Failure", "classified"]

UNSUPPORTED: Final = "unsupported"
"""The platform does not offer that data: nothing is missing, and there is nothing to retry."""


OUT_OF_STEP: Final = "out_of_step"
"""A report of debts by age whose data types were not synced within 24 hours of each other."""


class Failure(Struct, frozen=True):
    """A failure of a list or a company."""

    kind: str
    """For programs, such as ``rate_limited``."""
    text: str
    """For people: the message of the error."""


_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (NotFound, UNSUPPORTED),
    (Conflict, "not_synced"),
    (Forbidden, "forbidden"),
    (PaymentRequired, "account_limit"),
    (Unauthorized, "unauthorized"),
    (BadRequest, "bad_request"),
    (RateLimited, "rate_limited"),
    (QuotaExhausted, "quota"),
    (ServerError, "server_error"),
    (RequestTimeout, "timeout"),
    (ResponseTooLarge, "too_large"),
    (TransportError, "connection"),
    (PagingError, "paging"),
    (DecodingError, "unreadable"),
)


def classified(error: Exception) -> Failure:
    """The failure for an error: ``internal`` if it is not a :class:`~codat_async.errors.CodatError`."""
    kind = next((name for kind, name in _KINDS if isinstance(error, kind)), None)
    if kind is None:
        kind = "error" if isinstance(error, CodatError) else "internal"
    text = str(error) if isinstance(error, CodatError) else repr(error)
    return Failure(kind, one_line(text, 1000))
