"""Pulls one unit: reads its pages, drops duplicates, writes the rest, and records how it ended."""

import logging
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.memory import Reservation
from codat_async.bulk.extract.page import PreparedPage, comparable, prepare_document, prepare_page, selected
from codat_async.bulk.extract.reconcile import Reconciler, landed_twice, versions_of
from codat_async.bulk.failures import UNSUPPORTED, classified
from codat_async.bulk.plan.accounts import account_ids
from codat_async.bulk.plan.data_types import Scope, pull_types
from codat_async.bulk.store.checkpoint import State, UnitRow, UnitState, Watermark
from codat_async.bulk.store.compression import DamagedFile, read_ranges
from codat_async.bulk.store.writer import WriteBatch, WriteError
from codat_async.errors import BadRequest, QuotaExhausted, Unauthorized
from codat_middleware import Request, Response
from codat_middleware.clock import queued
from codat_middleware.retry import ON_RETRY, RetryEvent

__all__ = ["FATAL", "Worker"]

FATAL: Final = (Unauthorized, QuotaExhausted, WriteError)
"""The errors that end the whole pull, and not only a unit."""

_MAX_PASSES: Final = 2
_MAX_AHEAD: Final = 10
"""The most pages of one list requested ahead; the API allows as many requests in flight per company."""
_log = logging.getLogger(__name__)


