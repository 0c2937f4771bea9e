"""Seals a journal into a segment for each type, and merges small segments; both can be killed and done again.

The intent is committed first: the numbers, and so the names, of the files to write. Then each file is
written under a temporary name, synced and renamed, and its folder synced. Then one commit stores that
the files are complete and that their sources are not needed any more, and the sources are deleted.
A start that finds an intent does it again under the same names.
"""

import contextlib
import logging
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.compression import Buffer, compressor, decompress, read_ranges
from codat_async.bulk.store.disk import open_private, publish
from codat_async.bulk.store.files import FileKind, FileRow, JournalRow
from codat_async.bulk.store.journal import read_blocks
from codat_async.bulk.store.keys import KeySet, types_in, unpack_keys
from codat_async.bulk.store.layout import Layout
from codat_async.bulk.store.lines import read_line
from codat_async.bulk.store.reading import content, lines_in
from codat_async.bulk.store.system import write_at

__all__ = [
    "MOST_SMALL",
    "Written",
    "begin_merge",
    "begin_seal",
    "end_merge",
    "end_seal",
    "fetched",
    "file_path",
    "mergeable",
    "read_pages",
    "write_merged",
    "write_segments",
]

MOST_SMALL: Final = 60
"""Small segments of a type; beyond, they are merged."""
_SMALL: Final = 16 * 1024 * 1024
"""Bytes up to which a segment counts as small."""
_FRAME: Final = 1024 * 1024
"""Bytes of lines in a frame: much smaller ones compress worse, larger ones take more memory to write."""
_HELD: Final = 4 * 1024 * 1024
"""Bytes of lines of all files that are written at once: of many types the frames are smaller."""
_MOST_AT_ONCE: Final = 4 * 1024 * 1024
"""Bytes of pages that are read in one request from elsewhere."""
_LISTING_COMPRESSION: Final = "plain"
_log = logging.getLogger(__name__)


class Written(Struct):
    """A file that is complete and synced under its final name."""

    number: int
    size: int = 0
    crc: int = 0
    lines: int = 0
    rows: int = 0
    first_n: int = 0
    last_n: int = 0
    companies: KeySet = field(default_factory=KeySet)


def file_path(layout: Layout, row: FileRow) -> Path:
    """Where a file is."""
    if row.kind == FileKind.LISTING:
        return layout.listing(row.type, row.id, row.run)
    return layout.segment(row.type, row.id, row.run, row.compression)


def fetched(layout: Layout, row: FileRow) -> Path:
    """Where a sealed file is, once it is there: one that is elsewhere is fetched."""
    path = file_path(layout, row)
    if row.object and layout.elsewhere is not None and not path.exists():
        layout.elsewhere.fetch(row.object, path)
    return path


def read_pages(layout: Layout, row: FileRow, ranges: Sequence[tuple[int, int]]) -> Iterator[list[bytes]]:
    """The lines in ranges of a sealed file, of which only these are read if it is elsewhere."""
    path = file_path(layout, row)
    if not row.object or layout.elsewhere is None or path.exists():
        yield from read_ranges(path, ranges)
        return
    for begins, ends in _joined(ranges):
        yield from lines_in(iter([decompress(layout.elsewhere.read(row.object, begins, ends))]))


