"""The journal: complete small lists of all types, one compressed frame a batch, until they are sealed."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from codat_async.bulk.store.compression import DamagedFile, compressor
from codat_async.bulk.store.files import JournalRow
from codat_async.bulk.store.layout import Layout
from codat_async.bulk.store.reading import content

__all__ = ["Block", "Journal", "read_blocks"]

_LISTING: Final = "!"
"""Marks a block of invalid records."""


class Block(Struct, frozen=True):
    """The lines of one reading in the journal, or its invalid records."""

    type: str
    company: int
    """The key of the company."""
    n: int
    rows: int
    lines: int
    data: bytes
    listing: bool = False

    def packed(self) -> bytes:
        """The block as the journal holds it: a line of numbers, then the lines."""
        mark = _LISTING if self.listing else ""
        return (
            f"{mark}{self.type} {self.company} {self.n} {self.rows} {self.lines} {len(self.data)}\n".encode()
            + self.data
        )


class Journal:
    """The journal that lines are appended to; used by the writing thread."""

    def __init__(self, layout: Layout, row: JournalRow) -> None:
        self.row = row
        self.path = layout.journal(row.number, row.compression)
        self._compress = compressor(row.compression)

    def frame(self, blocks: Sequence[Block], types: Callable[[str], int]) -> tuple[int, bytes]:
        """Where the blocks are to be written, and the bytes; from then on they count as written.

        ``types`` makes the key of a type.
        """
        data = self._compress(b"".join(each.packed() for each in blocks))
        row = self.row
        numbers = [each.n for each in blocks]
        records = {each.type for each in blocks if not each.listing}
        listings = {each.type for each in blocks if each.listing}
        self.row = replace(
            row,
            size=row.size + len(data),
            crc=zlib.crc32(data, row.crc),
            first_n=min([*numbers, row.first_n] if row.size else numbers),
            last_n=max(row.last_n, *numbers),
            types=row.types | _mask(types, records),
            listings=row.listings | _mask(types, listings),
        )
        return row.size, data


def _mask(types: Callable[[str], int], names: set[str]) -> int:
    mask = 0
    for name in names:
        mask |= 1 << types(name)
    return mask


def read_blocks(layout: Layout, row: JournalRow) -> Iterator[Block]:
    """The committed blocks of a journal; raises DamagedFile."""
    path = layout.journal(row.number, row.compression)
    if not row.size:
        return
    rest = bytearray()
    for piece in content(path, row.size, row.crc, row.compression, beyond=True):
        rest += piece
        begins = 0
        while (end := rest.find(b"\n", begins)) >= 0:
            name, *numbers = rest[begins:end].decode().split(" ")
            try:
                company, n, rows, lines, size = map(int, numbers)
            except ValueError:
                raise DamagedFile(path, "it holds something else than blocks of lines") from None
            if len(rest) < end + 1 + size:
                break
            begins = end + 1 + size
            yield Block(
                name.removeprefix(_LISTING),
                company,
                n,
                rows,
                lines,
                bytes(rest[end + 1 : begins]),
                name.startswith(_LISTING),
            )
        del rest[:begins]
    if rest:
        raise DamagedFile(path, "it ends within a block")
