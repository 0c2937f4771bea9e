"""The present state of a type as one Parquet file a table: the current records, sorted by company."""

import contextlib
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.current import current_tables
from codat_async.bulk.sinks.errors import SinkError, first_line
from codat_async.bulk.sinks.parquet import GROUP_ROWS, parquet_files, source_of
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.sinks.statements import STATEMENT_LINES
from codat_async.bulk.sinks.tables import Table, derived_tables, own_table
from codat_async.bulk.store.disk import open_private, publish
from codat_async.bulk.store.sealed import AsOf

__all__ = ["present_folder", "write_present"]

# Its functions are generated on import, so type checkers do not know them.
pc: Final[Any] = pyarrow.compute
_SORTED_BYTES: Final = 128 * 1024 * 1024
"""What is sorted in memory at once, uncompressed."""
_MOST_PARTS: Final = 200
_SOURCES: Final = b"codat_async.sources"
_AS_OF: Final = b"codat_async.as_of"


def present_folder(root: Path, as_of: AsOf | None) -> Path:
    """Where the present state is, or that of an earlier moment."""
    return root / "current" if as_of is None else root / "as-of" / as_of.name


def write_present(root: Path, kind: PullType, *, as_of: AsOf | None, line_items: bool) -> int:
    """Write the current records of a type from its Parquet files; returns how many, 0 if they are unchanged.

    Each file takes the place of the one before at once. Raises SinkError.
    """
    folder = present_folder(root, as_of)
    tables = [own_table(kind), *(derived_tables(kind) if line_items else ())]
    paths = parquet_files(root, kind.name)
    names = [_file_name(table, kind) for table in tables]
    try:
        if not paths:
            for name in names:
                (folder / name).unlink(missing_ok=True)
            return 0
        metadata = {_SOURCES: _digest(paths), _AS_OF: b"" if as_of is None else as_of.name.encode()}
        if all(
            _is_present(folder / name, metadata, table) for name, table in zip(names, tables, strict=True)
        ):
            return 0
        records = 0
        with contextlib.ExitStack() as stack:
            writers = [
                stack.enter_context(_Writer(folder / name, table, metadata))
                for name, table in zip(names, tables, strict=True)
            ]
            for part in _sorted(root, kind, folder, paths, as_of):
                records += part.num_rows
                for writer in writers:
                    writer.add(part)
        return records
    except (pa.ArrowInvalid, OSError) as error:
        raise SinkError(f"cannot write {folder / names[0]}: {first_line(error)}") from error


def _file_name(table: Table, kind: PullType) -> str:
    # The lines of a statement are in a file of their own, so that it can be replaced with the statement.
    return f"{kind.name}_lines.parquet" if table.name == STATEMENT_LINES else f"{table.name}.parquet"


def _digest(paths: Sequence[Path]) -> bytes:
    """What the files were made of, which changes with them."""
    sources = [(path.name, source_of(path)) for path in paths]
    return sha256(msgspec.json.encode(sources)).hexdigest().encode()


def _is_present(path: Path, metadata: dict[bytes, bytes], table: Table) -> bool:
    try:
        with pq.ParquetFile(path) as opened:
            held = opened.metadata.metadata or {}
            same = all(held.get(name) == value for name, value in metadata.items())
            return same and opened.schema_arrow.equals(table.schema)
    except (pa.ArrowInvalid, OSError):
        return False


class _Writer:
    """Writes a file that takes the place of the one before when it is complete."""

    def __init__(self, target: Path, table: Table, metadata: dict[bytes, bytes]) -> None:
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        self._table = table
        self._metadata = metadata
        os.close(open_private(self._part, os.O_WRONLY | os.O_TRUNC))
        order = pq.SortingColumn.from_ordering(table.schema, [("company_id", "ascending")])
        self._writer = pq.ParquetWriter(self._part, table.schema, compression="zstd", sorting_columns=order)

    def add(self, records: pa.Table) -> None:
        """Add the rows of records, which are sorted."""
        self._writer.write_table(self._table.rows(records), row_group_size=GROUP_ROWS)

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._writer.add_key_value_metadata(self._metadata)
                self._writer.close()
                with self._part.open("rb") as written:
                    os.fsync(written.fileno())
                publish(self._part, self._target)
        finally:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._part.unlink(missing_ok=True)


def _sorted(
    root: Path, kind: PullType, folder: Path, paths: Sequence[Path], as_of: AsOf | None
) -> Iterator[pa.Table]:
    """The current records sorted by company, in tables that fit into memory."""
    shape = shape_of(kind)
    order = [(name, "ascending") for name in dict.fromkeys((*shape.ids, *shape.key))]
    tables = current_tables(root, kind, deleted=False, as_of=as_of)
    bounds = _bounds(paths)
    if not bounds:
        found = [shape.schema.empty_table(), *tables]
        yield pa.concat_tables(found).sort_by(order)
        return
    parts = [folder / f"{kind.name}.parquet.{number}.part" for number in range(len(bounds) + 1)]
    try:
        _distribute(tables, parts, bounds, shape.schema)
        for part in parts:
            yield pq.read_table(part, schema=shape.schema).sort_by(order)
            part.unlink()
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _bounds(paths: Sequence[Path]) -> list[str]:
    """The companies at which the records are cut into parts that can be sorted in memory."""
    metadata = [pq.read_metadata(path) for path in paths]
    size = sum(
        each.row_group(number).total_byte_size for each in metadata for number in range(each.num_row_groups)
    )
    wanted = min(_MOST_PARTS, -(-size // _SORTED_BYTES))
    if wanted <= 1:
        return []
    companies = pa.chunked_array(
        [
            chunk
            for path in paths
            for chunk in pq.read_table(path, columns=["company_id"])["company_id"].chunks
        ],
        pa.string(),
    )
    counted = sorted((each["values"], each["counts"]) for each in pc.value_counts(companies).to_pylist())
    bounds: list[str] = []
    rows = 0
    for company, count in counted:
        if rows and rows + count > len(companies) / wanted:
            bounds.append(company)
            rows = 0
        rows += count
    return bounds


def _distribute(
    tables: Iterator[pa.Table], parts: Sequence[Path], bounds: Sequence[str], schema: pa.Schema
) -> None:
    """Write each record to the part of its company."""
    with contextlib.ExitStack() as stack:
        writers = []
        for part in parts:
            os.close(open_private(part, os.O_WRONLY | os.O_TRUNC))
            writers.append(stack.enter_context(pq.ParquetWriter(part, schema, compression="zstd")))
        for table in tables:
            encoded = table["company_id"].combine_chunks().dictionary_encode()
            places = [bisect_right(bounds, company) for company in encoded.dictionary.to_pylist()]
            numbers = pa.array(places, pa.int64()).take(encoded.indices)
            for number in sorted(set(places)):
                writers[number].write_table(table.filter(pc.equal(numbers, number)))