def _joined(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same ranges in fewer requests: those that touch each other, up to a bound."""
    start: tuple[int, int] | None = None
    for begins, ends in ranges:
        if start is not None and start[1] == begins and ends - start[0] <= _MOST_AT_ONCE:
            start = start[0], ends
            continue
        if start is not None:
            yield start
        start = begins, ends
    if start is not None:
        yield start


class _Output:
    """A file being written in frames."""

    def __init__(self, layout: Layout, row: FileRow) -> None:
        self.path = file_path(layout, row)
        self.written = Written(row.id)
        self._part = layout.part(self.path)
        self._compress = _compressor(row)
        self._buffer = bytearray()
        self._file = open_private(self._part, os.O_WRONLY | os.O_TRUNC)

    def add(self, data: bytes, *, lines: int, rows: int) -> None:
        """Append lines."""
        self._buffer += data
        self.written.lines += lines
        self.written.rows += rows
        if self.buffered >= _FRAME:
            self.flush()

    @property
    def buffered(self) -> int:
        """Bytes that are not in a frame yet."""
        return len(self._buffer)

    def note(self, n: int, company: int) -> None:
        """Note the reading and the company that lines are of."""
        written = self.written
        written.first_n = min(n, written.first_n) if written.first_n else n
        written.last_n = max(n, written.last_n)
        written.companies.add(company)

    def flush(self) -> None:
        """Write what is buffered as a frame."""
        if self._buffer:
            frame = self._compress(self._buffer)
            self._buffer = bytearray()
            write_at(self._file, frame, self.written.size)
            self.written.size += len(frame)
            self.written.crc = zlib.crc32(frame, self.written.crc)

    def close(self, *, complete: bool) -> None:
        """Publish the file, or leave it incomplete."""
        try:
            if complete:
                self.flush()
                os.fsync(self._file)
        finally:
            os.close(self._file)
        if complete:
            publish(self._part, self.path)


def _compressor(row: FileRow) -> Callable[[Buffer], Buffer]:
    if row.kind == FileKind.LISTING:
        return lambda data: data
    return compressor(row.compression)


@contextlib.contextmanager
def _outputs() -> Iterator[dict[int, _Output]]:
    """Files that are published together, or not at all."""
    found: dict[int, _Output] = {}
    complete = False
    try:
        yield found
        complete = True
    finally:
        for each in found.values():
            each.close(complete=complete)


# --- a journal -------------------------------------------------------------------------------


def begin_seal(checkpoint: Checkpoint, row: JournalRow, run: str) -> list[FileRow]:
    """Note, within a transaction, the files that a journal is to become."""
    found = checkpoint.files
    if row.sealing:
        return found.all("journal = ?", (row.number,))
    for kind, mask, compression in (
        (FileKind.SEGMENT, row.types, row.compression),
        (FileKind.LISTING, row.listings, _LISTING_COMPRESSION),
    ):
        for type_key in types_in(mask):
            found.add(type_key, kind, run, compression, journal=row.number)
    checkpoint.db.execute("update journals set sealing = 1 where number = ?", (row.number,))
    return found.all("journal = ?", (row.number,))


def write_segments(layout: Layout, journal: JournalRow, intents: Sequence[FileRow]) -> list[Written]:
    """Write the files of a journal; raises DamagedFile if the journal is damaged."""
    rows = {(each.type, each.kind == FileKind.LISTING): each for each in intents}
    held = 0
    with _outputs() as outputs:
        for block in read_blocks(layout, journal):
            row = rows[block.type, block.listing]
            output = outputs.get(row.id)
            if output is None:
                output = outputs[row.id] = _Output(layout, row)
            output.add(block.data, lines=block.lines, rows=block.rows)
            output.note(block.n, block.company)
            held += len(block.data)
            if held > _HELD and (held := sum(each.buffered for each in outputs.values())) > _HELD:
                max(outputs.values(), key=lambda each: each.buffered).flush()
    return [each.written for each in outputs.values()]


def end_seal(checkpoint: Checkpoint, journal: JournalRow, written: Iterable[Written]) -> None:
    """Store, within a transaction, that a journal is sealed."""
    for each in written:
        _seal(checkpoint, each)
    checkpoint.drop_intents(journal.number)
    checkpoint.files.drop_journal(journal.number)


def _seal(checkpoint: Checkpoint, each: Written, replaces: Iterable[int] = ()) -> None:
    checkpoint.files.seal(
        each.number,
        size=each.size,
        crc=each.crc,
        lines=each.lines,
        rows=each.rows,
        first_n=each.first_n,
        last_n=each.last_n,
        companies=each.companies,
        replaces=replaces,
    )


# --- merging ---------------------------------------------------------------------------------


def mergeable(checkpoint: Checkpoint, *, most: int = MOST_SMALL) -> list[list[FileRow]]:
    """The groups of small files to merge: of each type and kind that has more than ``most``."""
    groups: dict[tuple[str, int, str], list[FileRow]] = {}
    for row in checkpoint.files.sealed(FileKind.SEGMENT, FileKind.LISTING):
        if row.size <= _SMALL:
            groups.setdefault((row.type, row.kind, row.compression), []).append(row)
    return [rows for rows in groups.values() if len(rows) > most]


def begin_merge(checkpoint: Checkpoint, sources: Sequence[FileRow], run: str) -> FileRow:
    """Note, within a transaction, the file that others are merged into."""
    first = sources[0]
    number = checkpoint.files.add(
        checkpoint.keys.type(first.type),
        first.kind,
        run,
        first.compression,
        sources=[each.id for each in sources],
    )
    row = checkpoint.files.one(number)
    assert row is not None
    return row


def write_merged(
    layout: Layout,
    target: FileRow,
    sources: Sequence[FileRow],
    *,
    keep: Callable[[str], bool] | None = None,
) -> Written:
    """Write the lines of the sources into one file; raises DamagedFile.

    No version of a record is dropped. With ``keep`` only the lines of the companies for which it is
    true are written.
    """
    with _outputs() as outputs:
        output = outputs[target.id] = _Output(layout, target)
        written = output.written
        for source in sources:
            path = fetched(layout, source)
            for lines in lines_in(content(path, source.size, source.crc, source.compression)):
                kept, rows = lines, 0
                if keep is not None:
                    kept = [line for line in lines if keep(read_line(line).company_id)]
                    rows = sum(len(read_line(line).record) > 0 for line in kept)
                if kept:
                    output.add(b"\n".join([*kept, b""]), lines=len(kept), rows=rows)
            if keep is None:
                written.rows += source.rows
            for key in unpack_keys(source.companies):
                written.companies.add(key)
        written.first_n = min(each.first_n for each in sources)
        written.last_n = max(each.last_n for each in sources)
    return written


def end_merge(checkpoint: Checkpoint, sources: Sequence[FileRow], written: Written) -> None:
    """Store, within a transaction, that a file has taken the place of others."""
    replaced = {each.id for each in sources}.union(*(each.replaces for each in sources))
    _seal(checkpoint, written, replaced)
    checkpoint.files.remove(each.id for each in sources)
