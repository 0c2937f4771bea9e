"""Typed batches of records over many companies and types, for code that needs no files."""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from codat_async import codec
from codat_async.bulk.extract.fetch import BULK_PAGE_SIZE, SMALLEST_LIMIT, PageReader
from codat_async.bulk.extract.memory import Reservation
from codat_async.bulk.extract.page import following
from codat_async.bulk.failures import UNSUPPORTED, Failure, classified
from codat_async.bulk.plan.accounts import account_ids
from codat_async.bulk.plan.companies import find_companies
from codat_async.bulk.plan.data_types import PullType, Scope, pull_types, resolve_types
from codat_async.bulk.plan.sample import expand
from codat_async.bulk.store.checkpoint import Checkpoint, CheckpointError
from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Run, State, UnitState
from codat_async.bulk.units import Unit, interleaved
from codat_async.client import Codat
from codat_async.dedup import SeenRecords
from codat_async.errors import CodatError, InvalidRecord, QuotaExhausted, Unauthorized
from codat_async.models.base import Model
from codat_async.prefetch import Advance
from codat_middleware import Response

__all__ = ["Batch", "PartialFailure", "records"]

_log = logging.getLogger(__name__)


class Batch(Struct, kw_only=True):
    """The records of one page, typed."""

    type: str
    company: str
    connection: str | None
    parent: str | None
    """The bank account, if the records are under one."""
    page: int
    total: int
    """The number of records in the whole list, according to the API."""
    records: Sequence[Model]
    """Of the type's model, such as ``models.Invoice`` for ``invoices``; check with ``isinstance``."""
    invalid: list[InvalidRecord]
    """Records that the model rejects, with their raw bytes."""


