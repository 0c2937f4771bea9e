"""What all units of a run work with."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

from codat_async.bulk.extract.memory import MemoryBudget
from codat_async.bulk.plan.units import Unit
from codat_async.bulk.progress import Monitor
from codat_async.bulk.store.checkpoint import Run, UnitState, Watermark
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.writer import Writer
from codat_async.client import Codat

__all__ = ["Context", "Open"]

T = TypeVar("T")

Open: TypeAlias = tuple[int, Unit, UnitState]
"""A unit that is not ended, with its key in the checkpoint."""


class Context(Struct, kw_only=True):
    """What all units of a run work with."""

    codat: Codat
    run: Run
    target: Directory
    landing: Writer
    monitor: Monitor
    budget: MemoryBudget
    pool: ThreadPoolExecutor
    compress: Callable[[bytes], bytes]
    watermarks: dict[Unit, Watermark]
    since: Callable[[Unit], str | None]
    """The modified date from which on to read a list, where it was read before."""
    add: Callable[["Open"], None]
    """Puts a further unit in the queue."""
    check: bool = True
    units_at_once: int = 32
    active: int = 0
    page_bytes: dict[str, int] = {}
    """The size of the latest page of each type, for a guess at the next."""

    async def threaded(self, function: Callable[..., T], *args: Any) -> T:
        """Run something that takes its time beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *args)
