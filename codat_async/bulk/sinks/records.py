"""Records that do not fit their columns, read one by one; their JSON is kept if anything of it is lost."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact
from typing import Any, Final

import pyarrow as pa
from msgspec import Raw, Struct

from codat_async import codec
from codat_async.bulk.sinks.schema import RAW_JSON, Shape
from codat_async.bulk.store.lines import read_line
from codat_async.codec import DECODE_ERRORS
from codat_async.errors import DecodingError

__all__ = ["Counts", "exact_money", "has_columns", "json_text", "tabulate_each"]

_EXACT: Final = Context(prec=60, traps=[Inexact])
_ROUNDED: Final = Context(prec=60)
_UNIT: Final = Decimal("1e-10")
_LIMIT: Final = Decimal(10) ** 28
_INTEGERS: Final = range(-(2**63), 2**63)


class Counts(Struct):
    """How many records took the slow way, and what became of them."""

    slow: int = 0
    inexact: int = 0
    """Records with a value that its column cannot hold; ``raw_json`` has them."""
    unreadable: int = 0
    """Records that no model accepts; ``raw_json`` has them."""

    def add(self, other: "Counts") -> None:
        """Add the counts of another block."""
        self.slow += other.slow
        self.inexact += other.inexact
        self.unreadable += other.unreadable


class _Key(Struct, rename="camel", gc=False):
    """What an unreadable record may still show."""

    id: Any = None
    modified_date: Any = None


def has_columns(record: bytes, shape: Shape) -> bool:
    """Whether the values of a record have the types of their columns; ranges and dates are not looked at."""
    try:
        codec.decoder(shape.record).decode(record)
    except DECODE_ERRORS:
        return False
    return True


def tabulate_each(lines: Iterable[bytes], shape: Shape, counts: Counts) -> pa.Table:
    """The table of lines that are read one at a time."""
    return pa.Table.from_pylist([_row(line, shape, counts) for line in lines], schema=shape.schema)


def _row(line: bytes, shape: Shape, counts: Counts) -> dict[str, Any]:
    read = read_line(line)
    text = bytes(read.record)
    row: dict[str, Any] = {name: getattr(read, name) for name in (*shape.ids, *shape.heads)}
    counts.slow += 1
    cells = _Cells(exact=_is_strict(text))
    try:
        record = codec.read(text, shape.record, unknown_fields=False)
    except DecodingError:
        counts.unreadable += 1
        row[RAW_JSON] = text.decode(errors="replace")
        return row | _key(text, shape)
    for field in shape.fields:
        row[field.column] = cells.cell(
            getattr(record, field.attribute), shape.schema.field(field.column).type
        )
    if not cells.exact:
        counts.inexact += 1
        # A field that the model does not know may hold what is not UTF-8.
        row[RAW_JSON] = text.decode(errors="replace")
    return row


def _is_strict(text: bytes) -> bool:
    """Whether a record is JSON as it is. Half of a surrogate pair is no character, and is replaced."""
    try:
        codec.decoder(dict[str, Raw]).decode(text)
    except DECODE_ERRORS:
        return False
    return True


def _key(text: bytes, shape: Shape) -> dict[str, Any]:
    try:
        key = codec.read(text, _Key)
    except DecodingError:
        return {}
    found: dict[str, Any] = {}
    for name in ("id", "modified_date"):
        value = getattr(key, name)
        if name in shape.schema.names and isinstance(value, str | int | Decimal):
            found[name] = _Cells().cell(str(value), shape.schema.field(name).type)
    return found


def json_text(value: Raw) -> str | None:
    """JSON as text; None if it is missing or null."""
    text = bytes(value).decode()
    return text if text and text != "null" else None


def exact_money(value: Decimal) -> Decimal | None:
    """The number as a column holds it; None if the column cannot hold it exactly."""
    if value.is_finite() and value.copy_abs() < _LIMIT:
        try:
            return value.quantize(_UNIT, context=_EXACT)
        except Inexact:
            return None
    return None


class _Cells:
    """The values of one record as their columns hold them."""

    def __init__(self, *, exact: bool = True) -> None:
        self.exact = exact
        """Whether each value so far is in its column as it was received."""

    def cell(self, value: Any, wanted: pa.DataType) -> Any:
        """A value of the record; None if the column cannot hold it."""
        if value is None:
            return None
        if pa.types.is_struct(wanted):
            return {
                field.name: self.cell(getattr(value, name), field.type)
                for name, field in zip(value.__struct_fields__, wanted, strict=True)
            }
        if pa.types.is_list(wanted):
            return [self.cell(each, wanted.value_type) for each in value]
        if pa.types.is_decimal(wanted):
            return self._money(value)
        if pa.types.is_timestamp(wanted):
            return self._moment(value, utc=wanted.tz is not None)
        if pa.types.is_int64(wanted):
            return self._integer(value)
        if isinstance(value, Raw):
            return self._json(value)
        return value if isinstance(value, bool) else str(value)

    def _integer(self, value: int) -> int | None:
        if value in _INTEGERS:
            return value
        self._lost()
        return None

    def _json(self, value: Raw) -> str | None:
        try:
            return json_text(value)
        except UnicodeDecodeError:
            self._lost()
            return bytes(value).decode(errors="replace")

    def _money(self, value: Decimal) -> Decimal | None:
        """The number: rounded if it has more places than the column, None if it has too many digits."""
        if value.is_finite() and value.copy_abs() < _LIMIT:
            try:
                return value.quantize(_UNIT, context=_EXACT)
            except Inexact:
                self._lost()
                rounded = value.quantize(_UNIT, context=_ROUNDED)
                return rounded if rounded.copy_abs() < _LIMIT else None
        self._lost()
        return None

    def _moment(self, text: str, *, utc: bool) -> datetime | None:
        """The time, cut to microseconds; None for a blank text, and for one that is no date."""
        if not text.strip():
            return None
        try:
            moment = datetime.fromisoformat(text.strip())
            if not utc:
                return moment.replace(tzinfo=None)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self._lost()
            return None

    def _lost(self) -> None:
        self.exact = False
