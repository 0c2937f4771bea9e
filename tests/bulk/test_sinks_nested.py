"""The lists within records, and the lines of statements, as tables of their own."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import msgspec
import pytest
from sinks_tools import COMPANY, in_parquet, parquet_rows, rows, table
from store_tools import fill

from codat_async import bulk
from codat_async.bulk.sinks.nested import nested_tables, singular, unnested, view_of
from codat_async.bulk.units.unit import Unit

Rows = list[tuple[Any, ...]]


def payment(draw: Random, number: int) -> dict[str, Any]:
    """A payment with lines, which have links; any of the lists may be missing, empty, or have nulls."""

    def items(make: Any) -> Any:
        count = draw.randint(-2, 4)
        found = [None if draw.random() < 0.2 else make() for _ in range(count)]
        return None if count == -2 else found

    def link() -> dict[str, Any]:
        return {"type": "Invoice", "id": f"i{draw.randint(0, 99)}", "amount": draw.randint(-(10**17), 10**17)}

    def line() -> dict[str, Any]:
        return {"amount": draw.randint(0, 10**12) / 100, "links": items(link)}

    record = {"id": f"p{number}", "modifiedDate": "2024-01-01T00:00:00Z", "date": "2024-01-01T00:00:00"}
    lines = items(line)
    return record if lines is None else {**record, "lines": lines}


def expected(payments: list[dict[str, Any]]) -> tuple[Rows, Rows]:
    """The lines and the links of payments, in Python."""
    lines: Rows = []
    links: Rows = []
    for record in payments:
        for place, line in enumerate(record.get("lines") or [], 1):
            amount = None if line is None else Decimal(repr(line["amount"]))
            lines.append((record["id"], place, amount))
            for inner, link in enumerate((line or {}).get("links") or [], 1):
                links.append((record["id"], place, inner, None if link is None else link["amount"]))
    return lines, links


def write(root: Path, kind: str, records: list[Any], *, run: str = "20260101T000000Z") -> None:
    """Write a list of the company as one run."""
    encoded = [each if isinstance(each, bytes) else msgspec.json.encode(each) for each in records]
    fill(root, [(Unit(kind, COMPANY), encoded)], name=run)


@pytest.mark.parametrize("seed", range(2))
def test_lists_within_lists_are_the_same_in_parquet_and_duckdb(tmp_path: Path, seed: int) -> None:
    """With the place of each item, whatever is missing, empty or null, and all digits of amounts."""
    draw = Random(seed)
    payments = [payment(draw, number) for number in range(draw.randint(1, 60))]
    write(tmp_path / "pull", "payments", payments)
    bulk.convert(tmp_path / "pull", duckdb=tmp_path / "b.duckdb", line_items=True)
    lines, links = expected(payments)
    query = "select payment_id, ordinal, amount from {}payment_lines order by payment_id[2:]::int, ordinal"
    inner = (
        "select payment_id, line_ordinal, ordinal, amount from {}payment_line_links"
        " order by payment_id[2:]::int, line_ordinal, ordinal"
    )
    for prefix in ("", "current_"):
        assert rows(tmp_path / "b.duckdb", query.format(prefix)) == lines
        assert rows(tmp_path / "b.duckdb", inner.format(prefix)) == links
    found = parquet_rows(tmp_path / "pull", "payment_lines")
    assert [(row["payment_id"], row["ordinal"], row["amount"]) for row in found] == lines
    found = parquet_rows(tmp_path / "pull", "payment_line_links")
    names = ("payment_id", "line_ordinal", "ordinal", "amount")
    assert [tuple(row[name] for name in names) for row in found] == links


def kinds() -> list[Any]:
    """Every type that has lists within its records."""
    return [kind for kind in bulk.lake_types().values() if nested_tables(kind)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_the_views_have_the_columns_of_the_tables(kind: bulk.PullType) -> None:
    """For each list of each type."""
    records = table(kind=kind.name).table
    with duckdb.connect() as db:
        db.register(kind.name, records)
        for nested in nested_tables(kind):
            wanted = unnested(records, nested)
            assert db.sql(view_of(nested, kind.name)).columns == wanted.schema.names
            assert wanted.num_rows == 0


def test_names_of_nested_tables() -> None:
    """They are found from the models, unique, and none is that of a type."""
    names = [nested.name for kind in kinds() for nested in nested_tables(kind)]
    assert len(names) == len(set(names))
    assert not set(names) & {*bulk.lake_types(), "statement_lines"}
    assert {
        "invoice_line_items",
        "bill_line_items",
        "journal_entry_lines",
        "credit_note_line_items",
        "direct_cost_line_items",
        "payment_lines",
        "payment_line_links",
        "invoice_payment_allocations",
        "customer_addresses",
        "aged_debtor_data",
    } <= set(names)


@pytest.mark.parametrize(
    ("name", "one"),
    [("journal_entries", "journal_entry"), ("addresses", "address"), ("profit_and_loss", "profit_and_loss"),
     ("status", "status"), ("items", "item"), ("data", "data")],
)  # fmt: skip
def test_singular(name: str, one: str) -> None:
    """As English has it, for the names that occur."""
    assert singular(name) == one


def test_current_lines_are_those_of_records_that_exist(tmp_path: Path) -> None:
    """Deleted records are left out, and earlier versions are replaced."""
    line = {"lines": [{"amount": 1}]}
    gone = {"id": "gone", "modifiedDate": "2024-01-01T00:00:00Z", **line, "metadata": {"isDeleted": True}}
    kept = {"id": "kept", "modifiedDate": "2024-01-01T00:00:00Z", **line}
    write(tmp_path / "pull", "payments", [gone, kept])
    newer = {"id": "kept", "modifiedDate": "2024-01-02T00:00:00Z", "lines": [{"amount": 2}, {"amount": 3}]}
    write(tmp_path / "pull", "payments", [gone, newer], run="20260102T000000Z")
    bulk.convert(tmp_path / "pull", parquet=False, duckdb=tmp_path / "b.duckdb")
    query = "select payment_id, amount from {}payment_lines order by all"
    assert rows(tmp_path / "b.duckdb", query.format("current_")) == [("kept", 2), ("kept", 3)]
    assert rows(tmp_path / "b.duckdb", query.format("")) == [("gone", 1), ("kept", 2), ("kept", 3)]


SHEET = b"""{"currency":"GBP","reports":[{"date":"2024-01-31T00:00:00",
"netAssets":12345678901234567.1234567891,
"assets":{"name":"Assets","value":3.1,"items":[
{"name":"Cash","value":1.1,"accountId":"a1"},
{"name":"Owed","value":2.0,"items":[{"name":"Trade","value":0.12345678901,"accountId":"a2"}]}]}}]}"""


def test_statements_have_a_line_a_row(tmp_path: Path) -> None:
    """With its path, its depth and its account, exact or as it was received, in Parquet and DuckDB."""
    write(
        tmp_path / "pull", "accounts", [{"id": "a1", "name": "Bank", "nominalCode": "1200", "type": "Asset"}]
    )
    write(tmp_path / "pull", "balance_sheet", [SHEET.replace(b"\n", b"")], run="20260102T000000Z")
    bulk.convert(tmp_path / "pull", duckdb=tmp_path / "b.duckdb", line_items=True)
    query = (
        "select path, depth, is_leaf, account_id, value, raw_value, account_name, period_to"
        " from current_statement_lines order by ordinal"
    )
    day = datetime(2024, 1, 31)
    exact = Decimal("12345678901234567.1234567891")
    assert rows(tmp_path / "b.duckdb", query) == [
        ("assets", 0, False, None, Decimal("3.1"), None, None, day),
        ("assets/Cash", 1, True, "a1", Decimal("1.1"), None, "Bank", day),
        ("assets/Owed", 1, False, None, Decimal(2), None, None, day),
        ("assets/Owed/Trade", 2, True, "a2", None, "0.12345678901", None, day),
        ("net_assets", 0, False, None, exact, None, None, day),
    ]
    found = parquet_rows(tmp_path / "pull", "statement_lines")
    with duckdb.connect(str(tmp_path / "b.duckdb")) as db:
        assert db.sql("from statement_lines order by ordinal").to_arrow_table().to_pylist() == found


def test_all_readings_of_statements_are_kept(tmp_path: Path) -> None:
    """The current lines are those of the last one; converting again adds none."""
    root, books = tmp_path / "pull", tmp_path / "b.duckdb"
    for day in (1, 2, 3):
        sheet = {"reports": [{"date": "2024-01-31T00:00:00", "netAssets": day}]}
        write(root, "balance_sheet", [sheet], run=f"2026010{day}T000000Z")
        bulk.convert(root, duckdb=books, line_items=True)
        bulk.convert(root, duckdb=books, line_items=True)
    assert rows(books, "select value from statement_lines order by n") == [(1,), (2,), (3,)]
    assert rows(books, "select value from current_statement_lines") == [(3,)]
    assert rows(books, "select count(*) from balance_sheet") == [(3,)]
    assert [row["value"] for row in parquet_rows(root, "statement_lines")] == [1, 2, 3]


def test_statements_share_a_table_in_parquet(tmp_path: Path) -> None:
    """Converting one type leaves the files of the others."""
    root = tmp_path / "pull"
    write(root, "balance_sheet", [{"reports": [{"date": "2024-01-31T00:00:00", "netAssets": 1}]}])
    write(root, "cash_flow_statement", [{"reportBasis": "Cash", "reports": [
        {"fromDate": "2024-01-01", "toDate": "2024-01-31", "cashReceipts": {"name": "In", "value": 7}}]}],
        run="20260102T000000Z")  # fmt: skip
    for types in (None, ["balance_sheet"], ["cash_flow_statement"]):
        bulk.convert(root, types=types, line_items=True)
        found = parquet_rows(root, "statement_lines")
        assert [(row["statement"], row["basis"], row["path"], row["value"]) for row in found] == [
            ("balance_sheet", None, "net_assets", 1),
            ("cash_flow_statement", "Cash", "cash_receipts", 7),
        ]
        assert found[1]["period_from"] == datetime(2024, 1, 1)


def test_parquet_of_lists_is_written_if_it_is_wanted(tmp_path: Path) -> None:
    """Also later, for files that are converted already."""
    write(tmp_path / "pull", "payments", [payment(Random(1), 1)])
    bulk.convert(tmp_path / "pull")
    assert in_parquet(tmp_path / "pull", "payment_lines/*") == []
    done = bulk.convert(tmp_path / "pull", line_items=True)
    assert sum(each.files for each in done) == 1
    assert len(in_parquet(tmp_path / "pull", "payment_lines/*")) == 1
    assert sum(each.files for each in bulk.convert(tmp_path / "pull", line_items=True)) == 0
