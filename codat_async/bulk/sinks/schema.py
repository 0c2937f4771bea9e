"""Arrow schemas from the models: which columns a type has, and what each field becomes."""

from collections.abc import Iterator, Set
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import pyarrow as pa
from msgspec import Raw, Struct, defstruct, field
from msgspec.structs import fields

from codat_async.bulk.plan.data_types import PullType, Scope

__all__ = ["INSTANT", "LOCAL", "MONEY", "RAW_JSON", "Field", "Shape", "columns_of", "shape_of"]

MONEY: Final = pa.decimal128(38, 10)
"""28 digits before the point and 10 after it: amounts, and the product of an amount and a rate, fit
DuckDB's widest decimal. A record with more digits keeps its JSON in ``raw_json``."""

INSTANT: Final = pa.timestamp("us", tz="UTC")
"""A point in time, in UTC. A text without a zone is taken as UTC: it is Codat's own clock."""

LOCAL: Final = pa.timestamp("us")
"""A date and time of the company's own calendar, as it is written. A zone is left out and the
time not moved, so that an invoice stays in the month its issuer wrote on it."""

RAW_JSON: Final = "raw_json"
"""The record's JSON if a column cannot hold one of its values exactly, or no model accepts it."""

_IDS: Final = ("company_id", "connection_id", "account_id")
_HEADS: Final = {
    "read_at": pa.field("read_at", INSTANT),
    "listed": pa.field("listed", pa.bool_()),
}
"""What a line says of its reading, for the types that have one record a reading."""
_READING: Final = (pa.field("n", pa.int64(), nullable=False), pa.field("whole", pa.bool_(), nullable=False))
_DECIDED: Final = frozenset(
    {
        "created",
        "created_on",
        "generated",
        "last_sync",
        "modified_date",
        "source_modified_date",
        "updated_on",
    }
)


class Field(Struct, frozen=True):
    """A field of a model, and the column that it becomes."""

    json_name: str
    attribute: str
    """Its name on the Struct."""
    column: str
    is_json: bool
    """Whether it has no fixed shape, and is kept as JSON text."""


class Shape(Struct, frozen=True):
    """The columns of a type."""

    model: Any
    ids: tuple[str, ...]
    """Columns that name the list of a record: ``company_id``, and the ids below it that the type has."""
    key: tuple[str, ...]
    """Columns that identify a record; a report is the one record of its list."""
    keeps_readings: bool
    """Whether DuckDB keeps all readings of a record, not only the current one."""
    heads: tuple[str, ...]
    """Columns of the reading: ``n`` and ``whole``; of reports and companies also when they were read."""
    fields: tuple[Field, ...]
    schema: pa.Schema
    """Of the table: the ids, the columns of the reading, the fields, ``raw_json``."""
    empty: pa.Table
    """The table without rows, which takes a while to make."""
    parsed: pa.Schema
    """What the JSON reader looks for in a line: dates still as text, names as the API has them, and of
    what is kept as JSON only whether it is there."""
    lists_numbers: bool
    """Whether a list of numbers is among it."""
    record: Any
    """A Struct for the records that do not fit: the model with every field optional, dates still as
    text, and what has no fixed shape as it was received."""


@cache
def shape_of(kind: PullType) -> Shape:
    """The columns of a type's records."""
    ids = _IDS[: {Scope.CONNECTION: 2, Scope.ACCOUNT: 3}.get(kind.scope, 1)]
    readings = [*_READING, *(_HEADS[name] for name in _heads(kind))]
    taken = {*ids, *(each.name for each in readings), RAW_JSON}
    finished = [pa.field(name, pa.string(), nullable=False) for name in ids] + readings
    parsed: list[pa.Field] = []
    found: list[Field] = []
    for each in _fields(kind.model):
        # A record may repeat the id of its list; the list's own is the one asked for.
        column = _snake(each.name)
        column = f"record_{column}" if column in taken else column
        is_json = _shapeless(each.type, ())
        found.append(Field(each.encode_name, each.name, column, is_json))
        if is_json:
            finished.append(pa.field(column, pa.string()))
            if (presence := _presence(each.type)) is not None:
                parsed.append(pa.field(each.encode_name, presence))
        else:
            finished.append(pa.field(column, _finished(each.type, each.name)))
            parsed.append(pa.field(each.encode_name, _parsed(each.type)))
    finished.append(pa.field(RAW_JSON, pa.string()))
    line = [
        pa.field("n", pa.int64()),
        pa.field("whole", pa.bool_()),
        *(pa.field(name, pa.string()) for name in ids),
        *({"read_at": pa.field("read_at", pa.string())}.get(name, _HEADS[name]) for name in _heads(kind)),
    ]
    schema = pa.schema(finished)
    return Shape(
        model=kind.model,
        ids=ids,
        key=_key(kind, ids),
        keeps_readings=kind.is_statement,
        heads=tuple(each.name for each in readings),
        fields=tuple(found),
        schema=schema,
        empty=schema.empty_table(),
        parsed=pa.schema([*line, pa.field("record", pa.struct(parsed))]),
        lists_numbers=any(_lists_numbers(each.type) for each in parsed),
        record=_optional(kind.model, {field.attribute for field in found if field.is_json}),
    )


def _lists_numbers(column: pa.DataType) -> bool:
    if pa.types.is_struct(column):
        return any(_lists_numbers(each.type) for each in column)
    if pa.types.is_list(column):
        inner = column.value_type
        return pa.types.is_decimal(inner) or pa.types.is_integer(inner) or _lists_numbers(inner)
    return False


