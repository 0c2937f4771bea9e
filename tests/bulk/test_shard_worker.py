"""What a worker of several does: its part of an address's limit, and the pulls of shards on one client."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bulk_server import Server, client, customer
from msgspec.structs import replace

from codat_async import Limits, bulk
from codat_async.bulk import PullOptions, Shard
from codat_async.bulk.extract.progress import Progress, merge_progress
from codat_async.bulk.shard_worker import Job, ShardWorker, Stopped, begun, complete, divide
from codat_async.bulk.store.counts import Counts
from codat_async.errors import ConfigurationError

A1, A2, B1 = "tcp://10.0.0.1:5000", "tcp://10.0.0.1:5001", "tcp://10.0.0.2:5000"
COMPANIES = [f"{number:08x}-1111-4111-8111-111111111111" for number in range(12)]


def test_workers_of_one_address_divide_its_limit() -> None:
    """By their host; each address has the whole limit."""
    assert divide([A1, B1], {}, 1000, []) == {A1: (1000, None), B1: (1000, None)}
    assert divide([A1, A2, B1], {}, 1000, []) == {A1: (500, None), A2: (500, None), B1: (1000, None)}
    many = [f"tcp://10.0.0.1:{port}" for port in range(2000)]
    assert set(divide(many, {}, 1000, []).values()) == {(1, None)}
    assert divide([A1, A2], {}, None, []) == {A1: (None, None), A2: (None, None)}


def test_source_addresses_are_divided_among_the_workers() -> None:
    """A worker keeps the one that it has; a new one takes that of the worker that is gone."""
    first = divide([A1, A2], {}, 1000, ["127.0.0.2", "127.0.0.3"])
    assert first == {A1: (1000, "127.0.0.2"), A2: (1000, "127.0.0.3")}
    second = divide([A2, B1], first, 1000, ["127.0.0.2", "127.0.0.3"])
    assert second == {A2: (1000, "127.0.0.3"), B1: (1000, "127.0.0.2")}
    third = divide([A2, B1, A1], second, 1000, ["127.0.0.2", "127.0.0.3"])
    assert third == {A2: (1000, "127.0.0.3"), B1: (500, "127.0.0.2"), A1: (500, "127.0.0.2")}


def test_progress_of_several_pulls_is_shown_as_of_one() -> None:
    """Sums; what is left of the quota is the least that any has seen."""
    parts = [Progress.of({"bills": Counts(units=2, rows=5)}), Progress.of({"bills": Counts(units=1, rows=1)})]
    parts.append(Progress.of({"items": Counts(units=4)}))
    parts[1] = replace(parts[1], phase="pulling", quota_left=7, waiting=3, waiting_for="limit of 500")
    parts[2] = replace(parts[2], phase="sealing", quota_left=9, requests_per_second=2.0)
    merged = merge_progress(parts, 30.0, 0.25)
    assert (merged.phase, merged.quota_left, merged.waiting, merged.seconds_left) == ("pulling", 7, 3, 90.0)
    assert (merged.types["bills"].rows, merged.total.units, merged.requests_per_second) == (6, 7, 2.0)
    assert merged.waiting_for == "limit of 500"
    assert merge_progress(parts[:1], 1.0, 0.0).seconds_left is None


OPTIONS = PullOptions(types=["customers"], source="test")


async def job(server: Server, into: Path) -> Job:
    """A job for all companies of a server, in a pull that has begun."""
    server.companies = list(COMPANIES)
    server.put("customers", [customer(1), customer(2)])
    async with client(server.base_url) as codat:
        found = await bulk.find_companies(codat)
    with begun(into, OPTIONS) as (token, _):
        pass
    arguments: dict[str, Any] = {"api_key": "secret", "base_url": server.base_url}
    return Job(into, OPTIONS, found, arguments, Limits(), token)


async def test_a_worker_waits_for_its_share(server: Server, tmp_path: Path) -> None:
    """Without one it sends nothing; with another one it goes on at that pace."""
    worker = ShardWorker(await job(server, tmp_path))
    server.requests.clear()
    running = asyncio.ensure_future(worker.run(Shard(0, 2)))
    await asyncio.sleep(0.05)
    assert server.requests == []
    worker.admit((100_000, None))
    reports = [await running, await worker.run(Shard(1, 2))]
    assert sum(report.total.rows for report in reports) == 24
    assert {path.split("/")[3] for path, _ in server.requests} <= {"data", "dataStatus"}
    progress, events = worker.look()
    assert progress == {}
    assert {event.details["shard"] for event in events} == {"0/2", "1/2"}
    assert worker.look()[1] == []
    worker.admit((50, None))
    assert worker._client is not None
    assert worker._client.governor.limits.per_minute == 50
    await worker.stop()


async def test_a_worker_that_does_not_see_the_directory(server: Server, tmp_path: Path) -> None:
    """On another host, without a shared disk, it would write what nobody finds."""
    made = await job(server, tmp_path)
    worker = ShardWorker(replace(made, into=tmp_path / "elsewhere"))
    with pytest.raises(ConfigurationError, match=r"does not see .*: on several hosts, --into must be object"):
        worker.admit((100, None))
    await worker.stop()


async def test_a_stopped_worker_leaves_shards_that_can_be_resumed(server: Server, tmp_path: Path) -> None:
    """Its pulls end; another worker goes on."""
    waiting = asyncio.Event()
    made = await job(server, tmp_path)
    server.hook = lambda path, query: waiting.set()  # type: ignore[func-returns-value]
    worker = ShardWorker(made)
    worker.admit((60, None))
    running = asyncio.ensure_future(worker.run(Shard(0, 1)))
    await waiting.wait()
    assert worker.look()[0][0].waiting > 0
    await worker.stop()
    with pytest.raises(Stopped, match="shard 0/1"):
        await running
    assert bulk.status(tmp_path).outcome != "done"
    other = ShardWorker(made)
    other.admit((None, None))
    assert (await other.run(Shard(0, 1))).outcome == "done"
    await other.stop()


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    """Whoever prints what is sent to the workers sees the directory alone."""
    made = Job(tmp_path, PullOptions(), bulk.Found([], [], set()), {"api_key": "secret"}, Limits(), "token")
    assert repr(made) == str(made) == f"<pull into {tmp_path}>"


async def test_a_pull_of_all_shards_is_resumed(server: Server, tmp_path: Path) -> None:
    """With the same options: shards that it has completed are not pulled again, until all are."""
    made = await job(server, tmp_path)
    worker = ShardWorker(made)
    worker.admit((None, None))
    report = await worker.run(Shard(1, 2))
    await worker.stop()
    with begun(tmp_path, OPTIONS) as (token, ended):
        assert token != made.token
        assert ended == {1: report}
        with pytest.raises(bulk.DirectoryError, match=r"another pull \(process"), begun(tmp_path, OPTIONS):
            pass
    with begun(tmp_path, replace(OPTIONS, full=True)) as (_, ended):
        assert ended == {}
    with begun(tmp_path, OPTIONS) as (_, ended):
        # The other one has begun since.
        assert ended == {}
    complete(tmp_path)
    with begun(tmp_path, OPTIONS) as (_, ended):
        assert ended == {}
    stale = (tmp_path / ".pull.json").read_text().replace("202", "201", 1)
    (tmp_path / ".pull.json").write_text(stale)
    with begun(tmp_path, OPTIONS) as (_, ended):
        assert ended == {}
