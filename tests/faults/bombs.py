"""Answers of a few bytes that inflate to a gibibyte."""

import zlib
from functools import cache

import brotli
import zstandard

SIZE = 1 << 30
_BLOCK = bytes(1 << 20)


def _deflated(wbits: int) -> bytes:
    # After a full flush every block is compressed to the same bytes, so one is enough.
    compressor = zlib.compressobj(9, zlib.DEFLATED, wbits)
    head = compressor.compress(_BLOCK) + compressor.flush(zlib.Z_FULL_FLUSH)
    block = compressor.compress(_BLOCK) + compressor.flush(zlib.Z_FULL_FLUSH)
    return head + block * (SIZE // len(_BLOCK) - 1)


def _brotli() -> bytes:
    compressor = brotli.Compressor(quality=5, lgwin=24)
    return b"".join(compressor.process(_BLOCK) for _ in range(SIZE // len(_BLOCK))) + compressor.finish()


def _zstd() -> bytes:
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(compressor.compress(_BLOCK) for _ in range(SIZE // len(_BLOCK))) + compressor.flush()


_MAKERS = {
    "gzip": lambda: _deflated(31),
    "deflate": lambda: _deflated(15),
    "br": _brotli,
    "zstd": _zstd,
}
ENCODINGS = tuple(_MAKERS)


@cache
def bomb(encoding: str) -> bytes:
    """A body that inflates to :data:`SIZE` zeros."""
    return _MAKERS[encoding]()