def _heads(kind: PullType) -> tuple[str, ...]:
    if kind.name == "companies":
        return ("read_at", "listed")
    return ("read_at",) if kind.scope in (Scope.REPORT, Scope.LISTED) else ()


def _key(kind: PullType, ids: tuple[str, ...]) -> tuple[str, ...]:
    return ids if kind.scope == Scope.REPORT or kind.name == "companies" else (*ids, "id")


def columns_of(kind: PullType) -> list[dict[str, str]]:
    """Name, API's name, type and kind of time of all columns, nested ones too, in their order."""
    shape = shape_of(kind)
    by_column = {field.column: field for field in shape.fields}
    hints = {each.encode_name: each.type for each in _fields(shape.model)}
    found: list[dict[str, str]] = []
    for column in shape.schema:
        field = by_column.get(column.name)
        if field is None:
            time = "instant" if column.type == INSTANT else ""
            found.append({"name": column.name, "json_name": "", "type": str(column.type), "time": time})
        elif field.is_json:
            found.append({"name": column.name, "json_name": field.json_name, "type": "json"})
        else:
            found += _nested(column.type, column.name, field.json_name, hints[field.json_name])
    return found


def _nested(column: pa.DataType, name: str, json_name: str, hint: Any) -> Iterator[dict[str, str]]:
    if pa.types.is_list(column):
        yield from _nested(column.value_type, f"{name}[]", f"{json_name}[]", get_args(_inner(hint))[0])
    elif pa.types.is_struct(column):
        for part, each in zip(column, _fields(_inner(hint)), strict=True):
            yield from _nested(part.type, f"{name}.{part.name}", f"{json_name}.{each.encode_name}", each.type)
    else:
        time = {INSTANT: "instant", LOCAL: "local"}.get(column, "")
        yield {"name": name, "json_name": json_name, "type": str(column), "time": time}


def _fields(model: Any) -> list[Any]:
    return [field for field in fields(model) if field.name != "unknown_fields"]


def _snake(name: str) -> str:
    # The underscore only keeps Python's own name free.
    return name.rstrip("_")


def _is_instant(name: str) -> bool:
    # What a server's clock wrote. All other dates are of the company's calendar.
    return name in _DECIDED or name.endswith("_utc")


def _inner(hint: Any) -> Any:
    """The type without its None."""
    if get_origin(hint) in (Union, UnionType):
        parts = [each for each in get_args(hint) if each is not NoneType]
        return parts[0] if len(parts) == 1 else Any
    return hint


def _shapeless(hint: Any, above: tuple[Any, ...]) -> bool:
    """Whether something within is untyped, or contains itself."""
    hint = _inner(hint)
    if hint is Any or get_origin(hint) is dict or hint is dict:
        return True
    if get_origin(hint) is list:
        return _shapeless(get_args(hint)[0], above)
    if isinstance(hint, type) and issubclass(hint, Struct):
        if hint in above:
            return True
        return any(_shapeless(each.type, (*above, hint)) for each in _fields(hint))
    return False


def _finished(hint: Any, name: str) -> pa.DataType:
    hint = _inner(hint)
    if get_origin(hint) is list:
        return pa.list_(_finished(get_args(hint)[0], name))
    if issubclass(hint, Struct):
        return pa.struct(
            [pa.field(_snake(each.name), _finished(each.type, each.name)) for each in _fields(hint)]
        )
    if issubclass(hint, datetime):
        return INSTANT if _is_instant(name) else LOCAL
    return _plain(hint)


def _parsed(hint: Any) -> pa.DataType:
    hint = _inner(hint)
    if get_origin(hint) is list:
        return pa.list_(_parsed(get_args(hint)[0]))
    if issubclass(hint, Struct):
        return pa.struct([pa.field(each.encode_name, _parsed(each.type)) for each in _fields(hint)])
    return pa.string() if issubclass(hint, datetime) else _plain(hint)


def _presence(hint: Any) -> pa.DataType | None:
    """A type with which the JSON reader finds objects, or lists of them, unread; None for other content."""
    hint = _inner(hint)
    if get_origin(hint) is list:
        item = _presence(get_args(hint)[0])
        return None if item is None else pa.list_(item)
    is_object = get_origin(hint) is dict or (isinstance(hint, type) and issubclass(hint, (dict, Struct)))
    return pa.struct([]) if is_object else None


def _optional(model: Any, as_received: Set[str] = frozenset()) -> Any:
    columns = [
        (each.name, Raw, field(name=each.encode_name, default=Raw()))
        if each.name in as_received
        else (each.name, _as_text(each.type) | None, field(name=each.encode_name, default=None))
        for each in _fields(model)
    ]
    return defstruct(f"{model.__name__}Record", columns, kw_only=True, gc=False)


def _as_text(hint: Any) -> Any:
    hint = _inner(hint)
    if get_origin(hint) is list:
        return list[_as_text(get_args(hint)[0]) | None]  # type: ignore[misc]
    if issubclass(hint, Struct):
        return _optional(hint)
    return str if issubclass(hint, (datetime, str)) else hint


def _plain(hint: Any) -> pa.DataType:
    if issubclass(hint, Decimal):
        return MONEY
    if issubclass(hint, bool):
        return pa.bool_()
    if issubclass(hint, int):
        return pa.int64()
    return pa.string()
