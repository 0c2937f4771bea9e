"""Where things are in the directory of a pull."""

import re
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from codat_async.bulk.store.compression import SUFFIXES, Compression
from codat_async.errors import ConfigurationError

__all__ = [
    "CHECKPOINT",
    "CONVERT_LOCK",
    "DAMAGED",
    "EVENTS",
    "OWN_NAMES",
    "PAGE",
    "PUBLISHED",
    "PULL_LOCK",
    "REMOTE_STATE",
    "REPORT",
    "SNAPSHOT",
    "SPOOL_NAMES",
    "Elsewhere",
    "Layout",
    "NotFetched",
    "check_local",
]

CHECKPOINT: Final = "checkpoint.sqlite"
REPORT: Final = "report.json"
PAGE: Final = "report.html"
"""The page that ``codat-async report`` makes of it."""
PULL_LOCK: Final = "pull.lock"
CONVERT_LOCK: Final = "convert.lock"
DAMAGED: Final = "damaged"
EVENTS: Final = "events.sqlite"
"""The events of webhooks that are still to be followed."""
OWN_NAMES: Final = {CHECKPOINT, f"{CHECKPOINT}-wal", f"{CHECKPOINT}-shm", f"{CHECKPOINT}-journal"}
"""What an interrupted start may leave behind."""
REMOTE_STATE: Final = "remote.json"
"""What a spool knows of its bucket."""
PUBLISHED: Final = "published.sqlite"
"""The checkpoint as it was published last."""
SNAPSHOT: Final = "snapshot.sqlite"
SPOOL_NAMES: Final = {
    *(REMOTE_STATE, f"{REMOTE_STATE}.part", PUBLISHED, f"{PUBLISHED}.part"),
    *(SNAPSHOT, f"{SNAPSHOT}-journal", f"{CHECKPOINT}.part"),
}
"""What is in a spool of object storage beside."""


def check_local(path: Path) -> None:
    """Raise ConfigurationError for a URL, and for a name that SQLite, DuckDB and Arrow cannot open."""
    # A Path has lost one of the slashes: s3://bucket would become a folder named "s3:".
    if path.parts and re.fullmatch("[A-Za-z][A-Za-z0-9+.-]+:", path.parts[0]):
        url = str(path).replace(":", ":/", 1)
        raise ConfigurationError(f"{url} is a URL; this must be the path of a local file or directory")
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"the name of {path} is not UTF-8; choose another") from None


class NotFetched(Exception):
    """A file that is elsewhere and cannot be had now; the message gives the reason."""


class Elsewhere(Protocol):
    """Where sealed files are that are no longer in the directory. Its methods raise :class:`NotFetched`."""

    def fetch(self, key: str, path: Path) -> None:
        """Write a file under its path."""
        ...

    def read(self, key: str, begins: int, ends: int) -> bytes:
        """A range of bytes of a file."""
        ...


class Layout(Struct, frozen=True):
    """The paths of a pull.

    ``root`` holds what people read: sealed files, listings, the report. ``spool`` holds what only
    the writing process needs: the checkpoint, the journal and the lock. For a local directory
    they are the same.
    """

    root: Path
    spool: Path
    elsewhere: Elsewhere | None = None

    @classmethod
    def local(cls, path: Path, elsewhere: Elsewhere | None = None) -> "Layout":
        """The layout of a local directory; raises as :func:`check_local` does."""
        check_local(path)
        return cls(path, path, elsewhere)

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
