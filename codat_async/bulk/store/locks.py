"""Locks between processes: files that are locked while a process writes, and name it."""

import contextlib
import fcntl
import os
from pathlib import Path

from codat_async.bulk.store.disk import PRIVATE_FILE

__all__ = ["FileLock", "Held", "lock_holder"]


class Held(Exception):
    """The lock is held by another process."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder
        """Its process id; ``unknown`` if it is not in the file."""


class FileLock:
    """An exclusive lock, held until it is closed or the process ends."""

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode(errors="replace").strip()
            os.close(file)
            raise Held(holder or "unknown") from None
        except BaseException:
            os.close(file)
            raise
        self._file: int | None = file
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Release the lock; again is harmless."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def lock_holder(path: Path) -> int | None:
    """The id of the process that holds a lock; None if none does."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        process = int(os.pread(file, 32, 0))
        # Trying the lock takes it for a moment, and a pull could not start then. So it is tried only if
        # the process in the lock file exists.
        with contextlib.suppress(PermissionError):
            os.kill(process, 0)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return process
    except (OSError, OverflowError, ValueError):
        pass
    finally:
        os.close(file)
    return None
