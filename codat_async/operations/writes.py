"""Writes to the accounting software, and waiting for what becomes of them."""

import logging
import re
import time
from typing import Any, Final, Generic, TypeVar, overload

import anyio
from msgspec import Raw

from codat_async import codec
from codat_async.errors import InvalidRecord, PushFailed, PushTimedOut
from codat_async.models import Attachment, PushChangeType, PushOperation, PushOperationStatus
from codat_async.operations.base import COMPANY, CONNECTION, Operation, Resource
from codat_middleware.messages import Body

T = TypeVar("T")

_log = logging.getLogger(__name__)


# The one path whose last segment is not the name of its data type.
_DATA_TYPES: Final = {"accounts": "chartOfAccounts"}

# A delete, and a write whose answer leaves the record out, say what they are about only by
# name; the declarations know the model that goes with it.
_MODEL_BY_DATA_TYPE: dict[str, type[Any]] = {}

WITH_ATTACHMENTS: Final[set[str]] = set()
"""Data types whose records files are hung on: such a write bears the name of the record's type."""


class _Write(Operation, Generic[T]):
    """A write answers at once with a push operation, which ends seconds to minutes later, or never."""

    model: type[T]
    data_type: str
    """Codat's name of what is written."""

    def __init__(self, model: type[T], path: str) -> None:
        super().__init__(path)
        self.model = self.body_model = model
        self.data_type = _DATA_TYPES.get(path.split("/")[-1], path.split("/")[-1])
        if not path.endswith("}"):
            _MODEL_BY_DATA_TYPE[self.data_type] = model

    async def _push(
        self,
        ids: tuple[str, ...],
        body: T | None,
        query: dict[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> PushOperation[T]:
        sent = None if body is None else Body(codec.encode(body, omit_read_only=self.method == "POST"))
        request = self.request(ids, query, sent, headers=key_headers(idempotency_key))
        response = await self._caller.send(request)
        return read_push(response.body, self.model, self.label)


def key_headers(idempotency_key: str | None) -> dict[str, str] | None:
    """The header for a key of the caller's; raises ValueError for a blank one."""
    if idempotency_key is None:
        return None
    if not idempotency_key.strip():
        raise ValueError("the idempotency key is blank; pass none to have one made")
    return {"Idempotency-Key": idempotency_key}


def read_push(body: bytes, model: type[T], label: str, *, sure: bool = True) -> PushOperation[T]:
    """A push operation from its JSON, whatever the platform made of the record in it.

    How a write stands must not be lost to a record that no longer is one: what does not
    fit the model leaves ``data`` empty, and is found in ``unknown_fields`` as it came. It is
    logged where ``sure`` that the record is of that model.
    """
    try:
        return codec.decode(body, push_operation(model), operation=label)
    except InvalidRecord as invalid:
        if not re.match(r"\$\.data(?!\w)", invalid.path):
            raise
        if sure:
            _log.warning("%s: the record of a push operation does not fit: %s", label, invalid)
    operation: PushOperation[Any] = codec.decode(body, PushOperation[Any], operation=label)
    unfit = Raw(codec.encode(operation.data))
    operation.data, operation.unknown_fields = None, {**(operation.unknown_fields or {}), "data": unfit}
    return operation


def read_push_as_told(body: bytes, label: str) -> PushOperation[Any]:
    """A push operation whose record is what the operation itself tells it to be.

    What was changed tells an attachment from the record it hangs on. Until that is told, a
    record is typed where it fits.
    """
    plain = codec.decode(body, PushOperation[Any], operation=label)
    changes = {change.type for change in plain.changes or ()}
    if PushChangeType.ATTACHMENT_UPLOADED in changes:
        return read_push(body, Attachment, label)
    data_type = str(plain.data_type)
    model = _MODEL_BY_DATA_TYPE.get(data_type)
    if model is None:
        return plain
    return read_push(body, model, label, sure=bool(changes) or data_type not in WITH_ATTACHMENTS)


def push_operation(model: type[T]) -> type[PushOperation[T]]:
    """The type of a push operation on that kind of record, as the decoder wants it."""
    return PushOperation[model]  # type: ignore[valid-type]


class Create(_Write[T]):
    """A new record in the accounting software."""

    method = "POST"
    base = CONNECTION

    async def __call__(
        self,
        company_id: str,
        connection_id: str,
        body: T,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> PushOperation[T]:
        """Start the write.

        Read-only fields of ``body`` (id, modified dates) are not sent. After
        ``timeout_in_minutes`` Codat gives a pending write up. The idempotency key is made
        for you, once a call, unless you pass one (a UUID).
        """
        query: dict[str, object] = {"timeoutInMinutes": timeout_in_minutes}
        return await self._push((company_id, connection_id), body, query, idempotency_key)


class CreateWithoutTimeout(_Write[T]):
    """A new record, where the endpoint takes no time-out."""

    method = "POST"
    base = CONNECTION

    async def __call__(
        self, company_id: str, connection_id: str, body: T, *, idempotency_key: str | None = None
    ) -> PushOperation[T]:
        """Start the write; see :class:`Create`."""
        return await self._push((company_id, connection_id), body, None, idempotency_key)


class CreateAndSync(_Write[T]):
    """A new record that can be read back into Codat's copy as soon as it is written."""

    method = "POST"
    base = CONNECTION

    async def __call__(
        self,
        company_id: str,
        connection_id: str,
        body: T,
        *,
        allow_sync_on_push_complete: bool = True,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> PushOperation[T]:
        """Start the write; see :class:`Create`. ``allow_sync_on_push_complete`` refreshes the copy after."""
        query = _sync_query(allow_sync_on_push_complete, timeout_in_minutes)
        return await self._push((company_id, connection_id), body, query, idempotency_key)


class CreateUnderParent(_Write[T]):
    """New records under a record, such as an account's transactions."""

    method = "POST"
    base = CONNECTION

    async def __call__(
        self,
        company_id: str,
        connection_id: str,
        parent_id: str,
        body: T,
        *,
        allow_sync_on_push_complete: bool = True,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> PushOperation[T]:
        """Start the write; see :class:`Create`. ``allow_sync_on_push_complete`` refreshes the copy after."""
        query = _sync_query(allow_sync_on_push_complete, timeout_in_minutes)
        return await self._push((company_id, connection_id, parent_id), body, query, idempotency_key)


def _sync_query(allow_sync: bool, timeout_in_minutes: int | None) -> dict[str, object]:
    return {"allowSyncOnPushComplete": allow_sync, "timeoutInMinutes": timeout_in_minutes}


class Update(_Write[T]):
    """A change to a record in the accounting software."""

    method = "PUT"
    base = CONNECTION

    async def __call__(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: T,
        *,
        force_update: bool = False,
        timeout_in_minutes: int | None = None,
    ) -> PushOperation[T]:
        """Start the write of the whole record.

        ``force_update`` writes even where the record has changed in the source since Codat
        read it.
        """
        query: dict[str, object] = {"forceUpdate": force_update, "timeoutInMinutes": timeout_in_minutes}
        return await self._push((company_id, connection_id, record_id), body, query)


class Delete(_Write[T]):
    """A deletion in the accounting software."""

    method = "DELETE"
    base = CONNECTION

    def __init__(self, model: type[T], path: str) -> None:
        super().__init__(model, path)
        self.body_model = None

    async def __call__(self, company_id: str, connection_id: str, record_id: str) -> PushOperation[T]:
        """Start the deletion."""
        return await self._push((company_id, connection_id, record_id), None)


class PushRead(Operation):
    """A push operation by its key."""

    base = COMPANY
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
        """Read its state now; ``model`` is the record's type, without which ``data`` is plain JSON."""
        return read_push(await self._body(company_id, push_operation_key), model, self.label)

    async def _as_told(self, company_id: str, push_operation_key: str) -> PushOperation[Any]:
        """Read its state now; ``data`` is what the operation tells it to be."""
        return read_push_as_told(await self._body(company_id, push_operation_key), self.label)

    async def _body(self, company_id: str, push_operation_key: str) -> bytes:
        return (await self._caller.send(self.request((company_id, push_operation_key)))).body


_FINAL: Final = (PushOperationStatus.SUCCESS, PushOperationStatus.FAILED, PushOperationStatus.TIMED_OUT)
_FIRST_POLL: Final = 1.0
_SLOWEST_POLL: Final = 15.0
_POLL_GROWTH: Final = 1.5


class PushWaiter(Resource):
    """A resource that can follow a push operation to its end; it has ``get``."""

    get: PushRead

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

        Takes the operation that a write returned, or the company's id and the operation's
        key, so that a worker that was restarted can pick up again. ``timeout`` is in
        seconds; None waits as long as the platform takes.

        Raises :class:`~codat_async.errors.PushFailed` where the platform refused, and
        :class:`~codat_async.errors.PushTimedOut` where it, or ``timeout``, gave up.
        """
        kind: Any = model
        if isinstance(operation, PushOperation):
            state = operation
            company_id, key = operation.company_id, operation.push_operation_key
            if kind is None and operation.data is not None:
                kind = type(operation.data)
        elif push_operation_key is None:
            raise TypeError("wait() takes a push operation, or a company id and a push operation key")
        else:
            company_id, key = operation, push_operation_key
            kind = kind or Any
            state = await self.get(company_id, key, model=kind)
        until = None if timeout is None else time.monotonic() + timeout
        interval = _FIRST_POLL
        while state.status not in _FINAL:
            left = interval if until is None else until - time.monotonic()
            if left <= 0:
                raise PushTimedOut(state, f"still {state.status} after {timeout:g} s")
            await anyio.sleep(min(interval, left))
            interval = min(interval * _POLL_GROWTH, _SLOWEST_POLL)
            if kind is None:
                state = await self.get._as_told(company_id, key)
            else:
                state = await self.get(company_id, key, model=kind)
        if state.status == PushOperationStatus.FAILED:
            raise PushFailed(state, _why(state))
        if state.status == PushOperationStatus.TIMED_OUT:
            raise PushTimedOut(state, state.error_message or "the platform gave up")
        return state


def _why(operation: PushOperation[Any]) -> str:
    found = operation.validation.errors if operation.validation else None
    reasons = [f"{item.item_id or 'record'}: {item.message}" for item in found or []]
    if operation.error_message:
        reasons.insert(0, operation.error_message)
    return "; ".join(reasons) or "the platform refused the write without saying why"
