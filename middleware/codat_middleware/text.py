"""Reads what a server wrote: header values about waiting, and text for a message, a log line or a decoder."""

import codecs
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

import msgspec

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)
"""What a msgspec decoder raises for a malformed text; the last two for one nested without end, and for a
number with an exponent beyond any ``Decimal``."""

_FARTHEST: Final = 3 * 86_400.0  # seconds; the quota is daily, so a later reset is unreadable
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


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, from a response's ``Retry-After``; ``None`` if missing or unreadable.

    It may be seconds, an HTTP date (RFC 9110, section 10.2.3) or an ISO date, since Codat documents no form:
    relative to the response's ``Date``, as clocks differ, or to ``now`` (Unix time); in the past it is 0.
    """
    value = headers.get("Retry-After", "")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    moment, server_now = _moment(value), _moment(headers.get("Date", ""))
    return None if moment is None else max(0.0, moment - (now if server_now is None else server_now))


def parse_reset(value: str | None, now: float) -> float | None:
    """The Unix time of ``X-Rate-Limit-Reset``, a date or seconds from ``now``; ``None`` if unreadable."""
    seconds = _number(value or "")
    moment = _moment(value or "") if seconds is None else now + seconds
    return None if moment is None or moment - now > _FARTHEST else moment


def whole_number(value: str | None) -> int | None:
    """The number in a header such as ``X-Rate-Limit-Limit``; ``None`` if missing or unreadable."""
    value = "" if value is None else value.strip()
    return int(value) if value.isdigit() and value.isascii() and len(value) <= 20 else None


@lru_cache(maxsize=64)
def _moment(value: str) -> float | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(value.strip())
        except (ValueError, OverflowError):
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def _number(value: str) -> float | None:
    value = value.strip()
    plain = value.isascii() and value.replace(".", "", 1).isdigit()
    return float(value) if plain and len(value) <= 20 else None
