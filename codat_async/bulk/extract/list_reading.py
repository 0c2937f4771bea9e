"""Reads the pages of one list in growing sizes, drops duplicates, and writes the rest."""

import logging
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.gate import Visit
from codat_async.bulk.extract.growth import RESIZABLE, Growth
from codat_async.bulk.extract.memory import Reservation
from codat_async.bulk.extract.output import Output
from codat_async.bulk.extract.page import Preparation, PreparedPage, prepare_page, selected
from codat_async.bulk.extract.reading import Reading
from codat_async.bulk.extract.reconcile import Reconciler, stable_versions, versions_of, written_twice
from codat_async.bulk.plan.data_types import Scope
from codat_async.bulk.store.compression import DamagedFile
from codat_async.bulk.store.lines import head_of
from codat_async.bulk.store.segments import read_pages
from codat_async.bulk.store.state import Opened, State, UnitState, microseconds
from codat_async.bulk.store.versions import unpack_hashes
from codat_async.bulk.store.writer import WriteBatch
from codat_async.errors import BadRequest
from codat_async.prefetch import Advance
from codat_middleware import Response

__all__ = ["ListReading"]

T = TypeVar("T")

_MAX_PASSES: Final = 2
_MAX_AHEAD: Final = 10
"""The most pages of one list requested ahead; the API allows as many requests in flight per company."""
_INLINE: Final = 64 * 1024
"""Bytes of a body up to which preparing it takes less time than handing it to a thread and back."""
_KEPT: Final = (
    "since", "ordered_by", "passes", "page_size", "largest", "gated", "token", "synced", "recheck",
)  # fmt: skip
"""What is kept of the state of a list that is read again from its beginning."""
_log = logging.getLogger(__name__)


