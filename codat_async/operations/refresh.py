"""Freshness: queueing syncs of a company's data, and waiting for them to end.

Codat's copy of the books changes only by a sync of each data type, and the default is none on a
schedule. Source: Codat's documentation of the data status, and its Platform API.
"""

import re
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from typing import Final

from codat_async.errors import NotFound, StatusError, SyncFailed, SyncTimeout
from codat_async.models import (
    Connection,
    ConnectionStatus,
    DatasetStatus,
    DataStatus,
    DataType,
    PullOperation,
    SourceType,
)
from codat_async.operations.base import Resource, data_type_of
from codat_async.operations.calls import CompanyCall, QueueRefresh, RecordCall
from codat_async.operations.polling import Poll

_SUCCEEDED: Final = frozenset({DatasetStatus.COMPLETE, DatasetStatus.NOT_SUPPORTED})
_QUEUE_AGAIN: Final = frozenset({DatasetStatus.RATE_LIMIT_ERROR, DatasetStatus.PREREQUISITE_NOT_MET})
_FAILED: Final = _QUEUE_AGAIN | {
    DatasetStatus.ROUTING_ERROR,
    DatasetStatus.FETCH_ERROR,
    DatasetStatus.MAP_ERROR,
    DatasetStatus.INTERNAL_ERROR,
    DatasetStatus.PROCESSING_ERROR,
    DatasetStatus.VALIDATION_ERROR,
    DatasetStatus.AUTH_ERROR,
    DatasetStatus.PERMISSIONS_ERROR,
    DatasetStatus.CANCELLED,
}
_OTHER_SOURCES: Final = {"banking-": SourceType.BANKING, "commerce-": SourceType.COMMERCE}
_NO_ACCOUNTING: Final = (*_OTHER_SOURCES.values(), SourceType.BANK_FEED, SourceType.EXPENSE)
_IN_PROGRESS: Final = "DatasetAlreadyInProgress"
_PREVIOUS: Final = re.compile(r"previous sync (\S+) is still")


@dataclass
class _Sync:
    """One sync to wait for: of a data type, from one connection if it was queued here."""

    data_type: DataType
    connection_id: str | None = None
    id: str | None = None
    """None for the latest, whichever that is."""
    state: DatasetStatus | None = None
    """None if the data type was never synced."""
    again: bool = False
    """Whether it may be queued once more."""

    @property
    def ended(self) -> bool:
        # A state that this version does not know counts as running.
        return self.state in _SUCCEEDED or self.state in _FAILED


