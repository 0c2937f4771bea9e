"""The checkpoint: a SQLite file with the state of every list, file and run of a directory."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from codat_async.bulk.store import checks, files, lists, open_lists, roster, work
from codat_async.bulk.store.disk import open_private
from codat_async.bulk.store.keys import Keys, pack_keys, unpack_keys
from codat_async.bulk.store.state import EVENTS, Mark, Run, now

__all__ = ["APPLICATION_ID", "FORMAT", "REQUEUED", "Checkpoint", "CheckpointError"]

APPLICATION_ID: Final = 0x436F6461
"""Marks the SQLite file as a checkpoint of this package."""
FORMAT: Final = 6
"""The version of the directory's format. A later release reads this one, or upgrades it by a command."""

_SCHEMA: Final = """
create table facts (name text primary key, value not null) without rowid;
create table types (key integer primary key, name text not null unique);
create table runs (
    key integer primary key, id text not null unique, mode text not null, page_size integer not null,
    compression text not null, began text not null, ended text,
    seconds real, stopped text, counts blob, missing blob
);
create index unended_runs on runs (key) where ended is null;
create table marks (next_n integer primary key, at integer not null, run text not null, files blob);
"""
_CURRENT: Final = "run"
_NEXT_N: Final = "next_n"
_DREW_AT: Final = "drew_at"
_ID: Final = "directory"
REQUEUED: Final = "requeued"
"""The fact of a snapshot that has, by type, how many lists are queued again, as JSON."""


class CheckpointError(Exception):
    """A file that is no checkpoint, is damaged, or is of an unknown version; the message gives the reason."""


