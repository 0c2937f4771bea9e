"""Strict decoders, one per type, and what they raise."""

from decimal import Decimal
from threading import RLock
from typing import Any, Final, TypeVar

import msgspec

from codat_async.codec.times import Decoder
from codat_async.errors import DECODE_ERRORS
from codat_async.models import Page

__all__ = ["DECODE_ERRORS", "decoder", "decoder_lock", "page_of"]

T = TypeVar("T")

decoder_lock: Final = RLock()
"""Held while a decoder is constructed: msgspec then prepares all types inside it, and the process
crashes if another thread prepares one of them at the same time."""

_decoders: dict[object, Decoder[Any]] = {}
_pages: dict[object, Any] = {}


def decoder(kind: type[T]) -> Decoder[T]:
    """The strict decoder of a type, constructed once."""
    found = _decoders.get(kind)
    if found is None:
        with decoder_lock:
            # Numbers in untyped places (supplemental data) keep their digits too.
            found = _decoders[kind] = Decoder(kind, msgspec.json.Decoder(kind, float_hook=Decimal).decode)
    return found


def page_of(kind: type[T]) -> type[Page[T]]:
    """``Page[kind]``, always the same object, as the cache of decoders needs it."""
    found: type[Page[T]] | None = _pages.get(kind)
    if found is None:
        found = _pages[kind] = Page[kind]  # type: ignore[valid-type]
    return found
