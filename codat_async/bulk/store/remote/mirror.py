"""Keeps a directory in object storage: uploads sealed files, and publishes the checkpoint behind them.

The order is always the same. Files are uploaded under names that no other writer uses; then a snapshot of
the checkpoint that names them replaces the one before, on condition that it still is the one that this
writer wrote or read last; then objects that it no longer names are removed. So a checkpoint never names an
object that is not there, and a writer that another one has taken over from is fenced off.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

import msgspec
from msgspec import Struct

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.compression import available, compressor
from codat_async.bulk.store.directory import Directory, DirectoryError
from codat_async.bulk.store.disk import open_private, publish, write_private
from codat_async.bulk.store.layout import (
    CHECKPOINT,
    CONVERT_LOCK,
    PUBLISHED,
    REMOTE_STATE,
    REPORT,
    SNAPSHOT,
    SPOOL_NAMES,
    Layout,
    NotFetched,
)
from codat_async.bulk.store.locks import FileLock, Held
from codat_async.bulk.store.remote.objects import Changed, Missing, ReliableObjects, Version
from codat_async.bulk.store.remote.published import KEY, pack, token_in, unpack
from codat_async.bulk.store.remote.snapshot import take_snapshot
from codat_async.bulk.store.sealing import Commit
from codat_async.bulk.store.segments import file_path
from codat_async.bulk.store.state import StoreUse

__all__ = ["FOLDERS", "BucketMirror", "Fenced", "fetch", "version_in"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
FOLDERS: Final = ("raw/", "invalid/")
"""What the checkpoint names objects in."""
_AT_ONCE: Final = 4
_ROUNDS: Final = 5
_UNCONFIRMED: Final = 20
"""Snapshots, written without an answer, that are remembered as our own."""


class Fenced(DirectoryError):
    """Another process has begun to write to the directory in object storage; what it writes counts."""


class _State(Struct):
    """What a spool knows of its bucket."""

    url: str
    version: dict[str, str] | None = None
    """Of the checkpoint in the bucket, when it was last read or written."""
    tokens: list[str] = []
    """Of the snapshots that may be there: the last one, and one whose writing was not confirmed."""


class BucketMirror:
    """A directory in object storage, as the process that writes to it sees it."""

    def __init__(
        self, objects: ReliableObjects, url: str, spool: Path, *, seal_every: float, spool_bytes: int
    ) -> None:
        self.seal_every = seal_every
        self.fenced = False
        self._objects = objects
        self._url = url
        self._spool = spool
        self._spool_bytes = spool_bytes
        self._compress = compressor(available())
        self._writer = uuid4().hex[:8]
        """In the names of its objects, so that no two writers use the same."""
        self._state = self._read_state()
        self._keys: set[str] = set()
        """What is in the folders that the checkpoint names objects in."""
        self._lock = threading.Lock()
        self._claimed = False
        self._created = False
        self.published_at = 0.0
        """When the checkpoint was last published, on the monotonic clock."""

    @property
    def use(self) -> StoreUse:
        """The calls so far."""
        return self._objects.use

    def on_fault(self, call: Callable[[str], object]) -> None:
        """Call this with the reason of each attempt that fails, from any thread."""
        self._objects.on_fault = call

    # --- the beginning -------------------------------------------------------------------

    def prepare(self, set_aside: Callable[[str], object]) -> None:
        """Compare the spool with the bucket, once it is locked, and take the bucket's state if that is newer.

        ``set_aside`` moves what is in the spool out of the way. Raises DirectoryError.
        """
        found = self._objects.version(KEY)
        here = (self._spool / CHECKPOINT).exists()
        state = self._state
        if found is None:
            if here and state.version is not None:
                set_aside(f"{self._url} is empty: it was removed since the spool was written")
            self._state = _State(self._url)
            self._created = True
            return
        if here and found == state.version:
            return
        if here:
            head, version = self._get(0, 256)
            if token_in(head) in state.tokens:
                # The answer to our own write was lost.
                state.version, state.tokens = dict(version), [str(token_in(head))]
                self._write_state()
                return
            set_aside(f"another process has written to {self._url} since the spool was written")
        content, version = self._get()
        token, snapshot = unpack(content)
        self._state = _State(self._url, dict(version), [token])
        self._write_state()
        # The checkpoint last: a start that is killed here begins again. What cannot be read is refused when
        # it is opened, or set aside to start over.
        for name in (PUBLISHED, CHECKPOINT):
            write_private(self._spool / name, snapshot)

    def claim(self, directory: Directory) -> None:
        """Become the writer: whoever was it before is fenced off. Raises DirectoryError, and Fenced."""
        path, commit = directory.checkpoint.path, directory.commit
        with self._lock:
            # The third attempt is for a merged file that is damaged before it could be uploaded.
            for first in (lambda: None, lambda: self._upload(commit), directory.recover):
                first()
                if self._publish(path):
                    break
            else:
                raise self._stuck()
        self._claimed = True
        found = dict(self._listed())
        self._keys = set(found)
        if directory.aside is not None:
            self._move(directory.aside.name)
        self._compare(directory.checkpoint, found)
        self._sweep(self._named(directory.checkpoint))

    def _move(self, aside: str) -> None:
        """Move what a damaged checkpoint may have named out of the way."""
        for key in self._keys:
            self._objects.move(key, f"{aside}/{key}")
        self._keys.clear()

    def _get(self, begins: int = 0, ends: int | None = None) -> tuple[bytes, Version]:
        try:
            return self._objects.get(KEY, begins, ends)
        except Missing:
            raise Fenced(f"{self._url} was removed while it was opened; try again") from None

    def _listed(self) -> Iterable[tuple[str, int]]:
        for folder in FOLDERS:
            yield from self._objects.listed(folder)

    def _compare(self, checkpoint: Checkpoint, found: dict[str, int]) -> None:
        """Find the files whose objects are missing, shorter or longer: they are uploaded or read again."""
        wrong = {
            row.id: "" for row in checkpoint.files.all("object <> ''") if found.get(row.object) != row.size
        }
        with checkpoint.transaction():
            checkpoint.files.uploaded(wrong)

    # --- while it is written to ----------------------------------------------------------

    def upload(self, commit: Commit) -> None:
        """Upload what is sealed; raises as :meth:`flush` does."""
        with self._lock:
            self._check_fence()
            self._upload(commit)

    def flush(self, path: Path, commit: Commit, *, always: bool = False) -> bool:
        """Upload what is sealed, and publish the checkpoint if anything was; True if it was published.

        With ``always`` it is published in any case. Raises DirectoryError if the store cannot be used,
        and Fenced.
        """
        with self._lock:
            self._check_fence()
            # A file that was merged since the upload began is uploaded in the next round.
            for _ in range(_ROUNDS):
                if not self._upload(commit) and not always:
                    return False
                if self._publish(path):
                    return True
            raise self._stuck()

    def _stuck(self) -> DirectoryError:
        return DirectoryError(
            f"a merged file in {self._spool} cannot be uploaded; the next pull reads its lists again"
        )

    def _upload(self, commit: Commit) -> dict[int, str]:
        rows = commit(lambda checkpoint: checkpoint.files.all("sealed = 1 and object = ''"))
        layout = Layout.local(self._spool)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="codat-async-upload") as pool:
            keys = list(pool.map(lambda row: self._upload_one(file_path(layout, row)), rows))
        fresh = {row.id: key for row, key in zip(rows, keys, strict=True) if key}
        if fresh:
            commit(lambda checkpoint: checkpoint.files.uploaded(fresh))
            self._keys.update(fresh.values())
        return fresh

    def _upload_one(self, path: Path) -> str:
        name = path.relative_to(self._spool).as_posix()
        folder, _, file = name.rpartition("/")
        stem, _, suffix = file.partition(".")
        key = f"{folder}/{stem}-{self._writer}.{suffix}"
        try:
            self._objects.upload(key, path)
        except (FileNotFoundError, Missing):
            # It was merged meanwhile, or damaged: the next start finds out.
            return ""
        return key

    def _publish(self, path: Path) -> bool:
        snapshot, before = self._spool / SNAPSHOT, self._spool / PUBLISHED
        if not take_snapshot(path, snapshot, before if before.exists() else None):
            # A merged file was sealed meanwhile: the next flush uploads it first.
            return False
        token = uuid4().hex
        content = pack(snapshot, token, self._compress)
        # The confirmed one, and those whose answers were lost.
        self._state.tokens = [*self._state.tokens[:1], *self._state.tokens[1:][-_UNCONFIRMED:], token]
        self._write_state()
        self._state.version = dict(self._replace(content, token))
        self._state.tokens = [token]
        self._write_state()
        snapshot.replace(before)
        self.published_at = time.monotonic()
        if self._claimed:
            published = Checkpoint(before, read_only=True)
            try:
                self._sweep(self._named(published))
            finally:
                published.close()
            self._evict(path)
        return True

    def _replace(self, content: bytes, token: str) -> Version:
        """Replace the checkpoint in the bucket, if it is one of ours."""
        while True:
            try:
                return self._objects.replace(KEY, content, self._state.version)
            except Changed:
                # Also after an attempt whose answer was lost.
                head, version = self._get(0, 256)
            found = token_in(head)
            if found == token:
                return version
            if found not in self._state.tokens or version == self._state.version:
                self.fenced = True
                raise self._fence()
            self._state.version = dict(version)

    def _fence(self) -> Fenced:
        return Fenced(
            f"another process writes to {self._url} now, and this one ends: what it had not published yet"
            f" is left in {self._spool}"
        )

    def _check_fence(self) -> None:
        if self.fenced:
            raise self._fence()

    @staticmethod
    def _named(checkpoint: Checkpoint) -> set[str]:
        return {row.object for row in checkpoint.files.all("object <> ''")}

    def _sweep(self, named: set[str]) -> None:
        gone = self._keys - named
        self._objects.delete(gone)
        self._keys -= gone

    def _evict(self, path: Path) -> None:
        """Remove the oldest uploaded files from the spool, beyond what may stay."""
        try:
            lock = FileLock(self._spool / CONVERT_LOCK)
        except (Held, OSError):
            # They are being merged.
            return
        checkpoint = Checkpoint(path, read_only=True)
        try:
            left = self._spool_bytes
            layout = Layout.local(self._spool)
            for row in sorted(checkpoint.files.all("object <> ''"), key=lambda row: -row.id):
                file = file_path(layout, row)
                if file.exists():
                    left -= row.size
                    if left < 0:
                        file.unlink(missing_ok=True)
        finally:
            checkpoint.close()
            lock.close()

    # --- files that are only in the bucket -------------------------------------------------

    def fetch(self, key: str, path: Path) -> None:
        """Write an object to a file of the spool; raises NotFetched."""
        fetch(self._objects, key, path)

    def read(self, key: str, begins: int, ends: int) -> bytes:
        """A range of an object; raises NotFetched."""
        try:
            return self._objects.get(key, begins, ends)[0]
        except (Missing, DirectoryError) as error:
            raise NotFetched(f"{self._url}/{key}: {error}") from error

    # --- the end ---------------------------------------------------------------------------

    def put_report(self) -> None:
        """Upload the report of the last run."""
        with contextlib.suppress(FileNotFoundError):
            self._objects.put(REPORT, (self._spool / REPORT).read_bytes())

    def close(self, directory: Directory, *, unused: bool) -> None:
        """Publish what is not yet, as far as possible; if no run has started, remove what was created."""
        if unused:
            for name in SPOOL_NAMES:
                (self._spool / name).unlink(missing_ok=True)
        if not self._claimed or self.fenced:
            return
        try:
            if unused and self._created:
                self._objects.delete([KEY])
            elif not unused:
                self.flush(directory.checkpoint.path, directory.commit)
        except DirectoryError as error:
            _log.warning("%s; what is not uploaded stays in %s", error, self._spool)

    def _read_state(self) -> _State:
        state = _state_in(self._spool)
        return state if state is not None and state.url == self._url else _State(self._url)

    def _write_state(self) -> None:
        write_private(self._spool / REMOTE_STATE, msgspec.json.encode(self._state))


def fetch(objects: ReliableObjects, key: str, path: Path) -> None:
    """Write an object to a file under its final name, or not at all; raises NotFetched."""
    part = path.with_name(f"{path.name}.part")
    os.close(open_private(part, os.O_WRONLY | os.O_TRUNC))
    try:
        objects.download(key, part)
        publish(part, path)
    except (Missing, DirectoryError) as error:
        raise NotFetched(f"{key}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def version_in(spool: Path) -> Version | None:
    """The version of the checkpoint that a spool was last of; None if that is not known."""
    state = _state_in(spool)
    return None if state is None else state.version


def _state_in(spool: Path) -> _State | None:
    try:
        return msgspec.json.decode((spool / REMOTE_STATE).read_bytes(), type=_State)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
