"""Freshness: queueing syncs of a company's data, and waiting for them to end.

Codat's copy of the books changes only by a sync of each data type, and the default is none on a
schedule. Source: Codat's documentation of the data status, and its Platform API.
"""

import re
from collections.abc import AsyncIterable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from codat_async import models
from codat_async.errors import NotFound, StatusError, SyncFailed, SyncTimeout
from codat_async.models import DatasetStatus, DataStatus, DataType, SourceType
from codat_async.operations.base import Resource, data_type_of
from codat_async.operations.calls import CompanyCall, QueueRefresh, RecordCall
from codat_async.operations.polling import Poll

_QUEUE_AGAIN: Final = frozenset({DatasetStatus.RATE_LIMIT_ERROR, DatasetStatus.PREREQUISITE_NOT_MET})
_FAILED: Final = _QUEUE_AGAIN | {DatasetStatus.CANCELLED, *(e for e in DatasetStatus if e.endswith("Error"))}
# A state that this version does not know counts as running. None is a data type that was never synced.
_ENDED: Final = _FAILED | {DatasetStatus.COMPLETE, DatasetStatus.NOT_SUPPORTED, None}
_OTHER_SOURCES: Final = {"banking": SourceType.BANKING, "commerce": SourceType.COMMERCE}
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
    again: bool = False
    """Whether it may be queued once more."""


class SyncWaiter(Resource):
    """A resource that can queue syncs and wait for them to end."""

    get: CompanyCall[dict[str, DataStatus]]
    by_data_type: QueueRefresh
    get_pull_operation: RecordCall[models.PullOperation]

    def _connections(self, company_id: str) -> AsyncIterable[models.Connection]:
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

        ``data_types`` are Codat's names or those of the resources (``chartOfAccounts`` or ``accounts``).
        With ``refresh`` a sync of each is queued first, from each linked connection; if one is running
        already, that one is waited for. Without it only running syncs are waited for; a data type that
        was never synced has a status without ``current_status``. The status is polled at growing
        intervals. ``timeout`` is in seconds; None waits as long as the syncs take.

        A sync that ended as ``NotSupported`` is an outcome, not an error. With ``refresh`` one that ended
        as ``RateLimitError`` or ``PrerequisiteNotMet`` is queued again, once.

        Raises :class:`~codat_async.errors.SyncFailed` once all have ended and some not successfully, or if
        no connection is linked, and :class:`~codat_async.errors.SyncTimeout` after ``timeout``; both have
        the state of each data type.
        """
        if isinstance(data_types, str):
            raise TypeError(f"data_types must be a list of names, not a str; did you mean [{data_types!r}]?")
        wanted = list(dict.fromkeys(data_type_of(name) for name in data_types))
        poll = Poll(timeout)
        syncs = await self._queued(company_id, wanted) if refresh else [_Sync(each) for each in wanted]
        found = {} if refresh else await self._look(company_id, syncs)
        while running := [sync for sync in syncs if sync.state not in _ENDED]:
            if not await poll.pause():
                raise SyncTimeout(company_id, _states(syncs))
            found = await self._look(company_id, running)
        found = found or await self.get(company_id)
        states = _states(syncs)
        if not _FAILED.isdisjoint(states.values()):
            raise SyncFailed(company_id, states)
        return {
            data_type: found.get(data_type) or DataStatus(data_type=DataType(data_type), current_status=state)
            for data_type, state in states.items()
        }

    async def _queued(self, company_id: str, data_types: list[DataType]) -> list[_Sync]:
        connections = [each async for each in self._connections(company_id)]
        linked = [each for each in connections if each.status == models.ConnectionStatus.LINKED]
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

    async def _look(self, company_id: str, syncs: list[_Sync]) -> dict[str, DataStatus]:
        """Read the data status, and the states of the syncs from it."""
        found = await self.get(company_id)
        for sync in syncs:
            status = found.get(sync.data_type) or DataStatus(data_type=sync.data_type)
            sync.id = sync.id or status.latest_sync_id
            if sync.id == status.latest_sync_id:
                sync.state = status.current_status or sync.state
            elif sync.id == status.latest_successful_sync_id:
                sync.state = DatasetStatus.COMPLETE
            elif sync.id is not None:
                # A later sync, or one from another connection, has taken its place in the status.
                with suppress(NotFound):
                    sync.state = (await self.get_pull_operation(company_id, sync.id)).status
            if sync.again and sync.state in _QUEUE_AGAIN:
                sync.again = False
                await self._queue(company_id, sync)
        return found


def _provides(connection: models.Connection, data_type: DataType) -> bool:
    source = _OTHER_SOURCES.get(data_type.partition("-")[0])
    return connection.source_type == source if source else connection.source_type not in _NO_ACCOUNTING


def _states(syncs: list[_Sync]) -> dict[str, DatasetStatus | None]:
    """The state of each data type; of several syncs that of a failed one, otherwise of a running one."""

    def weight(sync: _Sync) -> tuple[bool, bool, bool]:
        return sync.state in _FAILED, sync.state not in _ENDED, sync.state == DatasetStatus.COMPLETE

    states: dict[str, DatasetStatus | None] = dict.fromkeys(sync.data_type for sync in syncs)
    return states | {sync.data_type: sync.state for sync in sorted(syncs, key=weight)}
