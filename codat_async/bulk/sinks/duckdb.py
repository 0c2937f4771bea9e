"""A DuckDB file: a table per type with the current version of each record, and a view of those that exist."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
import pyarrow.compute

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.arrow import Block
from codat_async.bulk.sinks.duckdb_file import close_database, open_database, private_files
from codat_async.bulk.sinks.duckdb_tables import make_tables
from codat_async.bulk.sinks.errors import SinkError, first_line
from codat_async.bulk.sinks.schema import Shape, shape_of
from codat_async.bulk.sinks.sql import literal, quoted
from codat_async.bulk.sinks.statements import STATEMENT_LINES, is_statement, statement_lines
from codat_async.bulk.store.sealed import SealedFile

__all__ = ["Database", "Merge"]

# Its functions are generated on import, so type checkers do not know them.
pc: Final[Any] = pyarrow.compute
_NAMED: Final = "id is not null and id <> ''"
_ROWS: Final = "codat_async_rows"
"""The rows that a statement is executed with."""
_IDS: Final = ("company_id", "connection_id", "account_id")
_FEW: Final = 2000
"""Rows of which Arrow finds sooner than DuckDB that they differ."""
_INSERT_BYTES: Final = 16 * 1024 * 1024
"""Of columns, from as many blocks as it takes: each statement costs milliseconds to plan."""


class Database:
    """A DuckDB file; what was merged into it once is not merged again."""

    def __init__(self, path: Path, as_of: str | None = None) -> None:
        self.path = path
        self._db, self._names = open_database(path)
        self._prepared: set[PullType] = set()
        try:
            rows = self._db.execute("select directory, id, type from codat_async_files").fetchall()
            self._merged = {(str(directory), int(number)) for directory, number, _ in rows}
            self._merged_types = {str(name) for _, _, name in rows}
            self._check_moment(as_of)
        except BaseException:
            self.close()
            raise

    def _check_moment(self, wanted: str | None) -> None:
        """Raise SinkError if the file has the state of another moment; note that of a new one."""
        # All is fetched: a query that is open would keep DuckDB from checkpoints, and all go through its log.
        rows = self._db.execute("select as_of from codat_async_format").fetchall()
        held = rows[0][0] if rows else None
        if held != wanted and (self._merged or held is not None):
            state = "the present state" if held is None else f"the state as of {held}"
            raise SinkError(f"{self.path} has {state}: name another DuckDB file")
        if held != wanted:
            self._db.execute("update codat_async_format set as_of = ?", [wanted])

    def close(self) -> None:
        """Close the file."""
        close_database(self._db, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def has(self, file: SealedFile) -> bool:
        """Whether the records of a file are merged already, from it or from those that it replaces."""
        earlier = [(file.directory, each) in self._merged for each in file.replaces]
        return (file.directory, file.id) in self._merged or (bool(earlier) and all(earlier))

    def has_part(self, file: SealedFile) -> bool:
        """Whether some of the files that it replaces are merged already."""
        return any((file.directory, each) in self._merged for each in file.replaces)

    def has_type(self, kind: PullType) -> bool:
        """Whether files of a type were ever merged."""
        return kind.name in self._merged_types

    def prepare(self, kinds: Iterable[PullType]) -> None:
        """Make the tables and the views of types, if that is not done yet, or none; raises SinkError.

        DuckDB writes what is merged to its log first if the catalogue has changed in the meantime: merges at
        the same time are faster if all their types are prepared before.
        """
        if wanted := [kind for kind in kinds if kind not in self._prepared]:
            with private_files():
                make_tables(self._db, self.path, wanted, self._names)
            self._prepared.update(wanted)

    def merge(self, kind: PullType) -> "Merge":
        """A merge of files of one type, in one transaction; raises SinkError."""
        self.prepare([kind])
        return Merge(self, self._db.cursor(), kind)

    def record(self, files: Sequence[SealedFile]) -> None:
        """Remember that files are merged."""
        self._merged.update((each.directory, each.id) for each in files)
        self._merged_types.update(each.type for each in files)


class Merge:
    """Merges files of a type: all of them or, if anything fails, none.

    Rows are appended first; then those are deleted that another version, or a later reading of
    the whole list, has replaced. Most records are new, and are written only once this way.
    """

    def __init__(self, database: Database, db: duckdb.DuckDBPyConnection, kind: PullType) -> None:
        self._database = database
        self._db = db
        self._kind = kind
        self._shape: Shape = shape_of(kind)
        self._table = quoted(kind.name)
        self._key = (*self._shape.key, "n") if self._shape.keeps_readings else self._shape.key
        self._files: list[SealedFile] = []
        self._pending: list[pa.Table] = []
        """Records that are not inserted yet."""
        self._pending_bytes = 0
        self._readings: list[pa.Table] = []
        self._again: list[pa.Table] | None = None
        self._is_new = True
        """Whether the table has no rows."""
        self._is_first = not database.has_type(kind)
        """Whether no file of the type was merged before."""
        self._rereads = False
        self._differ: bool | None = None
        """Whether the rows of a first load are few and have different keys; None before they are inserted."""
        self.records = 0
        """Merged so far."""

    def __enter__(self) -> Self:
        try:
            with self._failing():
                self._db.execute("begin")
                self._is_new = self._db.execute(f"select 1 from {self._table} limit 1").fetchone() is None
                if not self._is_new:
                    keys = ", ".join(self._key)
                    self._db.execute(
                        f"create or replace temp table fresh as select {keys} from {self._table} limit 0"
                    )
        except BaseException:
            self._db.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                with contextlib.suppress(duckdb.Error):
                    self._db.execute("rollback")
                return
            with self._failing():
                self._finish()
            self._database.record(self._files)
        finally:
            self._db.close()

    def begin_file(self, file: SealedFile) -> None:
        """The blocks that follow are of this file."""
        self._files.append(file)
        self._rereads = self._database.has_part(file)
        if self._rereads and self._again is None:
            self._again = []
            if "id" in self._shape.key:
                with self._failing():
                    self._db.execute(
                        "create or replace temp table nameless as select rowid as row, n"
                        f" from {self._table} where not ({_NAMED})"
                    )

    def add(self, block: Block) -> None:
        """Append the records of a block."""
        with self._failing():
            readings = _readings(block, self._shape)
            if not (self._readings and self._readings[-1].equals(readings)):
                self._readings.append(readings)
            if self._rereads and self._again is not None:
                self._again.append(readings)
            if block.table.num_rows:
                self._pending.append(block.table)
                self._pending_bytes += block.table.nbytes
                if self._pending_bytes >= _INSERT_BYTES:
                    self._insert()
                self._add_statement_lines(block.table)
        self.records += block.table.num_rows

    def _insert(self) -> None:
        if not self._pending:
            return
        rows = pa.concat_tables(self._pending)
        if self._is_new:
            # The last columns of their keys do, in nearly all first loads.
            last, count = rows.column(self._key[-1]), rows.num_rows
            self._differ = self._differ is None and count <= _FEW and pc.count_distinct(last).as_py() == count
        self._with(rows, f"insert into {self._table} by name select * from {_ROWS}")
        if not self._is_new:
            self._with(rows, f"insert into fresh select distinct {', '.join(self._key)} from {_ROWS}")
        self._pending.clear()
        self._pending_bytes = 0

    def _add_statement_lines(self, table: pa.Table) -> None:
        if not is_statement(self._kind):
            return
        lines = statement_lines(table, self._kind)
        if self._rereads:
            # Some were merged from an earlier file.
            self._with(
                lines,
                f"delete from {STATEMENT_LINES} where statement = {literal(self._kind.name)}"
                f" and (company_id, n) in (select company_id, n from {_ROWS})",
            )
        self._with(lines, f"insert into {STATEMENT_LINES} by name select * from {_ROWS}")

    def _with(self, codat_async_rows: pa.Table, statement: str) -> None:
        """Execute a statement that reads these rows."""
        # DuckDB finds them among the variables of this function. A view of them, which it would have to
        # bind as well, takes longer than a small insert.
        self._db.execute(statement)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise SinkError(
                f"cannot merge {self._kind.name} into {self._database.path}: {first_line(error)}"
            ) from error

    # --- which versions stay -----------------------------------------------------------------

    def _finish(self) -> None:
        self._insert()
        if self._readings:
            self._delete_lists()
            self._delete_versions()
            if not (self._is_new and self._is_first):
                self._db.execute("drop table if exists fresh; drop table if exists lists")
        self._db.execute(
            "insert into codat_async_files select unnest($1::varchar[]), unnest($2::bigint[]), $3",
            [[each.directory for each in self._files], [each.id for each in self._files], self._kind.name],
        )
        with private_files():
            self._db.execute("commit")

    def _delete_lists(self) -> None:
        """Delete what a later reading of the whole list does not have any more."""
        db, ids = self._db, self._shape.ids
        names, same = ", ".join(ids), " and ".join(f"t.{name} = l.{name}" for name in ids)
        its_type = literal(self._kind.name)
        readings = pa.concat_tables(self._readings)
        if is_only := self._is_only_reading(readings):
            lists = f"(select {names}, n as whole_n from {_ROWS} where whole)"
        else:
            lists = f"(select {names}, max(n) filter (where whole) as whole_n from {_ROWS} group by {names})"
        if not self._is_first:
            known = f"t.type = {its_type} and {same}"
            self._with(
                readings,
                "create or replace temp table lists as"
                " select l.* replace (greatest(l.whole_n, t.whole_n) as whole_n)"
                f" from {lists} l left join codat_async_lists t on {known}",
            )
            lists = "lists"
            db.execute(f"delete from codat_async_lists t using lists l where {known}")
        every = ", ".join(name if name in ids else "''" for name in _IDS)
        self._with(
            readings,
            f"insert into codat_async_lists select {its_type}, {every}, whole_n from {lists}"
            " where whole_n is not null",
        )
        if not (self._shape.keeps_readings or is_only):
            self._with(
                readings, f"delete from {self._table} t using {lists} l where {same} and t.n < l.whole_n"
            )

    def _is_only_reading(self, readings: pa.Table) -> bool:
        """Whether each list was read once, as in most first loads; if it returns False, it may be so too."""
        is_all = self._is_new and self._is_first
        return is_all and pc.count_distinct(readings["company_id"]).as_py() == readings.num_rows

    def _delete_versions(self) -> None:
        """Delete all but one version of each record: the newest, then the one that was read last."""
        db, table = self._db, self._table
        key = ", ".join(self._key)
        # Records without an id never replace each other.
        named = _NAMED if "id" in self._shape.key else "true"
        fresh = "" if self._is_new else f"semi join fresh using ({key})"
        twice = f"select {key} from {table} {fresh} where {named} group by {key} having count(*) > 1"
        if self._is_new:
            if self._differ:
                return
            # By hashes in half the time, and nearly all first loads have each record once.
            same = f"select 1 from {table} where {named} group by hash({key}) having count(*) > 1 limit 1"
            if db.execute(same).fetchone() is None:
                return
        (count,) = db.execute(f"create or replace temp table twice as {twice}").fetchone() or (1,)
        if count:
            newest = "modified_date desc nulls last," if "modified_date" in self._shape.schema.names else ""
            db.execute(
                f"delete from {table} where rowid in (select row from (select t.rowid as row, row_number()"
                f" over (partition by {key} order by {newest} n desc, t.rowid desc) as place"
                f" from {table} t join twice using ({key})) where place > 1)"
            )
        db.execute("drop table twice")
        if self._again and "id" in self._shape.key:
            # A reading is in one file: what was merged of it from an earlier file is there again.
            self._with(
                pa.concat_tables(self._again),
                f"delete from {table} where rowid in"
                f" (select row from nameless where n in (select n from {_ROWS}))",
            )


def _readings(block: Block, shape: Shape) -> pa.Table:
    """The readings that a block has lines of, those of empty lists too."""
    columns = [*shape.ids, "n", "whole"]
    schema = pa.schema([shape.schema.field(name) for name in columns])
    empty = pa.Table.from_pylist(
        [{name: getattr(line, name) for name in columns} for line in block.empty], schema=schema
    )
    found = block.table.select(columns)
    if found.num_rows:
        # The lines of a reading follow each other. Grouping would load a part of Arrow that is not needed.
        ends = pc.run_end_encode(found["n"].combine_chunks()).run_ends
        found = found.take(pa.concat_arrays([pa.array([0], ends.type), ends[:-1]]))
    return pa.concat_tables([found.select(columns).cast(schema), empty])
