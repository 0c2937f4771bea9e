"""The lenient step of reading: malformed values that have only one meaning are coerced to it."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from codat_async.codec.decoding import UNTYPED, decoder, tree_encoder
from codat_async.errors import DECODE_ERRORS, DecodingError, InvalidRecord

T = TypeVar("T")

_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_MAX_COERCED: Final = 100
_DIGITS: Final = 18


def explain(failure: Exception) -> tuple[str, str]:
    """Split a decoder's error into the reason and the path inside the document."""
    if not isinstance(failure, msgspec.ValidationError):
        return f"the text is not JSON ({failure})", "$"
    reason, _, path = str(failure).partition(" - at `")
    return reason, path.removesuffix("`") or "$"


def unreadable(failure: Exception, data: bytes, operation: str) -> DecodingError:
    """The error for a text that is not JSON, or not of the shape that is expected."""
    reason, path = explain(failure)
    return DecodingError(reason, path=path, raw=data, operation=operation)


def coerce(data: bytes, source: bytes, decode: Callable[[bytes], T], operation: str) -> T:
    """Decode ``source`` with the values coerced that ``decode`` rejects, one after the other.

    Raises as :func:`codat_async.codec.read` does; the errors have the ``data`` that was received.
    """
    try:
        tree = decoder(UNTYPED).plain(source)
    except DECODE_ERRORS as failure:
        try:
            decoder(Raw).plain(source)
        except DECODE_ERRORS:
            raise unreadable(failure, data, operation) from failure
        reason = f"a value cannot be decoded ({failure})"
        raise InvalidRecord(reason, record_id=None, path="$", raw=data, operation=operation) from failure
    text, left = source, _MAX_COERCED
    while True:
        try:
            return decode(text)
        except DECODE_ERRORS as failure:
            (reason, path), left = explain(failure), left - 1
            if not left or not _coerce_at(tree, _STEP.findall(path), reason):
                found = tree.get("id") if isinstance(tree, dict) else None
                name = None if found is None else str(found)
                raise InvalidRecord(
                    reason, record_id=name, path=path, raw=data, operation=operation
                ) from failure
        text = tree_encoder.encode(tree)


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
