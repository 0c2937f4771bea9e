"""Lines of JSON into Arrow tables: a block at once, and alone only the records that do not fit."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.json as pj
from msgspec import Raw, Struct, defstruct, field

from codat_async import codec
from codat_async.bulk.sinks.records import Counts, has_columns, json_text, tabulate_each
from codat_async.bulk.sinks.schema import LOCAL, Shape
from codat_async.bulk.store.compression import Buffer
from codat_async.bulk.store.lines import Line, read_line, split_line
from codat_async.codec import DECODE_ERRORS

__all__ = ["Block", "tabulate"]

# Its functions are made when it is imported, which type checkers do not see.
pc: Final[Any] = pyarrow.compute
_FEW: Final = 64
_FAILURES: Final = (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError, *DECODE_ERRORS)

# The characters of numbers. Within quotes, where the reader takes numbers too, they may be escaped.
_DIGIT, _ZERO, _NOT_ZERO, _FROM_TWO = (rf"(?:{each}|\\u003{each})" for each in (r"\d", "0", "[1-9]", "[2-9]"))
_POINT, _E, _PLUS, _MINUS = (
    r"(?:\.|\\u002[eE])",
    r"(?:[eE]|\\u00[46]5)",
    r"(?:\+|\\u002[bB])",
    r"(?:-|\\u002[dD])",
)
_MISREAD_NUMBER: Final = (
    # A number that the reader takes for another one, or that ends the whole process: its decimals
    # overflow from 29 digits on, and it looks far powers of ten up beyond the end of its table.
    rf'\s*"?(?:{_PLUS}|{_MINUS})?'
    rf"(?:{_DIGIT}{{29}}|{_DIGIT}*{_POINT}{_DIGIT}{{29}}|{_DIGIT}{{20,}}{_POINT}?{_DIGIT}*{_E}"
    rf"|{_DIGIT}*{_POINT}?{_DIGIT}*{_E}"
    rf"(?:{_PLUS}?{_ZERO}*{_NOT_ZERO}{_DIGIT}|{_MINUS}{_ZERO}*(?:{_FROM_TWO}{_DIGIT}|{_NOT_ZERO}{_DIGIT}{{2}}))"
    rf'{_DIGIT}*["\s,\]}}])'
)
_MISREAD: Final = rf"[:\[,]{_MISREAD_NUMBER}"
_MISREAD_FIELD: Final = f":{_MISREAD_NUMBER}"
"""Not within lists; what begins with a literal character is found in half the time."""
_TOO_FINE: Final = r'[:\[,]\s*"?[-+]?(?:\d*\.\d{11}|\d*\.?\d*[eE]-\d)'
_ZONE: Final = r"(?:[zZ]|[+-]\d\d:?\d\d)$"


class Block(Struct):
    """Lines in columns, and what the table does not show."""

    table: pa.Table
    empty: list[Line]
    """The lines of lists that were read whole and have no records."""
    counts: Counts


def tabulate(text: Buffer, shape: Shape) -> Block:
    """Put whole lines, each with its line break, into columns; the records stay in their order."""
    block = Block(shape.empty, [], Counts())
    if text:
        try:
            block.table = _at_once(text, shape, block)
        except _FAILURES:
            block.empty.clear()
            block.table = _apart(bytes(text).split(b"\n")[:-1], shape, block)
    return block


# --- all at once -------------------------------------------------------------------------


def _at_once(text: Buffer, shape: Shape, block: Block) -> pa.Table:
    if _matching([text], _MISREAD if shape.lists_numbers else _MISREAD_FIELD)[0].as_py():
        raise pa.ArrowInvalid("a number that the reader misreads")
    parsed = pj.read_json(
        pa.BufferReader(text),
        # One block: a row must not be larger than one, and the text is bounded already.
        read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pj.ParseOptions(explicit_schema=shape.parsed, unexpected_field_behavior="ignore"),
        # Arrow's own pool may ask for huge pages, each cleared as a whole when it is first touched.
        memory_pool=pa.system_memory_pool(),
    )
    record = _joined(parsed.column("record"))
    whole = pc.fill_null(parsed.column("whole"), False)
    arrays: list[Any] = [*(parsed.column(name) for name in shape.ids), parsed.column("n"), whole]
    arrays += (
        _finished(_joined(parsed.column(name)), shape.schema.field(name).type) for name in shape.heads[2:]
    )
    json_columns = _json_columns(text, record, shape)
    for each in shape.fields:
        if each.is_json:
            arrays.append(json_columns.get(each.column) or pa.nulls(parsed.num_rows, pa.string()))
        else:
            arrays.append(_finished(record.field(each.json_name), shape.schema.field(each.column).type))
    arrays.append(pa.nulls(parsed.num_rows, pa.string()))
    table = pa.Table.from_arrays(arrays, schema=shape.schema)
    # The reader does not check that texts are UTF-8; this does.
    table.validate(full=True)
    return _without_empty(table, record, text, block) if record.null_count else table


def _joined(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece."""
    # combine_chunks() copies even a single chunk.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _matching(texts: Sequence[Buffer], pattern: str) -> Any:
    """Which of the texts match, without copying a single large one."""
    if len(texts) == 1:
        ends = pa.array([0, len(texts[0])], pa.int64()).buffers()[1]
        array = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(texts[0])])
    else:
        array = pa.array(texts, pa.large_binary())
    return pc.match_substring_regex(array, pattern)


