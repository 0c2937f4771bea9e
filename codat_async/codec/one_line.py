"""JSON on one line, as files of lines need it."""

import msgspec
from msgspec import Raw

from codat_async.errors import DECODE_ERRORS


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
