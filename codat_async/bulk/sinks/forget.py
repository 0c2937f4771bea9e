"""Removes companies from what was converted: from Parquet files and DuckDB files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from codat_async.bulk.plan.data_types import known_types, lake_types
from codat_async.bulk.sinks.arrow import Block
from codat_async.bulk.sinks.errors import SinkError, first_line
from codat_async.bulk.sinks.parquet import (
    ParquetWriter,
    empty_lists,
    file_number,
    parquet_file,
    parquet_files,
)
from codat_async.bulk.sinks.records import Counts
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.sinks.sql import literal, quoted
from codat_async.bulk.sinks.statements import STATEMENT_LINES
from codat_async.bulk.sinks.tables import Table
from codat_async.bulk.store.disk import open_private, publish
from codat_async.bulk.store.lines import Line
from codat_async.bulk.store.sealed import SealedFile, sealed_files

if TYPE_CHECKING:
    import duckdb

__all__ = ["forget_duckdb", "forget_parquet"]

# Its functions are generated on import, so type checkers do not know them.
pc: Final[Any] = pyarrow.compute
_MARK: Final = "codat_async_forgetting"


def forget_parquet(root: Path, companies: Sequence[str], replaced: Mapping[int, int]) -> int:
    """Remove companies, whatever the case of their ids, from the Parquet files of a directory.

    Returns how many files were rewritten or removed.

    ``replaced`` has the numbers of the raw files that were rewritten without the companies, and of
    the files in their place, which are sealed already. A Parquet file whose raw file is gone without
    one in its place is removed. To do it again is harmless. Raises SinkError.
    """
    files = {file.id: file for file in sealed_files(root)}
    for pattern in ("parquet/*/*.part", "current/*.part", "as-of/*/*.part"):
        for part in root.glob(pattern):
            # Of a conversion that was killed.
            part.unlink()
    done = 0
    for folder in sorted((root / "parquet").glob("*")):
        for path in parquet_files(root, folder.name):
            number = file_number(path)
            if number in files and number not in replaced:
                continue
            fresh = files.get(replaced.get(number, -1))
            if fresh is not None:
                _rewrite(path, parquet_file(root, fresh, folder.name), fresh, companies)
            path.unlink(missing_ok=True)
            done += 1
    for pattern in ("current/*.parquet", "as-of/*/*.parquet"):
        done += sum(_remove_from(path, companies) for path in sorted(root.glob(pattern)))
    return done


def _rewrite(path: Path, target: Path, file: SealedFile, companies: Sequence[str]) -> None:
    """Write the Parquet file of a raw file that was rewritten, from the one of the file before."""
    wanted = {each.lower() for each in companies}
    kind = known_types().get(path.parent.name)
    ids = () if kind is None else shape_of(kind).ids
    try:
        with pq.ParquetFile(path) as opened:
            schema = opened.schema_arrow.remove_metadata()
            lines = [dict(zip((*ids, "n"), each, strict=True)) for each in empty_lists(path)]
            empty = [Line(**line, whole=True) for line in lines if line["company_id"].lower() not in wanted]
            table = Table(path.parent.name, schema, lambda table: table)
            with ParquetWriter(target, table, file, ids) as writer:
                writer.add(Block(schema.empty_table(), empty, Counts()))
                for batch in _others(opened, companies):
                    writer.add(Block(batch, [], Counts()))
    except (pa.ArrowInvalid, OSError) as error:
        raise SinkError(f"cannot rewrite {path} without the companies: {first_line(error)}") from error


def _remove_from(path: Path, companies: Sequence[str]) -> bool:
    """Rewrite a file of the present state if it has records of the companies."""
    part = path.with_name(f"{path.name}.part")
    gone = _lowered(companies)
    try:
        held = pq.read_table(path, columns=["company_id"])["company_id"]
        if not pc.any(pc.is_in(pc.utf8_lower(held), value_set=gone)).as_py():
            return False
        with pq.ParquetFile(path) as opened:
            schema = opened.schema_arrow.remove_metadata()
            os.close(open_private(part, os.O_WRONLY | os.O_TRUNC))
            with pq.ParquetWriter(part, schema, compression="zstd") as writer:
                for batch in _others(opened, companies):
                    writer.write_table(batch)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        publish(part, path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SinkError(f"cannot rewrite {path} without the companies: {first_line(error)}") from error
    finally:
        part.unlink(missing_ok=True)
    return True


def _others(opened: pq.ParquetFile, companies: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of other companies."""
    gone = _lowered(companies)
    for batch in opened.iter_batches():
        others = pc.invert(pc.is_in(pc.utf8_lower(batch.column("company_id")), value_set=gone))
        yield pa.Table.from_batches([batch]).filter(others)


