"""Chooses which lists of a company are read, by its data status, and confirms what was read."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from codat_async import codec
from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.plan.freshness import (
    Aged,
    Decision,
    KnownList,
    Synced,
    decide,
    period_of,
    recheck_due,
    same_connections,
    settled_token,
    status_keys,
    sync_bound,
)
from codat_async.bulk.plan.sync_history import HISTORY_SIZE, SyncHistory
from codat_async.bulk.store.state import Choice, Known, UnitState, microseconds
from codat_async.bulk.units.unit import Unit
from codat_async.client import Codat
from codat_async.models import DataStatus, PullOperation
from codat_async.operations import Operation
from codat_middleware import Request, Response

__all__ = ["Answer", "Chooser", "GateOptions", "ask_status"]


class GateOptions(Struct, frozen=True, kw_only=True):
    """How it is decided which lists are read."""

    enabled: bool = True
    full: bool = False
    """Read what is unchanged, too."""
    refresh: bool = False
    """Queue a sync of a company's types, and wait for it, before its status is asked."""
    recheck_after: int | None = 28
    """Days after which an unchanged list is read all the same; None for never."""
    aged: Aged = Aged.CHANGED


class Answer(Struct, frozen=True):
    """What was answered about the syncs of a company."""

    statuses: Mapping[str, DataStatus]
    """By data type."""
    history: SyncHistory | None = None
    """The latest syncs; only asked for if there are several connections."""


class Chooser:
    """What the data status of a company, as it was last answered, says of its lists."""

    def __init__(
        self,
        options: GateOptions,
        kinds: Mapping[str, PullType],
        connections: Sequence[str],
        today: date,
        *,
        last: bool = False,
    ) -> None:
        self.answer: Answer | None = None
        """The last answer; None if there is none."""
        self.kinds = kinds
        """The data types by name."""
        self.connections = connections
        self._options = options
        self._today = today
        self._last = last

    def choose(self, unit: Unit, known: Known) -> Choice:
        """Whether a list is read, and the token that its reading begins with."""
        if not self._options.enabled:
            return Choice()
        statuses, synced = self._syncs_of(unit, self.answer)
        decision = decide(
            statuses,
            self.connections,
            KnownList(token=known.token, complete=known.complete, has_records=known.rows > 0),
            period=self._period(unit),
            recheck=self._recheck_due(unit, known),
            synced=synced,
        )
        if self._options.full and decision in (Decision.UNCHANGED, Decision.SYNCING, Decision.RECHECK):
            decision = Decision.READ
        if not decision.reads:
            return Choice(skip=decision.value, later=decision is Decision.SYNCING and not self._last)
        return replace(
            self._stamp(unit, statuses, synced),
            whole=known.token is not None and not same_connections(known.token, self.connections),
            recheck=decision is Decision.RECHECK,
        )

    def stamp(self, unit: Unit, state: UnitState) -> None:
        """Note in a reading that begins at page 1 what the data status says now."""
        if self._options.enabled:
            replace(self._stamp(unit, *self._syncs_of(unit, self.answer)), recheck=state.recheck).stamp(state)

    def _stamp(
        self, unit: Unit, statuses: Sequence[DataStatus | None], synced: Sequence[Synced | None]
    ) -> Choice:
        bounds = [
            *(sync_bound(each) for each in statuses),
            *(None if each is None else each.bound for each in synced),
        ]
        known = [each for each in bounds if each is not None]
        bound = min(known) if len(statuses) == 1 and len(known) == len(bounds) else None
        return Choice(
            gated=True,
            # What cannot be confirmed by its own status cannot be by any.
            token=settled_token(statuses, self.connections, period=self._period(unit), synced=synced),
            synced=None if bound is None else microseconds(bound),
        )

    def _syncs_of(
        self, unit: Unit, answer: Answer | None
    ) -> tuple[list[DataStatus | None], list[Synced | None]]:
        """What an answer says of the data types of a list, and of their syncs if there are connections."""
        accounts = self.kinds[unit.type].scope == Scope.ACCOUNT and not unit.parent
        keys = status_keys(unit.type, accounts=accounts)
        statuses = [None if answer is None else answer.statuses.get(key) for key in keys]
        if answer is None or answer.history is None:
            return statuses, []
        return statuses, [answer.history.of(each, self.connections) for each in statuses]

    def _period(self, unit: Unit) -> str:
        return period_of(unit.type, self._today, self._options.aged)

    def _recheck_due(self, unit: Unit, known: Known) -> bool:
        every, last = self._options.recheck_after, known.read_at or known.checked_at
        if every is None or last is None:
            return False
        return recheck_due(str(unit), datetime.fromtimestamp(last, UTC).date(), self._today, every)

    def confirms(self, unit: Unit, token: bytes, answer: Answer | None) -> bool:
        """Whether no sync came between the token and this later answer."""
        if answer is None:
            return False
        statuses, synced = self._syncs_of(unit, answer)
        period = self._period(unit)
        return token == settled_token(statuses, self.connections, period=period, synced=synced)


async def ask_status(
    codat: Codat,
    company: str,
    connections: Sequence[str],
    send: Callable[[Request], Awaitable[Response]],
) -> Answer:
    """Ask the data status of a company, and its latest syncs if it has several connections.

    Raises CodatError.
    """
    operation = cast(Operation, codat.refresh_data.get)
    response = await send(operation.request((company,)))
    statuses: Mapping[str, DataStatus] = codec.read(response.body, operation.model, operation=operation.label)
    if len(connections) < 2:
        return Answer(statuses)
    listing = cast(Operation, codat.refresh_data.list_pull_operations)
    query: dict[str, object] = {"page": 1, "pageSize": HISTORY_SIZE, "orderBy": "-requested"}
    response = await send(listing.request((company,), query))
    page = await codec.decode_page(response.body, PullOperation, operation=listing.label)
    complete = page.total_results <= len(page.results)
    return Answer(statuses, SyncHistory(page.results, complete=complete))
