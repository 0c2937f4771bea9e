"""The lines of statements, which contain lines themselves, as one flat table."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
from msgspec import Struct
from msgspec.structs import fields

from codat_async import codec, models
from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.records import exact_money
from codat_async.bulk.sinks.schema import INSTANT, LOCAL, MONEY
from codat_async.errors import DecodingError

__all__ = ["STATEMENT_LINES", "is_statement", "statement_lines", "statement_schema"]

_NEEDED: Final = ("company_id", "n", "read_at", "currency", "report_basis", "reports")
STATEMENT_LINES: Final = "statement_lines"
_STATEMENTS: Final[Mapping[str, Any]] = {
    "balance_sheet": models.BalanceSheet,
    "profit_and_loss": models.ProfitAndLossReport,
    "cash_flow_statement": models.CashFlowStatement,
}
_SCHEMA: Final = pa.schema(
    [
        pa.field("company_id", pa.string(), nullable=False),
        # The data type: balance_sheet, profit_and_loss or cash_flow_statement.
        pa.field("statement", pa.string(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("read_at", INSTANT),
        pa.field("currency", pa.string()),
        pa.field("basis", pa.string()),
        # A balance sheet has only an end.
        pa.field("period_from", LOCAL),
        pa.field("period_to", LOCAL),
        pa.field("ordinal", pa.int64(), nullable=False),
        # The section, then the names of the lines down to this one: assets/Current assets/Bank.
        pa.field("path", pa.string(), nullable=False),
        pa.field("depth", pa.int64(), nullable=False),
        # Whether no other lines are summed up in it.
        pa.field("is_leaf", pa.bool_(), nullable=False),
        pa.field("account_id", pa.string()),
        pa.field("name", pa.string()),
        pa.field("value", MONEY),
        # The value as it was received if the column cannot hold it.
        pa.field("raw_value", pa.string()),
    ]
)


class _Place(Struct):
    path: str
    depth: int


def statement_schema() -> pa.Schema:
    """The columns of the lines of all statements."""
    return _SCHEMA


def is_statement(kind: PullType) -> bool:
    """Whether the records of a type are statements."""
    return kind.name in _STATEMENTS


def statement_lines(table: pa.Table, kind: PullType) -> pa.Table:
    """The lines of the statements in a table of their type; none of one that no model accepts."""
    held = table.select([name for name in _NEEDED if name in table.column_names])
    rows = [row for record in held.to_pylist() for row in _rows(record, kind)]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _rows(record: dict[str, Any], kind: PullType) -> Iterator[dict[str, Any]]:
    model = _STATEMENTS[kind.name]
    try:
        statements = codec.read((record["reports"] or "[]").encode(), list[model], unknown_fields=False)  # type: ignore[valid-type]
    except DecodingError:
        return
    common = {
        "company_id": record["company_id"],
        "statement": kind.name,
        "n": record["n"],
        "read_at": record["read_at"],
        "currency": record["currency"],
        "basis": record.get("report_basis"),
    }
    for statement in statements:
        period = common | {
            "period_from": _local(getattr(statement, "from_date", None)),
            "period_to": _local(getattr(statement, "to_date", None) or getattr(statement, "date_", None)),
        }
        for number, line in enumerate(_lines(statement), 1):
            yield {**period, "ordinal": number, **line}


def _lines(statement: Any) -> Iterator[dict[str, Any]]:
    """The lines of all sections, each before those that it sums up; and the totals of the statement."""
    for field in fields(statement):
        value = getattr(statement, field.name)
        if isinstance(value, models.ReportLine):
            yield from _below(value, _Place(field.name, 0))
        elif isinstance(value, Decimal):
            yield _line(_Place(field.name, 0), value)


def _below(line: models.ReportLine, place: _Place) -> Iterator[dict[str, Any]]:
    items = line.items or []
    yield _line(place, line.value, account_id=line.account_id, name=line.name, is_leaf=not items)
    for item in items:
        yield from _below(item, _Place(f"{place.path}/{item.name or ''}", place.depth + 1))


def _line(
    place: _Place,
    value: Decimal,
    *,
    account_id: str | None = None,
    name: str | None = None,
    is_leaf: bool = False,
) -> dict[str, Any]:
    money = exact_money(value)
    return {
        "path": place.path,
        "depth": place.depth,
        "is_leaf": is_leaf,
        "account_id": account_id,
        "name": name,
        "value": money,
        "raw_value": None if money is not None else str(value),
    }


def _local(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=None)
