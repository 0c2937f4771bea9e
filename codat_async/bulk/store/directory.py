"""The directory that a pull writes to: checked, locked, and recovered after a crash."""

import contextlib
import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from codat_async.bulk.store.checkpoint import Checkpoint, CheckpointError
from codat_async.bulk.store.damage import Damage, find_damage, lose_damaged
from codat_async.bulk.store.disk import make_folder
from codat_async.bulk.store.files import FileKind, JournalRow
from codat_async.bulk.store.journal import Journal
from codat_async.bulk.store.layout import (
    CHECKPOINT,
    CONVERT_LOCK,
    EVENTS,
    OWN_NAMES,
    PUBLISHED,
    PULL_LOCK,
    REPORT,
    SPOOL_NAMES,
    Elsewhere,
    Layout,
    check_local,
)
from codat_async.bulk.store.locks import FileLock, Held, lock_files, lock_holder
from codat_async.bulk.store.sealing import Commit, Sealer
from codat_async.bulk.store.segments import file_path
from codat_async.bulk.store.state import Run, StoreUse
from codat_async.errors import CodatError

__all__ = [
    "ASIDE",
    "START_OVER",
    "Directory",
    "DirectoryError",
    "Mirror",
    "lose_files",
    "open_checkpoint",
    "running_pull",
    "seal_if_idle",
]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_CONTENT: Final = ("raw", "journal", "invalid", "parquet", "current", "as-of", "damaged", REPORT)
"""What a pull makes in its directory beside the checkpoint."""
ASIDE: Final = "aside-"
"""How the names of what was set aside begin."""
START_OVER: Final = "'pull --full' reads everything again and keeps the old files aside"
"""The way out if a checkpoint cannot be used."""
_FILE_NAME: Final = re.compile(r"\d{6,}-\d{8}T\d{6}Z\.ndjson(\.gz|\.zst)?(\.part)?")


class DirectoryError(CodatError):
    """A directory that cannot be pulled into, or read as a pull; the message gives the reason."""


class Mirror(Elsewhere, Protocol):
    """Keeps a directory in object storage; see :mod:`codat_async.bulk.store.remote.mirror`."""

    seal_every: float
    """Seconds between two seals of the journal."""
    fenced: bool
    """Whether another process has become the writer."""

    @property
    def use(self) -> StoreUse:
        """The calls so far."""
        ...

    def on_fault(self, call: Callable[[str], object]) -> None:
        """Call this with the reason of each attempt that fails, from any thread."""
        ...

    def prepare(self, set_aside: Callable[[str], object]) -> None:
        """Bring the directory, which is locked, to the state that is in object storage."""
        ...

    def claim(self, directory: "Directory") -> None:
        """Become the only writer in object storage."""
        ...

    def upload(self, commit: Commit) -> object:
        """Upload what is sealed."""
        ...

    def flush(self, path: Path, commit: Commit, *, always: bool = False) -> bool:
        """Upload what is sealed, and publish the checkpoint: if anything was uploaded, or ``always``."""
        ...

    def put_report(self) -> None:
        """Upload the report of the last run."""
        ...

    def close(self, directory: "Directory", *, unused: bool) -> None:
        """Complete what can be, before the checkpoint is closed."""
        ...


