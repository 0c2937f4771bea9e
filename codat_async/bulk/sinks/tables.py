"""The tables made of a type's records: its own, those of the lists in records, and statement lines."""

from collections.abc import Callable
from functools import cache, partial

import pyarrow as pa
from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.nested import nested_tables, unnested
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.sinks.statements import (
    STATEMENT_LINES,
    is_statement,
    statement_lines,
    statement_schema,
)

__all__ = ["Table", "derived_tables", "own_table"]


class Table(Struct, frozen=True):
    """A table, and how its rows are made of those of the type."""

    name: str
    schema: pa.Schema
    rows: Callable[[pa.Table], pa.Table]


@cache
def own_table(kind: PullType) -> Table:
    """The table with a row for each record."""
    return Table(kind.name, shape_of(kind).schema, lambda table: table)


@cache
def derived_tables(kind: PullType) -> tuple[Table, ...]:
    """The tables with a row for each item of a list within the records."""
    if is_statement(kind):
        return (Table(STATEMENT_LINES, statement_schema(), partial(statement_lines, kind=kind)),)
    return tuple(
        Table(each.name, each.schema, partial(unnested, nested=each)) for each in nested_tables(kind)
    )
