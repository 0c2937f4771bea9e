"""Waiting for what ends on its own: writes to the accounting software, and syncs of a company's data.

Codat's copy of the books changes only by a sync of each data type, and the default is none on a
schedule. Source: Codat's documentation of the data status, and its Platform API.
"""

import math
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, overload

from codat_async import errors, models
from codat_async.models import DatasetStatus, DataStatus, DataType, PushOperation, PushOperationStatus
from codat_async.models.base import Model
from codat_async.operations.base import Resource, T, data_type_of
from codat_async.operations.calls import CompanyCall, QueueRefresh, RecordCall
from codat_async.operations.writes import with_record
from codat_middleware.clock import Clock

clock = Clock()
"""The time, and waiting for it; a test may replace it."""

_FIRST: Final = 1.0
_LONGEST: Final = 15.0
_GROWTH: Final = 1.5


class Poll:
    """The pauses between looks at one thing; ``timeout`` is in seconds, None for no limit."""

    def __init__(self, timeout: float | None) -> None:
        self._until = math.inf if timeout is None else clock.monotonic() + timeout
        self._interval = _FIRST

    async def pause(self) -> bool:
        """Sleep until the next look is due, at the latest until the time-out; False if that has passed."""
        left = self._until - clock.monotonic()
        if left > 0:
            await clock.sleep(min(self._interval, left))
            self._interval = min(self._interval * _GROWTH, _LONGEST)
        return left > 0


# --- writes --------------------------------------------------------------------------------

_FINAL: Final = (PushOperationStatus.SUCCESS, PushOperationStatus.FAILED, PushOperationStatus.TIMED_OUT)


class PushWaiter(Resource):
    """A resource that can follow a push operation to its end; its ``get`` reads one."""

    get: RecordCall[PushOperation[Any]]
    _written_model: Callable[[str], Any]
    """The model of what is written for a data type; Any if that is unknown."""

    @overload
    async def wait(
        self, operation: PushOperation[T], /, *, timeout: float | None = ...
    ) -> PushOperation[T]: ...
    @overload
    async def wait(
        self, company_id: str, push_operation_key: str, /, *, timeout: float | None = ...
    ) -> PushOperation[object]: ...
    async def wait(
        self,
        operation: PushOperation[Any] | str,
        push_operation_key: str | None = None,
        /,
        *,
        timeout: float | None = 600.0,
    ) -> PushOperation[Any]:
        """Poll, at growing intervals, until a write has succeeded, and return its final state.

        Takes the operation that a write returned, or the company's id and the operation's key, so that
        a restarted worker can resume. ``timeout`` is in seconds; None waits as long as the platform takes.

        Raises :class:`~codat_async.errors.PushFailed` if the platform rejected the write,
        :class:`~codat_async.errors.PushTimedOut` if it or ``timeout`` gave up, and
        :class:`~codat_async.errors.DecodingError` for an operation without a company or key.
        """
        model, label = None, self.get.label
        if isinstance(operation, PushOperation):
            state, company_id, key = operation, operation.company_id, operation.push_operation_key
            model = type(operation.data) if isinstance(operation.data, Model) else None
            if not (company_id and key):
                raise errors.DecodingError("the push operation has no company or no key", operation=label)
        elif push_operation_key is None:
            raise TypeError("wait() takes a push operation, or a company id and a push operation key")
        else:
            company_id, key = operation, push_operation_key
            state = await self.get(company_id, key)
        poll = Poll(timeout)
        while state.status not in _FINAL:
            if not await poll.pause():
                raise errors.PushTimedOut(state, f"still {state.status} after {timeout:g} s")
            state = await self.get(company_id, key)
        if state is not operation:
            # An upload has the data type of the record that the file is attached to.
            changes = [change.type for change in state.changes or ()]
            if models.PushChangeType.ATTACHMENT_UPLOADED in changes:
                model = models.Attachment
            state = with_record(state, model or self._written_model(str(state.data_type)), label)
        if state.status == PushOperationStatus.FAILED:
            reasons = filter(None, [state.error_message, *errors.validation_errors(state.validation)])
            reason = "; ".join(reasons) or "the platform rejected the write without giving a reason"
            raise errors.PushFailed(state, reason)
        if state.status == PushOperationStatus.TIMED_OUT:
            raise errors.PushTimedOut(state, state.error_message or "the platform timed out")
        return state


# --- syncs ---------------------------------------------------------------------------------

_QUEUE_AGAIN: Final = frozenset({DatasetStatus.RATE_LIMIT_ERROR, DatasetStatus.PREREQUISITE_NOT_MET})
_FAILED: Final = _QUEUE_AGAIN | {DatasetStatus.CANCELLED, *(e for e in DatasetStatus if e.endswith("Error"))}
# A state that this version does not know counts as running. None is a data type that was never synced.
_ENDED: Final = _FAILED | {DatasetStatus.COMPLETE, DatasetStatus.NOT_SUPPORTED, None}
_OTHER_SOURCES: Final = {"banking": models.SourceType.BANKING, "commerce": models.SourceType.COMMERCE}
_NO_ACCOUNTING: Final = (*_OTHER_SOURCES.values(), models.SourceType.BANK_FEED, models.SourceType.EXPENSE)
_IN_PROGRESS: Final = re.compile(r"DatasetAlreadyInProgress(?:.*previous sync (\S+) is still)?", re.DOTALL)


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
    _connections: type[Any]
    """The resource that lists a company's connections."""

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
                raise errors.SyncTimeout(company_id, _states(syncs))
            found = await self._look(company_id, running)
        found = found or await self.get(company_id)
        states = _states(syncs)
        if not _FAILED.isdisjoint(states.values()):
            raise errors.SyncFailed(company_id, states)
        return {
            data_type: found.get(data_type) or DataStatus(data_type=DataType(data_type), current_status=state)
            for data_type, state in states.items()
        }

    async def _queued(self, company_id: str, data_types: list[DataType]) -> list[_Sync]:
        connections: list[models.Connection] = (
            await self._connections(self._caller).list(company_id).collect()
        )
        linked = [each for each in connections if each.status == models.ConnectionStatus.LINKED]
        syncs = [
            _Sync(data_type, connection.id, again=True)
            for data_type in data_types
            for connection in linked
            if _provides(connection, data_type)
        ]
        if missing := set(data_types) - {sync.data_type for sync in syncs}:
            states: dict[str, DatasetStatus | None] = dict.fromkeys(sorted(missing))
            raise errors.SyncFailed(company_id, states, "no linked connection provides them")
        for sync in syncs:
            await self._queue(company_id, sync)
        return syncs

    async def _queue(self, company_id: str, sync: _Sync) -> None:
        try:
            pull = await self.by_data_type(company_id, sync.data_type, connection_id=sync.connection_id)
            sync.id, sync.state = pull.id, pull.status
        except errors.NotFound:
            sync.state = DatasetStatus.NOT_SUPPORTED
        except errors.StatusError as error:
            # The status of this answer is not documented, its text is.
            running = _IN_PROGRESS.search(error.error or error.body.decode(errors="replace"))
            if not running:
                raise
            sync.id, sync.state = running[1], DatasetStatus.QUEUED

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
                with suppress(errors.NotFound):
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
    done = DatasetStatus.COMPLETE
    last = sorted(syncs, key=lambda one: (one.state in _FAILED, one.state not in _ENDED, one.state == done))
    return {sync.data_type: sync.state for sync in (*syncs, *last)}
