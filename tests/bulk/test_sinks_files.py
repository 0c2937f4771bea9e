"""What converting leaves on the disk, and what it does with damage, locks, kills and other versions."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest
from sinks_tools import COMPANY, in_parquet, parquet_rows, rows
from store_tools import fill

from codat_async import bulk
from codat_async.bulk import DirectoryError, SinkBusy, SinkError
from codat_async.bulk.sinks import convert as convert_module
from codat_async.bulk.sinks import duckdb as duckdb_module
from codat_async.bulk.sinks import forget
from codat_async.bulk.sinks.forget import forget_duckdb, forget_parquet
from codat_async.bulk.sinks.parquet import empty_lists, is_converted, parquet_file
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.layout import CONVERT_LOCK
from codat_async.bulk.store.locks import FileLock, Held
from codat_async.bulk.store.sealed import SealedFile, sealed_files
from codat_async.bulk.store.sealing import Sealer
from codat_async.bulk.units.unit import Unit


def customer(number: int, *, day: int = 1, **fields: object) -> bytes:
    """A record of the smallest kind."""
    modified = f"2024-01-{day:02}T00:00:00Z"
    return msgspec.json.encode(
        {"id": f"c{number}", "customerName": f"C {number}", "modifiedDate": modified, **fields}
    )


def night(
    root: Path, day: int, *records: bytes, company: str = COMPANY, kind: str = "customers"
) -> SealedFile:
    """Seal a list as the run of a day: the whole list on the first, what changed on others."""
    fill(root, [(Unit(kind, company), list(records))], whole=day == 1, name=f"202601{day:02}T000000Z")
    return sealed_files(root, [kind])[-1]


def merge_files(root: Path) -> None:
    """Merge the small files of each type, as a pull does when there are many."""
    with Directory(root) as directory:
        Sealer(directory.layout, directory.commit).merge("20260201T000000Z", most=1)


def damage(path: Path, how: str) -> bytes:
    """Damage a file; returns what it had."""
    content = path.read_bytes()
    middle = len(content) // 2
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(
            {
                "emptied": b"",
                "cut": content[:-5],
                "grown": content + b"more",
                "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
                "zeroed": bytes(len(content)),
            }[how]
        )
    return content


HOW = ["removed", "emptied", "cut", "grown", "flipped", "zeroed"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("compression", "with_parquet"), [("zstd", True), ("gzip", False)])
def test_a_damaged_file_is_named_when_the_rest_is_converted(
    tmp_path: Path, how: str, compression: str, with_parquet: bool
) -> None:
    """Nothing of it is converted; later its lists are named as lost, until a pull has read them again."""
    root, books = tmp_path / "pull", tmp_path / "books.duckdb"
    for day in (1, 2, 3):
        unit = Unit("customers", f"company {day}")
        fill(
            root,
            [(unit, [customer(0), customer(day)])],
            name=f"2026010{day}T000000Z",
            compression=compression,
        )
    fill(
        root,
        [(Unit("suppliers", COMPANY), [b'{"id":"s"}'])],
        name="20260104T000000Z",
        compression=compression,
    )
    file = sealed_files(root, ["customers"])[1]
    damage(file.path, how)
    with pytest.raises(DirectoryError) as failure:
        bulk.convert(root, parquet=with_parquet, duckdb=books)
    assert str(failure.value).startswith(f"{file.path} is damaged: ")
    assert "\n" not in str(failure.value)
    assert rows(books, "select distinct company_id from customers order by all") == [
        ("company 1",),
        ("company 3",),
    ]
    assert len(rows(books, "from suppliers")) == 1
    assert [path.parent.name for path in in_parquet(root)] == [
        "customers",
        "customers",
        "suppliers",
    ] * with_parquet
    with pytest.raises(DirectoryError, match="the data of 1 lists of customers was damaged"):
        bulk.convert(root, parquet=with_parquet, duckdb=books)
    fill(
        root,
        [(Unit("customers", "company 2"), [customer(9)])],
        name="20260105T000000Z",
        compression=compression,
    )
    bulk.convert(root, parquet=with_parquet, duckdb=books)
    assert rows(books, "select id from customers where company_id = 'company 2'") == [("c9",)]


def test_damage_of_one_type_does_not_matter_to_others(tmp_path: Path) -> None:
    """Only the types that are converted are looked at."""
    damage(night(tmp_path, 1, customer(1)).path, "flipped")
    night(tmp_path, 1, customer(1), kind="suppliers")
    (done,) = bulk.convert(tmp_path, types=["suppliers"])
    assert (done.type, done.records) == ("suppliers", 1)


def test_a_file_that_is_damaged_while_another_process_pulls(tmp_path: Path) -> None:
    """It is named each time, and nothing is changed in the directory of the other."""
    file = night(tmp_path, 1, customer(1))
    damage(file.path, "flipped")
    with Directory(tmp_path):
        for _ in range(2):
            with pytest.raises(DirectoryError, match="is damaged"):
                bulk.convert(tmp_path)
        assert file.path.exists()


def test_converting_while_a_pull_is_running(tmp_path: Path) -> None:
    """What is sealed is converted, and the rest later."""
    night(tmp_path, 1, customer(1))
    fill(
        tmp_path,
        [(Unit("customers", COMPANY), [customer(2)])],
        whole=False,
        seal=False,
        name="20260102T000000Z",
    )
    with Directory(tmp_path):
        (done,) = bulk.convert(tmp_path)
        assert done.records == 1
    (done,) = bulk.convert(tmp_path)
    assert done.records == 1
    assert len(parquet_rows(tmp_path, "customers")) == 2


def test_what_is_up_to_date_is_not_converted_again(tmp_path: Path) -> None:
    """In Parquet and DuckDB, each by itself."""
    books = tmp_path / "books.duckdb"
    root = tmp_path / "pull"
    night(root, 1, customer(1), customer(2))
    for parquet, database, expected in (
        (True, None, (1, 2, 0)),
        (True, None, (0, 0, 0)),
        (True, books, (1, 2, 2)),
        (True, books, (0, 0, 0)),
        (False, books, (0, 0, 0)),
    ):
        (done,) = bulk.convert(root, parquet=parquet, duckdb=database)
        assert (done.files, done.records, done.merged) == expected
    night(root, 2, customer(2, day=2))
    (done,) = bulk.convert(root, duckdb=books)
    assert (done.files, done.records, done.merged) == (1, 1, 1)


def test_parquet_of_other_columns_is_made_again(tmp_path: Path) -> None:
    """That of an earlier release, and a file that is not Parquet."""
    night(tmp_path, 1, customer(1))
    bulk.convert(tmp_path)
    (path,) = in_parquet(tmp_path)
    table = pq.read_table(path)
    kept = {name: value for name, value in pq.read_metadata(path).metadata.items() if name != b"ARROW:schema"}
    older = table.drop_columns(["phone"]).replace_schema_metadata(kept)
    for content in (older, b"PAR1", b""):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            pq.write_table(content, path)
        (done,) = bulk.convert(tmp_path)
        assert done.records == 1
        assert pq.read_table(path).equals(table)


def test_parquet_of_another_pull_into_the_same_directory_is_made_again(tmp_path: Path) -> None:
    """Its files have the same names."""
    night(tmp_path, 1, customer(1))
    bulk.convert(tmp_path)
    for path in tmp_path.iterdir():
        if path.name != "parquet":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (tmp_path / "parquet").rename(tmp_path.with_name("kept"))
    night(tmp_path, 1, customer(2))
    tmp_path.with_name("kept").rename(tmp_path / "parquet")
    bulk.convert(tmp_path)
    assert [row["id"] for row in parquet_rows(tmp_path, "customers")] == ["c2"]


def test_progress_counts_each_file_once(tmp_path: Path) -> None:
    """And ends with all of them, also when nothing is left to do."""
    root = tmp_path / "pull"
    sizes = [night(root, day, customer(day)).size for day in (1, 2)]
    for records in (2, 0):
        seen: list[bulk.ConversionProgress] = []
        bulk.convert(root, duckdb=tmp_path / "books.duckdb", on_progress=seen.append)
        last = seen[-1]
        assert (last.files, last.of_files, last.bytes, last.of_bytes) == (2, 2, sum(sizes), sum(sizes))
        assert last.records == records


# --- merging files ---------------------------------------------------------------------------


def test_merged_segments_are_not_merged_again_into_duckdb(tmp_path: Path) -> None:
    """The Parquet files of those that they replace are removed."""
    root, books = tmp_path / "pull", tmp_path / "books.duckdb"
    for day in (1, 2, 3):
        night(root, day, customer(day, day=day))
    bulk.convert(root, duckdb=books)
    merge_files(root)
    (done,) = bulk.convert(root, duckdb=books)
    assert (done.files, done.merged) == (1, 0)
    (path,) = in_parquet(root)
    assert path.name.startswith("000004-")
    assert len(parquet_rows(root, "customers")) == len(rows(books, "from customers")) == 3


def test_a_merged_segment_of_which_a_part_was_merged(tmp_path: Path) -> None:
    """Its records are not there twice, even if they have no id."""
    root, books = tmp_path / "pull", tmp_path / "books.duckdb"
    nameless = b'{"customerName":"nobody"}'
    night(root, 1, customer(1), nameless, nameless)
    bulk.convert(root, parquet=False, duckdb=books)
    night(root, 2, customer(1, day=2), nameless)
    merge_files(root)
    (done,) = bulk.convert(root, parquet=False, duckdb=books)
    assert done.files == 1
    names = "select customer_name, day(modified_date at time zone 'UTC') from customers order by all"
    assert rows(books, names) == [("C 1", 2), ("nobody", None), ("nobody", None), ("nobody", None)]


def test_several_directories_in_one_duckdb_file(tmp_path: Path) -> None:
    """Their files have the same numbers."""
    books = tmp_path / "books.duckdb"
    for name in ("a", "b"):
        night(tmp_path / name, 1, customer(1), company=name)
        bulk.convert(tmp_path / name, parquet=False, duckdb=books)
    assert rows(books, "select company_id from customers order by all") == [("a",), ("b",)]


# --- other processes ---------------------------------------------------------------------------


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A DuckDB file that another process has open."""
    path = tmp_path / "held.duckdb"
    code = f"import duckdb; base = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield path
        holder.communicate(b"\n")


