"""The files of one type, read once and written to the sinks that do not have them yet."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow.compute
from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.arrow import Block, tabulate
from codat_async.bulk.sinks.errors import Faults, SinkError
from codat_async.bulk.sinks.parquet import ParquetWriter, is_converted, parquet_file, remove_obsolete
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.sinks.tables import Table, derived_tables, own_table
from codat_async.bulk.sinks.tally import Converted, Tally
from codat_async.bulk.store.compression import DamagedFile
from codat_async.bulk.store.sealed import AsOf, SealedFile, read_line_blocks

if TYPE_CHECKING:
    from codat_async.bulk.sinks.bucket import Bucket
    from codat_async.bulk.sinks.duckdb import Database, Merge

__all__ = ["Conversion", "convert_type"]

# Its functions are generated on import, so type checkers do not know them.
pc: Final[Any] = pyarrow.compute
_BLOCK_BYTES: Final = 8 * 1024 * 1024
"""Of lines, from as many lists as it takes: smaller blocks cost more per record."""


class _Sink(Protocol):
    def add(self, block: Block) -> None: ...


class Conversion(Struct, kw_only=True):
    """Converts the files of one directory."""

    root: Path
    files: Sequence[SealedFile]
    known: Sequence[SealedFile]
    """The sealed files of all types: statements share a table."""
    parquet: bool
    line_items: bool
    present: bool
    """Whether to write the present state to Parquet."""
    as_of: AsOf | None
    """What is left out of the present state, and of DuckDB."""
    bucket: "Bucket | None"
    """Where the files are, if that is object storage."""
    tally: Tally
    faults: Faults
    done: dict[int, Converted] = {}
    """What was done with files, by their numbers."""

    def has(self, kind: PullType) -> bool:
        """Whether there are files of a type."""
        return any(file.type == kind.name for file in self.files)

    def unmerged(self, kind: PullType, database: "Database") -> list[SealedFile]:
        """The files of a type that a database does not have yet."""
        unfinished = frozenset[int]() if self.as_of is None else self.as_of.files
        return [file for file in self._sound(kind) if not database.has(file) and file.id not in unfinished]

    def merge(self, kind: PullType, file: SealedFile, merge: "Merge") -> None:
        """Merge a file into DuckDB, and write its Parquet files on the way; raises DamagedFile, SinkError."""
        merge.begin_file(file)
        sink = merge if self.as_of is None else _Bounded(merge, self.as_of.next_n)
        self.done[file.id] = self._read(kind, file, sink)

    def complete(self, kind: PullType) -> Converted:
        """Write the Parquet files of a type that are not there yet; returns what was done with the type."""
        result = Converted(type=kind.name)
        try:
            self._write(kind)
        except SinkError as error:
            self.faults.add(error)
        if self.present:
            from codat_async.bulk.sinks.present import write_present

            try:
                if self.bucket is not None:
                    self.bucket.fetch_parquet(kind, self._sound(kind))
                result.current = write_present(self.root, kind, as_of=self.as_of, line_items=self.line_items)
            except SinkError as error:
                self.faults.add(error)
        for file in self._of(kind):
            if (done := self.done.get(file.id)) is not None:
                result.add(done)
            self.tally.count(file=file)
        return result

    def _write(self, kind: PullType) -> None:
        for file in self._sound(kind):
            if self._wanted_tables(kind, file):
                with suppress(DamagedFile):
                    self.done[file.id] = self._read(kind, file)
        files = self._of(kind)
        if self.parquet and not self.faults.has_lost(kind.name) and len(self._sound(kind)) == len(files):
            for table in (own_table(kind), *derived_tables(kind)):
                remove_obsolete(self.root, table.name, self.known, files)

    def _of(self, kind: PullType) -> list[SealedFile]:
        return [file for file in self.files if file.type == kind.name]

    def _sound(self, kind: PullType) -> list[SealedFile]:
        return [file for file in self._of(kind) if not self.faults.is_damaged(file.path)]

    def _wanted_tables(self, kind: PullType, file: SealedFile) -> list[Table]:
        """The tables of which a file has no Parquet file yet."""
        if not self.parquet:
            return []
        tables = [own_table(kind), *(derived_tables(kind) if self.line_items else ())]
        return [
            table
            for table in tables
            if not (
                is_converted(parquet_file(self.root, file, table.name), file, table.schema)
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
                target = parquet_file(self.root, file, table.name)
                ids = shape_of(kind).ids if table.name == kind.name else ()
                wanted.append(stack.enter_context(ParquetWriter(target, table, file, ids)))
            try:
                return self._tabulate(kind, file, wanted)
            except DamagedFile as damage:
                self.faults.add_damage(file.id, damage)
                raise

    def _tabulate(self, kind: PullType, file: SealedFile, sinks: Sequence[_Sink]) -> Converted:
        result = Converted(type=kind.name, files=1)
        lines = 0
        for text in read_line_blocks(file, _BLOCK_BYTES):
            block = tabulate(text, shape_of(kind))
            for sink in sinks:
                sink.add(block)
            rows, counts = block.table.num_rows, block.counts
            lines += rows + len(block.empty)
            result.records += rows
            result.slow += counts.slow
            result.inexact += counts.inexact
            result.unreadable += counts.unreadable
            self.tally.count(records=rows)
        if lines != file.lines:
            raise DamagedFile(file.path, f"it has {lines:,} lines instead of {file.lines:,}")
        self.tally.count(file=file)
        return result


def convert_type(kind: PullType, parts: Sequence[Conversion], database: "Database | None") -> Converted:
    """Convert the files of a type in several directories as far as possible.

    They are merged into DuckDB in one transaction.
    """
    parts = [part for part in parts if part.has(kind)]
    result = Converted(type=kind.name)
    if database is not None:
        result.merged = _merge(kind, parts, database)
    for part in parts:
        result.add(part.complete(kind))
    return result


def _merge(kind: PullType, parts: Sequence[Conversion], database: "Database") -> int:
    """Merge what is not merged yet; returns the records merged."""
    while wanted := [(part, file) for part in parts for file in part.unmerged(kind, database)]:
        try:
            with database.merge(kind) as merge:
                for part, file in wanted:
                    part.merge(kind, file, merge)
            return merge.records
        except DamagedFile:
            # Nothing is merged yet, since a transaction takes all files or none: again without this one.
            continue
        except SinkError as error:
            if len(parts) > 1:
                # It may be the fault of one of them.
                return sum(_merge(kind, [part], database) for part in parts)
            parts[0].faults.add(error)
            break
    return 0


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
