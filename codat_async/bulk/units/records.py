"""What a record is known by, and its JSON on one line."""

from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from codat_async import codec
from codat_async.codec import DECODE_ERRORS
from codat_async.errors import DecodingError, InvalidRecord

__all__ = ["RecordKey", "on_one_line", "read_key"]


class RecordKey(Struct, rename="camel", gc=False, frozen=True):
    """What identifies a version of a record."""

    id: str | None = None
    modified_date: datetime | None = None
    """Rounded to the microsecond, by the decoder that is fastest."""


def read_key(record: bytes | Raw) -> RecordKey:
    """Read a record's key, as far as it can be read; an empty one if the record is not an object."""
    try:
        return codec.decoder(RecordKey).plain(record)
    except DECODE_ERRORS:
        pass
    try:
        return codec.read(record, RecordKey)
    except DecodingError as failure:
        return RecordKey(failure.record_id if isinstance(failure, InvalidRecord) else None)


def on_one_line(record: bytes | Raw) -> bytes | Raw:
    """Return JSON without line breaks, as received if it has none; it need not be readable."""
    text = bytes(record)
    if b"\n" not in text and b"\r" not in text:
        return record
    try:
        return msgspec.json.format(text, indent=-1)
    except DECODE_ERRORS:
        # JSON has no line breaks inside strings.
        return text.translate(None, b"\r\n")