class Directory:
    """A locked directory with its checkpoint open."""

    def __init__(
        self, path: Path, *, start_over: bool = False, create: bool = True, mirror: Mirror | None = None
    ) -> None:
        self.path = path
        self.layout = Layout.local(path, mirror)
        self.mirror = mirror
        """Keeps it in object storage; None for a local directory."""
        self.aside: Path | None = None
        """Where the files of a damaged checkpoint were moved to."""
        self.damages: list[Damage] = []
        """What was found damaged at the start, now moved aside; its lists are read whole."""
        self._start_over = start_over
        self._lock: FileLock | None = None
        self._made = False
        self._journal: Journal | None = None
        self.checkpoint: Checkpoint
        try:
            self._open(create)
            if mirror is not None:
                mirror.claim(self)
        except BaseException:
            self.close()
            raise
        self.next_n = self.checkpoint.next_n()
        if self.aside is not None:
            # Sinks may have the old readings, whose numbers cannot be read. There were fewer than one a
            # millisecond, so the clock is beyond them.
            self.next_n = time.time_ns() // 1_000_000

    def draw(self) -> int:
        """The number of a reading that begins now."""
        number: int = self.next_n
        self.next_n += 1
        return number

    # --- opening -------------------------------------------------------------------------

    def _open(self, create: bool) -> None:
        path = self.path
        try:
            if path.exists() and not path.is_dir():
                raise DirectoryError(f"{path} is not a directory")
            self._made = not path.exists()
            if self._made and not create:
                raise DirectoryError(f"{path} is not a directory")
            make_folder(path)
            names = {entry.name for entry in path.iterdir()}
            lost = CHECKPOINT not in names and not names.isdisjoint({"raw", "journal"})
            locks = {file.name for file in lock_files(path / PULL_LOCK)}
            ours = OWN_NAMES | locks
            if self.mirror is not None:
                ours |= SPOOL_NAMES | {name for name in names if name.startswith(ASIDE)}
            if names - ours and CHECKPOINT not in names and not lost:
                raise DirectoryError(
                    f"{path} holds something else than a pull; nothing was written, choose another directory"
                )
            try:
                self._lock = FileLock(path / PULL_LOCK)
            except Held as held:
                raise DirectoryError(f"another pull (process {held.holder}) is running in {path}") from None
            if self.mirror is not None:
                self.mirror.prepare(self._set_aside)
                names = {entry.name for entry in path.iterdir()}
                lost = False
            if lost:
                self._refuse(f"{path / CHECKPOINT} is missing")
                names = set()
        except OSError as error:
            raise DirectoryError(f"cannot write to {path}: {error.strerror or error}") from error
        try:
            self.checkpoint = self._checkpoint(create=names.isdisjoint(_CONTENT))
        except CheckpointError as error:
            self._refuse(f"{path / CHECKPOINT} cannot be used: {error}")
            self.checkpoint = self._checkpoint(create=True)

    def _checkpoint(self, *, create: bool) -> Checkpoint:
        checkpoint = Checkpoint(self.layout.checkpoint, create=create)
        try:
            checkpoint.verify()
        except BaseException:
            checkpoint.close()
            raise
        return checkpoint

    def _refuse(self, reason: str) -> None:
        """Raise DirectoryError, or move everything aside if the pull is to start over."""
        if not self._start_over:
            raise DirectoryError(f"{reason}; nothing was written; {START_OVER}")
        self.aside = self._set_aside(f"{reason}: everything is read again")

    def _set_aside(self, reason: str) -> Path:
        """Move what a pull has written out of the way."""
        aside = self.path / f"{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        make_folder(aside)
        for name in (*_CONTENT, *OWN_NAMES, PUBLISHED):
            with contextlib.suppress(FileNotFoundError):
                (self.path / name).rename(aside / name)
        _log.warning("%s; the old files are in %s", reason, aside)
        return aside

    def close(self) -> None:
        """Close the checkpoint and release the lock; if no run has started, remove what was created."""
        checkpoint: Checkpoint | None = getattr(self, "checkpoint", None)
        unused = False
        if checkpoint is not None:
            events = (self.path / EVENTS).exists()
            unused = checkpoint.last_run() is None and self.aside is None and not events
            if self.mirror is not None:
                self.mirror.close(self, unused=unused)
            checkpoint.close()
            del self.checkpoint
            if unused:
                for name in OWN_NAMES:
                    (self.path / name).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close(remove=unused)
            self._lock = None
        if self._made and unused:
            self.path.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- the journal ---------------------------------------------------------------------

    def journal(self, run: Run) -> Journal:
        """The journal to append to; within a transaction."""
        if self._journal is None:
            files = self.checkpoint.files
            rows = [each for each in files.journals() if not each.sealing]
            row = rows[-1] if rows else None
            if row is not None and not row.size and row.compression != run.compression:
                files.drop_journal(row.number)
                row = None
            row = row or files.new_journal(run.compression, run.id)
            self._journal = Journal(self.layout, row)
        return self._journal

    @property
    def journal_size(self) -> int:
        """Bytes in the journal that is appended to."""
        return 0 if self._journal is None else self._journal.row.size

    def rotate(self) -> JournalRow | None:
        """End the journal; what follows goes to a new one. None if nothing is in it. Within a transaction."""
        rows = [each for each in self.checkpoint.files.journals() if not each.sealing]
        if not rows or not rows[-1].size:
            return None
        row = rows[-1]
        self._journal = Journal(self.layout, self.checkpoint.files.new_journal(row.compression, row.run))
        return row

    # --- recovery ------------------------------------------------------------------------

    def recover(self, *, seal: bool = False) -> None:
        """Complete what a crash interrupted, mark the lists of damaged files, and remove leftovers.

        With ``seal`` nothing stays in a journal.
        """
        checkpoint, layout = self.checkpoint, self.layout
        # What is appended to a damaged journal would be lost with it.
        self.damages = find_damage(layout, checkpoint, verify_journals=True)
        for each in self.damages:
            _log.error("%s; its lists are read whole by the next pull", each)
        lose_damaged(layout, checkpoint, self.damages)
        sealer = Sealer(layout, self.commit)
        sealer.redo()
        journals = checkpoint.files.journals()
        for row in journals:
            path = layout.journal(row.number, row.compression)
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > row.size:
                    os.truncate(path, row.size)
            if seal or row.number != journals[-1].number:
                if row.size:
                    sealer.seal(row, row.run)
                else:
                    self.commit(lambda checkpoint, row=row: checkpoint.files.drop_journal(row.number))  # type: ignore[misc]
        self._drop_unfinished()
        self._remove_leftovers()
        self._journal = None

    def commit(self, work: Callable[[Checkpoint], T], /) -> T:
        """Run something on the checkpoint in a transaction, while no writer does."""
        with self.checkpoint.transaction():
            return work(self.checkpoint)

    def _drop_unfinished(self) -> None:
        """Remove the rows of own files that no list goes on with."""
        checkpoint = self.checkpoint
        rows = checkpoint.files.all("sealed = 0 and kind = ?", (FileKind.OWN,))
        with checkpoint.transaction():
            for row in rows:
                if not checkpoint.lists.reading_into(row.companies, row.id):
                    checkpoint.files.remove([row.id])

    def _remove_leftovers(self) -> None:
        """Remove files with names of ours that the checkpoint does not know."""
        layout, known = self.layout, set[Path]()
        for row in self.checkpoint.files.all():
            path = file_path(layout, row)
            known.add(path)
            if not row.sealed:
                known.add(layout.part(path))
        for journal in self.checkpoint.files.journals():
            known.add(layout.journal(journal.number, journal.compression))
        for path in self._ours():
            if path not in known:
                path.unlink(missing_ok=True)

    def _ours(self) -> Iterator[Path]:
        for folder in ("raw", "invalid"):
            for path in (self.path / folder).glob("*/*"):
                if _FILE_NAME.fullmatch(path.name):
                    yield path
        yield from (self.layout.spool / "journal").glob("*")

    def merge(self, sealer: Sealer, run: str) -> None:
        """Merge small segments, unless a conversion is reading them."""
        try:
            lock = FileLock(self.path / CONVERT_LOCK)
        except Held:
            return
        try:
            sealer.merge(run)
        finally:
            lock.close()


