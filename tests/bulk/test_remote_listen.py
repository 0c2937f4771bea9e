"""Events that are followed into object storage."""

import json
import shutil
from pathlib import Path

import pytest
from bulk_server import Server, customer, raw_lines
from memory_objects import MemoryObjects, fault
from remote_tools import download
from test_listener import listening, until

from codat_async import Codat, bulk
from codat_async.bulk.store import keeper
from codat_async.bulk.store.events import read_events
from codat_async.bulk.store.lines import Line
from codat_async.bulk.store.remote import objects
from codat_async.bulk.store.versions import current_lines

URL = "s3://lake/books"


async def test_what_an_event_brought_is_in_the_bucket_and_the_queue_in_the_spool(
    server: Server, caller: Codat, buckets: dict[str, MemoryObjects], tmp_path: Path
) -> None:
    """Each pull of an event ends with its records published; the nightly pull of another machine goes on."""
    server.put("customers", [customer(1)])
    async with listening(caller, URL) as running:
        assert await running.deliver(1) == 204

        async def followed() -> bool:
            return bool((await running.health())["done"]["acknowledged"])

        await until(followed)
        assert bulk.status(URL).total.records == 1
        assert [*download(URL, tmp_path / "read").glob("raw/customers/*")]
        (spool,) = (tmp_path / "spools").iterdir()
        assert (spool / "events.sqlite").exists()
    assert read_events(spool)[0] == 0
    assert not [key for key in buckets["lake"].held if "events" in key]
    shutil.rmtree(tmp_path / "spools")
    server.put("customers", [customer(1), customer(2, modified="2024-05-01T00:00:00Z")])
    report = await bulk.pull(caller, URL, options=bulk.PullOptions(types=["customers"], freshness=False))
    assert report.outcome == "done"
    assert {json.loads(bytes(line.record))["id"] for line in lines(tmp_path / "after")} == {"c1", "c2"}


def lines(target: Path) -> list[Line]:
    return [*current_lines([raw_lines(download(URL, target), "customers")])]


async def test_an_event_is_acknowledged_once_its_records_are_in_the_bucket(
    server: Server,
    caller: Codat,
    buckets: dict[str, MemoryObjects],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the store is away it is not, and the pull is attempted again."""
    monkeypatch.setattr(objects, "_WAITS", ())
    monkeypatch.setattr(keeper, "_PATIENCE", 0.0)
    server.put("customers", [customer(1)])
    failures = 0

    def fail(name: str, key: str) -> None:
        nonlocal failures
        if name == "upload" and failures < 1:
            failures += 1
            fault(name, key)

    buckets["lake"].before = fail
    async with listening(caller, URL) as running:
        assert await running.deliver(1) == 204

        async def followed() -> bool:
            return bool((await running.health())["done"]["acknowledged"])

        async def failed() -> bool:
            return failures > 0

        await until(failed)
        assert not await followed()
        await until(followed)
        assert failures == 1
        assert len(lines(tmp_path / "read")) == 1
