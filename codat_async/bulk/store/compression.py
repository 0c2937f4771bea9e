"""Compressed pages: one gzip member or zstd frame each, so that a file can be truncated between any two."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import local
from typing import Any, BinaryIO, Final, Literal, TypeAlias

from codat_async.errors import CodatError, ConfigurationError

__all__ = [
    "SUFFIXES",
    "Buffer",
    "Compression",
    "DamagedFile",
    "available",
    "compressor",
    "decompress",
    "decompressed",
    "read_lines",
    "read_ranges",
]

Compression: TypeAlias = Literal["gzip", "zstd"]

SUFFIXES: Final[dict[Compression, str]] = {"gzip": ".ndjson.gz", "zstd": ".ndjson.zst"}

Buffer: TypeAlias = bytes | bytearray
_of_thread = local()
"""The zstd compressor of each thread: it must not be shared, and takes a megabyte."""
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_CHUNK: Final = 1 << 20
_INPUT: Final = 16 * 1024
"""Compressed bytes that are decompressed at once: zstd has no bound for what becomes of them."""


class DamagedFile(CodatError):
    """A raw file that is truncated or is not what was written; the message names it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}")
        self.path = path
        self.reason = reason


def available() -> Compression:
    """``zstd`` if the extra is installed, else ``gzip``."""
    return "gzip" if find_spec("zstandard") is None else "zstd"


def compressor(kind: Compression) -> Callable[[Buffer], bytes]:
    """The function that compresses a page; raises ConfigurationError if the compression is unavailable."""
    if kind == "zstd":
        zstandard = _zstandard()

        def compress(data: Buffer) -> bytes:
            if not hasattr(_of_thread, "compress"):
                # Level 1 takes a quarter of the time of gzip level 1, for files half as large.
                _of_thread.compress = zstandard.ZstdCompressor(level=1).compress
            return _copy(_of_thread.compress(data))

        return compress
    if kind != "gzip":
        raise ConfigurationError(f"unknown compression {kind!r}; use one of {', '.join(SUFFIXES)}")
    # JSON of records shrinks about eightfold at the fastest level, and little more at the higher ones.
    return lambda data: _copy(gzip.compress(data, 1, mtime=0))


def _copy(compressed: bytes) -> bytes:
    # The compressor allocates for the worst case and shrinks the result in place. Results that wait
    # for the disk would fragment the heap, and memory would grow.
    return bytes(memoryview(compressed))


def decompress(data: bytes) -> bytes:
    """Decompress one or more members or frames."""
    if data.startswith(_ZSTD_MAGIC):
        return b"".join(_zstd_pieces(iter((data,))))
    return gzip.decompress(data)


def read_lines(path: Path) -> Iterator[list[bytes]]:
    """The lines of a file, in batches of bounded size."""
    return read_ranges(path, [(0, None)])


def read_ranges(path: Path, ranges: Iterable[tuple[int, int | None]]) -> Iterator[list[bytes]]:
    """The lines in ranges of bytes that start and end with a member; an end of None is the end of the file.

    Raises :class:`DamagedFile` if the file is truncated or cannot be decompressed.
    """
    for begins, ends in ranges:
        rest = b""
        for piece in _content(path, begins, None if ends is None else ends - begins):
            *lines, rest = (rest + piece).split(b"\n")
            if lines:
                yield lines


def _content(path: Path, begins: int, size: int | None) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(begins)
        start = file.read(4)
        file.seek(begins)
        pieces = _pieces(file, size)
        try:
            yield from _zstd_pieces(pieces) if start == _ZSTD_MAGIC else _gzip_pieces(pieces)
        except (EOFError, zlib.error) as failure:
            raise DamagedFile(path, str(failure)) from failure


def _pieces(file: BinaryIO, size: int | None) -> Iterator[bytes]:
    while size is None or size > 0:
        piece = file.read(_CHUNK if size is None else min(_CHUNK, size))
        if not piece:
            if size is not None:
                raise EOFError("the file is shorter than what was written to it")
            return
        if size is not None:
            size -= len(piece)
        yield piece


def _gzip_pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=31)
    begun = False
    for piece in pieces:
        data = piece
        while data:
            begun = True
            if decoder.eof:
                decoder = zlib.decompressobj(wbits=31)
            yield decoder.decompress(data, _CHUNK)
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if begun and not decoder.eof:
        raise EOFError("the file ends within a member")


def _zstd_pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decoder = None
    zstandard = _zstandard()
    for piece in pieces:
        for begins in range(0, len(piece), _INPUT):
            data = piece[begins : begins + _INPUT]
            while data:
                if decoder is None or decoder.eof:
                    decoder = zstandard.ZstdDecompressor().decompressobj()
                try:
                    yield decoder.decompress(data)
                except zstandard.ZstdError as failure:
                    raise EOFError(str(failure)) from failure
                data = decoder.unused_data if decoder.eof else b""
    if decoder is not None and not decoder.eof:
        raise EOFError("the file ends within a frame")


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise ConfigurationError("zstd needs an extra: pip install 'codat-async[zstd]'") from None
    return zstandard


def decompressed(pieces: Iterator[bytes], compression: str) -> Iterator[bytes]:
    """The content of members or frames in pieces; raises EOFError or zlib.error for damaged ones."""
    if compression == "plain":
        return pieces
    return _zstd_pieces(pieces) if compression == "zstd" else _gzip_pieces(pieces)
