"""Gives every write a key, by which the API knows a second try from a second write."""

from collections.abc import Awaitable
from typing import Final
from uuid import uuid4

from codat_middleware.messages import Request, Response
from codat_middleware.pipeline import Handler

__all__ = ["IDEMPOTENCY_KEY", "Idempotency"]

IDEMPOTENCY_KEY: Final = "Idempotency-Key"

_KEYED: Final = frozenset({"POST", "PATCH"})


class Idempotency:
    """Sets ``Idempotency-Key`` to a new UUID on POST and PATCH; a key that the caller set is kept.

    Stands outside the retry middleware, so that all attempts of a call carry one key.
    Source: "Idempotency" in Codat's documents: for 90 minutes the first answer to a key is
    replayed, and only POST and PATCH take one.
    """

    __slots__ = ()

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        """Send the request with a key where it takes one."""
        if request.method not in _KEYED or idempotency_key(request) is not None:
            return call_next(request)
        return call_next(request.with_header(IDEMPOTENCY_KEY, str(uuid4())))


def idempotency_key(request: Request) -> str | None:
    """The key that a request carries, if any; a blank one is none, for the API would not know it again."""
    for name, value in request.headers.items():
        if name.lower() == "idempotency-key":
            return value if value.strip() else None
    return None
