"""What leaves the sandbox: replies as plain values, and Structs as the API's JSON."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from codat_async.models import Null

__all__ = ["JSON", "FileReply", "Reply", "encode", "json_reply", "now", "stable_uuid"]

JSON: Final = "application/json; charset=utf-8"


class Reply(Struct, frozen=True, kw_only=True, gc=False):
    """An answer, whole in memory."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = JSON
    headers: Mapping[str, str] | None = None
    page: bool = False
    """Whether it is a page of a list: what faults on records apply to."""


class FileReply(Struct, frozen=True, kw_only=True, gc=False):
    """An answer streamed from the disk, or a part of it where the request asks for a range."""

    path: Path
    name: str
    content_type: str = "application/octet-stream"


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


def stable_uuid(*parts: object) -> str:
    """A UUID that depends on nothing but its parts, so that runs with one seed agree."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))))
