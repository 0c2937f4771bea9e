"""The syncs of one company: Codat's copy of the books changes only when one completes."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from codat_async.models import (
    Connection,
    ConnectionStatus,
    DatasetStatus,
    DataStatus,
    DataType,
    PullOperation,
)
from codat_async.sandbox.books.profile import uuid_of
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.replies import ApiError, now

ACCOUNTING_TYPES: Final = tuple(each for each in DataType if "-" not in each)
"""The data types of accounting software; the others are of banks and shops."""

_RUNNING: Final = (
    DatasetStatus.QUEUED,
    DatasetStatus.FETCHING,
    DatasetStatus.MAPPING,
    DatasetStatus.VALIDATING,
    DatasetStatus.PROCESSING,
)
"""The states of a sync in their order (the API's documentation on data statuses)."""

OUTCOMES: Final = frozenset({DatasetStatus.QUEUED, "RoutingError"}) | {
    each for each in DatasetStatus if each.endswith(("Error", "NotMet", "Supported")) or each == "Cancelled"
}
"""The states that a sync can end in, beside ``Complete``; ``Queued`` is that of one that never begins."""

Change = Callable[[], object]
"""A change to Codat's copy of the books."""


class Timers:
    """What is to happen later; nothing of it happens once the sandbox has stopped.

    ``push_delay`` and ``sync_delay`` are how many seconds a write and a sync take.
    """

    def __init__(self, push_delay: float, sync_delay: float) -> None:
        self.push_delay = push_delay
        self.sync_delay = sync_delay
        self._handles: set[asyncio.TimerHandle] = set()

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Calls a function so many seconds from now, on this event loop."""

        def run() -> None:
            self._handles.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._handles.add(handle)

    def stop(self) -> None:
        """Leaves what is pending as it is."""
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()


class Syncs:
    """The syncs of a company, and the changes that wait for the next one of their data type.

    ``apply`` makes changes to Codat's copy of a data type, and returns all data types that
    changed with it; ``disconnect`` is called with a connection whose authorisation failed, and
    ``ended`` with each sync that ended, whether records changed, and the last one before it that completed.
    """

    def __init__(
        self,
        company_id: str,
        timers: Timers,
        apply: Callable[[DataType, Sequence[Change]], Iterable[DataType]],
        disconnect: Callable[[Connection], None],
        ended: Callable[[PullOperation, bool, PullOperation | None], None],
    ) -> None:
        self.history = Collection([], PullOperation)
        self.outcomes: dict[DataType, DatasetStatus] = {}
        """How the next syncs of a data type end, if not as complete; ``Queued`` keeps them queued."""
        self._company_id = company_id
        self._timers = timers
        self._apply = apply
        self._disconnect = disconnect
        self._ended = ended
        self._latest: dict[DataType, PullOperation] = {}
        self._successful: dict[DataType, PullOperation] = {}
        self._waiting: dict[DataType, list[Change]] = {}
        self._again: dict[DataType, Connection] = {}

    def check(self, data_type: DataType) -> None:
        """Raises 409 if the data type was never synced, 404 if the platform does not have it."""
        if data_type in self._successful:
            return
        latest = self._latest.get(data_type)
        if latest is not None and latest.status == DatasetStatus.NOT_SUPPORTED:
            raise ApiError(404, f"Datatype '{data_type}' is not supported by the company's platform.")
        raise ApiError(
            409,
            f"The {data_type} of company {self._company_id} have not been requested or are still syncing.",
        )

    def status(self) -> dict[DataType, DataStatus]:
        """The state of each data type; one that was never synced has its name alone."""
        statuses = {data_type: DataStatus(data_type=data_type) for data_type in ACCOUNTING_TYPES}
        for data_type, pull in self._latest.items():
            status = statuses[data_type]
            status.current_status, status.latest_sync_id = pull.status, pull.id
        for data_type, pull in self._successful.items():
            status = statuses[data_type]
            status.last_successful_sync, status.latest_successful_sync_id = pull.completed, pull.id
        return statuses

    def complete(
        self, data_types: Iterable[DataType], connection_id: str, moment: datetime | None = None
    ) -> None:
        """Records syncs that completed at once, or did at a moment in the past."""
        completed = moment or now()
        for data_type in data_types:
            pull = self._new(data_type, connection_id, completed)
            self._end(pull, DatasetStatus.COMPLETE, completed, modified=True, quiet=moment is not None)

    def forget(self, data_type: DataType) -> None:
        """Makes a data type one that was never synced."""
        self._latest.pop(data_type, None)
        self._successful.pop(data_type, None)
        kept = [pull for pull in self.history.records if pull.data_type != data_type]
        self.history.records[:] = kept
        self.history.changed()

    def is_running(self, data_type: DataType) -> bool:
        """Whether a sync of the data type has begun and not ended."""
        latest = self._latest.get(data_type)
        return latest is not None and latest.status in _RUNNING

    def queue(self, data_type: DataType, connection: Connection) -> PullOperation:
        """Queues a sync; refused while another one of the data type runs."""
        if self.is_running(data_type):
            raise ApiError(
                409,
                f"DatasetAlreadyInProgressException: Cannot queue {data_type} sync for {self._company_id} as "
                f"previous sync {self._latest[data_type].id} is still in progress",
            )
        pull = self._new(data_type, connection.id, now())
        outcome = self.outcomes.get(data_type)
        if connection.status != ConnectionStatus.LINKED:
            outcome = DatasetStatus.AUTH_ERROR
        if outcome != DatasetStatus.QUEUED:
            changes = self._waiting.pop(data_type, [])
            self._timers.later(self._step, lambda: self._advance(pull, 1, connection, changes, outcome))
        return pull

    def write(self, data_type: DataType, change: Change, connection: Connection | None = None) -> None:
        """Leaves a change for the next sync of its data type, which is queued if a connection is given.

        A sync that runs already has read the books, so another follows it.
        """
        self._waiting.setdefault(data_type, []).append(change)
        if connection is not None:
            if self.is_running(data_type):
                self._again[data_type] = connection
            else:
                self.queue(data_type, connection)

    @property
    def _step(self) -> float:
        return self._timers.sync_delay / len(_RUNNING)

    def _new(self, data_type: DataType, connection_id: str, requested: datetime) -> PullOperation:
        pull = PullOperation(
            id=uuid_of(self._company_id, "sync", data_type, len(self.history.records)),
            company_id=self._company_id,
            connection_id=connection_id,
            data_type=data_type,
            status=DatasetStatus.QUEUED,
            progress=0,
            requested=requested,
            is_completed=False,
            is_errored=False,
        )
        self.history.add(pull)
        self._latest[data_type] = pull
        return pull

    def _advance(
        self,
        pull: PullOperation,
        step: int,
        connection: Connection,
        changes: list[Change],
        outcome: DatasetStatus | None,
    ) -> None:
        assert pull.data_type is not None
        if step < len(_RUNNING):
            pull.status, pull.progress = _RUNNING[step], 100 * step // len(_RUNNING)
            self.history.changed()
            self._timers.later(
                self._step, lambda: self._advance(pull, step + 1, connection, changes, outcome)
            )
            return
        if outcome is None or outcome == DatasetStatus.COMPLETE:
            followed = self._apply(pull.data_type, changes)
            self._end(pull, DatasetStatus.COMPLETE, now(), modified=bool(changes))
            self.complete((each for each in followed if each != pull.data_type), connection.id)
        else:
            self._waiting[pull.data_type] = changes + self._waiting.get(pull.data_type, [])
            self._end(pull, outcome, now())
            if outcome == DatasetStatus.AUTH_ERROR:
                self._disconnect(connection)
        # Another one may run already, if the data type was completed with a different one meanwhile.
        if pull.data_type in self._again and not self.is_running(pull.data_type):
            self.queue(pull.data_type, self._again.pop(pull.data_type))

    def _end(
        self,
        pull: PullOperation,
        status: DatasetStatus,
        completed: datetime,
        *,
        modified: bool = False,
        quiet: bool = False,
    ) -> None:
        assert pull.data_type is not None
        previous = self._successful.get(pull.data_type)
        pull.status, pull.progress = status, 100
        pull.completed = max(completed, (pull.requested or completed) + timedelta(microseconds=1))
        pull.is_completed = status == DatasetStatus.COMPLETE
        pull.is_errored = not pull.is_completed and status != DatasetStatus.NOT_SUPPORTED
        if pull.is_errored:
            pull.error_message = f"The sync of {pull.data_type} ended as {status}."
        self.history.changed()
        if pull.is_completed:
            self._successful[pull.data_type] = pull
        if not quiet:
            self._ended(pull, modified, previous)
