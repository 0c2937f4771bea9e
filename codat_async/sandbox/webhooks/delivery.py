"""Delivers messages: signed, again until they are accepted, and twice or out of order if that is wanted."""

import asyncio
import random
import secrets
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final

import aiohttp
from msgspec import Struct

from codat_async.models import WebhookConsumer
from codat_async.sandbox.books.profile import uuid_of
from codat_async.webhooks import WebhookError, sign

WAITS: Final = (5, 300, 1800, 7200, 18_000, 36_000, 36_000)
"""Seconds from each failed attempt to the next (Codat's documentation of webhooks)."""
_ANSWER_SECONDS: Final = 15.0
_DISABLED_AFTER: Final = 5 * 86_400.0
"""Seconds of nothing but failures after which an endpoint is disabled."""


class WebhookOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How the sandbox sends webhooks; raises :class:`ValueError` for an option that cannot be used."""

    urls: tuple[str, ...] = ()
    """Consumers of all events, beside those that are created by the API."""
    secret: str | None = None
    """Signs all messages: ``whsec_`` and base64; random by default."""
    retry_scale: float = 1.0
    """What the waits between attempts are multiplied with; 0.001 makes 7 of 28 hours a minute and a half."""
    repeats: float = 0.0
    """The share of messages that are delivered twice, as "at least once" allows."""
    shuffle: float = 0.0
    """Seconds by which each message may be late, so that they arrive in another order; drawn by seed."""

    def __post_init__(self) -> None:
        if not (self.retry_scale >= 0 and self.shuffle >= 0 and 0 <= self.repeats <= 1):
            raise ValueError("retry_scale and shuffle must not be negative, and repeats from 0 to 1")
        if self.secret is not None:
            try:
                sign(b"", self.secret, message_id="", timestamp=0)
            except WebhookError as error:
                raise ValueError(str(error)) from None


class Deliveries:
    """Messages on their way, each in a task of its own."""

    def __init__(self, options: WebhookOptions, seed: int) -> None:
        self.options = options
        self.secret = options.secret or f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
        self.counts: Counter[str] = Counter()
        """Messages (``messages``), attempts (``attempts``), and those that were accepted (``accepted``)."""
        self._seed = seed
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._locks: dict[str | None, asyncio.Lock] = {}
        self._failing_since: dict[str | None, float] = {}

    async def start(self) -> None:
        """Messages are delivered from now on; before, they are dropped."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_SECONDS))

    async def stop(self) -> None:
        """Drop what has not been delivered."""
        session, self._session = self._session, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if session is not None:
            await session.close()

    @property
    def is_running(self) -> bool:
        """Whether messages are delivered."""
        return self._session is not None

    @property
    def pending(self) -> int:
        """Messages that are neither accepted nor given up."""
        return len(self._tasks)

    def send(self, consumer: WebhookConsumer, body: bytes) -> None:
        """Begin to deliver a message."""
        if self._session is None:
            return
        self.counts["messages"] += 1
        name = uuid_of(self._seed, "webhook message", self.counts["messages"]).replace("-", "")
        self._run(self._deliver(self._session, consumer, f"msg_{name}", body))

    def _run(self, delivery: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(delivery)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self, session: aiohttp.ClientSession, consumer: WebhookConsumer, message_id: str, body: bytes
    ) -> None:
        draw = random.Random(f"{self._seed}/{message_id}")
        if self.options.shuffle:
            await asyncio.sleep(draw.uniform(0, self.options.shuffle))
            accepted = await self._attempt(session, consumer, message_id, body)
        else:
            # First attempts follow each other; locks are fair.
            async with self._locks.setdefault(consumer.id, asyncio.Lock()):
                accepted = await self._attempt(session, consumer, message_id, body)
        for wait in WAITS:
            if accepted or consumer.disabled:
                break
            await asyncio.sleep(wait * self.options.retry_scale)
            accepted = await self._attempt(session, consumer, message_id, body)
        if accepted and draw.random() < self.options.repeats:
            await self._attempt(session, consumer, message_id, body)

    async def _attempt(
        self, session: aiohttp.ClientSession, consumer: WebhookConsumer, message_id: str, body: bytes
    ) -> bool:
        if consumer.disabled:
            return False
        self.counts["attempts"] += 1
        headers = sign(body, self.secret, message_id=message_id, timestamp=int(time.time()))
        headers["Content-Type"] = "application/json"
        accepted = False
        try:
            async with session.post(
                consumer.url or "", data=body, headers=headers, allow_redirects=False
            ) as answer:
                accepted = 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            pass
        self.counts["accepted"] += accepted
        self._note(consumer, accepted)
        return accepted

    def _note(self, consumer: WebhookConsumer, accepted: bool) -> None:
        now, longest = time.monotonic(), _DISABLED_AFTER * self.options.retry_scale
        if accepted:
            self._failing_since.pop(consumer.id, None)
        elif now - self._failing_since.setdefault(consumer.id, now) > longest > 0:
            consumer.disabled = True
