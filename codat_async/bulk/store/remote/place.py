"""Where a pull writes: a local directory, or the URL of object storage with a spool in front of it."""

import os
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from codat_async.errors import ConfigurationError

__all__ = ["Place", "RemoteDirectory", "is_url", "local_path", "place_of", "spool_of"]

_SCHEMES: Final = ("s3", "gs", "az")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
SPOOL_VARIABLE: Final = "CODAT_ASYNC_SPOOL"
"""The directory in which spools are, for all URLs."""
SEAL_EVERY: Final = 300.0
SPOOL_BYTES: Final = 1 << 30


class RemoteDirectory(Struct, frozen=True):
    """A directory in object storage; raises ConfigurationError for a URL that is not one.

    Use it instead of the URL alone to choose the spool, or how often the journal is sealed.
    """

    url: str
    """``s3://BUCKET/PREFIX``, ``gs://BUCKET/PREFIX`` or ``az://CONTAINER/PREFIX``."""
    spool: Path | None = None
    """The local directory with the checkpoint, the journal and what is not uploaded yet; None for one in the
    user's cache, named by a digest of the URL."""
    seal_every: float = SEAL_EVERY
    """Seconds between two seals of the journal: what a lost machine costs at most."""
    spool_bytes: int = SPOOL_BYTES
    """Most bytes of uploaded files that stay in the spool, so that they need not be fetched again."""

    def __post_init__(self) -> None:
        found = urlsplit(self.url)
        if found.scheme not in _SCHEMES or not found.netloc or found.query or found.fragment:
            raise ConfigurationError(
                f"{self.url} is not a directory in object storage; use s3://BUCKET/PREFIX, gs:// or az://"
            )

    def __str__(self) -> str:
        return self.url.rstrip("/")

    def below(self, name: str) -> "RemoteDirectory":
        """A directory in it, with its spool in that of this one."""
        return replace(self, url=f"{self}/{name}", spool=spool_of(self) / name)


Place: TypeAlias = Path | RemoteDirectory


def is_url(text: str) -> bool:
    """Whether a text is a URL, not a path."""
    return _URL.match(text) is not None


def place_of(directory: Path | str | RemoteDirectory) -> Place:
    """The place that an argument names; ``file://`` is a local directory. Raises ConfigurationError."""
    if not isinstance(directory, str):
        return directory
    if not is_url(directory):
        return Path(directory)
    if directory.startswith("file://"):
        found = urlsplit(directory)
        if found.netloc not in ("", "localhost"):
            raise ConfigurationError(f"{directory} names another host; a local directory is file:///PATH")
        return Path(unquote(found.path))
    return RemoteDirectory(directory)


def spool_of(remote: RemoteDirectory) -> Path:
    """The spool of a directory in object storage."""
    if remote.spool is not None:
        return remote.spool
    folder = os.environ.get(SPOOL_VARIABLE)
    return (Path(folder) if folder else _cache()) / sha256(str(remote).encode()).hexdigest()[:24]


def local_path(place: Place) -> Path:
    """A local directory, or the spool of one in object storage."""
    return spool_of(place) if isinstance(place, RemoteDirectory) else place


def _cache() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "codat-async" / "spool"
