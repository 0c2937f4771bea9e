"""Opens the DuckDB files of this package, with the tables that it keeps in them."""

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb

from codat_async.bulk.plan.data_types import pull_types
from codat_async.bulk.sinks.duckdb_tables import create_table
from codat_async.bulk.sinks.errors import SinkBusy, SinkError, first_line
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.sinks.sql import literal
from codat_async.bulk.sinks.statements import STATEMENT_LINES, statement_schema
from codat_async.bulk.store.disk import make_folder
from codat_async.bulk.store.layout import check_local

__all__ = ["close_database", "open_database", "private_files"]

VERSION: Final = 3
"""Of the tables that this module keeps in the file."""

_SETTINGS: Final = """
-- Types are merged in a thread each; more threads for a block only wait for each other.
set threads = 1;
-- More than this is written to the file at once, and not to the log before.
set wal_autocheckpoint = '1MB';
"""
_TABLES: Final = """
create table if not exists codat_async_format (version integer, as_of varchar);
create table if not exists codat_async_files (directory varchar, id bigint, type varchar);
create table if not exists codat_async_lists (
    type varchar, company_id varchar, connection_id varchar, account_id varchar, whole_n bigint
);
"""
_CURRENT_STATEMENT_LINES: Final = """
create or replace view current_statement_lines as
select s.*, a.name as account_name, a.nominal_code, a.type as account_type
from (
    select * from statement_lines qualify n = max(n) over (partition by company_id, statement)
) s left join accounts a on a.company_id = s.company_id and a.id = s.account_id
"""
_umask_lock: Final = threading.Lock()


def open_database(path: Path) -> tuple[duckdb.DuckDBPyConnection, set[str]]:
    """Open a DuckDB file, or create one that only its owner can read; raises SinkError.

    Returns the names of its tables and views too.
    """
    check_local(path)
    try:
        make_folder(path.parent)
        is_new = not path.exists()
        with private_files():
            db = duckdb.connect(str(path))
            try:
                # Only whoever has the file open may touch this folder; a process that was killed leaves it.
                shutil.rmtree(_spill(path), ignore_errors=True)
                make_folder(_spill(path))
                db.execute(f"set temp_directory = {literal(str(_spill(path)))}; {_SETTINGS}")
                names = _prepare(db, path, is_new=is_new)
            except BaseException:
                close_database(db, path)
                raise
    except (duckdb.Error, OSError) as error:
        if "Could not set lock" in str(error):
            holder = re.search(r"\(PID (\d+)\)", str(error))
            process = f"process {holder[1]}" if holder else "another process"
            raise SinkBusy(f"the DuckDB file {path} is open in {process}") from error
        raise SinkError(f"cannot write to the DuckDB file {path}: {first_line(error)}") from error
    return db, names


def close_database(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Close a DuckDB file that was opened here."""
    db.close()
    with contextlib.suppress(OSError):
        _spill(path).rmdir()


def _prepare(db: duckdb.DuckDBPyConnection, path: Path, *, is_new: bool) -> set[str]:
    # The first look into the catalogue makes what DuckDB has in it by itself, which takes milliseconds.
    names = set[str]() if is_new else _names(db)
    if "codat_async_format" in names:
        versions = db.execute("select version from codat_async_format").fetchall()
        version = versions[0][0] if versions else None
    else:
        version = 1 if "codat_async_files" in names else VERSION
    if version != VERSION:
        raise SinkError(
            f"{path} has tables of format {version}, and this release writes format {VERSION}: name another"
            " DuckDB file, and codat-async convert makes it from the raw files"
        )
    if "codat_async_format" not in names:
        # The view joins both, whichever types are converted.
        schemas = {STATEMENT_LINES: statement_schema(), "accounts": shape_of(pull_types()["accounts"]).schema}
        made = ";".join(create_table(name, schema) for name, schema in schemas.items())
        db.execute(
            f"begin; {_TABLES} {made}; {_CURRENT_STATEMENT_LINES};"
            f" insert into codat_async_format values ({VERSION}, null); commit"
        )
        names.update(schemas)
    return names


def _names(db: duckdb.DuckDBPyConnection) -> set[str]:
    rows = db.execute("select table_name from duckdb_tables() union all select view_name from duckdb_views()")
    return {name for (name,) in rows.fetchall()}


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Let DuckDB create files that only their owner can read."""
    # DuckDB has no option for the mode of its files. It creates them when it opens one and at a commit.
    with _umask_lock:
        before = os.umask(0o077)
        try:
            yield
        finally:
            os.umask(before)


def _spill(path: Path) -> Path:
    return path.with_name(f"{path.name}.tmp")