def running_pull(path: Path) -> int | None:
    """The id of the process that writes to a directory; None if none does."""
    return lock_holder(path / PULL_LOCK)


def seal_if_idle(path: Path) -> bool:
    """Seal what is in the journal, so that readers find everything committed.

    False if a pull is running or the directory cannot be written to; then readers find what is sealed.
    """
    if not (path / CHECKPOINT).exists():
        return False
    try:
        with Directory(path, create=False) as directory:
            directory.recover(seal=True)
    except (DirectoryError, OSError, sqlite3.Error):
        return False
    return True


def lose_files(path: Path, damaged: Mapping[int, str]) -> bool:
    """Have the lists of damaged files read whole by the next pull.

    ``damaged`` has the reasons by the numbers of the files. False, and nothing is changed, if a pull is
    running or the directory cannot be written to.
    """
    try:
        with Directory(path, create=False) as directory:
            rows = [row for row in directory.checkpoint.files.sealed(*FileKind.ALL) if row.id in damaged]
            lose_damaged(
                directory.layout,
                directory.checkpoint,
                [Damage(file_path(directory.layout, row), row.type, damaged[row.id], row) for row in rows],
            )
    except (DirectoryError, OSError, sqlite3.Error):
        return False
    return True


def open_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint of a directory, opened read-only; raises DirectoryError if there is none."""
    check_local(path)
    if not path.is_dir():
        raise DirectoryError(f"{path} is not a directory")
    if not (path / CHECKPOINT).exists():
        raise DirectoryError(f"{path} is not the directory of a pull: it has no {CHECKPOINT}")
    try:
        return Checkpoint(path / CHECKPOINT, read_only=True)
    except (CheckpointError, sqlite3.Error) as error:
        raise DirectoryError(f"{path / CHECKPOINT} cannot be used: {error}; {START_OVER}") from error
