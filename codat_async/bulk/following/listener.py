"""Receives webhooks over HTTP into a durable queue in the directory, and follows them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import time
from functools import partial
from pathlib import Path
from typing import Final, Literal

import msgspec
from aiohttp import web

from codat_async.bulk.extract.options import PullOptions
from codat_async.bulk.extract.progress import Event
from codat_async.bulk.following.bursts import Delivery
from codat_async.bulk.following.follower import Follower
from codat_async.bulk.following.pulls import Followed
from codat_async.bulk.store.events import Backlog, EventStore
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.shards import Shard, open_directory
from codat_async.client import Codat
from codat_async.webhooks import parse
from codat_async.webhooks.endpoint import Message, Receipt, WebhookEndpoint

__all__ = ["EventQueue", "Listener"]

_GRACE: Final = 30.0
"""Seconds to end a pull that is under way; the next start repeats one that was cut short."""
HEALTH: Final = "/health"


class EventQueue:
    """The events of a store, in the order in which they were received; of a shard, only those about it."""

    def __init__(self, store: EventStore, shard: Shard | None = None) -> None:
        self._store = store
        self._shard = shard
        self._changed = asyncio.Event()
        self._ended = False

    async def put(self, message: Message) -> Literal["accepted", "repeated", "ignored"]:
        """Store an event durably, unless it was stored before, or is about a company of another shard."""
        if self._shard is not None and not self._shard.concerns(message.event.company_id):
            return "ignored"
        if not await asyncio.to_thread(self._store.put, message.id, message.body):
            return "repeated"
        self._changed.set()
        return "accepted"

    async def _done(self, seq: int) -> None:
        await asyncio.to_thread(self._store.done, seq)

    def end(self) -> None:
        """Yield no more events; those that are left stay in the store."""
        self._ended = True
        self._changed.set()

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        """The events that are not acknowledged, earlier ones first, then each that comes."""
        after = 0
        while not self._ended:
            self._changed.clear()
            found = await asyncio.to_thread(self._store.waiting, after)
            for each in found:
                if self._ended:
                    return
                after = each.seq
                yield Delivery(event=parse(each.body), acknowledge=partial(self._done, each.seq))
            if not found and not self._ended:
                await self._changed.wait()


class Listener:
    """A server for webhooks that follows them into a directory.

    POST to any path delivers an event; ``GET /health`` answers with the state, as JSON.
    """

    def __init__(
        self,
        into: Path | str | RemoteDirectory,
        secret: str | Sequence[str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        options: PullOptions | None = None,
        gather: float = 3.0,
        nightly: time | None = None,
        on_ready: Callable[[str], object] = lambda url: None,
    ) -> None:
        self._into = place_of(into)
        self._secret = secret
        self._host, self._port = host, port
        self._options = options or PullOptions()
        self._gather = gather
        self._nightly = nightly
        self._on_ready = on_ready
        self._shard = Shard.of(self._options.shard)
        self._store: EventStore | None = None
        self._done = Followed()

    @property
    def done(self) -> Followed:
        """What has been done so far; empty before it runs."""
        return self._done

    def backlog(self) -> Backlog:
        """The events that are still to be followed; none if it does not run. Any thread may call it."""
        return Backlog() if self._store is None else self._store.backlog()

    async def run(
        self, codat: Codat, stopped: asyncio.Event, on_event: Callable[[Event], None] | None = None
    ) -> Followed:
        """Listen and follow until ``stopped`` is set; then end the pull under way, and return what was done.

        ``on_event`` is called with the events of the pulls, and with what became of each webhook.
        Raises what :func:`~codat_async.bulk.following.follower.follow` raises,
        :class:`~codat_async.webhooks.errors.WebhookSecretInvalid`, and OSError if it cannot listen.
        """
        # A secret that cannot be used is reported before the directory is created.
        WebhookEndpoint(self._secret, lambda message: asyncio.sleep(0))
        with (
            open_directory(self._into, self._shard, start_over=False) as directory,
            contextlib.closing(EventStore(directory.path)) as store,
        ):
            self._store = store
            queue = EventQueue(store, self._shard)
            follower = Follower(
                codat,
                directory,
                store,
                self._options,
                gather=self._gather,
                nightly=self._nightly,
                on_event=on_event,
            )
            self._done = follower.done
            endpoint = WebhookEndpoint(self._secret, queue.put, on_receipt=partial(_note, on_event))
            async with self._serving(endpoint, follower, store) as url:
                self._on_ready(url)
                following = asyncio.create_task(follower.run(queue.deliveries()))
                ending = asyncio.create_task(stopped.wait())
                try:
                    await asyncio.wait([following, ending], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    ending.cancel()
                    queue.end()
                    if not stopped.is_set():
                        following.cancel()
                    # The server goes on: what it receives meanwhile is stored, too.
                    await asyncio.wait([following], timeout=_GRACE)
                    following.cancel()
                    await asyncio.wait([following])
            return follower.done if following.cancelled() else following.result()

    @contextlib.asynccontextmanager
    async def _serving(
        self, endpoint: WebhookEndpoint, follower: Follower, store: EventStore
    ) -> AsyncGenerator[str, None]:
        async def health(request: web.Request) -> web.Response:
            until, backlog = follower.hold.until, await asyncio.to_thread(store.backlog)
            state = {
                "status": "ok" if until is None and not follower.failing else "waiting",
                "events": backlog.events,
                "oldest_seconds": round(backlog.age, 3),
                "failing_companies": follower.failing,
                "closed_until": until,
                "done": follower.done,
            }
            return web.Response(body=msgspec.json.encode(state), content_type="application/json")

        app = web.Application()
        app.router.add_get(HEALTH, health)
        app.router.add_post("/{path:.*}", endpoint.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port)
            await site.start()
            port = runner.addresses[0][1]
            host = f"[{self._host}]" if ":" in self._host else self._host
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


def _note(on_event: Callable[[Event], None] | None, receipt: Receipt) -> None:
    if on_event is not None:
        details = {"type": receipt.event_type, "outcome": receipt.outcome, "reason": receipt.reason}
        on_event(Event.now("webhook_received", details))
