"""The sandbox itself: a server on this event loop, and what a test changes about it."""

import logging
import secrets
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from codat_async.resources import catalogue
from codat_async.sandbox.admin_api import add_admin_routes
from codat_async.sandbox.attachments import Files
from codat_async.sandbox.books import Books
from codat_async.sandbox.dispatch import Dispatcher, Route
from codat_async.sandbox.editor import Editor
from codat_async.sandbox.faults import Fault, FaultPlan, parse_faults
from codat_async.sandbox.limits import RateLimiter, RateLimits
from codat_async.sandbox.paging import RenderCache
from codat_async.sandbox.platform import Platform
from codat_async.sandbox.reads import Reads
from codat_async.sandbox.routes import add_catalogue, body_models, makers, record_models
from codat_async.sandbox.routing import Router
from codat_async.sandbox.state import State
from codat_async.sandbox.syncs import Timers
from codat_async.sandbox.webhooks import Consumers, Deliveries, Events, WebhookOptions
from codat_async.sandbox.writes import Writes

_CACHE_BYTES: Final = 256 * 1024 * 1024
# Open requests get this long to end when the sandbox stops.
_SHUTDOWN_SECONDS: Final = 0.5
_MISTAKES: Final = (HttpProcessingError, web.RequestPayloadError)


class _ClientMistakes(logging.Filter):
    """Keeps requests that are not HTTP out of the log: they are answered with 400, and that is all."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        return not (record.exc_info and isinstance(record.exc_info[1], _MISTAKES))


_http_logger = logging.getLogger("codat_async.sandbox.http")
_http_logger.addFilter(_ClientMistakes())


class Sandbox:
    """A local server that speaks Codat's API over made-up books.

    Use it as an async context manager. ``companies``, ``seed``, ``size`` (records of each
    type) and ``sizes`` (by resource) shape the books. ``limits`` are those to enforce:
    :class:`RateLimits`, ``True`` for the API's own, ``None`` for none. ``faults`` is a
    profile's name, text such as ``"503;rate=0.1,latency=0.5"``, or :class:`Fault` objects.
    ``push_delay`` is how many seconds a write stays pending, ``sync_delay`` how many a sync
    takes. Books are made when first asked for, which for large ones takes seconds; the
    resources named in ``warm`` are made before it listens. ``api_key`` is random unless given.
    ``webhooks`` is how events are sent, and where to beside the consumers created by the API.

    It listens on ``127.0.0.1`` unless another ``host`` is given, on a free port unless one is given.
    """

    def __init__(
        self,
        *,
        companies: int = 3,
        seed: int = 7,
        size: int | None = None,
        sizes: Mapping[str, int] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        limits: RateLimits | bool | None = None,
        faults: str | Iterable[Fault | str] | None = None,
        push_delay: float = 0.05,
        sync_delay: float = 0.2,
        warm: Iterable[str] = (),
        webhooks: WebhookOptions | None = None,
    ) -> None:
        self.books = Books(companies=companies, seed=seed, size=size, sizes=sizes)
        self.api_key = api_key or f"sandbox-{secrets.token_hex(12)}"
        self.seed = seed
        self.port = port
        self._host = host
        self._warm = tuple(warm)
        operations = list(catalogue())
        models = record_models(operations)
        self._timers = Timers(push_delay, sync_delay)
        webhooks = webhooks or WebhookOptions()
        consumers = Consumers(webhooks.urls, seed)
        self._deliveries = Deliveries(webhooks, seed)
        self.events = Events(consumers, self._deliveries, seed)
        """Sends events that nothing in the sandbox causes."""
        self._state = State(self.books, models, seed, self._timers, self.events)
        self.records = Editor(self._state, models, seed)
        """Changes to the books from outside the API."""
        self._limiter = RateLimiter(_limits(limits), lambda: len(self.company_ids), on_quota=self._note_quota)
        reads = Reads(self._state, RenderCache(_CACHE_BYTES))
        writes = Writes(self._state, reads, body_models(operations))
        self._files = Files(reads, writes)
        router: Router[Route] = Router()
        by_kind = makers(reads, writes, self._files, Platform(self._state, reads), consumers)
        add_catalogue(router, operations, by_kind)
        plan = FaultPlan(parse_faults(faults), seed)
        self._dispatcher = Dispatcher(router, self._limiter, plan, self.api_key, host, seed)
        add_admin_routes(router, self._dispatcher, self.records, self._deliveries, self.events)
        self._exit = AsyncExitStack()

    async def start(self) -> None:
        """Starts to listen on :attr:`base_url`."""
        server = web.Server(
            self._dispatcher.handle, access_log=None, logger=_http_logger, handler_cancellation=True
        )
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        self.records.warm(self._warm)
        self._exit.callback(self._files.close)
        self._exit.callback(self._timers.stop)
        await self._deliveries.start()
        self._exit.push_async_callback(self._deliveries.stop)
        try:
            await runner.setup()
            self._exit.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, self._host, self.port).start()
        except BaseException:
            await self._exit.aclose()
            raise
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stops to listen and closes every connection."""
        await self._exit.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        """Where it listens, for ``Codat(base_url=…)``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def company_ids(self) -> list[str]:
        """The ids of the companies that there are now."""
        return self._state.company_ids

    @property
    def webhook_secret(self) -> str:
        """What the webhooks are signed with."""
        return self._deliveries.secret

    def connection_ids(self, company_id: str) -> list[str]:
        """The ids of a company's connections; raises :class:`KeyError` for an unknown company."""
        if company_id not in self.company_ids:
            raise KeyError(company_id)
        return [each.id for each in self._state.company(company_id).connections.records]

    @property
    def stats(self) -> dict[str, Any]:
        """What was served so far: requests received, answers by operation and status, and places in use.

        Status 0 is a connection that a fault broke before the answer.
        """
        return self._dispatcher.stats

    def reset_stats(self) -> None:
        """Begins to count from zero; the day's quota goes on."""
        self._dispatcher.reset_stats()

    def set_faults(self, faults: str | Iterable[Fault | str] | None) -> None:
        """Replaces the faults; their draws begin from the start."""
        self._dispatcher.plan = FaultPlan(parse_faults(faults), self.seed)

    def set_limits(self, limits: RateLimits | bool | None) -> None:
        """Replaces the limits; what was counted stays. A quota that is no longer spent counts as renewed."""
        self._limiter.limits = _limits(limits)

    def _note_quota(self, is_spent: bool) -> None:
        """Sends the event; without requests nobody else would look whether the day has ended."""
        limiter = self._limiter
        self.events.quota(is_spent, limiter.quota, limiter.remaining, limiter.resets_at)
        if is_spent:
            with suppress(RuntimeError):  # Before the start there is no loop, and nobody to send it to.
                self._timers.later(limiter.resets_in, self._look_for_reset)

    def _look_for_reset(self) -> None:
        self._limiter.look()
        if not self._limiter.remaining:
            # The timer's clock is not the one that has the date.
            self._timers.later(max(1.0, self._limiter.resets_in), self._look_for_reset)


def _limits(limits: RateLimits | bool | None) -> RateLimits | None:
    if isinstance(limits, bool):
        return RateLimits() if limits else None
    return limits
