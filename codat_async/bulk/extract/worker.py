"""One unit's work: read its pages, drop what came before, land the rest, and say how it ended."""

import logging
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from codat_async.bulk.extract.context import Context, Open
from codat_async.bulk.extract.memory import Share
from codat_async.bulk.extract.page import (
    IdPage,
    PreparedPage,
    comparable,
    ids_of_page,
    prepare_document,
    prepare_page,
    selected,
)
from codat_async.bulk.extract.reconcile import Reconciler, landed_twice, versions_of
from codat_async.bulk.failures import UNSUPPORTED, classified
from codat_async.bulk.plan.data_types import PullType, Scope, pull_types
from codat_async.bulk.store.checkpoint import State, UnitState, Watermark
from codat_async.bulk.store.compression import DamagedFile, read_ranges
from codat_async.bulk.store.writer import Batch, WriteError
from codat_async.errors import BadRequest, QuotaExhausted, Unauthorized
from codat_async.prefetch import read_pages
from codat_middleware import Response
from codat_middleware.clock import queued
from codat_middleware.retry import ON_RETRY, RetryEvent

__all__ = ["STOPS", "Worker"]

STOPS: Final = (Unauthorized, QuotaExhausted, WriteError)
"""What ends the whole pull, and not only a unit."""

_READINGS: Final = 2
_AHEAD: Final = 10
"""Most pages of one list under way; the API allows as many requests in flight per company."""
_FIRST_GUESS: Final = 256 * 1024
_log = logging.getLogger(__name__)


