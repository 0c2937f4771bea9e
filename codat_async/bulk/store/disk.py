"""The file-system calls that decide what survives a crash: private files, syncs and renames."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from codat_async.bulk.store.system import OPEN_FLAGS, write_at

__all__ = [
    "PRIVATE_FILE",
    "make_folder",
    "open_private",
    "publish",
    "sync_folder",
    "write_private",
]

PRIVATE_FILE: Final = 0o600
"""These are people's books: nobody but the owner may read them."""
_PRIVATE_FOLDER: Final = 0o700


def make_folder(path: Path) -> None:
    """Create a folder and its parents, readable by the owner alone; existing ones are not changed."""
    if not path.is_dir():
        if path.parent != path:
            make_folder(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=_PRIVATE_FOLDER)


def open_private(path: Path, flags: int) -> int:
    """Open a file, creating it and its folder if they are missing."""
    flags |= os.O_CREAT | OPEN_FLAGS
    try:
        return os.open(path, flags, PRIVATE_FILE)
    except FileNotFoundError:
        make_folder(path.parent)
        return os.open(path, flags, PRIVATE_FILE)


def write_private(path: Path, data: bytes) -> None:
    """Write a whole file durably: under a temporary name first, so that it is never there by half."""
    part = path.with_name(f"{path.name}.part")
    file = open_private(part, os.O_WRONLY | os.O_TRUNC)
    try:
        write_at(file, data, 0)
        os.fsync(file)
    finally:
        os.close(file)
    publish(part, path)


def publish(part: Path, path: Path) -> None:
    """Give a synced file its final name, durably."""
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    if sys.platform == "win32":
        # It cannot open folders; NTFS logs changes of names itself.
        return
    folder = os.open(path, os.O_RDONLY | OPEN_FLAGS)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