def _without_empty(table: pa.Table, record: pa.Array, text: Buffer, block: Block) -> pa.Table:
    """The table without the rows of empty lists, which go to the block."""
    lines = bytes(text).split(b"\n")
    for number in pc.indices_nonzero(record.is_null()).to_pylist():
        line = read_line(lines[number])
        if len(line.record):
            raise pa.ArrowInvalid("a record is null")
        block.empty.append(line)
    return table.filter(record.is_valid())


def _json_columns(text: Buffer, record: pa.Array, shape: Shape) -> dict[str, pa.Array]:
    """What has no fixed shape, as JSON text, by column; those that no record has are left out."""
    names = {each.json_name: each.column for each in shape.fields if each.is_json}
    wanted = tuple(name for name in names if _may_have(record, name))
    if not wanted:
        return {}
    read = codec.decoder(_received(wanted)).decode
    rows = [read(line).record for line in bytes(text).split(b"\n")[:-1]]
    return {
        names[name]: pa.array([json_text(getattr(row, name)) for row in rows], pa.string()) for name in wanted
    }


def _may_have(record: pa.Array, name: str) -> bool:
    place = record.type.get_field_index(name)
    return place < 0 or bool(record.field(place).null_count < len(record))


@cache
def _received(names: tuple[str, ...]) -> Any:
    """A line of which only some fields of the record are kept, as they were received."""
    record = defstruct("Received", [(name, Raw, Raw()) for name in names], gc=False)
    return defstruct("ReceivedLine", [("record", record, field(default_factory=record))], gc=False)


def _finished(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The array with its texts made dates and its fields renamed, at any depth."""
    if array.type == wanted:
        return array
    if pa.types.is_timestamp(wanted):
        return _within_calendar(_moments(array, wanted))
    mask = array.is_null() if array.null_count else None
    if pa.types.is_list(wanted):
        values = _finished(array.values, wanted.value_type)
        return pa.ListArray.from_arrays(array.offsets, values, type=wanted, mask=mask)
    children = [_finished(array.field(place), field.type) for place, field in enumerate(wanted)]
    return pa.StructArray.from_arrays(children, fields=list(wanted), mask=mask)


def _moments(texts: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Texts of any of the API's forms as times, cut to microseconds and never rounded."""
    try:
        # Takes those without a zone for a local column, and those with one for an instant.
        return pc.cast(texts, wanted)
    except pa.ArrowInvalid:
        pass
    cut = pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1")
    if wanted == LOCAL:
        return pc.cast(pc.replace_substring_regex(cut, _ZONE, ""), wanted)
    is_day = pc.equal(pc.utf8_length(cut), len("2022-10-23"))
    cut = pc.if_else(is_day, pc.binary_join_element_wise(cut, "T00:00:00", ""), cut)
    zoned = pc.match_substring_regex(cut, _ZONE)
    return pc.cast(pc.if_else(zoned, cut, pc.binary_join_element_wise(cut, "Z", "")), wanted)


def _within_calendar(moments: pa.Array) -> pa.Array:
    bounds = pc.min_max(pc.cast(moments, LOCAL))
    first, last = (pa.scalar(moment, LOCAL) for moment in (datetime.min, datetime.max))
    if pc.or_(pc.less(bounds["min"], first), pc.greater(bounds["max"], last)).as_py():
        # Neither Python nor the slow way knows the year 0, or 10000.
        raise pa.ArrowInvalid("a date beyond the calendar")
    return moments


# --- some of them alone ------------------------------------------------------------------


def _apart(lines: Sequence[bytes], shape: Shape, block: Block) -> pa.Table:
    """The table of lines of which some do not fit: these alone, the others at once."""
    records = [split_line(line)[1] for line in lines]
    block.empty += [read_line(line) for line, record in zip(lines, records, strict=True) if not record]
    lines = [line for line, record in zip(lines, records, strict=True) if record]
    records = [record for record in records if record]
    suspect = pc.or_(_matching(records, _MISREAD), _matching(records, _TOO_FINE)).to_pylist()
    order: tuple[list[int], list[int]] = [], []
    for place, record in enumerate(records):
        order[suspect[place] or not has_columns(record, shape)].append(place)
    fitting, alone = ([lines[place] for place in places] for places in order)
    tables = [*_fitting(fitting, shape, block), tabulate_each(alone, shape, block.counts)]
    return pa.concat_tables(tables).take(pc.sort_indices(pa.array([*order[0], *order[1]], pa.int64())))


def _fitting(lines: Sequence[bytes], shape: Shape, block: Block) -> list[pa.Table]:
    """The tables of lines that should fit; if one does not after all, it takes a few others with it."""
    try:
        return [_at_once(b"\n".join([*lines, b""]), shape, block)] if lines else []
    except _FAILURES:
        if len(lines) <= _FEW:
            return [tabulate_each(lines, shape, block.counts)]
        middle = len(lines) // 2
        return [*_fitting(lines[:middle], shape, block), *_fitting(lines[middle:], shape, block)]
