"""Reads sealed files and journals, and checks size and CRC on the way."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from codat_async.bulk.store.compression import DamagedFile, decompressed

__all__ = ["check_content", "checked", "content", "lines_in", "size_damage"]

_CHUNK: Final = 1 << 20


def size_damage(path: Path, size: int) -> str | None:
    """What is wrong with a file as far as its size shows it."""
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if found == size:
        return None
    return f"it has {found:,} bytes instead of {size:,}"


def checked(path: Path, size: int, crc: int, *, beyond: bool = False) -> Iterator[bytes]:
    """The bytes of a file in pieces; raises DamagedFile at their end if they are not what was written.

    With ``beyond`` the file may be longer: what follows was never committed.
    """
    reason = size_damage(path, size)
    if reason is not None and not (beyond and path.exists() and path.stat().st_size > size):
        raise DamagedFile(path, reason)
    found, left = 0, size
    try:
        with path.open("rb") as file:
            while left:
                piece = file.read(min(_CHUNK, left))
                if not piece:
                    break
                left -= len(piece)
                found = zlib.crc32(piece, found)
                if not left and found != crc:
                    break
                yield piece
    except OSError as error:
        raise DamagedFile(path, f"it cannot be read: {error.strerror}") from error
    if left:
        raise DamagedFile(path, "it became shorter while it was read")
    if found != crc:
        raise DamagedFile(path, "its content is not what was written (CRC)")


def check_content(path: Path, size: int, crc: int, *, beyond: bool = False) -> str | None:
    """What is wrong with a file, all of which is read."""
    try:
        for _ in checked(path, size, crc, beyond=beyond):
            pass
    except DamagedFile as damaged:
        return damaged.reason
    return None


def content(path: Path, size: int, crc: int, compression: str, *, beyond: bool = False) -> Iterator[bytes]:
    """The decompressed bytes of a file in pieces; raises DamagedFile."""
    try:
        yield from decompressed(checked(path, size, crc, beyond=beyond), compression)
    except (EOFError, zlib.error) as failure:
        raise DamagedFile(path, str(failure)) from failure


def lines_in(pieces: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Complete lines, without their line breaks, a list for each piece."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if lines:
            yield lines
