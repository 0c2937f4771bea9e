"""Bytes to Structs and back: cached decoders, and slices that let the loop run."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from threading import RLock
from time import perf_counter
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import fields, replace

from codat_async.codec.lenient import (
    DECODE_ERRORS,
    expand_bare_dates,
    explain,
    repair,
    replace_lone_surrogates,
    restore_page,
    restore_supplemental_data,
)
from codat_async.codec.mirror import Deriver
from codat_async.codec.times import Decoder, holds_inexact, is_text_of
from codat_async.errors import DecodingError, InvalidRecord
from codat_async.models import Links, Page
from codat_async.models.base import Model, Null

T = TypeVar("T")

OnInvalid: TypeAlias = Literal["raise", "skip"] | Callable[[InvalidRecord], object]
"""What to do with a record that no model accepts: raise it, drop it, or hand it to a function."""

LARGE_PAGE: Final = 1_000_000
"""Bytes from which a page is decoded in slices, where nothing is known yet of its kind of record."""

_LONGEST_STALL: Final = 0.01
"""Seconds that a page may take at once; one that would take more is decoded in slices."""
_SLICE_SECONDS: Final = 0.002
_SLICE_BYTES: Final = 32 * 1024
_WITH_MODELS: Final = (Model, dict)
_READ_ONLY: Final = ("id", "modified_date", "source_modified_date")

_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=lambda value: _encode_other(value))


decoder_lock: Final = RLock()
"""Held while a decoder is made: msgspec then prepares the types within it, and the process crashes
where another thread prepares the same ones at that moment."""

_decoders: dict[object, Decoder[Any]] = {}


def decoder(kind: type[T]) -> Decoder[T]:
    """The decoder of a type, made once."""
    found = _decoders.get(kind)
    if found is None:
        with decoder_lock:
            # Numbers in untyped places (supplemental data) keep their digits too.
            found = _decoders[kind] = Decoder(kind, msgspec.json.Decoder(kind, float_hook=Decimal).decode)
    return found


# --- one record --------------------------------------------------------------------------


def decode(data: bytes, kind: type[T], *, operation: str = "") -> T:
    """Decode one document; what the model has no place for is kept in ``unknown_fields``.

    Raises :class:`~codat_async.errors.DecodingError`, which says where and why.
    """
    try:
        record = decoder(kind).decode(data)
    except msgspec.ValidationError as failure:
        record = repair(data, decoder(kind).decode, failure, operation)
    except DECODE_ERRORS as failure:
        if (mended := replace_lone_surrogates(data)) is not data:
            return decode(mended, kind, operation=operation)
        reason, path = explain(failure)
        raise DecodingError(reason, path=path, raw=data, operation=operation) from failure
    if isinstance(record, _WITH_MODELS) and (holds_inexact(data) or not _complete(kind, data)):
        _keep_unknown_below(record, data)
    return record


def encode(body: object, *, omit_read_only: bool = False) -> bytes:
    """Encode a model as the API wants it.

    ``None`` is left out, ``NULL`` becomes ``null``, a ``Decimal`` keeps its digits. With
    ``omit_read_only`` the fields that only the API sets (``id``, ``modifiedDate``,
    ``sourceModifiedDate``) stay out, as they must from a create.
    Raises :class:`ValueError` for a number that JSON cannot hold (NaN, infinity).
    """
    if omit_read_only and isinstance(body, Model):
        held = {name: None for name in _READ_ONLY if getattr(body, name, None) is not None}
        if held:
            body = replace(body, **held)
    return _encoder.encode(_wire(body))


def _encode_other(value: object) -> None:
    if isinstance(value, Null):
        return
    raise TypeError(f"cannot be sent as JSON: {type(value).__name__}")


def _wire(value: object) -> object:
    """The value with unknown fields merged back in and every number checked."""
    if isinstance(value, Model):
        wire = {
            field.encode_name: _wire(held)
            for field in fields(value)
            if (held := getattr(value, field.name)) is not None and field.name != "unknown_fields"
        }
        for name, raw in (value.unknown_fields or {}).items():
            # A date that was changed or removed is not sent as it was received.
            if is_text_of(raw, wire[name]) if name in wire else name not in _wire_names(type(value)):
                wire[name] = raw
        return wire
    if isinstance(value, Decimal | float):
        if not (value.is_finite() if isinstance(value, Decimal) else isfinite(value)):
            raise ValueError(f"a number that JSON cannot hold: {value}")
        return value
    if isinstance(value, dict):
        return {key: _wire(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(held) for held in value]
    return value


@cache
def _wire_names(kind: type[Struct]) -> dict[str, str]:
    return {field.encode_name: field.name for field in fields(kind)}


class _Unnamed(Exception):
    """There is no type that tells whether a text holds unknown fields."""


def _unnamed(model: type[Struct]) -> Any:
    raise _Unnamed


_names_of = Deriver(lambda hint: Raw, inner=_unnamed, forbid_unknown_fields=True).derive


@cache
def _names(kind: Any) -> Callable[[bytes], object] | None:
    """A function that refuses a text with unknown fields; None where there can be none such."""
    try:
        with decoder_lock:
            return msgspec.json.Decoder(_names_of(kind)).decode
    except (_Unnamed, TypeError):
        # A model within itself, or a model or something else in one place.
        return None


def _complete(kind: Any, data: bytes) -> bool:
    """Whether a type has a place for everything in the text that it was read from."""
    names = _names(kind)
    if names is None:
        return False
    try:
        names(data)
    except DECODE_ERRORS:
        return False
    return True


def _keep_unknown(record: Model, data: bytes | Raw) -> None:
    names = _wire_names(type(record))
    for wire_name, raw in decoder(dict[str, Raw]).decode(data).items():
        name = names.get(wire_name)
        value = None if name is None else getattr(record, name)
        if name is None or (isinstance(value, datetime) and holds_inexact(raw)):
            if record.unknown_fields is None:
                record.unknown_fields = {}
            record.unknown_fields[wire_name] = raw.copy()
        else:
            _keep_unknown_below(value, raw)


def _keep_unknown_below(value: object, raw: bytes | Raw) -> None:
    if isinstance(value, Model):
        _keep_unknown(value, raw)
    elif isinstance(value, list):
        if value and isinstance(value[0], Model):
            for held, part in zip(value, decoder(list[Raw]).decode(raw), strict=True):
                _keep_unknown(held, part)
    elif isinstance(value, dict) and any(isinstance(held, Model) for held in value.values()):
        parts = decoder(dict[str, Raw]).decode(raw)
        for key, held in value.items():
            _keep_unknown_below(held, parts[key])


# --- one page ----------------------------------------------------------------------------


_pages: dict[object, Any] = {}


def page_of(kind: type[T]) -> type[Page[T]]:
    """``Page[kind]`` as the decoder wants it: made once."""
    found: type[Page[T]] | None = _pages.get(kind)
    if found is None:
        found = _pages[kind] = Page[kind]  # type: ignore[valid-type]
    return found


class SplitPage(Struct, rename="camel", gc=False):
    """A page whose records are not decoded yet."""

    results: list[Raw] | None = None
    page_number: int = 0
    page_size: int = 0
    total_results: int = 0
    links: Links | None = msgspec.field(default=None, name="_links")


def split_page(data: bytes, *, operation: str = "") -> SplitPage:
    """Split a page into its records; raises :class:`~codat_async.errors.DecodingError` for what is none."""
    try:
        page = decoder(SplitPage).decode(data)
    except DECODE_ERRORS as failure:
        if (mended := replace_lone_surrogates(data)) is not data:
            page = split_page(mended, operation=operation)
            page.results = _same_places(page.results or [], mended, data)
            return page
        reason, path = explain(failure)
        raise DecodingError(reason, path=path, raw=data, operation=operation) from failure
    _check(page, data, operation)
    return page


def _same_places(raws: Sequence[Raw], text: bytes, other: bytes) -> list[Raw]:
    """What another text of the same length holds where the records are in this one."""
    found: list[Raw] = []
    at = text.find(b'"results"')
    for raw in raws:
        at = text.find(raw, at)
        end = at + len(memoryview(raw))
        found.append(Raw(other[at:end]))
        at = end
    return found


_at_once: dict[object, float] = {}
"""Bytes of a page that take the longest stall, by kind of record, as last measured."""


def _measured(kind: object, size: int, seconds: float) -> None:
    # Kinds of records differ sixfold in what a byte takes. Small pages say little, and a
    # page of long texts would promise too much for the next one.
    if seconds and size > LARGE_PAGE // 10:
        _at_once[kind] = min(2.0 * LARGE_PAGE, size * _LONGEST_STALL / seconds)


async def decode_page(
    data: bytes, kind: type[T], *, on_invalid: OnInvalid = "raise", operation: str = ""
) -> Page[T]:
    """Decode a page of records.

    The whole page is read at once where that works and takes no longer than the event loop
    may wait; otherwise in slices (see :class:`SlicedPage`). A record that cannot be read is
    repaired, or becomes an :class:`~codat_async.errors.InvalidRecord` without harm to the
    others.
    """
    begun = perf_counter()
    if len(data) < _at_once.get(kind, LARGE_PAGE):
        for text in _readings(data, kind):
            try:
                page = decoder(page_of(kind)).decode(text)
            except DECODE_ERRORS:
                continue
            if text is not data:
                restore_page(page.results, data)
            _measured(kind, len(data), perf_counter() - begun)
            _check(page, data, operation)
            return page
    sliced = SlicedPage(data, kind, on_invalid=on_invalid, operation=operation)
    async for records in sliced:
        sliced.head.results += records
    _measured(kind, len(data), sliced.seconds)
    return sliced.head


class SlicedPage(Generic[T]):
    """A page whose records are decoded in slices, with the event loop running in between.

    Records that are let go as they come are decoded in less time so than as a whole page,
    whose memory is new each time; those that are kept cost a fifth more, for the page is
    split first. Making it raises :class:`~codat_async.errors.DecodingError` for what is no
    page, iterating :class:`~codat_async.errors.InvalidRecord`, unless told otherwise.
    """

    def __init__(
        self, data: bytes, kind: type[T], *, on_invalid: OnInvalid = "raise", operation: str = ""
    ) -> None:
        split = split_page(data, operation=operation)
        self._raws = split.results or []
        self._size = len(data)
        self._kind = kind
        self._on_invalid: OnInvalid = on_invalid
        self._operation = operation
        self._bare_dates = False
        one = decoder(kind)
        self._decode_one = one.decode_cut if one.rounds(data) else one.plain
        self.empty = not self._raws
        self.seconds = 0.0
        """Spent on decoding so far."""
        self.head: Page[T] = Page(
            results=[],
            page_number=split.page_number,
            page_size=split.page_size,
            total_results=split.total_results,
            links=split.links,
        )
        """The page without its records."""

    async def __aiter__(self) -> AsyncGenerator[list[T], None]:
        """The records, some at a time."""
        raws = self._raws
        step = max(1, _SLICE_BYTES * len(raws) // self._size)
        if self._size > LARGE_PAGE:
            # Splitting has kept the others waiting already.
            await asyncio.sleep(0)
        rested = perf_counter()
        for start in range(0, len(raws), step):
            begun = perf_counter()
            if begun - rested > _SLICE_SECONDS:
                await asyncio.sleep(0)
                begun = rested = perf_counter()
            records = self._decoded(raws[start : start + step])
            self.seconds += perf_counter() - begun
            yield records

    def _decoded(self, raws: Sequence[Raw]) -> list[T]:
        if not self._bare_dates:
            decode_one = self._decode_one
            try:
                return [decode_one(raw) for raw in raws]
            except DECODE_ERRORS:
                pass
        records: list[T] = []
        on_invalid = self._on_invalid
        for raw in raws:
            try:
                records.append(self._repaired(bytes(raw)))
            except InvalidRecord as invalid:
                if on_invalid == "raise":
                    raise
                if on_invalid != "skip":
                    on_invalid(invalid)
        return records

    def _repaired(self, text: bytes) -> T:
        decode_one = decoder(self._kind).decode
        completed = expand_bare_dates(text, self._kind)
        # A platform that sends one bare date sends more: the next record is completed first.
        self._bare_dates = completed is not text
        try:
            record = decode_one(completed)
            if self._bare_dates:
                restore_supplemental_data(record, text)
        except DECODE_ERRORS as failure:
            if (mended := replace_lone_surrogates(text)) is not text:
                return self._repaired(mended)
            return repair(text, decode_one, failure, self._operation)
        return record


def _check(page: "Page[T] | SplitPage", data: bytes, operation: str) -> None:
    # Every field of a page may be absent, so any object would pass for an empty one.
    if not page.results and page.page_number == 0 and b'"results"' not in data:
        raise DecodingError("the body is not a page of a list", raw=data, operation=operation)


def _readings(data: bytes, kind: type) -> Iterator[bytes]:
    yield data
    if (repaired := expand_bare_dates(data, kind)) is not data:
        yield repaired
