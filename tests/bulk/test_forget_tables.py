"""Forgetting a company in what was converted: Parquet files, the present state, and DuckDB files."""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest
from sinks_tools import rows
from store_tools import fill

from codat_async import bulk
from codat_async.bulk.sinks import forget as forget_module
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.layout import CHECKPOINT
from codat_async.bulk.units.unit import Unit

GONE, KEPT = "deadbeef-0000-4000-8000-00000000dead", "aaaaaaaa-0000-4000-8000-00000000aaaa"


def lists(company: str, night: int) -> list[tuple[Unit, list[bytes]]]:
    """Lists of a company whose every record and item names it; one of them is empty."""
    records: dict[str, list[dict[str, Any]]] = {
        "companies": [{"id": company, "name": f"Company {company}", "tags": {"of": company}}],
        "connections": [{"id": f"connection {company}", "status": "Linked"}],
        "accounts": [{"id": f"account {company}", "name": f"Bank of {company}"}],
        "payments": [
            {"id": f"{company} {night}", "lines": [{"amount": 1, "links": [{"id": company}]}]},
            {"id": f"{company} x", "note": company},
        ],
        "customers": [],
        "balance_sheet": [
            {"reports": [{"date": "2024-01-31T00:00:00", "netAssets": night,
                          "assets": {"name": company, "value": 1, "accountId": f"account {company}"}}]}
        ],
    }  # fmt: skip
    return [(Unit(kind, company), list(map(msgspec.json.encode, each))) for kind, each in records.items()]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a directory of pulled lists, and what was converted of them."""
    folder = tmp_path_factory.mktemp("converted")
    filled(folder / "pull")
    return folder


@pytest.fixture
def root(converted: Path, tmp_path: Path) -> Path:
    """A test's own copy of the directory, with its DuckDB files beside it."""
    shutil.copytree(converted, tmp_path, dirs_exist_ok=True)
    return tmp_path / "pull"


def filled(root: Path) -> None:
    """Two nights of two companies, and a night of the one that stays, with a mark after each."""
    for night in (1, 2, 3):
        several = [each for company in (KEPT, GONE)[: 1 + (night < 3)] for each in lists(company, night)]
        fill(root, several, name=f"2026010{night}T000000Z")
        checkpoint = Checkpoint(root / CHECKPOINT)
        with checkpoint.transaction():
            checkpoint.note("run", f"2026010{night}T000000Z")
            checkpoint.mark()
        checkpoint.close()
    bulk.convert(root, current=True, line_items=True, duckdb=root.with_suffix(".duckdb"))
    bulk.convert(root, as_of="20260101T000000Z", line_items=True, duckdb=root.with_name("then.duckdb"))


def in_files(root: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of all Parquet files, by table."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(root.rglob("*.parquet")):
        place = path.relative_to(root).parts
        table = "/".join(place[:2]) if place[0] == "parquet" else "/".join(place)
        found.setdefault(table, []).extend(pq.read_table(path).to_pylist())
    # A rewritten raw file has another place among the files.
    return {name: sorted(each, key=str) for name, each in found.items()}


def in_tables(books: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all tables and views of a DuckDB file."""
    names = [name for (name,) in rows(books, "select view_name from duckdb_views() where not internal")]
    names += [name for (name,) in rows(books, "select table_name from duckdb_tables()")]
    # Numbers of files differ: a rewritten one has a new number.
    return {
        name: rows(books, f'select * from "{name}" order by all') for name in names if "files" not in name
    }


def others(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The rows that do not name the company, of the tables that have some."""
    kept = {name: [row for row in each if GONE not in str(row)] for name, each in found.items()}
    return {name: each for name, each in kept.items() if each}


def present(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The tables that have rows."""
    return {name: each for name, each in found.items() if each}


def test_a_forgotten_company_is_in_no_table(root: Path) -> None:
    """Whatever was converted, also as of a moment; the rows of others are as they were."""
    books = [root.with_suffix(".duckdb"), root.with_name("then.duckdb")]
    files, tables = in_files(root), [in_tables(each) for each in books]
    for expected in (
        "parquet/payments", "parquet/payment_lines", "parquet/payment_line_links", "parquet/statement_lines",
        "parquet/companies", "current/payments.parquet", "current/payment_lines.parquet",
        "current/balance_sheet_lines.parquet",
    ):  # fmt: skip
        assert GONE in str(files[expected]), expected
    for expected in ("companies", "current_payments", "payment_line_links", "current_statement_lines"):
        assert all(GONE in str(each[expected]) for each in tables), expected
    done = bulk.forget(root, [GONE.upper()], duckdb=books)
    assert done.duckdb == 2
    assert GONE not in str(in_files(root))
    assert present(in_files(root)) == others(files)
    for path, before in zip(books, tables, strict=True):
        assert present(in_tables(path)) == others(before)
        assert GONE.encode() not in path.read_bytes()
    assert not list(root.rglob("*.part"))
    # What was rewritten is up to date.
    done_again = bulk.convert(root, current=True, line_items=True, duckdb=books[0])
    assert sum(each.files + each.merged for each in done_again) == 0
    assert present(in_files(root)) == others(files)


@pytest.mark.parametrize("step", ["_rewrite", "_copy"])
def test_a_killed_forget_is_completed_by_the_next(
    root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Wherever in the tables it was, when it had done one of its files."""
    books = root.with_suffix(".duckdb")
    files, tables = in_files(root), in_tables(books)
    plain, calls = getattr(forget_module, step), []

    def killed(*arguments: Any) -> Any:
        calls.append(step)
        if len(calls) > (step != "_copy"):
            raise KeyboardInterrupt
        return plain(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(forget_module, step, killed)
        with pytest.raises(KeyboardInterrupt):
            bulk.forget(root, [GONE], duckdb=[books])
    bulk.forget(root, [GONE], duckdb=[books])
    assert GONE not in str(in_files(root))
    bulk.convert(root, current=True, line_items=True, duckdb=books)
    assert present(in_files(root)) == others(files)
    assert present(in_tables(books)) == others(tables)
    assert GONE.encode() not in books.read_bytes()


def test_users_own_tables_are_theirs(root: Path) -> None:
    """What they made in the file is copied as it is."""
    books = root.with_suffix(".duckdb")
    with duckdb.connect(str(books)) as db:
        db.execute("create table mine as select 1 as a")
    bulk.forget(root, [GONE], duckdb=[books])
    assert rows(books, "select * from mine") == [(1,)]
