"""The tables of lines as dlt takes them."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import dlt
import msgspec
import pyarrow as pa
from msgspec import Raw

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.arrow import tabulate
from codat_async.bulk.sinks.schema import shape_of

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def takes_structs() -> bool:
    """Whether the destination of the pipeline has types for structs and lists."""
    destination = dlt.current.pipeline().destination
    return destination is not None and bool(destination.capabilities().supports_nested_types)


def tabulated(
    lines: bytes, kind: PullType, records: Sequence[bytes | Raw], without_id: Counter[bytes]
) -> tuple[pa.Table, list[str]]:
    """The table of the lines of these records, and their ids, also for those without: a key is not null.

    ``without_id`` has how often each record without an id came before: equal ones are several records.
    """
    shape = shape_of(kind)
    table = tabulate(lines, shape).table.drop_columns(["n", "whole"])
    has_ids = "id" in shape.key
    held: list[str | None] = table.column("id").to_pylist() if has_ids else [None] * len(records)
    ids = [each or "" for each in held]
    if all(ids):
        return table, ids
    for place, record in enumerate(records):
        if not ids[place]:
            digest = sha256(record).digest()
            without_id[digest] += 1
            ids[place] = f"without id {digest.hex()[:32]} {without_id[digest]}"
    if has_ids:
        table = table.set_column(table.schema.get_field_index("id"), "id", pa.array(ids, pa.string()))
    return table, ids


def for_dlt(table: pa.Table, *, structs: bool) -> pa.Table:
    """The table, unless the destination takes ``structs`` with its nested columns as JSON."""
    if not structs:
        for place, column in enumerate(table.schema):
            if pa.types.is_nested(column.type):
                values = table.column(place).to_pylist()
                texts = [None if value is None else _encode(value).decode() for value in values]
                table = table.set_column(place, column.name, pa.array(texts, pa.string()))
    return table
