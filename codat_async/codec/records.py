"""Records: read strictly, then leniently, then not at all, and encoded as the API expects them.

Unknown fields are kept when reading, and sent again.
"""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import fields, replace

from codat_async.codec.decoding import corrected, decoder
from codat_async.codec.lenient import coerce, unreadable
from codat_async.codec.mirrors import contains_models, mirror_maker
from codat_async.errors import DECODE_ERRORS
from codat_async.models.base import Model, Null

T = TypeVar("T")

_READ_ONLY: Final = ("id", "modified_date", "source_modified_date")
_inexact: Final = re.compile(rb'-\d\d-\d\d(?:"|[Tt ]\d\d:\d\d:\d\d\.\d{7})').search
"""Finds a date that a datetime does not hold as it was received: without a time, or of seven digits."""
_finer: Final = re.compile(rb"\.(?<=:\d\d\.)\d{7}").search
"""Finds a time of seven digits, as those that a decoder may round have."""


def read(data: bytes | Raw, kind: type[T], *, operation: str = "", unknown_fields: bool = True) -> T:
    """Decode one JSON document: a record, or a map or list of them.

    Malformed values that have only one meaning are coerced. With ``unknown_fields``, what the model has no
    place for is kept in the attribute of that name, at every depth: fields without a name, and dates in a
    form that a datetime cannot hold.

    Raises :class:`~codat_async.errors.InvalidRecord` for JSON that does not fit the type, with the path and
    the reason, and :class:`~codat_async.errors.DecodingError` for bytes that are not JSON, for the call that
    ``operation`` names.
    """
    strict = decoder(kind)
    source: bytes | Raw = data
    exact = _finer(data) is None
    try:
        record = (strict.plain if exact else strict.decode)(data)
    except DECODE_ERRORS:
        exact, source = False, corrected(bytes(data))
        try:
            record = strict.correct(source)
        except DECODE_ERRORS:
            record = coerce(bytes(data), source, strict.correct, operation)
    if unknown_fields and isinstance(record, Model | dict) and not (exact and _fits_exactly(kind, source)):
        try:
            _keep_unknown(record, source)
        except DECODE_ERRORS as failure:
            # The strict decoder passes over what has no place, also if it is not UTF-8.
            raise unreadable(failure, bytes(data), operation) from failure
    return record


def encode(body: object, *, omit_read_only: bool = False) -> bytes:
    """Encode a model as the API expects it.

    ``None`` is left out, ``NULL`` becomes ``null``, a ``Decimal`` keeps its digits. With ``omit_read_only``
    the fields that only the API sets (``id``, ``modifiedDate``, ``sourceModifiedDate``) are left out, as a
    create requires. Raises :class:`ValueError` for a number that JSON cannot hold (NaN, infinity).
    """
    if omit_read_only and isinstance(body, Model):
        body = replace(body, **{name: None for name in _READ_ONLY if getattr(body, name, None) is not None})
    return _encoder.encode(_wire(body))


# --- unknown fields ----------------------------------------------------------------------


@cache
def _attribute_names(kind: type[Struct]) -> dict[str, str]:
    """The attributes of a model by their names on the wire."""
    return {field.encode_name: field.name for field in fields(kind)}


def _keep_unknown(value: object, raw: bytes | Raw) -> None:
    if isinstance(value, Model):
        names = _attribute_names(type(value))
        for wire_name, part in decoder(dict[str, Raw]).plain(raw).items():
            name = names.get(wire_name)
            held = None if name is None else getattr(value, name)
            if name is None or (isinstance(held, datetime) and _inexact(part)):
                # A copy, so that it does not keep the whole body in memory.
                value.unknown_fields = (value.unknown_fields or {}) | {wire_name: part.copy()}
            else:
                _keep_unknown(held, part)
    elif isinstance(value, list) and value and isinstance(value[0], Model):
        for held, part in zip(value, decoder(Raw).lists.plain(raw), strict=True):
            _keep_unknown(held, part)
    elif isinstance(value, dict) and any(isinstance(held, Model) for held in value.values()):
        parts = decoder(dict[str, Raw]).plain(raw)
        for key, held in value.items():
            _keep_unknown(held, parts[key])


def _is_text_of(text: Raw, value: object) -> bool:
    """Whether a JSON string is the date that was read as this value."""
    return isinstance(value, datetime) and datetime.fromisoformat(decoder(str).plain(text).upper()) == value


def _wire(value: object) -> object:
    """The value with unknown fields merged back in and every number checked."""
    if isinstance(value, Model):
        names = _attribute_names(type(value))
        held = {name: getattr(value, own) for name, own in names.items() if own != "unknown_fields"}
        wire = {name: _wire(each) for name, each in held.items() if each is not None}
        for name, raw in (value.unknown_fields or {}).items():
            # A date that was changed or removed is not sent as it was received.
            if _is_text_of(raw, wire[name]) if name in wire else name not in names:
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


def _encode_other(value: object) -> None:
    if not isinstance(value, Null):
        raise TypeError(f"cannot be sent as JSON: {type(value).__name__}")


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_encode_other)


# A decoder of these types rejects unknown fields, and models in themselves, and looks at nothing else, in a
# fraction of the time that it takes to look for them in Python.
_names_only = mirror_maker(
    lambda hint: None if contains_models(hint) else Raw, recursive=lambda model: None, strict=True
)


@cache
def _names_decoder(kind: Any) -> Callable[[bytes | Raw], object] | None:
    try:
        return decoder(_names_only(kind)).plain
    except TypeError:
        # A model whose parameter is not given.
        return None


def _fits_exactly(kind: Any, data: bytes | Raw) -> bool:
    """Return whether JSON has no unknown fields, as far as a decoder can decide it."""
    decode = _names_decoder(kind)
    try:
        return decode is not None and decode(data) is not None
    except DECODE_ERRORS:
        return False
