"""What the sandbox sends events of: syncs, writes, companies, connections and the day's quota."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from codat_async.models import (
    Company,
    Connection,
    PullOperation,
    PushChangeType,
    PushOperation,
    PushOperationStatus,
)
from codat_async.models.base import Model
from codat_async.sandbox.books.profile import uuid_of
from codat_async.sandbox.replies import encode, now
from codat_async.sandbox.webhooks.consumers import Consumers
from codat_async.sandbox.webhooks.delivery import Deliveries
from codat_async.webhooks import (
    CompanyDetails,
    CompanyReference,
    ConnectionDetails,
    ConnectionStateChange,
    RateLimitState,
    ReadIssue,
    ReadOutcome,
    ReadResult,
    WriteOutcome,
    WrittenRecord,
)
from codat_async.webhooks.events import WriteType

_TOGETHER_SECONDS: Final = 0.01
"""Syncs of one company that end within this time are one event."""
_WRITES: Final = {
    PushChangeType.CREATED: WriteType.CREATE,
    PushChangeType.MODIFIED: WriteType.UPDATE,
    PushChangeType.DELETED: WriteType.DELETE,
    PushChangeType.ATTACHMENT_UPLOADED: WriteType.UPLOAD_ATTACHMENT,
}


class _Ended(Struct):
    """A sync that ended, and the one of the same data type before it that completed."""

    pull: PullOperation
    modified: bool
    previous: PullOperation | None


class Events:
    """Makes events, and gives each to the deliveries for those who want it."""

    def __init__(self, consumers: Consumers, deliveries: Deliveries, seed: int) -> None:
        self._consumers = consumers
        self._deliveries = deliveries
        self._seed = seed
        self._made = 0
        self._ended: dict[str, list[_Ended]] = {}

    def send(self, event_type: str, payload: object, company: Company | None = None) -> int:
        """Send an event of any type and payload; return how many consumers it goes to."""
        wanting = list(self._consumers.wanting(event_type, company))
        if wanting:
            self._made += 1
            body = encode(
                {
                    "id": uuid_of(self._seed, "event", self._made),
                    "eventType": event_type,
                    "generatedDate": now(),
                    "payload": payload,
                }
            )
            for consumer in wanting:
                self._deliveries.send(consumer, body)
        return len(wanting)

    def synced(
        self, company: Company, pull: PullOperation, modified: bool, previous: PullOperation | None
    ) -> None:
        """A sync ended; those of one company that end together are one event."""
        if not self._consumers.all or not self._deliveries.is_running:
            return
        ended = self._ended.setdefault(company.id, [])
        ended.append(_Ended(pull, modified or previous is None, previous))
        if len(ended) == 1:
            self._later(lambda: self._read_completed(company))

    def _later(self, action: Callable[[], None]) -> None:
        try:
            asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, action)
        except RuntimeError:
            # Called from outside of the event loop: nothing is sent.
            self._ended.clear()

    def _read_completed(self, company: Company) -> None:
        ended = self._ended.pop(company.id, [])
        before = [each.previous.completed for each in ended if each.previous and each.previous.completed]
        kind = "read.completed" if before else "read.completed.initial"
        outcome = ReadOutcome(
            reference_company=_reference(company),
            modified_from_date=min(before, default=None),
            data_types=[
                ReadResult(
                    connection_id=each.pull.connection_id,
                    data_type=each.pull.data_type,
                    records_modified=bool(each.modified and each.pull.is_completed),
                    status=each.pull.status,
                    issues=[ReadIssue(type="error", message=each.pull.error_message)]
                    if each.pull.is_errored
                    else None,
                )
                for each in ended
            ],
        )
        self.send(kind, outcome, company)

    def written(self, company: Company, pushed: PushOperation[Any], kind: PushChangeType) -> None:
        """A write ended."""
        changes = pushed.changes or ()
        refs = [change.record_ref.id for change in changes if change.record_ref is not None]
        outcome = WriteOutcome(
            id=pushed.push_operation_key,
            type=_WRITES[kind],
            reference_company=_reference(company),
            connection_id=pushed.data_connection_key,
            requested_on_date=pushed.requested_on_utc,
            completed_on_date=pushed.completed_on_utc,
            status=pushed.status,
            record=WrittenRecord(id=refs[0]) if refs else None,
            attachment_id=next((change.attachment_id for change in changes), None),
        )
        end = "successful" if pushed.status == PushOperationStatus.SUCCESS else "unsuccessful"
        self.send(f"{pushed.data_type}.write.{end}", outcome, company)

    def company(self, change: str, company: Company) -> None:
        """A company was ``created`` or ``deleted``."""
        self.send(f"company.{change}", _shared(company, CompanyDetails), company)

    def connection(self, change: str, company: Company, connection: Connection) -> None:
        """A connection was ``created``, ``connected``, ``disconnected``, ``reconnected`` or ``deleted``."""
        changed = ConnectionStateChange(
            reference_company=_reference(company), connection=_shared(connection, ConnectionDetails)
        )
        self.send(f"connection.{change}", changed, company)

    def quota(self, is_spent: bool, daily: int, remaining: int, expiry: datetime) -> None:
        """The day's quota of requests was spent, or renewed; it is renewed next at ``expiry``."""
        state = RateLimitState(daily_quota=daily, quota_remaining=remaining, expiry_date=expiry)
        self.send(f"client.rateLimit.{'reached' if is_spent else 'reset'}", state)


def _reference(company: Company) -> CompanyReference:
    return CompanyReference(
        id=company.id, name=company.name, description=company.description, tags=company.tags
    )


def _shared(source: Model, kind: type[Any]) -> Any:
    """Another type's fields of the same name and type."""
    names = set(kind.__struct_fields__) - {"unknown_fields", "connection_info"}
    return kind(**{name: value for name, value in asdict(source).items() if name in names})
