"""Decoders, one per type: strict, but for corrections of a text that can have only one meaning.

Times with more digits than a datetime holds are cut. Codat ends a period at ``2023-02-28T23:59:59.9999999``,
and msgspec rounds by the seventh digit, which would move that into March.
"""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache, cached_property
from threading import RLock
from typing import Any, Final, Generic, TypeVar, get_args, get_origin

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import fields

from codat_async.errors import DECODE_ERRORS
from codat_async.models import Page, SupplementalData
from codat_middleware.text import well_formed

T = TypeVar("T")

_lock: Final = RLock()
"""Held while a decoder is constructed: msgspec then prepares all types inside it, and the process crashes if
another thread prepares one of them at the same time."""

_decoders: dict[object, "Decoder[Any]"] = {}
UNTYPED: Final[Any] = Any
"""The kind of content without a type; checkers take Any itself for no kind."""


def decoder(kind: type[T]) -> "Decoder[T]":
    """The decoder of a type, constructed once."""
    return _decoders.get(kind) or _construct(kind)


def _construct(kind: Any) -> "Decoder[Any]":
    with _lock:
        return _decoders.setdefault(kind, Decoder(kind))


class Decoder(Generic[T]):
    """Decodes JSON as one type."""

    def __init__(self, kind: Any) -> None:
        # Numbers in untyped places (supplemental data) keep their digits too.
        self.plain: Callable[[bytes | Raw], T] = msgspec.json.Decoder(kind, float_hook=Decimal).decode
        """msgspec's own, which rounds times."""
        self._kind = kind
        # A fraction that msgspec rounds up, to its seventh digit.
        fraction = rb"(\.(?<=:[0-9][0-9]\.)[0-9]{6})[5-9]"
        self._rounded_up = self._dates(fraction, len("2023-02-28T23:59:59.9999999"))

    def _dates(self, end: bytes, length: int) -> re.Pattern[bytes] | None:
        """A pattern of the ``end`` of dates, or their first ``length`` bytes; None if the type has none."""
        # The dates that every record has come first, which are then found soonest.
        names = sorted(_dates_of(self._kind)[0], key=lambda name: (b"odifiedDate" not in name, name))
        field = rb'(?<=[^\\]%b%b"[^"]{%d})'
        either = b"|".join(field % (name, colon, length) for name in names for colon in (b":", b": "))
        return re.compile(b"%b(?:%b)" % (end, either)) if names else None

    @cached_property
    def pages(self) -> "Decoder[Page[T]]":
        """The decoder of pages of the type."""
        return _construct(Page[self._kind])  # type: ignore[name-defined]

    @cached_property
    def lists(self) -> "Decoder[list[T]]":
        """The decoder of lists of the type."""
        return _construct(list[self._kind])  # type: ignore[name-defined]

    def rounds(self, data: bytes | Raw) -> bool:
        """Whether :attr:`plain` would round up a time in this text."""
        return self._rounded_up is not None and self._rounded_up.search(data) is not None

    def decode(self, data: bytes | Raw) -> T:
        """Decode a text, with its times cut to microseconds; raises one of ``DECODE_ERRORS``."""
        if self._rounded_up is None or self._rounded_up.search(data) is None:
            return self.plain(data)
        # As if the seventh digit were 0.
        record = self.plain(_append(self._rounded_up, data, b"0"))
        _restore_untyped(record, data, self._kind)
        return record

    @cached_property
    def _bare(self) -> re.Pattern[bytes] | None:
        # A month and a day before a quote are rare and found fast; only then is the field's name checked.
        return self._dates(rb'(-\d\d-\d\d)(?=")', len("2023-02-28"))

    def correct(self, data: bytes) -> tuple[T, bytes] | None:
        """Decode what :meth:`decode` rejected, without lone surrogates and with midnight on bare dates.

        Codat documents the bare form (``2022-10-23``) beside the full one. Returns the record and its source,
        which is the text before times were added; None if that is not enough.
        """
        source = corrected(data)
        text = source if self._bare is None else _append(self._bare, source, b"T00:00:00")
        if text is data:
            return None
        try:
            record = self.decode(text)
        except DECODE_ERRORS:
            return None
        _restore_untyped(record, source, self._kind)
        return record, source


def _append(pattern: re.Pattern[bytes], data: bytes | Raw, addition: bytes) -> bytes | Raw:
    """Append to each match's group, which replaces it; return the same object if there is no match."""
    pieces = pattern.split(data)
    if len(pieces) == 1:
        return data
    pieces[1::2] = [group + addition for group in pieces[1::2]]
    return b"".join(pieces)


# --- which fields are dates, and which have no type -----------------------------------------


@cache
def _dates_of(kind: Any) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """The wire names, in quotes, of a type's dates at any depth, and of its content that has no type."""
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
            name, parts = b'"%b"' % field.encode_name.encode(), (field.type, *get_args(field.type))
            if datetime in parts:
                names.add(name)
            if SupplementalData in parts or _is_untyped(field.type):
                untyped.add(name)
            elif field.name != "unknown_fields":
                todo.append(field.type)
    return frozenset(names), frozenset(untyped)


def _is_untyped(hint: Any) -> bool:
    if hint is Any or isinstance(hint, TypeVar):
        return True
    origin = get_origin(hint)
    is_model = isinstance(origin, type) and issubclass(origin, Struct)
    return not is_model and any(map(_is_untyped, get_args(hint)))


def _restore_untyped(record: object, received: bytes | Raw, kind: Any) -> None:
    """Undo corrections of dates in a record's untyped content, which may use the same names."""
    text, (_, names) = bytes(received), _dates_of(kind)
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
        for one, part in zip(value, decoder(Raw).lists.plain(received), strict=True):
            _restore(one, part)
    elif isinstance(value, dict):
        for key, part in decoder(dict[str, Raw]).plain(received).items():
            _restore(value[key], part)


def _holds_models(value: object) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
    return any(isinstance(part, Struct) for part in parts)


# --- lone surrogates ---------------------------------------------------------------------

_ESCAPES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\."
)


def replace_lone_surrogates(data: bytes) -> bytes:
    """Replace each half of a surrogate pair that is alone by U+FFFD; return the same object if there is none.

    JSON's grammar allows such an escape, and a source that cuts strings in the middle of a character sends
    it; no decoder accepts it. The length does not change.
    """
    if b"\\u" not in data:
        return data
    replaced = _ESCAPES.sub(lambda found: b"\\ufffd" if found["lone"] else found[0], data)
    return data if replaced == data else replaced


def corrected(data: bytes) -> bytes:
    """A text without what no decoder accepts and may be anywhere in it; the same object if it has none."""
    return replace_lone_surrogates(well_formed(data))
