"""Arrow schemas made from the models: the column for each field."""

from datetime import datetime
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import pyarrow as pa
from msgspec import Struct
from msgspec.structs import fields

__all__ = ["MONEY", "RAW_JSON", "SOURCE_COLUMNS", "Shape", "is_utc", "shape_of"]

MONEY: Final = pa.decimal128(38, 10)
"""28 digits before the decimal point and 10 after it, DuckDB's widest decimal: enough for amounts and for
an amount times a rate. A record with more digits is complete in ``raw_json``."""

# Without a time zone even if it is UTC: DuckDB needs an extension and pytz for types with one.
TIME: Final = pa.timestamp("us")

RAW_JSON: Final = "raw_json"
SOURCE_COLUMNS: Final = (
    pa.field("company_id", pa.string(), nullable=False),
    pa.field("connection_id", pa.string()),
    pa.field("account_key", pa.string()),
    pa.field("run", pa.string(), nullable=False),
)
"""The origin of a record; ``account_key`` distinguishes the bank accounts of a connection."""


class Shape(Struct, frozen=True):
    """The columns of one type."""

    schema: pa.Schema
    """The schema of the finished table."""
    parsed: pa.Schema
    """The schema for the JSON reader: dates are strings, and JSON columns are left out."""
    json_columns: tuple[str, ...]
    """Fields without a fixed structure, kept as JSON strings."""


@cache
def shape_of(model: Any) -> Shape:
    """The columns for a model's records."""
    finished, parsed, json_columns = list(SOURCE_COLUMNS), [], []
    for field in fields(model):
        if field.name == "unknown_fields":
            continue
        name = field.encode_name
        if _is_untyped(field.type, ()):
            json_columns.append(name)
            finished.append(pa.field(name, pa.string()))
        else:
            finished.append(pa.field(name, _arrow(field.type, TIME)))
            parsed.append(pa.field(name, _arrow(field.type, pa.string())))
    finished.append(pa.field(RAW_JSON, pa.string()))
    return Shape(pa.schema(finished), pa.schema(parsed), tuple(json_columns))


def is_utc(name: str) -> bool:
    """Whether a date field is in UTC; the others are local time of the company, as written."""
    return name == "modifiedDate" or name.endswith("Utc")


def _inner(hint: Any) -> Any:
    """The type without None."""
    if get_origin(hint) in (Union, UnionType):
        parts = [each for each in get_args(hint) if each is not NoneType]
        return parts[0] if len(parts) == 1 else Any
    return hint


def _is_untyped(hint: Any, above: tuple[Any, ...]) -> bool:
    """Whether a part of the type is untyped, or the type contains itself."""
    hint = _inner(hint)
    if hint is Any or get_origin(hint) is dict or hint is dict:
        return True
    if get_origin(hint) is list:
        return _is_untyped(get_args(hint)[0], above)
    if isinstance(hint, type) and issubclass(hint, Struct):
        if hint in above:
            return True
        inside = (field.type for field in fields(hint) if field.name != "unknown_fields")
        return any(_is_untyped(each, (*above, hint)) for each in inside)
    return False


def _arrow(hint: Any, time: pa.DataType) -> pa.DataType:
    hint = _inner(hint)
    if get_origin(hint) is list:
        return pa.list_(_arrow(get_args(hint)[0], time))
    if issubclass(hint, Struct):
        inside = (field for field in fields(hint) if field.name != "unknown_fields")
        return pa.struct([pa.field(each.encode_name, _arrow(each.type, time)) for each in inside])
    if issubclass(hint, Decimal):
        return MONEY
    if issubclass(hint, datetime):
        return time
    if issubclass(hint, bool):
        return pa.bool_()
    if issubclass(hint, int):
        return pa.int64()
    return pa.string()
