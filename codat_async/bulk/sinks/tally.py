"""What a conversion did, and how far it is."""

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock

from msgspec import Struct

from codat_async.bulk.store.sealed import SealedFile

__all__ = ["ConversionProgress", "Converted", "Tally"]


class Converted(Struct, kw_only=True):
    """The result of a conversion for one type."""

    type: str
    files: int = 0
    """Raw files read, without those that were up to date."""
    records: int = 0
    """Records converted."""
    slow: int = 0
    """Records converted one by one, since they do not fit their columns."""
    inexact: int = 0
    """Records with a value that its column cannot hold."""
    unreadable: int = 0
    """Records that the model rejects."""
    merged: int = 0
    """Records merged into DuckDB."""
    current: int = 0
    """Records written as the present state; 0 if it has not changed."""

    def add(self, other: "Converted") -> None:
        """Add what was done with a part of the type."""
        for name in ("files", "records", "slow", "inexact", "unreadable", "merged", "current"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class ConversionProgress(Struct, frozen=True, kw_only=True):
    """The progress of a conversion."""

    files: int = 0
    """Raw files done, including those that were up to date."""
    of_files: int = 0
    bytes: int = 0
    """The size of those files, compressed."""
    of_bytes: int = 0
    records: int = 0
    """Records converted by this call."""


class Tally:
    """Keeps the counts, from several threads, and reports them."""

    def __init__(self, on_progress: Callable[[ConversionProgress], None] | None) -> None:
        self._on_progress = on_progress
        self._lock = Lock()
        self._expected: dict[Path, list[int]] = {}
        """The sizes of the files of each directory."""
        self._counted: set[Path] = set()
        self._bytes = self._records = 0

    def expect(self, root: Path, files: Iterable[SealedFile]) -> None:
        """Note the files of a directory, instead of those that were noted of it before."""
        self._expected[root] = [each.size for each in files]

    def count(self, *, file: SealedFile | None = None, records: int = 0) -> None:
        """Count converted records, and a file that is done; a file is counted once."""
        if self._on_progress is None:
            return
        with self._lock:
            if file is not None and file.path not in self._counted:
                self._counted.add(file.path)
                self._bytes += file.size
            self._records += records
            self._on_progress(
                ConversionProgress(
                    files=len(self._counted),
                    of_files=sum(map(len, self._expected.values())),
                    bytes=self._bytes,
                    of_bytes=sum(map(sum, self._expected.values())),
                    records=self._records,
                )
            )
