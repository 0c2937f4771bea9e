"""Writes to the accounting software, and waiting for their outcome.

A write ends seconds or minutes after its request, or never. Its answers carry no record: once
``push_operations.wait`` returns, ``operation.record_id`` is the id of what was written, which can be read
only after the next sync of its data type (``refresh_data.wait`` with ``refresh=True``).

After an error with ``outcome_unknown`` the write may have happened: after a lost connection or a
time-out, call again within 90 minutes with the same ``idempotency_key``; after a 5xx, look the record
up by what was written, after the next sync. ``docs/writes.md`` has the code.
"""

import logging
from typing import Any, ClassVar, Final, overload

from msgspec import Raw

from codat_async import codec
from codat_async.errors import DecodingError, InvalidRecord, PushFailed, PushTimedOut, validation_errors
from codat_async.models import Attachment, PushChangeType, PushOperation, PushOperationStatus, PushOption
from codat_async.models.base import Model
from codat_async.operations.base import COMPANY, CONNECTION, Call, Operation, Resource, T, record_path
from codat_async.operations.calls import ConnectionCall
from codat_async.operations.polling import Poll
from codat_middleware.messages import Body

_log = logging.getLogger(__name__)

_OPTIONS: Final = {
    "allow_sync_on_push_complete": (bool | None, "Codat then syncs the data type unless ``{}`` is False."),
    "timeout_in_minutes": (int | None, "After ``{}`` Codat stops waiting for the platform."),
    "force_update": (bool, "``{}`` writes even if the source has changed the record since Codat read it."),
    "idempotency_key": (str | None, "Without ``{}`` (a UUID) one is generated for each call."),
}
"""The type and meaning of the options of writes, of which each takes some."""
_OF_SYNCS: Final = ("allow_sync_on_push_complete", "timeout_in_minutes")


class _Write(Call[T], base=CONNECTION):
    """A write is answered at once with a push operation, which ends seconds to minutes later, or never.

    ``takes`` are its options; with ``syncs`` it also takes those of a sync that follows it.
    """

    takes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: type[T], path: str, *, syncs: bool = False) -> None:
        super().__init__(model, path)
        self.body_model = None if self.method == "DELETE" else model
        takes = (*_OF_SYNCS, *self.takes) if syncs else self.takes
        self.options = {name: _OPTIONS[name][0] for name in takes}
        self.options_help = " ".join(_OPTIONS[name][1].format(name) for name in self.options)

    async def _push(self, ids: tuple[str, ...], body: T | None, options: dict[str, Any]) -> PushOperation[T]:
        query = self._parameters(options)
        headers = key_headers(query.pop("idempotencyKey", None))
        sent = None if body is None else Body(codec.encode(body, omit_read_only=self.method == "POST"))
        response = await self._caller.send(self.request(ids, query, body=sent, headers=headers))
        return read_push(response.body, self.model, self.label)


def key_headers(idempotency_key: str | None) -> dict[str, str]:
    """The header for the caller's own idempotency key; raises :class:`ValueError` for a blank one."""
    if idempotency_key is None:
        return {}
    if not idempotency_key.strip():
        raise ValueError("the idempotency key is blank; pass None to have one generated")
    return {"Idempotency-Key": idempotency_key}


def read_push(body: bytes, model: Any, label: str) -> PushOperation[Any]:
    """Decode a push operation whose record is of this model (``Any`` for plain JSON)."""
    return _with_record(codec.read(body, PushOperation[Any], operation=label), model, label)


def _with_record(operation: PushOperation[Any], model: Any, label: str) -> PushOperation[Any]:
    """The operation with its plain ``data`` decoded as the model.

    A record that does not fit must not hide the outcome of the write: ``data`` is then None, and the
    JSON is kept in ``unknown_fields``.
    """
    if operation.data is not None and model is not Any:
        raw = codec.encode(operation.data)
        try:
            operation.data = codec.read(raw, model, operation=label)
        except InvalidRecord as invalid:
            _log.info("%s: the record in a push operation does not fit its model: %s", label, invalid)
            operation.data = None
            operation.unknown_fields = {**(operation.unknown_fields or {}), "data": Raw(raw)}
    return operation


class Create(_Write[T], method="POST", takes=("timeout_in_minutes", "idempotency_key")):
    """A new record; read-only fields of ``body`` (id, modified dates) are not sent."""

    async def __call__(
        self, company_id: str, connection_id: str, body: T, **options: object
    ) -> PushOperation[T]:
        return await self._push((company_id, connection_id), body, options)


class CreateUnderParent(_Write[T], method="POST", takes=Create.takes):
    """New records under a record, such as an account's transactions."""

    async def __call__(
        self, company_id: str, connection_id: str, parent_id: str, body: T, **options: object
    ) -> PushOperation[T]:
        return await self._push((company_id, connection_id, parent_id), body, options)


class Update(_Write[T], method="PUT", takes=("timeout_in_minutes", "force_update")):
    """A change to a record in the accounting software, which is written whole."""

    defaults = {"force_update": False}

    async def __call__(
        self, company_id: str, connection_id: str, record_id: str, body: T, **options: object
    ) -> PushOperation[T]:
        return await self._push((company_id, connection_id, record_id), body, options)


