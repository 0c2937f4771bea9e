"""The checkpoint as an object: a line with a token that its writer recognises, then compressed SQLite."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from codat_async.bulk.store.compression import decompress

__all__ = ["KEY", "pack", "token_in", "unpack"]

KEY: Final = "checkpoint"
"""The key of the object."""
_MAGIC: Final = b"codat-async checkpoint "


def pack(snapshot: Path, token: str, compress: Callable[[bytes], bytes]) -> bytes:
    """The object's bytes."""
    return _MAGIC + token.encode() + b"\n" + compress(snapshot.read_bytes())


def token_in(head: bytes) -> str | None:
    """The token in the first bytes of the object; None if it is something else."""
    line, end, _ = head.partition(b"\n")
    return line.removeprefix(_MAGIC).decode(errors="replace") if end and line.startswith(_MAGIC) else None


def unpack(content: bytes) -> tuple[str, bytes]:
    """The token and the SQLite file; if they cannot be had, an empty token and the bytes as they are."""
    token = token_in(content[:256])
    if token is None:
        return "", content
    try:
        return token, decompress(content[content.index(b"\n") + 1 :])
    except (EOFError, OSError, ValueError, zlib.error):
        return "", content