class Checkpoint:
    """The SQLite file; one connection, used by one thread at a time.

    The write-ahead log with ``synchronous=FULL`` makes each commit durable, and the bytes of the
    journal and the raw files are synced before it. So a commit never refers to bytes that are
    missing after the process is killed or the power fails. Committing in batches keeps the cost
    of syncing low. No cursor stays open across work: a reader's snapshot would keep the log growing.
    """

    def __init__(self, path: Path, *, read_only: bool = False, create: bool = True) -> None:
        self.path = path
        if not read_only:
            # SQLite would create it readable by others.
            os.close(open_private(path, os.O_RDWR))
        mode = "ro" if read_only else "rw"
        log = path.with_name(f"{path.name}-wal")
        if read_only and not os.access(path.parent, os.W_OK) and not log.exists():
            # SQLite could not create the files of the log, without which it reads nothing.
            mode = "ro&immutable=1"
        target = f"file:{quote(str(path.absolute()))}?mode={mode}"
        try:
            self.db = sqlite3.connect(target, uri=True, check_same_thread=False, isolation_level=None)
        except sqlite3.Error as error:
            raise CheckpointError(str(error)) from error
        try:
            # Blank is also the file of a start that was killed.
            fresh = create and not read_only and self._blank()
            if not fresh:
                self._check()
            if not read_only:
                self._prepare(fresh)
        except sqlite3.DatabaseError as error:
            self.db.close()
            if isinstance(error, sqlite3.OperationalError) and not read_only:
                # A full disk or a lock, not the content.
                raise
            raise CheckpointError(str(error)) from error
        except BaseException:
            self.db.close()
            raise
        self.keys = Keys(self.db)
        self.lists = lists.Lists(self.db, self.keys)
        self.open_lists = open_lists.OpenLists(self.db, self.keys)
        self.work = work.Work(self.db, self.keys)
        self.checks = checks.Checks(self.db, self.keys)
        self.files = files.Files(self.db, self.keys)
        self.roster = roster.Roster(self.db, self.keys)

    def _prepare(self, fresh: bool) -> None:
        db = self.db
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute("pragma temp_store = memory")
        if fresh:
            with self.transaction(immediate=True):
                for schema in (
                    _SCHEMA,
                    roster.SCHEMA,
                    lists.SCHEMA,
                    work.SCHEMA,
                    checks.SCHEMA,
                    files.SCHEMA,
                ):
                    for statement in schema.split(";\n"):
                        db.execute(statement)
                db.execute("insert into places values (0, '', '')")
                db.execute("insert into facts values (?, lower(hex(randomblob(8))))", (_ID,))
                db.execute(f"pragma application_id = {APPLICATION_ID}")
                db.execute(f"pragma user_version = {FORMAT}")

    def _blank(self) -> bool:
        return self.db.execute("select 1 from sqlite_schema limit 1").fetchone() is None

    def _check(self) -> None:
        if self._blank():
            raise CheckpointError("it is empty")
        (application,) = self.db.execute("pragma application_id").fetchone()
        (version,) = self.db.execute("pragma user_version").fetchone()
        if application != APPLICATION_ID:
            raise CheckpointError("it is not a checkpoint of codat-async")
        if version < FORMAT:
            raise CheckpointError(
                f"it has the format {version} of codat-async 0.1.0 or soon after, which was never released"
            )
        if version > FORMAT:
            raise CheckpointError(f"it has the format {version}, this release reads up to {FORMAT}")

    def verify(self) -> None:
        """Read every page of the file; raises CheckpointError if any is damaged."""
        try:
            found = self.db.execute("pragma quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            raise CheckpointError(str(error)) from error
        if found[0] != "ok":
            raise CheckpointError(str(found[0]))

    def close(self) -> None:
        """Close the file."""
        self.db.close()

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
            if hasattr(self, "keys"):
                self.keys.clear()
            raise

    def lock(self) -> None:
        """Lock the file against all other connections until it is closed; raises sqlite3.Error."""
        self.db.execute("pragma locking_mode = exclusive")
        with self.transaction(immediate=True):
            # The mode takes effect with the next write lock.
            pass

    # --- facts ---------------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        """The value stored under a name."""
        row = self.db.execute("select value from facts where name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    @property
    def id(self) -> str:
        """A random id, which sinks know the directory's files by."""
        return self.fact(_ID) or ""

    def note(self, name: str, value: str) -> None:
        """Store a value under a name."""
        self.db.execute("insert or replace into facts values (?, ?)", (name, value))

    def take_requeued(self) -> dict[str, int]:
        """By type, the lists that were queued again when the checkpoint came from object storage; once."""
        found = self.fact(REQUEUED)
        if found is None:
            return {}
        self.db.execute("delete from facts where name = ?", (REQUEUED,))
        return msgspec.json.decode(found, type=dict[str, int])

    def next_n(self) -> int:
        """The number of the next reading that begins."""
        return int(self.fact(_NEXT_N) or 1)

    def drew(self, next_n: int) -> None:
        """Store the number of the next reading; what was drawn before is never drawn again."""
        self.note(_NEXT_N, str(next_n))
        self.note(_DREW_AT, str(now()))

    # --- what was known when -------------------------------------------------------------

    def mark(self) -> None:
        """Note what the directory has now, so that this state can be had later: once a process."""
        next_n, at = self.next_n(), self.fact(_DREW_AT)
        (last,) = self.db.execute("select max(next_n) from marks").fetchone()
        if at is not None and next_n != last:
            unfinished = self.files.all("sealed = 0 and kind = ?", (files.FileKind.OWN,))
            packed = pack_keys(each.id for each in unfinished)
            run = self.fact(_CURRENT) or ""
            self.db.execute("insert into marks values (?, ?, ?, ?)", (next_n, int(at), run, packed))

    def marks(self) -> list[Mark]:
        """The marks, oldest first."""
        rows = self.db.execute("select at, run, next_n, files from marks order by next_n").fetchall()
        return [Mark(at, run, next_n, tuple(unpack_keys(packed or b""))) for at, run, next_n, packed in rows]

    def drop_intents(self, journal: int) -> None:
        """Remove the intents of a journal that were not needed."""
        self.db.execute("delete from files where journal = ?", (journal,))

    # --- runs ----------------------------------------------------------------------------

    def runs(self, where: str = "true", values: tuple[object, ...] = ()) -> list[Run]:
        """Runs, oldest first."""
        rows = self.db.execute(
            "select key, id, mode, page_size, compression, began, ended from runs"
            f" where {where} order by key",
            values,
        ).fetchall()
        return [Run(**dict(zip(Run.__struct_fields__, row, strict=True))) for row in rows]

    def run(self, key: int) -> Run:
        """One run."""
        return self.runs("key = ?", (key,))[0]

    def last_run(self, *, events: bool = True) -> Run | None:
        """The run that started last; without ``events`` the last that was of more than events named."""
        where = "" if events else f" where mode <> '{EVENTS}'"
        return next(iter(self.runs(f"key = (select max(key) from runs{where})")), None)

    def current_run(self) -> Run | None:
        """The run that a process worked on last: the newest, or an older one that was resumed since."""
        return next(iter(self.runs("id = ?", (self.fact(_CURRENT),))), None)

    def begin_run(self, run: Run) -> Run:
        """Add a new run and make it the current one; returns it with its key."""
        row = self.db.execute(
            "insert into runs (id, mode, page_size, compression, began) values (?, ?, ?, ?, ?) returning key",
            (run.id, run.mode, run.page_size, run.compression, run.began),
        ).fetchone()
        self.note(_CURRENT, run.id)
        return msgspec.structs.replace(run, key=int(row[0]))

    def reopen_run(self, run: Run) -> None:
        """Mark a run as resumed."""
        self.db.execute(
            "update runs set ended = null, stopped = null, missing = null where key = ?", (run.key,)
        )
        self.note(_CURRENT, run.id)

    def end_run(self, run: Run, moment: str) -> None:
        """Record when a run ended, with nothing left to do."""
        self.db.execute("update runs set ended = ? where key = ?", (moment, run.key))
        self.db.execute("delete from asked where run = ?", (run.key,))

    def stop_run(self, run: Run, seconds: float, stopped: str | None, missing: bytes) -> None:
        """Record how long the last process worked on a run, why it stopped, and what it did not find."""
        self.db.execute(
            "update runs set seconds = ?, stopped = ?, missing = ? where key = ?",
            (seconds, stopped, missing, run.key),
        )

    def stopped(self, run: Run) -> tuple[float | None, str | None, bytes | None]:
        """What :meth:`stop_run` recorded."""
        row = self.db.execute(
            "select seconds, stopped, missing from runs where key = ?", (run.key,)
        ).fetchone()
        return row[0], row[1], row[2]

    def counts(self, run: Run) -> bytes | None:
        """The sums of a run."""
        row = self.db.execute("select counts from runs where key = ?", (run.key,)).fetchone()
        return None if row is None else row[0]

    def latest_runs(self, number: int) -> list[tuple[Run, float | None, bytes | None]]:
        """The runs that ended last, the latest first, with their seconds and sums; none of events."""
        keys = (
            f"select key from runs where ended is not null and mode <> '{EVENTS}' order by key desc limit ?"
        )
        runs = reversed(self.runs(f"key in ({keys})", (number,)))
        return [(run, self.stopped(run)[0], self.counts(run)) for run in runs]

    def save_counts(self, run: Run, counts: bytes) -> None:
        """Store the sums of a run."""
        self.db.execute("update runs set counts = ? where key = ?", (counts, run.key))
