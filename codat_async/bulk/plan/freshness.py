"""Which lists can have changed: decided from the data status of a company, without asking the lists.

Codat's copy of the books changes only by a sync, and ``GET /companies/{companyId}/dataStatus`` is
one request for all data types of a company. It names, by type, the latest sync and the latest
successful one. A list was read under a *token*: those ids, as they were before its first page was
requested. If they are the same tonight, the list is too.

Tokens are compared for equality only; no clocks of two machines are compared.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from codat_async.models import DatasetStatus, DataStatus

__all__ = [
    "Decision",
    "KnownList",
    "SyncState",
    "bounded_watermark",
    "confirmed_token",
    "decide",
    "recheck_due",
    "sync_state",
    "token_of",
]

_TOKEN_BYTES: Final = 16

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


class KnownList(Struct, frozen=True, kw_only=True):
    """What the checkpoint holds of a list."""

    token: bytes | None = None
    """The token under which it was last read whole or incrementally, if that reading was confirmed."""
    complete: bool = False
    """Whether it was ever read to its end."""
    has_records: bool = False


def sync_state(status: DataStatus | None) -> SyncState:
    """The state of a data type from its entry in the data status; ``None`` if there is no entry."""
    if status is None:
        return SyncState.UNKNOWN
    current = status.current_status
    succeeded = status.last_successful_sync is not None or status.latest_successful_sync_id is not None
    if current is None:
        return SyncState.UNKNOWN if succeeded or status.latest_sync_id else SyncState.NOT_SYNCED
    if current == DatasetStatus.NOT_SUPPORTED:
        return SyncState.ENDED if succeeded else SyncState.NOT_SUPPORTED
    if current in _RUNNING:
        return SyncState.RUNNING
    return SyncState.ENDED if current in _ENDED else SyncState.UNKNOWN


def token_of(
    statuses: Sequence[DataStatus | None], connections: Collection[str], *, period: str = ""
) -> bytes:
    """What identifies the state of a list: its types' syncs and the company's connections, hashed.

    ``statuses`` are the entries of the data types that the list is made of: one, or several for
    the aged reports. The latest sync counts beside the latest successful one, since a sync that
    failed late may have changed records. Platforms that name no sync ids are known by the time of
    the last success, as text. ``period`` is what else the answer depends on: the month of a
    statement.
    """
    parts = [period, *sorted(connections)]
    for status in statuses:
        success = None if status is None else status.latest_successful_sync_id
        if success is None and status is not None and status.last_successful_sync is not None:
            success = status.last_successful_sync.isoformat()
        parts += (success or "", (status and status.latest_sync_id) or "")
    return blake2b("\0".join(parts).encode(), digest_size=_TOKEN_BYTES).digest()


def decide(
    statuses: Sequence[DataStatus | None],
    connections: Collection[str],
    known: KnownList,
    *,
    period: str = "",
    recheck: bool = False,
) -> Decision:
    """Whether a list has to be read.

    ``statuses`` are the entries of its types, answered before anything of the list is requested;
    ``connections`` are the ids of the company's linked accounting connections. With several of
    them an entry does not say whose sync it is, so the list is read. A list of which nothing is
    known is read, even while a sync runs.
    """
    states = {sync_state(each) for each in statuses}
    if len(connections) > 1 or not states or SyncState.UNKNOWN in states:
        return Decision.READ
    if not known.has_records and states == {SyncState.NOT_SYNCED}:
        return Decision.NOT_SYNCED
    if not known.has_records and states <= {SyncState.NOT_SYNCED, SyncState.NOT_SUPPORTED}:
        return Decision.RECHECK if recheck else Decision.NOT_SUPPORTED
    if not known.complete:
        return Decision.READ
    if SyncState.RUNNING in states:
        return Decision.SYNCING
    if SyncState.ENDED not in states or known.token != token_of(statuses, connections, period=period):
        return Decision.READ
    return Decision.RECHECK if recheck else Decision.UNCHANGED


def confirmed_token(
    before: Sequence[DataStatus | None],
    after: Sequence[DataStatus | None],
    connections: Collection[str],
    *,
    period: str = "",
) -> bytes | None:
    """The token to store for a list that was read between two answers of the data status.

    ``None`` if a sync ran, began or ended meanwhile, or nothing can be said: the records are
    kept, but the list is read again next time and its watermark does not move.
    """
    states = {sync_state(each) for each in (*before, *after)}
    if len(connections) > 1 or not states or states & {SyncState.UNKNOWN, SyncState.RUNNING}:
        return None
    token = token_of(before, connections, period=period)
    return token if token == token_of(after, connections, period=period) else None


def bounded_watermark(last_modified: datetime | None, before: DataStatus | None) -> datetime | None:
    """How far a list has been read: never past the last successful sync seen before its reading.

    A record can become visible hours after its modified date, but not before the sync that
    brought it ends; the next sync's records are all modified after the previous success.
    """
    if last_modified is None or before is None or before.last_successful_sync is None:
        return None
    try:
        return min(last_modified, before.last_successful_sync)
    except TypeError:
        # One of the two carries no zone, so they cannot be compared.
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
