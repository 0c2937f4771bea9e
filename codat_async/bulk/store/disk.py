"""The file-system calls that decide what survives a crash: private files, syncs and renames."""

import contextlib
import os
from pathlib import Path
from typing import Final

__all__ = [
    "PRIVATE_FILE",
    "make_folder",
    "open_private",
    "publish",
    "sync_folder",
    "write_all",
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
    flags |= os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, PRIVATE_FILE)
    except FileNotFoundError:
        make_folder(path.parent)
        return os.open(path, flags, PRIVATE_FILE)


def write_all(file: int, begins: int, data: bytes) -> None:
    """Write all of the data at an offset of a file."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, begins)
        begins += written
        view = view[written:]


def write_private(path: Path, data: bytes) -> None:
    """Write a whole file durably: under a temporary name first, so that it is never there by half."""
    part = path.with_name(f"{path.name}.part")
    file = open_private(part, os.O_WRONLY | os.O_TRUNC)
    try:
        write_all(file, 0, data)
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
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
