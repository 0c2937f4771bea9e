"""What an event asks for: lists of a company to be read, a company to be looked at, or a pause."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.plan.freshness import status_keys
from codat_async.bulk.store.events import SyncTrouble
from codat_async.webhooks import (
    CompanyCreated,
    CompanyDeleted,
    ConnectionConnected,
    ConnectionCreated,
    ConnectionDeleted,
    ConnectionDisconnected,
    ConnectionFailed,
    ConnectionReconnected,
    ConnectionStateChange,
    Event,
    RateLimitReached,
    ReadCompleted,
    ReadInitiallyCompleted,
    ReadResult,
)

__all__ = ["Need", "closed_until", "generated", "need_of", "troubles_of", "types_by_key"]

_LOOKS: Final = (
    CompanyCreated,
    ConnectionConnected,
    ConnectionCreated,
    ConnectionDeleted,
    ConnectionDisconnected,
    ConnectionFailed,
    ConnectionReconnected,
)
_BROKEN: Final[Mapping[type[Event], str]] = {
    ConnectionDisconnected: "disconnected",
    ConnectionFailed: "failed",
}
_WHOLE: Final = (ConnectionConnected, ConnectionReconnected, ConnectionDeleted)
_FAILED: Final = ("Error", "NotMet", "Cancelled")
"""How the statuses of syncs that failed end."""
_DAY: Final = timedelta(days=1)


class Need(Struct, frozen=True):
    """What an event asks for."""

    types: frozenset[str] = frozenset()
    """The names of the data types of the company that are to be read."""
    look: bool = False
    """Whether the company or its connections changed."""
    deleted: bool = False
    """Whether the company was deleted."""
    ignored: tuple[str, ...] = ()
    """The data types, as Codat names them, that are not pulled."""

    @property
    def any(self) -> bool:
        """Whether there is something to do."""
        return bool(self.types) or self.look or self.deleted


def types_by_key(kinds: Iterable[PullType]) -> Mapping[str, frozenset[str]]:
    """The names of the data types whose lists change with a sync, by what Codat calls the type synced."""
    found: dict[str, set[str]] = {}
    for kind in kinds:
        if kind.scope != Scope.LISTED:
            keys = [*status_keys(kind.name)]
            if kind.scope == Scope.ACCOUNT:
                keys += status_keys(kind.name, accounts=True)
            for key in keys:
                found.setdefault(str(key), set()).add(kind.name)
    return {key: frozenset(names) for key, names in found.items()}


def need_of(event: Event, by_key: Mapping[str, frozenset[str]]) -> Need:
    """What an event asks for, by the result of :func:`types_by_key`."""
    if isinstance(event, CompanyDeleted):
        return Need(deleted=True)
    if isinstance(event, _LOOKS):
        return Need(look=True)
    if not isinstance(event, (ReadCompleted, ReadInitiallyCompleted)):
        return Need()
    every = frozenset[str]().union(*by_key.values())
    results = event.payload.data_types
    if not results:
        # It names no type: the data status says which lists changed.
        return Need(types=every)
    names: set[str] = set()
    ignored: list[str] = []
    for each in results:
        if each.data_type is None:
            names |= every
        elif (found := by_key.get(str(each.data_type))) is None:
            ignored.append(str(each.data_type))
        elif each.records_modified is not False:
            names |= found
    return Need(types=frozenset(names), ignored=tuple(ignored))


def troubles_of(event: Event, now: datetime) -> list[SyncTrouble]:
    """What an event says of failed syncs and broken connections; an empty status is the end of a trouble."""
    company, at = event.company_id, generated(event, now).isoformat(timespec="seconds")
    if company is None:
        return []
    if isinstance(event, (ReadCompleted, ReadInitiallyCompleted)):
        return [_sync_trouble(company, each, at) for each in event.payload.data_types if each.data_type]
    change = getattr(event, "payload", None)
    if isinstance(change, ConnectionStateChange) and change.connection is not None and change.connection.id:
        status = _BROKEN.get(type(event), "")
        if status or isinstance(event, _WHOLE):
            errors = change.connection.data_connection_errors or []
            text = next((each.status_text for each in errors if each.status_text), "")
            return [SyncTrouble(company, change.connection.id, status, text if status else "", at)]
    return []


def _sync_trouble(company: str, result: ReadResult, at: str) -> SyncTrouble:
    status = str(result.status or "")
    failed = status.endswith(_FAILED)
    text = next((each.message for each in result.issues or () if each.message), "")
    return SyncTrouble(company, str(result.data_type), status if failed else "", text if failed else "", at)


def generated(event: Event, now: datetime) -> datetime:
    """When an event was generated, in UTC; now if it does not say."""
    return _utc(event.generated_date or now)


def closed_until(event: RateLimitReached, now: datetime) -> datetime:
    """Until when no requests are left: the expiry of the quota, or the next 00:00 UTC if it cannot be read.

    At most a day from now, since the quota is a day's.
    """
    expiry = event.payload.expiry_date
    if expiry is None:
        midnight = generated(event, now).replace(hour=0, minute=0, second=0, microsecond=0)
        return min(midnight + _DAY, now + _DAY)
    return min(_utc(expiry), now + _DAY)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
