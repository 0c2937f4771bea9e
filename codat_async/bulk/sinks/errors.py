"""What can go wrong in a sink; the raw files are complete all the same."""

from collections.abc import Mapping
from pathlib import Path

from codat_async.bulk.store.compression import DamagedFile
from codat_async.bulk.store.directory import DirectoryError
from codat_async.errors import CodatError

__all__ = ["Faults", "SinkBusy", "SinkError", "first_line"]


class SinkError(CodatError):
    """Parquet files or a DuckDB file that cannot be written.

    The raw files are not affected: ``codat-async convert`` does later what is left to do.
    """


class SinkBusy(SinkError):
    """A DuckDB file that another process has open."""


class Faults:
    """What went wrong in a conversion, kept until everything else is done."""

    def __init__(self, root: Path, damaged: Mapping[Path, str], lost: Mapping[str, int]) -> None:
        self._root = root
        self._damaged = dict(damaged)
        self._lost = lost
        self._errors: list[SinkError] = []
        self.found: dict[int, str] = {}
        """The reasons for files that were found damaged while they were read, by their numbers."""

    def add(self, error: SinkError) -> None:
        """Keep an error of a sink."""
        self._errors.append(error)

    def add_damage(self, number: int, error: DamagedFile) -> None:
        """Keep that a file is damaged; it is not read again."""
        self._damaged[error.path] = str(error)
        self.found[number] = error.reason

    def is_damaged(self, path: Path) -> bool:
        """Whether a file is known to be damaged."""
        return path in self._damaged

    def has_lost(self, name: str) -> bool:
        """Whether lists of a type were in damaged files, and are not read again yet."""
        return name in self._lost

    def error(self) -> DirectoryError | SinkError | None:
        """What went wrong, each fault named: a DirectoryError if anything is damaged, or else a SinkError."""
        lost = [
            f"{self._root}: the data of {count:,} lists of {name} was damaged; the next pull reads them again"
            for name, count in self._lost.items()
        ]
        text = "; ".join([*self._damaged.values(), *lost, *map(str, self._errors)])
        if self._damaged or lost:
            return DirectoryError(text)
        if self._errors:
            busy = all(isinstance(each, SinkBusy) for each in self._errors)
            return (SinkBusy if busy else SinkError)(text)
        return None


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).splitlines()[0] if str(error) else repr(error)
