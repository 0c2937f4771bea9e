"""Brings objects that are not in the checkpoint into the spool, to be changed there and put back."""

import zlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.layout import NotFetched
from codat_async.bulk.store.remote.mirror import fetch
from codat_async.bulk.store.remote.objects import ReliableObjects

__all__ = ["Checkout"]

_WRITTEN: Final = ("parquet/*/*.parquet", "current/*.parquet", "as-of/*/*.parquet")
"""What appears in the spool only by changing what was brought there."""


class Checkout:
    """Copies of objects in a spool; raises DirectoryError."""

    def __init__(self, objects: ReliableObjects, spool: Path, keys: Sequence[str]) -> None:
        self.keys = keys
        """Those that there are."""
        self._objects = objects
        self._spool = spool
        self._sums: dict[str, int] = {}
        self._before = self._written()

    def bring(self, keys: Iterable[str]) -> None:
        """Fetch objects."""
        for key in keys:
            path = self._spool / key
            try:
                fetch(self._objects, key, path)
            except NotFetched as error:
                raise DirectoryError(str(error)) from error
            self._sums[key] = zlib.crc32(path.read_bytes())

    def _written(self) -> set[str]:
        return {
            path.relative_to(self._spool).as_posix()
            for pattern in _WRITTEN
            for path in self._spool.glob(pattern)
        }

    def put(self) -> None:
        """Put what is new or was changed; what is gone stays until :meth:`finish`."""
        for key in sorted({*self._sums} | self._written() - self._before):
            path = self._spool / key
            if path.exists() and zlib.crc32(path.read_bytes()) != self._sums.get(key):
                self._objects.upload(key, path)

    def finish(self, obsolete: Collection[str] = ()) -> None:
        """Remove the objects that are gone from the spool, and others; then the copies."""
        gone = {key for key in self._sums if not (self._spool / key).exists()}
        self._objects.delete([*gone, *obsolete])
        for key in {*self._sums} | self._written() - self._before:
            (self._spool / key).unlink(missing_ok=True)
