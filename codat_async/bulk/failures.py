"""What went wrong with a unit, told apart by what is to be done about it."""

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
    ServerError,
    TransportError,
    Unauthorized,
)

__all__ = ["UNSUPPORTED", "Failure", "classified"]

UNSUPPORTED: Final = "unsupported"
"""The platform does not have that data: nothing is lost, and nothing to try again."""


class Failure(Struct, frozen=True):
    """The kind of a failure, for machines, and its text."""

    kind: str
    text: str


_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (NotFound, UNSUPPORTED),
    (Conflict, "not_synced"),
    (Forbidden, "forbidden"),
    (PaymentRequired, "account_limit"),
    (Unauthorized, "unauthorized"),
    (BadRequest, "refused"),
    (RateLimited, "rate_limited"),
    (QuotaExhausted, "quota"),
    (ServerError, "server_error"),
    (RequestTimeout, "timeout"),
    (TransportError, "connection"),
    (PagingError, "paging"),
    (DecodingError, "unreadable"),
)


def classified(error: Exception) -> Failure:
    """The failure that an error is."""
    kind = next((name for kind, name in _KINDS if isinstance(error, kind)), None)
    if kind is None:
        kind = "error" if isinstance(error, CodatError) else "internal"
    text = str(error) if isinstance(error, CodatError) else repr(error)
    return Failure(kind, " ".join(text.split())[:1000])
