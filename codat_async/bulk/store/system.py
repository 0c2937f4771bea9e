"""The calls that differ between operating systems: writes at an offset, syncs, and flags.

macOS has no ``fdatasync``. Windows has neither that nor ``pwrite``, and opens files in text mode
by default.
"""

import os
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["OPEN_FLAGS", "sync_data", "write_at"]

OPEN_FLAGS: Final[int] = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags for every ``os.open``: not inherited by child processes, and bytes as they are."""

# Looked up by name, since type checkers know the calls of one platform at a time.
_pwrite: Final[Callable[..., int] | None] = getattr(os, "pwrite", None)
_sync_data: Final[Callable[[int], Any]] = getattr(os, "fdatasync", os.fsync)
_position: Final = threading.Lock()
"""Held from a seek to the write after it, since all threads share a file's position."""


def write_at(file: int, data: bytes | bytearray, offset: int) -> None:
    """Write all of the data at an offset of a file."""
    view = memoryview(data)
    while view:
        written = _write(file, view, offset)
        offset += written
        view = view[written:]


def _write(file: int, data: memoryview, offset: int) -> int:
    if _pwrite is not None:
        return _pwrite(file, data, offset)
    with _position:
        os.lseek(file, offset, os.SEEK_SET)
        return os.write(file, data)


def sync_data(file: int) -> None:
    """Wait until a file's bytes, and its size, are on disk."""
    _sync_data(file)