class Delete(_Write[T], method="DELETE"):
    """A deletion in the accounting software."""

    async def __call__(
        self, company_id: str, connection_id: str, record_id: str, **options: object
    ) -> PushOperation[T]:
        return await self._push((company_id, connection_id, record_id), None, options)


class DeleteAttachment(_Write[Attachment], method="DELETE"):
    """The deletion of a file that is attached to a record."""

    async def __call__(
        self, company_id: str, connection_id: str, record_id: str, attachment_id: str
    ) -> PushOperation[Attachment]:
        return await self._push((company_id, connection_id, record_id, attachment_id), None, {})


def creation(
    model: type[T], path: str, *, syncs: bool = False
) -> tuple[ConnectionCall[PushOption], Create[T]]:
    """What the platform demands of a new record, and the write of one, whose path this is."""
    demands = ConnectionCall(PushOption, path.replace("/push/", "/options/"))
    return demands, Create(model, path, syncs=syncs)


def changes(
    model: type[T], path: str, *, syncs: bool = False
) -> tuple[ConnectionCall[PushOption], Create[T], Update[T]]:
    """The same, and the write of a change."""
    return *creation(model, path, syncs=syncs), Update(model, record_path(model, path), syncs=syncs)


# --- following a write ---------------------------------------------------------------------

_FINAL: Final = (PushOperationStatus.SUCCESS, PushOperationStatus.FAILED, PushOperationStatus.TIMED_OUT)


class PushRead(Operation, base=COMPANY):
    """A push operation by its key."""

    model = PushOperation[Any]

    @overload
    async def __call__(self, company_id: str, push_operation_key: str) -> PushOperation[object]: ...
    @overload
    async def __call__(
        self, company_id: str, push_operation_key: str, *, model: type[T]
    ) -> PushOperation[T]: ...
    async def __call__(
        self, company_id: str, push_operation_key: str, *, model: Any = Any
    ) -> PushOperation[Any]:
        """Read its current state; ``data`` is decoded as ``model``, or is plain JSON without one."""
        response = await self._caller.send(self.request((company_id, push_operation_key)))
        return read_push(response.body, model, self.label)


class PushWaiter(Resource):
    """A resource that can follow a push operation to its end; its ``get`` reads one."""

    get: PushRead

    def _written_model(self, data_type: str) -> Any:
        """The model of what is written for a data type; Any if that is unknown."""
        raise NotImplementedError

    @overload
    async def wait(
        self, operation: PushOperation[T], /, *, timeout: float | None = ...
    ) -> PushOperation[T]: ...
    @overload
    async def wait(
        self, company_id: str, push_operation_key: str, /, *, timeout: float | None = ...
    ) -> PushOperation[object]: ...
    @overload
    async def wait(
        self, company_id: str, push_operation_key: str, /, *, model: type[T], timeout: float | None = ...
    ) -> PushOperation[T]: ...
    async def wait(
        self,
        operation: PushOperation[Any] | str,
        push_operation_key: str | None = None,
        /,
        *,
        model: type[Any] | None = None,
        timeout: float | None = 600.0,
    ) -> PushOperation[Any]:
        """Poll, at growing intervals, until a write has succeeded, and return its final state.

        Takes the operation that a write returned, or the company's id and the operation's key, so that
        a restarted worker can resume. ``timeout`` is in seconds; None waits as long as the platform takes.

        Raises :class:`~codat_async.errors.PushFailed` if the platform rejected the write,
        :class:`~codat_async.errors.PushTimedOut` if it or ``timeout`` gave up, and
        :class:`~codat_async.errors.DecodingError` for an operation without a company or key.
        """
        kind: Any = model
        if isinstance(operation, PushOperation):
            state, company_id, key = operation, operation.company_id, operation.push_operation_key
            if not (company_id and key):
                raise DecodingError("the push operation has no company or no key", operation=self.get.label)
            if kind is None and isinstance(operation.data, Model):
                kind = type(operation.data)
        elif push_operation_key is None:
            raise TypeError("wait() takes a push operation, or a company id and a push operation key")
        else:
            company_id, key, kind = operation, push_operation_key, kind or Any
            state = await self.get(company_id, key)
        poll = Poll(timeout)
        while state.status not in _FINAL:
            if not await poll.pause():
                raise PushTimedOut(state, f"still {state.status} after {timeout:g} s")
            state = await self.get(company_id, key)
        if state is not operation:
            state = _with_record(state, kind or self._model_of(state), self.get.label)
        if state.status == PushOperationStatus.FAILED:
            raise PushFailed(state, _reason(state))
        if state.status == PushOperationStatus.TIMED_OUT:
            raise PushTimedOut(state, state.error_message or "the platform timed out")
        return state

    def _model_of(self, state: PushOperation[Any]) -> Any:
        # An upload has the data type of the record that the file is attached to.
        uploaded = any(change.type == PushChangeType.ATTACHMENT_UPLOADED for change in state.changes or ())
        return Attachment if uploaded else self._written_model(str(state.data_type))


def _reason(operation: PushOperation[Any]) -> str:
    reasons = filter(None, [operation.error_message, *validation_errors(operation.validation)])
    return "; ".join(reasons) or "the platform rejected the write without giving a reason"
