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
_page_decoders: dict[object, "Decoder[Any]"] = {}
UNTYPED: Final[Any] = Any
"""The kind of content without a type; checkers take Any itself for no kind."""


def decoder(kind: type[T]) -> "Decoder[T]":
    """The strict decoder of a type, constructed once."""
    return _decoders.get(kind) or _construct(kind, kind, _decoders)


def page_decoder(kind: type[T]) -> "Decoder[Page[T]]":
    """The strict decoder of pages of a type."""
    return _page_decoders.get(kind) or _construct(kind, Page[kind], _page_decoders)  # type: ignore[valid-type]


def _construct(key: object, kind: Any, made: dict[object, "Decoder[Any]"]) -> "Decoder[Any]":
    with decoder_lock:
        return made.setdefault(key, Decoder(kind))


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
    """The wire names, in quotes, of a type's dates, and of its content that has no type."""

    names: frozenset[bytes]
    untyped: frozenset[bytes]


@cache
def dates_of(kind: Any) -> Dates:
    """The dates of a type, at any depth."""
    names: set[bytes] = set()
    untyped: set[bytes] = set()
    todo, seen = [kind], set()
    while todo:
        hint = todo.pop()
        if hint in seen:
            continue
        seen.add(hint)
        try:
            below = fields(hint)
        except TypeError:
            todo += get_args(hint)
            continue
        for field in below:
            name = b'"%b"' % field.encode_name.encode()
            if datetime in (field.type, *get_args(field.type)):
                names.add(name)
            if SupplementalData in (field.type, *get_args(field.type)) or _is_untyped(field.type):
                untyped.add(name)
            elif field.name != "unknown_fields":
                todo.append(field.type)
    return Dates(frozenset(names), frozenset(untyped))


def _is_untyped(hint: Any) -> bool:
    if hint is Any or isinstance(hint, TypeVar):
        return True
    origin = get_origin(hint)
    is_model = isinstance(origin, type) and issubclass(origin, Struct)
    return not is_model and any(map(_is_untyped, get_args(hint)))


def append_to_matches(pattern: re.Pattern[bytes], data: bytes | Raw, addition: bytes) -> bytes | Raw:
    """Append to each match's group, which replaces it; return the same object if there is no match."""
    pieces = pattern.split(data)
    if len(pieces) == 1:
        return data
    pieces[1::2] = [group + addition for group in pieces[1::2]]
    return b"".join(pieces)


def date_field(names: frozenset[bytes], value: bytes) -> bytes:
    """A pattern for the place behind the value of one of these fields, or behind a part of it."""
    # The dates that every record has come first, which are then found soonest.
    ordered = sorted(names, key=lambda name: (b"odifiedDate" not in name, name))
    either = (rb'(?<=[^\\]%b%b"%b)' % (name, colon, value) for name in ordered for colon in (b":", b": "))
    return b"(?:" + b"|".join(either) + b")"


class Decoder(Generic[T]):
    """Decodes JSON as one type."""

    def __init__(self, kind: Any) -> None:
        # Numbers in untyped places (supplemental data) keep their digits too.
        self.plain: Callable[[bytes | Raw], T] = msgspec.json.Decoder(kind, float_hook=Decimal).decode
        """msgspec's own, which rounds."""
        # A fraction that msgspec rounds up, to its seventh digit.
        names = dates_of(kind).names
        time = date_field(names, rb"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d\.\d{7}")
        self._rounded_up = re.compile(rb"(\.(?<=:\d\d\.)\d{6})[5-9]" + time) if names else None
        self._kind = kind

    def rounds(self, data: bytes | Raw) -> bool:
        """Whether :attr:`plain` would round up a time in this text."""
        return self._rounded_up is not None and self._rounded_up.search(data) is not None

    def decode(self, data: bytes | Raw) -> T:
        """Decode a text, with its times cut to microseconds."""
        if self._rounded_up is None or self._rounded_up.search(data) is None:
            return self.plain(data)
        # As if the seventh digit were 0.
        record = self.plain(append_to_matches(self._rounded_up, data, b"0"))
        restore_untyped(record, data, self._kind)
        return record


def restore_untyped(record: object, received: bytes | Raw, kind: Any) -> None:
    """Undo corrections of dates in a record's untyped content, which may use the same names."""
    text, names = bytes(received), dates_of(kind).untyped
    if any(name in text for name in names) and re.search(rb"(?:%b)\s*:\s*[\[{]" % b"|".join(names), text):
        # What has no place in the record need not be UTF-8.
        _restore(record, text.decode(errors="replace").encode())


def _restore(value: Any, received: bytes | Raw) -> None:
    if isinstance(value, Struct):
        parts = decoder(dict[str, Raw]).plain(received)
        for field in fields(value):
            part, held = parts.get(field.encode_name), getattr(value, field.name)
            if part is None or bytes(part) == b"null":
                continue
            if _is_untyped(field.type) and not _holds_models(held):
                setattr(value, field.name, decoder(UNTYPED).plain(part))
            else:
                _restore(held, part)
    elif isinstance(value, list):
        for one, part in zip(value, decoder(list[Raw]).plain(received), strict=True):
            _restore(one, part)
    elif isinstance(value, dict):
        for key, part in decoder(dict[str, Raw]).plain(received).items():
            _restore(value[key], part)


def _holds_models(value: object) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
    return any(isinstance(part, Struct) for part in parts)
