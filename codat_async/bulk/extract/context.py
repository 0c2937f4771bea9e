"""What all workers of a run share."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from msgspec import Struct

from codat_async.bulk.extract.fetch import PageReader
from codat_async.bulk.extract.progress import Monitor
from codat_async.bulk.store.counts import Tally
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.state import Run
from codat_async.bulk.store.writer import Writer
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
    tally: Tally
    """The sums of the run, as far as they are committed."""
    began: int
    """When the run began, in microseconds since 1970."""
    overlap: int
    """How far before its watermark an incremental reading begins, in microseconds."""
    since: Callable[[str, int], str | None]
    """The modified date from which to read a list, by its type and watermark; None to read it whole."""
    small: int
    """Bytes of lines of a list that are kept in memory; a larger list has a file of its own."""
    check: bool = True
    """Whether to validate each record against its model."""
    units_at_once: int = 32
    active: int = 0
    """How many workers are running."""

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run a slow function in a thread, so that the event loop is not blocked."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *args)