class ListReading(Reading):
    """The reading of a list, or of a report that is written like one."""

    def __init__(self, context: Context, opened: Opened, visit: Visit) -> None:
        super().__init__(context, opened, visit)
        self._earlier = set[int]()
        """Stable hashes of the versions that earlier runs wrote, as far back as the overlap reaches."""
        self._reconciler = Reconciler(self._earlier)
        self._output = Output(context, self.unit, self.state)
        self._growth = Growth(context.reader, opened.unit, context.run.page_size)
        self._growth.begin(self.state, opened.rows)
        self._large = self._output.in_file
        """Whether the list is too large to stay in memory, judged by its total once a page was read."""

    def _reset(self, **changes: Any) -> None:
        """Forget what was read, but not what it took."""
        old, monitor = self.state, self.context.monitor
        kept = {name: getattr(old, name) for name in _KEPT} | changes
        monitor.remove(self.unit, old)
        self.state = UnitState(
            state=State.READING, requests=old.requests, retries=old.retries, waited=old.waited, **kept
        )
        monitor.add(self.unit, self.state)
        self._output.discard(old, None)

    async def _send_page(self, size: int, number: int, limit: int) -> Response:
        since = self.state.since
        query: dict[str, object] = {
            "page": number,
            "pageSize": size,
            "orderBy": self.state.ordered_by,
            "query": None if since is None else f"modifiedDate>={since}",
        }
        return await self._send(self.type.bound(self.context.codat).request(self.unit.ids, query), limit)

    async def _prepare(self, body: bytes, number: int, reservation: Reservation) -> PreparedPage:
        compress = self._large or len(body) > self.context.small
        work = partial(prepare_page, body, number, self._preparation(), compress=compress)
        page = await self._off_loop(work, len(body))
        reservation.resize(len(page.payload))
        return page

    async def _off_loop(self, work: Callable[[], T], size: int) -> T:
        """Do what takes long in a thread; what is short is done sooner than a thread could begin."""
        return work() if size <= _INLINE else await self.context.in_thread(work)

    def _preparation(self) -> Preparation:
        context, state = self.context, self.state
        bounds = [context.began]
        if state.synced is not None:
            bounds.append(state.synced)
        if state.gated and self.before is not None:
            # If the reading is not confirmed, the next one begins where this one did.
            bounds.append(self.before.watermark)
        read_at = datetime.now(UTC).replace(microsecond=0) if self.type.scope == Scope.REPORT else None
        return Preparation(
            name=self.type.name,
            model=self.type.model if context.check else None,
            head=head_of(self.unit, state.n, whole=state.whole, read_at=read_at),
            compress=context.compress,
            began=min(bounds),
            overlap=context.overlap,
            incremental=bool(self._earlier),
        )

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
            missing = await self._off_loop(
                partial(self._reconciler.missing, state.total or 0, state.total_decrease), state.received
            )
            last = state.passes >= _MAX_PASSES
            duplicates = not last and await self._has_duplicates()
            if last or not (missing or duplicates):
                break
            self._emit("unit_reread")
            with self._changing():
                state.passes += 1
            # Without ids the records of two passes cannot be matched.
            start_over = duplicates or self._reconciler.has_records_without_id
            await (self._start_over() if start_over else self._read_again())
        if missing != self.state.missing:
            with self._changing() as state:
                state.missing = missing
        await self._finish(self._watermark())

    async def _read_pages(self) -> None:
        if self.state.next_page is None:
            return
        if not self.state.n:
            self.state.n = self.context.directory.draw()
        advance = Advance(self.type.name, self._growth.offset(self.state))
        while self.state.next_page is not None:
            try:
                await self._read_pages_of_one_size(advance)
            except RESIZABLE as error:
                size = self._growth.smaller(self.state, error)
                if size is None:
                    raise
                self._resize(size)
                self.state.largest = size

    def _resize(self, size: int) -> None:
        with self._changing() as state:
            self._growth.resize(state, size)

    async def _read_pages_of_one_size(self, advance: Advance) -> None:
        """Read pages until the list ends, or larger ones can be read."""
        context, size, first = self.context, self._growth.size(self.state), self.state.next_page
        assert first is not None
        pages = context.reader.pages(
            self.type.name,
            first,
            size,
            ahead=self._ahead,
            send=partial(self._send_page, size),
            prepare=self._prepare,
            last=lambda page: self._growth.last(self.state, page),
        )
        async with aclosing(pages):
            async for page in pages:
                before = self._reconciler.rows
                await self._write(page)
                new = self._reconciler.rows - before
                advance.check(page.number, page.following, rows=page.rows, new=new, total=page.total)
                larger = self._growth.grown(self.state, page)
                if larger is not None:
                    self._resize(larger)
                    return

    async def _has_duplicates(self) -> bool:
        """Whether the lines have a version of a record more than once."""
        received = self.state.received
        if not await self._off_loop(self._reconciler.may_have_duplicates, received):
            return False
        await self._flush()
        return await self._off_loop(partial(written_twice, self._output.lines(self.state)), received)

    async def _flush(self) -> None:
        """Wait until the pages in the own file are committed."""
        if self._output.in_file:
            unit, run, state = self.unit, self.context.run, replace(self.state)
            await self.context.writer.commit(lambda batch: batch.checkpoint.lists.save(run, unit, state))

    async def _restore(self) -> None:
        """Restore what an earlier process or attempt knew of this list, from what it wrote."""
        if self.state.since is not None:
            try:
                self._earlier = await self._earlier_versions()
            except (DamagedFile, FileNotFoundError) as damaged:
                _log.warning("%s: falling back to a full read: %s", self.unit, damaged)
                await self._start_over(since=None)
        if self._earlier or self._output.in_file:
            self._reconciler = Reconciler(self._earlier, self.state.overlap)
        if not self._output.in_file:
            return
        try:
            await self.context.in_thread(self._reconciler.restore, self._output.lines(self.state))
        except (FileNotFoundError, DamagedFile):
            await self._start_over()
        if self.state.passes > 1:
            # Which rows the second pass dropped is not known, so it starts again. Rows without an id
            # were not dropped in it.
            await (self._start_over() if self._reconciler.has_records_without_id else self._read_again())

    async def _earlier_versions(self) -> set[int]:
        before, context = self.before, self.context
        if before is None:
            return set()
        if before.overlap is not None:
            return unpack_hashes(before.overlap)
        if not before.file:
            return set()
        file, since = before.file, before.watermark - context.overlap

        def find(batch: WriteBatch) -> Any:
            files = batch.checkpoint.files
            return files.one(file), files.pages(file, since)

        row, pages = await context.writer.commit(find)
        if row is None:
            raise FileNotFoundError(f"the file {file} of the last reading is gone")
        return await context.in_thread(
            lambda: stable_versions(read_pages(context.directory.layout, row, pages))
        )

    async def _read_again(self) -> None:
        """Prepare to read the list once more, for what the first pass missed."""
        with self._changing() as state:
            state.next_page = 1
        await self._flush()
        written = await self._off_loop(
            partial(versions_of, self._output.lines(self.state)), self.state.received
        )
        self._reconciler.begin_second_pass(written, self.state.total_decrease)

    async def _start_over(self, **changes: Any) -> None:
        """Discard what was read of the list."""
        old, output, unit, run = self.state, self._output, self.unit, self.context.run
        self._reset(**changes)
        if old.pages:
            await self.visit.retake(unit, self.state)
        self._reconciler = Reconciler(self._earlier if self.state.since is not None else set())
        if self.state.since is None:
            self._earlier, self.before = set(), None
        if output.in_file:
            state, record = replace(self.state), self._record()

            def job(batch: WriteBatch) -> None:
                output.discard(old, batch)
                batch.checkpoint.lists.save(run, unit, state)
                record(batch)

            await self.context.writer.commit(job)
        self._output = Output(self.context, unit, self.state)

    async def _write(self, page: PreparedPage) -> None:
        """Drop the rows of a page that are duplicates, and hand the rest to the writer."""
        context, output = self.context, self._output
        repeated, known = self._reconciler.sort_out(page)
        dropped = repeated | known
        # The hashes take more memory than the payload, and hundreds of pages may wait for the disk.
        del page.stable[:]
        if dropped:
            kept = [row for row in range(page.rows) if row not in dropped]
            page.payload = await self._off_loop(
                partial(selected, page, kept, context.compress), page.received
            )
            page.invalid = [each for each in page.invalid if each.row not in dropped]
        if page.rows and page.received // page.rows * page.total > context.small:
            self._large = True
        first = b""
        if not output.in_file and (page.compressed or output.outgrows(len(page.payload))):
            first = await output.move_to_file(self.state)
        if output.in_file and not page.compressed and page.payload:
            page.payload = await self._off_loop(partial(context.compress, page.payload), len(page.payload))
        with self._changing() as state:
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
        output.note(page, self.state)
        if output.in_file:
            output.append(self.state, first + page.payload, page.reservation, self._record())
        else:
            output.hold(page)

    async def _finish(self, watermark: int | None) -> None:
        with self._changing() as state:
            state.state = State.DONE
            if state.missing:
                # What was not read must not be taken for unchanged.
                state.token = None
        settle = await self._output.finish(
            self.state, watermark, self.before, self._record, partial(self._emit, "unit_done")
        )
        if settle is not None:
            self.visit.pend(self.unit, self.state, settle)

    def _watermark(self) -> int | None:
        """How far the list has been read; None if the next run must read the whole list."""
        state, before = self.state, self.before
        if state.missing or state.undated or state.ordered_by is None:
            return None
        if self._reconciler.has_records_without_id:
            # In the next run's overlap they could not be matched with those written now.
            return None
        dates: list[int] = [] if before is None or state.whole else [before.watermark]
        if state.last_modified is not None:
            dates.append(microseconds(datetime.fromisoformat(state.last_modified)))
        if not dates:
            return None
        if state.gated and state.synced is None:
            # How far this reading reaches is not known.
            return None if before is None or state.whole else before.watermark
        # A single record dated in the future would hide all changes until then.
        bound = self.context.began if state.synced is None else min(self.context.began, state.synced)
        return min(max(dates), bound)
