"""Makes what others wrote fit for a message, a log line or a decoder."""

import codecs
import re
from typing import Final

import msgspec

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)
"""What a msgspec decoder raises for a malformed text; the last two for one nested without end, and for a
number with an exponent beyond any ``Decimal``."""

PART: Final = 200  # characters kept of one text of a server
PATH: Final = 2 * PART  # characters kept of a path, which has several ids


def one_line(text: str, limit: int = PART) -> str:
    """The text as one line of at most ``limit`` characters, those that a terminal may obey as spaces."""
    # A slice first, since the text may have megabytes.
    start = "".join(each if each.isprintable() else " " for each in text[: 4 * limit])
    line = " ".join(start.split())
    return line if len(line) <= limit and len(text) <= 4 * limit else f"{line[: limit - 1]}…"


_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_CONTROL: Final = re.compile(rb"[\x00-\x1f]")
_accept = msgspec.json.Decoder(msgspec.Raw).decode


def well_formed(document: bytes) -> bytes:
    """JSON without a byte order mark, and with spaces for raw control characters inside strings.

    RFC 8259 forbids both, which some servers do not know. The same object if there is nothing to change.
    """
    text = document.removeprefix(codecs.BOM_UTF8)
    try:
        _accept(text)
    except (msgspec.DecodeError, RecursionError):
        if _CONTROL.search(text):
            text = _STRING.sub(lambda string: _CONTROL.sub(b" ", string[0]), text)
    return document if text == document else text
