"""Sets an idempotency key on writes, so that a retry is not taken for a second write."""

from collections.abc import Awaitable
from typing import Final
from uuid import uuid4

from codat_middleware.messages import Request, Response
from codat_middleware.pipeline import Handler

IDEMPOTENCY_KEY: Final = "Idempotency-Key"


class Idempotency:
    """Sets ``Idempotency-Key`` to a new UUID on POST and PATCH, unless the caller set one.

    Placed outside Retry, so that all attempts carry the same. Source: "Idempotency" in Codat's documentation.
    """

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        """Send the request, with a key if its method accepts one."""
        if request.method not in ("POST", "PATCH") or request.idempotency_key is not None:
            return call_next(request)
        return call_next(request.with_header(IDEMPOTENCY_KEY, str(uuid4())))
