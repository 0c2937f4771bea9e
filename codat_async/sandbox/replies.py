"""What leaves the sandbox: replies as plain values, Structs as the API's JSON, and the API's errors."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from codat_async.models import Null

JSON: Final = "application/json; charset=utf-8"

# Whether trying the same request again can help, as the API's documentation says for each status.
_CAN_BE_RETRIED: Final = {408: "True", 409: "True", 429: "Unknown", 500: "Unknown", 502: "True", 503: "True"}


class Reply(Struct, frozen=True, kw_only=True, gc=False):
    """An answer, whole in memory."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = JSON
    headers: Mapping[str, str] | None = None


class FileReply(Struct, frozen=True, kw_only=True, gc=False):
    """An answer streamed from the disk, or a part of it if the request asks for a range."""

    path: Path
    name: str
    content_type: str = "application/octet-stream"


class ApiError(Exception):
    """An answer of 4xx or 5xx, raised anywhere below the dispatcher."""

    def __init__(self, status: int, error: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = dict(headers or {})


def error_body(status: int, error: str, correlation_id: str) -> bytes:
    """The body of an error, in the shape that the API documents for every 4xx and 5xx."""
    return msgspec.json.encode(
        {
            "statusCode": status,
            "service": "PublicApi",
            "error": error or HTTPStatus(status).phrase,
            "correlationId": correlation_id,
            "canBeRetried": _CAN_BE_RETRIED.get(status, "False"),
            "detailedErrorCode": 0,
        }
    )


def _encode_other(value: object) -> None:
    if isinstance(value, Null):
        return
    raise TypeError(f"cannot be sent as JSON: {type(value).__name__}")


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_encode_other)
encode = _encoder.encode
"""Any value as JSON; a ``Decimal`` becomes a number with its own digits."""


def json_reply(value: Any, status: int = 200) -> Reply:
    """A reply that holds the value as JSON."""
    return Reply(status=status, body=encode(value))


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)