def test_a_duckdb_file_in_use_does_not_keep_parquet_from_being_written(tmp_path: Path, held: Path) -> None:
    """SinkBusy names it when the rest is done."""
    night(tmp_path / "pull", 1, customer(1))
    with pytest.raises(SinkBusy, match=rf"the DuckDB file {held} is open in process \d+$"):
        bulk.convert(tmp_path / "pull", duckdb=held)
    assert len(parquet_rows(tmp_path / "pull", "customers")) == 1
    with pytest.raises(SinkBusy):
        bulk.convert(tmp_path / "pull", parquet=False, duckdb=held)
    assert not held.with_name("held.duckdb.tmp").exists()


def test_a_file_that_is_not_duckdb_is_refused(tmp_path: Path) -> None:
    """That is not one in use."""
    night(tmp_path / "pull", 1, customer(1))
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(SinkError, match=r"cannot write to the DuckDB file .*letter.txt") as failure:
        bulk.convert(tmp_path / "pull", duckdb=tmp_path / "letter.txt")
    assert not isinstance(failure.value, SinkBusy)
    assert (tmp_path / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("version", [1, 99])
def test_a_duckdb_file_of_another_format_is_refused(tmp_path: Path, version: int) -> None:
    """One of 0.1.0 has no version; nothing in it is changed."""
    night(tmp_path / "pull", 1, customer(1))
    books = tmp_path / "books.duckdb"
    with duckdb.connect(str(books)) as database:
        database.execute("create table codat_async_files (type varchar, file varchar)")
        if version > 1:
            database.execute("create table codat_async_format as select 99 as version")
    with pytest.raises(SinkError, match=f"tables of format {version}, and this release writes format 3"):
        bulk.convert(tmp_path / "pull", duckdb=books)
    assert len(rows(books, "from duckdb_tables()")) == version // 50 + 1


def test_a_users_own_tables_stay(tmp_path: Path) -> None:
    """In a DuckDB file that existed before."""
    night(tmp_path / "pull", 1, customer(1))
    books = tmp_path / "books.duckdb"
    with duckdb.connect(str(books)) as database:
        database.execute("create table mine as select 7 as x")
    bulk.convert(tmp_path / "pull", duckdb=books)
    assert rows(books, "from mine") == [(7,)]
    assert len(rows(books, "from customers")) == 1


def test_concurrent_conversions_take_turns(tmp_path: Path) -> None:
    """One converts the file, the others find it up to date; no temporary file is left."""
    night(tmp_path, 1, *map(customer, range(300)))
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(bulk.convert, [tmp_path] * 4))
    assert sorted(each.records for (each,) in done) == [0, 0, 0, 300]
    (file,) = in_parquet(tmp_path)
    assert pq.read_table(file).num_rows == 300


