"""Pulls one unit: reads its pages, drops duplicates, writes the rest, and records how it ended."""

import logging
from functools import partial
from typing import Final

from msgspec.structs import replace

from codat_async.bulk.extract.list_reading import ListReading
from codat_async.bulk.extract.page import prepare_document
from codat_async.bulk.plan.accounts import account_ids
from codat_async.bulk.plan.data_types import Scope
from codat_async.bulk.plan.freshness import status_keys
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.open_lists import Expanded
from codat_async.bulk.store.state import State
from codat_async.bulk.store.writer import WriteBatch, WriteError
from codat_async.bulk.units.failures import OUT_OF_STEP, UNSUPPORTED, Failure, classified
from codat_async.errors import ApiPaused, BadRequest, Conflict, QuotaExhausted, Unauthorized

__all__ = ["FATAL", "Worker"]

FATAL: Final = (Unauthorized, QuotaExhausted, ApiPaused, WriteError)
"""The errors that end the whole pull, and not only a unit."""

_log = logging.getLogger(__name__)


class Worker(ListReading):
    """Pulls one list or report."""

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
            self._fail(error)
        finally:
            context.active -= 1
        await self.visit.leave()

    async def _read(self) -> None:
        if self.type.scope == Scope.REPORT:
            await self._read_document()
        elif self.type.scope == Scope.ACCOUNT and not self.unit.parent:
            await self._fan_out()
        else:
            await self._read_list()

    def _fail(self, error: Exception) -> None:
        failure = classified(error)
        if isinstance(error, (BadRequest, Conflict)) and len(status_keys(self.type.name)) > 1:
            # The wording is not documented, and these reports have no parameters that could be wrong.
            failure = Failure(OUT_OF_STEP, failure.text)
        if failure.kind == "internal":
            _log.error("%s: unexpected error, the unit is marked as failed", self.unit, exc_info=error)
        # A list of which a page was read exists, so a 404 later does not mean that it is unsupported.
        skipped = failure.kind == UNSUPPORTED and not self.state.pages
        if not self._output.in_file:
            # What was in memory is read again by the next attempt.
            self._reset()
        with self._changing() as state:
            state.state = State.SKIPPED if skipped else State.FAILED
            state.failure, state.error = failure.kind, failure.text
        unit, run, state, record = self.unit, self.context.run, replace(self.state), self._record()

        def job(batch: WriteBatch) -> None:
            if skipped:
                batch.checkpoint.lists.skip(run, unit)
            else:
                batch.checkpoint.lists.save(run, unit, state)
            record(batch)

        self.context.writer.submit(job)
        if skipped and state.token is not None:
            self.visit.pend(unit, state, self._settle(Ending(token=state.token)))
        self._emit("unit_skipped" if skipped else "unit_failed")

    # --- what is not a list --------------------------------------------------------------

    async def _read_document(self) -> None:
        context, kind = self.context, self.type
        self.state.n = context.directory.draw()
        request = kind.bound(context.codat).request(self.unit.ids, dict(kind.query))
        response = await context.reader.send(kind.name, lambda limit: self._send(request, limit))
        size = len(response.body)
        work = partial(prepare_document, response.body, self._preparation(), compress=size > context.small)
        await self._write(await self._off_loop(work, size))
        await self._finish(None)

    async def _fan_out(self) -> None:
        """Add a unit for each bank account of the connection."""
        context, unit = self.context, self.unit
        ids = await account_ids(
            context.codat, unit, page_size=self._growth.size(self.state), send=self._send, ahead=self._ahead
        )
        children = [replace(unit, parent=each) for each in ids]
        with self._changing() as state:
            state.state = State.DONE
        saved, record = replace(self.state), self._record()

        def job(batch: WriteBatch) -> Expanded:
            added = batch.checkpoint.open_lists.add(context.run, children, context.since, self.visit.choose)
            self.visit.tally(added)
            batch.checkpoint.lists.finish(context.run, unit, saved, Ending())
            record(batch)
            return added

        self.visit.add(await context.writer.commit(job))
        if saved.token is not None:
            self.visit.pend(unit, saved, self._settle(Ending(token=saved.token)))
        self._emit("unit_done")
