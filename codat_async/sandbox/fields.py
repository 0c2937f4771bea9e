"""Dotted paths into records by wire names, and values made comparable, for filters and orderings."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import inspect

__all__ = ["FieldError", "Kind", "Property", "comparable", "resolve", "without_null"]


class FieldError(ValueError):
    """A path that leads nowhere, or to something that cannot be compared."""


class Kind(StrEnum):
    """What a property can be compared as."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"


class Property:
    """A place in a type's records that filters and orderings may name."""

    __slots__ = ("kind", "read")

    def __init__(self, kind: Kind, read: Callable[[Any], Any]) -> None:
        self.kind = kind
        self.read = read

    def comparable(self, record: Any) -> Any:
        """The record's value here, ready to be compared with others of its kind; ``None`` where absent."""
        return comparable(self.read(record))


def comparable(value: Any) -> Any:
    """A value that compares with every other of its kind.

    Dates without a zone are the company's own time, which is unknown here; they compare
    as if they were UTC.
    """
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value
    if isinstance(value, bool | Decimal):
        return value
    if isinstance(value, int | float):
        return Decimal(str(value))
    if isinstance(value, str):
        return str(value)
    return None


@lru_cache(maxsize=1024)
def resolve(model: type[msgspec.Struct], path: str) -> Property:
    """The property at a dotted path of wire names, such as ``customerRef.id``.

    Raises :class:`FieldError` where there is none, or where it is an object or an array:
    the query language reaches into objects, not into arrays.
    """
    steps: list[Callable[[Any], Any]] = []
    here: inspect.Type = inspect.type_info(model)
    for name in path.split("."):
        if isinstance(here, inspect.StructType):
            known = {each.encode_name: each for each in here.fields}
            if name not in known:
                raise FieldError(f"there is no property '{path}'")
            steps.append(attrgetter(known[name].name))
            here = without_null(known[name].type)
        elif isinstance(here, inspect.DictType):
            steps.append(_key(name))
            here = without_null(here.value_type)
        else:
            raise FieldError(f"'{path}' does not lead through objects alone")
    kind = _KINDS.get(type(here))
    if kind is None:
        raise FieldError(f"'{path}' is not a value that can be compared")
    return Property(kind, _chain(steps))


_KINDS: dict[type[inspect.Type], Kind] = {
    inspect.StrType: Kind.TEXT,
    inspect.EnumType: Kind.TEXT,
    inspect.UUIDType: Kind.TEXT,
    inspect.LiteralType: Kind.TEXT,
    inspect.IntType: Kind.NUMBER,
    inspect.FloatType: Kind.NUMBER,
    inspect.DecimalType: Kind.NUMBER,
    inspect.DateTimeType: Kind.DATE,
    inspect.BoolType: Kind.BOOLEAN,
}


def without_null(described: inspect.Type) -> inspect.Type:
    """What a type is apart from being optional."""
    if isinstance(described, inspect.Metadata):
        return without_null(described.type)
    if isinstance(described, inspect.UnionType):
        rest = [each for each in described.types if not isinstance(each, inspect.NoneType)]
        if len(rest) == 1:
            return without_null(rest[0])
    return described


def _key(name: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        return value.get(name)

    return read


def _chain(steps: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    if len(steps) == 1:
        return steps[0]

    def read(record: Any) -> Any:
        for step in steps:
            if not record:
                return None
            record = step(record)
        return record

    return read
