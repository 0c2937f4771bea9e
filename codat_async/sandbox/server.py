"""The sandbox itself: a server on this event loop, and the levers that tests pull."""

import logging
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from codat_async.resources import catalogue
from codat_async.sandbox.admin_api import add_control
from codat_async.sandbox.attachments import Files
from codat_async.sandbox.books import Books
from codat_async.sandbox.dispatch import Dispatcher, Route
from codat_async.sandbox.editor import Levers
from codat_async.sandbox.faults import Fault, FaultPlan, parse_faults
from codat_async.sandbox.limits import Governor, Limits
from codat_async.sandbox.paging import RenderCache
from codat_async.sandbox.platform import Platform
from codat_async.sandbox.reads import Reads
from codat_async.sandbox.routes import add_catalogue, body_types, makers, record_types
from codat_async.sandbox.routing import Router
from codat_async.sandbox.state import Ledger, World
from codat_async.sandbox.writes import Writes

__all__ = ["Sandbox"]

_CACHE_BYTES: Final = 256 * 1024 * 1024
# Open requests get this long to end when the sandbox stops; waits of faults end at once.
_SHUTDOWN_SECONDS: Final = 1.0


_MISTAKES: Final = (HttpProcessingError, web.RequestPayloadError)


class _NotTheClientsMistakes(logging.Filter):
    """Keeps requests that are no HTTP out of the log: they are answered with 400, and that is all."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        return not (record.exc_info and isinstance(record.exc_info[1], _MISTAKES))


_http_logger = logging.getLogger("codat_async.sandbox.http")
_http_logger.addFilter(_NotTheClientsMistakes())


class Sandbox:
    """A local server that speaks Codat's API over made-up books.

    Use it as an async context manager. ``companies``, ``seed``, ``size`` (records of each
    type) and ``sizes`` (by resource) shape the books, or ``books`` brings one's own.
    ``limits`` are those to enforce: :class:`Limits`, ``True`` for the API's own, ``None``
    for none. ``faults`` is a profile's name, text such as ``"503;rate=0.1,latency=0.5"``,
    or :class:`Fault` objects. ``push_delay`` is how many seconds a write stays pending.
    Books are made when first asked for, which for large ones takes seconds; the resources
    named in ``warm`` are made before it listens.

    It listens on ``127.0.0.1`` unless told otherwise, on a free port unless given one.
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
        limits: Limits | bool | None = None,
        faults: str | Iterable[Fault | str] | None = None,
        push_delay: float = 0.05,
        warm: Iterable[str] = (),
        books: Ledger | None = None,
    ) -> None:
        # Pyright takes no cached_property for the property of a protocol.
        made = None if books else Books(companies=companies, seed=seed, size=size, sizes=sizes)
        self.books: Ledger = books or cast(Ledger, made)
        self.api_key = api_key or _key_of(seed)
        self.seed = seed
        self.port = port
        self._host = host
        self._warm = tuple(warm)
        self._governor = Governor(_limits(limits), lambda: len(self._world))
        operations = list(catalogue())
        types = record_types(operations)
        self._world = World(self.books, types, seed)
        self._levers = Levers(self._world, types, seed)
        reads = Reads(self._world, RenderCache(_CACHE_BYTES))
        self._writes = Writes(self._world, reads, body_types(operations), push_delay)
        self._files = Files(reads, self._writes)
        router: Router[Route] = Router()
        add_catalogue(
            router, operations, makers(reads, self._writes, self._files, Platform(self._world, reads))
        )
        add_control(router, self, self._levers)
        plan = FaultPlan(parse_faults(faults), seed)
        self._dispatcher = Dispatcher(router, self._governor, plan, self.api_key, seed)
        self._exit = AsyncExitStack()

    # --- life --------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts to listen; ``base_url`` tells where."""
        server = web.Server(
            self._dispatcher.handle, access_log=None, logger=_http_logger, handler_cancellation=True
        )
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        self._levers.warm(self._warm)
        self._dispatcher.sabotage.start()
        self._exit.callback(self._files.close)
        self._exit.callback(self._writes.stop)
        try:
            await runner.setup()
            self._exit.push_async_callback(runner.cleanup)
            self._exit.callback(self._dispatcher.sabotage.stop)
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

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # --- what clients need ---------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """Where it listens, for ``Codat(base_url=…)``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def company_ids(self) -> list[str]:
        """The ids of the companies that there are now."""
        return self._world.company_ids

    def connection_ids(self, company_id: str) -> list[str]:
        """The ids of a company's connections; raises :class:`KeyError` for an unknown company."""
        if company_id not in self._world.company_ids:
            raise KeyError(company_id)
        return [each.id for each in self._world.company(company_id).connections.records]

    @property
    def stats(self) -> dict[str, Any]:
        """What was served so far: requests by operation and status, and the most in flight for a company.

        Status 0 stands for a connection that a fault broke before the answer.
        """
        counted = self._dispatcher.requests
        by_operation: dict[str, dict[str, int]] = {}
        by_status: dict[str, int] = {}
        for (label, status), number in sorted(counted.items()):
            by_operation.setdefault(label, {})[str(status)] = number
            by_status[str(status)] = by_status.get(str(status), 0) + number
        return {
            "requests": sum(counted.values()),
            "operations": by_operation,
            "statuses": by_status,
            "quotaUsed": self._governor.used,
            "inFlight": self._governor.in_flight,
            "mostInFlight": self._governor.most_in_flight,
            "keysInUse": self._dispatcher.replays.in_use,
        }

    def reset_stats(self) -> None:
        """Begins to count anew; the day's quota goes on."""
        self._dispatcher.requests.clear()
        self._governor.most_in_flight = 0

    # --- the levers ------------------------------------------------------------------------

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in force."""
        return self._dispatcher.plan.faults

    def set_faults(self, faults: str | Iterable[Fault | str] | None) -> None:
        """Replaces the faults; their draws begin anew."""
        self._dispatcher.plan = FaultPlan(parse_faults(faults), self.seed)

    @property
    def limits(self) -> Limits | None:
        """The limits in force."""
        return self._governor.limits

    def set_limits(self, limits: Limits | bool | None) -> None:
        """Replaces the limits; what was counted stays."""
        self._governor.limits = _limits(limits)

    @property
    def push_delay(self) -> float:
        """How many seconds a write stays pending."""
        return self._writes.delay

    @push_delay.setter
    def push_delay(self, seconds: float) -> None:
        self._writes.delay = seconds

    @property
    def files_folder(self) -> Path:
        """Where uploaded files are kept until the sandbox stops."""
        return self._files.folder

    @property
    def records(self) -> Levers:
        """Changes to the books from outside the API."""
        return self._levers


def _limits(limits: Limits | bool | None) -> Limits | None:
    if isinstance(limits, bool):
        return Limits() if limits else None
    return limits


def _key_of(seed: int) -> str:
    return f"sandbox-{blake2b(str(seed).encode(), digest_size=12).hexdigest()}"