def test_no_segment_is_merged_away_while_files_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that a pull has merged just then would be taken for a missing one."""
    night(tmp_path, 1, customer(1))
    checked: list[str] = []

    def listed(root: Path, names: list[str]) -> list[SealedFile]:
        with pytest.raises(Held) as held:
            FileLock(root / CONVERT_LOCK)
        checked.append(held.value.holder)
        return sealed_files(root, names)

    monkeypatch.setattr(convert_module, "sealed_files", listed)
    bulk.convert(tmp_path)
    assert checked == [str(os.getpid())] * 2


@pytest.mark.parametrize("parquet", [True, False])
def test_a_killed_conversion_leaves_nothing_that_looks_complete(tmp_path: Path, parquet: bool) -> None:
    """The next one removes what is left, and merges each record once."""
    root, books = tmp_path / "pull", tmp_path / "a.duckdb"
    night(root, 1, customer(1))
    code = (
        "import os, sys; from codat_async import bulk;"
        f"bulk.convert(sys.argv[1], parquet={parquet}, duckdb=sys.argv[2], on_progress=lambda _: os._exit(9))"
    )
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", code, str(root), str(books)], check=False)
        assert killed.returncode == 9
        assert len([*root.rglob("*.part")]) == parquet
        assert not [*root.rglob("*.parquet")]
    merge_files(root)
    bulk.convert(root, parquet=parquet, duckdb=books)
    assert len([*root.rglob("*.parquet*")]) == parquet
    assert len(rows(books, "from customers")) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"pull", "a.duckdb"}


# --- the disk ------------------------------------------------------------------------------------


def modes(path: Path) -> dict[str, str]:
    """The modes of what is at a path and below it."""
    found = [path, *path.rglob("*")] if path.is_dir() else [path]
    return {each.name: stat.filemode(each.stat().st_mode) for each in found}


def test_files_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also DuckDB's, and its log while it is open; a file that was there keeps its mode."""
    before = os.umask(0o022)
    try:
        books = tmp_path / "books" / "a.duckdb"
        seen: dict[str, str] = {}

        def look(*arguments: object) -> None:
            seen.update(modes(books.parent))
            close(*arguments)  # type: ignore[arg-type]

        close = duckdb_module.close_database
        monkeypatch.setattr(duckdb_module, "close_database", look)
        for day in (1, 2):
            night(tmp_path / "pull", day, customer(day))
            bulk.convert(tmp_path / "pull", duckdb=books)
            found = seen | modes(books.parent) | modes(tmp_path / "pull" / "parquet")
            assert {mode[4:] for mode in found.values()} == {"------"}
            assert "a.duckdb.wal" in seen
            seen.clear()
        books.chmod(0o640)
        night(tmp_path / "pull", 3, customer(3))
        bulk.convert(tmp_path / "pull", duckdb=books)
        assert modes(books) == {"a.duckdb": "-rw-r-----"}
    finally:
        os.umask(before)


