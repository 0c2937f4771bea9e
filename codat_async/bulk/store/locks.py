"""Locks between processes, on Linux, macOS and Windows, that name the process that holds them.

The lock is SQLite's exclusive lock on a file of its own, ``<name>.db``, which stays empty: SQLite
locks files on each of these systems, and the system releases the lock when the process dies.
The holder's process id and program are in ``<name>``, since nobody else can read a locked
database.

On POSIX systems, closing *any* descriptor of a file releases the process's locks on it. SQLite
takes care of that for its own descriptors, so nothing else may open the ``.db`` file.
"""

import contextlib
import errno
import os
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from codat_async.bulk.store.system import OPEN_FLAGS

__all__ = ["FileLock", "Held", "lock_files", "lock_holder"]

_PRIVATE: Final = 0o600
_PATIENCE: Final = 0.25
"""Seconds to try: :func:`lock_holder` of another process takes the lock for a moment."""
_INTERVAL: Final = 0.1
"""Seconds between attempts of a lock that waits; Python handles signals between them."""
# From the creation of a .db file to its lock: closing the created file would release another thread's lock.
_creating: Final = threading.Lock()


class Held(Exception):
    """Another process, or another lock object of this one, holds the lock."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder
        """The process id, or ``unknown``."""


class FileLock:
    """An exclusive lock, held until it is closed or the process ends.

    ``wait`` waits for another holder; otherwise :class:`Held` is raised. Raises OSError if the
    files cannot be written.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        while self._connection is None:
            self._connection = _lock(_database(path))
            if self._connection is None:
                if not wait:
                    process = _process(path)
                    raise Held("unknown" if process is None else str(process))
                time.sleep(_INTERVAL)
        try:
            program = Path(sys.argv[0]).name if sys.argv else ""
            path.write_text(f"{os.getpid()} {program or 'python'}\n", encoding="utf-8")
            path.chmod(_PRIVATE)
        except BaseException:
            self.close()
            raise

    def close(self, *, remove: bool = False) -> None:
        """Release the lock, and on request remove its files; calling it again has no effect."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if remove:
            # While the lock is held, if the system can remove an open file; Windows cannot.
            self._remove()
        connection.close()
        if remove:
            self._remove()

    def _remove(self) -> None:
        for file in lock_files(self._path):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)


def lock_files(path: Path) -> tuple[Path, Path]:
    """Return the two files of a lock."""
    return path, _database(path)


def lock_holder(path: Path) -> int | None:
    """Return the id of the process that holds a lock; None if none does, or it cannot be found out."""
    process = _process(path)
    database = _database(path)
    if process is None or not database.exists():
        return None
    try:
        connection = sqlite3.connect(f"file:{_uri(database)}?mode=ro", uri=True, timeout=0)
    except sqlite3.Error:
        return None
    try:
        connection.execute("select 1 from sqlite_schema")
    except sqlite3.Error as error:
        return process if _is_busy(error) else None
    finally:
        connection.close()
    return None


def _database(path: Path) -> Path:
    return path.with_name(f"{path.name}.db")


def _process(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _lock(database: Path) -> sqlite3.Connection | None:
    """Return a connection that holds the exclusive lock; None if another one does."""
    connection = _try_lock(database)
    while connection is not None and not database.exists():
        # The last holder removed the file after it was opened here, and the next one creates another.
        connection.close()
        connection = _try_lock(database)
    return connection


def _try_lock(database: Path) -> sqlite3.Connection | None:
    with _creating:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(database, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, _PRIVATE))
        try:
            # The path is a URI, since SQLite would create a file that has vanished with other permissions.
            connection = sqlite3.connect(
                f"file:{_uri(database)}?mode=rw",
                uri=True,
                timeout=_PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise OSError(errno.EACCES, str(error), str(database)) from error
        try:
            # The transaction is never committed; its journal would only leave a file behind.
            connection.execute("pragma journal_mode = memory")
            connection.execute("begin exclusive")
        except sqlite3.Error as error:
            connection.close()
            if _is_busy(error):
                return None
            raise OSError(errno.EACCES, str(error), str(database)) from error
    return connection


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def _uri(path: Path) -> str:
    return quote(path.absolute().as_posix())
