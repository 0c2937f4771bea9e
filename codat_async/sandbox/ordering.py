"""The ``orderBy`` parameter of list endpoints: a dotted path, descending where a ``-`` stands before it."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from codat_async.sandbox.fields import FieldError, resolve

__all__ = ["OrderError", "order"]

Record = TypeVar("Record", bound=msgspec.Struct)


class OrderError(ValueError):
    """An ``orderBy`` that names nothing a list can be ordered by."""


def order(records: Sequence[Record], order_by: str, model: type[msgspec.Struct]) -> list[Record]:
    """The records in that order.

    The sort is stable, so ties keep the order that they had. Records without the value
    come first when ascending and last when descending.
    """
    descending = order_by.startswith("-")
    path = order_by.removeprefix("-").strip()
    try:
        found = resolve(model, path)
    except FieldError as error:
        raise OrderError(str(error)) from error
    read = found.comparable
    missing = []
    present = []
    for record in records:
        value = read(record)
        if value is None:
            missing.append(record)
        else:
            present.append((value, record))
    present.sort(key=lambda pair: pair[0], reverse=descending)
    ordered = [record for _, record in present]
    return ordered + missing if descending else missing + ordered
