"""Writes pages and commits the checkpoint, in batches and in a thread of its own."""

import asyncio
import contextlib
import errno
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.system import OPEN_FLAGS, sync_data, write_at
from codat_async.errors import CodatError

__all__ = ["DiskFull", "WriteBatch", "WriteError", "Writer", "write_error"]

_log = logging.getLogger(__name__)
_MAX_BATCH: Final = 256
# SQLite reports a file-size limit as a failed write.
_SQLITE_FULL: Final = {"SQLITE_FULL", "SQLITE_IOERR_WRITE"}
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class WriteError(CodatError):
    """What was pulled could not be written; everything committed before is kept."""


class DiskFull(WriteError):
    """No space is left on the disk; free some and run the same command again to continue."""


class WriteBatch:
    """What is written and committed together."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._files: dict[Path, int] = {}
        self._after: list[Callable[[], None]] = []

    def write(self, path: Path, begins: int, data: bytes) -> None:
        """Write bytes at an offset of a file; anything beyond that was never committed and is cut off."""
        file = self._files.get(path)
        if file is None:
            file = self._open(path)
            if os.fstat(file).st_size > begins:
                os.ftruncate(file, begins)
        write_at(file, data, begins)

    def _open(self, path: Path) -> int:
        flags = os.O_WRONLY | os.O_CREAT | OPEN_FLAGS
        try:
            file = os.open(path, flags, 0o644)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, flags, 0o644)
        self._files[path] = file
        return file

    def cut(self, path: Path, size: int) -> None:
        """Truncate a file to the size that was committed."""
        try:
            if path.stat().st_size > size:
                os.truncate(path, size)
        except FileNotFoundError:
            pass

    def after(self, action: Callable[[], None]) -> None:
        """Call this once the batch is committed."""
        self._after.append(action)

    def commit(self, jobs: Iterable["Job"]) -> None:
        """Run the jobs, sync their files, then commit: the checkpoint never refers to bytes not on disk."""
        try:
            with self.checkpoint.transaction():
                for job in jobs:
                    job(self)
                for file in self._files.values():
                    sync_data(file)
        finally:
            while self._files:
                os.close(self._files.popitem()[1])
        for action in self._after:
            action()


Job: TypeAlias = Callable[[WriteBatch], None]
_Done: TypeAlias = Callable[[Exception | None], None]


class Writer:
    """The writing thread; an async context manager that on exit waits until all jobs are committed.

    Jobs run in the order of submission, and those that wait together form one batch. While one
    batch is synced the next gathers, so that the disk's latency costs no throughput. The first
    error ends the writer, since later jobs may depend on what was lost.
    """

    def __init__(self, checkpoint: Checkpoint, on_failure: Callable[[WriteError], None]) -> None:
        self._checkpoint = checkpoint
        self._on_failure = on_failure
        self._jobs: queue.SimpleQueue[tuple[Job, _Done | None] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="codat-async-writer", daemon=True)
        self.error: WriteError | None = None

    def submit(self, job: Job, done: _Done | None = None) -> None:
        """Queue a job; ``done`` is called in the event loop once it is committed, or with the error."""
        if self.error is not None:
            raise self.error
        self._jobs.put((job, done))

    async def commit(self, job: Job) -> None:
        """Queue a job and wait until it is committed."""
        future: asyncio.Future[None] = self._loop.create_future()

        def done(error: Exception | None) -> None:
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(None)

        self.submit(job, done)
        await future

    async def __aenter__(self) -> "Writer":
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._jobs.put(None)
        # Shielded from cancellation, so that queued jobs are committed in any case.
        waiter = asyncio.ensure_future(asyncio.to_thread(self._thread.join))
        while not waiter.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(waiter)

    # --- in the thread -------------------------------------------------------------------

    def _run(self) -> None:
        ended = False
        while not ended:
            taken = [self._jobs.get()]
            with contextlib.suppress(queue.Empty):
                while len(taken) < _MAX_BATCH:
                    taken.append(self._jobs.get_nowait())
            jobs = [each for each in taken if each is not None]
            ended = len(jobs) < len(taken)
            error = self.error
            if jobs and error is None:
                error = self._commit([job for job, _ in jobs])
            self._notify([done for _, done in jobs if done is not None], error)

    def _commit(self, jobs: list[Job]) -> WriteError | None:
        try:
            WriteBatch(self._checkpoint).commit(jobs)
        except Exception as error:
            self.error = write_error(error)
            _log.debug("a batch could not be committed", exc_info=True)
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_failure, self.error)
            return self.error
        return None

    def _notify(self, waiting: list[_Done], error: Exception | None) -> None:
        def notify() -> None:
            for done in waiting:
                done(error)

        if waiting:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(notify)


def write_error(error: Exception) -> WriteError:
    """The WriteError for an error of the file system or of SQLite."""
    if isinstance(error, OSError):
        if error.errno in _FULL:
            failure: WriteError = DiskFull(f"the disk is full ({error.strerror})")
        else:
            failure = WriteError(f"cannot write: {error}")
    elif isinstance(error, sqlite3.Error):
        # SQLite reports a full disk as such only sometimes.
        full = getattr(error, "sqlite_errorname", "") in _SQLITE_FULL
        failure = DiskFull(f"the disk is full ({error})") if full else WriteError(f"cannot commit: {error}")
    else:
        failure = WriteError(f"cannot write: {error!r}")
    failure.__cause__ = error
    return failure
