"""A DuckDB file with a table per type: the latest version of each record, and a view of those not deleted."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb

from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.rawfiles import RawFile

__all__ = ["Database"]

_LIST: Final = ("company_id", "connection_id", "account_key")


class Database:
    """The file; each merge is one transaction, and no raw file is merged twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = duckdb.connect(str(path))
            self._db.execute(
                "create table if not exists codat_async_files"
                " (type varchar, file varchar, primary key (type, file))"
            )
        except (duckdb.Error, OSError) as error:
            raise DirectoryError(f"cannot write to the DuckDB file {path}: {_first_line(error)}") from error
        rows = self._db.execute("select type, file from codat_async_files").fetchall()
        self._merged = {(str(kind), str(file)) for kind, file in rows}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def has(self, files: Sequence[RawFile]) -> bool:
        """Whether all of these are merged already."""
        return all((each.type, _id(each)) in self._merged for each in files)

    def merge(self, kind: PullType, files: Sequence[RawFile], parquet: Path) -> int:
        """Merge the Parquet file of the raw files of one run; returns the number of records merged.

        A file of a whole list replaces all records of that list, one of changes replaces the records
        that it holds. Raises DirectoryError.
        """
        fresh = [each for each in files if (each.type, _id(each)) not in self._merged]
        if not fresh:
            return 0
        try:
            self._make_table(kind, parquet)
            self._db.execute("begin")
            count = self._merge(kind, fresh, parquet)
            self._db.execute("commit")
        except duckdb.Error as error:
            with contextlib.suppress(duckdb.Error):
                self._db.execute("rollback")
            raise DirectoryError(
                f"cannot merge {kind.name} into {self.path}: {_first_line(error)}"
            ) from error
        self._merged.update((each.type, _id(each)) for each in fresh)
        return count

    def _merge(self, kind: PullType, files: Sequence[RawFile], parquet: Path) -> int:
        db, name = self._db, _quoted(kind.name)
        db.execute(
            "create or replace temp table lists as select"
            " unnest($1::varchar[]) company_id, unnest($2::varchar[]) connection_id,"
            " unnest($3::varchar[]) account_key, unnest($4::boolean[]) whole",
            [
                [each.company for each in files],
                [each.connection for each in files],
                [each.account for each in files],
                [each.whole for each in files],
            ],
        )
        same_list = " and ".join(f"t.{column} is not distinct from l.{column}" for column in _LIST)
        db.execute(f"delete from {name} t using lists l where l.whole and {same_list}")
        key = _key(kind)
        versions = ", ".join(f"t.{column}" for column in key)
        latest = (
            't."modifiedDate" desc nulls last' if "modifiedDate" in shape_of(kind.model).schema.names else "1"
        )
        db.execute(
            "create or replace temp table fresh as select t.* from"
            " (select *, row_number() over () as place from read_parquet(?)) t"
            f" join lists l on {same_list}"
            f" qualify {_nameless(kind)} row_number()"
            f" over (partition by {versions} order by {latest}, t.place desc) = 1",
            [str(parquet)],
        )
        same_record = " and ".join(f"t.{column} is not distinct from f.{column}" for column in key)
        db.execute(f"delete from {name} t using fresh f where {same_record} and {_named(kind)}")
        db.execute(f"insert into {name} by name select * exclude (place) from fresh")
        row = db.execute("select count(*) from fresh").fetchone()
        db.executemany(
            "insert into codat_async_files values (?, ?)", [(each.type, _id(each)) for each in files]
        )
        db.execute("drop table fresh; drop table lists")
        return 0 if row is None else int(row[0])

    def _make_table(self, kind: PullType, parquet: Path) -> None:
        """Create the table, or add new fields of the model to one that an earlier version made."""
        name = _quoted(kind.name)
        self._db.execute(
            f"create table if not exists {name} as select * from read_parquet(?) limit 0", [str(parquet)]
        )

        def columns(query: str, *values: str) -> dict[str, str]:
            described = self._db.execute(f"select column_name, column_type from (describe {query})", values)
            return dict(described.fetchall())

        try:
            held = columns(f"from {name}")
            # ``by name`` merges the fields of structs too; a plain insert would drop the new ones.
            wanted = columns(f"from {name} union all by name from read_parquet(?)", str(parquet))
            for column, its_type in wanted.items():
                if column not in held:
                    self._db.execute(f"alter table {name} add column {_quoted(column)} {its_type}")
                elif held[column] != its_type:
                    self._db.execute(f"alter table {name} alter {_quoted(column)} set data type {its_type}")
            # DuckDB 1.1 cannot merge structs; this raises the error here, not during the merge.
            self._db.execute(f"explain insert into {name} by name from read_parquet(?)", [str(parquet)])
        except duckdb.Error as error:
            raise DirectoryError(
                f"the table {kind.name} in {self.path} was made by an earlier version and cannot be altered"
                f" ({_first_line(error)}): delete the file, or run `drop table {name}; delete from"
                f" codat_async_files where type = '{kind.name}'` in it; codat-async convert then rebuilds"
                " it from the raw files"
            ) from error

    def make_view(self, kind: PullType) -> None:
        """Create the view ``current_TYPE``, without the records that were deleted in the source."""
        name = _quoted(kind.name)
        exists = self._db.execute(
            "select 1 from information_schema.tables where table_name = ?", [kind.name]
        ).fetchone()
        if exists is None:
            return
        deletable = "metadata" in shape_of(kind.model).schema.names
        where = ' where not coalesce(metadata."isDeleted", false)' if deletable else ""
        view = "current_" + kind.name
        try:
            self._db.execute(f"create or replace view {_quoted(view)} as select * from {name}{where}")
        except duckdb.Error as error:
            raise DirectoryError(f"cannot make {view} in {self.path}: {_first_line(error)}") from error


def _key(kind: PullType) -> list[str]:
    """The columns that identify a record of a type."""
    if kind.scope == Scope.REPORT:
        return ["company_id"]
    # Ids are unique within their source only, and a company may have several connections.
    return [*(_LIST if kind.scope != Scope.COMPANY else _LIST[:1]), '"id"']


def _nameless(kind: PullType) -> str:
    return "" if kind.scope == Scope.REPORT else 't."id" is null or'


def _named(kind: PullType) -> str:
    return "true" if kind.scope == Scope.REPORT else 'f."id" is not null'


def _id(file: RawFile) -> str:
    return f"{file.path.parent.name}/{file.path.name}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else repr(error)
