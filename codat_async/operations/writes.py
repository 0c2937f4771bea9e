"""Writes to the accounting software, answered at once with a push operation, which ends later, or never.

Its answers carry no record: once ``push_operations.wait`` returns, ``operation.record_id`` is the id of
what was written, which can be read only after the next sync of its data type. After an error with
``outcome_unknown`` the write may have happened: after a lost connection or a time-out, call again within
90 minutes with the same ``idempotency_key``; after a 5xx, look the record up after the next sync.
``docs/writes.md`` has the code.
"""

import logging
from typing import Any, ClassVar, Final

from msgspec import Raw

from codat_async import codec
from codat_async.errors import InvalidRecord
from codat_async.models import Attachment, PushOperation, PushOption
from codat_async.operations.base import CONNECTION, Call, T, record_path
from codat_async.operations.calls import ConnectionCall
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
    """``takes`` are the options of a write; with ``syncs`` it also takes those of a sync that follows it."""

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
    return with_record(codec.read(body, PushOperation[Any], operation=label), model, label)


def with_record(operation: PushOperation[Any], model: Any, label: str) -> PushOperation[Any]:
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
    async def __call__(
        self, company_id: str, connection_id: str, body: T, **options: object
    ) -> PushOperation[T]:
        """A new record; read-only fields of ``body`` (id, modified dates) are not sent."""
        return await self._push((company_id, connection_id), body, options)


class CreateUnderParent(_Write[T], method="POST", takes=Create.takes):
    async def __call__(
        self, company_id: str, connection_id: str, parent_id: str, body: T, **options: object
    ) -> PushOperation[T]:
        """New records under a record, such as an account's transactions."""
        return await self._push((company_id, connection_id, parent_id), body, options)


class Update(_Write[T], method="PUT", takes=("timeout_in_minutes", "force_update")):
    defaults = {"force_update": False}

    async def __call__(
        self, company_id: str, connection_id: str, record_id: str, body: T, **options: object
    ) -> PushOperation[T]:
        """A change to a record in the accounting software, which is written whole."""
        return await self._push((company_id, connection_id, record_id), body, options)


class Delete(_Write[T], method="DELETE"):
    async def __call__(
        self, company_id: str, connection_id: str, record_id: str, **options: object
    ) -> PushOperation[T]:
        """A deletion in the accounting software."""
        return await self._push((company_id, connection_id, record_id), None, options)


class DeleteAttachment(_Write[Attachment], method="DELETE"):
    async def __call__(
        self, company_id: str, connection_id: str, record_id: str, attachment_id: str
    ) -> PushOperation[Attachment]:
        """The deletion of a file that is attached to a record."""
        return await self._push((company_id, connection_id, record_id, attachment_id), None, {})


def creation(model: type[T], path: str, syncs: bool = False) -> tuple[ConnectionCall[PushOption], Create[T]]:
    """What the platform demands of a new record, and the write of one, whose path this is."""
    demands = ConnectionCall(PushOption, path.replace("/push/", "/options/"))
    return demands, Create(model, path, syncs=syncs)


def changes(
    model: type[T], path: str, syncs: bool = False
) -> tuple[ConnectionCall[PushOption], Create[T], Update[T]]:
    """The same, and the write of a change."""
    return *creation(model, path, syncs=syncs), Update(model, record_path(model, path), syncs=syncs)
