"""Dotted paths into records by wire names, values made comparable, and orders by them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter, methodcaller
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from codat_async.models import Company

Record = TypeVar("Record", bound=msgspec.Struct)


class FieldError(ValueError):
    """A path that leads nowhere, or to something that cannot be compared."""


class Kind(StrEnum):
    """What a property can be compared as."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"


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


class Property:
    """A place in a type's records that filters and orders may name.

    ``inner`` is the place within each item, if this one is a list.
    """

    def __init__(
        self, kind: Kind, steps: Sequence[Callable[[Any], Any]], inner: "Property | None" = None
    ) -> None:
        self.kind = kind
        self.inner = inner
        self._steps = steps

    def values(self, record: Any) -> list[Any]:
        """All the values here: of a list, that of each of its items."""
        if self.inner is None:
            return [self.read(record)]
        return [self.inner.read(item) for item in self._walk(record) or ()] or [None]

    def read(self, record: Any) -> Any:
        """The record's value here, ready to be compared with others of its kind; ``None`` if absent."""
        return _comparable(self._walk(record))

    def _walk(self, record: Any) -> Any:
        value = record
        for step in self._steps:
            if value is None:
                return None
            value = step(value)
        return value


def _comparable(value: Any) -> Any:
    # Dates without a zone are the company's own time, which is unknown here.
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value
    if isinstance(value, bool | Decimal):
        return value
    if isinstance(value, int | float):
        return Decimal(str(value))
    return str(value) if isinstance(value, str) else None


@lru_cache(maxsize=1024)
def resolve(model: type[msgspec.Struct], path: str) -> Property:
    """The property at a dotted path of wire names, such as ``customerRef.id``.

    Raises :class:`FieldError` if there is none, or if it is an object or an array: the query
    language reaches into objects, not into arrays. Companies are the exception: the API's
    documentation queries ``dataConnections.status``.
    """
    steps: list[Callable[[Any], Any]] = []
    here: inspect.Type = inspect.type_info(model)
    names = path.split(".")
    for place, name in enumerate(names):
        if isinstance(here, inspect.ListType) and model is Company:
            inner = resolve(_struct_of(here), ".".join(names[place:]))
            return Property(inner.kind, steps, inner)
        if isinstance(here, inspect.StructType):
            field = next((each for each in here.fields if each.encode_name == name), None)
            if field is None:
                raise FieldError(f"there is no property '{path}'")
            steps.append(attrgetter(field.name))
            here = without_null(field.type)
        elif isinstance(here, inspect.DictType):
            steps.append(methodcaller("get", name))
            here = without_null(here.value_type)
        else:
            raise FieldError(f"'{path}' does not lead through objects alone")
    kind = _KINDS.get(type(here))
    if kind is None:
        raise FieldError(f"'{path}' is not a value that can be compared")
    return Property(kind, steps)


def _struct_of(described: inspect.ListType) -> type[msgspec.Struct]:
    item = without_null(described.item_type)
    if not isinstance(item, inspect.StructType):
        raise FieldError("the items of the list are not objects")
    return item.cls


def without_null(described: inspect.Type) -> inspect.Type:
    """What a type is apart from being optional."""
    if isinstance(described, inspect.Metadata):
        return without_null(described.type)
    if isinstance(described, inspect.UnionType):
        rest = [each for each in described.types if not isinstance(each, inspect.NoneType)]
        if len(rest) == 1:
            return without_null(rest[0])
    return described


def order(records: Sequence[Record], order_by: str, model: type[msgspec.Struct]) -> list[Record]:
    """The records by an ``orderBy`` parameter: a dotted path, descending with a ``-`` in front.

    The sort is stable, so ties keep the order that they had. Records without the value come
    first when ascending and last when descending. Raises :class:`FieldError`.
    """
    descending = order_by.startswith("-")
    found = resolve(model, order_by.removeprefix("-").strip())
    if found.inner is not None:
        raise FieldError(f"a list cannot be ordered by '{order_by}'")
    read = found.read
    missing = []
    present = []
    for record in records:
        value = read(record)
        if value is None:
            missing.append(record)
        else:
            present.append((value, record))
    present.sort(key=lambda pair: pair[0], reverse=descending)
    ordered = [record for _, record in present]
    return ordered + missing if descending else missing + ordered
