"""Which version of a record is current: the same in raw files, Parquet and DuckDB, in any order of files."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from sinks_tools import COMPANY, rows
from store_tools import begin, reading

from codat_async import bulk, codec
from codat_async.bulk.sinks import duckdb
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.sealed import read_sealed, sealed_files
from codat_async.bulk.store.versions import current_lines
from codat_async.bulk.store.writer import Writer
from codat_async.bulk.units.unit import Unit


class Reading(msgspec.Struct, frozen=True):
    """One reading of a list, in the order of the readings."""

    unit: Unit
    records: Sequence[dict[str, Any] | bytes]
    whole: bool


def write(root: Path, readings: Sequence[Reading], files: Iterable[Sequence[int]]) -> Iterable[None]:
    """Draw the readings' numbers in their order, and seal them in files as given; yields after each file."""
    with Directory(root) as directory:
        directory.recover()
        run = begin(directory)
        jobs = [
            reading(directory, run, each.unit, map(as_json, each.records), whole=each.whole)
            for each in readings
        ]

        async def seal(places: Sequence[int]) -> None:
            async with Writer(directory, run, lambda error: None) as writer:
                for place in places:
                    await writer.commit(jobs[place])
                await writer.seal()

        for places in files:
            asyncio.run(seal(places))
            yield


def as_json(value: dict[str, Any] | bytes) -> bytes:
    """The record as the API sends it."""
    return value if isinstance(value, bytes) else msgspec.json.encode(value)


def record(identifier: str | None, version: int, **fields: Any) -> dict[str, Any]:
    """A customer as it was at a moment; the later, the higher the version."""
    moment = f"2024-01-01T{version // 3600:02}:{version // 60 % 60:02}:{version % 60:02}"
    return {"id": identifier, "customerName": f"{identifier} {version}", "modifiedDate": moment, **fields}


Found = list[tuple[str, str | None]]


def in_raw(root: Path) -> Found:
    """The current records of the raw files."""
    lines = list(current_lines(lines for file in sealed_files(root) for lines in read_sealed(file)))
    names = [codec.read(bytes(line.record), dict[str, Any])["customerName"] for line in lines]
    return sorted(zip((line.company_id for line in lines), names, strict=True))


def in_parquet(root: Path) -> Found:
    """The current records of the Parquet files."""
    return sorted(
        (row["company_id"], row["customer_name"])
        for table in bulk.current(root, "customers", deleted=True)
        for row in table.to_pylist()
    )


def in_duckdb(database: Path) -> Found:
    """The records of DuckDB's table."""
    return sorted(rows(database, "select company_id, customer_name from customers"))


def everywhere(root: Path, database: Path) -> Found:
    """The current records, which are the same in all three."""
    bulk.convert(root, duckdb=database)
    found = in_raw(root)
    assert in_parquet(root) == found
    assert in_duckdb(database) == found
    return found


LIST = Unit("customers", COMPANY)


@pytest.mark.parametrize(
    "files", [[[0, 1, 2]], [[0], [1], [2]], [[2], [1], [0]], [[0], [2], [1]], [[1], [0, 2]]]
)
@pytest.mark.parametrize("at_once", [True, False])
def test_the_newer_record_wins_whatever_is_sealed_first(
    tmp_path: Path, files: list[list[int]], at_once: bool
) -> None:
    """A run that began later but read earlier does not replace what was read after it."""
    readings = [
        Reading(LIST, [record("a", 1), record("b", 1), record("c", 1)], whole=True),
        Reading(LIST, [record("a", 5), record("b", 2)], whole=False),
        Reading(LIST, [record("b", 7), record("d", 7)], whole=False),
    ]
    books = tmp_path / "books.duckdb"
    for _ in write(tmp_path / "pull", readings, files):
        if not at_once:
            bulk.convert(tmp_path / "pull", duckdb=books)
    expected = [(COMPANY, name) for name in ("a 5", "b 7", "c 1", "d 7")]
    assert everywhere(tmp_path / "pull", books) == expected


