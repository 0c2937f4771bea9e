"""Pulls into object storage: what is in the bucket, and who goes on from it."""

import asyncio
import shutil
from pathlib import Path

import pytest
from bulk_server import Server, client, customer
from memory_objects import MemoryObjects, fault
from remote_tools import current, download, duplicates, hurry

from codat_async import Codat, bulk
from codat_async.bulk.store import keeper
from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.remote import objects
from codat_async.bulk.store.remote.mirror import Fenced
from codat_async.bulk.store.remote.objects import ObjectFault
from codat_async.bulk.store.remote.place import RemoteDirectory
from codat_async.sandbox import Sandbox

URL = "s3://lake/books"
TYPES = ["invoices", "bills", "customers", "balance_sheet", "bank_account_transactions"]


async def pull(codat: Codat, into: Path | str | RemoteDirectory, **options: object) -> bulk.Report:
    return await bulk.pull(codat, into, options=bulk.PullOptions(types=TYPES, source="books", **options))  # type: ignore[arg-type]


async def test_the_bucket_has_what_a_local_pull_has(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    await pull(codat, tmp_path / "local")
    report = await pull(codat, URL)
    assert report.outcome == "done"
    assert report.store is not None
    assert current(download(URL, tmp_path / "read")) == current(tmp_path / "local")
    assert {"books/checkpoint", "books/report.json"} <= buckets["lake"].held.keys()


@pytest.mark.parametrize("moments", [pytest.param(6, id="short"), pytest.param(25, marks=pytest.mark.soak)])
@pytest.mark.parametrize("night", [1, 2])
async def test_whoever_goes_on_from_any_moment_has_the_same(
    night: int,
    moments: int,
    buckets: dict[str, MemoryObjects],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A state of the bucket after any write is what a machine that is killed and wiped there leaves."""
    hurry(monkeypatch)
    bucket, remote = buckets["lake"], RemoteDirectory(URL, seal_every=0.01)
    states: list[dict[str, tuple[bytes, str]]] = []
    large = {"units_at_once": 2, "memory": 64 * 1024}
    async with (
        Sandbox(companies=4, size=60, faults="latency=0.01") as sandbox,
        client(sandbox.base_url, sandbox.api_key) as codat,
    ):
        if night == 2:
            await pull(codat, remote, **large)
            assert sandbox.records.touch(0.2, resource="invoices")
            sandbox.records.add_records(sandbox.company_ids[1], "customers", 2)
        bucket.before = lambda name, key: states.append(dict(bucket.held))
        await pull(codat, remote, **large)
        bucket.before = lambda name, key: None
        assert len({state["books/checkpoint"] for state in states if state}) > 4
        await pull(codat, tmp_path / "local")
        expected = current(tmp_path / "local")
        assert current(download(URL, tmp_path / "calm")) == expected
        for number, state in enumerate(states[:: max(1, len(states) // moments)]):
            buckets["lake"] = bucket = MemoryObjects()
            bucket.held = state
            shutil.rmtree(tmp_path / "spools")
            report = await pull(codat, URL)
            assert report.outcome == "done"
            assert report.total.units == report.total.ended
            found = download(URL, tmp_path / str(number))
            assert current(found) == expected
            files = {each for each in bucket.held if each.split("/")[1] in ("raw", "invalid")}
            assert len(files) == len([*found.rglob("*.ndjson*")])


async def test_a_night_on_a_wiped_machine_brings_no_duplicates(
    buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    async with (
        Sandbox(companies=4, size=60) as sandbox,
        client(sandbox.base_url, sandbox.api_key) as codat,
    ):
        await pull(codat, URL, memory=64 * 1024)
        for night in range(3):
            shutil.rmtree(tmp_path / "spools")
            assert sandbox.records.touch(0.1, resource="invoices")
            added = sandbox.records.add_records(sandbox.company_ids[1], "customers", 2)
            report = await pull(codat, URL)
            assert report.mode == "incremental"
            assert report.total.rows < 100 + len(added)
            assert duplicates(download(URL, tmp_path / str(night))) == 0
        await pull(codat, tmp_path / "local")
        assert current(tmp_path / "2") == current(tmp_path / "local")


async def test_a_second_writer_takes_over_and_the_first_ends(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever began last writes; the other one ends with one line, and has changed nothing of it."""
    hurry(monkeypatch)
    begun = asyncio.Event()

    def note(event: bulk.Event) -> None:
        if event.event == "run_started":
            begun.set()

    first = asyncio.create_task(
        bulk.pull(
            codat,
            RemoteDirectory(URL, spool=tmp_path / "first"),
            options=bulk.PullOptions(types=TYPES, source="books"),
            on_event=note,
        )
    )
    await begun.wait()
    report = await pull(codat, URL)
    assert report.outcome == "done"
    after = dict(buckets["lake"].held)
    with pytest.raises(Fenced, match="another process writes to s3://lake/books now"):
        await first
    assert {key: after[key] for key in after} == {key: buckets["lake"].held[key] for key in after}
    await pull(codat, tmp_path / "local")
    assert current(download(URL, tmp_path / "read")) == current(tmp_path / "local")
    # Its spool is of no use any more.
    again = await pull(codat, RemoteDirectory(URL, spool=tmp_path / "first"))
    assert again.outcome == "done"
    assert [*(tmp_path / "first").glob("aside-*/checkpoint.sqlite")]
    assert current(download(URL, tmp_path / "again")) == current(tmp_path / "local")


async def test_a_store_that_fails_in_mid_pull_loses_nothing(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(objects, "_WAITS", (0.0, 0.0))
    left = 30

    def fail(name: str, key: str) -> None:
        nonlocal left
        if name in ("upload", "replace") and claimed and left:
            left -= 1
            raise ObjectFault("the store answered 503")

    claimed = False

    def note(event: bulk.Event) -> None:
        nonlocal claimed
        claimed = True
        events.append(event.event)

    events: list[str] = []
    buckets["lake"].before = fail
    report = await bulk.pull(codat, URL, options=bulk.PullOptions(types=TYPES, source="books"), on_event=note)
    assert (report.outcome, left) == ("done", 0)
    assert report.store is not None
    assert report.store.faults == 30
    assert {"store_fault", "store_unavailable", "store_available"} <= {*events}
    await pull(codat, tmp_path / "local")
    assert current(download(URL, tmp_path / "read")) == current(tmp_path / "local")


async def test_a_store_that_stays_away_leaves_all_in_the_spool(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pull is not done, and the same command uploads what it read."""
    monkeypatch.setattr(objects, "_WAITS", (0.0, 0.0))
    monkeypatch.setattr(keeper, "_PATIENCE", 0.0)

    def note(event: bulk.Event) -> None:
        if event.event == "run_started":
            buckets["lake"].before = fault

    report = await bulk.pull(codat, URL, options=bulk.PullOptions(types=TYPES, source="books"), on_event=note)
    assert report.outcome == "partial"
    assert report.stopped is not None
    assert "cannot be reached: the store answered 503; what it lacks is kept in" in report.stopped
    buckets["lake"].before = lambda name, key: None
    again = await pull(codat, URL)
    assert (again.outcome, again.total.rows) == ("done", 0)
    await pull(codat, tmp_path / "local")
    assert current(download(URL, tmp_path / "read")) == current(tmp_path / "local")


async def test_a_missing_bucket_is_one_line_before_anything_is_asked(
    server: Server, caller: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    with pytest.raises(DirectoryError, match="cannot use s3://nowhere/books: the bucket does not exist"):
        await pull(caller, "s3://nowhere/books")
    assert server.requests == []


async def test_the_overlap_of_a_large_list_is_read_by_range(
    server: Server, caller: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    """A machine without the file of a large list fetches the pages in the overlap, and no file."""
    old, new = "2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z"
    rows = [customer(each, modified=old if each < 4000 else new) for each in range(5500)]
    server.put("customers", rows)
    # Of less memory than the list takes, so that it is written page by page.
    options = bulk.PullOptions(types=["customers"], freshness=False, page_size=500, memory=1 << 20)
    assert (await bulk.pull(caller, URL, options=options)).total.rows == 5500
    (size,) = (len(data) for key, (data, _) in buckets["lake"].held.items() if "/raw/customers/" in key)
    shutil.rmtree(tmp_path / "spools")
    del buckets["lake"].calls[:], buckets["lake"].read[:]
    server.put("customers", [*rows, customer(6000, modified=new)])
    report = await bulk.pull(caller, URL, options=options)
    assert (report.total.rows, report.total.overlap) == (1, 1500)
    raw = [name for name, key in buckets["lake"].calls if "/raw/customers/" in key]
    assert sorted(raw) == ["get", "upload"]
    (_, pages) = buckets["lake"].read
    assert 0 < pages < size / 2
    assert duplicates(download(URL, tmp_path / "read")) == 0
