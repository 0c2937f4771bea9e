"""What all workers of a run share."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from msgspec import Struct

from codat_async.bulk.extract.fetch import PageReader
from codat_async.bulk.progress import Monitor
from codat_async.bulk.store.checkpoint import Run, UnitRow, Watermark
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.writer import Writer
from codat_async.bulk.units import Unit
from codat_async.client import Codat

__all__ = ["Context"]

T = TypeVar("T")


class Context(Struct, kw_only=True):
    """What all workers of a run share."""

    codat: Codat
    run: Run
    directory: Directory
    writer: Writer
    monitor: Monitor
    reader: PageReader
    pool: ThreadPoolExecutor
    compress: Callable[[bytes], bytes]
    watermarks: dict[Unit, Watermark]
    since: Callable[[Unit], str | None]
    """The modified date from which to read a list; None to read it whole."""
    enqueue: Callable[[UnitRow], None]
    """Adds a unit to the queue of those to read."""
    check: bool = True
    """Whether to validate each record against its model."""
    units_at_once: int = 32
    active: int = 0
    """How many workers are running."""

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run a slow function in a thread, so that the event loop is not blocked."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *args)
