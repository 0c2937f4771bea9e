"""Asks the data status of a company just before its lists are read, and once more after.

In between the company is visited: each list that is opened carries the token of the first answer,
and is confirmed by the second. What was read is stored at once either way; what a confirmation
adds is the token, and how far the list has been read.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from codat_async.bulk.extract.choices import Answer, Chooser, GateOptions, ask_status
from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.feed import Entry
from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.plan.freshness import status_keys
from codat_async.bulk.store.counts import DATA_STATUS
from codat_async.bulk.store.open_lists import Expanded
from codat_async.bulk.store.state import Opened, UnitState
from codat_async.bulk.store.writer import WriteBatch
from codat_async.bulk.units.failures import classified
from codat_async.bulk.units.unit import Unit
from codat_async.errors import ApiPaused, CodatError, QuotaExhausted, SyncFailed, SyncTimeout, Unauthorized
from codat_middleware import Request, Response
from codat_middleware.clock import queued
from codat_middleware.retry import ON_RETRY, RetryEvent
from codat_middleware.text import one_line

__all__ = ["Gate", "Settle", "Visit"]

_REFRESH_SECONDS: Final = 600.0
_log = logging.getLogger(__name__)
Settle: TypeAlias = Callable[[WriteBatch, bool], None]
"""Stores, within a batch, what a reading leaves for the next one, given whether it was confirmed."""


class _Pending(Struct):
    unit: Unit
    token: bytes
    settle: Settle
    missed: bool
    """Whether a recheck found a change that no sync accounts for."""


class Visit(Chooser):
    """A company whose lists are being read."""

    def __init__(self, gate: "Gate", company: str, connections: Sequence[str], *, last: bool = False) -> None:
        super().__init__(gate.options, gate.kinds, connections, gate.today(), last=last)
        self.company = company
        self.open = 0
        """Its lists that are still to be read."""
        self._gate = gate
        self._pending: list[_Pending] = []

    async def retake(self, unit: Unit, state: UnitState) -> None:
        """Ask again for a reading that begins again at page 1."""
        if self._gate.options.enabled:
            self.answer = await self._gate.ask(self)
            self.stamp(unit, state)

    def tally(self, expanded: Expanded) -> None:
        """Add what was decided about further lists to the sums of the run, within a batch."""
        self._gate.tally(expanded)

    def add(self, expanded: Expanded) -> None:
        """Have the further lists read that were opened, once that is committed."""
        self._gate.show(expanded)
        self.open += len(expanded.opened)
        for each in expanded.opened:
            self._gate.enqueue(each, self)

    # --- the end ---------------------------------------------------------------------------

    def pend(self, unit: Unit, state: UnitState, settle: Settle) -> None:
        """Keep what is to be stored of a reading until the status was asked again."""
        assert state.token is not None
        missed = state.recheck and not state.whole and state.rows > 0
        self._pending.append(_Pending(unit, state.token, settle, missed))

    async def leave(self) -> None:
        """Note that a list has ended; after the last one confirm them all."""
        self.open -= 1
        if self.open or not self._pending:
            return
        pending, self._pending = self._pending, []
        answer = await self._gate.ask(self)
        results = [(each, self.confirms(each.unit, each.token, answer)) for each in pending]

        def job(batch: WriteBatch) -> None:
            for each, confirmed in results:
                each.settle(batch, confirmed)
                if confirmed and each.missed:
                    self._gate.context.tally.count(each.unit.type, "missed")

        self._gate.context.writer.submit(job)
        for each, confirmed in results:
            if confirmed and each.missed:
                self._gate.missed(each.unit)


class Gate:
    """Lets the lists of companies through that can have changed."""

    def __init__(
        self,
        context: Context,
        options: GateOptions,
        kinds: Sequence[PullType],
        since: Callable[[str, int], str | None],
    ) -> None:
        self.context = context
        self.options = options
        self.kinds = {kind.name: kind for kind in kinds}
        self._since = since
        self.enqueue: Callable[[Opened, Visit], None]
        """Adds a list to those to be read. The window's."""
        self._requests = UnitState()
        self._warned = False

    def today(self) -> date:
        """The day in UTC, which rechecks and the periods of reports go by."""
        return datetime.now(UTC).date()

    async def enter(self, entry: Entry, *, last: bool) -> tuple[Visit, list[Opened]]:
        """Visit a company: ask its status, then open the lists among its queued types that are to be read.

        ``last`` is whether what is syncing is not asked about again.
        """
        company, types = entry.company, entry.types
        visit = Visit(self, company, entry.connections, last=last)
        if self.options.enabled:
            if self.options.refresh and types:
                await self._refresh(company, types)
            visit.answer = await self.ask(visit)
        for each in entry.opened:
            if not each.state.file:
                # What an earlier attempt had in memory is gone: it begins at page 1.
                visit.stamp(each.unit, each.state)
        found = [*entry.opened]
        if types:
            expanded = await self._expand(visit, types)
            self.show(expanded)
            found += expanded.opened
            if self.options.enabled:
                self._emit(company, expanded)
        visit.open = len(found)
        return visit, found

    async def _expand(self, visit: Visit, types: int) -> Expanded:
        context, company = self.context, visit.company

        def places(type_name: str) -> Sequence[tuple[str, str]]:
            if self.kinds[type_name].scope in (Scope.CONNECTION, Scope.ACCOUNT):
                return [(connection, "") for connection in visit.connections]
            return [("", "")]

        def job(batch: WriteBatch) -> Expanded:
            checkpoint = batch.checkpoint
            expanded = checkpoint.open_lists.expand(
                context.run, company, types, places, self._since, visit.choose
            )
            checkpoint.files.remove(expanded.dropped)
            self.tally(expanded)
            checkpoint.checks.note(context.run, company, expanded.done, expanded.skipped)
            return expanded

        return await context.writer.commit(job)

    def tally(self, expanded: Expanded) -> None:
        """Add what was decided to the sums of the run, within a batch."""
        for name, units in expanded.planned.items():
            self.context.tally.plan(name, units)
        for reason, types in expanded.skipped.items():
            for name, units in types.items():
                self.context.tally.count(name, reason, units)

    def show(self, expanded: Expanded) -> None:
        """Add what was decided to the progress, once it is committed."""
        for name, units in expanded.planned.items():
            self.context.monitor.count(name, "units", units)
        for reason, types in expanded.skipped.items():
            for name, units in types.items():
                self.context.monitor.count(name, reason, units)

    def _emit(self, company: str, expanded: Expanded) -> None:
        rechecked = sum(each.state.recheck for each in expanded.opened)
        skipped = {reason: sum(types.values()) for reason, types in expanded.skipped.items()}
        self.context.monitor.emit(
            "company_checked",
            company=company,
            read=len(expanded.opened) - rechecked,
            rechecked=rechecked,
            **skipped,
        )

    def missed(self, unit: Unit) -> None:
        """Report that a recheck found a change that no sync accounts for."""
        self.context.monitor.count(unit.type, "missed", 1)
        self.context.monitor.emit("change_missed", type=unit.type, company=unit.company)
        _log.warning("%s: changed without a sync that its data status names", unit)

    # --- requests --------------------------------------------------------------------------

    async def ask(self, visit: Visit) -> Answer | None:
        """The data status of a company; None if it is not answered."""
        company = visit.company
        try:
            return await ask_status(self.context.codat, company, visit.connections, self._send)
        except (Unauthorized, QuotaExhausted, ApiPaused):
            raise
        except CodatError as error:
            failure = classified(error)
            self.context.monitor.emit("status_failed", company=company, kind=failure.kind, error=failure.text)
            if not self._warned:
                self._warned = True
                _log.warning(
                    "the data status of company %s is not known, so all its lists are read: %s",
                    one_line(company),
                    failure.text,
                )
            return None

    async def _refresh(self, company: str, types: int) -> None:
        keys = self.context.directory.checkpoint.keys
        names = [name for name in self.kinds if types >> keys.type(name) & 1]
        wanted = dict.fromkeys(key for name in names for key in status_keys(name))
        try:
            await self.context.codat.refresh_data.wait(
                company, wanted, refresh=True, timeout=_REFRESH_SECONDS
            )
        except (Unauthorized, QuotaExhausted, ApiPaused):
            raise
        except CodatError as error:
            # What is older is read all the same; the status says which syncs failed or still run.
            states = error.states if isinstance(error, (SyncFailed, SyncTimeout)) else {}
            self.context.monitor.emit("refresh_failed", company=company, error=str(error), states=states)
            _log.warning("company %s was not refreshed: %s", one_line(company), error)

    async def _send(self, request: Request) -> Response:
        def retried(event: RetryEvent) -> None:
            self._count(requests=1, retries=1, waited=event.wait)

        before = queued.get()
        try:
            return await self.context.codat.send(request.copy(extensions={ON_RETRY: retried}))
        finally:
            self._count(requests=1, waited=queued.get() - before)

    def _count(self, *, requests: int, retries: int = 0, waited: float = 0.0) -> None:
        context, before, state = self.context, replace(self._requests), self._requests
        state.requests += requests
        state.retries += retries
        state.waited += waited
        after, unit = replace(state), Unit(DATA_STATUS, "")
        context.monitor.remove(unit, before)
        context.monitor.add(unit, after)
        if context.writer.error is None:
            context.writer.submit(lambda batch: context.tally.change(DATA_STATUS, before, after))
