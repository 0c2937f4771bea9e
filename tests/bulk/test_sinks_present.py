"""The present state in Parquet, and the state as it was known at an earlier moment."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from bulk_server import COMPANY, Server, customer, error_response
from sinks_tools import in_parquet, rows
from store_tools import fill
from test_sinks_versions import Books, Reading, write

from codat_async import Codat, bulk
from codat_async.bulk import DirectoryError, SinkError
from codat_async.bulk.sinks import present
from codat_async.bulk.store import sealed
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.layout import CHECKPOINT
from codat_async.bulk.units.unit import Unit

Row = dict[str, Any]


def held(path: Path) -> list[Row]:
    """The rows of a file, in their order."""
    found: list[Row] = pq.read_table(path).to_pylist()
    return found


def random_readings(draw: Random, *, readings: int = 25) -> list[Reading]:
    """Customers of several companies that change, read now and then, whole or not."""
    lists = [Books(Unit("customers", company), draw) for company in ("x", "Y", "y", "z")]
    found = []
    for _ in range(readings):
        chosen = draw.choice(lists)
        chosen.change()
        found.append(chosen.read())
    return found


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("sorted_bytes", [1, None])
def test_the_present_state_is_that_of_all_readings(
    tmp_path: Path, seed: int, sorted_bytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One version a record, sorted by company, whether or not it is sorted in memory at once."""
    if sorted_bytes is not None:
        monkeypatch.setattr(present, "_SORTED_BYTES", sorted_bytes)
    readings = random_readings(Random(seed))
    files = [range(start, start + 5) for start in range(0, len(readings), 5)]
    list(write(tmp_path / "pull", readings, files))
    bulk.convert(tmp_path / "pull", current=True)
    found = held(tmp_path / "pull" / "current" / "customers.parquet")
    keys = [(row["company_id"], row["id"]) for row in found]
    assert keys == sorted(keys)
    tables = bulk.current(tmp_path / "pull", "customers")
    wanted = [row for table in tables for row in table.to_pylist()]
    assert found == sorted(wanted, key=lambda row: (row["company_id"], row["id"]))
    assert sorted(each.name for each in (tmp_path / "pull" / "current").iterdir()) == ["customers.parquet"]


def test_an_unchanged_type_is_not_written_again(tmp_path: Path) -> None:
    """A type with something new is, and the file is compressed with zstd and private."""
    root = tmp_path / "pull"
    fill(root, [(Unit("customers", COMPANY), [b'{"id":"a"}']), (Unit("suppliers", COMPANY), [b'{"id":"s"}'])])
    first = {each.type: each.current for each in bulk.convert(root, current=True)}
    assert first == {"customers": 1, "suppliers": 1}
    path = root / "current" / "customers.parquet"
    assert path.stat().st_mode & 0o777 == 0o600
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert {each.current for each in bulk.convert(root, current=True)} == {0}
    fill(root, [(Unit("customers", COMPANY), [b'{"id":"b"}'])], name="20260102T000000Z")
    again = {each.type: each.current for each in bulk.convert(root, current=True)}
    assert again == {"customers": 1, "suppliers": 0}
    assert [row["id"] for row in held(path)] == ["b"]


def test_line_items_of_the_present_state(tmp_path: Path) -> None:
    """Those of records that exist, in a file for each list; the lines of statements too."""
    root = tmp_path / "pull"
    records = [
        {"id": "a", "lines": [{"amount": 1}, {"amount": 2}]},
        {"id": "b", "lines": [{"amount": 4}], "metadata": {"isDeleted": True}},
    ]
    sheet = {"reports": [{"date": "2024-01-31T00:00:00", "netAssets": 5}]}
    fill(root, [
        (Unit("payments", COMPANY), [msgspec.json.encode(each) for each in records]),
        (Unit("balance_sheet", COMPANY), [msgspec.json.encode(sheet)]),
    ])  # fmt: skip
    bulk.convert(root, current=True, line_items=True)
    folder = root / "current"
    lines = held(folder / "payment_lines.parquet")
    assert [(row["payment_id"], row["ordinal"], row["amount"]) for row in lines] == [("a", 1, 1), ("a", 2, 2)]
    assert [row["value"] for row in held(folder / "balance_sheet_lines.parquet")] == [5]


