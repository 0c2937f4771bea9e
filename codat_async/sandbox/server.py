"""The sandbox itself: a server on this event loop, and the levers that tests pull."""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from codat_async.resources import catalogue
from codat_async.sandbox.dispatch import Dispatcher, Route
from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.faults import Fault, FaultPlan, parse_faults
from codat_async.sandbox.limits import Governor, Limits
from codat_async.sandbox.paging import RenderCache
from codat_async.sandbox.platform import Platform, handler_makers
from codat_async.sandbox.reads import Reads
from codat_async.sandbox.routes import add_catalogue, record_types
from codat_async.sandbox.routing import Router
from codat_async.sandbox.world import Ledger, World

__all__ = ["Sandbox"]

_CACHE_BYTES: Final = 256 * 1024 * 1024
# Open requests get this long to end when the sandbox stops; waits of faults end at once.
_SHUTDOWN_SECONDS: Final = 1.0


class Sandbox:
    """A local server that speaks Codat's API over made-up books.

    Use it as an async context manager. ``companies``, ``seed``, ``size`` (records of each
    type) and ``sizes`` (by resource) shape the books, or ``books`` brings one's own.
    ``limits`` are those to enforce: :class:`Limits`, ``True`` for the API's own, ``None``
    for none. ``faults`` is a profile's name, text such as ``"503;rate=0.1,latency=0.5"``,
    or :class:`Fault` objects. ``push_delay`` is how many seconds a write stays pending.

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
        books: Ledger | None = None,
    ) -> None:
        if books is None:
            books = _make_books(companies=companies, seed=seed, size=size, sizes=sizes)
        self.books: Any = books
        self.api_key = api_key or _key_of(seed)
        self.seed = seed
        self.push_delay = push_delay
        self.port = port
        self._host = host
        operations = list(catalogue())
        self._world = World(books, record_types(operations), seed)
        self._governor = Governor(_limits(limits), lambda: len(self._world))
        self._plan = FaultPlan(parse_faults(faults), seed)
        self._reads = Reads(self._world, RenderCache(_CACHE_BYTES))
        self._router: Router[Route] = Router()
        self._operations = operations
        self._dispatcher: Dispatcher | None = None
        self._exit = AsyncExitStack()

    # --- life --------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts to listen; ``base_url`` tells where."""
        platform = Platform(self._world, self._reads)
        special = handler_makers(platform.handlers())
        for name in (
            "create",
            "update",
            "delete",
            "get_create_model",
            "get_create_update_model",
            "list_attachments",
            "get_attachment",
            "download_attachment",
            "upload_attachment",
            "download_pdf",
            "push_operations.list",
            "push_operations.get",
            "push_operations.get_model_options",
        ):
            special[name] = lambda operation: _later
        add_catalogue(self._router, self._operations, self._reads, special)
        dispatcher = Dispatcher(self._router, self._governor, self._plan, self.api_key, self.seed)
        server = web.Server(dispatcher.handle, access_log=None, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        self._exit.push_async_callback(runner.cleanup)
        self._exit.callback(dispatcher.sabotage.stop)
        site = web.TCPSite(runner, self._host, self.port)
        try:
            await site.start()
        except BaseException:
            await self._exit.aclose()
            raise
        self._dispatcher = dispatcher
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


def _later(call: Any) -> Any:
    raise ApiError(501, "Not served yet.")


def _limits(limits: Limits | bool | None) -> Limits | None:
    if isinstance(limits, bool):
        return Limits() if limits else None
    return limits


def _key_of(seed: int) -> str:
    return f"sandbox-{blake2b(str(seed).encode(), digest_size=12).hexdigest()}"


def _make_books(**options: Any) -> Ledger:
    from codat_async.sandbox.books import Books

    return Books(**options)