class SyncWaiter(Resource):
    """A resource that can queue syncs and wait for them to end."""

    get: CompanyCall[dict[str, DataStatus]]
    by_data_type: QueueRefresh
    get_pull_operation: RecordCall[PullOperation]

    def _connections(self, company_id: str) -> AsyncIterable[Connection]:
        """The connections of a company."""
        raise NotImplementedError

    async def wait(
        self,
        company_id: str,
        data_types: Iterable[str],
        *,
        refresh: bool = False,
        timeout: float | None = 600.0,
    ) -> dict[str, DataStatus]:
        """Wait until the data types of a company are synced, and return their status by data type.

        ``data_types`` are Codat's names or those of the resources (``chartOfAccounts`` or
        ``accounts``). With ``refresh`` a sync of each is queued first, from each linked
        connection; if one is running already, that one is waited for. Without it only running
        syncs are waited for; a data type that was never synced has a status without
        ``current_status``. The status is polled at growing intervals. ``timeout`` is in seconds;
        None waits as long as the syncs take.

        A sync that ended as ``NotSupported`` is an outcome, not an error. With ``refresh`` one
        that ended as ``RateLimitError`` or ``PrerequisiteNotMet`` is queued again, once.

        Raises :class:`~codat_async.errors.SyncFailed` once all have ended and some not
        successfully, or if no connection is linked, and :class:`~codat_async.errors.SyncTimeout`
        after ``timeout``; both have the state of each data type.
        """
        if isinstance(data_types, str):
            raise TypeError(f"data_types must be a list of names, not a str; did you mean [{data_types!r}]?")
        wanted = list(dict.fromkeys(data_type_of(name) for name in data_types))
        poll = Poll(timeout)
        if refresh:
            syncs = await self._queued(company_id, wanted)
            found: dict[str, DataStatus] = {}
        else:
            found = await self.get(company_id)
            syncs = [_Sync(data_type, state=_state(found.get(data_type))) for data_type in wanted]
            for sync in syncs:
                sync.id = _latest(found.get(sync.data_type))
        while running := [sync for sync in syncs if not sync.ended and (refresh or sync.state is not None)]:
            if not await poll.pause():
                raise SyncTimeout(company_id, _states(syncs))
            found = await self.get(company_id)
            for sync in running:
                await self._update(company_id, sync, found.get(sync.data_type))
        found = found or await self.get(company_id)
        states = _states(syncs)
        if not _FAILED.isdisjoint(state for state in states.values() if state is not None):
            raise SyncFailed(company_id, states)
        return {
            data_type: found.get(data_type) or DataStatus(data_type=DataType(data_type), current_status=state)
            for data_type, state in states.items()
        }

    async def _queued(self, company_id: str, data_types: list[DataType]) -> list[_Sync]:
        connections = [each async for each in self._connections(company_id)]
        linked = [each for each in connections if each.status == ConnectionStatus.LINKED]
        syncs = [
            _Sync(data_type, connection.id, again=True)
            for data_type in data_types
            for connection in linked
            if _provides(connection, data_type)
        ]
        if missing := set(data_types) - {sync.data_type for sync in syncs}:
            raise SyncFailed(company_id, dict.fromkeys(sorted(missing)), "no linked connection provides them")
        for sync in syncs:
            await self._queue(company_id, sync)
        return syncs

    async def _queue(self, company_id: str, sync: _Sync) -> None:
        try:
            pull = await self.by_data_type(company_id, sync.data_type, connection_id=sync.connection_id)
            sync.id, sync.state = pull.id, pull.status
        except NotFound:
            sync.state = DatasetStatus.NOT_SUPPORTED
        except StatusError as error:
            # The status of this answer is not documented, its text is.
            text = error.error or error.body.decode(errors="replace")
            if _IN_PROGRESS not in text:
                raise
            previous = _PREVIOUS.search(text)
            sync.id, sync.state = previous and previous[1], DatasetStatus.QUEUED

    async def _update(self, company_id: str, sync: _Sync, status: DataStatus | None) -> None:
        sync.id = sync.id or _latest(status)
        if sync.id == _latest(status):
            sync.state = _state(status) or sync.state
        elif status is not None and sync.id == status.latest_successful_sync_id:
            sync.state = DatasetStatus.COMPLETE
        elif sync.id is not None:
            # A later sync, or one from another connection, has taken its place in the status.
            try:
                sync.state = (await self.get_pull_operation(company_id, sync.id)).status
            except NotFound:
                return
        if sync.again and sync.state in _QUEUE_AGAIN:
            sync.again = False
            await self._queue(company_id, sync)


def _provides(connection: Connection, data_type: DataType) -> bool:
    for prefix, source in _OTHER_SOURCES.items():
        if data_type.startswith(prefix):
            return connection.source_type == source
    return connection.source_type not in _NO_ACCOUNTING


def _state(status: DataStatus | None) -> DatasetStatus | None:
    return None if status is None else status.current_status


def _latest(status: DataStatus | None) -> str | None:
    return None if status is None else status.latest_sync_id


def _states(syncs: list[_Sync]) -> dict[str, DatasetStatus | None]:
    """The state of each data type; of several syncs a failed one comes first, then a running one."""
    states: dict[str, DatasetStatus | None] = {}
    for sync in sorted(
        syncs, key=lambda sync: (sync.state not in _FAILED, sync.ended, sync.state != DatasetStatus.COMPLETE)
    ):
        states.setdefault(sync.data_type, sync.state)
    return {sync.data_type: states[sync.data_type] for sync in syncs}
