"""What a typed stream yields and raises."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from codat_async.bulk.units.failures import Failure
from codat_async.bulk.units.unit import Unit
from codat_async.errors import CodatError, InvalidRecord
from codat_async.models.base import Model
from codat_middleware.text import one_line

__all__ = ["Batch", "PartialFailure", "batch_of"]


class Batch(Struct, kw_only=True):
    """The records of one page, typed."""

    type: str
    company: str
    connection: str | None
    parent: str | None
    """The bank account, if the records are under one."""
    page: int
    total: int
    """The number of records according to the API: in the whole list, or among its changes."""
    whole: bool = True
    """Whether the whole list is read; if not, only what changed since the last reading is."""
    records: Sequence[Model]
    """Of the type's model, such as ``models.Invoice`` for ``invoices``; check with ``isinstance``."""
    invalid: list[InvalidRecord]
    """Records that the model rejects, with their raw bytes."""


class PartialFailure(CodatError):
    """Some lists could not be read; raised after the batches of all others."""

    def __init__(self, failures: list[tuple[Unit | str, Failure]]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        unit, failure = self.failures[0]
        first = one_line(unit) if isinstance(unit, str) else unit
        return f"{len(self.failures)} lists could not be read, the first is {first}: {failure.text}"


def batch_of(
    unit: Unit, page: int, total: int, found: list[Any], invalid: list[InvalidRecord], *, whole: bool
) -> Batch:
    """The batch of a page of a list."""
    return Batch(
        type=unit.type,
        company=unit.company,
        connection=unit.connection or None,
        parent=unit.parent or None,
        page=page,
        total=total,
        whole=whole,
        records=found,
        invalid=invalid,
    )
