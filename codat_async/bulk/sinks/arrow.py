"""JSON lines to Arrow tables: a block at a time if all records fit the columns, else record by record."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.json as pj
from msgspec import Raw, Struct
from msgspec.structs import fields

from codat_async import codec
from codat_async.bulk.sinks.schema import RAW_JSON, TIME, Shape, is_utc, shape_of
from codat_async.codec.lenient import DECODE_ERRORS, expand_bare_dates
from codat_async.errors import DecodingError

__all__ = ["Tabulated", "tabulate"]

# Its functions are generated on import, so type checkers do not know them.
pc: Final[Any] = pyarrow.compute
_SMALLEST_BLOCK: Final = 64
_EXACT: Final = Context(prec=60, traps=[Inexact])
_ROUNDED: Final = Context(prec=60)
_UNIT: Final = Decimal("1e-10")
_LIMIT: Final = Decimal(10) ** 28
# Numbers that Arrow's JSON reader misreads, or that crash the process: it overflows from 29 digits
# on, and looks up large powers of ten beyond the end of its table.
_MISREAD: Final = (
    r'[:\[,]\s*"?[-+]?'
    r"(?:\d{29}|\d*\.\d{29}|\d{20,}\.?\d*[eE]"
    r'|\d*\.?\d*[eE](?:\+?0*[1-9]\d|-0*(?:[2-9]\d|[1-9]\d\d))\d*["\s,\]}])'
)
_ZONE: Final = r"(?:[zZ]|[+-]\d\d:?\d\d)$"


class _Key(Struct, rename="camel"):
    """What is read of a record that the model rejects."""

    id: Any = None
    modified_date: Any = None


class Tabulated(Struct):
    """A table, and how many of its records needed special treatment."""

    table: pa.Table
    slow: int = 0
    """Records converted one by one."""
    inexact: int = 0
    """Records with a value that its column cannot hold; they are complete in ``raw_json``."""
    unreadable: int = 0
    """Records that the model rejects; they are complete in ``raw_json``."""


def tabulate(lines: Sequence[bytes], model: Any, source: Sequence[str | None]) -> Tabulated:
    """The records as a table; ``source`` has the values of the columns that identify their origin."""
    shape = shape_of(model)
    result = Tabulated(shape.schema.empty_table())
    if lines:
        result.table = pa.concat_tables(_tables(lines, model, shape, source, result))
    return result


def _tables(
    lines: Sequence[bytes], model: Any, shape: Shape, source: Sequence[str | None], result: Tabulated
) -> list[pa.Table]:
    try:
        return [_fast(lines, shape, source)]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, *DECODE_ERRORS):
        # A single record that does not fit fails its block, so the block is halved: most parts stay fast.
        if len(lines) > _SMALLEST_BLOCK:
            middle = len(lines) // 2
            return [
                *_tables(lines[:middle], model, shape, source, result),
                *_tables(lines[middle:], model, shape, source, result),
            ]
        return [_slow(lines, model, shape, source, result)]


# --- all at once -------------------------------------------------------------------------


def _fast(lines: Sequence[bytes], shape: Shape, source: Sequence[str | None]) -> pa.Table:
    if not all(line.startswith(b"{") for line in lines):
        # The reader crashes the process if no line holds an object.
        raise pa.ArrowInvalid("a line is not a JSON object")
    text = b"\n".join(lines) + b"\n"
    if pc.match_substring_regex(pa.scalar(text, pa.large_binary()), _MISREAD).as_py():
        raise pa.ArrowInvalid("a number that the reader would misread")
    table = pj.read_json(
        io.BytesIO(text),
        # One block, since no row may be larger than a block; the size of the lines is limited already.
        read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pj.ParseOptions(explicit_schema=shape.parsed, unexpected_field_behavior="ignore"),
    )
    count = len(lines)
    if table.num_rows != count:
        raise pa.ArrowInvalid("a line is not one record")
    arrays: list[pa.Array] = [pa.repeat(pa.scalar(value, pa.string()), count) for value in source]
    json_texts = _json_columns(lines, text, shape)
    for field in list(shape.schema)[len(source) : -1]:
        if field.name in json_texts:
            arrays.append(pa.array(json_texts[field.name], pa.string()))
        else:
            arrays.append(_finished(table.column(field.name).combine_chunks(), field.type, field.name))
    arrays.append(pa.nulls(count, pa.string()))
    made = pa.Table.from_arrays(arrays, schema=shape.schema)
    # The reader does not check that strings are UTF-8; this does.
    made.validate(full=True)
    return made


def _json_columns(lines: Sequence[bytes], text: bytes, shape: Shape) -> dict[str, list[str | None]]:
    columns: dict[str, list[str | None]] = {}
    for name in shape.json_columns:
        if f'"{name}"'.encode() not in text:
            columns[name] = [None] * len(lines)
    wanted = [name for name in shape.json_columns if name not in columns]
    if wanted:
        rows = [codec.decoder(dict[str, Raw]).decode(line) for line in lines]
        for name in wanted:
            columns[name] = [_text(row.get(name)) for row in rows]
    return columns


def _text(raw: Raw | None) -> str | None:
    if raw is None:
        return None
    text = bytes(raw).decode()
    return None if text == "null" else text


def _finished(array: pa.Array, wanted: pa.DataType, name: str) -> pa.Array:
    """The array with strings converted to dates, at any depth."""
    if array.type == wanted:
        return array
    if pa.types.is_timestamp(wanted):
        return _within_calendar(_moments(array, utc=is_utc(name)))
    if pa.types.is_list(wanted):
        values = _finished(array.flatten(), wanted.value_type, name)
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        ends = pc.cumulative_sum(pc.cast(lengths, pa.int32()))
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
        mask = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(offsets, values, type=wanted, mask=mask)
    children = [
        _finished(array.field(index), wanted.field(index).type, wanted.field(index).name)
        for index in range(wanted.num_fields)
    ]
    mask = array.is_null() if array.null_count else None
    return pa.StructArray.from_arrays(children, fields=list(wanted), mask=mask)


def _moments(texts: pa.Array, *, utc: bool) -> pa.Array:
    """Strings, in any of the API's date formats, as timestamps cut to the microsecond.

    Without ``utc`` the offset is dropped and the time is kept as written.
    """
    try:
        if not utc:
            return pc.cast(texts, TIME)
    except pa.ArrowInvalid:
        pass
    cut = pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1")
    if utc:
        bare = pc.equal(pc.utf8_length(cut), 10)
        cut = pc.if_else(bare, pc.binary_join_element_wise(cut, "T00:00:00", ""), cut)
        zoned = pc.match_substring_regex(cut, _ZONE)
        cut = pc.if_else(zoned, cut, pc.binary_join_element_wise(cut, "Z", ""))
        moments = pc.cast(pc.cast(cut, pa.timestamp("us", tz="UTC")), TIME)
    else:
        moments = pc.cast(pc.replace_substring_regex(cut, _ZONE, ""), TIME)
    return moments


def _within_calendar(moments: pa.Array) -> pa.Array:
    first, last = (pa.scalar(moment, TIME) for moment in (datetime.min, datetime.max))
    if pc.any(pc.or_(pc.less(moments, first), pc.greater(moments, last))).as_py():
        # Python's datetime has no year 0 or 10000, so converting record by record has none either.
        raise pa.ArrowInvalid("a date outside the years 1 to 9999")
    return moments


# --- record by record --------------------------------------------------------------------


def _slow(
    lines: Sequence[bytes], model: Any, shape: Shape, source: Sequence[str | None], result: Tabulated
) -> pa.Table:
    rows = [_row(line, model, shape, result) for line in lines]
    result.slow += len(rows)
    names = shape.schema.names[: len(source)]
    for row in rows:
        row.update(zip(names, source, strict=True))
    return pa.Table.from_pylist(rows, schema=shape.schema)


def _row(line: bytes, model: Any, shape: Shape, result: Tabulated) -> dict[str, Any]:
    loss: list[bool] = []
    try:
        record = codec.decode(expand_bare_dates(line, model), model)
        try:
            raws = codec.decoder(dict[str, Raw]).decode(line)
        except DECODE_ERRORS:
            # The record was mended to be read: half of a surrogate pair is no character.
            raws = codec.decode(line, dict[str, Raw])
            loss.append(True)
    except (DecodingError, InvalidOperation, *DECODE_ERRORS):
        result.unreadable += 1
        return _unread(line, shape)
    row: dict[str, Any] = {}
    for field in fields(record):
        if field.name != "unknown_fields" and field.encode_name not in shape.json_columns:
            row[field.encode_name] = _value(getattr(record, field.name), field.encode_name, loss)
    for name in shape.json_columns:
        row[name] = _text(raws.get(name))
    if loss:
        result.inexact += 1
        # A field that the model does not know may hold what is not UTF-8.
        row[RAW_JSON] = line.decode(errors="replace")
    return row


def _unread(line: bytes, shape: Shape) -> dict[str, Any]:
    """The columns that can be filled for a record that the model rejects."""
    try:
        key = codec.decode(line, _Key)
    except DecodingError:
        key = _Key()
    row: dict[str, Any] = {RAW_JSON: line.decode(errors="replace")}
    if "id" in shape.schema.names and key.id is not None:
        row["id"] = str(key.id)
    if "modifiedDate" in shape.schema.names and isinstance(key.modified_date, str):
        try:
            row["modifiedDate"] = _wall_or_utc(datetime.fromisoformat(key.modified_date), "modifiedDate")
        except (ValueError, OverflowError):
            row["modifiedDate"] = None
    return row


def _value(value: Any, name: str, loss: list[bool]) -> Any:
    if isinstance(value, Decimal):
        return _money(value, loss)
    if isinstance(value, datetime):
        try:
            return _wall_or_utc(value, name)
        except OverflowError:
            loss.append(True)
            return None
    if isinstance(value, Struct):
        return {
            field.encode_name: _value(getattr(value, field.name), field.encode_name, loss)
            for field in fields(value)
            if field.name != "unknown_fields"
        }
    if isinstance(value, list):
        return [_value(each, name, loss) for each in value]
    return str(value) if isinstance(value, str) else value


def _wall_or_utc(moment: datetime, name: str) -> datetime:
    """The date as its column holds it; raises OverflowError if it is out of range in UTC."""
    if not is_utc(name):
        return moment.replace(tzinfo=None)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _money(value: Decimal, loss: list[bool]) -> Decimal | None:
    """The number as its column holds it: rounded if it has too many decimals, None if it is too large."""
    if value.is_finite() and value.copy_abs() < _LIMIT:
        try:
            return value.quantize(_UNIT, context=_EXACT)
        except Inexact:
            loss.append(True)
            rounded = value.quantize(_UNIT, context=_ROUNDED)
            return rounded if rounded.copy_abs() < _LIMIT else None
    loss.append(True)
    return None
