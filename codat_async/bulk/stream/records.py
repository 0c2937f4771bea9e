"""Typed batches of records over many companies and types, for code that needs no files."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

from codat_async.bulk.extract.choices import GateOptions
from codat_async.bulk.plan.companies import find_companies
from codat_async.bulk.plan.data_types import resolve_types
from codat_async.bulk.stream.acknowledged import Acknowledged
from codat_async.bulk.stream.batches import Batch, PartialFailure
from codat_async.bulk.stream.reading import OVERLAP, StreamReading
from codat_async.bulk.units.failures import Failure
from codat_async.bulk.units.unit import Unit
from codat_async.client import Codat

__all__ = ["records"]

_OnFailure: TypeAlias = Callable[[Unit | str, Failure], object]


async def records(
    codat: Codat,
    companies: Sequence[str] | None = None,
    *,
    types: Sequence[str] | None = None,
    page_size: int | None = None,
    checkpoint: Path | str | None = None,
    units_at_once: int = 8,
    memory: int = 64 * 1024 * 1024,
    on_failure: _OnFailure | None = None,
    freshness: bool = True,
    recheck_after: int | None = 28,
) -> AsyncGenerator[Batch, None]:
    """Read lists of many companies concurrently, and yield one batch per page.

    ``companies`` are ids (None for all linked ones), ``types`` names of data types (None for all).
    ``page_size`` is the number of records a request; None for 500, and more in long lists.
    ``units_at_once`` lists are read concurrently, of one company or of several. Their batches come as
    they are read, those of each list in the order of its pages. At most ``memory`` bytes of pages and
    one batch for each of those lists are read ahead, so a slow consumer slows down the reading.

    The consumer acknowledges a batch by asking for the next one. With ``checkpoint``, the path of a
    file, an interrupted reading is resumed: acknowledged batches are not yielded again, the one
    that was not acknowledged is. After a complete reading the next one yields only what changed since:
    with ``freshness`` the data status of a company says which of its lists can have changed, and the
    others are read all the same after ``recheck_after`` days (None for never).

    A list that cannot be read does not stop the others: at the end ``on_failure`` is called for each
    failure, or if it is None, :class:`PartialFailure` is raised. Raises
    :class:`~codat_async.bulk.store.directory.DirectoryError` if ``checkpoint`` cannot be used,
    :class:`~codat_async.bulk.plan.data_types.UnknownDataType`, and
    :class:`~codat_async.errors.Unauthorized`.
    """
    reading = StreamReading(
        codat, resolve_types(types, listed=False, codat=codat), page_size or 0, units_at_once, memory
    )
    found = await find_companies(codat, companies)
    reading.failures += found.failures
    acknowledged = None
    if checkpoint is not None:
        acknowledged = await asyncio.to_thread(Acknowledged, Path(checkpoint), page_size or 0, OVERLAP)
    try:
        options = GateOptions(enabled=freshness, recheck_after=recheck_after)
        reading.begin(found.subjects, acknowledged, options)
        async with aclosing(reading.items()) as items:
            async for ready in items:
                if ready.batch is not None:
                    yield ready.batch
                # The consumer asked for the next batch, which acknowledges this one.
                await reading.acknowledge(ready)
                if ready.reservation is not None:
                    ready.reservation.release()
        if acknowledged is not None:
            await asyncio.to_thread(acknowledged.end)
    finally:
        if acknowledged is not None:
            acknowledged.close()
    if on_failure is not None:
        for unit, failure in reading.failures:
            on_failure(unit, failure)
    elif reading.failures:
        raise PartialFailure(reading.failures)
