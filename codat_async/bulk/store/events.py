"""Webhook events in a directory: those that are still to be followed, and what they said went wrong.

A SQLite file beside the checkpoint. An event is synced to disk before :meth:`EventStore.put` returns.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from codat_async.bulk.store.disk import open_private, sync_folder
from codat_async.bulk.store.layout import EVENTS

__all__ = ["Backlog", "EventStore", "StoredEvent", "SyncTrouble", "erase_events", "read_events"]

_SCHEMA: Final = """
create table if not exists events (
    seq integer primary key autoincrement, id text not null unique, body blob, received real not null,
    done real
);
create index if not exists waiting_events on events (seq) where done is null;
create table if not exists troubles (
    company text not null, subject text not null, status text not null, text text not null,
    at text not null, primary key (company, subject)
) without rowid;
"""
_REMEMBERED: Final = 3 * 86_400.0
"""Seconds for which ids of events are kept, to drop repeats; Codat repeats one for some 27 hours."""


class StoredEvent(Struct, frozen=True):
    """An event that is to be followed."""

    seq: int
    body: bytes
    """As received."""


class Backlog(Struct, frozen=True):
    """The events that are still to be followed."""

    events: int = 0
    age: float = 0.0
    """Seconds since the oldest of them was received."""


class SyncTrouble(Struct, frozen=True):
    """A data type whose last sync failed, or a connection that is broken, according to an event."""

    company: str
    subject: str
    """The data type as Codat names it, or the id of the connection."""
    status: str
    """The status of the sync, or ``disconnected`` or ``failed``."""
    text: str
    at: str
    """When the event was generated, in UTC."""


class EventStore:
    """The events of a directory; may be used by several threads."""

    def __init__(self, folder: Path) -> None:
        path = folder / EVENTS
        # SQLite would create it with other permissions.
        os.close(open_private(path, os.O_RDWR))
        sync_folder(folder)
        self._lock = threading.Lock()
        self._closed = False
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        # So that a commit is on disk when it returns.
        self._db.execute("pragma synchronous = full")
        self._db.execute("pragma secure_delete = on")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            self._db.close()

    # --- the queue -------------------------------------------------------------------------

    def put(self, message_id: str, body: bytes) -> bool:
        """Store an event durably; False if one with this id was stored before."""
        with self._lock:
            row = self._db.execute(
                "insert into events (id, body, received) values (?, ?, ?)"
                " on conflict do nothing returning seq",
                (message_id, body, time.time()),
            ).fetchone()
        return row is not None

    def waiting(self, after: int, most: int = 500) -> list[StoredEvent]:
        """The oldest events that are not done, of those with a higher number than ``after``."""
        with self._lock:
            rows = self._db.execute(
                "select seq, body from events where done is null and seq > ? order by seq limit ?",
                (after, most),
            ).fetchall()
        return [StoredEvent(*row) for row in rows]

    def backlog(self) -> Backlog:
        """The events that are not done; none if the file is closed."""
        with self._lock:
            if self._closed:
                return Backlog()
            count, oldest = self._db.execute(
                "select count(*), min(received) from events where done is null"
            ).fetchone()
        return Backlog(count, max(0.0, time.time() - oldest) if count else 0.0)

    def done(self, seq: int) -> None:
        """Note that an event was followed; only its id is kept, for three days."""
        now = time.time()
        with self._lock:
            self._db.execute("begin")
            self._db.execute("update events set done = ?, body = null where seq = ?", (now, seq))
            self._db.execute("delete from events where done < ?", (now - _REMEMBERED,))
            self._db.execute("commit")

    # --- troubles ----------------------------------------------------------------------------

    def note(self, troubles: Iterable[SyncTrouble]) -> None:
        """Store troubles, unless a later event said something else; an empty status ends one."""
        with self._lock:
            self._db.execute("begin")
            self._db.executemany(
                "insert into troubles values (?, ?, ?, ?, ?) on conflict do update set"
                " status = excluded.status, text = excluded.text, at = excluded.at where excluded.at >= at",
                [(each.company, each.subject, each.status, each.text, each.at) for each in troubles],
            )
            self._db.execute("commit")

    def erase(self, companies: Collection[str]) -> None:
        """Remove everything about companies."""
        with self._lock:
            self._db.execute("begin")
            for company in companies:
                self._db.execute("delete from troubles where lower(company) = ?", (company.lower(),))
                self._db.execute(
                    "delete from events where instr(lower(cast(body as text)), ?) > 0", (company.lower(),)
                )
            self._db.execute("commit")
            self._db.execute("pragma wal_checkpoint(truncate)")


def read_events(folder: Path) -> tuple[int, list[SyncTrouble]]:
    """How many events of a directory are not done, and its troubles; none if it has no events."""
    path = folder / EVENTS
    if not path.exists():
        return 0, []
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        rows = db.execute("select * from troubles where status <> '' order by company, subject").fetchall()
        (count,) = db.execute("select count(*) from events where done is null").fetchone()
    except sqlite3.OperationalError:
        # It is just being created.
        return 0, []
    finally:
        db.close()
    return int(count), [SyncTrouble(*row) for row in rows]


def erase_events(folder: Path, companies: Collection[str]) -> None:
    """Remove everything about companies from the events of a directory."""
    if (folder / EVENTS).exists():
        store = EventStore(folder)
        try:
            store.erase(companies)
        finally:
            store.close()
