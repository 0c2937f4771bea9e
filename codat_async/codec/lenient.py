"""The tolerant second reading: what a platform sends not quite right, and has only one meaning, is mended."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from codat_async.codec.times import date_field, dates_of
from codat_async.errors import InvalidRecord
from codat_async.models import SupplementalData

T = TypeVar("T")

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)
"""What a decoder raises for a text that is not what it should be; the last two for one nested
without end, and for a number with an exponent beyond any ``Decimal``."""

_tree_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
_tree_encoder = msgspec.json.Encoder(decimal_format="number")


_ESCAPES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\."
)


def replace_lone_surrogates(data: bytes) -> bytes:
    """The text with U+FFFD for each half of a surrogate pair that stands alone; itself where none does.

    JSON's grammar allows such an escape, as a source that cuts its texts in the middle of
    a character sends it; no decoder can read it. The length stays the same.
    """
    if b"\\u" not in data:
        return data
    replaced = _ESCAPES.sub(lambda found: b"\\ufffd" if found["half"] else found[0], data)
    return data if replaced == data else replaced


def expand_bare_dates(data: bytes, kind: Any) -> bytes:
    """The text with midnight added to a record's dates that stand alone; itself where none does.

    Codat documents the bare form (``2022-10-23``) beside the full one; a ``datetime``
    decoder takes only the latter.
    """
    pattern = _bare_dates(kind)
    pieces = pattern.split(data) if pattern else [data]
    if len(pieces) == 1:
        return data
    pieces[1::2] = [day + b"T00:00:00" for day in pieces[1::2]]
    return b"".join(pieces)


@cache
def _bare_dates(kind: Any) -> re.Pattern[bytes] | None:
    dates = dates_of(kind)
    if dates.untyped or dates.supplemental > 1:
        # Untyped content may hold the same names. Only supplemental data of the record itself is restored.
        return None
    # A day is rare and found fast; only then is the name of its field looked up.
    return (
        re.compile(rb'(-\d\d-\d\d)(?=")' + date_field(dates.names, rb"\d{4}-\d\d-\d\d"))
        if dates.names
        else None
    )


class _Supplemental(Struct, rename="camel", gc=False):
    supplemental_data: SupplementalData | None = None


class _SupplementalPage(Struct, gc=False):
    results: list[_Supplemental] = []


def restore_page(records: Sequence[object], data: bytes) -> None:
    """Put back what was completed in the supplemental data of a page: it is the source's own."""
    if records and _may_hold(records[0], data):
        for record, original in zip(records, _supplemental_page.decode(data).results, strict=True):
            _restore(record, original)


def restore_supplemental_data(record: object, data: bytes | Raw) -> None:
    """The same for one record."""
    if _may_hold(record, data):
        _restore(record, _supplemental.decode(data))


def _may_hold(record: object, data: bytes | Raw) -> bool:
    return b'"supplementalData"' in data and hasattr(record, "supplemental_data")


def _restore(record: Any, original: _Supplemental) -> None:
    if original.supplemental_data is not None:
        record.supplemental_data = original.supplemental_data


_supplemental = msgspec.json.Decoder(_Supplemental, float_hook=Decimal)
_supplemental_page = msgspec.json.Decoder(_SupplementalPage, float_hook=Decimal)

_PATH: Final = re.compile(r" - at `(?P<path>[^`]*)`$")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_EVERY: Final = "..."
"""Stands in a path for a key of a map, which it does not name."""
_REPAIRS_PER_RECORD: Final = 100


def explain(failure: Exception) -> tuple[str, str]:
    """What a decoder found wrong, and the path to it inside the document."""
    text = str(failure)
    if isinstance(failure, msgspec.ValidationError):
        found = _PATH.search(text)
        if found:
            return text[: found.start()], found["path"]
        return text, "$"
    return f"the text is not JSON ({text})", "$"


def repair(data: bytes, decode: Callable[[bytes], T], failure: Exception, operation: str) -> T:
    """Read a record value by value, mending what has only one meaning.

    ``decode`` is the record's decoder and ``failure`` what it raised at first. Raises
    :class:`~codat_async.errors.InvalidRecord` where something wrong is left.
    """
    reason, path = explain(failure)
    tree: Any = None
    try:
        tree = _tree_decoder.decode(replace_lone_surrogates(data))
        for _ in range(_REPAIRS_PER_RECORD):
            if not _mend(tree, _steps(path), reason):
                break
            try:
                return decode(_tree_encoder.encode(tree))
            except DECODE_ERRORS as again:
                reason, path = explain(again)
    except DECODE_ERRORS as broken:
        reason, path = explain(broken)
    identifier = tree.get("id") if isinstance(tree, dict) else None
    raise InvalidRecord(
        reason,
        record_id=None if identifier is None else str(identifier),
        path=path,
        raw=data,
        operation=operation,
    ) from failure


def _steps(path: str) -> list[str | int]:
    return [name or (index if index == _EVERY else int(index)) for name, index in _STEP.findall(path)]


def _mend(tree: Any, steps: list[str | int], reason: str) -> bool:
    """Put the right value in the place of a wrong one; False where there is no certain one."""
    if not steps:
        return False
    step, *below = steps
    done = False
    for key in list(tree) if step == _EVERY and isinstance(tree, dict) else [step]:
        try:
            value = tree[key]
        except (KeyError, IndexError, TypeError):
            continue
        if below:
            done |= _mend(value, below, reason)
        elif (mended := _mended(value, reason)) is not value:
            tree[key] = mended
            done = True
    return done


def _mended(value: object, reason: str) -> object:
    if "datetime" in reason and isinstance(value, str):
        if not value.strip():
            return None
        try:
            return datetime.fromisoformat(value.strip()).isoformat()
        except ValueError:
            return value
    if reason.startswith("Expected `str"):
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | Decimal):
            return str(value)
    if reason.startswith("Expected `int"):
        if isinstance(value, str) and value.strip().isdecimal():
            return int(value)
        if isinstance(value, Decimal) and value == value.to_integral_value():
            return int(value)
    if "decimal" in reason and isinstance(value, str) and not value.strip():
        return None
    if reason.startswith("Expected `bool") and isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if reason.startswith("Expected `array") and value is None:
        return []
    if reason.startswith("Expected `object") and value == []:
        # Codat's documents have an empty list in the place of a reference that is absent.
        return None
    return value
