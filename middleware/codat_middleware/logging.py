"""Logs one line per attempt at DEBUG, through the standard ``logging``."""

import logging
import time
from collections.abc import Awaitable, Collection
from contextlib import suppress
from decimal import Decimal
from typing import Final

import msgspec

from codat_middleware.messages import Body, Request, Response, log_fields
from codat_middleware.pipeline import Handler
from codat_middleware.text import DECODE_ERRORS, one_line, well_formed

SENSITIVE: Final = frozenset(
    {"accountnumber", "apikey", "authorization", "iban", "password", "secret", "sortcode", "token"}
)
"""Field names, in lower case, whose values never appear in a logged body."""

_BODY: Final = 2000  # characters logged of a body
_PARSED_UP_TO: Final = 1_000_000  # bytes; of a longer body only the size is logged

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class Logging:
    """Logs each attempt to ``codat_middleware.logging`` at DEBUG; at higher levels it adds no work.

    The record carries ``operation``, ``company_id``, ``method``, ``path``, ``attempt``, ``status``,
    ``duration`` (seconds), ``bytes``, ``correlation_id`` and ``idempotency_key``, never headers or queries.
    With ``bodies=True`` also JSON bodies, the values of ``sensitive`` names replaced, of 2,000 characters.
    """

    def __init__(self, *, bodies: bool = False, sensitive: Collection[str] = SENSITIVE) -> None:
        self._bodies = bodies
        self._sensitive = frozenset(name.lower() for name in sensitive)

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        """Send the request and log its outcome."""
        return self._logged(request, call_next) if _log.isEnabledFor(logging.DEBUG) else call_next(request)

    async def _logged(self, request: Request, call_next: Handler) -> Response:
        begun, response, outcome = time.monotonic(), None, ""
        try:
            response = await call_next(request)
            outcome = str(response.status)
            return response
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self._write(request, response, outcome, time.monotonic() - begun)

    def _write(self, request: Request, response: Response | None, outcome: str, duration: float) -> None:
        size = len(response.body) if response and response.stream is None else None
        sent = {"method": request.method, "path": request.path, "idempotency_key": request.idempotency_key}
        seen = {"status": response and response.status, "duration": duration, "bytes": size}
        extra = log_fields(request) | sent | seen
        extra["correlation_id"] = response and _correlation_id(response)
        bodies = ""
        if self._bodies:
            extra["request_body"] = request.body and self._text(request.body)
            extra["response_body"] = response and self._text(Body(response.body))
            bodies = f"\n> {extra['request_body']}\n< {extra['response_body']}"
        text = "%s: %s in %.3f s, attempt %d%s"
        _log.debug(text, request, outcome, duration, request.attempt, bodies, extra=extra)

    def _text(self, body: Body) -> str:
        content = body.content
        if not isinstance(content, bytes):
            return f"<stream of {body.content_type}>"
        if not content or len(content) > _PARSED_UP_TO:
            return f"<{len(content)} bytes>" if content else ""
        try:
            text = _encoder.encode(self._redacted(_decoder.decode(content))).decode()
        except DECODE_ERRORS:
            return f"<{len(content)} bytes, not valid JSON>"
        shown = one_line(text, _BODY)
        return shown if len(text) <= _BODY else f"{shown} ({len(text)} characters)"

    def _redacted(self, value: object) -> object:
        if isinstance(value, dict):
            pairs = value.items()
            return {key: "***" if key.lower() in self._sensitive else self._redacted(v) for key, v in pairs}
        return [self._redacted(item) for item in value] if isinstance(value, list) else value


def _correlation_id(response: Response) -> str | None:
    found: object = None
    if response.status >= 400:
        with suppress(*DECODE_ERRORS):
            body = msgspec.json.decode(well_formed(response.body), type=dict[str, object])
            found = body.get("correlationId")
    named = found if isinstance(found, str) and found else response.headers.get("X-Correlation-Id")
    return named and one_line(named)
