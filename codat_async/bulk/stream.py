"""Typed batches over many companies and types, for code that wants records and no files."""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from codat_async import codec
from codat_async.bulk.extract.memory import MemoryBudget, Share
from codat_async.bulk.extract.page import Key, following
from codat_async.bulk.extract.seen import Seen
from codat_async.bulk.failures import UNSUPPORTED, Failure, classified
from codat_async.bulk.plan.companies import find_companies
from codat_async.bulk.plan.data_types import PullType, Scope, pull_types, resolve_types
from codat_async.bulk.plan.estimate import account_ids, expand
from codat_async.bulk.plan.units import Unit, interleaved
from codat_async.bulk.store.checkpoint import Checkpoint, Run, State, UnitState
from codat_async.bulk.store.directory import DirectoryError
from codat_async.client import Codat
from codat_async.errors import CodatError, InvalidRecord, QuotaExhausted, Unauthorized
from codat_async.models.base import Model
from codat_async.prefetch import read_pages

__all__ = ["Batch", "PartlyFailed", "records"]

_PAGE_SIZE: Final = 500
_FIRST_GUESS: Final = 256 * 1024
_log = logging.getLogger(__name__)


class Batch(Struct, kw_only=True):
    """The records of one page, typed."""

    type: str
    company: str
    connection: str | None
    parent: str | None
    """The bank account, where the records are under one."""
    page: int
    total: int
    """What the API says the whole list holds."""
    records: Sequence[Model]
    """Of the type's model, such as ``models.Invoice`` for ``invoices``; ``isinstance`` tells them apart."""
    invalid: list[InvalidRecord]
    """Records that the model does not accept, with their raw bytes."""


