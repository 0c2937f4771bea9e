"""One reading of a list: its state, in step with the progress and the sums of the run, and its requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.gate import Settle, Visit
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Opened, UnitState
from codat_async.bulk.store.writer import WriteBatch
from codat_middleware import Request, Response
from codat_middleware.clock import queued
from codat_middleware.retry import ON_RETRY, RetryEvent

__all__ = ["Reading"]


class Reading:
    """The state of a list that is being read."""

    def __init__(self, context: Context, opened: Opened, visit: Visit) -> None:
        self.context = context
        self.visit = visit
        self.unit, self.before = opened.unit, opened.before
        self.state = replace(opened.state)
        self.type = visit.kinds[self.unit.type]
        self._recorded = opened.state
        """The state as it is in the sums of the run."""

    @contextmanager
    def _changing(self) -> Iterator[UnitState]:
        """The state, to be changed in the body; the monitor's counts follow."""
        monitor = self.context.monitor
        monitor.remove(self.unit, self.state)
        try:
            yield self.state
        finally:
            monitor.add(self.unit, self.state)

    def _record(self) -> Callable[[WriteBatch], None]:
        """What puts the present state into the sums of the run, within a batch."""
        before, after = self._recorded, replace(self.state)
        self._recorded = after
        tally, name = self.context.tally, self.unit.type
        return lambda batch: tally.change(name, before, after)

    def _settle(self, ending: Ending) -> Settle:
        """What stores an ending if the reading is confirmed."""
        unit, run = self.unit, self.context.run

        def settle(batch: WriteBatch, confirmed: bool) -> None:
            if confirmed:
                batch.checkpoint.lists.confirm(run, unit, ending)

        return settle

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

    async def _send(self, request: Request, limit: int | None = None) -> Response:
        """Send a request, and count its attempts and the time that it waited."""

        def retried(event: RetryEvent) -> None:
            with self._changing() as state:
                state.requests += 1
                state.retries += 1
                state.waited += event.wait

        before = queued.get()
        try:
            sent = request.copy(extensions={ON_RETRY: retried}, max_response_size=limit)
            return await self.context.codat.send(sent)
        finally:
            waited = queued.get() - before
            self.state.requests += 1
            self.state.waited += waited
            self.context.monitor.sent(self.unit, waited)
