"""What reads and changes a directory in object storage: status, plan, report, convert, forget."""

import json
import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from bulk_server import Server, client, content, customer, raw_lines
from memory_objects import MemoryObjects
from remote_tools import current, download
from test_remote_pull import URL, pull

from codat_async import Codat, bulk
from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.sealing import Sealer
from codat_async.bulk.store.versions import current_lines
from codat_async.errors import ConfigurationError
from codat_async.report import write_page
from codat_async.sandbox import Sandbox


def spoil(bucket: MemoryObjects, part: str, change: bytes | None) -> str:
    """Change, or remove, an object whose key has a part; returns its key."""
    key = next(key for key in sorted(bucket.held) if part in key)
    if change is None:
        del bucket.held[key]
    else:
        bucket.write(key, change)
    return key


@pytest.mark.parametrize("place", ["file:///srv/books", "/srv/books"])
def test_a_file_url_is_a_local_directory(place: str) -> None:
    assert place_of(place) == Path("/srv/books")


@pytest.mark.parametrize("url", ["http://host/books", "s3://", "s3:///books", "file://host/books"])
def test_other_urls_are_refused_in_one_line(url: str) -> None:
    with pytest.raises(ConfigurationError):
        place_of(url)


async def test_what_reads_a_directory_reads_the_bucket(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    await pull(codat, tmp_path / "local")
    await pull(codat, URL)
    shutil.rmtree(tmp_path / "spools")
    local, there = bulk.status(tmp_path / "local"), bulk.status(URL)
    assert (there.outcome, there.total.records, there.damaged) == ("done", local.total.records, [])
    assert len([*bulk.unit_statuses(URL)]) == len([*bulk.unit_statuses(tmp_path / "local")])
    history = bulk.read_history(URL)
    assert history is not None
    assert history.companies == {*await ids(codat)}
    report = bulk.merged_report(URL)
    assert report is not None
    assert report.total.rows == there.total.records
    assert write_page(URL) == f"{URL}/report.html"
    assert b"<html" in buckets["lake"].held["books/report.html"][0]
    assert bulk.read_history("s3://lake/nothing") is None
    with pytest.raises(DirectoryError, match="s3://lake/nothing is not the directory of a pull"):
        bulk.status("s3://lake/nothing")
    assert [*(tmp_path / "spools").iterdir()] == []


async def ids(codat: Codat) -> list[str]:
    return [company.id async for company in codat.companies.list()]


@pytest.mark.parametrize(("change", "reason"), [(None, "it is missing"), (b"x", "it has 1 bytes instead of")])
async def test_a_damaged_object_is_named_and_its_lists_are_read_again(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path, change: bytes | None, reason: str
) -> None:
    await pull(codat, URL)
    shutil.rmtree(tmp_path / "spools")
    key = spoil(buckets["lake"], "/raw/invoices/", change)
    (line,) = bulk.status(URL).damaged
    assert line.startswith(f"s3://lake/{key} is damaged: {reason}")
    report = await pull(codat, URL)
    assert report.outcome == "done"
    assert len(report.damaged) == 1
    assert bulk.status(URL).damaged == []
    await pull(codat, tmp_path / "local")
    assert current(download(URL, tmp_path / "read")) == current(tmp_path / "local")


async def test_verify_finds_changed_bytes(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    await pull(codat, URL)
    shutil.rmtree(tmp_path / "spools")
    (data, _) = next(value for key, value in buckets["lake"].held.items() if "/raw/bills/" in key)
    spoil(buckets["lake"], "/raw/bills/", data[:-1] + bytes([data[-1] ^ 1]))
    assert bulk.status(URL).damaged == []
    assert len(bulk.status(URL, verify=True).damaged) == 1
    assert bulk.status(URL).total.lost > 0
    assert (await pull(codat, URL)).outcome == "done"
    assert bulk.status(URL, verify=True).damaged == []


async def test_a_damaged_checkpoint_is_refused_and_full_starts_over(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    """The raw files before are kept aside, in the bucket."""
    await pull(codat, URL)
    shutil.rmtree(tmp_path / "spools")
    raw = {key for key in buckets["lake"].held if "/raw/" in key}
    spoil(buckets["lake"], "books/checkpoint", b"garbage")
    for _ in range(2):
        with pytest.raises(DirectoryError, match="'pull --full' reads everything again"):
            await pull(codat, URL)
    report = await pull(codat, URL, full=True)
    assert report.outcome == "done"
    aside = {key for key in buckets["lake"].held if "/aside-" in key}
    assert {key.partition("/raw/")[2] for key in aside} == {key.partition("/raw/")[2] for key in raw}
    await pull(codat, tmp_path / "local")
    assert current(download(URL, tmp_path / "read")) == current(tmp_path / "local")


async def test_parquet_goes_to_the_bucket_and_duckdb_to_a_local_file(
    buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    """A wiped machine converts what is new, and nothing else."""
    bucket, books = buckets["lake"], tmp_path / "books.duckdb"
    async with (
        Sandbox(companies=3, size=30) as sandbox,
        client(sandbox.base_url, sandbox.api_key) as codat,
    ):
        await pull(codat, URL)
        for night in range(2):
            shutil.rmtree(tmp_path / "spools")
            bulk.convert(URL, duckdb=books, current=True, line_items=True)
            names = {key.split("/", 1)[1] for key in bucket.held}
            raw = {key.split("/")[2] for key in names if key.startswith("raw/invoices/")}
            parquet = {key.split("/")[2] for key in names if key.startswith("parquet/invoices/")}
            assert len(raw) == len(parquet) == night + 1
            assert "current/invoices.parquet" in names
            assert any(key.startswith("parquet/invoice_line_items/") for key in names)
            if not night:
                assert sandbox.records.touch(0.3, resource="invoices")
                await pull(codat, URL)
        del bucket.calls[:]
        assert sum(each.files for each in bulk.convert(URL, duckdb=books)) == 0
        assert not [key for name, key in bucket.calls if "/raw/" in key and name != "list"]
        await pull(codat, tmp_path / "local")
        bulk.convert(tmp_path / "local", duckdb=tmp_path / "local.duckdb", current=True)
        assert sum(table.num_rows for table in bulk.current(URL, "invoices")) == rows(books)
        with pytest.raises(bulk.SinkError, match="s3://lake/books has no Parquet files of items"):
            next(bulk.current(URL, "items"))
    assert rows(books) == rows(tmp_path / "local.duckdb") > 0
    target = tmp_path / "invoices.parquet"
    target.write_bytes(bucket.held["books/current/invoices.parquet"][0])
    local = pq.read_table(tmp_path / "local" / "current" / "invoices.parquet")
    columns = ["id", "company_id", "modified_date"]
    assert sorted(pq.read_table(target).select(columns).to_pylist(), key=str) == sorted(
        local.select(columns).to_pylist(), key=str
    )


def rows(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as db:
        found = db.execute("select count(*) from current_invoices").fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize("shard_count", [None, 3])
async def test_a_company_is_forgotten_in_the_bucket(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path, shard_count: int | None
) -> None:
    """Nothing of it is in any object, and everything of the others is."""
    bucket, books = buckets["lake"], tmp_path / "books.duckdb"
    shards = [None] if shard_count is None else [f"{index}/{shard_count}" for index in range(shard_count)]
    for shard in shards:
        await pull(codat, URL, shard=shard)
    bulk.convert(URL, duckdb=books, current=True, parquet=True)
    write_page(URL)
    shutil.rmtree(tmp_path / "spools")
    before = current(download(URL, tmp_path / "before"))
    gone, *others = await ids(codat)
    done = bulk.forget(URL, [gone], duckdb=[books])
    assert (done.files > 0, done.parquet > 0, done.duckdb) == (True, True, 1)
    after = current(download(URL, tmp_path / "after"))
    assert after == {each for each in before if each[1] != gone}
    assert {each[1] for each in after} == {*others}
    for key, (data, _) in bucket.held.items():
        assert gone.encode() not in opened(key, data, tmp_path), key
    for path in (tmp_path / "spools").rglob("*.sqlite"):
        assert gone.encode() not in path.read_bytes()
    assert bulk.status(URL).forgotten == 1
    assert not [key for key in bucket.held if key.endswith("report.html")]
    for shard in shards:
        await pull(codat, URL, shard=shard)
    assert {each[1] for each in current(download(URL, tmp_path / "again"))} == {*others}


def opened(key: str, data: bytes, folder: Path) -> bytes:
    """An object's bytes as far as they can be read."""
    from codat_async.bulk.store.remote.published import unpack

    if key.endswith("/checkpoint"):
        return unpack(data)[1]
    if key.endswith(".parquet"):
        (folder / "one.parquet").write_bytes(data)
        return str(pq.read_table(folder / "one.parquet").to_pylist()).encode()
    if ".ndjson" in key:
        path = folder / Path(key).name
        path.write_bytes(data)
        return content(path)
    return data


async def test_shards_in_a_bucket(codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path) -> None:
    for index in range(2):
        await pull(codat, URL, shard=f"{index}/3")
    assert bulk.status(URL).missing_shards == [2]
    with pytest.raises(DirectoryError, match="is divided into 3 shards, this is one of 4"):
        await pull(codat, URL, shard="0/4")
    with pytest.raises(DirectoryError, match="is divided into 3 shards: pull with --shard I/3"):
        await pull(codat, URL)
    shutil.rmtree(tmp_path / "spools")
    await pull(codat, URL, shard="2/3")
    found = bulk.status(URL)
    assert (found.outcome, found.missing_shards) == ("done", [])
    await pull(codat, tmp_path / "local")
    assert current(download(URL, tmp_path / "read")) == current(tmp_path / "local")


async def test_an_uploaded_file_leaves_the_spool_when_it_is_full(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    await pull(codat, RemoteDirectory(URL, spool=spool, spool_bytes=0))
    assert not [*spool.glob("raw/*/*")]
    await pull(codat, RemoteDirectory(URL, spool=spool, spool_bytes=0), full=True)
    assert bulk.status(URL).damaged == []


async def test_a_company_that_is_no_longer_listed_keeps_its_name_on_a_wiped_machine(
    server: Server, caller: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    """Its last record is in a file that only the bucket has."""
    other = "99999999-1111-4111-8111-111111111111"
    server.companies.append(other)
    server.put("customers", [customer(1)])
    options = bulk.PullOptions(types=["customers"], source="x")
    await bulk.pull(caller, URL, options=options)
    shutil.rmtree(tmp_path / "spools")
    server.companies.remove(other)
    await bulk.pull(caller, URL, options=options)
    lines = current_lines([raw_lines(download(URL, tmp_path / "read"), "companies")])
    (line,) = [each for each in lines if each.company_id == other]
    assert json.loads(bytes(line.record))["name"]


async def test_a_spool_with_other_files_of_the_same_names_is_not_read(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    """It may be that of a machine that another one has taken over from."""
    remote = RemoteDirectory(URL, spool=tmp_path / "spool")
    await pull(codat, remote)
    for path in (tmp_path / "spool").glob("raw/*/*"):
        path.write_bytes(path.read_bytes() + b"x")
    shutil.copytree(tmp_path / "spool", tmp_path / "stale")
    await pull(codat, RemoteDirectory(URL, spool=tmp_path / "other"))
    bulk.convert(RemoteDirectory(URL, spool=tmp_path / "stale"))
    assert bulk.status(URL, verify=True).damaged == []


async def test_a_damage_that_a_running_writer_has_removed_is_none(
    codat: Codat, buckets: dict[str, MemoryObjects], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was merged after the checkpoint was read is not missing."""
    await pull(codat, URL)
    bucket, before = buckets["lake"], dict(buckets["lake"].held)
    monkeypatch.setitem(Sealer.merge.__kwdefaults__, "most", 1)
    await pull(codat, URL, full=True)
    after = bucket.held
    gone = {key for key in before if "/raw/" in key} - {*after}
    assert gone
    bucket.held = before

    def swap(name: str, key: str) -> None:
        if name == "list":
            bucket.held = after

    bucket.before = swap
    assert bulk.status(URL).damaged == []
