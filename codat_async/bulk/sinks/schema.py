"""Arrow schemas from the models: what each field becomes in a column."""

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
"""28 digits before the point and 10 behind: amounts, and the product of an amount and a rate, fit
DuckDB's widest decimal. What has more digits keeps its JSON in ``raw_json``."""

# Without a zone also where it is UTC: DuckDB needs extensions and pytz for those that have one.
TIME: Final = pa.timestamp("us")

RAW_JSON: Final = "raw_json"
SOURCE_COLUMNS: Final = (
    pa.field("company_id", pa.string(), nullable=False),
    pa.field("connection_id", pa.string()),
    pa.field("account_key", pa.string()),
    pa.field("run", pa.string(), nullable=False),
)
"""Where a record comes from; ``account_key`` tells the bank accounts of a connection apart."""


class Shape(Struct, frozen=True):
    """How one type looks in columns."""

    schema: pa.Schema
    """Of the finished table."""
    parsed: pa.Schema
    """What the JSON reader is told to look for: dates still as text, and no JSON columns."""
    json_columns: tuple[str, ...]
    """Fields of no fixed shape, kept as JSON text."""


@cache
def shape_of(model: Any) -> Shape:
    """The shape of a model's records."""
    finished, parsed, json_columns = list(SOURCE_COLUMNS), [], []
    for field in fields(model):
        if field.name == "unknown_fields":
            continue
        name = field.encode_name
        if _shapeless(field.type, ()):
            json_columns.append(name)
            finished.append(pa.field(name, pa.string()))
        else:
            finished.append(pa.field(name, _arrow(field.type, TIME)))
            parsed.append(pa.field(name, _arrow(field.type, pa.string())))
    finished.append(pa.field(RAW_JSON, pa.string()))
    return Shape(pa.schema(finished), pa.schema(parsed), tuple(json_columns))


def is_utc(name: str) -> bool:
    """Whether a date field is a moment in UTC; the others are the company's wall time, as written."""
    return name == "modifiedDate" or name.endswith("Utc")


def _inner(hint: Any) -> Any:
    """The type without its None."""
    if get_origin(hint) in (Union, UnionType):
        parts = [each for each in get_args(hint) if each is not NoneType]
        return parts[0] if len(parts) == 1 else Any
    return hint


def _shapeless(hint: Any, above: tuple[Any, ...]) -> bool:
    """Whether something within is untyped, or holds itself."""
    hint = _inner(hint)
    if hint is Any or get_origin(hint) is dict or hint is dict:
        return True
    if get_origin(hint) is list:
        return _shapeless(get_args(hint)[0], above)
    if isinstance(hint, type) and issubclass(hint, Struct):
        if hint in above:
            return True
        inside = (field.type for field in fields(hint) if field.name != "unknown_fields")
        return any(_shapeless(each, (*above, hint)) for each in inside)
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
