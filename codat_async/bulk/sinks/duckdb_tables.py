"""The tables of a DuckDB file, one a type, and the views of them."""

import contextlib
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.errors import SinkError, first_line
from codat_async.bulk.sinks.nested import nested_tables, view_of
from codat_async.bulk.sinks.schema import Shape, shape_of
from codat_async.bulk.sinks.sql import quoted

__all__ = ["create_table", "make_tables"]


_PLAIN: Final = {pa.string(): "varchar", pa.int64(): "bigint", pa.bool_(): "boolean"}


def create_table(name: str, schema: pa.Schema) -> str:
    """The statement that makes a table with these columns."""
    columns = ", ".join(f"{quoted(each.name)} {_type(each.type)}" for each in schema)
    return f"create table if not exists {quoted(name)} ({columns})"


def _type(column: pa.DataType) -> str:
    """The type that DuckDB gives a column of Arrow's."""
    # Reading an empty table for its types would take as long as all other statements for a type.
    if pa.types.is_struct(column):
        return f"struct({', '.join(f'{quoted(each.name)} {_type(each.type)}' for each in column)})"
    if pa.types.is_list(column):
        return f"{_type(column.value_type)}[]"
    if pa.types.is_decimal(column):
        return f"decimal({column.precision}, {column.scale})"
    if pa.types.is_timestamp(column):
        return "timestamptz" if column.tz else "timestamp"
    return _PLAIN[column]


def make_tables(
    db: duckdb.DuckDBPyConnection, path: Path, kinds: Iterable[PullType], names: Set[str]
) -> None:
    """Make the tables of types and their views, or add the fields that the models have gained.

    ``names`` are those of the tables and views in the file. Raises SinkError, and has then changed nothing.
    """
    cursor = db.cursor()
    doing = f"make tables in {path}"
    try:
        cursor.execute("begin")
        for kind in kinds:
            doing = f"make the table {kind.name} in {path}"
            shape = shape_of(kind)
            statements: list[str] = []
            present = names
            if kind.name not in names:
                statements.append(create_table(kind.name, shape.schema))
            elif _add_fields(cursor, path, kind, shape):
                present = frozenset()
            cursor.execute("; ".join([*statements, *_views(kind, shape, present)]))
        cursor.execute("commit")
    except duckdb.Error as error:
        raise SinkError(f"cannot {doing}: {first_line(error)}") from error
    finally:
        with contextlib.suppress(duckdb.Error):
            cursor.execute("rollback")
        cursor.close()


def _add_fields(db: duckdb.DuckDBPyConnection, path: Path, kind: PullType, shape: Shape) -> bool:
    """Add what the table lacks, within structs too; returns whether anything was."""
    table = quoted(kind.name)
    is_altered = False
    try:
        held = _columns(db, f"from {table}")
        wanted = ", ".join(f"null::{_type(each.type)} as {quoted(each.name)}" for each in shape.schema)
        # By name the fields of structs are merged too; an insert alone would drop the new ones.
        for column, its_type in _columns(db, f"from {table} union all by name select {wanted}").items():
            if column not in held:
                db.execute(f"alter table {table} add column {quoted(column)} {its_type}")
            elif held[column] != its_type:
                db.execute(f"alter table {table} alter {quoted(column)} set data type {its_type}")
            is_altered = is_altered or held.get(column) != its_type
    except duckdb.Error as error:
        raise SinkError(
            f"the table {kind.name} in {path} is of an earlier version and cannot be"
            f" changed ({first_line(error)}): remove the file, or in it `drop table {table} cascade;"
            f" delete from codat_async_files where type = '{kind.name}';"
            f" delete from codat_async_lists where type = '{kind.name}'`,"
            " and codat-async convert makes it again from the raw files"
        ) from error
    return is_altered


def _views(kind: PullType, shape: Shape, present: Set[str]) -> Iterator[str]:
    """The statements for ``current_TYPE``: without deleted records, and the last reading of each report.

    The lists within records have a view each, of all records and of the current ones; those that are
    ``present`` stay.
    """
    where = " where not coalesce(metadata.is_deleted, false)" if "metadata" in shape.schema.names else ""
    if shape.keeps_readings:
        where = f" qualify n = max(n) over (partition by {', '.join(shape.ids)})"
    view = quoted(f"current_{kind.name}")
    yield f"create or replace view {view} as select * from {quoted(kind.name)}{where}"
    for nested in nested_tables(kind):
        for prefix in ("", "current_"):
            name = f"{prefix}{nested.name}"
            if name not in present:
                yield f"create or replace view {quoted(name)} as {view_of(nested, f'{prefix}{kind.name}')}"


def _columns(db: duckdb.DuckDBPyConnection, query: str) -> dict[str, str]:
    described = db.execute(f"select column_name, column_type from (describe {query})").fetchall()
    return {str(name): str(its_type) for name, its_type in described}
