"""Validation of records in half the time of decoding, and the key of each."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import Raw, Struct, defstruct, field
from msgspec.structs import fields

from codat_async.codec.decoding import decoder, decoder_lock
from codat_async.codec.lenient import lenient_texts
from codat_async.codec.records import mirror_maker, read
from codat_async.errors import DECODE_ERRORS, DecodingError, InvalidRecord


class RecordKey(Struct, rename="camel", gc=False, frozen=True):
    """What identifies a version of a record."""

    id: str | None = None
    modified_date: datetime | None = None
    """Rounded to the microsecond, by the decoder that is fastest."""


def read_key(record: bytes | Raw) -> RecordKey:
    """Read a record's key, as far as it can be read; an empty one if the record is not an object."""
    try:
        return decoder(RecordKey).plain(record)
    except DECODE_ERRORS:
        pass
    try:
        return read(record, RecordKey)
    except InvalidRecord as invalid:
        return RecordKey(invalid.record_id)
    except DecodingError:
        return RecordKey()


def validator(model: Any, *, operation: str = "") -> Callable[[Raw], RecordKey]:
    """Return a function that reads the key of a record and raises InvalidRecord unless it fits the model.

    The records are decoded into types that are cheaper than the model's and accept no more.
    What they reject is read as the model itself, which has the last word.
    """
    quick = _quick_decoder(model)

    def validate(record: Raw) -> RecordKey:
        try:
            return quick(record)
        except DECODE_ERRORS:
            pass
        for text, _ in lenient_texts(bytes(record), model):
            with suppress(*DECODE_ERRORS):
                quick(text)
                return read_key(record)
        read(record, model, operation=operation, unknown_fields=False)
        return read_key(record)

    return validate


@cache
def _quick_decoder(model: Any) -> Callable[[bytes | Raw], RecordKey]:
    """Return a decoder of records into objects with the fields of a key among those of the model."""
    with decoder_lock:
        named = {each.name for each in fields(model)}
        absent = [
            (each.name, each.type, field(name=each.encode_name, default=None))
            for each in fields(RecordKey)
            if each.name not in named
        ]
        name = f"Keyed{model.__name__}"
        keyed: Any = defstruct(name, absent, bases=(_cheap_mirror(model),), kw_only=True, gc=False)
        return msgspec.json.Decoder(keyed).decode


def _cheap(hint: Any) -> Any:
    """A type that accepts no more than another, and costs less to construct."""
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(_cheap(each) for each in get_args(hint))]  # noqa: UP007
    if get_origin(hint) is list:
        return list[_cheap(get_args(hint)[0])]  # type: ignore[misc]
    if not isinstance(hint, type):
        return hint
    if issubclass(hint, Decimal):
        return float
    # Enumerations are open: every string is a member.
    return str if issubclass(hint, str) else hint


# A model that contains itself is checked as itself.
_cheap_mirror = mirror_maker(_cheap, recursive=lambda model: model)
