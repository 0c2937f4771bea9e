"""The lines of listings of invalid records, under ``invalid/``."""

from collections.abc import Iterable

import msgspec

from codat_async.bulk.store.state import Invalid
from codat_async.bulk.units.unit import Unit

__all__ = ["listing_lines"]


def listing_lines(unit: Unit, n: int, page: int, invalid: Iterable[Invalid]) -> bytes:
    """A line for each record of a page that the model rejects: where it is, why, and the record."""
    return b"".join(_line(unit, n, page, each) for each in invalid)


def _line(unit: Unit, n: int, page: int, each: Invalid) -> bytes:
    try:
        record: object = msgspec.Raw(msgspec.json.format(each.record, indent=-1))
    except msgspec.DecodeError:
        record = each.record.decode(errors="replace")
    fields = {
        "n": n,
        "company_id": unit.company,
        "connection_id": unit.connection or None,
        "account_id": unit.parent or None,
        "type": unit.type,
        "id": each.id,
        "page": page,
        "row": each.row,
        "path": each.path,
        "reason": each.reason,
        "record": record,
    }
    return msgspec.json.encode(fields) + b"\n"
