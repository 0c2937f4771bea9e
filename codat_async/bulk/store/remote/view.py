"""Reads a directory in object storage: a copy of its checkpoints, and files as they are needed."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.damage import lose_file
from codat_async.bulk.store.directory import DirectoryError, open_checkpoint
from codat_async.bulk.store.disk import make_folder, write_private
from codat_async.bulk.store.layout import CHECKPOINT, REPORT, Layout, NotFetched
from codat_async.bulk.store.reading import check_content
from codat_async.bulk.store.remote.mirror import FOLDERS, fetch, version_in
from codat_async.bulk.store.remote.objects import Missing, ReliableObjects, Version
from codat_async.bulk.store.remote.opening import open_objects, open_remote
from codat_async.bulk.store.remote.place import Place, RemoteDirectory, spool_of
from codat_async.bulk.store.remote.published import KEY, unpack
from codat_async.bulk.store.segments import file_path
from codat_async.errors import CodatError

__all__ = ["View", "lose_objects", "open_view"]

_AT_ONCE: Final = 8
_ATTEMPTS: Final = 3


class View:
    """The local copy of a directory in object storage; its checkpoints are those that were published last."""

    def __init__(self, remote: RemoteDirectory, root: Path) -> None:
        self.remote = remote
        self.root = root
        self._parts: dict[Path, RemoteDirectory] = {}
        self._objects: dict[Path, ReliableObjects] = {}
        self._versions: dict[Path, Version] = {}

    def load(self) -> None:
        """Read the checkpoints; raises DirectoryError if there is none."""
        names = open_objects(self.remote).names()
        if KEY in names:
            self._parts = {self.root: self.remote}
        else:
            folders = [each.rstrip("/") for each in names if each.startswith("shard-")]
            self._parts = {self.root / each: self.remote.below(each) for each in folders}
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="codat-async-view") as pool:
            found = [*pool.map(self._load, self._parts)]
        if not any(found):
            raise DirectoryError(f"{self.remote} is not the directory of a pull: it has no {KEY}")

    def _load(self, part: Path) -> bool:
        objects = self._objects[part] = open_objects(self._parts[part])
        try:
            content, self._versions[part] = objects.get(KEY)
        except Missing:
            return False
        make_folder(part)
        write_private(part / CHECKPOINT, unpack(content)[1])
        with contextlib.suppress(Missing):
            write_private(part / REPORT, objects.get(REPORT)[0])
        return True

    def parts(self) -> list[Path]:
        """The directories of the pulls: the root, or those of its shards."""
        return sorted(self._parts)

    def remote_of(self, part: Path) -> RemoteDirectory:
        """The directory in object storage that a part is a copy of."""
        return self._parts[part]

    def objects(self, part: Path) -> ReliableObjects:
        """The objects of a part."""
        return self._objects[part]

    def put(self, key: str, data: bytes) -> None:
        """Write a small object beside the checkpoint, or beside the folders of the shards."""
        open_objects(self.remote).put(key, data)

    def delete(self, key: str) -> None:
        """Remove an object beside the checkpoint, or beside the folders of the shards."""
        open_objects(self.remote).delete([key])

    def fetch(self, part: Path, key: str, path: Path) -> None:
        """Have a file of a part: from the spool if it is there, or from the bucket; raises NotFetched."""
        if path.exists():
            return
        if path.is_relative_to(part) and self._is_spooled(part):
            make_folder(path.parent)
            with contextlib.suppress(OSError):
                # Another name of the same file, which stays if the spool removes its own.
                os.link(spool_of(self._parts[part]) / path.relative_to(part), path)
                return
        fetch(self._objects[part], key, path)

    def _is_spooled(self, part: Path) -> bool:
        """Whether the spool here is of the same state; otherwise it may have other files of these names."""
        return version_in(spool_of(self._parts[part])) == self._versions.get(part)

    def damages(self, part: Path, *, verify: bool) -> dict[int, str]:
        """What is wrong with the objects that the checkpoint names, a line by the number of each file."""
        for _ in range(_ATTEMPTS):
            found = self._damages(part, verify=verify)
            if not found or self._objects[part].version(KEY) == self._versions[part]:
                return found
            # What is missing was merged meanwhile, perhaps.
            self._load(part)
        return {}

    def _damages(self, part: Path, *, verify: bool) -> dict[int, str]:
        objects, layout, found = self._objects[part], Layout.local(part), dict[int, str]()
        with contextlib.closing(open_checkpoint(part)) as checkpoint:
            rows = checkpoint.files.all("object <> ''")
        sizes = {key: size for folder in FOLDERS for key, size in objects.listed(folder)}
        for row in rows:
            size, reason = sizes.get(row.object), None
            if size != row.size:
                reason = "it is missing" if size is None else f"it has {size:,} bytes instead of {row.size:,}"
            elif verify:
                path = file_path(layout, row)
                try:
                    fetch(objects, row.object, path)
                    reason = check_content(path, row.size, row.crc)
                except NotFetched as error:
                    reason = str(error)
                finally:
                    path.unlink(missing_ok=True)
            if reason is not None:
                found[row.id] = f"{self._parts[part]}/{row.object} is damaged: {reason}"
        return found


@contextlib.contextmanager
def open_view(place: Place) -> Iterator[tuple[Path, View | None]]:
    """The local directory of a place to read from, and the view if it is in object storage.

    Raises DirectoryError if there is no pull in object storage, or it cannot be read.
    """
    if not isinstance(place, RemoteDirectory):
        yield place, None
        return
    spool = spool_of(place)
    make_folder(spool.parent)
    with tempfile.TemporaryDirectory(prefix=f"{spool.name}.view-", dir=spool.parent) as folder:
        view = View(place, Path(folder))
        view.load()
        try:
            yield view.root, view
        except CodatError as error:
            # The user knows the URL, not the copy.
            error.args = (str(error).replace(folder, str(place)),)
            raise


def lose_objects(view: View, part: Path, numbers: set[int]) -> None:
    """Have the lists of damaged files read whole by the next pull.

    That needs to become the writer. So if a run has not ended nothing is changed, since a pull may go on.
    """
    with contextlib.closing(open_checkpoint(part)) as checkpoint:
        run = checkpoint.current_run()
    if run is None or run.ended is None:
        return
    with open_remote(view.remote_of(part)) as directory:
        assert directory.mirror is not None

        def lose(checkpoint: Checkpoint) -> None:
            for row in checkpoint.files.all():
                if row.id in numbers:
                    lose_file(checkpoint, row)

        directory.commit(lose)
        directory.mirror.flush(directory.checkpoint.path, directory.commit, always=True)
