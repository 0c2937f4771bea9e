"""The files of one type, read once and written to the sinks that do not have them yet."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow.compute

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.arrow import Block, tabulate
from codat_async.bulk.sinks.errors import Faults, SinkError
from codat_async.bulk.sinks.parquet import ParquetWriter, is_converted, parquet_file, remove_obsolete
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.sinks.tables import Table, derived_tables, own_table
from codat_async.bulk.sinks.tally import Converted, Tally
from codat_async.bulk.store.compression import DamagedFile
from codat_async.bulk.store.sealed import AsOf, SealedFile, read_blocks

if TYPE_CHECKING:
    from codat_async.bulk.sinks.bucket import Bucket
    from codat_async.bulk.sinks.duckdb import Database

__all__ = ["Conversion"]

# Its functions are generated on import, so type checkers do not know them.
pc: Final[Any] = pyarrow.compute
_BLOCK_BYTES: Final = 8 * 1024 * 1024
"""Of lines, from as many lists as it takes: smaller blocks cost more per record."""


class _Sink(Protocol):
    def add(self, block: Block) -> None: ...


class Conversion:
    """Converts types, several at once."""

    def __init__(
        self,
        root: Path,
        parquet: bool,
        line_items: bool,
        database: "Database | None",
        known: Sequence[SealedFile],
        tally: Tally,
        faults: Faults,
    ) -> None:
        self._root = root
        self._parquet = parquet
        self._line_items = line_items
        self._known = known
        """The sealed files of all types: statements share a table."""
        self._database = database
        self._tally = tally
        self._faults = faults
        self.present = False
        """Whether to write the present state to Parquet."""
        self.bucket: Bucket | None = None
        """Where the files are, if that is object storage."""
        self.as_of: AsOf | None = None
        """What is left out of the present state, and of DuckDB."""

    def convert(self, kind: PullType, files: Sequence[SealedFile]) -> Converted:
        """Convert the files of a type as far as possible."""
        done: dict[int, Converted] = {}
        merged = 0
        for step in (self._merge, self._write):
            try:
                merged += step(kind, files, done)
            except SinkError as error:
                self._faults.add(error)
        result = Converted(type=kind.name, merged=merged)
        if self.present:
            from codat_async.bulk.sinks.present import write_present

            try:
                if self.bucket is not None:
                    self.bucket.fetch_parquet(kind, self._sound(files))
                result.current = write_present(
                    self._root, kind, as_of=self.as_of, line_items=self._line_items
                )
            except SinkError as error:
                self._faults.add(error)
        for each in done.values():
            result.add(each)
        for file in files:
            self._tally.count(file=file)
        return result

    def _merge(self, kind: PullType, files: Sequence[SealedFile], done: dict[int, Converted]) -> int:
        """Merge files into DuckDB, and write their Parquet files on the way; returns the records merged."""
        database = self._database
        while database is not None:
            unfinished = frozenset[int]() if self.as_of is None else self.as_of.files
            wanted = [
                file for file in self._sound(files) if not database.has(file) and file.id not in unfinished
            ]
            if not wanted:
                break
            try:
                with database.merge(kind) as merge:
                    for file in wanted:
                        merge.begin_file(file)
                        sink = merge if self.as_of is None else _Bounded(merge, self.as_of.next_n)
                        done[file.id] = self._read(kind, file, sink)
                return merge.records
            except DamagedFile:
                # Nothing is merged yet, since a transaction takes all files or none: again without this one.
                continue
        return 0

    def _write(self, kind: PullType, files: Sequence[SealedFile], done: dict[int, Converted]) -> int:
        """Write the Parquet files that are not there yet; merges nothing."""
        for file in self._sound(files):
            if self._wanted_tables(kind, file):
                with suppress(DamagedFile):
                    done[file.id] = self._read(kind, file)
        if self._parquet and not self._faults.has_lost(kind.name) and len(self._sound(files)) == len(files):
            for table in (own_table(kind), *derived_tables(kind)):
                remove_obsolete(self._root, table.name, self._known, files)
        return 0

    def _sound(self, files: Sequence[SealedFile]) -> list[SealedFile]:
        return [file for file in files if not self._faults.is_damaged(file.path)]

    def _wanted_tables(self, kind: PullType, file: SealedFile) -> list[Table]:
        """The tables of which a file has no Parquet file yet."""
        if not self._parquet:
            return []
        tables = [own_table(kind), *(derived_tables(kind) if self._line_items else ())]
        return [
            table
            for table in tables
            if not (
                is_converted(parquet_file(self._root, file, table.name), file, table.schema)
                or (self.bucket is not None and self.bucket.has(kind, file, table))
            )
        ]

    def _read(self, kind: PullType, file: SealedFile, *sinks: _Sink) -> Converted:
        """Read one file for these sinks and for those of its Parquet files that are wanted.

        Raises DamagedFile, when it is among the faults already.
        """
        with ExitStack() as stack:
            if self.bucket is not None:
                self.bucket.fetch(file)
                stack.callback(self.bucket.drop, file)
            wanted = list(sinks)
            for table in self._wanted_tables(kind, file):
                target = parquet_file(self._root, file, table.name)
                ids = shape_of(kind).ids if table.name == kind.name else ()
                wanted.append(stack.enter_context(ParquetWriter(target, table, file, ids)))
            try:
                return self._tabulate(kind, file, wanted)
            except DamagedFile as damage:
                self._faults.add_damage(file.id, damage)
                raise

    def _tabulate(self, kind: PullType, file: SealedFile, sinks: Sequence[_Sink]) -> Converted:
        result = Converted(type=kind.name, files=1)
        lines = 0
        for text in _blocks(file):
            block = tabulate(text, shape_of(kind))
            for sink in sinks:
                sink.add(block)
            rows, counts = block.table.num_rows, block.counts
            lines += rows + len(block.empty)
            result.records += rows
            result.slow += counts.slow
            result.inexact += counts.inexact
            result.unreadable += counts.unreadable
            self._tally.count(records=rows)
        if lines != file.lines:
            raise DamagedFile(file.path, f"it has {lines:,} lines instead of {file.lines:,}")
        self._tally.count(file=file)
        return result


class _Bounded:
    """Passes on only what was read before a number."""

    def __init__(self, sink: _Sink, next_n: int) -> None:
        self._sink = sink
        self._next_n = next_n

    def add(self, block: Block) -> None:
        """Add the earlier records of a block."""
        table = block.table.filter(pc.less(block.table.column("n"), self._next_n))
        empty = [line for line in block.empty if line.n < self._next_n]
        self._sink.add(Block(table, empty, block.counts))


def _blocks(file: SealedFile) -> Iterator[bytes]:
    pieces: list[bytes] = []
    size = 0
    for piece in read_blocks(file):
        pieces.append(piece)
        size += len(piece)
        if size >= _BLOCK_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)
