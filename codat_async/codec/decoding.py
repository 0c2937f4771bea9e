"""Strict decoders, one per type. Times with more digits than a datetime holds are cut, never rounded.

Codat ends a period at ``2023-02-28T23:59:59.9999999``. msgspec rounds by the seventh digit, which
would move that into March.
"""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from threading import RLock
from typing import Any, Final, Generic, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import fields

from codat_async.models import Page, SupplementalData

T = TypeVar("T")

decoder_lock: Final = RLock()
"""Held while a decoder is constructed: msgspec then prepares all types inside it, and the process
crashes if another thread prepares one of them at the same time."""

_decoders: dict[object, "Decoder[Any]"] = {}
_pages: dict[object, Any] = {}


def decoder(kind: type[T]) -> "Decoder[T]":
    """The strict decoder of a type, constructed once."""
    found = _decoders.get(kind)
    if found is None:
        with decoder_lock:
            found = _decoders[kind] = Decoder(kind)
    return found


def page_of(kind: type[T]) -> type[Page[T]]:
    """``Page[kind]``, always the same object, as the cache of decoders needs it."""
    found: type[Page[T]] | None = _pages.get(kind)
    if found is None:
        found = _pages[kind] = Page[kind]  # type: ignore[valid-type]
    return found


_INEXACT: Final = re.compile(rb'-\d\d-\d\d(?:"|[Tt ]\d\d:\d\d:\d\d\.\d{7})').search


def holds_inexact(text: bytes | Raw) -> bool:
    """Whether there is a date in a text that a datetime cannot hold: without a time, or of seven digits."""
    return _INEXACT(text) is not None


def is_text_of(text: Raw, value: object) -> bool:
    """Whether a JSON string is the date that was read as this value."""
    if not isinstance(value, datetime):
        return False
    return datetime.fromisoformat(msgspec.json.decode(text, type=str).upper()) == value


class Dates(NamedTuple):
    """The dates of a type, and its content in which the same names are not known to be dates."""

    names: frozenset[bytes]
    """The wire names of dates, at any depth."""
    untyped: bool
    """Whether there is untyped content, apart from supplemental data."""
    supplemental: int
    """How deep there is supplemental data: 1 for that of the record itself, 0 for none."""


@cache
def dates_of(kind: Any) -> Dates:
    """The dates of a type."""
    names: set[bytes] = set()
    untyped, supplemental = False, 0
    todo: list[tuple[Any, int]] = [(kind, 0)]
    seen: set[Any] = set()
    while todo:
        hint, depth = todo.pop()
        if hint is SupplementalData:
            supplemental = max(supplemental, depth)
        elif hint in (Any, Raw):
            untyped = True
        elif hint not in seen:
            seen.add(hint)
            try:
                below = [field for field in fields(hint) if field.name != "unknown_fields"]
            except TypeError:
                todo += ((part, depth) for part in get_args(hint))
                continue
            for field in below:
                if datetime in (field.type, *get_args(field.type)):
                    names.add(field.encode_name.encode())
                todo.append((field.type, depth + 1))
    return Dates(frozenset(names), untyped, supplemental)


def date_field(names: frozenset[bytes], value: bytes) -> bytes:
    """A pattern for the place behind the value of one of these fields, or behind a part of it."""
    # The dates that every record has come first, which are then found soonest.
    ordered = sorted(names, key=lambda name: (b"odifiedDate" not in name, name))
    either = (rb'(?<=[^\\]"%b"%b"%b)' % (name, colon, value) for name in ordered for colon in (b":", b": "))
    return b"(?:" + b"|".join(either) + b")"


class Decoder(Generic[T]):
    """Decodes JSON as one type."""

    def __init__(self, kind: Any) -> None:
        # Numbers in untyped places (supplemental data) keep their digits too.
        self.plain: Callable[[bytes | Raw], T] = msgspec.json.Decoder(kind, float_hook=Decimal).decode
        """msgspec's own, which rounds."""
        names, untyped, supplemental = dates_of(kind)
        self._page = get_origin(kind) is Page
        deepest = 2 if self._page else 1 if isinstance(kind, type) else 0
        self._untyped = untyped or supplemental > deepest
        self._supplemental = supplemental > 0
        # A fraction that msgspec rounds up, to its seventh digit.
        time = date_field(names, rb"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d\.\d{7}")
        self._rounded_up = re.compile(rb"\.(?<=:\d\d\.)\d{6}[5-9]" + time) if names else None

    def rounds(self, data: bytes | Raw) -> bool:
        """Whether :attr:`plain` would round up a time in this text."""
        return self._rounded_up is not None and self._rounded_up.search(data) is not None

    def decode(self, data: bytes | Raw) -> T:
        """Decode a text, with its times cut to microseconds."""
        if self._rounded_up is None or self._rounded_up.search(data) is None:
            return self.plain(data)
        record = self.plain(self._rounded_up.sub(_cut, data))
        if not self._has_untyped(record):
            return record
        # What untyped content has under the same names stays as received.
        received = self.plain(data)
        _copy_times(record, received)
        return received

    def _has_untyped(self, value: Any) -> bool:
        if self._untyped or not self._supplemental:
            return self._untyped
        return any(each.supplemental_data is not None for each in (value.results if self._page else [value]))


def _cut(fraction: re.Match[bytes]) -> bytes:
    """The fraction as if its seventh digit were 0; the length stays the same."""
    return fraction[0][:-1] + b"0"


def _copy_times(source: object, target: object) -> None:
    """Copy the datetimes of a value to one that has the same shape."""
    if isinstance(source, Struct):
        for field in fields(source):
            value = getattr(source, field.name)
            if isinstance(value, datetime):
                setattr(target, field.name, value)
            else:
                _copy_times(value, getattr(target, field.name))
    elif isinstance(source, list) and isinstance(target, list):
        for one, other in zip(source, target, strict=True):
            _copy_times(one, other)
    elif isinstance(source, dict) and isinstance(target, dict):
        for key, value in source.items():
            _copy_times(value, target[key])
