"""Answers the writes: each starts a push operation, which is pending first and ends later.

As at Codat since January 2024, no answer carries the record's data, and the record shows only
after the next sync of its data type.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from codat_async import models
from codat_async.models import (
    Connection,
    DataType,
    PushChangeType,
    PushOperation,
    PushOperationStatus,
    ValidationItem,
)
from codat_async.operations import Operation
from codat_async.operations.base import data_type_of
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.options import check, option_tree
from codat_async.sandbox.reads import Reads, find, last_parameter
from codat_async.sandbox.replies import ApiError, Reply, json_reply, now
from codat_async.sandbox.state import CompanyState, State
from codat_async.sandbox.syncs import Change

_MOST_MINUTES: Final = 100_000
_MOST_TRANSACTIONS: Final = 1000
"""In one write (the API's documentation on bank transactions)."""

Write = Callable[[], tuple[str, Change]]
"""Writes to the accounting software; returns the record's id, and what its next sync changes in Codat."""


def mark_deleted(record: Any) -> None:
    """Shows a record as deleted in the accounting software: lists keep it, marked."""
    if record is None:
        return
    record.metadata = models.Metadata(is_deleted=True)
    record.modified_date = now()


class Writes:
    """Makes a handler for each writing operation of the catalogue, and follows what they started.

    ``body_models`` is the type of what is sent to create a record, by data type.
    """

    def __init__(self, state: State, reads: Reads, body_models: dict[DataType, Any]) -> None:
        self._state = state
        self._reads = reads
        self._body_models = body_models
        self._made = 0

    def create(self, operation: Operation) -> Handler:
        """Creates a record."""

        def prepare(call: Call, collection: Collection, record: Any) -> Write:
            def write() -> tuple[str, Change]:
                record.id = self.new_id(operation.resource)
                record.source_modified_date = now()
                return record.id, lambda: collection.add(_synced(record))

            return write

        return self._handler(operation, PushChangeType.CREATED, prepare)

    def create_bank_transactions(self, operation: Operation) -> Handler:
        """Adds transactions to a bank account; one that is there already, by its id, is left alone."""

        def prepare(call: Call, collection: Collection, batch: Any) -> Write:
            account_id = call.ids["accountId"]
            lines = batch.transactions or () if batch is not None else ()
            if len(lines) > _MOST_TRANSACTIONS:
                raise ApiError(400, f"At most {_MOST_TRANSACTIONS} bank transactions can be written at once.")

            def add() -> None:
                for line in lines:
                    if collection.find(line.id) is None:
                        collection.add(_bank_transaction(line, account_id))

            def write() -> tuple[str, Change]:
                for line in lines:
                    line.id = line.id or self.new_id(operation.resource)
                return account_id, add

            return write

        return self._handler(operation, PushChangeType.CREATED, prepare)

    def update(self, operation: Operation) -> Handler:
        """Replaces a record."""

        def prepare(call: Call, collection: Collection, record: Any) -> Write:
            record_id = call.ids[last_parameter(operation)]
            held = find(collection, operation.resource, record_id)

            def write() -> tuple[str, Change]:
                record.id = record_id
                record.metadata = held.metadata
                record.source_modified_date = now()
                return record_id, lambda: collection.replace(record_id, _synced(record))

            return write

        return self._handler(operation, PushChangeType.MODIFIED, prepare)

    def delete(self, operation: Operation) -> Handler:
        """Deletes a record; lists keep it, marked."""

        def prepare(call: Call, collection: Collection, body: None) -> Write:
            record_id = call.ids[last_parameter(operation)]
            find(collection, operation.resource, record_id)

            def mark() -> None:
                mark_deleted(collection.find(record_id))
                collection.changed()

            return lambda: (record_id, mark)

        return self._handler(operation, PushChangeType.DELETED, prepare)

    def _handler(
        self, operation: Operation, kind: PushChangeType, prepare: Callable[[Call, Collection, Any], Write]
    ) -> Handler:
        """A handler that prepares a write of the record that was sent, and starts a push operation."""
        model = None if kind == PushChangeType.DELETED else operation.body_model

        def handler(call: Call) -> Reply:
            company = self._reads.company(call)
            collection = company.collection(operation.resource, call.ids.get("accountId", ""))
            record, errors = _body_of(call, model) if model is not None else (None, [])
            write = prepare(call, collection, record)
            return self.start(call, company, operation.resource, kind, write, errors)

        return handler

    def start(
        self,
        call: Call,
        company: CompanyState,
        resource: str,
        kind: PushChangeType,
        write: Write,
        errors: list[ValidationItem],
        attachment_id: str | None = None,
    ) -> Reply:
        """Starts a push operation and answers with it, still pending."""
        minutes = None
        if call.parameters.get("timeoutInMinutes"):
            minutes = call.number("timeoutInMinutes", 0, _MOST_MINUTES)
        connection = company.connection(call.ids["connectionId"])
        pushed: PushOperation[Any] = PushOperation(
            push_operation_key=self.new_id("push"),
            company_id=company.id,
            data_connection_key=connection.id,
            data_type=data_type_of(resource),
            status=PushOperationStatus.PENDING,
            status_code=202,
            requested_on_utc=now(),
            timeout_in_minutes=minutes,
            timeout_in_seconds=None if minutes is None else minutes * 60,
        )
        company.pushes.add(pushed)
        asked = {fault.kind for fault in call.faults}
        if not errors and connection.status != models.ConnectionStatus.LINKED:
            errors = [_platform_error("The connection is not linked.")]
        if not errors and "push-failed" in asked:
            errors = [_platform_error("The accounting software rejected the record (asked for by a fault).")]
        syncs = call.parameters.get("allowSyncOnPushComplete", "true").lower() != "false"
        later, delay = self._state.timers.later, self._state.timers.push_delay
        seconds = delay if minutes is None else minutes * 60.0
        if "push-timed-out" in asked or seconds < delay:
            later(min(delay, seconds), lambda: self._time_out(company, pushed, kind))
        elif errors:
            later(delay, lambda: self._fail(company, pushed, kind, errors))
        elif "push-pending" in asked:
            pass
        elif attachment_id is not None:
            later(delay, lambda: self._change_attachment(company, pushed, kind, write, attachment_id))
        else:
            later(delay, lambda: self._succeed(company, pushed, kind, write, connection if syncs else None))
        return json_reply(pushed)

    def _succeed(
        self,
        company: CompanyState,
        pushed: PushOperation[Any],
        kind: PushChangeType,
        write: Write,
        connection: Connection | None,
    ) -> None:
        record_id, change = write()
        assert pushed.data_type is not None
        company.syncs.write(pushed.data_type, change, connection)
        self._end_well(company, pushed, kind, record_id)

    def _change_attachment(
        self,
        company: CompanyState,
        pushed: PushOperation[Any],
        kind: PushChangeType,
        write: Write,
        attachment_id: str,
    ) -> None:
        record_id, change = write()
        # Files are read through to the accounting software, not synced.
        change()
        uploaded = kind == PushChangeType.ATTACHMENT_UPLOADED
        self._end_well(company, pushed, kind, record_id, attachment_id if uploaded else None)

    def _end_well(
        self,
        company: CompanyState,
        pushed: PushOperation[Any],
        kind: PushChangeType,
        record_id: str,
        attachment_id: str | None = None,
    ) -> None:
        ref = models.RecordReference(id=record_id, data_type=pushed.data_type)
        self._end(
            company,
            pushed,
            kind,
            status=PushOperationStatus.SUCCESS,
            status_code=200,
            validation=models.Validation(errors=[], warnings=[]),
            changes=[models.PushOperationChange(type=kind, record_ref=ref, attachment_id=attachment_id)],
        )

    def _fail(
        self,
        company: CompanyState,
        pushed: PushOperation[Any],
        kind: PushChangeType,
        errors: list[ValidationItem],
    ) -> None:
        self._end(
            company,
            pushed,
            kind,
            status=PushOperationStatus.FAILED,
            status_code=400,
            validation=models.Validation(errors=errors, warnings=[]),
            error_message="; ".join(each.message or "" for each in errors[:3]),
        )

    def _time_out(self, company: CompanyState, pushed: PushOperation[Any], kind: PushChangeType) -> None:
        self._end(
            company,
            pushed,
            kind,
            status=PushOperationStatus.TIMED_OUT,
            status_code=408,
            error_message="The accounting software did not answer in time.",
        )

    def _end(
        self, company: CompanyState, pushed: PushOperation[Any], kind: PushChangeType, **outcome: Any
    ) -> None:
        completed = max(now(), pushed.requested_on_utc + timedelta(microseconds=1))
        ended = replace(pushed, completed_on_utc=completed, **outcome)
        company.pushes.replace(pushed.push_operation_key, ended)
        self._state.events.written(company.company, ended, kind)

    def history(self, operation: Operation) -> Handler:
        """Lists a company's push operations."""
        return lambda call: self._reads.page(call, self._reads.company(call).pushes)

    def get(self, operation: Operation) -> Handler:
        """Reads a push operation."""
        return lambda call: json_reply(
            find(self._reads.company(call).pushes, "push operations", call.ids["pushOperationKey"])
        )

    def options(self, operation: Operation) -> Handler:
        """Describes what the records of one resource, or of the data type in the path, must hold."""

        def handler(call: Call) -> Reply:
            self._reads.company(call)
            name = call.ids.get("dataType") or data_type_of(operation.resource)
            body_model = self._body_models.get(DataType(name))
            if body_model is None:
                raise ApiError(404, f"Records of the data type '{name[:50]}' cannot be written.")
            return json_reply(option_tree(body_model))

        return handler

    def new_id(self, kind: str) -> str:
        """An id for something that a write makes."""
        self._made += 1
        return self._state.new_id(f"{kind}/{self._made}")


def _body_of(call: Call, model: Any) -> tuple[Any, list[ValidationItem]]:
    """The record in a body, or what is wrong with it; raises 400 if the body is not JSON."""
    if not call.payload:
        raise ApiError(400, "A request body is required.")
    try:
        return check(call.payload, model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"The request body is not JSON: {error}") from error


def _synced(record: Any) -> Any:
    """A written record as Codat has it from now on."""
    record.modified_date = now()
    return record


def _platform_error(message: str) -> ValidationItem:
    return ValidationItem(item_id="", message=message, validator_name="Platform")


def _bank_transaction(line: models.CreateBankAccountTransaction, account_id: str) -> models.BankTransaction:
    moment = now()
    shared = set(models.BankTransaction.__struct_fields__) & set(line.__struct_fields__)
    fields = {name: getattr(line, name) for name in shared}
    return models.BankTransaction(
        **fields
        | {
            "account_id": account_id,
            "cleared_on_date": line.date_,
            "reconciled": bool(line.reconciled),
            "transaction_type": line.transaction_type or models.BankTransactionType.UNKNOWN,
            "modified_date": moment,
            "source_modified_date": moment,
        }
    )
