"""Turns the client's catalogue into the server's routes: one handler a kind of operation."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from codat_async.operations import Operation
from codat_async.sandbox.call import Handler
from codat_async.sandbox.dispatch import Route
from codat_async.sandbox.reads import Reads
from codat_async.sandbox.routing import Router

__all__ = ["add_catalogue", "record_types"]

Make = Callable[[Operation], Handler]


def record_types(operations: Iterable[Operation]) -> dict[str, Any]:
    """The type of the records of each resource that has a list."""
    return {operation.resource: operation.model for operation in operations if operation.name == "list"}


def add_catalogue(
    router: Router[Route], operations: Iterable[Operation], reads: Reads, special: Mapping[str, Make]
) -> None:
    """Adds a route for every operation.

    ``special`` makes the handlers of operations, or of all operations of one name, that
    are more than reads: by ``resource.name`` or by ``name``.
    """
    by_kind: Mapping[str, Make] = {
        "list": reads.list,
        "get": reads.get,
        "bank_account_transactions.list": reads.list_under_account,
        "payments.list_by_link_type": reads.list_by_link_type,
        "company_info.get": reads.company_info,
        **special,
    }
    for operation in operations:
        label = f"{operation.resource}.{operation.name}"
        if operation.resource == "reports":
            make: Make | None = reads.report
        else:
            make = by_kind.get(label) or by_kind.get(operation.name)
        if make is None:
            raise LookupError(f"the sandbox has no handler for {operation!r}")
        router.add(
            operation.method,
            operation.path,
            Route(make(operation), label, multipart=operation.name in _MULTIPART),
        )


_MULTIPART: Final = frozenset({"upload_attachment"})
