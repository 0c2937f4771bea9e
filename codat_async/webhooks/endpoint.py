"""An endpoint for webhooks in an aiohttp.web application."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Literal

from aiohttp import web
from msgspec import Struct

from codat_async.webhooks.errors import (
    WebhookBodyInvalid,
    WebhookError,
    WebhookHeadersMissing,
    WebhookSecretInvalid,
    WebhookSignatureMismatch,
    WebhookStale,
)
from codat_async.webhooks.events import Event
from codat_async.webhooks.reading import receive
from codat_async.webhooks.signature import DEFAULT_TOLERANCE, message_id

__all__ = ["MAX_BODY", "Message", "Receipt", "WebhookEndpoint"]

MAX_BODY: Final = 1 << 20
"""Bytes; Codat's events are a few thousand."""
_REMEMBERED: Final = 10_000
"""Ids of messages that were stored, kept to drop repeats; Codat goes on repeating one for some 27 hours."""
_REASONS: Final[Mapping[type[WebhookError], str]] = {
    WebhookBodyInvalid: "body_invalid",
    WebhookHeadersMissing: "headers_missing",
    WebhookSignatureMismatch: "signature_mismatch",
    WebhookStale: "stale",
}


class Message(Struct, frozen=True, kw_only=True):
    """A verified message."""

    id: str
    """The ``webhook-id`` header, the same in each attempt to deliver it."""
    event: Event
    body: bytes
    """As received, so that it can be stored and read again by :func:`codat_async.webhooks.parse`."""


class Receipt(Struct, frozen=True, kw_only=True):
    """What became of one delivery."""

    outcome: Literal["accepted", "repeated", "ignored", "refused", "failed"]
    """``ignored`` if ``store`` did not want it, ``failed`` if it raised an error."""
    event_type: str | None = None
    """None if it was refused: then it is not known who wrote it."""
    reason: str | None = None
    """Why it was refused (``too_large``, ``headers_missing``, ``stale``, ``signature_mismatch`` or
    ``body_invalid``), or the name of the error that ``store`` raised."""


class WebhookEndpoint:
    """Verifies messages and hands each to ``store`` once, before Codat is answered.

    ::

        app.router.add_post("/codat", WebhookEndpoint(secret, store=queue.put).handle)

    ``store`` has to keep the message (a queue, a table) and return quickly: Codat waits 15 seconds
    for the answer. If it raises, the answer is 500 and Codat delivers the message again. Repeats
    of the latest 10,000 messages are answered without a second call; a process that starts again
    has forgotten them, so a durable store should know them by their id as well. It may return ``"repeated"``
    for one, and ``"ignored"`` for a message that it does not keep, for the receipt.

    Answers 204; 413 for a body over ``max_body`` bytes; 400 for one that must not be taken for
    one of Codat's. Raises :class:`~codat_async.webhooks.errors.WebhookSecretInvalid` at once for a secret
    that cannot be used. TLS is the business of the proxy in front. ``on_receipt`` is called with what became
    of each delivery, before it is answered.
    """

    def __init__(
        self,
        secret: str | Sequence[str],
        store: Callable[[Message], Awaitable[object]],
        *,
        tolerance: float = DEFAULT_TOLERANCE,
        max_body: int = MAX_BODY,
        on_receipt: Callable[[Receipt], object] = lambda receipt: None,
    ) -> None:
        self._secret = secret
        self._store = store
        self._tolerance = tolerance
        self._max_body = max_body
        self._on_receipt = on_receipt
        self._known: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._check_secret()

    def _check_secret(self) -> None:
        try:
            receive(b"", {}, self._secret)
        except WebhookSecretInvalid:
            raise
        except WebhookError:
            pass

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one delivery."""
        body = await self._read(request)
        if body is None:
            self._on_receipt(Receipt(outcome="refused", reason="too_large"))
            return web.Response(status=413, text=f"more than {self._max_body} bytes")
        try:
            event = receive(body, request.headers, self._secret, tolerance=self._tolerance)
        except WebhookError as failure:
            self._on_receipt(Receipt(outcome="refused", reason=_REASONS.get(type(failure), "invalid")))
            return web.Response(status=400, text=str(failure))
        kind = event.event_type
        try:
            outcome = await self._once(Message(id=message_id(request.headers), event=event, body=body))
        except Exception as failure:
            self._on_receipt(Receipt(outcome="failed", event_type=kind, reason=type(failure).__name__))
            raise
        self._on_receipt(Receipt(outcome=outcome, event_type=kind))
        return web.Response(status=204)

    async def _read(self, request: web.Request) -> bytes | None:
        """The body, or ``None`` as soon as it is longer than allowed."""
        if (request.content_length or 0) > self._max_body:
            return None
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > self._max_body:
                return None
        return bytes(body)

    async def _once(self, message: Message) -> Literal["accepted", "repeated", "ignored"]:
        if (earlier := self._known.get(message.id)) is not None:
            # Codat repeats a message after five seconds, when the first may still be running.
            await asyncio.shield(earlier)
            return "repeated"
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._known[message.id] = stored
        try:
            result = await self._store(message)
        except BaseException as failure:
            del self._known[message.id]
            stored.set_exception(
                failure if isinstance(failure, Exception) else ConnectionError("interrupted")
            )
            # Read here, since there may be no repeat that would.
            stored.exception()
            raise
        stored.set_result(None)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        if result == "repeated":
            return "repeated"
        return "ignored" if result == "ignored" else "accepted"
