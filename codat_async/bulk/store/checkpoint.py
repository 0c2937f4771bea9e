"""The checkpoint: the progress of a pull, to the page, in a SQLite file beside the raw files."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import astuple, fields

from codat_async.bulk.units import Unit

__all__ = [
    "APPLICATION_ID",
    "OPEN",
    "Checkpoint",
    "Invalid",
    "Run",
    "State",
    "UnitRow",
    "UnitState",
    "Watermark",
]

APPLICATION_ID: Final = 0x436F6461
"""Marks the SQLite file as a checkpoint of this package."""
_SCHEMA_VERSION: Final = 3
_CURRENT: Final = "run"

_SCHEMA: Final = """
create table facts (name text primary key, value text not null) without rowid;
create table runs (
    id text primary key, mode text not null, page_size integer not null, compression text not null,
    began text not null, ended text
) without rowid;
create table units (
    key integer primary key,
    run text not null references runs (id),
    type text not null, company text not null, connection text not null, parent text not null,
    {columns},
    unique (run, type, company, connection, parent)
);
create index units_by_list on units (type, company, connection, parent, run);
create table pages (
    unit integer not null references units (key), number integer not null,
    begins integer not null, ends integer not null, last_modified text,
    primary key (unit, begins)
) without rowid;
create table invalid (
    unit integer not null references units (key), page integer not null, row integer not null,
    id text, path text not null, reason text not null, record blob not null
);
create index invalid_by_unit on invalid (unit);
create table watermarks (
    type text not null, company text not null, connection text not null, parent text not null,
    modified text not null, whole_since text not null,
    primary key (type, company, connection, parent)
) without rowid;
"""


class State:
    """The states of a unit."""

    WAITING: Final = "waiting"
    READING: Final = "reading"
    DONE: Final = "done"
    SKIPPED: Final = "skipped"
    """The platform does not offer that data."""
    FAILED: Final = "failed"
    ABANDONED: Final = "abandoned"
    """Left unfinished by a run that a later one superseded."""


OPEN: Final = (State.WAITING, State.READING, State.FAILED)
"""The states of a unit with work left to do."""


class UnitState(Struct, kw_only=True):
    """The progress of a unit; the columns of its row."""

    state: str = State.WAITING
    since: str | None = None
    """The modified date that the list is read from; None for the whole list."""
    ordered_by: str | None = "modifiedDate"
    """The field that pages are ordered by; None if the API rejects the order."""
    next_page: int | None = 1
    """None once the last page is written."""
    bytes_written: int = 0
    """Bytes of its file that are committed."""
    pages: int = 0
    rows: int = 0
    received: int = 0
    """Bytes of the pages as the API sent them."""
    total: int | None = None
    """The number of records in the list, according to the API."""
    total_decrease: int = 0
    """By how much the total fell between pages: as many rows may have been skipped."""
    requests: int = 0
    retries: int = 0
    waited: float = 0.0
    """Seconds that requests waited for the rate limit or between attempts."""
    repeats: int = 0
    """Duplicate rows, dropped: the rows shifted between pages while the list was read."""
    overlap: int = 0
    """Rows that an earlier run already wrote, dropped."""
    passes: int = 1
    """How many times the list was read."""
    missing: int = 0
    """Records that the API counts and that may not have been read; negative if more were read."""
    invalid: int = 0
    undated: int = 0
    last_modified: str | None = None
    failure: str | None = None
    """The kind of failure."""
    error: str | None = None


UnitRow: TypeAlias = tuple[int, Unit, UnitState]
"""A unit as the checkpoint holds it: its key, the unit, and its state."""


class Invalid(Struct, frozen=True):
    """A record that the model rejects: written like the others, and listed."""

    row: int
    """Its index in the page."""
    id: str | None
    path: str
    """Where in the record the fault is, such as ``$.lineItems[0].quantity``."""
    reason: str
    record: bytes


_COLUMNS: Final = tuple(field.name for field in fields(UnitState))
_UNIT: Final = "type, company, connection, parent"
_INSERT: Final = (
    f"insert or ignore into units (run, {_UNIT}, {', '.join(_COLUMNS)})"
    f" values (?, ?, ?, ?, ?, {', '.join('?' * len(_COLUMNS))})"
)
_UPDATE: Final = f"update units set {', '.join(f'{name} = ?' for name in _COLUMNS)} where key = ?"
_SELECT: Final = f"select key, {_UNIT}, {', '.join(_COLUMNS)} from units"


class Run(Struct, frozen=True, kw_only=True):
    """One run of a pull, which may take several processes."""

    id: str
    """When it started, in a form that sorts by time."""
    mode: str
    """``full`` or ``incremental``."""
    page_size: int
    compression: str
    began: str
    ended: str | None = None


class Watermark(Struct, frozen=True):
    """How far a list has been read."""

    modified: str
    """The latest modified date read, in UTC."""
    whole_since: str
    """The last run that read the whole list."""


class Checkpoint:
    """The SQLite file; one connection, used by one thread at a time.

    With ``exclusive`` no other connection can open the file until this one is closed.

    The write-ahead log with ``synchronous=FULL`` makes each commit durable, and the bytes of the
    raw files are synced before it. So a commit never refers to bytes that are missing after the
    process is killed or the power fails. Committing in batches keeps the cost of syncing low.
    """

    def __init__(self, path: Path, *, read_only: bool = False, exclusive: bool = False) -> None:
        self.path = path
        target = f"file:{_uri(path)}?mode=ro" if read_only else str(path)
        self.db = sqlite3.connect(target, uri=read_only, check_same_thread=False, isolation_level=None)
        try:
            if not read_only:
                if exclusive:
                    # Takes effect with the first write lock, and lasts until the file is closed.
                    self.db.execute("pragma locking_mode = exclusive")
                self._prepare()
            elif not self.recognised():
                raise sqlite3.DatabaseError("not a checkpoint")
        except BaseException:
            self.db.close()
            raise

    def _prepare(self) -> None:
        self.db.execute("pragma journal_mode = wal")
        self.db.execute("pragma synchronous = full")
        with self.transaction(immediate=True):
            if not self.db.execute("select 1 from sqlite_schema limit 1").fetchone():
                columns = ", ".join(f"{name}{_affinity(name)}" for name in _COLUMNS)
                for statement in _SCHEMA.format(columns=columns).split(";\n"):
                    self.db.execute(statement)
                self.db.execute(f"pragma application_id = {APPLICATION_ID}")
                self.db.execute(f"pragma user_version = {_SCHEMA_VERSION}")
        if not self.recognised():
            raise sqlite3.DatabaseError("not a checkpoint")

    def recognised(self) -> bool:
        """Whether the file is a checkpoint that this version can read."""
        (application,) = self.db.execute("pragma application_id").fetchone()
        (version,) = self.db.execute("pragma user_version").fetchone()
        return bool(application == APPLICATION_ID and version == _SCHEMA_VERSION)

    @contextlib.contextmanager
    def transaction(self, *, immediate: bool = False) -> Iterator[None]:
        """Commit what the body does, or roll it back if the body raises.

        With ``immediate`` the file is locked for writing from the start, not from the first write on.
        """
        self.db.execute("begin immediate" if immediate else "begin")
        try:
            yield
            self.db.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                # SQLite itself rolls back after some errors, such as a full disk.
                if self.db.in_transaction:
                    self.db.execute("rollback")
            raise

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    # --- facts and runs ------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        """The value stored under a name."""
        row = self.db.execute("select value from facts where name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, name: str, value: str) -> None:
        """Store a value under a name."""
        self.db.execute("insert or replace into facts values (?, ?)", (name, value))

    def last_run(self) -> Run | None:
        """The run that started last."""
        return max(self._runs().values(), key=lambda run: run.id, default=None)

    def current_run(self) -> Run | None:
        """The run that a process worked on last: the newest, or an older one that was resumed since."""
        return self._runs().get(self.fact(_CURRENT) or "")

    def _runs(self) -> dict[str, Run]:
        rows = self.db.execute("select id, mode, page_size, compression, began, ended from runs")
        return {
            row[0]: Run(
                id=row[0], mode=row[1], page_size=row[2], compression=row[3], began=row[4], ended=row[5]
            )
            for row in rows
        }

    def companies(self) -> set[str]:
        """The companies of all runs."""
        return {row[0] for row in self.db.execute("select distinct company from units")}

    def begin_run(self, run: Run) -> None:
        """Add a new run and make it the current one."""
        self.db.execute("insert into runs values (?, ?, ?, ?, ?, ?)", astuple(run))
        self.note(_CURRENT, run.id)

    def supersede(self, run: str) -> None:
        """Abandon unfinished units of other runs if this run reads the same lists."""
        self.db.execute(
            "update units set state = ? where run <> ? and state in (?, ?, ?) and exists"
            " (select 1 from units mine where mine.run = ? and mine.state in (?, ?, ?)"
            " and mine.type = units.type and mine.company = units.company"
            " and mine.connection = units.connection)",
            (State.ABANDONED, run, *OPEN, run, *OPEN),
        )

    def end_run(self, run: str, moment: str) -> None:
        """Record when a run ended."""
        self.db.execute("update runs set ended = ? where id = ?", (moment, run))

    def reopen_run(self, run: str) -> None:
        """Mark a run as resumed."""
        self.db.execute("update runs set ended = null where id = ?", (run,))
        self.note(_CURRENT, run)

    # --- units ---------------------------------------------------------------------------

    def add_units(self, run: str, units: Iterable[tuple[Unit, UnitState]]) -> None:
        """Add units to a run; existing ones are not changed."""
        self.db.executemany(_INSERT, ((run, *astuple(unit), *astuple(state)) for unit, state in units))

    def save(self, key: int, state: UnitState) -> None:
        """Update a unit's row."""
        self.db.execute(_UPDATE, (*astuple(state), key))

    def units(self, run: str) -> Iterator[UnitRow]:
        """The units of a run."""
        for row in self.db.execute(f"{_SELECT} where run = ? order by key", (run,)):
            yield _unit_row(row)

    def open_units(self) -> int:
        """The number of units, of all runs, with work left to do."""
        (count,) = self.db.execute("select count(*) from units where state in (?, ?, ?)", OPEN).fetchone()
        return int(count)

    def had_rows(self, unit: Unit) -> bool:
        """Whether any run wrote records of a list."""
        row = self.db.execute(
            "select 1 from units where type = ? and company = ? and connection = ? and parent = ?"
            " and rows > 0 and state = ? limit 1",
            (*astuple(unit), State.DONE),
        ).fetchone()
        return row is not None

    def unit(self, run: str, unit: Unit) -> UnitRow | None:
        """One unit of a run."""
        row = self.db.execute(
            f"{_SELECT} where run = ? and type = ? and company = ? and connection = ? and parent = ?",
            (run, *astuple(unit)),
        ).fetchone()
        return None if row is None else _unit_row(row)

    def files(self, state: str) -> Iterator[tuple[Run, int, Unit, UnitState]]:
        """The units of all runs in a state, with their runs."""
        runs = self._runs()
        query = f"select run, {_SELECT.removeprefix('select ')} where state = ? order by key"
        for row in self.db.execute(query, (state,)):
            yield runs[row[0]], *_unit_row(row[1:])

    def earlier_pages(
        self, unit: Unit, whole_since: str, since: str
    ) -> list[tuple[str, str, bool, int, int]]:
        """The written pages that hold records of a list modified at or after a moment.

        Each as run, compression, whether the file holds a whole list, first byte, and end.
        """
        rows = self.db.execute(
            "select u.run, r.compression, u.since is null, p.begins, p.ends from units u"
            " join pages p on p.unit = u.key join runs r on r.id = u.run"
            " where u.type = ? and u.company = ? and u.connection = ? and u.parent = ?"
            " and u.run >= ? and u.state = ? and p.last_modified >= ? order by u.run, p.begins",
            (*astuple(unit), whole_since, State.DONE, since),
        )
        return [(run, compression, bool(whole), a, b) for run, compression, whole, a, b in rows]

    # --- pages ---------------------------------------------------------------------------

    def add_page(self, key: int, number: int, begins: int, ends: int, last_modified: str | None) -> None:
        """Record a written page: a range of bytes, and the latest modified date in it."""
        self.db.execute(
            "insert or replace into pages values (?, ?, ?, ?, ?)", (key, number, begins, ends, last_modified)
        )

    def forget_pages(self, key: int) -> None:
        """Delete the pages of a unit that is read again from its beginning."""
        self.db.execute("delete from pages where unit = ?", (key,))
        self.db.execute("delete from invalid where unit = ?", (key,))

    def add_invalid(self, key: int, page: int, invalid: Iterable[Invalid]) -> None:
        """Store records that the model rejects."""
        self.db.executemany(
            "insert into invalid values (?, ?, ?, ?, ?, ?, ?)",
            ((key, page, each.row, each.id, each.path, each.reason, each.record) for each in invalid),
        )

    def invalid(self, key: int) -> Iterator[tuple[int, Invalid]]:
        """The rejected records of a unit, each with its page number."""
        query = "select page, row, id, path, reason, record from invalid where unit = ? order by page, row"
        for page, *rest in self.db.execute(query, (key,)):
            yield page, Invalid(*rest)

    # --- watermarks ----------------------------------------------------------------------

    def watermarks(self) -> dict[Unit, Watermark]:
        """How far each list has been read."""
        rows = self.db.execute(f"select {_UNIT}, modified, whole_since from watermarks")
        return {Unit(*row[:4]): Watermark(*row[4:]) for row in rows}

    def set_watermark(self, unit: Unit, watermark: Watermark | None) -> None:
        """Record how far a list has been read; None if the next run must read the whole list."""
        if watermark is None:
            self.db.execute(
                "delete from watermarks where type = ? and company = ? and connection = ? and parent = ?",
                astuple(unit),
            )
        else:
            self.db.execute(
                "insert or replace into watermarks values (?, ?, ?, ?, ?, ?)",
                (*astuple(unit), *astuple(watermark)),
            )


def _unit_row(row: tuple[Any, ...]) -> UnitRow:
    return row[0], Unit(*row[1:5]), UnitState(**dict(zip(_COLUMNS, row[5:], strict=True)))


def _affinity(name: str) -> str:
    kind = next(field.type for field in fields(UnitState) if field.name == name)
    return {int: " integer not null", float: " real not null", str: " text not null"}.get(kind, "")


def _uri(path: Path) -> str:
    return quote(str(path.absolute()))