class Worker:
    """A unit at work."""

    def __init__(self, tools: Context, opened: Open) -> None:
        self.tools = tools
        self.key, self.unit, self.state = opened
        self.kind = pull_types()[self.unit.type]
        self._earlier = set[int]()
        """Versions that an earlier run landed, as far back as the overlap goes."""
        self._readings = Reconciler(self._earlier)
        self._shares: set[Share] = set()
        """Of pages that are not on their way to the disk yet."""

    @contextmanager
    def _changing(self) -> Iterator[UnitState]:
        """The state, to be changed; the monitor counts the change."""
        monitor = self.tools.monitor
        monitor.leave(self.unit, self.state)
        try:
            yield self.state
        finally:
            monitor.take(self.unit, self.state)

    async def run(self) -> None:
        """Do it; raises only what :data:`STOPS` the whole pull, and cancellation."""
        tools = self.tools
        tools.active += 1
        try:
            with self._changing() as state:
                state.state = State.READING
                state.failure = state.error = None
            await self._read()
        except STOPS:
            raise
        except Exception as error:
            await self._fail(error)
        finally:
            tools.active -= 1
            for share in [*self._shares]:
                self._give_back(share)

    async def _read(self) -> None:
        if self.kind.scope == Scope.REPORT:
            await self._read_document()
        elif self.kind.scope == Scope.ACCOUNT and not self.unit.parent:
            await self._fan_out()
        else:
            await self._read_list()

    async def _fail(self, error: Exception) -> None:
        failure = classified(error)
        if failure.kind == "internal":
            _log.error("%s: unexpected", self.unit, exc_info=error)
        with self._changing() as state:
            # A list of which a page came is there, whatever the next request says.
            skipped = failure.kind == UNSUPPORTED and not state.pages
            state.state = State.SKIPPED if skipped else State.FAILED
            state.failure, state.error = failure.kind, failure.text
        await self._save()
        self._tell("unit_skipped" if skipped else "unit_failed")

    async def _save(self) -> None:
        key, state = self.key, replace(self.state)
        await self.tools.landing.commit(lambda batch: batch.checkpoint.save(key, state))

    def _tell(self, event: str) -> None:
        unit, state = self.unit, self.state
        self.tools.monitor.tell(
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

    # --- asking --------------------------------------------------------------------------

    async def _send(self, ids: tuple[str, ...], kind: PullType, query: dict[str, object]) -> Response:
        def retried(event: RetryEvent) -> None:
            with self._changing() as state:
                state.requests += 1
                state.retries += 1
                state.waited += event.wait

        before = queued.get()
        request = kind.bound(self.tools.codat).request(ids, query)
        try:
            return await self.tools.codat.send(request.copy(extensions={ON_RETRY: retried}))
        finally:
            with self._changing() as state:
                state.requests += 1
                state.waited += queued.get() - before

    def _query(self, number: int) -> dict[str, object]:
        since = self.state.since
        return {
            "page": number,
            "pageSize": self.tools.run.page_size,
            "orderBy": self.state.ordered_by,
            "query": None if since is None else f"modifiedDate>={since}",
        }

    async def _fetch(self, number: int) -> PreparedPage:
        tools, kind = self.tools, self.kind
        share = await tools.budget.take(tools.page_bytes.get(kind.name, _FIRST_GUESS))
        self._shares.add(share)
        try:
            response = await self._send(self.unit.ids, kind, self._query(number))
            share.resize(len(response.body))
            tools.page_bytes[kind.name] = len(response.body)
            work = partial(prepare_page, name=kind.name, check=tools.check)
            digest = await tools.threaded(work, response.body, number, kind.model, tools.compress)
        except BaseException:
            # The list may be read on without this page, and would wait for what it holds.
            self._give_back(share)
            raise
        share.resize(len(digest.payload))
        digest.share = share
        return digest

    def _give_back(self, share: Share | None) -> None:
        if share is not None:
            share.release()
            self._shares.discard(share)

    def _ahead(self) -> int:
        return min(_AHEAD, self.tools.units_at_once // max(1, self.tools.active))

    # --- a list --------------------------------------------------------------------------

    async def _read_list(self) -> None:
        await self._recollect()
        while True:
            try:
                await self._read_on()
            except BadRequest:
                if self.state.pages or self.state.ordered_by is None:
                    raise
                # A list that cannot be ordered or narrowed by its modified date is read as it comes.
                await self._begin_again(ordered_by=None, since=None)
                continue
            state = self.state
            missing = await self.tools.threaded(self._readings.missing, state.total or 0, state.shrunk)
            last = state.readings >= _READINGS
            twice = not last and await self._landed_twice()
            if last or not (missing or twice):
                break
            self._tell("unit_shifted")
            with self._changing():
                state.readings += 1
            # Without ids the two readings cannot be told apart.
            await (self._begin_again() if self._readings.nameless or twice else self._read_over())
        with self._changing() as state:
            state.missing = missing
        await self._finish()

    async def _read_on(self) -> None:
        first = self.state.next_page
        if first is None:
            return
        size = self.tools.run.page_size
        pages = read_pages(
            self._fetch,
            first,
            ahead=self._ahead,
            last=lambda page: -(-page.total // size),
            drop=lambda page: self._give_back(page.share),
        )
        async with aclosing(pages):
            async for page in pages:
                await self._land(page)

    async def _landed_twice(self) -> bool:
        """Whether the file holds a version more than once."""
        threaded = self.tools.threaded
        if not await threaded(self._readings.changed):
            return False
        await self._save()
        return await threaded(landed_twice, self._lines())

    async def _recollect(self) -> None:
        """Bring back what an earlier process, or attempt, knew of this list when it stopped."""
        tools, state = self.tools, self.state
        if state.since is not None:
            watermark = tools.watermarks[self.unit]
            try:
                self._earlier = await tools.threaded(
                    tools.target.earlier_versions, self.unit, watermark.whole_since, state.since
                )
            except DamagedFile as damaged:
                _log.warning("%s: read whole, since %s", self.unit, damaged)
                await self._begin_again(since=None)
        self._readings = Reconciler(self._earlier, self.state.overlap)
        try:
            await tools.threaded(self._readings.recollect, self._lines())
        except (FileNotFoundError, DamagedFile):
            await self._begin_again()
        if self.state.readings > 1:
            # What of the second reading was dropped is not known, so it begins once more; what
            # has no id could not be dropped then.
            await (self._begin_again() if self._readings.nameless else self._read_over())

    def _lines(self) -> Iterator[list[bytes]]:
        """The lines that landed, once the checkpoint tells of them."""
        landed = self.state.landed
        return read_ranges(self._part(), [(0, landed)] if landed else [])

    def _part(self) -> Path:
        run = self.tools.run
        return self.tools.target.part(run.id, run.compression, self.unit, whole=self.state.since is None)

    async def _read_over(self) -> None:
        """Read the list once more, for what the first reading missed."""
        with self._changing() as state:
            state.next_page = 1
        await self._save()
        landed = await self.tools.threaded(versions_of, self._lines())
        self._readings.once_more(landed, self.state.shrunk)

    async def _begin_again(self, **changes: Any) -> None:
        """Forget what was read of the list."""
        key, part, monitor = self.key, self._part(), self.tools.monitor
        monitor.leave(self.unit, self.state)
        old = self.state
        kept = {"since": old.since, "ordered_by": old.ordered_by, "readings": old.readings, **changes}
        self.state = UnitState(
            state=State.READING, requests=old.requests, retries=old.retries, waited=old.waited, **kept
        )
        monitor.take(self.unit, self.state)
        self._readings = Reconciler(self._earlier if self.state.since is not None else set())
        state = replace(self.state)

        def job(batch: Batch) -> None:
            batch.checkpoint.forget_pages(key)
            batch.checkpoint.save(key, state)
            batch.cut(part, 0)

        await self.tools.landing.commit(job)

    async def _land(self, page: PreparedPage) -> None:
        repeated, known = self._readings.sort_out(page)
        dropped = repeated | known
        # They take more than the payload does, and a page may wait for the disk among hundreds.
        del page.ids[:], page.versions[:]
        again = self.state.readings > 1
        if dropped:
            kept = [row for row in range(page.rows) if row not in dropped]
            page.payload = await self.tools.threaded(selected, page.payload, kept, self.tools.compress)
            page.invalid = [each for each in page.invalid if each.row not in dropped]
        with self._changing() as state:
            begins = state.landed
            state.landed += len(page.payload)
            state.next_page = page.following
            if page.number > 1:
                state.shrunk += max(0, (state.total or 0) - page.total)
            state.total = page.total
            state.pages += 1
            state.rows += page.rows - len(dropped)
            state.received += page.received
            if not again:
                state.repeats += len(repeated)
                state.overlap += len(known)
            state.invalid += len(page.invalid)
            state.undated += page.undated
            state.last_modified = max(filter(None, (state.last_modified, page.last_modified)), default=None)
            saved = replace(state)
        key, part, share = self.key, self._part(), page.share
        if share is not None:
            self._shares.discard(share)

        def job(batch: Batch) -> None:
            if page.payload:
                batch.write(part, begins, page.payload)
                batch.checkpoint.add_page(key, page.number, begins, saved.landed, page.last_modified)
            if page.invalid:
                batch.checkpoint.add_invalid(key, page.number, page.invalid)
            batch.checkpoint.save(key, saved)

        def done(error: Exception | None) -> None:
            if share is not None:
                share.release()

        self.tools.landing.submit(job, done)

    async def _finish(self) -> None:
        tools, key, unit = self.tools, self.key, self.unit
        with self._changing() as state:
            state.state = State.DONE
            saved = replace(state)
        part = self._part()
        watermark = self._watermark()
        compress = tools.compress

        def job(batch: Batch) -> None:
            batch.cut(part, saved.landed)
            if not saved.rows and saved.since is None and batch.checkpoint.had_rows(unit):
                # A file without records tells the sinks that what they had is gone.
                saved.landed = len(empty := compress(b""))
                batch.write(part, 0, empty)
            batch.checkpoint.save(key, saved)
            batch.checkpoint.set_watermark(unit, watermark)
            if saved.landed:
                batch.after(
                    lambda: tools.target.complete(
                        tools.run, key, unit, whole=saved.since is None, invalid=bool(saved.invalid)
                    )
                )

        await tools.landing.commit(job)
        self._tell("unit_done")

    def _watermark(self) -> Watermark | None:
        """How far the list has been read; None where the next run must read it whole again."""
        state, before = self.state, self.tools.watermarks.get(self.unit)
        if self.kind.scope == Scope.REPORT or state.missing or state.undated or state.ordered_by is None:
            return None
        if self._readings.nameless:
            # In the overlap they could not be told from those that landed.
            return None
        if state.since is None:
            before = None
        told = (state.last_modified, None if before is None else before.modified)
        latest = max((each for each in told if each is not None), default=None)
        if latest is None:
            return None
        # One record that is dated in the future would hide all that changes until then.
        latest = min(latest, comparable(self.tools.run.began) or latest)
        return Watermark(latest, self.tools.run.id if before is None else before.whole_since)

    # --- what is not a list --------------------------------------------------------------

    async def _read_document(self) -> None:
        tools, kind = self.tools, self.kind
        if self.state.pages:
            await self._begin_again()
        response = await self._send(self.unit.ids, kind, dict(kind.query))
        work = partial(prepare_document, name=kind.name, check=tools.check)
        await self._land(await tools.threaded(work, response.body, kind.model, tools.compress))
        await self._finish()

    async def _fan_out(self) -> None:
        """Make a unit of each bank account."""
        accounts = pull_types()["bank_accounts"]
        size = self.tools.run.page_size

        async def fetch(number: int) -> IdPage:
            response = await self._send(self.unit.ids, accounts, {"page": number, "pageSize": size})
            return ids_of_page(response.body, number, name=accounts.name)

        ids: dict[str, None] = {}
        pages = read_pages(fetch, 1, ahead=self._ahead, last=lambda page: -(-page.total // size))
        async with aclosing(pages):
            async for page in pages:
                ids.update(dict.fromkeys(page.ids))
        children = [replace(self.unit, parent=each) for each in ids]
        units = [(each, UnitState(since=self.tools.since(each))) for each in children]
        with self._changing() as state:
            state.state = State.DONE
            saved = replace(state)
        run, key = self.tools.run.id, self.key
        made: list[Open] = []

        def job(batch: Batch) -> None:
            batch.checkpoint.add_units(run, units)
            batch.checkpoint.save(key, saved)
            made.extend(filter(None, (batch.checkpoint.unit(run, each) for each in children)))

        await self.tools.landing.commit(job)
        for each in made:
            self.tools.monitor.take(*each[1:])
            self.tools.add(each)
