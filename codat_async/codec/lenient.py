"""The lenient steps of reading: malformed values that have only one meaning are coerced to it."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from codat_async.codec.decoding import (
    UNTYPED,
    append_to_matches,
    date_field,
    dates_of,
    decoder,
    restore_untyped,
)
from codat_async.errors import DECODE_ERRORS, DecodingError, InvalidRecord
from codat_middleware.text import well_formed

T = TypeVar("T")


def read_leniently(
    data: bytes, kind: type[T], decode: Callable[[bytes], T], operation: str
) -> tuple[T, bytes]:
    """Read what the strict ``decode`` rejected; return it and the bytes that it holds.

    Whole texts come first, value by value second. Raises as :func:`codat_async.codec.read` does.
    """
    found = decode_leniently(data, kind, decode)
    if found is not None:
        restore_untyped(*found, kind)
        return found
    source = replace_lone_surrogates(well_formed(data))
    return _coerce(data, source, decode, operation), source


def decode_leniently(data: bytes, kind: Any, decode: Callable[[bytes], T]) -> tuple[T, bytes] | None:
    """Decode a record or a page of ``kind`` with what is malformed in its text corrected.

    Returns it and its source, which is the text before dates were expanded, in untyped content
    too; ``None`` if that is not enough for ``decode``.
    """
    source = replace_lone_surrogates(well_formed(data))
    for text, before in ((source, data), (expand_bare_dates(source, kind), source)):
        if text is not before:
            with suppress(*DECODE_ERRORS):
                return decode(text), source
    return None


# --- lone surrogates ---------------------------------------------------------------------

_ESCAPES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\."
)


def replace_lone_surrogates(data: bytes) -> bytes:
    """Replace each half of a surrogate pair that is alone by U+FFFD; return the same object if there is none.

    JSON's grammar allows such an escape, and a source that cuts strings in the middle of a
    character sends it; no decoder accepts it. The length does not change.
    """
    if b"\\u" not in data:
        return data
    replaced = _ESCAPES.sub(lambda found: b"\\ufffd" if found["lone"] else found[0], data)
    return data if replaced == data else replaced


# --- bare dates --------------------------------------------------------------------------


def expand_bare_dates(data: bytes, kind: Any) -> bytes:
    """Add midnight to a record's dates without a time; return the same object if there is none.

    Codat documents the bare form (``2022-10-23``) beside the full one; a ``datetime``
    decoder accepts only the latter.
    """
    pattern = _bare_dates(kind)
    return data if pattern is None else bytes(append_to_matches(pattern, data, b"T00:00:00"))


@cache
def _bare_dates(kind: Any) -> re.Pattern[bytes] | None:
    names = dates_of(kind).names
    # A month and a day before a quote are rare and found fast; only then is the name of the field checked.
    time = date_field(names, rb"\d{4}-\d\d-\d\d")
    return re.compile(rb'(-\d\d-\d\d)(?=")' + time) if names else None


# --- value by value ----------------------------------------------------------------------

_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_MAX_COERCED: Final = 100
_DIGITS: Final = 18
_tree_encoder: Final = msgspec.json.Encoder(decimal_format="number")


def explain(failure: Exception) -> tuple[str, str]:
    """Split a decoder's error into the reason and the path inside the document."""
    if not isinstance(failure, msgspec.ValidationError):
        return f"the text is not JSON ({failure})", "$"
    reason, _, path = str(failure).partition(" - at `")
    return reason, path.removesuffix("`") or "$"


def _coerce(data: bytes, source: bytes, decode: Callable[[bytes], T], operation: str) -> T:
    tree: Any = None
    reason, path, cause = "", "$", None
    try:
        tree = decoder(UNTYPED).plain(source)
    except DECODE_ERRORS as failure:
        reason, path, cause = f"a value cannot be decoded ({failure})", "$", failure
        try:
            decoder(Raw).plain(source)
        except DECODE_ERRORS:
            reason, path = explain(failure)
            raise DecodingError(reason, path=path, raw=data, operation=operation) from failure
    else:
        text = source
        for _ in range(_MAX_COERCED):
            try:
                return decode(text)
            except DECODE_ERRORS as failure:
                (reason, path), cause = explain(failure), failure
            if not _coerce_at(tree, _STEP.findall(path), reason):
                break
            text = _tree_encoder.encode(tree)
    found = tree.get("id") if isinstance(tree, dict) else None
    name = None if found is None else str(found)
    raise InvalidRecord(reason, record_id=name, path=path, raw=data, operation=operation) from cause


def _coerce_at(tree: Any, steps: Sequence[tuple[str, str]], reason: str) -> bool:
    """Coerce the values at a path of names, indices and ``...`` for any key; return whether any was."""
    if not steps:
        return False
    (name, index), *below = steps
    done = False
    every = index == "..." and isinstance(tree, dict)
    for key in [*tree] if every else [int(index) if index.isdigit() else name]:
        try:
            value = tree[key]
        except (KeyError, IndexError, TypeError):
            continue
        if below:
            done |= _coerce_at(value, below, reason)
        elif (coerced := _coerced(value, reason)) is not value:
            tree[key] = coerced
            done = True
    return done


def _coerced(value: object, reason: str) -> object:
    """The value as the type that a decoder's ``reason`` asks for; the same object if that is not certain."""
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
        # A longer one is no integer that a model has, and would take long to convert.
        if isinstance(value, str) and len(value) <= _DIGITS and value.strip().isdecimal():
            return int(value)
        if isinstance(value, Decimal) and abs(value) < 10**_DIGITS and value == value.to_integral_value():
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