class PartialFailure(CodatError):
    """Some lists could not be read; raised after the batches of all others."""

    def __init__(self, failures: list[tuple[Unit | str, Failure]]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        unit, failure = self.failures[0]
        return f"{len(self.failures)} lists could not be read, the first is {unit}: {failure.text}"


class _Ready(Struct):
    """A batch for the consumer, and what to record once it is acknowledged."""

    batch: Batch | None
    """None for a list that the platform does not offer."""
    unit: Unit
    next_page: int | None
    reservation: Reservation | None = None


_Item: TypeAlias = "_Ready | Exception | None"
_OnFailure: TypeAlias = Callable[[Unit | str, Failure], object]


async def records(
    codat: Codat,
    companies: Sequence[str] | None = None,
    *,
    types: Sequence[str] | None = None,
    page_size: int = BULK_PAGE_SIZE,
    checkpoint: Path | str | None = None,
    units_at_once: int = 8,
    memory: int = 64 * 1024 * 1024,
    on_failure: _OnFailure | None = None,
) -> AsyncGenerator[Batch, None]:
    """Read lists of many companies concurrently, and yield one batch per page.

    ``companies`` are ids (None for all linked ones), ``types`` names of data types (None for all).
    ``units_at_once`` lists are read concurrently. At most ``memory`` bytes of pages and one batch for
    each of those lists are read ahead, so a slow consumer slows down the reading.

    The consumer acknowledges a batch by asking for the next one. With ``checkpoint``, the path of a
    file, an interrupted reading is resumed: acknowledged batches are not yielded again, the one
    that was not acknowledged is. After a complete reading the next one starts from the beginning.

    A list that cannot be read does not stop the others: at the end ``on_failure`` is called for each
    failure, or if it is None, :class:`PartialFailure` is raised. Raises
    :class:`~codat_async.bulk.store.directory.DirectoryError` if ``checkpoint`` cannot be used,
    :class:`~codat_async.bulk.plan.data_types.UnknownDataType`, and
    :class:`~codat_async.errors.Unauthorized`.
    """
    reading = _Reading(codat, resolve_types(types), page_size, units_at_once, memory)
    found = await find_companies(codat, companies)
    reading.failures += found.failures
    acknowledged = None
    if checkpoint is not None:
        acknowledged = await asyncio.to_thread(_Acknowledged, Path(checkpoint), page_size)
    try:
        units = [unit for unit, _ in expand(found.subjects, reading.kinds)]
        reading.begin(units, acknowledged)
        async with aclosing(reading.items()) as items:
            async for ready in items:
                if ready.batch is not None:
                    yield ready.batch
                # The consumer asked for the next batch, which acknowledges this one.
                if acknowledged is not None:
                    await asyncio.to_thread(acknowledged.add, ready.unit, ready.next_page)
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


class _Reading:
    """The tasks that read lists, and the queue between them and the consumer."""

    def __init__(
        self, codat: Codat, kinds: list[PullType], page_size: int, units_at_once: int, memory: int
    ) -> None:
        self.kinds = kinds
        self.failures: list[tuple[Unit | str, Failure]] = []
        self._codat = codat.with_options(max_response_size=max(memory, SMALLEST_LIMIT))
        self._page_size = page_size
        self._at_once = units_at_once
        self._reader = PageReader(memory)
        self._queue: asyncio.Queue[_Item] = asyncio.Queue(units_at_once)
        self._started: set[Unit] = set()
        """The lists of which a page was read: a 404 later does not mean that they are unsupported."""

    def begin(self, units: list[Unit], acknowledged: "_Acknowledged | None") -> None:
        self._units = deque(interleaved(units))
        self._acknowledged = acknowledged

    async def items(self) -> AsyncGenerator[_Ready, None]:
        workers = [asyncio.create_task(self._read_units()) for _ in range(self._at_once)]
        left = len(workers)
        try:
            while left:
                item = await self._queue.get()
                if item is None:
                    left -= 1
                elif isinstance(item, Exception):
                    raise item
                else:
                    yield item
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _read_units(self) -> None:
        try:
            while self._units:
                await self._read_unit(self._units.popleft())
        except Exception as error:
            await self._queue.put(error)
        await self._queue.put(None)

    async def _read_unit(self, unit: Unit) -> None:
        first = 1 if self._acknowledged is None else self._acknowledged.next_page(unit)
        if first is None:
            return
        kind = pull_types()[unit.type]
        try:
            if kind.scope == Scope.REPORT:
                await self._read_document(unit, kind)
            elif kind.scope == Scope.ACCOUNT and not unit.parent:
                ids = await account_ids(self._codat, unit, page_size=self._page_size)
                self._units.extendleft(replace(unit, parent=each) for each in reversed(ids))
            else:
                await self._read_list(unit, kind, first)
        except (Unauthorized, QuotaExhausted):
            raise
        except CodatError as error:
            failure = classified(error)
            if failure.kind == UNSUPPORTED and first == 1 and unit not in self._started:
                await self._queue.put(_Ready(None, unit, None))
            else:
                self.failures.append((unit, failure))
        finally:
            self._started.discard(unit)

    async def _read_document(self, unit: Unit, kind: PullType) -> None:
        request = kind.bound(self._codat).request(unit.ids, dict(kind.query))
        response = await self._reader.send(
            kind.name, lambda limit: self._codat.send(request.copy(max_response_size=limit))
        )
        invalid: list[InvalidRecord] = []
        found: list[Any] = []
        try:
            found.append(codec.read(response.body, kind.model, operation=kind.name))
        except InvalidRecord as error:
            invalid.append(error)
        await self._queue.put(_Ready(_batch(unit, 1, 1, found, invalid), unit, None))

    async def _read_list(self, unit: Unit, kind: PullType, first: int) -> None:
        seen = SeenRecords()
        request = kind.bound(self._codat).request(unit.ids)

        async def send(number: int, limit: int) -> Response:
            query = (
                ("page", str(number)),
                ("pageSize", str(self._page_size)),
                ("orderBy", "modifiedDate"),
            )
            return await self._codat.send(request.copy(query=query, max_response_size=limit))

        async def prepare(body: bytes, number: int, reservation: Reservation) -> _TypedPage:
            invalid: list[InvalidRecord] = []
            page = await codec.decode_page(body, kind.model, on_invalid=invalid.append, operation=kind.name)
            next_page = following(page, number, kind.name)
            return _TypedPage(number, next_page, page.total_results, page.results, invalid, reservation)

        pages = self._reader.pages(
            kind.name, first, self._page_size, ahead=lambda: 1, send=send, prepare=prepare
        )
        advance = Advance(kind.name, (first - 1) * self._page_size)
        async with aclosing(pages):
            async for page in pages:
                self._started.add(unit)
                rows, kept = len(page.records), seen.new(page.records)
                seen.add_unreadable(invalid := len(page.invalid))
                if page.following is None and first == 1 and (count := await seen.count()) != page.total:
                    _log.warning(
                        "%s: rows shifted while the list was read: got %d records, the API reports %d",
                        unit,
                        count,
                        page.total,
                    )
                batch = _batch(unit, page.number, page.total, kept, page.invalid)
                await self._queue.put(_Ready(batch, unit, page.following, page.reservation))
                new = len(kept) + invalid
                advance.check(page.number, page.following, rows=rows + invalid, new=new, total=page.total)


class _TypedPage(Struct):
    number: int
    following: int | None
    total: int
    records: list[Any]
    invalid: list[InvalidRecord]
    reservation: Reservation | None


def _batch(unit: Unit, page: int, total: int, found: list[Any], invalid: list[InvalidRecord]) -> Batch:
    return Batch(
        type=unit.type,
        company=unit.company,
        connection=unit.connection or None,
        parent=unit.parent or None,
        page=page,
        total=total,
        records=found,
        invalid=invalid,
    )


class _Acknowledged:
    """What the consumer acknowledged, in a checkpoint file of its own."""

    def __init__(self, path: Path, page_size: int) -> None:
        try:
            self._checkpoint = Checkpoint(path)
        except (CheckpointError, sqlite3.Error, OSError) as error:
            raise DirectoryError(f"{path} cannot be used as a checkpoint: {error}") from error
        try:
            # Two readings with one file would each acknowledge what the other has not read.
            self._checkpoint.lock()
        except sqlite3.Error as error:
            self._checkpoint.close()
            raise DirectoryError(
                f"{path} cannot be used as a checkpoint: {error}; is another reading using it?"
            ) from error
        last = self._checkpoint.last_run()
        if last is None or last.ended is not None or last.page_size != page_size:
            now = datetime.now(UTC)
            run_id = f"{now:%Y%m%dT%H%M%S.%fZ}"
            last = Run(id=run_id, mode="records", page_size=page_size, compression="", began=now.isoformat())
            with self._checkpoint.transaction():
                self._checkpoint.lists.clear()
                last = self._checkpoint.begin_run(last)
        self._run = last
        self._next = {
            row.unit: None if row.progress is None else row.progress.next_page
            for row in self._checkpoint.lists.rows()
        }

    def next_page(self, unit: Unit) -> int | None:
        """The page to continue with; None if the whole list is acknowledged."""
        return self._next.get(unit, 1)

    def add(self, unit: Unit, next_page: int | None) -> None:
        """Record that all pages before ``next_page``, or all pages for None, are acknowledged."""
        lists, state = self._checkpoint.lists, UnitState(state=State.READING, next_page=next_page)
        with self._checkpoint.transaction():
            if next_page is None:
                lists.finish(self._run, unit, UnitState(), Ending(watermark=None, overlap=None))
            else:
                lists.save(self._run, unit, state)
        self._next[unit] = next_page

    def end(self) -> None:
        """Record that everything was read, so that the next reading starts from the beginning."""
        with self._checkpoint.transaction():
            self._checkpoint.end_run(self._run, datetime.now(UTC).isoformat())

    def close(self) -> None:
        """Close the file."""
        self._checkpoint.close()
