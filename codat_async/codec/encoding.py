"""Structs to bytes: models encoded as the API expects them."""

from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import fields, replace

from codat_async.codec.times import is_text_of
from codat_async.models.base import Model, Null

__all__ = ["attribute_names", "encode"]

_READ_ONLY: Final = ("id", "modified_date", "source_modified_date")


def encode(body: object, *, omit_read_only: bool = False) -> bytes:
    """Encode a model as the API expects it.

    ``None`` is left out, ``NULL`` becomes ``null``, a ``Decimal`` keeps its digits. With
    ``omit_read_only`` the fields that only the API sets (``id``, ``modifiedDate``,
    ``sourceModifiedDate``) are left out, as a create requires.
    Raises :class:`ValueError` for a number that JSON cannot hold (NaN, infinity).
    """
    if omit_read_only and isinstance(body, Model):
        held = {name: None for name in _READ_ONLY if getattr(body, name, None) is not None}
        if held:
            body = replace(body, **held)
    return _encoder.encode(_wire(body))


@cache
def attribute_names(kind: type[Struct]) -> dict[str, str]:
    """The attributes of a model by their names on the wire."""
    return {field.encode_name: field.name for field in fields(kind)}


def _encode_other(value: object) -> None:
    if isinstance(value, Null):
        return
    raise TypeError(f"cannot be sent as JSON: {type(value).__name__}")


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_encode_other)


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
            if is_text_of(raw, wire[name]) if name in wire else name not in attribute_names(type(value)):
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
