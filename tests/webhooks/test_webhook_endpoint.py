"""The endpoint for aiohttp.web, over a socket: what it answers, and what reaches the store."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from codat_async import webhooks
from codat_async.webhooks import endpoint as endpoint_module
from codat_async.webhooks.endpoint import Message, Receipt, WebhookEndpoint

SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"
BODY = b'{"id":"e","eventType":"read.completed","payload":{"referenceCompany":{"id":"c"}}}'


class Endpoint:
    """A running endpoint, and a way to deliver to it."""

    def __init__(self) -> None:
        self.stored: list[Message] = []
        self.receipts: list[Receipt] = []
        self.result: str | None = None
        self.failures: list[Exception] = []
        self.gate: asyncio.Event | None = None
        self.calls = 0
        self.called = asyncio.Event()

    async def store(self, message: Message) -> str | None:
        """Keep it, or fail as asked."""
        self.calls += 1
        self.called.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        self.stored.append(message)
        return self.result

    async def deliver(self, body: bytes = BODY, *, id: str = "m1", **changes: Any) -> int:
        """The status of one delivery."""
        headers = webhooks.sign(body, SECRET, message_id=id, timestamp=int(time.time())) | changes
        async with self.session.post(self.url, data=body, headers=headers) as response:
            return response.status


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint on a port of its own."""
    made = Endpoint()
    app = web.Application()
    handler = WebhookEndpoint(SECRET, made.store, max_body=10_000, on_receipt=made.receipts.append)
    app.router.add_post("/codat", handler.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as made.session:
        made.url = str(server.make_url("/codat"))
        yield made


async def test_message_is_stored_before_the_answer(endpoint: Endpoint) -> None:
    """With its id, its event, and the body as received."""
    assert await endpoint.deliver() == 204
    (message,) = endpoint.stored
    assert (message.id, message.event.company_id, message.body) == ("m1", "c", BODY)
    assert webhooks.parse(message.body) == message.event


async def test_repeats_are_answered_and_dropped(endpoint: Endpoint) -> None:
    """By the message's id, not by its content."""
    assert [await endpoint.deliver(id=each) for each in ("m1", "m1", "m2")] == [204, 204, 204]
    assert [each.id for each in endpoint.stored] == ["m1", "m2"]


async def test_failed_store_is_a_500_and_the_repeat_is_taken(endpoint: Endpoint) -> None:
    """A message that was not stored is not forgotten: Codat delivers it again."""
    endpoint.failures.append(OSError("disk full"))
    assert await endpoint.deliver() == 500
    assert await endpoint.deliver() == 204
    assert len(endpoint.stored) == 1


async def test_repeat_waits_for_the_delivery_under_way(endpoint: Endpoint) -> None:
    """Both answers say what became of the one call."""
    endpoint.gate = asyncio.Event()
    first = asyncio.create_task(endpoint.deliver())
    await endpoint.called.wait()
    second = asyncio.create_task(endpoint.deliver())
    await asyncio.sleep(0.05)
    assert not second.done()
    endpoint.gate.set()
    assert await asyncio.gather(first, second) == [204, 204]
    assert endpoint.calls == 1


@pytest.mark.parametrize(
    ("body", "changes", "expected"),
    [
        (BODY, {"webhook-signature": "v1,AAAA"}, 400),
        (BODY, {"webhook-timestamp": "1"}, 400),
        (b"{}", {}, 400),
        (b"x" * 10_001, {}, 413),
    ],
)
async def test_other_messages_are_rejected(
    endpoint: Endpoint, body: bytes, changes: dict[str, str], expected: int
) -> None:
    """Nothing of them reaches the store."""
    assert await endpoint.deliver(body, **changes) == expected
    assert endpoint.calls == 0


async def test_receipts_say_what_became_of_each_delivery(endpoint: Endpoint) -> None:
    """A repeat is known by the endpoint or by the store; the type of a refused message is not believed."""
    endpoint.failures.append(OSError("disk full"))
    for _ in range(3):
        await endpoint.deliver()
    endpoint.result = "repeated"
    await endpoint.deliver(id="m2")
    endpoint.result = "ignored"
    await endpoint.deliver(id="m3")
    await endpoint.deliver(**{"webhook-signature": "v1,AAAA"})
    await endpoint.deliver(**{"webhook-signature": ""})
    await endpoint.deliver(**{"webhook-timestamp": "1"})
    await endpoint.deliver(b"{}")
    await endpoint.deliver(b"x" * 10_001)
    assert [(each.outcome, each.event_type, each.reason) for each in endpoint.receipts] == [
        ("failed", "read.completed", "OSError"),
        ("accepted", "read.completed", None),
        ("repeated", "read.completed", None),
        ("repeated", "read.completed", None),
        ("ignored", "read.completed", None),
        ("refused", None, "signature_mismatch"),
        ("refused", None, "headers_missing"),
        ("refused", None, "stale"),
        ("refused", None, "body_invalid"),
        ("refused", None, "too_large"),
    ]


async def test_body_without_a_length_is_cut_off_at_the_limit(endpoint: Endpoint) -> None:
    """A chunked body is not read to its end to learn that it is too long."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b"x" * 1_000

    headers = webhooks.sign(b"", SECRET, message_id="m", timestamp=int(time.time()))
    try:
        async with endpoint.session.post(endpoint.url, data=endless(), headers=headers) as response:
            assert response.status == 413
    except aiohttp.ClientConnectionError:
        # The server closed the connection while the rest was still being sent.
        pass
    assert endpoint.calls == 0


async def test_only_so_many_ids_are_remembered(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr(endpoint_module, "_REMEMBERED", 2)
    for each in ("m1", "m2", "m3", "m3", "m1"):
        await endpoint.deliver(id=each)
    assert [each.id for each in endpoint.stored] == ["m1", "m2", "m3", "m1"]


def test_unusable_secret_is_an_error_at_once() -> None:
    """Not with the first message."""

    async def store(message: Message) -> None:
        raise AssertionError

    with pytest.raises(webhooks.WebhookSecretInvalid):
        WebhookEndpoint("whsec_", store)
