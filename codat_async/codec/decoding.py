"""Decoders, one per type: strict, but for corrections of a text that can have only one meaning.

Times with more digits than a datetime holds are cut. Codat ends a period at ``2023-02-28T23:59:59.9999999``,
and msgspec rounds by the seventh digit, which would move that into March.
"""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from threading import RLock
from typing import Any, Final, Generic, TypeVar, get_args

import msgspec
from msgspec import Raw, Struct

from codat_async.codec.mirrors import contains, mirror_maker
from codat_async.errors import DECODE_ERRORS
from codat_async.models import Page
from codat_middleware.text import well_formed

T = TypeVar("T")

_lock: Final = RLock()
"""Held while a decoder is constructed: msgspec then prepares all types inside it, and the process crashes if
another thread prepares one of them at the same time."""

_decoders: dict[object, "Decoder[Any]"] = {}
UNTYPED: Final[Any] = Any
"""The kind of content without a type; checkers take Any itself for no kind."""
_rounded_up: Final = re.compile(rb"\.(?<=:[0-9][0-9]\.)[0-9]{6}[5-9]").search
"""Finds what may be a time that msgspec rounds up."""
tree_encoder: Final = msgspec.json.Encoder(decimal_format="number")
"""Encodes what a decoder has made of content without a type, with the digits of its numbers."""


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

    @cached_property
    def pages(self) -> "Decoder[Page[T]]":
        """The decoder of pages of the type."""
        return _construct(Page[self._kind])  # type: ignore[name-defined]

    @cached_property
    def lists(self) -> "Decoder[list[T]]":
        """The decoder of lists of the type."""
        return _construct(list[self._kind])  # type: ignore[name-defined]

    def decode(self, data: bytes | Raw) -> T:
        """Decode a text, with its times cut to microseconds; raises one of ``DECODE_ERRORS``."""
        return self.plain(data) if _rounded_up(data) is None else self.correct(data)

    def correct(self, data: bytes | Raw) -> T:
        """Decode a text with its dates corrected: cut to microseconds, and with midnight if they are bare.

        Codat documents the bare form (``2022-10-23``) beside the full one. Raises one of ``DECODE_ERRORS``.
        """
        return self.plain(tree_encoder.encode(self._dates(data)))

    @cached_property
    def _dates(self) -> Callable[[bytes | Raw], Any]:
        with _lock:
            return msgspec.json.Decoder(
                _dates_only(self._kind), dec_hook=_corrected_date, float_hook=Decimal
            ).decode


# --- dates: a mirror in which only they are decoded ------------------------------------------


class _Whatever(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return True


class _Date(metaclass=_Whatever):
    """A date as the mirror has it: corrected if it can be read, and as it was received otherwise."""


class _Again(_Date):
    """A model inside itself, which has a mirror of its own."""

    kind: type[Struct]


def _corrected_date(hint: Any, value: Any) -> Any:
    try:
        if issubclass(hint, _Again):
            return decoder(hint.kind)._dates(tree_encoder.encode(value))
        if isinstance(value, str):
            return datetime.fromisoformat(value.strip().upper()) if value.strip() else None
    except (ValueError, *DECODE_ERRORS):
        # What is wrong is found, with its place, by the decoder of the model.
        pass
    return value


def _date_or_raw(hint: Any) -> Any:
    if datetime in (hint, *get_args(hint)):
        return _Date
    return None if contains(hint, datetime) else Raw


_dates_only: Final = mirror_maker(
    _date_or_raw, lambda model: type("_Again", (_Again,), {"kind": model}), required=False
)


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
