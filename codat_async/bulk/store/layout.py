"""Where things are in the directory of a pull."""

from pathlib import Path
from typing import Final

from msgspec import Struct

from codat_async.bulk.store.compression import SUFFIXES, Compression

__all__ = ["CHECKPOINT", "CONVERT_LOCK", "DAMAGED", "OWN_NAMES", "PULL_LOCK", "REPORT", "Layout"]

CHECKPOINT: Final = "checkpoint.sqlite"
REPORT: Final = "report.json"
PULL_LOCK: Final = "pull.lock"
CONVERT_LOCK: Final = "convert.lock"
DAMAGED: Final = "damaged"
OWN_NAMES: Final = {CHECKPOINT, f"{CHECKPOINT}-wal", f"{CHECKPOINT}-shm", f"{CHECKPOINT}-journal"}
"""What an interrupted start may leave behind."""


class Layout(Struct, frozen=True):
    """The paths of a pull.

    ``root`` holds what people read: sealed files, listings, the report. ``spool`` holds what only
    the writing process needs: the checkpoint, the journal and the lock. For a local directory
    they are the same.
    """

    root: Path
    spool: Path

    @classmethod
    def local(cls, path: Path) -> "Layout":
        """The layout of a local directory."""
        return cls(path, path)

    @property
    def checkpoint(self) -> Path:
        """The SQLite file."""
        return self.spool / CHECKPOINT

    def journal(self, number: int, compression: Compression) -> Path:
        """A journal."""
        return self.spool / "journal" / f"{number:06}{SUFFIXES[compression].removeprefix('.ndjson')}"

    def segment(self, type_name: str, number: int, run: str, compression: Compression) -> Path:
        """A sealed file of records."""
        return self.root / "raw" / type_name / f"{number:06}-{run}{SUFFIXES[compression]}"

    def listing(self, type_name: str, number: int, run: str) -> Path:
        """A sealed listing of invalid records."""
        return self.root / "invalid" / type_name / f"{number:06}-{run}.ndjson"

    def part(self, path: Path) -> Path:
        """The name of a file until it is complete."""
        return path.with_name(f"{path.name}.part")

    def damaged(self, path: Path) -> Path:
        """Where a damaged file is moved to."""
        return self.root / DAMAGED / path.parent.name / path.name
