"""The current version of each record in the Parquet files, which hold all versions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.errors import SinkError
from codat_async.bulk.sinks.parquet import empty_lists, file_number, parquet_files
from codat_async.bulk.sinks.schema import Shape, shape_of
from codat_async.bulk.store.sealed import AsOf

__all__ = ["current_tables", "has_parquet"]

# Its functions are generated on import, so type checkers do not know them.
pc: Final[Any] = pyarrow.compute
_MOST: Final = 2**63 - 1


def has_parquet(root: Path, kind: PullType) -> bool:
    """Whether a directory has Parquet files of a type."""
    return bool(parquet_files(root, kind.name))


def current_tables(
    root: Path, kind: PullType, *, deleted: bool, as_of: AsOf | None = None
) -> Iterator[pa.Table]:
    """The current records, as a table for each file with some; see :func:`codat_async.bulk.current`."""
    shape = shape_of(kind)
    paths = parquet_files(root, kind.name)
    if not paths:
        raise SinkError(
            f"{root} has no Parquet files of {kind.name}: run codat-async convert {root} --parquet"
        )
    if as_of is not None:
        paths = [path for path in paths if file_number(path) not in as_of.files]
    return _tables(paths, shape, deleted, _MOST if as_of is None else as_of.next_n) if paths else iter(())


def _tables(paths: list[Path], shape: Shape, deleted: bool, next_n: int) -> Iterator[pa.Table]:
    places = _places(paths, shape, next_n)
    for number, path in enumerate(paths):
        rows = places.filter(pc.equal(places.column("file"), number)).column("row").sort()
        if len(rows):
            table = pq.read_table(path, schema=shape.schema).take(rows)
            if not deleted and "metadata" in table.column_names:
                gone = pc.struct_field(table.column("metadata"), "is_deleted")
                table = table.filter(pc.invert(pc.fill_null(gone, False)))
            if table.num_rows:
                yield table


def _places(paths: list[Path], shape: Shape, next_n: int) -> pa.Table:
    """The file and row of each record that is current among the readings before ``next_n``."""
    versions = pa.concat_tables([_versions(path, number, shape) for number, path in enumerate(paths)])
    if next_n != _MOST:
        versions = versions.filter(pc.less(versions.column("n"), next_n))
    kept = _without_removed(versions, paths, shape, next_n)
    if shape.key == shape.ids:
        return _newest(kept, shape)
    nameless = pc.or_kleene(kept.column("id").is_null(), pc.equal(kept.column("id"), ""))
    # Records without an id never replace each other.
    return pa.concat_tables(
        [_newest(kept.filter(pc.invert(nameless)), shape), kept.filter(nameless).select(["file", "row"])]
    )


def _versions(path: Path, number: int, shape: Shape) -> pa.Table:
    wanted = [*shape.key, "n", "whole"]
    if "modified_date" in shape.schema.names:
        wanted.append("modified_date")
    table = pq.read_table(path, columns=wanted)
    rows = pa.array(range(table.num_rows), pa.int64())
    return table.append_column("file", pa.repeat(number, table.num_rows)).append_column("row", rows)


def _without_removed(versions: pa.Table, paths: list[Path], shape: Shape, next_n: int) -> pa.Table:
    """The versions that the last whole reading of their list has not removed."""
    ids = list(shape.ids)
    schema = pa.schema([shape.schema.field(name) for name in [*ids, "n"]])
    empty = [
        dict(zip(schema.names, each, strict=True))
        for path in paths
        for each in empty_lists(path)
        if each[-1] < next_n
    ]
    whole = versions.filter(versions.column("whole")).select(schema.names)
    readings = pa.concat_tables([whole.cast(schema), pa.Table.from_pylist(empty, schema=schema)])
    last = readings.group_by(ids).aggregate([("n", "max")])
    joined = versions.join(last, keys=ids, join_type="left outer")
    return joined.filter(pc.greater_equal(joined.column("n"), pc.fill_null(joined.column("n_max"), 0)))


def _newest(versions: pa.Table, shape: Shape) -> pa.Table:
    order = [name for name in ("modified_date", "n", "file", "row") if name in versions.column_names]
    keys = list(shape.key)
    ranked = versions.sort_by(
        [*((name, "ascending") for name in keys), *((name, "descending") for name in order)]
    )
    # On one thread, so that the first row of each group is the first in this order.
    first = ranked.group_by(keys, use_threads=False).aggregate([("file", "first"), ("row", "first")])
    return first.select(["file_first", "row_first"]).rename_columns(["file", "row"])
