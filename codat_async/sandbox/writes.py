"""Answers the writes: each starts a push operation, which is pending first and ends later."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from codat_async import models
from codat_async.models import DataType, PushChangeType, PushOperation, PushOperationStatus, ValidationItem
from codat_async.operations import Operation
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.options import check, option_tree
from codat_async.sandbox.reads import Reads, find, last_parameter
from codat_async.sandbox.replies import ApiError, Reply, json_reply, now
from codat_async.sandbox.state import CompanyState, State

# The resources whose data type is not their own name.
_DATA_TYPES: Final = {
    "accounts": DataType.CHART_OF_ACCOUNTS,
    "company_info": DataType.COMPANY,
    "bank_account_transactions": DataType.BANK_TRANSACTIONS,
}
_MOST_MINUTES: Final = 100_000

Change = Callable[[], tuple[str, Any]]
"""Makes the write happen; returns the id of the record it changed and the record to show."""


def data_type_of(resource: str) -> DataType:
    """The data type that a resource of the catalogue holds."""
    first, *rest = resource.split("_")
    return _DATA_TYPES.get(resource) or DataType(first + "".join(word.title() for word in rest))


def mark_deleted(record: Any) -> None:
    """Shows a record as deleted in the accounting software: lists keep it, marked."""
    record.metadata = models.Metadata(is_deleted=True)
    record.modified_date = now()


class Writes:
    """Makes a handler for each writing operation of the catalogue, and follows what they started.

    ``body_models`` is the type of what is sent to create a record, by data type; ``delay`` is
    how many seconds a write stays pending.
    """

    def __init__(self, state: State, reads: Reads, body_models: dict[DataType, Any], delay: float) -> None:
        self._state = state
        self._reads = reads
        self._body_models = body_models
        self.delay = delay
        self._shown: dict[str, Any] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._made = 0

    def stop(self) -> None:
        """Leaves what is pending as it is."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def create(self, operation: Operation) -> Handler:
        """Creates a record."""

        def write(call: Call, collection: Collection, record: Any) -> Change:
            def change() -> tuple[str, Any]:
                record.id = self.new_id(operation.resource)
                record.modified_date = record.source_modified_date = now()
                collection.add(record)
                return record.id, record

            return change

        return self._handler(operation, PushChangeType.CREATED, write)

    def create_bank_transactions(self, operation: Operation) -> Handler:
        """Adds transactions to a bank account; one that is there already, by its id, is left alone."""

        def write(call: Call, collection: Collection, batch: Any) -> Change:
            account_id = call.ids["accountId"]

            def change() -> tuple[str, Any]:
                for line in batch.transactions or ():
                    line.id = line.id or self.new_id(operation.resource)
                    if collection.find(line.id) is None:
                        collection.add(_bank_transaction(line, account_id))
                return account_id, batch

            return change

        return self._handler(operation, PushChangeType.CREATED, write)

    def update(self, operation: Operation) -> Handler:
        """Replaces a record."""

        def write(call: Call, collection: Collection, record: Any) -> Change:
            record_id = call.ids[last_parameter(operation)]
            held = find(collection, operation.resource, record_id)

            def change() -> tuple[str, Any]:
                record.id = record_id
                record.metadata = held.metadata
                record.modified_date = record.source_modified_date = now()
                collection.replace(record_id, record)
                return record_id, record

            return change

        return self._handler(operation, PushChangeType.MODIFIED, write)

    def delete(self, operation: Operation) -> Handler:
        """Deletes a record; lists keep it, marked."""

        def write(call: Call, collection: Collection, body: None) -> Change:
            record_id = call.ids[last_parameter(operation)]
            record = find(collection, operation.resource, record_id)

            def change() -> tuple[str, Any]:
                mark_deleted(record)
                collection.changed()
                return record_id, None

            return change

        return self._handler(operation, PushChangeType.DELETED, write)

    def _handler(
        self, operation: Operation, kind: PushChangeType, write: Callable[[Call, Collection, Any], Change]
    ) -> Handler:
        """A handler that prepares a change with the record that was sent, and starts a push operation."""
        model = None if kind == PushChangeType.DELETED else operation.body_model

        def handler(call: Call) -> Reply:
            company = self._reads.company(call)
            collection = company.collection(operation.resource, call.ids.get("accountId", ""))
            record, errors = _body_of(call, model) if model is not None else (None, [])
            # A copy, since the record itself gets its id only when the write ends.
            sent = replace(record) if record is not None else None
            change = write(call, collection, record)
            return self.start(call, company, operation.resource, kind, change, sent, errors)

        return handler

    def start(
        self,
        call: Call,
        company: CompanyState,
        resource: str,
        kind: PushChangeType,
        change: Change,
        sent: Any,
        errors: list[ValidationItem],
    ) -> Reply:
        """Starts a push operation and answers with it, still pending."""
        minutes = None
        if call.parameters.get("timeoutInMinutes"):
            minutes = call.number("timeoutInMinutes", 0, _MOST_MINUTES)
        connection_id = call.ids["connectionId"]
        pushed: PushOperation[Any] = PushOperation(
            push_operation_key=self.new_id("push"),
            company_id=company.id,
            data_connection_key=connection_id,
            data_type=data_type_of(resource),
            status=PushOperationStatus.PENDING,
            status_code=202,
            requested_on_utc=now(),
            timeout_in_minutes=minutes,
            timeout_in_seconds=None if minutes is None else minutes * 60,
        )
        company.pushes.add(pushed)
        if sent is not None:
            self._shown[pushed.push_operation_key] = sent
        asked = {fault.kind for fault in call.faults}
        if not errors and company.connection(connection_id).status != models.ConnectionStatus.LINKED:
            errors = [_platform_error("The connection is not linked.")]
        if not errors and "push-failed" in asked:
            errors = [_platform_error("The accounting software rejected the record (asked for by a fault).")]
        seconds = self.delay if minutes is None else minutes * 60.0
        if "push-timed-out" in asked or seconds < self.delay:
            self._later(min(self.delay, seconds), lambda: self._time_out(company, pushed))
        elif errors:
            self._later(self.delay, lambda: self._fail(company, pushed, errors))
        elif "push-pending" not in asked:
            self._later(self.delay, lambda: self._succeed(company, pushed, kind, change))
        return json_reply(replace(pushed, data=sent))

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            action()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    def _succeed(
        self, company: CompanyState, pushed: PushOperation[Any], kind: PushChangeType, change: Change
    ) -> None:
        record_id, shown = change()
        company.written()
        self._shown[pushed.push_operation_key] = shown
        uploaded = kind == PushChangeType.ATTACHMENT_UPLOADED
        self._end(
            company,
            pushed,
            status=PushOperationStatus.SUCCESS,
            status_code=200,
            validation=models.Validation(errors=[], warnings=[]),
            changes=[
                models.PushOperationChange(
                    type=kind,
                    record_ref=models.RecordReference(id=record_id, data_type=pushed.data_type),
                    attachment_id=shown.id if uploaded else None,
                )
            ],
        )

    def _fail(self, company: CompanyState, pushed: PushOperation[Any], errors: list[ValidationItem]) -> None:
        self._end(
            company,
            pushed,
            status=PushOperationStatus.FAILED,
            status_code=400,
            validation=models.Validation(errors=errors, warnings=[]),
            error_message="; ".join(each.message or "" for each in errors[:3]),
        )

    def _time_out(self, company: CompanyState, pushed: PushOperation[Any]) -> None:
        self._end(
            company,
            pushed,
            status=PushOperationStatus.TIMED_OUT,
            status_code=408,
            error_message="The accounting software did not answer in time.",
        )

    def _end(self, company: CompanyState, pushed: PushOperation[Any], **outcome: Any) -> None:
        completed = max(now(), pushed.requested_on_utc + timedelta(microseconds=1))
        company.pushes.replace(
            pushed.push_operation_key, replace(pushed, completed_on_utc=completed, **outcome)
        )

    def history(self, operation: Operation) -> Handler:
        """Lists a company's push operations, without their records."""
        return lambda call: self._reads.page(call, self._reads.company(call).pushes)

    def get(self, operation: Operation) -> Handler:
        """Reads a push operation with its record."""

        def handler(call: Call) -> Reply:
            key = call.ids["pushOperationKey"]
            pushed = self._reads.company(call).pushes.find(key)
            if pushed is None:
                raise ApiError(404, f"No push operation {key[:64]} was found.")
            return json_reply(replace(pushed, data=self._shown.get(key)))

        return handler

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


def _platform_error(message: str) -> ValidationItem:
    return ValidationItem(item_id="", message=message, validator_name="Platform")


def _bank_transaction(line: models.CreateBankAccountTransaction, account_id: str) -> models.BankTransaction:
    moment = now()
    return models.BankTransaction(
        id=line.id,
        account_id=account_id,
        amount=line.amount,
        balance=line.balance,
        cleared_on_date=line.date_,
        description=line.description,
        reconciled=False,
        transaction_type=models.BankTransactionType.UNKNOWN,
        modified_date=moment,
        source_modified_date=moment,
    )