def test_a_large_merge_is_not_written_to_the_log_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB checkpoints at the commit; a query left open on any connection would prevent it."""
    logged: list[int] = []

    def look(db: duckdb.DuckDBPyConnection, path: Path) -> None:
        log = path.with_name(f"{path.name}.wal")
        logged.append(log.stat().st_size if log.exists() else 0)
        close(db, path)

    close = duckdb_module.close_database
    monkeypatch.setattr(duckdb_module, "close_database", look)
    for day in (1, 2):
        night(
            tmp_path,
            day,
            *(customer(number, day=day, contactName=f"{number:0200}") for number in range(9000)),
        )
        bulk.convert(tmp_path, parquet=False, duckdb=tmp_path / "a.duckdb")
    assert max(logged) < 1_000_000


def test_a_full_disk_leaves_parquet_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line that names the file; nothing half written stays."""
    night(tmp_path, 1, customer(1))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", full)
        with pytest.raises(SinkError, match=r"cannot write .*\.parquet: No space left on device"):
            bulk.convert(tmp_path)
    assert in_parquet(tmp_path) == []
    bulk.convert(tmp_path)
    assert len(parquet_rows(tmp_path, "customers")) == 1


def test_a_directory_that_cannot_be_written_to_is_converted_to_duckdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parquet files would go into it."""
    night(tmp_path / "pull", 1, customer(1))
    real = os.open

    def read_only(path: object, flags: int, *more: int, **named: int) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(tmp_path / "pull")):
            raise OSError(30, "Read-only file system", str(path))
        return real(path, flags, *more, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        bulk.convert(tmp_path / "pull", parquet=False, duckdb=tmp_path / "books.duckdb")
        with pytest.raises(SinkError, match="Read-only file system"):
            bulk.convert(tmp_path / "pull")
    assert len(rows(tmp_path / "books.duckdb", "from customers")) == 1


def test_what_holds_no_pull_is_refused(tmp_path: Path) -> None:
    """In one line, and nothing is created."""
    with pytest.raises(DirectoryError, match="not the directory of a pull"):
        bulk.convert(tmp_path)
    with pytest.raises(DirectoryError, match="is not a directory"):
        bulk.convert(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_there_are_no_current_records_without_parquet(tmp_path: Path) -> None:
    """The error names the command."""
    night(tmp_path, 1, customer(1))
    with pytest.raises(SinkError, match="has no Parquet files of customers: run codat-async convert"):
        bulk.current(tmp_path, "customers")


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pull finds out at its start, and not when all is pulled."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'codat-async\[parquet\]'"):
        bulk.check_sinks(parquet=True, duckdb=False)


# --- tables of an earlier version ----------------------------------------------------------------


def test_new_fields_are_added_to_a_table_of_an_earlier_version(tmp_path: Path) -> None:
    """Columns, and fields of structs at any depth; what only the old table had stays."""
    root, books = tmp_path / "pull", tmp_path / "books.duckdb"
    night(root, 1, customer(1, phone="123"))
    bulk.convert(root, duckdb=books)
    with duckdb.connect(str(books)) as database:
        database.execute("drop view current_customers")
        database.execute("alter table customers drop column phone")
        database.execute(
            "alter table customers alter metadata set data type struct(gone integer) using {gone: 7};"
            " alter table customers alter addresses set data type struct(city varchar)[] using [{city: 'X'}]"
        )
    address = {"city": "Y", "postalCode": "1", "type": "Billing"}
    night(root, 2, customer(2, phone="456", metadata={"isDeleted": False}, addresses=[address]))
    bulk.convert(root, duckdb=books)
    query = (
        "select phone, metadata.gone, metadata.is_deleted, addresses[1].city, addresses[1].postal_code"
        " from current_customers order by id"
    )
    assert rows(books, query) == [(None, 7, None, "X", None), ("456", None, False, "Y", "1")]


def test_a_table_that_cannot_be_altered_raises_with_advice(tmp_path: Path) -> None:
    """The advice works; other types are merged all the same."""
    root, books = tmp_path / "pull", tmp_path / "books.duckdb"
    for kind in ("customers", "suppliers"):
        night(root, 1, customer(1), kind=kind)
    bulk.convert(root, duckdb=books)
    with duckdb.connect(str(books)) as database:
        database.execute("drop view current_customers")
        database.execute("alter table customers alter addresses set data type boolean using true")
    for kind in ("customers", "suppliers"):
        night(root, 2, customer(2), kind=kind)
    with pytest.raises(SinkError, match=r"customers in .*earlier version.*codat-async convert") as failure:
        bulk.convert(root, duckdb=books)
    assert len(rows(books, "from suppliers")) == 2
    with duckdb.connect(str(books)) as database:
        database.execute(str(failure.value).split("`")[1])
    bulk.convert(root, duckdb=books)
    assert len(rows(books, "from current_customers")) == 2


# --- forgetting companies ------------------------------------------------------------------------


def test_forget_removes_a_company_from_duckdb(tmp_path: Path) -> None:
    """None of its bytes are in the file; the rest and the user's own tables are."""
    root, books = tmp_path / "pull", tmp_path / "it's.duckdb"
    secret, kept = "SECRETCOMPANY", "KEPTCOMPANY"
    units = [
        (Unit(kind, each), [customer(n, phone=f"{each} phone") for n in range(500)])
        for kind in ("customers", "suppliers")
        for each in (secret, kept)
    ]
    fill(root, units)
    bulk.convert(root, parquet=False, duckdb=books)
    with duckdb.connect(str(books)) as database:
        database.execute("create table mine as select 7 as x")
        database.execute("create view names as select customer_name from current_customers")
    books.chmod(0o600)
    assert forget_duckdb(books, [secret, "never pulled"]) == 1000 + 2
    assert secret.encode() not in books.read_bytes()
    assert modes(books) == {books.name: "-rw-------"}
    assert rows(books, "select company_id, count(*) from customers group by all") == [(kept, 500)]
    assert rows(books, "from mine") == [(7,)]
    assert len(rows(books, "from names")) == 500
    assert forget_duckdb(books, [secret]) == 0
    assert forget_duckdb(tmp_path / "none.duckdb", [secret]) == 0
    fill(root, [(Unit("customers", kept), [customer(1)])], name="20260102T000000Z")
    bulk.convert(root, parquet=False, duckdb=books)
    assert len(rows(books, "from customers")) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"pull", books.name}