def test_a_record_in_two_inserts_of_a_first_load_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Different ids within each insert do not mean different ids in the table."""
    monkeypatch.setattr(duckdb, "_INSERT_BYTES", 1)
    readings = [
        Reading(LIST, [record("a", 5), record("b", 1)], whole=True),
        Reading(LIST, [record("a", 1), record("b", 2)], whole=False),
    ]
    for _ in write(tmp_path / "pull", readings, [[0], [1]]):
        pass
    expected = [(COMPANY, name) for name in ("a 5", "b 2")]
    assert everywhere(tmp_path / "pull", tmp_path / "books.duckdb") == expected


@pytest.mark.parametrize("files", [[[0, 1, 2]], [[0], [1], [2]], [[2], [1], [0]], [[1], [2], [0]]])
@pytest.mark.parametrize("empty", [True, False])
def test_a_whole_reading_removes_what_was_read_before_it(
    tmp_path: Path, files: list[list[int]], empty: bool
) -> None:
    """And nothing that was read after it, in whatever order the files are converted."""
    kept = [] if empty else [record("b", 1)]
    other = Reading(Unit("customers", "other"), [record("o", 1)], whole=True)
    readings = [
        Reading(LIST, [record("a", 1), record("b", 1)], whole=True),
        Reading(LIST, kept, whole=True),
        Reading(LIST, [record("c", 5)], whole=False),
        other,
    ]
    books = tmp_path / "books.duckdb"
    for _ in write(tmp_path / "pull", readings, [*files, [3]]):
        bulk.convert(tmp_path / "pull", duckdb=books)
    names = ["c 5", "o 1"] if empty else ["b 1", "c 5", "o 1"]
    assert [name for _, name in everywhere(tmp_path / "pull", books)] == names


def test_of_equal_dates_the_later_reading_wins(tmp_path: Path) -> None:
    """Also without any date, and within a reading the later line."""
    same = {"modifiedDate": "2024-01-01T00:00:00Z"}
    undated = {"modifiedDate": None}
    readings = [
        Reading(LIST, [record("a", 1, **same), record("b", 1, **undated)], whole=True),
        Reading(
            LIST,
            [
                record("a", 2, **same),
                record("b", 2, **undated),
                record("c", 1),
                record("c", 1, customerName="c 2"),
            ],
            whole=False,
        ),
    ]
    for files in ([[0], [1]], [[1], [0]]):
        root = tmp_path / str(files[0][0])
        for _ in write(root, readings, files):
            bulk.convert(root, duckdb=root.with_suffix(".duckdb"))
        found = everywhere(root, root.with_suffix(".duckdb"))
        assert [name for _, name in found] == ["a 2", "b 2", "c 2"]


def test_dates_are_compared_as_moments(tmp_path: Path) -> None:
    """Not as texts: zones and fractions count."""
    older = ["2024-01-01T00:00:00Z", "2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00"]
    newer = ["2024-01-01T00:00:00.5Z", "2024-01-01T01:00:00Z", "2024-01-01T00:00:00.000001Z"]
    pairs = list(zip(older, newer, strict=True))
    readings = [
        Reading(LIST, [record(f"r{i}", 2, modifiedDate=new) for i, (_, new) in enumerate(pairs)], whole=True),
        Reading(
            LIST, [record(f"r{i}", 1, modifiedDate=old) for i, (old, _) in enumerate(pairs)], whole=False
        ),
    ]
    list(write(tmp_path / "pull", readings, [[0], [1]]))
    found = everywhere(tmp_path / "pull", tmp_path / "books.duckdb")
    assert [name for _, name in found] == ["r0 2", "r1 2", "r2 2"]


def test_records_without_an_id_never_replace_each_other(tmp_path: Path) -> None:
    """Until the whole list is read again; an empty id is none."""
    readings = [
        Reading(LIST, [record(None, 1), record(None, 1), record("", 1)], whole=True),
        Reading(LIST, [record(None, 2), record("", 2)], whole=False),
    ]
    for _ in write(tmp_path / "pull", readings, [[0], [1]]):
        found = everywhere(tmp_path / "pull", tmp_path / "books.duckdb")
    assert len(found) == 5


def test_records_that_are_read_leniently_have_their_id(tmp_path: Path) -> None:
    """Half of a surrogate pair in a text, and a number for an id."""
    lenient = [
        as_json(record("a", 2)).replace(b" 2", rb" 2\ud83d"),
        as_json(record("7", 2)).replace(b'"7"', b"7"),
    ]
    readings = [
        Reading(LIST, [record("a", 1), record("7", 1)], whole=True),
        Reading(LIST, lenient, whole=False),
    ]
    list(write(tmp_path / "pull", readings, [[1], [0]]))
    found = everywhere(tmp_path / "pull", tmp_path / "books.duckdb")
    assert [name for _, name in found] == ["7 2", "a 2\ufffd"]


def test_lists_of_connections_and_accounts_are_apart(tmp_path: Path) -> None:
    """The same ids below several connections and accounts are several records."""
    ids = [("c1", "a1"), ("c1", "a2"), ("c2", "a1")]
    readings = [
        Reading(Unit("bank_account_transactions", COMPANY, *each), [{"id": "t", "amount": place}], whole=True)
        for place, each in enumerate(ids)
    ]
    readings.append(Reading(Unit("bank_account_transactions", COMPANY, "c1", "a1"), [], whole=True))
    list(write(tmp_path / "pull", readings, [[0, 1], [2], [3]]))
    bulk.convert(tmp_path / "pull", duckdb=tmp_path / "books.duckdb")
    query = "select connection_id, account_id, amount from current_bank_account_transactions order by all"
    expected = [("c1", "a2", 1), ("c2", "a1", 2)]
    assert rows(tmp_path / "books.duckdb", query) == expected
    tables = bulk.current(tmp_path / "pull", "bankTransactions")
    found = [
        (row["connection_id"], row["account_id"], row["amount"])
        for each in tables
        for row in each.to_pylist()
    ]
    assert sorted(found) == expected


def test_the_current_report_of_a_company_is_the_last_one(tmp_path: Path) -> None:
    """The table of DuckDB keeps the earlier ones."""
    readings = [
        Reading(Unit("balance_sheet", company), [{"currency": currency, "reports": []}], whole=True)
        for company, currency in (("x", "GBP"), ("y", "EUR"), ("x", "USD"))
    ]
    list(write(tmp_path / "pull", readings, [[2], [0, 1]]))
    bulk.convert(tmp_path / "pull", duckdb=tmp_path / "books.duckdb")
    expected = [("x", "USD"), ("y", "EUR")]
    books = tmp_path / "books.duckdb"
    assert rows(books, "select company_id, currency from current_balance_sheet order by all") == expected
    kept = [("x", "GBP"), ("x", "USD"), ("y", "EUR")]
    assert rows(books, "select company_id, currency from balance_sheet order by all") == kept
    found = [row for each in bulk.current(tmp_path / "pull", "balance_sheet") for row in each.to_pylist()]
    assert sorted((row["company_id"], row["currency"]) for row in found) == expected


def test_deleted_records_are_left_out_of_what_is_current(tmp_path: Path) -> None:
    """Of the view and of ``current``; the table has them."""
    gone = record("b", 1, metadata={"isDeleted": True})
    unknown = record("c", 1, metadata={"isDeleted": None})
    readings = [Reading(LIST, [record("a", 1), gone, unknown], whole=True)]
    list(write(tmp_path / "pull", readings, [[0]]))
    books = tmp_path / "books.duckdb"
    assert len(everywhere(tmp_path / "pull", books)) == 3
    assert rows(books, "select id from current_customers order by id") == [("a",), ("c",)]
    found = [row["id"] for each in bulk.current(tmp_path / "pull", "customers") for row in each.to_pylist()]
    assert sorted(found) == ["a", "c"]


class Books:
    """Customers of a company that change, and are read now and then, sometimes whole and sometimes not."""

    def __init__(self, unit: Unit, draw: Random) -> None:
        self._unit = unit
        self._draw = draw
        self._now = 0
        self._read_at: int | None = None
        self._records: dict[str, dict[str, Any]] = {}

    def change(self) -> None:
        """Add, change, delete and remove some."""
        for _ in range(self._draw.randint(0, 5)):
            self._now += self._draw.randint(0, 2)
            identifier = f"r{self._draw.randint(0, 12)}"
            if self._draw.random() < 0.2:
                self._records.pop(identifier, None)
            else:
                self._records[identifier] = record(identifier, self._now)

    def read(self) -> Reading:
        """What a pull reads at this moment, with an overlap and sometimes a record twice."""
        whole = self._read_at is None or self._draw.random() < 0.25
        since = 0 if whole or self._read_at is None else self._read_at - 2
        start = record("", max(since, 0))["modifiedDate"]
        found = [each for each in self._records.values() if each["modifiedDate"] >= start]
        found += self._draw.sample(found, self._draw.randint(0, min(2, len(found))))
        self._read_at = self._now
        return Reading(self._unit, found, whole=whole)


@pytest.mark.parametrize(
    "seed",
    [*range(6), 20, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(6, 24) if seed != 20)],
)
def test_any_order_of_files_has_the_same_outcome(tmp_path: Path, seed: int) -> None:
    """Lists that change between readings, sealed and converted in a random order."""
    draw = Random(seed)
    lists = [Books(Unit("customers", company), draw) for company in ("x", "Y", "y")]
    readings = []
    for _ in range(25):
        chosen = draw.choice(lists)
        chosen.change()
        readings.append(chosen.read())
    order = draw.sample(range(len(readings)), len(readings))
    files: list[list[int]] = []
    while order:
        size = draw.randint(1, 6)
        files.append(order[:size])
        order = order[size:]
    root, books = tmp_path / "pull", tmp_path / "books.duckdb"
    for _ in write(root, readings, files):
        if draw.random() < 0.5:
            bulk.convert(root, parquet=draw.random() < 0.5, duckdb=books)
    found = everywhere(root, books)
    (tmp_path / "fresh.duckdb").unlink(missing_ok=True)
    bulk.convert(root, parquet=False, duckdb=tmp_path / "fresh.duckdb")
    assert in_duckdb(tmp_path / "fresh.duckdb") == found
