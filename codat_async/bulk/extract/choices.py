"""Chooses which lists of a company are read, by its data status, and confirms what was read."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime

from msgspec import Struct
from msgspec.structs import replace

from codat_async import codec
from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.plan.freshness import (
    Aged,
    Decision,
    KnownList,
    confirmed_token,
    decide,
    period_of,
    recheck_due,
    same_connections,
    status_keys,
    sync_bound,
)
from codat_async.bulk.store.state import Choice, Known, UnitState, microseconds
from codat_async.bulk.units import Unit
from codat_async.client import Codat
from codat_async.models import DataStatus
from codat_middleware import Request, Response

__all__ = ["Chooser", "GateOptions", "data_status"]


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
        self.statuses: Mapping[str, DataStatus] | None = None
        """By data type; None if it was not answered."""
        self._options = options
        self._kinds = kinds
        self._connections = connections
        self._today = today
        self._last = last

    def choose(self, unit: Unit, known: Known) -> Choice:
        """Whether a list is read, and the token that its reading begins with."""
        if not self._options.enabled:
            return Choice()
        decision = decide(
            self._statuses_of(unit),
            self._connections,
            KnownList(token=known.token, complete=known.complete, has_records=known.rows > 0),
            period=self._period(unit),
            recheck=self._recheck_due(unit, known),
        )
        if self._options.full and decision in (Decision.UNCHANGED, Decision.SYNCING, Decision.RECHECK):
            decision = Decision.READ
        if not decision.reads:
            return Choice(skip=decision.value, later=decision is Decision.SYNCING and not self._last)
        return replace(
            self._stamp(unit),
            whole=known.token is not None and not same_connections(known.token, self._connections),
            recheck=decision is Decision.RECHECK,
        )

    def stamp(self, unit: Unit, state: UnitState) -> None:
        """Note in a reading that begins at page 1 what the data status says now."""
        if self._options.enabled:
            replace(self._stamp(unit), recheck=state.recheck).stamp(state)

    def _stamp(self, unit: Unit) -> Choice:
        statuses = self._statuses_of(unit)
        bound = sync_bound(statuses[0]) if len(statuses) == 1 else None
        return Choice(
            gated=True,
            # What cannot be confirmed by its own status cannot be by any.
            token=confirmed_token(statuses, statuses, self._connections, period=self._period(unit)),
            synced=None if bound is None else microseconds(bound),
        )

    def _statuses_of(
        self, unit: Unit, answer: Mapping[str, DataStatus] | None = None
    ) -> list[DataStatus | None]:
        answer = (self.statuses or {}) if answer is None else answer
        accounts = self._kinds[unit.type].scope == Scope.ACCOUNT and not unit.parent
        return [answer.get(key) for key in status_keys(unit.type, accounts=accounts)]

    def _period(self, unit: Unit) -> str:
        return period_of(unit.type, self._today, self._options.aged)

    def _recheck_due(self, unit: Unit, known: Known) -> bool:
        every, last = self._options.recheck_after, known.read_at or known.checked_at
        if every is None or last is None:
            return False
        return recheck_due(str(unit), datetime.fromtimestamp(last, UTC).date(), self._today, every)

    def confirms(self, unit: Unit, token: bytes, answer: Mapping[str, DataStatus] | None) -> bool:
        """Whether no sync came between the token and this later answer."""
        if answer is None:
            return False
        statuses = self._statuses_of(unit, answer)
        return token == confirmed_token(statuses, statuses, self._connections, period=self._period(unit))


async def data_status(
    codat: Codat, company: str, send: Callable[[Request], Awaitable[Response]]
) -> Mapping[str, DataStatus]:
    """The data status of a company by data type; raises CodatError."""
    operation = codat.refresh_data.get
    response = await send(operation.request((company,)))
    answer: Mapping[str, DataStatus] = codec.read(response.body, operation.model, operation=operation.label)
    return answer
