"""The directory that a pull writes to: checked, locked, and recovered after a crash."""

import sqlite3
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from codat_async.bulk.store.checkpoint import Checkpoint, Run, State
from codat_async.bulk.store.compression import SUFFIXES, read_ranges
from codat_async.bulk.store.locks import FileLock, Held, lock_files, lock_holder
from codat_async.bulk.store.rawfiles import file_stem
from codat_async.bulk.units import Unit
from codat_async.errors import CodatError

__all__ = ["CHECKPOINT", "REPORT", "Directory", "DirectoryError", "open_checkpoint", "pull_process"]

CHECKPOINT: Final = "checkpoint.sqlite"
REPORT: Final = "report.json"
_LOCK: Final = "pull.lock"
_OWN: Final = {CHECKPOINT, f"{CHECKPOINT}-wal", f"{CHECKPOINT}-shm"}


class DirectoryError(CodatError):
    """A directory that cannot be pulled into, or read as a pull; the message gives the reason."""


class Directory:
    """A locked directory with its checkpoint open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: FileLock | None = None
        self._made = False
        self._reader: Checkpoint | None = None
        self._reading = threading.Lock()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        path = self.path
        try:
            if path.exists() and not path.is_dir():
                raise DirectoryError(f"{path} is not a directory")
            self._made = not path.exists()
            path.mkdir(parents=True, exist_ok=True)
            names = {entry.name for entry in path.iterdir()}
            if names - _OWN - {file.name for file in lock_files(path / _LOCK)} and CHECKPOINT not in names:
                raise DirectoryError(
                    f"{path} holds something else than a pull; nothing was written, choose another directory"
                )
            try:
                self._lock = FileLock(path / _LOCK)
            except Held as held:
                raise DirectoryError(f"another pull (process {held.holder}) is running in {path}") from None
        except OSError as error:
            raise DirectoryError(f"cannot write to {path}: {error.strerror or error}") from error
        try:
            self.checkpoint = Checkpoint(path / CHECKPOINT)
        except sqlite3.Error as error:
            raise DirectoryError(f"{path / CHECKPOINT} is not a checkpoint of a pull: {error}") from error

    def close(self) -> None:
        """Close the checkpoint and release the lock; if no run has started, remove what was created."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        checkpoint: Checkpoint | None = getattr(self, "checkpoint", None)
        unused = False
        if checkpoint is not None:
            unused = checkpoint.last_run() is None
            checkpoint.close()
            del self.checkpoint
            if unused:
                for name in _OWN:
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

    # --- files ---------------------------------------------------------------------------

    def file(self, run: str, compression: str, unit: Unit, *, whole: bool) -> Path:
        """The file of a unit that is complete."""
        return self.path / "raw" / (file_stem(unit, run, whole=whole) + SUFFIXES[compression])  # type: ignore[index]

    def part(self, run: str, compression: str, unit: Unit, *, whole: bool) -> Path:
        """The file of a unit that is not complete yet."""
        file = self.file(run, compression, unit, whole=whole)
        return file.with_name(f"{file.name}.part")

    def complete(self, run: Run, key: int, unit: Unit, *, whole: bool, invalid: bool) -> None:
        """Give the files of a complete unit their final names; calling it again has no effect."""
        part = self.part(run.id, run.compression, unit, whole=whole)
        if invalid:
            listing = self.path / "invalid" / f"{file_stem(unit, run.id, whole=whole)}.ndjson"
            lines = b"".join(_listed(self.checkpoint, key, unit))
            listing.parent.mkdir(parents=True, exist_ok=True)
            fresh = listing.with_name(f"{listing.name}.part")
            fresh.write_bytes(lines)
            fresh.replace(listing)
        if part.exists():
            part.replace(part.with_suffix(""))

    def earlier_lines(self, unit: Unit, whole_since: str, since: str) -> Iterator[list[bytes]]:
        """The lines of the pages, written by earlier runs, with records modified at or after ``since``.

        ``since`` is in the form of :attr:`Watermark.modified`. A page has older records too.
        Raises :class:`~codat_async.bulk.store.compression.DamagedFile`.
        """
        with self._reading:
            if self._reader is None:
                self._reader = Checkpoint(self.path / CHECKPOINT, read_only=True)
            pages = self._reader.earlier_pages(unit, whole_since, since)
        ranges: dict[Path, list[tuple[int, int | None]]] = {}
        for run, compression, whole, begins, ends in pages:
            ranges.setdefault(self.file(run, compression, unit, whole=whole), []).append((begins, ends))
        existing = (read_ranges(file, wanted) for file, wanted in ranges.items() if file.exists())
        return chain.from_iterable(existing)

    def recover(self) -> None:
        """Complete what a crash interrupted, and remove incomplete files of superseded runs."""
        checkpoint = self.checkpoint
        current = checkpoint.current_run()
        if current is None:
            return
        for key, unit, state in checkpoint.units(current.id):
            if state.state == State.DONE and state.bytes_written:
                self.complete(current, key, unit, whole=state.since is None, invalid=bool(state.invalid))
        for run, key, unit, state in list(checkpoint.files(State.ABANDONED)):
            if state.bytes_written:
                self.part(run.id, run.compression, unit, whole=state.since is None).unlink(missing_ok=True)
                state.bytes_written = 0
                checkpoint.save(key, state)


def pull_process(directory: Path) -> int | None:
    """Return the id of the process that pulls into a directory; None if none does."""
    return lock_holder(directory / _LOCK)


def _listed(checkpoint: Checkpoint, key: int, unit: Unit) -> Iterator[bytes]:
    for page, each in checkpoint.invalid(key):
        try:
            record: object = msgspec.Raw(msgspec.json.format(each.record, indent=-1))
        except msgspec.DecodeError:
            record = each.record.decode(errors="replace")
        yield (
            msgspec.json.encode(
                {
                    "type": unit.type,
                    "company": unit.company,
                    "connection": unit.connection or None,
                    "parent": unit.parent or None,
                    "id": each.id,
                    "page": page,
                    "row": each.row,
                    "path": each.path,
                    "reason": each.reason,
                    "record": record,
                }
            )
            + b"\n"
        )


def open_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint of a directory, opened read-only; raises DirectoryError if there is none."""
    if not path.is_dir():
        raise DirectoryError(f"{path} is not a directory")
    if not (path / CHECKPOINT).exists():
        raise DirectoryError(f"{path} holds no pull: it has no {CHECKPOINT}")
    try:
        return Checkpoint(path / CHECKPOINT, read_only=True)
    except sqlite3.Error as error:
        raise DirectoryError(f"{path / CHECKPOINT} cannot be read: {error}") from error
