"""Which lists can have changed: decided from the data status of a company, without asking the lists.

Codat's copy of the books changes only by a sync, and ``GET /companies/{companyId}/dataStatus`` is
one request for all data types of a company. It names, by type, the latest sync and the latest
successful one. A list was read under a *token*: those ids, as they were before its first page was
requested. If they are the same tonight, the list is too.

Tokens are compared for equality only; no clocks of two machines are compared. If a company has several
connections, the token also has the latest sync of each (:class:`Synced`), from the history of syncs.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from codat_async.models import DatasetStatus, DataStatus, DataType
from codat_async.operations.base import data_type_of

__all__ = [
    "Aged",
    "Decision",
    "KnownList",
    "SyncState",
    "Synced",
    "decide",
    "in_utc",
    "period_of",
    "recheck_due",
    "same_connections",
    "settled_token",
    "state_of",
    "status_keys",
    "sync_bound",
    "sync_state",
    "token_of",
]

_CONNECTION_BYTES: Final = 4
_SYNC_BYTES: Final = 12
_AGED: Final = {
    "aged_debtors": ("customers", "invoices", "credit_notes", "payments"),
    "aged_creditors": ("suppliers", "bills", "bill_credit_notes", "bill_payments"),
}
"""The data types that a report is made of; it has no sync of its own."""
_STATEMENTS: Final = frozenset({"balance_sheet", "profit_and_loss", "cash_flow_statement"})

_RUNNING: Final = frozenset(
    {
        DatasetStatus.INITIAL,
        DatasetStatus.QUEUED,
        DatasetStatus.FETCHING,
        DatasetStatus.MAP_QUEUED,
        DatasetStatus.MAPPING,
        DatasetStatus.PROCESSING_QUEUED,
        DatasetStatus.PROCESSING,
        DatasetStatus.VALIDATION_QUEUED,
        DatasetStatus.VALIDATING,
        # Of older documents.
        DatasetStatus("Routing"),
    }
)
_ENDED: Final = frozenset(
    {
        DatasetStatus.COMPLETE,
        DatasetStatus.FETCH_ERROR,
        DatasetStatus.MAP_ERROR,
        DatasetStatus.INTERNAL_ERROR,
        DatasetStatus.PROCESSING_ERROR,
        DatasetStatus.VALIDATION_ERROR,
        DatasetStatus.AUTH_ERROR,
        DatasetStatus.CANCELLED,
        DatasetStatus.RATE_LIMIT_ERROR,
        DatasetStatus.PERMISSIONS_ERROR,
        DatasetStatus.PREREQUISITE_NOT_MET,
        DatasetStatus("RoutingError"),
    }
)


class SyncState(StrEnum):
    """What the data status says of one data type."""

    ENDED = "ended"
    """No sync runs; the latest one completed or failed."""
    RUNNING = "running"
    NOT_SYNCED = "not_synced"
    """The type was never synced: its entry names the type and nothing else."""
    NOT_SUPPORTED = "not_supported"
    """The platform does not have the type, and no sync of it ever succeeded."""
    UNKNOWN = "unknown"
    """No entry, or a status that this version does not know."""


class Decision(StrEnum):
    """What to do about a list tonight, and why."""

    READ = "read"
    UNCHANGED = "unchanged"
    SYNCING = "syncing"
    """Skipped while a sync runs; asked about once more at the end of the run."""
    NOT_SYNCED = "not_synced"
    NOT_SUPPORTED = "not_supported"
    RECHECK = "rechecked"
    """Unchanged by its token, and read all the same, to verify what the token says."""

    @property
    def reads(self) -> bool:
        """Whether the list is requested."""
        return self in (Decision.READ, Decision.RECHECK)


class Aged(StrEnum):
    """When the reports of debts by age are read again."""

    CHANGED = "changed"
    """When one of their data types was synced."""
    DAILY = "daily"
    """On each new day as well, since the same debts are a day older."""


class KnownList(Struct, frozen=True, kw_only=True):
    """What the checkpoint holds of a list."""

    token: bytes | None = None
    """The token under which it was last read whole or incrementally, if that reading was confirmed."""
    complete: bool = False
    """Whether it was ever read to its end."""
    has_records: bool = False


class Synced(Struct, frozen=True, kw_only=True):
    """The latest syncs of one data type, of each connection of a company."""

    states: frozenset[SyncState]
    parts: tuple[str, ...]
    """What identifies them."""
    bound: datetime | None = None
    """The earliest of the last successes of all connections, in UTC without a zone; None if not known."""


def sync_state(status: DataStatus | None) -> SyncState:
    """The state of a data type from its entry in the data status; ``None`` if there is no entry."""
    if status is None:
        return SyncState.UNKNOWN
    current = status.current_status
    succeeded = status.last_successful_sync is not None or status.latest_successful_sync_id is not None
    if current is None:
        return SyncState.UNKNOWN if succeeded or status.latest_sync_id else SyncState.NOT_SYNCED
    return state_of(current, succeeded=succeeded)


def state_of(current: DatasetStatus, *, succeeded: bool) -> SyncState:
    """The state of a data type by that of its latest sync; ``succeeded`` is whether any sync did."""
    if current == DatasetStatus.NOT_SUPPORTED:
        return SyncState.ENDED if succeeded else SyncState.NOT_SUPPORTED
    if current in _RUNNING:
        return SyncState.RUNNING
    return SyncState.ENDED if current in _ENDED else SyncState.UNKNOWN


@cache
def status_keys(type_name: str, *, accounts: bool = False) -> tuple[DataType, ...]:
    """The data types whose syncs change what a list or report of this name answers.

    ``accounts`` is whether the bank accounts under which there are lists are meant, not those lists.
    """
    if accounts:
        return (DataType.BANK_ACCOUNTS,)
    return tuple(map(data_type_of, _AGED.get(type_name, (type_name,))))


def period_of(type_name: str, today: date, aged: Aged = Aged.CHANGED) -> str:
    """What an answer depends on beside the syncs: the month of a statement, the day of an aged report."""
    if type_name in _STATEMENTS:
        return f"{today:%Y-%m}"
    return today.isoformat() if type_name in _AGED and aged == Aged.DAILY else ""


def token_of(
    statuses: Sequence[DataStatus | None],
    connections: Collection[str],
    *,
    period: str = "",
    synced: Sequence[Synced | None] = (),
) -> bytes:
    """What identifies the state of a list in 16 bytes: a hash of the connections, and one of all.

    ``statuses`` are the entries of the data types that the list is made of: one, or several for
    the aged reports. The latest sync counts beside the latest successful one, since a sync that
    failed late may have changed records. Platforms that name no sync ids are known by the time of
    the last success, as text. ``period`` is what else the answer depends on: the month of a
    statement. ``synced`` are the latest syncs of each connection, if there are several.
    """
    links = sorted(connections)
    parts = [period, *links]
    for status in statuses:
        success = None if status is None else status.latest_successful_sync_id
        if success is None and status is not None and status.last_successful_sync is not None:
            success = status.last_successful_sync.isoformat()
        parts += (success or "", (status and status.latest_sync_id) or "")
    for each in synced:
        parts += each.parts if each is not None else ()
    return _digest(links, _CONNECTION_BYTES) + _digest(parts, _SYNC_BYTES)


def _digest(parts: Iterable[str], size: int) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=size).digest()


def same_connections(token: bytes, connections: Collection[str]) -> bool:
    """Whether a token was made under these connections: other books are read whole."""
    return token[:_CONNECTION_BYTES] == _digest(sorted(connections), _CONNECTION_BYTES)


def decide(
    statuses: Sequence[DataStatus | None],
    connections: Collection[str],
    known: KnownList,
    *,
    period: str = "",
    recheck: bool = False,
    synced: Sequence[Synced | None] = (),
) -> Decision:
    """Whether a list has to be read.

    ``statuses`` are the entries of its types, answered before anything of the list is requested;
    ``connections`` are the ids of the company's linked accounting connections. With several of
    them an entry does not say whose sync it is, so the list is read unless ``synced`` has, for each
    entry, the latest syncs of all. A list of which nothing is known is read, even while a sync runs.
    """
    states = _states(statuses, connections, synced)
    if not states or SyncState.UNKNOWN in states:
        return Decision.READ
    if not known.has_records and states == {SyncState.NOT_SYNCED}:
        return Decision.NOT_SYNCED
    if not known.has_records and states <= {SyncState.NOT_SYNCED, SyncState.NOT_SUPPORTED}:
        return Decision.RECHECK if recheck else Decision.NOT_SUPPORTED
    if not known.complete:
        return Decision.READ
    if SyncState.RUNNING in states:
        return Decision.SYNCING
    if SyncState.ENDED not in states or known.token != token_of(
        statuses, connections, period=period, synced=synced
    ):
        return Decision.READ
    return Decision.RECHECK if recheck else Decision.UNCHANGED


def settled_token(
    statuses: Sequence[DataStatus | None],
    connections: Collection[str],
    *,
    period: str = "",
    synced: Sequence[Synced | None] = (),
) -> bytes | None:
    """The token of a list if no sync runs and its state is known; None otherwise.

    A list that was read between two answers of the data status is stored under the token if it is
    that of both. If not, the records are kept, but the list is read again next time and its
    watermark does not move.
    """
    states = _states(statuses, connections, synced)
    if not states or states & {SyncState.UNKNOWN, SyncState.RUNNING}:
        return None
    return token_of(statuses, connections, period=period, synced=synced)


def _states(
    statuses: Sequence[DataStatus | None], connections: Collection[str], synced: Sequence[Synced | None]
) -> set[SyncState]:
    """The states of the data types of a list; unknown if not all of several connections are accounted for."""
    if len(connections) > 1 and (len(synced) != len(statuses) or None in synced):
        return {SyncState.UNKNOWN}
    found = {sync_state(each) for each in statuses}
    return found.union(*(each.states for each in synced if each is not None))


def sync_bound(before: DataStatus | None) -> datetime | None:
    """The last successful sync seen before a reading, in UTC without a zone: no watermark passes it.

    A record can become visible hours after its modified date, but not before the sync that
    brought it ends; the next sync's records are all modified after the previous success. None if
    there was no success, or its time has no zone and cannot be compared.
    """
    return None if before is None else in_utc(before.last_successful_sync)


def in_utc(moment: datetime | None) -> datetime | None:
    """A moment in UTC without a zone; None if its zone is not known, or UTC has no such year."""
    if moment is None or moment.tzinfo is None:
        return None
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return None


def recheck_due(list_key: str, last_read: date, today: date, every: int) -> bool:
    """Whether an unchanged list is read tonight to verify what its token says.

    Each list has its own day in every ``every`` days, by a stable hash of its key, so that a
    night rechecks about one list in ``every``. It is due once a day of its own has come since
    it was last read, so that a night that was missed is made up for. Raises
    :class:`ValueError` if ``every`` is less than a day.
    """
    if every < 1:
        raise ValueError(f"lists are rechecked every 1 or more days, not {every}")
    offset = int.from_bytes(blake2b(list_key.encode(), digest_size=8).digest()) % every
    return (today.toordinal() + offset) // every > (last_read.toordinal() + offset) // every
