"""Validation of records in half the time of decoding."""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from msgspec import Raw, defstruct, field
from msgspec.structs import fields

from codat_async import codec
from codat_async.bulk.units.records import RecordKey, read_key
from codat_async.codec import DECODE_ERRORS

__all__ = ["keyed_mirror", "validator"]


def validator(model: Any, *, operation: str = "") -> Callable[[Raw], RecordKey]:
    """Return a function that reads the key of a record and raises InvalidRecord unless it fits the model.

    The records are decoded into types that are cheaper than the model's and accept no more.
    What they reject is read as the model itself, which has the last word.
    """
    mirror = keyed_mirror(model)
    quick = codec.decoder(mirror)

    def validate(record: Raw) -> RecordKey:
        try:
            key: RecordKey = quick.plain(record)
            return key
        except DECODE_ERRORS:
            pass
        try:
            quick.correct(record)
        except DECODE_ERRORS:
            codec.read(record, model, operation=operation, unknown_fields=False)
        return read_key(record)

    return validate


@cache
def keyed_mirror(model: Any) -> Any:
    """The model with cheaper types, and with the fields of a key among its own."""
    named = {each.name for each in fields(model)}
    absent = [
        (each.name, each.type, field(name=each.encode_name, default=None))
        for each in fields(RecordKey)
        if each.name not in named
    ]
    return defstruct(f"Keyed{model.__name__}", absent, bases=(_cheap_mirror(model),), kw_only=True, gc=False)


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
_cheap_mirror = codec.mirror_maker(
    lambda hint: None if codec.contains_models(hint) else _cheap(hint), recursive=lambda model: model
)
