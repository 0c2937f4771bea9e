"""Turns the client's catalogue into the server's routes: one handler a kind of operation."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from codat_async.models import DataType
from codat_async.operations import Operation
from codat_async.operations.base import data_type_of
from codat_async.sandbox.attachments import Files
from codat_async.sandbox.call import Handler
from codat_async.sandbox.dispatch import Route
from codat_async.sandbox.platform import Platform
from codat_async.sandbox.reads import Reads
from codat_async.sandbox.routing import Router
from codat_async.sandbox.webhooks import Consumers
from codat_async.sandbox.writes import Writes

Make = Callable[[Operation], Handler]

_MULTIPART: Final = frozenset({"upload_attachment"})


def record_models(operations: Iterable[Operation]) -> dict[str, Any]:
    """The type of the records of each resource that has a list."""
    return {operation.resource: operation.model for operation in operations if operation.name == "list"}


def body_models(operations: Iterable[Operation]) -> dict[DataType, Any]:
    """The type of what is sent to create a record, by data type."""
    return {
        data_type_of(operation.resource): operation.body_model
        for operation in operations
        if operation.name == "create" and "/push/" in operation.path
    }


def makers(
    reads: Reads, writes: Writes, files: Files, platform: Platform, consumers: Consumers
) -> Mapping[str, Make]:
    """What makes the handler of an operation: by ``resource.name``, or else by the resource or the name."""
    by_kind: dict[str, Make] = {
        "list": reads.list,
        "get": reads.get,
        "reports": reads.report,
        "company_info.get": reads.company_info,
        "bank_account_transactions.list": reads.list_under_account,
        "payments.list_by_link_type": reads.list_by_link_type,
        "download_pdf": reads.pdf,
        "create": writes.create,
        "bank_account_transactions.create": writes.create_bank_transactions,
        "update": writes.update,
        "delete": writes.delete,
        "get_create_model": writes.options,
        "get_create_update_model": writes.options,
        "push_operations.list": writes.history,
        "push_operations.get": writes.get,
        "push_operations.get_model_options": writes.options,
        "list_attachments": files.list,
        "get_attachment": files.get,
        "download_attachment": files.download,
        "upload_attachment": files.upload,
        "delete_attachment": files.delete,
    }
    others = {**platform.handlers(), **consumers.handlers()}
    return by_kind | {name: _always(handler) for name, handler in others.items()}


def _always(handler: Handler) -> Make:
    return lambda operation: handler


def add_catalogue(
    router: Router[Route], operations: Iterable[Operation], by_kind: Mapping[str, Make]
) -> None:
    """Adds a route for every operation; one that nothing here serves raises :class:`LookupError`."""
    for operation in operations:
        label = f"{operation.resource}.{operation.name}"
        make = by_kind.get(label) or by_kind.get(operation.resource) or by_kind.get(operation.name)
        if make is None:
            raise LookupError(f"the sandbox has no handler for {operation!r}")
        route = Route(make(operation), label, multipart=operation.name in _MULTIPART)
        router.add(operation.method, operation.path, route)
