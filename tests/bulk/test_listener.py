"""Listening for webhooks over a socket: what is stored, what is answered, and how it ends."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bulk_server import COMPANY, Server, customer, error_response, raw_lines

from codat_async import Codat, bulk, webhooks
from codat_async.bulk.following.listener import Listener
from codat_async.bulk.store.events import EventStore, read_events
from codat_async.bulk.store.shards import shard_of

SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


def message(number: int = 1, data_type: str = "customers") -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a ``read.completed``."""
    payload = {"referenceCompany": {"id": COMPANY}, "dataTypes": [{"dataType": data_type}]}
    body = json.dumps({"id": "e", "eventType": "read.completed", "payload": payload}).encode()
    return body, webhooks.sign(body, SECRET, message_id=f"m{number}", timestamp=int(time.time()))


class Running:
    """A listener in a task, and a session to deliver to it."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self.url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def deliver(self, number: int = 1, **changes: str) -> int:
        """The status of a delivery."""
        body, headers = message(number)
        async with self.session.post(await self.url, data=body, headers=headers | changes) as answer:
            return answer.status

    async def health(self) -> Any:
        """What the health endpoint answers."""
        async with self.session.get(f"{await self.url}/health") as answer:
            assert answer.status == 200
            return await answer.json()


@asynccontextmanager
async def listening(
    codat: Codat,
    root: Path,
    *,
    shard: str | None = None,
    on_event: Callable[[bulk.Event], None] | None = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """Listen during the body, then drain."""
    running = Running()
    listener = Listener(
        root,
        SECRET,
        options=bulk.PullOptions(types=["customers"], shard=shard),
        gather=0.0,
        on_ready=running.url.set_result,
        **options,
    )
    task = asyncio.create_task(listener.run(codat, running.stopped, on_event))
    async with aiohttp.ClientSession() as running.session:
        try:
            yield running
        finally:
            running.stopped.set()
            running.done = await task


async def until(condition: Any) -> None:
    """Wait until a condition, which may be a coroutine function, holds."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_delivered_event_is_pulled(server: Server, caller: Codat, tmp_path: Path) -> None:
    """A repeat of it is answered and dropped, a forgery is not stored, and the health shows it all."""
    server.put("customers", [customer(1)])

    async with listening(caller, tmp_path) as running:
        assert await running.deliver(1) == 204
        assert await running.deliver(1) == 204
        assert await running.deliver(2, **{"webhook-signature": "v1,AAAA"}) == 400

        async def pulled() -> bool:
            return bool((await running.health())["done"]["acknowledged"] == 1)

        await until(pulled)
        health = await running.health()
        assert (health["status"], health["events"], health["done"]["events"]) == ("ok", 0, 1)
    assert len(raw_lines(tmp_path, "customers")) == 1
    assert read_events(tmp_path) == (0, [])


async def test_events_that_are_left_are_followed_by_the_next_start(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """What failed stays in the queue, which drops a repeat of it in the next process, too."""
    server.hook = lambda path, query: error_response(403) if "/data/" in path else None

    async with listening(caller, tmp_path) as running:
        assert await running.deliver() == 204

        async def failed() -> bool:
            return bool((await running.health())["failing_companies"] == 1)

        await until(failed)
        assert (await running.health())["status"] == "waiting"
    assert bulk.status(tmp_path).events == 1
    assert running.done.acknowledged == 0
    server.hook = None
    server.put("customers", [customer(1)])

    async with listening(caller, tmp_path) as running:
        assert await running.deliver() == 204

        async def pulled() -> bool:
            return bool((await running.health())["events"] == 0)

        await until(pulled)
    assert running.done.events == 1
    assert len(raw_lines(tmp_path, "customers")) == 1


async def test_pull_under_way_is_ended(server: Server, caller: Codat, tmp_path: Path) -> None:
    """When it is stopped, its records are committed and its event acknowledged."""
    server.put("customers", [customer(1)])
    async with listening(caller, tmp_path) as running:

        def stop(path: str, query: dict[str, str]) -> None:
            if "/data/" in path:
                running.stopped.set()

        server.hook = stop
        await running.deliver()
        await running.stopped.wait()
    assert running.done.acknowledged == 1
    assert len(raw_lines(tmp_path, "customers")) == 1


async def test_events_of_other_shards_are_answered_and_ignored(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Each shard's listener is sent all events, and stores and pulls those of its own companies."""
    server.put("customers", [customer(1)])
    index = shard_of(COMPANY, 2)
    for shard in (f"{index}/2", f"{1 - index}/2"):
        heard = list[bulk.Event]()
        async with listening(caller, tmp_path, shard=shard, on_event=heard.append) as running:
            assert await running.deliver() == 204

            async def settled(running: Running = running) -> bool:
                health = await running.health()
                return bool(health["events"] == 0)

            await until(settled)
        outcomes = [each.details["outcome"] for each in heard if each.event == "webhook_received"]
        assert outcomes == (["accepted"] if shard.startswith(str(index)) else ["ignored"])
        assert running.done.events == (shard[0] == str(index))
    path = tmp_path / f"shard-{index:03}-of-002"
    assert len(raw_lines(path, "customers")) == 1
    assert list(bulk.status(tmp_path).types) == ["customers"]


async def test_secret_that_cannot_be_used_is_refused(caller: Codat, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(webhooks.WebhookSecretInvalid):
        await Listener(tmp_path / "books", "x").run(caller, asyncio.Event())
    assert not (tmp_path / "books").exists()


def test_store_keeps_events_in_order_and_drops_repeats(tmp_path: Path) -> None:
    """Also after it was closed; of an event that is done only the id is left, and the file is private."""
    store = EventStore(tmp_path)
    assert [store.put(each, each.encode()) for each in ("b", "a", "b")] == [True, True, False]
    first, second = store.waiting(0)
    assert (first.body, second.body) == (b"b", b"a")
    store.done(first.seq)
    store.close()
    store = EventStore(tmp_path)
    assert [each.body for each in store.waiting(0)] == [b"a"]
    assert store.waiting(second.seq) == []
    assert not store.put("b", b"again")
    assert store.backlog().events == 1
    store.close()
    path = tmp_path / "events.sqlite"
    assert path.stat().st_mode & 0o777 == 0o600
