"""Appends to the journal, writes pages and commits the checkpoint, in batches and in a thread of its own."""

import asyncio
import concurrent.futures
import contextlib
import errno
import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from msgspec import Struct

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.disk import open_private, publish
from codat_async.bulk.store.files import JournalRow
from codat_async.bulk.store.journal import Block
from codat_async.bulk.store.sealing import Sealer
from codat_async.bulk.store.state import Run
from codat_async.bulk.store.system import sync_data, write_at
from codat_async.errors import CodatError

__all__ = ["DiskFull", "WriteBatch", "WriteError", "Writer", "write_error"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_BATCH_SECONDS: Final = 1.0
_BATCH_BYTES: Final = 4 * 1024 * 1024
"""Lines and pages that are written together; what a kill can cost is this, and the lists being read."""
_JOURNAL_BYTES: Final = 64 * 1024 * 1024
"""A journal of this size is sealed while the pull goes on."""
# SQLite reports a file-size limit as a failed write.
_SQLITE_FULL: Final = {"SQLITE_FULL", "SQLITE_IOERR_WRITE"}
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class WriteError(CodatError):
    """What was pulled could not be written; everything committed before is kept."""


class DiskFull(WriteError):
    """No space is left on the disk; free some and run the same command again to continue."""


class WriteBatch:
    """What is written and committed together."""

    def __init__(self, directory: Directory) -> None:
        self.checkpoint = directory.checkpoint
        self._directory = directory
        self._files: dict[Path, int] = {}
        self._blocks: list[Block] = []
        self._renames: list[tuple[Path, Path]] = []
        self._last: list[Callable[[], None]] = []
        self._after: list[Callable[[], None]] = []

    def add(self, block: Block) -> None:
        """Append the lines of a reading to the journal."""
        self._blocks.append(block)

    def write(self, path: Path, begins: int, data: bytes) -> None:
        """Write bytes at an offset of a file; anything beyond that was never committed and is cut off."""
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = open_private(path, os.O_WRONLY)
            if os.fstat(file).st_size > begins:
                os.ftruncate(file, begins)
        write_at(file, data, begins)

    def cut(self, path: Path, size: int) -> None:
        """Truncate a file to the size that was committed."""
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > size:
                os.truncate(path, size)

    def publish(self, part: Path, path: Path) -> None:
        """Give a file its final name once its bytes are synced, before the commit that refers to it."""
        self._renames.append((part, path))

    def last(self, action: Callable[[], None]) -> None:
        """Call this once the lines of the batch are in the journal, before the commit."""
        self._last.append(action)

    def after(self, action: Callable[[], None]) -> None:
        """Call this once the batch is committed."""
        self._after.append(action)

    def commit(self, jobs: Iterable["Job"], counts: Callable[[], bytes | None], run: Run) -> None:
        """Run the jobs, sync their files, then commit: the checkpoint never refers to bytes not on disk."""
        directory = self._directory
        try:
            with self.checkpoint.transaction():
                for job in jobs:
                    job(self)
                if self._blocks:
                    journal = directory.journal(run)
                    begins, frame = journal.frame(self._blocks, self.checkpoint.keys.type)
                    self.write(journal.path, begins, frame)
                    self.checkpoint.files.save_journal(journal.row)
                for action in self._last:
                    action()
                for file in self._files.values():
                    sync_data(file)
                for part, path in self._renames:
                    if part.exists():
                        publish(part, path)
                self.checkpoint.drew(directory.next_n)
                summed = counts()
                if summed is not None:
                    self.checkpoint.save_counts(run, summed)
        finally:
            while self._files:
                os.close(self._files.popitem()[1])
        for action in self._after:
            action()


Job: TypeAlias = Callable[[WriteBatch], object]
_Done: TypeAlias = Callable[[Exception | None], None]


class _Entry(Struct):
    job: Job
    done: _Done | None = None
    """Called in the event loop."""
    future: "Future[Any] | None" = None
    result: Any = None
    size: int = 0
    urgent: bool = False


class Writer:
    """The writing thread; an async context manager that on exit waits until all jobs are committed.

    Jobs run in the order of submission. A batch is committed when the first job in it is a second old,
    when it has 4 MB, or at once if somebody waits for one of its jobs. The first error ends the
    writer, since later jobs may depend on what was lost.
    """

    def __init__(
        self,
        directory: Directory,
        run: Run,
        on_failure: Callable[[WriteError], None],
        counts: Callable[[], bytes | None] = lambda: None,
        *,
        journal_bytes: int = _JOURNAL_BYTES,
    ) -> None:
        self._directory = directory
        self._run = run
        self._on_failure = on_failure
        self._counts = counts
        self._journal_bytes = journal_bytes
        self._jobs: deque[_Entry] = deque()
        self._size = 0
        self._some = threading.Event()
        """There are jobs. Waking the thread for each would cost more than most of them."""
        self._now = threading.Event()
        """They are to be committed without waiting for more."""
        self._ended = False
        self.hurry: Callable[[], bool] = lambda: False
        """Whether somebody waits for the memory that jobs hold until they are committed."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="codat-async-writer", daemon=True)
        self._sealing = ThreadPoolExecutor(1, thread_name_prefix="codat-async-seal")
        self._sealer = Sealer(directory.layout, self.call)
        self._seals: set[Future[None]] = set()
        self.error: WriteError | None = None

    def submit(self, job: Job, done: _Done | None = None, *, size: int = 0) -> None:
        """Queue a job; ``done`` is called in the event loop once it is committed, or with the error.

        ``size`` is the number of bytes that it writes.
        """
        if self.error is not None:
            raise self.error
        self._put(_Entry(job, done, size=size))

    def flush(self) -> None:
        """Commit at once what is queued."""
        self._now.set()

    def _put(self, entry: _Entry) -> None:
        self._jobs.append(entry)
        self._size += entry.size
        if entry.urgent or self._size >= _BATCH_BYTES or self.hurry():
            self._now.set()
        if not self._some.is_set():
            self._some.set()

    async def commit(self, job: Callable[[WriteBatch], T]) -> T:
        """Queue a job and wait until it is committed; returns its result."""
        if self.error is not None:
            raise self.error
        future: Future[T] = Future()
        self._put(_Entry(job, future=future, urgent=True))
        return await asyncio.shield(asyncio.wrap_future(future))

    def call(self, work: Callable[[Checkpoint], T]) -> T:
        """Like :meth:`commit`, from another thread."""
        return self._call(lambda batch: work(batch.checkpoint))

    def _call(self, job: Callable[[WriteBatch], T]) -> T:
        future: Future[T] = Future()
        self._put(_Entry(job, future=future, urgent=True))
        return future.result()

    async def seal(self, *, merge: bool = True) -> None:
        """Seal the journal, and merge the types that have too many small segments."""
        await asyncio.shield(asyncio.wrap_future(self._begin_sealing(merge=merge)))

    def _begin_sealing(self, *, merge: bool = False) -> "Future[None]":
        def seal() -> None:
            try:
                seal_and_merge()
            except Exception as error:
                raise write_error(error) from error

        def seal_and_merge() -> None:
            rotated: list[JournalRow | None] = []
            # After the lines of its batch, which were submitted before.
            self._call(lambda batch: batch.last(lambda: rotated.append(self._directory.rotate())))
            if (journal := rotated[0]) is not None:
                self._sealer.seal(journal, self._run.id)
            if merge:
                self._directory.merge(self._sealer, self._run.id)

        future = self._sealing.submit(seal)
        self._seals.add(future)
        future.add_done_callback(self._sealed)
        return future

    def _sealed(self, future: "Future[None]") -> None:
        self._seals.discard(future)
        if not future.cancelled() and (error := future.exception()) is not None and self.error is None:
            self._fail(write_error(error))

    async def __aenter__(self) -> "Writer":
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        def finish() -> None:
            concurrent.futures.wait([*self._seals])
            self._sealing.shutdown()
            self._ended = True
            self._now.set()
            self._some.set()
            self._thread.join()

        # Shielded from cancellation, so that queued jobs are committed in any case.
        waiter = asyncio.ensure_future(asyncio.to_thread(finish))
        while not waiter.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(waiter)

    # --- in the thread -------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            self._some.wait()
            self._now.wait(_BATCH_SECONDS)
            # Cleared before the jobs are taken: one that comes in between is taken, or wakes it again.
            self._some.clear()
            self._now.clear()
            ended = self._ended
            entries = self._take()
            if entries:
                error = self.error or self._together(entries)
                self._report(entries, error)
                self._seal_if_large()
            if ended and not self._jobs:
                return

    def _take(self) -> list[_Entry]:
        """The jobs of a batch."""
        entries: list[_Entry] = []
        size = 0
        while self._jobs and size < _BATCH_BYTES:
            entries.append(self._jobs.popleft())
            size += entries[-1].size
        self._size -= size
        if self._jobs:
            self._some.set()
            self._now.set()
        return entries

    def _together(self, entries: list[_Entry]) -> WriteError | None:
        batch = WriteBatch(self._directory)

        def run(entry: _Entry) -> Job:
            def job(batch: WriteBatch) -> None:
                entry.result = entry.job(batch)

            return job

        try:
            batch.commit(map(run, entries), self._counts, self._run)
        except Exception as error:
            _log.debug("a batch could not be committed", exc_info=True)
            self._fail(write_error(error))
        return self.error

    def _fail(self, error: WriteError) -> None:
        self.error = error
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._on_failure, error)

    def _report(self, entries: list[_Entry], error: Exception | None) -> None:
        waiting = [each.done for each in entries if each.done is not None]

        def report() -> None:
            for done in waiting:
                done(error)

        for each in entries:
            if each.future is not None:
                if error is None:
                    each.future.set_result(each.result)
                else:
                    each.future.set_exception(error)
        if waiting:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(report)

    def _seal_if_large(self) -> None:
        if self._directory.journal_size >= self._journal_bytes and not self._seals and self.error is None:
            self._begin_sealing()


def write_error(error: BaseException) -> WriteError:
    """The error for a failure of the files or of SQLite."""
    if isinstance(error, WriteError):
        return error
    if isinstance(error, OSError):
        if error.errno in _FULL:
            failure: WriteError = DiskFull(f"the disk is full ({error.strerror})")
        else:
            failure = WriteError(f"cannot write: {error}")
    elif isinstance(error, sqlite3.Error):
        # SQLite reports a full disk as such only sometimes.
        full = getattr(error, "sqlite_errorname", "") in _SQLITE_FULL
        failure = DiskFull(f"the disk is full ({error})") if full else WriteError(f"the checkpoint: {error}")
    else:
        failure = WriteError(f"cannot write: {error!r}")
    failure.__cause__ = error
    return failure