def _lowered(companies: Sequence[str]) -> pa.Array:
    return pa.array(sorted({each.lower() for each in companies}), pa.string())


def forget_duckdb(path: Path, companies: Sequence[str]) -> int:
    """Remove companies, whatever the case of their ids, from a DuckDB file; returns how many rows that were.

    The tables of this package are changed; what users made of them in the file is theirs. DuckDB
    keeps deleted values in a file, so everything else is copied to a fresh one that takes its
    place; there must be room for both. To do it again is harmless. Raises SinkError.
    """
    import duckdb

    from codat_async.bulk.sinks.duckdb_file import close_database, open_database

    if not path.exists():
        return 0
    # The file itself, not a link to it, is replaced.
    path = path.resolve()
    part = path.with_name(f"{path.name}.part")
    database, _ = open_database(path)
    try:
        removed = _delete(database, companies)
        copying = _is_marked(database)
        if copying:
            _copy(database, part)
    except (duckdb.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise SinkError(f"cannot remove companies from {path}: {first_line(error)}") from error
    finally:
        close_database(database, path)
    if copying:
        with part.open("rb") as written:
            os.fsync(written.fileno())
        publish(part, path)
    return removed


def _delete(database: "duckdb.DuckDBPyConnection", companies: Sequence[str]) -> int:
    """Delete the rows of companies, and mark the file if there were any: it is to be copied."""
    from codat_async.bulk.sinks.duckdb_file import private_files

    held = {str(name) for (name,) in database.execute("select table_name from duckdb_tables()").fetchall()}
    wanted = [[each.lower() for each in companies]]
    kinds = {*lake_types(), STATEMENT_LINES, "codat_async_lists"}
    if "codat_async_files" in held:
        # Also of lists that a client declares which this process does not have.
        converted = database.execute("select distinct type from codat_async_files").fetchall()
        kinds |= {str(name) for (name,) in converted}
    removed = 0
    database.execute("begin")
    for name in sorted(held & kinds):
        rows = f"from {quoted(name)} where list_contains($1, lower(company_id))"
        found = database.execute(f"select count(*) {rows}", wanted).fetchone()
        removed += 0 if found is None else int(found[0])
        database.execute(f"delete {rows}", wanted)
    if removed:
        # If the process is killed now, the next call finds nothing to delete, but the values are still there.
        database.execute(f"create table if not exists {_MARK} (since timestamp)")
    with private_files():
        database.execute("commit")
    return removed


def _is_marked(database: "duckdb.DuckDBPyConnection") -> bool:
    return bool(database.execute("select 1 from duckdb_tables() where table_name = $1", [_MARK]).fetchall())


def _copy(database: "duckdb.DuckDBPyConnection", part: Path) -> None:
    from codat_async.bulk.sinks.duckdb_file import private_files

    part.unlink(missing_ok=True)
    row = database.execute("select current_database()").fetchone()
    held = quoted(str(row[0] if row else ""))
    with private_files():
        database.execute(f"attach {literal(str(part))} as codat_async_fresh")
        database.execute(f"copy from database {held} to codat_async_fresh")
        database.execute(f"drop table codat_async_fresh.{_MARK}")
        database.execute("detach codat_async_fresh")
