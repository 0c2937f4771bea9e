"""Who writes to object storage: lost answers, spools that are behind, and starts that come to nothing."""

import shutil
from pathlib import Path

import msgspec
import pytest
from bulk_server import Server, customer
from memory_objects import MemoryObjects
from remote_tools import current, download
from test_remote_pull import URL, pull

from codat_async import Codat, bulk
from codat_async.bulk.report import Outcome
from codat_async.bulk.shard_worker import Job, ShardWorker, begun, complete
from codat_async.bulk.store.remote import objects
from codat_async.bulk.store.remote.objects import ObjectFault
from codat_async.bulk.store.remote.place import RemoteDirectory
from codat_async.bulk.store.shards import Shard
from codat_async.errors import ConfigurationError
from codat_middleware import Limits


async def test_an_answer_that_is_lost_is_no_second_writer(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object is there, the attempt is repeated, and finds what it wrote itself."""
    monkeypatch.setattr(objects, "_WAITS", (0.0,))
    bucket, real = buckets["lake"], MemoryObjects.write
    lost = 0

    def write(self: MemoryObjects, key: str, data: bytes) -> objects.Version:
        nonlocal lost
        version = real(self, key, data)
        if key.endswith("checkpoint") and lost < 3:
            lost += 1
            raise ObjectFault("the connection was reset")
        return version

    monkeypatch.setattr(MemoryObjects, "write", write)
    for night in range(2):
        report = await pull(codat, URL)
        assert report.outcome == "done"
        assert report.total.rows > 0 or night
    assert lost == 3
    spool = next((tmp_path / "spools").iterdir())
    assert not [*spool.glob("aside-*")]
    assert bucket.held["books/checkpoint"]


async def test_an_answer_that_is_lost_for_good_is_recognised_at_the_next_write(
    codat: Codat, buckets: dict[str, MemoryObjects], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All attempts fail, although the first of them wrote the object."""
    monkeypatch.setattr(objects, "_WAITS", ())
    real, written = MemoryObjects.write, 0

    def write(self: MemoryObjects, key: str, data: bytes) -> objects.Version:
        nonlocal written
        version = real(self, key, data)
        if key.endswith("checkpoint"):
            written += 1
            if written in (2, 3):
                raise ObjectFault("the connection was reset")
        return version

    monkeypatch.setattr(MemoryObjects, "write", write)
    report = await pull(codat, URL)
    assert report.outcome == "done"
    assert report.store is not None
    assert (report.store.faults, written) == (2, 4)


async def test_a_process_that_dies_after_its_last_write_goes_on(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    """It has noted what it was about to write, so that it recognises it."""
    spool = tmp_path / "spool"
    await pull(codat, RemoteDirectory(URL, spool=spool))
    state = msgspec.json.decode((spool / "remote.json").read_bytes())
    for before, after in (["before"], []), ([], ["never written"]):
        tokens = [*before, *state["tokens"], *after]
        written = {**state, "version": {"e_tag": "older"}, "tokens": tokens}
        (spool / "remote.json").write_bytes(msgspec.json.encode(written))
        assert (await pull(codat, RemoteDirectory(URL, spool=spool))).outcome == "done"
        assert not [*spool.glob("aside-*")]
        state = msgspec.json.decode((spool / "remote.json").read_bytes())


async def test_a_bucket_that_was_emptied_sets_the_spool_aside(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    await pull(codat, URL)
    buckets["lake"].held.clear()
    report = await pull(codat, URL)
    assert (report.outcome, report.mode) == ("done", "full")
    assert [*(tmp_path / "spools").glob("*/aside-*/checkpoint.sqlite")]
    await pull(codat, tmp_path / "local")
    assert current(download(URL, tmp_path / "read")) == current(tmp_path / "local")


async def test_a_local_directory_becomes_the_spool_of_a_bucket(
    codat: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    """What was pulled before is uploaded."""
    await pull(codat, tmp_path / "books")
    report = await pull(codat, RemoteDirectory(URL, spool=tmp_path / "books"))
    assert (report.outcome, report.mode) == ("done", "incremental")
    assert current(download(URL, tmp_path / "read")) == current(tmp_path / "books")


async def test_a_start_that_comes_to_nothing_leaves_nothing(
    server: Server, caller: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    server.companies.clear()
    with pytest.raises(bulk.NothingToPull):
        await pull(caller, URL)
    assert buckets["lake"].held == {}
    assert [*(tmp_path / "spools").iterdir()] == []


COMPANIES = [f"{number:08x}-1111-4111-8111-111111111111" for number in range(6)]


async def test_workers_pull_shards_into_a_bucket(
    server: Server, caller: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    """Each knows by an object that it sees the same bucket; what was complete is taken as it is."""
    server.companies = list(COMPANIES)
    server.put("customers", [customer(1), customer(2)])
    found, options = await bulk.find_companies(caller), bulk.PullOptions(types=["customers"], source="x")
    into = RemoteDirectory(URL)
    with begun(into, options) as (token, ended):
        assert ended == {}
        job = Job(into, options, found, {"api_key": "key", "base_url": server.base_url}, Limits(), token)
        worker = ShardWorker(job)
        worker.admit((None, None))
        assert (await worker.run(Shard(1, 2))).outcome == "done"
        await worker.stop()
    with begun(into, options) as (token, ended):
        assert [*ended] == [1]
        worker = ShardWorker(msgspec.structs.replace(job, token=token))
        worker.admit((None, None))
        assert (await worker.run(Shard(0, 2))).outcome == Outcome.DONE
        await worker.stop()
    elsewhere = ShardWorker(msgspec.structs.replace(job, into=RemoteDirectory("s3://lake/other")))
    with pytest.raises(ConfigurationError, match="does not see s3://lake/other"):
        elsewhere.admit((None, None))
    complete(into)
    assert not [key for key in buckets["lake"].held if key.endswith(".pull.json")]
    shutil.rmtree(tmp_path / "spools")
    assert (bulk.status(URL).outcome, bulk.status(URL).total.records) == ("done", 12)