class Worker:
    """Pulls one list or report."""

    def __init__(self, context: Context, row: UnitRow) -> None:
        self.context = context
        self.key, self.unit, self.state = row
        self.type = pull_types()[self.unit.type]
        self._earlier = set[int]()
        """Versions that earlier runs wrote, as far back as the overlap reaches."""
        self._reconciler = Reconciler(self._earlier)

    @contextmanager
    def _changing(self) -> Iterator[UnitState]:
        """The state, to be changed in the body; the monitor's counts follow."""
        monitor = self.context.monitor
        monitor.remove(self.unit, self.state)
        try:
            yield self.state
        finally:
            monitor.add(self.unit, self.state)

    async def run(self) -> None:
        """Pull the unit; raises only the errors in :data:`FATAL`, and on cancellation."""
        context = self.context
        context.active += 1
        try:
            with self._changing() as state:
                state.state = State.READING
                state.failure = state.error = None
            await self._read()
        except FATAL:
            raise
        except Exception as error:
            await self._fail(error)
        finally:
            context.active -= 1

    async def _read(self) -> None:
        if self.type.scope == Scope.REPORT:
            await self._read_document()
        elif self.type.scope == Scope.ACCOUNT and not self.unit.parent:
            await self._fan_out()
        else:
            await self._read_list()

    async def _fail(self, error: Exception) -> None:
        failure = classified(error)
        if failure.kind == "internal":
            _log.error("%s: unexpected error, the unit is marked as failed", self.unit, exc_info=error)
        with self._changing() as state:
            # A list of which a page was read exists, so a 404 later does not mean that it is unsupported.
            skipped = failure.kind == UNSUPPORTED and not state.pages
            state.state = State.SKIPPED if skipped else State.FAILED
            state.failure, state.error = failure.kind, failure.text
        await self._save()
        self._emit("unit_skipped" if skipped else "unit_failed")

    async def _save(self) -> None:
        key, state = self.key, replace(self.state)
        await self.context.writer.commit(lambda batch: batch.checkpoint.save(key, state))

    def _emit(self, event: str) -> None:
        unit, state = self.unit, self.state
        self.context.monitor.emit(
            event,
            type=unit.type,
            company=unit.company,
            connection=unit.connection or None,
            parent=unit.parent or None,
            rows=state.rows,
            pages=state.pages,
            requests=state.requests,
            retries=state.retries,
            waited=round(state.waited, 3),
            missing=state.missing,
            invalid=state.invalid,
            failure=state.failure,
            error=state.error,
        )

    # --- requests ------------------------------------------------------------------------

    async def _send(self, request: Request) -> Response:
        """Send a request, and count its attempts and the time that it waited."""

        def retried(event: RetryEvent) -> None:
            with self._changing() as state:
                state.requests += 1
                state.retries += 1
                state.waited += event.wait

        before = queued.get()
        try:
            return await self.context.codat.send(request.copy(extensions={ON_RETRY: retried}))
        finally:
            with self._changing() as state:
                state.requests += 1
                state.waited += queued.get() - before

    async def _send_page(self, number: int) -> Response:
        since = self.state.since
        query: dict[str, object] = {
            "page": number,
            "pageSize": self.context.run.page_size,
            "orderBy": self.state.ordered_by,
            "query": None if since is None else f"modifiedDate>={since}",
        }
        return await self._send(self.type.bound(self.context.codat).request(self.unit.ids, query))

    async def _prepare(self, body: bytes, number: int, reservation: Reservation) -> PreparedPage:
        context = self.context
        prepare = partial(prepare_page, name=self.type.name, check=context.check)
        page = await context.in_thread(prepare, body, number, self.type.model, context.compress)
        reservation.resize(len(page.payload))
        return page

    def _ahead(self) -> int:
        return min(_MAX_AHEAD, self.context.units_at_once // max(1, self.context.active))

    # --- a list --------------------------------------------------------------------------

    async def _read_list(self) -> None:
        await self._restore()
        while True:
            try:
                await self._read_pages()
            except BadRequest:
                if self.state.pages or self.state.ordered_by is None:
                    raise
                # The list cannot be ordered or filtered by its modified date: read it without.
                await self._start_over(ordered_by=None, since=None)
                continue
            state = self.state
            missing = await self.context.in_thread(
                self._reconciler.missing, state.total or 0, state.total_decrease
            )
            last = state.passes >= _MAX_PASSES
            duplicates = not last and await self._has_duplicates()
            if last or not (missing or duplicates):
                break
            self._emit("unit_reread")
            with self._changing():
                state.passes += 1
            # Without ids the records of two passes cannot be matched.
            await (self._start_over() if self._reconciler.nameless or duplicates else self._read_again())
        with self._changing() as state:
            state.missing = missing
        await self._finish()

    async def _read_pages(self) -> None:
        context, first = self.context, self.state.next_page
        if first is None:
            return
        pages = context.reader.pages(
            self.type.name,
            first,
            context.run.page_size,
            ahead=self._ahead,
            send=self._send_page,
            prepare=self._prepare,
        )
        async with aclosing(pages):
            async for page in pages:
                await self._write(page)

    async def _has_duplicates(self) -> bool:
        """Whether the file holds a version of a record more than once."""
        in_thread = self.context.in_thread
        if not await in_thread(self._reconciler.changed):
            return False
        await self._save()
        return await in_thread(landed_twice, self._lines())

    async def _restore(self) -> None:
        """Restore what an earlier process or attempt knew of this list, from what it wrote."""
        context, state = self.context, self.state
        if state.since is not None:
            try:
                self._earlier = await context.in_thread(self._earlier_versions, state.since)
            except DamagedFile as damaged:
                _log.warning("%s: falling back to a full read: %s", self.unit, damaged)
                await self._start_over(since=None)
        self._reconciler = Reconciler(self._earlier, self.state.overlap)
        try:
            await context.in_thread(self._reconciler.recollect, self._lines())
        except (FileNotFoundError, DamagedFile):
            await self._start_over()
        if self.state.passes > 1:
            # Which rows the second pass dropped is not known, so it starts again. Rows without an id
            # were not dropped in it.
            await (self._start_over() if self._reconciler.nameless else self._read_again())

    def _earlier_versions(self, since: str) -> set[int]:
        whole_since = self.context.watermarks[self.unit].whole_since
        moment = comparable(since) or since
        return versions_of(self.context.directory.earlier_lines(self.unit, whole_since, moment))

    def _lines(self) -> Iterator[list[bytes]]:
        """The lines that are written and committed."""
        size = self.state.bytes_written
        return read_ranges(self._part(), [(0, size)] if size else [])

    def _part(self) -> Path:
        run, whole = self.context.run, self.state.since is None
        return self.context.directory.part(run.id, run.compression, self.unit, whole=whole)

    async def _read_again(self) -> None:
        """Prepare to read the list once more, for what the first pass missed."""
        with self._changing() as state:
            state.next_page = 1
        await self._save()
        written = await self.context.in_thread(versions_of, self._lines())
        self._reconciler.once_more(written, self.state.total_decrease)

    async def _start_over(self, **changes: Any) -> None:
        """Discard what was read of the list."""
        key, part, monitor = self.key, self._part(), self.context.monitor
        monitor.remove(self.unit, self.state)
        old = self.state
        kept = {"since": old.since, "ordered_by": old.ordered_by, "passes": old.passes, **changes}
        self.state = UnitState(
            state=State.READING, requests=old.requests, retries=old.retries, waited=old.waited, **kept
        )
        monitor.add(self.unit, self.state)
        self._reconciler = Reconciler(self._earlier if self.state.since is not None else set())
        state = replace(self.state)

        def job(batch: WriteBatch) -> None:
            batch.checkpoint.forget_pages(key)
            batch.checkpoint.save(key, state)
            batch.cut(part, 0)

        await self.context.writer.commit(job)

    async def _write(self, page: PreparedPage) -> None:
        """Drop the rows of a page that are duplicates, and hand the rest to the writer."""
        repeated, known = self._reconciler.sort_out(page)
        dropped = repeated | known
        # The hashes take more memory than the payload, and hundreds of pages may wait for the disk.
        del page.ids[:], page.versions[:]
        if dropped:
            kept = [row for row in range(page.rows) if row not in dropped]
            page.payload = await self.context.in_thread(selected, page.payload, kept, self.context.compress)
            page.invalid = [each for each in page.invalid if each.row not in dropped]
        with self._changing() as state:
            begins = state.bytes_written
            state.bytes_written += len(page.payload)
            state.next_page = page.following
            if page.number > 1:
                state.total_decrease += max(0, (state.total or 0) - page.total)
            state.total = page.total
            state.pages += 1
            state.rows += page.rows - len(dropped)
            state.received += page.received
            if state.passes == 1:
                state.repeats += len(repeated)
                state.overlap += len(known)
            state.invalid += len(page.invalid)
            state.undated += page.undated
            state.last_modified = max(filter(None, (state.last_modified, page.last_modified)), default=None)
            saved = replace(state)
        key, part, reservation = self.key, self._part(), page.reservation

        def job(batch: WriteBatch) -> None:
            if page.payload:
                batch.write(part, begins, page.payload)
                batch.checkpoint.add_page(key, page.number, begins, saved.bytes_written, page.last_modified)
            if page.invalid:
                batch.checkpoint.add_invalid(key, page.number, page.invalid)
            batch.checkpoint.save(key, saved)

        def done(error: Exception | None) -> None:
            if reservation is not None:
                reservation.release()

        self.context.writer.submit(job, done)

    async def _finish(self) -> None:
        context, key, unit = self.context, self.key, self.unit
        with self._changing() as state:
            state.state = State.DONE
            saved = replace(state)
        part = self._part()
        watermark = self._watermark()

        def job(batch: WriteBatch) -> None:
            batch.cut(part, saved.bytes_written)
            if not saved.rows and saved.since is None and batch.checkpoint.had_rows(unit):
                # From a file without records the sinks learn that the earlier records are gone.
                saved.bytes_written = len(empty := context.compress(b""))
                batch.write(part, 0, empty)
            batch.checkpoint.save(key, saved)
            batch.checkpoint.set_watermark(unit, watermark)
            if saved.bytes_written:
                batch.after(
                    lambda: context.directory.complete(
                        context.run, key, unit, whole=saved.since is None, invalid=bool(saved.invalid)
                    )
                )

        await context.writer.commit(job)
        self._emit("unit_done")

    def _watermark(self) -> Watermark | None:
        """How far the list has been read; None if the next run must read the whole list."""
        state, before = self.state, self.context.watermarks.get(self.unit)
        if self.type.scope == Scope.REPORT or state.missing or state.undated or state.ordered_by is None:
            return None
        if self._reconciler.nameless:
            # In the next run's overlap they could not be matched with those written now.
            return None
        if state.since is None:
            before = None
        dates = (state.last_modified, None if before is None else before.modified)
        latest = max((each for each in dates if each is not None), default=None)
        if latest is None:
            return None
        # A single record dated in the future would hide all changes until then.
        latest = min(latest, comparable(self.context.run.began) or latest)
        return Watermark(latest, self.context.run.id if before is None else before.whole_since)

    # --- what is not a list --------------------------------------------------------------

    async def _read_document(self) -> None:
        context, kind = self.context, self.type
        if self.state.pages:
            await self._start_over()
        response = await self._send(kind.bound(context.codat).request(self.unit.ids, dict(kind.query)))
        prepare = partial(prepare_document, name=kind.name, check=context.check)
        await self._write(await context.in_thread(prepare, response.body, kind.model, context.compress))
        await self._finish()

    async def _fan_out(self) -> None:
        """Add a unit for each bank account of the connection."""
        context, key = self.context, self.key
        ids = await account_ids(
            context.codat, self.unit, page_size=context.run.page_size, send=self._send, ahead=self._ahead
        )
        children = [replace(self.unit, parent=each) for each in ids]
        units = [(each, UnitState(since=context.since(each))) for each in children]
        with self._changing() as state:
            state.state = State.DONE
            saved = replace(state)
        added: list[UnitRow] = []

        def job(batch: WriteBatch) -> None:
            batch.checkpoint.add_units(context.run.id, units)
            batch.checkpoint.save(key, saved)
            added.extend(filter(None, (batch.checkpoint.unit(context.run.id, each) for each in children)))

        await context.writer.commit(job)
        for row in added:
            context.monitor.add(*row[1:])
            context.enqueue(row)
