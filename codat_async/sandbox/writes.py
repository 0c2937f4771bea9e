"""Answers the writes: each starts a push operation, which is pending first and ends later."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from codat_async import models
from codat_async.models import (
    DataType,
    PushChangeType,
    PushOperation,
    PushOperationChange,
    PushOperationStatus,
    RecordReference,
    Validation,
    ValidationItem,
)
from codat_async.operations import Operation
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.options import check, option_tree
from codat_async.sandbox.reads import Reads, find
from codat_async.sandbox.replies import Reply, json_reply, now
from codat_async.sandbox.state import ACCOUNTING_TYPES, CompanyState, World

__all__ = ["Writes", "data_type_of", "mark_deleted"]

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
    known = _DATA_TYPES.get(resource)
    if known is not None:
        return known
    first, *rest = resource.split("_")
    return DataType(first + "".join(word.title() for word in rest))


def mark_deleted(record: Any) -> None:
    """Shows a record as deleted in the accounting software: lists keep it, marked."""
    record.metadata = models.Metadata(is_deleted=True)
    record.modified_date = now()


class Writes:
    """Makes a handler for each writing operation of the catalogue, and follows what they started."""

    def __init__(self, world: World, reads: Reads, body_types: dict[DataType, Any], delay: float) -> None:
        self._world = world
        self._reads = reads
        self._body_types = body_types
        self.delay = delay
        self._shown: dict[str, Any] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._made = 0

    def stop(self) -> None:
        """Leaves what is pending as it is."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # --- the three kinds of write --------------------------------------------------------

    def create(self, operation: Operation) -> Handler:
        """Creates a record."""
        resource = operation.resource

        def handler(call: Call) -> Reply:
            state = self._reads.state(call)
            collection = state.collection(resource)
            record, sent, wrong = _body_of(call, operation.body_model)

            def change() -> tuple[str, Any]:
                record.id = self.new_id(resource)
                record.modified_date = record.source_modified_date = now()
                collection.add(record)
                return record.id, record

            return self.start(call, state, resource, PushChangeType.CREATED, change, sent, wrong)

        return handler

    def create_bank_transactions(self, operation: Operation) -> Handler:
        """Adds transactions to a bank account; one that is there already, by its id, is left alone."""
        resource = operation.resource

        def handler(call: Call) -> Reply:
            state = self._reads.state(call)
            account_id = call.ids["accountId"]
            collection = state.collection(resource, account_id)
            batch, sent, wrong = _body_of(call, operation.body_model)

            def change() -> tuple[str, Any]:
                for line in batch.transactions or ():
                    line.id = line.id or self.new_id(resource)
                    if collection.find(line.id) is None:
                        collection.add(_bank_transaction(line, account_id))
                return account_id, batch

            return self.start(call, state, resource, PushChangeType.CREATED, change, sent, wrong)

        return handler

    def update(self, operation: Operation) -> Handler:
        """Replaces a record."""
        resource = operation.resource
        parameter = operation.path.rpartition("{")[2].rstrip("}")

        def handler(call: Call) -> Reply:
            state = self._reads.state(call)
            collection = state.collection(resource)
            record_id = call.ids[parameter]
            held = find(collection, resource, record_id)
            record, sent, wrong = _body_of(call, operation.body_model)

            def change() -> tuple[str, Any]:
                record.id = record_id
                record.metadata = held.metadata
                record.modified_date = record.source_modified_date = now()
                collection.replace(record_id, record)
                return record_id, record

            return self.start(call, state, resource, PushChangeType.MODIFIED, change, sent, wrong)

        return handler

    def delete(self, operation: Operation) -> Handler:
        """Deletes a record; lists keep it, marked."""
        resource = operation.resource
        parameter = operation.path.rpartition("{")[2].rstrip("}")

        def handler(call: Call) -> Reply:
            state = self._reads.state(call)
            collection = state.collection(resource)
            record_id = call.ids[parameter]
            record = find(collection, resource, record_id)

            def change() -> tuple[str, Any]:
                mark_deleted(record)
                collection.changed()
                return record_id, None

            return self.start(call, state, resource, PushChangeType.DELETED, change, None, [])

        return handler

    # --- push operations -------------------------------------------------------------------

    def start(
        self,
        call: Call,
        state: CompanyState,
        resource: str,
        kind: PushChangeType,
        change: Change,
        sent: Any,
        wrong: list[ValidationItem],
    ) -> Reply:
        """Starts a push operation and answers with it, still pending."""
        minutes = _minutes(call)
        key = self.new_id("push")
        connection_id = call.ids["connectionId"]
        pushed: PushOperation[Any] = PushOperation(
            push_operation_key=key,
            company_id=state.id,
            data_connection_key=connection_id,
            data_type=data_type_of(resource),
            status=PushOperationStatus.PENDING,
            status_code=202,
            requested_on_utc=now(),
            timeout_in_minutes=minutes,
            timeout_in_seconds=None if minutes is None else minutes * 60,
        )
        state.pushes.add(pushed)
        if sent is not None:
            self._shown[key] = sent
        asked = {fault.kind for fault in call.faults}
        if not wrong and state.connection(connection_id).status != models.ConnectionStatus.LINKED:
            wrong = [_refused("The connection is not linked.")]
        if not wrong and "push-failed" in asked:
            wrong = [_refused("The accounting software refused the record (asked for by a fault).")]
        limit = None if minutes is None else minutes * 60.0
        if "push-timed-out" in asked or (limit is not None and limit < self.delay):
            self._later(min(self.delay, limit or self.delay), lambda: self._time_out(state, key))
        elif "push-pending" not in asked:
            self._later(self.delay, lambda: self._settle(state, key, kind, change, wrong))
        return json_reply(replace(pushed, data=sent))

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            action()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    def _settle(
        self,
        state: CompanyState,
        key: str,
        kind: PushChangeType,
        change: Change,
        wrong: list[ValidationItem],
    ) -> None:
        pushed = state.pushes.find(key)
        if pushed is None:
            return
        if wrong:
            self._end(
                state,
                pushed,
                status=PushOperationStatus.FAILED,
                status_code=400,
                validation=Validation(errors=wrong, warnings=[]),
                error_message="; ".join(each.message or "" for each in wrong[:3]),
            )
            return
        record_id, shown = change()
        state.written()
        attachment_id = None
        if kind == PushChangeType.ATTACHMENT_UPLOADED:
            attachment_id = shown.id
        self._shown[key] = shown
        self._end(
            state,
            pushed,
            status=PushOperationStatus.SUCCESS,
            status_code=200,
            validation=Validation(errors=[], warnings=[]),
            changes=[
                PushOperationChange(
                    type=kind,
                    record_ref=RecordReference(id=record_id, data_type=pushed.data_type),
                    attachment_id=attachment_id,
                )
            ],
        )

    def _time_out(self, state: CompanyState, key: str) -> None:
        pushed = state.pushes.find(key)
        if pushed is not None:
            self._end(
                state,
                pushed,
                status=PushOperationStatus.TIMED_OUT,
                status_code=408,
                error_message="The accounting software did not answer in time.",
            )

    def _end(self, state: CompanyState, pushed: PushOperation[Any], **outcome: Any) -> None:
        requested = pushed.requested_on_utc
        completed = max(now(), requested + timedelta(microseconds=1))
        state.pushes.replace(
            pushed.push_operation_key, replace(pushed, completed_on_utc=completed, **outcome)
        )

    def history(self, operation: Operation) -> Handler:
        """Lists a company's push operations, without their records."""

        def handler(call: Call) -> Reply:
            return self._reads.page(call, self._reads.state(call).pushes)

        return handler

    def get(self, operation: Operation) -> Handler:
        """Reads a push operation with its record."""

        def handler(call: Call) -> Reply:
            key = call.ids["pushOperationKey"]
            pushed = self._reads.state(call).pushes.find(key)
            if pushed is None:
                raise ApiError(404, f"No push operation {key[:64]} was found.")
            return json_reply(replace(pushed, data=self._shown.get(key)))

        return handler

    # --- what a write must hold --------------------------------------------------------------

    def options(self, operation: Operation) -> Handler:
        """Tells what one resource's records must hold."""
        body_type = self._body_types[data_type_of(operation.resource)]

        def handler(call: Call) -> Reply:
            self._reads.state(call)
            return json_reply(option_tree(body_type))

        return handler

    def options_by_type(self, operation: Operation) -> Handler:
        """Tells what the records of any data type must hold."""

        def handler(call: Call) -> Reply:
            self._reads.state(call)
            name = call.ids["dataType"]
            body_type = self._body_types.get(DataType(name)) if name in ACCOUNTING_TYPES else None
            if body_type is None:
                raise ApiError(404, f"Records of the data type '{name[:50]}' cannot be written.")
            return json_reply(option_tree(body_type))

        return handler

    def new_id(self, kind: str) -> str:
        """An id for something that a write makes."""
        self._made += 1
        return self._world.new_id(f"{kind}/{self._made}")


def _body_of(call: Call, model: Any) -> tuple[Any, Any, list[ValidationItem]]:
    """The record in a body, what to show of it while pending, and what is wrong with it."""
    if not call.payload:
        raise ApiError(400, "A request body is required.")
    try:
        record, wrong = check(call.payload, model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"The request body is not JSON: {error}") from error
    # A copy, since the record itself gets its id only when the write ends.
    return record, None if record is None else replace(record), wrong


def _minutes(call: Call) -> int | None:
    text = call.parameters.get("timeoutInMinutes")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= _MOST_MINUTES):
        raise ApiError(400, f"The value '{text[:50]}' is not valid for timeoutInMinutes.")
    return int(text)


def _refused(message: str) -> ValidationItem:
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
