"""Logs one line per attempt at DEBUG, through the standard ``logging``."""

import logging
import time
from collections.abc import Awaitable, Collection
from decimal import Decimal
from typing import Final

import msgspec

from codat_middleware.idempotency import idempotency_key
from codat_middleware.messages import Request, Response
from codat_middleware.pipeline import Handler
from codat_middleware.text import one_line, well_formed

__all__ = ["SENSITIVE", "Logging"]

SENSITIVE: Final = frozenset(
    {"accountnumber", "apikey", "authorization", "iban", "password", "secret", "sortcode", "token"}
)
"""Field names, in lower case, whose values never appear in a logged body."""

_PARSED_UP_TO: Final = 1_000_000
"""Bytes; of a longer body only the size is logged."""

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class _ErrorBody(msgspec.Struct, rename="camel"):
    correlation_id: str | None = None


_error_decoder = msgspec.json.Decoder(_ErrorBody)

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError)
"""What decoding a body may raise: invalid JSON or UTF-8, nesting too deep, numbers out of range."""


class Logging:
    """Logs each attempt to ``codat_middleware.logging`` at DEBUG; at higher levels it adds no work.

    The record carries ``operation``, ``company_id``, ``method``, ``path``, ``attempt``,
    ``status``, ``duration`` (seconds), ``bytes``, ``correlation_id`` and
    ``idempotency_key``. Headers and queries are never logged. Bodies are logged only with
    ``bodies=True``: JSON only, the values of ``sensitive`` names replaced, truncated to
    ``body_limit`` characters.
    """

    __slots__ = ("_bodies", "_body_limit", "_sensitive")

    def __init__(
        self, *, bodies: bool = False, body_limit: int = 2000, sensitive: Collection[str] = SENSITIVE
    ) -> None:
        self._bodies = bodies
        self._body_limit = body_limit
        self._sensitive = frozenset(name.lower() for name in sensitive)

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        """Send the request and log its outcome."""
        if not _log.isEnabledFor(logging.DEBUG):
            return call_next(request)
        return self._logged(request, call_next)

    async def _logged(self, request: Request, call_next: Handler) -> Response:
        begun = time.monotonic()
        try:
            response = await call_next(request)
        except BaseException as error:
            self._write(request, None, type(error).__name__, time.monotonic() - begun)
            raise
        self._write(request, response, str(response.status), time.monotonic() - begun)
        return response

    def _write(self, request: Request, response: Response | None, outcome: str, duration: float) -> None:
        extra: dict[str, object] = {
            "operation": request.operation,
            "company_id": request.company_id,
            "method": request.method,
            "path": request.path,
            "attempt": request.attempt,
            "status": None if response is None else response.status,
            "duration": duration,
            "bytes": None if response is None or response.stream is not None else len(response.body),
            "correlation_id": None if response is None else _correlation_id(response),
            "idempotency_key": idempotency_key(request),
        }
        if self._bodies:
            extra["request_body"] = self._request_text(request)
            extra["response_body"] = None if response is None else self._text(response.body)
        _log.debug(
            "%s: %s in %.3f s, attempt %d%s",
            request,
            outcome,
            duration,
            request.attempt,
            f"\n> {extra['request_body']}\n< {extra['response_body']}" if self._bodies else "",
            extra=extra,
        )

    def _request_text(self, request: Request) -> str | None:
        if request.body is None:
            return None
        if not isinstance(request.body.content, bytes):
            return f"<stream of {request.body.content_type}>"
        return self._text(request.body.content)

    def _text(self, body: bytes) -> str:
        if not body:
            return ""
        if len(body) > _PARSED_UP_TO:
            return f"<{len(body)} bytes>"
        try:
            text = _encoder.encode(self._redacted(_decoder.decode(body))).decode()
        except _UNREADABLE:
            return f"<{len(body)} bytes, not valid JSON>"
        shown = one_line(text, self._body_limit)
        return shown if len(text) <= self._body_limit else f"{shown} ({len(text)} characters)"

    def _redacted(self, value: object) -> object:
        if isinstance(value, dict):
            return {
                name: "***" if name.lower() in self._sensitive else self._redacted(field)
                for name, field in value.items()
            }
        if isinstance(value, list):
            return [self._redacted(item) for item in value]
        return value


def _correlation_id(response: Response) -> str | None:
    if response.status >= 400 and response.body:
        try:
            found = _error_decoder.decode(well_formed(response.body)).correlation_id
        except _UNREADABLE:
            found = None
        if found is not None:
            return one_line(found)
    found = response.headers.get("X-Correlation-Id")
    return None if found is None else one_line(found)