@pytest.mark.parametrize("moment", ["copy", "publish"])
def test_forget_that_is_killed_is_completed_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """After the rows are deleted, before the file is copied or replaced."""
    root, books = tmp_path / "pull", tmp_path / "books.duckdb"
    fill(
        root, [(Unit("customers", each), [customer(1, phone=f"{each} phone")]) for each in ("SECRET", "kept")]
    )
    bulk.convert(root, parquet=False, duckdb=books)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forget, {"copy": "_copy", "publish": "publish"}[moment], killed)
        with pytest.raises(KeyboardInterrupt):
            forget_duckdb(books, ["secret"])
    assert b"SECRET" in books.read_bytes()
    assert forget_duckdb(books, ["secret"]) == 0
    assert b"SECRET" not in books.read_bytes()
    assert rows(books, "select company_id from customers") == [("kept",)]
    before = books.stat().st_ino
    assert forget_duckdb(books, ["secret"]) == 0
    assert books.stat().st_ino == before
    assert {path.name for path in tmp_path.iterdir()} == {"pull", "books.duckdb"}


def test_forget_removes_a_company_from_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' records and empty lists stay, and a file with nothing else is removed."""
    secret = "SECRETCOMPANY"
    for day, kind in ((1, "customers"), (2, "customers"), (1, "suppliers")):
        name = f"2026010{day}T000000Z"
        fill(tmp_path, [(Unit(kind, each), [customer(1)]) for each in (secret, "kept")], name=name)
    fill(tmp_path, [(Unit("customers", each), []) for each in (secret, "empty")], name="20260103T000000Z")
    fill(tmp_path, [(Unit("customers", secret), [customer(1)])], name="20260104T000000Z")
    bulk.convert(tmp_path)
    files = sealed_files(tmp_path)
    *rewritten, last = [file for file in files if file.type == "customers"]
    fresh = {file.id: rewritten_as(file, file.id + 100) for file in rewritten}
    after = [fresh.get(file.id, file) for file in files if file != last]
    monkeypatch.setattr(forget, "sealed_files", lambda root: after)
    replaced = {old: file.id for old, file in fresh.items()}
    assert forget_parquet(tmp_path, [secret], replaced) == 4
    assert forget_parquet(tmp_path, [secret], replaced) == 0
    assert in_parquet(tmp_path, "customers/*") == [parquet_file(tmp_path, file) for file in fresh.values()]
    found = parquet_rows(tmp_path, "customers")
    assert [(row["company_id"], row["id"]) for row in found] == [("kept", "c1")] * 2
    for file in fresh.values():
        path = parquet_file(tmp_path, file)
        assert secret.encode() not in path.read_bytes()
        assert is_converted(path, file, shape_of(bulk.pull_types()["customers"]).schema)
        assert set(modes(path).values()) == {"-rw-------"}
    assert [company for company, _ in empty_lists(path)] == ["empty"]
    assert len(parquet_rows(tmp_path, "suppliers")) == 2


def rewritten_as(file: SealedFile, number: int) -> SealedFile:
    """What a file becomes when it is rewritten without a company."""
    name = file.path.name.replace(f"{file.id:06}", f"{number:06}")
    return msgspec.structs.replace(
        file, id=number, path=file.path.with_name(name), replaces=(file.id,), crc=7
    )