def test_a_failed_conversion_leaves_the_present_state_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing half done beside it."""
    root = tmp_path / "pull"
    fill(root, [(Unit("customers", COMPANY), [b'{"id":"a"}'])])
    bulk.convert(root, current=True)
    before = (root / "current" / "customers.parquet").read_bytes()
    fill(root, [(Unit("customers", COMPANY), [b'{"id":"b"}'])], name="20260102T000000Z")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(present._Writer, "add", full)
    with pytest.raises(SinkError, match=r"customers\.parquet"):
        bulk.convert(root, current=True)
    assert [each.name for each in (root / "current").iterdir()] == ["customers.parquet"]
    assert (root / "current" / "customers.parquet").read_bytes() == before


def test_nights_are_compacted(tmp_path: Path) -> None:
    """Small files are merged beyond sixty, in Parquet too, and no version is lost."""
    root = tmp_path / "pull"
    for night in range(1, 66):
        name = f"202601{1 + night // 24:02}T{night % 24:02}0000Z"
        changed = msgspec.json.encode(
            customer(1, modified=f"2024-01-01T00:{night // 60:02}:{night % 60:02}Z")
        )
        fill(root, [(Unit("customers", COMPANY), [changed])], name=name, whole=False)
    bulk.convert(root)
    paths = in_parquet(root, "customers/*")
    assert len(paths) <= 60
    assert sum(pq.read_metadata(path).num_rows for path in paths) == 65
    (table,) = bulk.current(root, "customers")
    assert table.column("modified_date").to_pylist()[0].second == 65 - 60


# --- as of a moment ----------------------------------------------------------------------

OPTIONS = bulk.PullOptions(types=["customers"])


async def nights(server: Server, caller: Codat, root: Path, seed: int) -> dict[str, list[str]]:
    """Pull on several nights while records change; returns the names that were current after each run."""
    draw = Random(seed)
    names: dict[int, str] = {}
    found: dict[str, list[str]] = {}
    for night in range(1, 4):
        for _ in range(draw.randint(1, 4)):
            names[draw.randint(1, 6)] = f"night {night}"
        records = {
            number: customer(number, customerName=name, modified=f"2024-01-0{name[-1]}T00:00:00Z")
            for number, name in names.items()
        }
        if draw.random() < 0.3:
            records.popitem()
        in_order = sorted(records.values(), key=lambda each: each["modifiedDate"])
        server.put("customers", in_order)
        full = draw.random() < 0.5
        chosen = bulk.PullOptions(types=["customers"], full=full)
        report = await bulk.pull(caller, root, options=chosen)
        found[report.run] = current_names(bulk.convert, root)
    return found


def current_names(convert: Callable[..., object], root: Path, as_of: str | None = None) -> list[str]:
    """The current customers in Parquet, which is brought up to date."""
    convert(root)
    tables = bulk.current(root, "customers", as_of=as_of)
    return sorted(f"{row['id']} {row['customer_name']}" for table in tables for row in table.to_pylist())


@pytest.mark.parametrize("seed", range(2))
async def test_as_of_a_run_is_what_was_current_after_it(
    server: Server, caller: Codat, tmp_path: Path, seed: int
) -> None:
    """The same in Parquet, in files of their own, and in a DuckDB file."""
    root = tmp_path / "pull"
    known = await nights(server, caller, root, seed)
    for run, names in known.items():
        assert current_names(bulk.convert, root, run) == names
        books = tmp_path / f"{run}.duckdb"
        bulk.convert(root, as_of=run, duckdb=books)
        query = "select id || ' ' || customer_name from current_customers order by all"
        assert [name for (name,) in rows(books, query)] == names
        folder = present.present_folder(root, sealed.as_of(root, run))
        found = held(folder / "customers.parquet")
        assert sorted(f"{row['id']} {row['customer_name']}" for row in found) == names
        with pytest.raises(SinkError, match=f"{books} has the state as of "):
            bulk.convert(root, duckdb=books)


def mark(root: Path, *moments: datetime) -> None:
    """Move the marks of a directory to these moments."""
    checkpoint = Checkpoint(root / CHECKPOINT)
    with checkpoint.transaction():
        for each, moment in zip(checkpoint.marks(), moments, strict=True):
            checkpoint.db.execute(
                "update marks set at = ? where next_n = ?", (moment.timestamp(), each.next_n)
            )
    checkpoint.close()


async def test_as_of_a_time(server: Server, caller: Codat, tmp_path: Path) -> None:
    """What the last process had read that stopped by then; a day means its end."""
    server.put("customers", [customer(1)])
    await bulk.pull(caller, tmp_path, options=OPTIONS)
    server.put("customers", [customer(1), customer(2, modified="2024-01-02T00:00:00Z")])
    await bulk.pull(caller, tmp_path, options=OPTIONS)
    first = datetime(2026, 3, 30, 23, tzinfo=UTC)
    mark(tmp_path, first, first + timedelta(hours=2))
    for moment, count in (
        ("2026-03-30", 1), ("2026-03-30T23:00:00Z", 1), ("2026-03-31T00:59:59", 1),
        ("2026-03-31T02:00:00+01:00", 2), ("2026-03-31", 2), ("2027-01-01T00:00Z", 2),
    ):  # fmt: skip
        assert len(current_names(bulk.convert, tmp_path, moment)) == count, moment
    for moment in ("2026-03-29", "2026-03-30T22:59:59Z"):
        with pytest.raises(DirectoryError, match="the first that is known is of 2026-03-30T23:00:00Z"):
            bulk.convert(tmp_path, as_of=moment)
    with pytest.raises(ValueError, match="'soon' is neither a run"):
        bulk.convert(tmp_path, as_of="soon")


async def test_a_list_that_was_half_read_is_left_out(server: Server, caller: Codat, tmp_path: Path) -> None:
    """It keeps its number when it is resumed, but was not known before it was complete."""
    server.put("customers", [customer(number) for number in range(40)])
    server.hook = lambda path, query: error_response(400) if query.get("page") == "3" else None
    chosen = bulk.PullOptions(types=["customers"], page_size=10, memory=1, units_at_once=1)
    first = await bulk.pull(caller, tmp_path, options=chosen)
    assert first.outcome == "partial"
    server.hook = None
    await bulk.pull(caller, tmp_path, options=chosen)
    assert len(current_names(bulk.convert, tmp_path)) == 40
    start = datetime(2026, 3, 30, tzinfo=UTC)
    mark(tmp_path, start, start + timedelta(days=1))
    assert current_names(bulk.convert, tmp_path, "2026-03-30") == []
    assert len(current_names(bulk.convert, tmp_path, "2026-03-31")) == 40
    bulk.convert(tmp_path, as_of="2026-03-30", duckdb=tmp_path / "b.duckdb", types=["customers", "companies"])
    assert rows(tmp_path / "b.duckdb", "select count(*) from companies") == [(1,)]


async def test_a_killed_process_is_marked_by_the_next(server: Server, caller: Codat, tmp_path: Path) -> None:
    """With the time of its last commit."""
    server.put("customers", [customer(1)])
    await bulk.pull(caller, tmp_path, options=OPTIONS)
    checkpoint = Checkpoint(tmp_path / CHECKPOINT)
    with checkpoint.transaction():
        checkpoint.db.execute("delete from marks")
    checkpoint.close()
    await bulk.pull(caller, tmp_path, options=OPTIONS)
    checkpoint = Checkpoint(tmp_path / CHECKPOINT, read_only=True)
    runs = [run.id for run in checkpoint.runs()]
    assert [each.run for each in checkpoint.marks()] == runs
    checkpoint.close()