class PartlyFailed(CodatError):
    """Some lists could not be read; raised once all others were handed out."""

    def __init__(self, failures: list[tuple[Unit | str, Failure]]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        unit, failure = self.failures[0]
        return f"{len(self.failures)} lists could not be read; the first: {unit}: {failure.text}"


class _Ready(Struct):
    """A batch on its way to the consumer, and what its acknowledgement means."""

    batch: Batch | None
    unit: Unit
    next_page: int | None
    share: Share | None = None


_Item: TypeAlias = "_Ready | Exception | None"
_OnFailure: TypeAlias = Callable[[Unit | str, Failure], object]


async def records(
    codat: Codat,
    companies: Sequence[str] | None = None,
    *,
    types: Sequence[str] | None = None,
    page_size: int = _PAGE_SIZE,
    checkpoint: Path | str | None = None,
    units_at_once: int = 8,
    memory: int = 64 * 1024 * 1024,
    on_failure: _OnFailure | None = None,
) -> AsyncGenerator[Batch, None]:
    """Read lists of many companies side by side, and hand out a page at a time.

    ``companies`` are ids (all linked ones for None), ``types`` names of data types (all for
    None). No more is read ahead than ``memory`` bytes and a batch for each of
    ``units_at_once`` lists, so a slow consumer slows the reading down.

    By asking for the next batch the consumer acknowledges the one it has. With
    ``checkpoint``, a file, acknowledged batches are not handed out again when a reading
    that was broken off is taken up; the one that was not is. A reading that came to its
    end begins anew.

    A list that cannot be read does not stop the others: ``on_failure`` is told of it, or
    :class:`PartlyFailed` is raised at the end. Raises
    :class:`~codat_async.bulk.store.directory.DirectoryError` for a ``checkpoint`` that cannot be used,
    and :class:`~codat_async.bulk.plan.data_types.UnknownDataType`.
    """
    reading = _Reading(codat, resolve_types(types), page_size, units_at_once, memory)
    found = await find_companies(codat, companies)
    reading.failures += found.failures
    ledger = None if checkpoint is None else await asyncio.to_thread(_Ledger, Path(checkpoint), page_size)
    try:
        units = [unit for unit, _ in expand(found.subjects, reading.kinds)]
        reading.begin(units, ledger)
        async with aclosing(reading.items()) as items:
            async for ready in items:
                if ready.batch is not None:
                    yield ready.batch
                # The consumer has asked for more.
                if ledger is not None:
                    await asyncio.to_thread(ledger.acknowledge, ready.unit, ready.next_page)
                if ready.share is not None:
                    ready.share.release()
        if ledger is not None:
            await asyncio.to_thread(ledger.end)
    finally:
        if ledger is not None:
            ledger.close()
    if on_failure is not None:
        for unit, failure in reading.failures:
            on_failure(unit, failure)
    elif reading.failures:
        raise PartlyFailed(reading.failures)


class _Reading:
    """Workers that read, and the queue between them and the consumer."""

    def __init__(
        self, codat: Codat, kinds: list[PullType], page_size: int, units_at_once: int, memory: int
    ) -> None:
        self.kinds = kinds
        self.failures: list[tuple[Unit | str, Failure]] = []
        self._codat = codat
        self._page_size = page_size
        self._at_once = units_at_once
        self._budget = MemoryBudget(memory)
        self._queue: asyncio.Queue[_Item] = asyncio.Queue(units_at_once)
        self._guess: dict[str, int] = {}
        self._begun: set[Unit] = set()
        """The lists at work of which a page came: they are there, whatever the next request says."""

    def begin(self, units: list[Unit], ledger: "_Ledger | None") -> None:
        self._units = deque(interleaved(units))
        self._ledger = ledger

    async def items(self) -> AsyncGenerator[_Ready, None]:
        workers = [asyncio.create_task(self._work()) for _ in range(self._at_once)]
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

    async def _work(self) -> None:
        try:
            while self._units:
                await self._one(self._units.popleft())
        except Exception as error:
            await self._queue.put(error)
        await self._queue.put(None)

    async def _one(self, unit: Unit) -> None:
        first = 1 if self._ledger is None else self._ledger.next_page(unit)
        if first is None:
            return
        kind = pull_types()[unit.type]
        try:
            if kind.scope == Scope.REPORT:
                await self._document(unit, kind)
            elif kind.scope == Scope.ACCOUNT and not unit.parent:
                ids, _ = await account_ids(self._codat, unit)
                self._units.extendleft(replace(unit, parent=each) for each in reversed(ids))
            else:
                await self._list(unit, kind, first)
        except (Unauthorized, QuotaExhausted):
            raise
        except CodatError as error:
            failure = classified(error)
            if failure.kind == UNSUPPORTED and first == 1 and unit not in self._begun:
                await self._queue.put(_Ready(None, unit, None))
            else:
                self.failures.append((unit, failure))
        finally:
            self._begun.discard(unit)

    async def _document(self, unit: Unit, kind: PullType) -> None:
        response = await self._codat.send(kind.bound(self._codat).request(unit.ids, dict(kind.query)))
        invalid: list[InvalidRecord] = []
        found: list[Any] = []
        try:
            found.append(codec.decode(response.body, kind.model, operation=kind.name))
        except InvalidRecord as error:
            invalid.append(error)
        await self._queue.put(_Ready(_batch(unit, 1, 1, found, invalid), unit, None))

    async def _list(self, unit: Unit, kind: PullType, first: int) -> None:
        shares: set[Share] = set()
        seen = Seen()
        request = kind.bound(self._codat).request(unit.ids)

        async def fetch(number: int) -> _TypedPage:
            share = await self._budget.take(self._guess.get(kind.name, _FIRST_GUESS))
            shares.add(share)
            query = (
                ("page", str(number)),
                ("pageSize", str(self._page_size)),
                ("orderBy", "modifiedDate"),
            )
            invalid: list[InvalidRecord] = []
            try:
                response = await self._codat.send(request.copy(query=query))
                share.resize(len(response.body))
                self._guess[kind.name] = len(response.body)
                page = await codec.decode_page(
                    response.body, kind.model, on_invalid=invalid.append, operation=kind.name
                )
                next_page = following(page, number, kind.name)
            except BaseException:
                give_back(share)
                raise
            return _TypedPage(number, next_page, page.total_results, page.results, invalid, share)

        def give_back(share: Share) -> None:
            share.release()
            shares.discard(share)

        try:
            size = self._page_size
            pages = read_pages(
                fetch,
                first,
                ahead=lambda: 1,
                last=lambda page: -(-page.total // size),
                drop=lambda page: give_back(page.share),
            )
            async with aclosing(pages):
                async for page in pages:
                    self._begun.add(unit)
                    kept = _new(page.records, seen)
                    seen.nameless += len(page.invalid)
                    if page.following is None and first == 1 and (count := seen.count()) != page.total:
                        _log.warning("%s: rows shifted while paging: %d of %d read", unit, count, page.total)
                    batch = _batch(unit, page.number, page.total, kept, page.invalid)
                    await self._queue.put(_Ready(batch, unit, page.following, page.share))
                    shares.discard(page.share)
        finally:
            for share in [*shares]:
                give_back(share)


class _TypedPage(Struct):
    number: int
    following: int | None
    total: int
    records: list[Any]
    invalid: list[InvalidRecord]
    share: Share


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


def _new(found: list[Any], seen: Seen) -> list[Any]:
    """The records that did not come before through a shift of the pages."""
    keys = [Key(getattr(each, "id", None), getattr(each, "modified_date", None)).hashes() for each in found]
    same = seen.repeats([each for each, _ in keys], [each for _, each in keys])
    return [record for row, record in enumerate(found) if row not in same] if same else found


class _Ledger:
    """What was acknowledged, in a checkpoint file of its own."""

    def __init__(self, path: Path, page_size: int) -> None:
        try:
            self._checkpoint = Checkpoint(path)
        except sqlite3.Error as error:
            raise DirectoryError(f"{path} cannot be used as a checkpoint: {error}") from error
        db = self._checkpoint.db
        try:
            # Two readings on one file would each acknowledge what the other has not seen.
            db.execute("pragma locking_mode = exclusive")
            db.execute("begin immediate")
        except sqlite3.Error as error:
            self._checkpoint.close()
            raise DirectoryError(f"{path} is in use by another reading: {error}") from error
        last = self._checkpoint.last_run()
        if last is None or last.ended is not None or last.page_size != page_size:
            now = datetime.now(UTC)
            run_id = f"{now:%Y%m%dT%H%M%S.%fZ}"
            last = Run(id=run_id, mode="records", page_size=page_size, compression="", began=now.isoformat())
            self._checkpoint.begin_run(last)
        db.execute("commit")
        self._run = last
        self._next = {unit: (key, state) for key, unit, state in self._checkpoint.units(last.id)}

    def next_page(self, unit: Unit) -> int | None:
        """The page to go on with; None where all of the list was acknowledged."""
        return self._next[unit][1].next_page if unit in self._next else 1

    def acknowledge(self, unit: Unit, next_page: int | None) -> None:
        """Note that everything before that page has been dealt with."""
        state = UnitState(state=State.DONE if next_page is None else State.READING, next_page=next_page)
        db = self._checkpoint.db
        db.execute("begin")
        if unit not in self._next:
            self._checkpoint.add_units(self._run.id, [(unit, state)])
            found = self._checkpoint.unit(self._run.id, unit)
            assert found is not None
            self._next[unit] = (found[0], state)
        else:
            key = self._next[unit][0]
            self._checkpoint.save(key, state)
            self._next[unit] = (key, state)
        db.execute("commit")

    def end(self) -> None:
        """Note that everything was read, so that the next reading begins anew."""
        self._checkpoint.end_run(self._run.id, datetime.now(UTC).isoformat())

    def close(self) -> None:
        """Close the file."""
        self._checkpoint.close()
