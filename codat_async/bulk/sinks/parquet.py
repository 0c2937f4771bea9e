"""Parquet files: one for each file of raw records, with all versions of each record that it holds."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from codat_async.bulk.sinks.arrow import Block
from codat_async.bulk.sinks.errors import SinkError
from codat_async.bulk.sinks.tables import Table
from codat_async.bulk.store.disk import open_private, publish
from codat_async.bulk.store.sealed import SealedFile

__all__ = [
    "GROUP_ROWS",
    "ParquetWriter",
    "empty_lists",
    "is_converted",
    "parquet_file",
    "parquet_files",
    "remove_obsolete",
    "source_of",
]

GROUP_ROWS: Final = 122_880
"""Rows of a group at most, which a reader has in memory at once."""
_GROUP_BYTES: Final = 64 * 1024 * 1024
_SOURCE: Final = b"codat_async.source"
_EMPTY: Final = b"codat_async.empty_lists"
_NAME: Final = re.compile(r"\d{6,}-\d{8}T\d{6}Z\.parquet(\.part)?")


def parquet_file(root: Path, file: SealedFile, table: str | None = None) -> Path:
    """Where the Parquet file of a raw file is; for None that of its type's own table."""
    return root / "parquet" / (table or file.type) / f"{file.path.name.partition('.')[0]}.parquet"


def parquet_files(root: Path, kind: str) -> list[Path]:
    """The Parquet files of a type, in the order of their raw files."""
    found = (root / "parquet" / kind).glob("*.parquet")
    return sorted((path for path in found if _NAME.fullmatch(path.name)), key=file_number)


def file_number(path: Path) -> int:
    """The number of the raw file that a Parquet file was made from."""
    return int(path.name.partition("-")[0])


def is_converted(target: Path, file: SealedFile, schema: pa.Schema) -> bool:
    """Whether a Parquet file is there, was made of this raw file, and has today's columns."""
    try:
        with pq.ParquetFile(target) as opened:
            metadata = opened.metadata.metadata or {}
            return metadata.get(_SOURCE) == _source(file) and opened.schema_arrow.equals(schema)
    except (pa.ArrowInvalid, OSError):
        return False


def source_of(target: Path) -> str:
    """What a Parquet file says of the raw file that it was made of; empty if it says nothing."""
    source: bytes = (pq.read_metadata(target).metadata or {}).get(_SOURCE, b"")
    return source.decode()


def empty_lists(target: Path) -> list[list[Any]]:
    """The lists that were read whole and were empty: their ids, and the ``n`` of the reading."""
    found: list[list[Any]] = msgspec.json.decode(
        pq.read_metadata(target).metadata.get(_EMPTY, b"[]"), type=list[list[Any]]
    )
    return found


def remove_obsolete(
    root: Path, table: str, files: Iterable[SealedFile], written: Iterable[SealedFile]
) -> None:
    """Remove the Parquet files of a table whose raw files are gone, and what a killed conversion left.

    ``written`` are those of ``files`` that the caller has written: another thread may be writing
    those of another type into the same table.
    """
    wanted = {parquet_file(root, each).name for each in files}
    complete = {parquet_file(root, each).name for each in written}
    for path in (root / "parquet" / table).glob("*.parquet*"):
        name = path.name.removesuffix(".part")
        left_behind = name not in wanted or (name != path.name and name in complete)
        if _NAME.fullmatch(path.name) and left_behind:
            path.unlink(missing_ok=True)


class ParquetWriter:
    """Writes one Parquet file, which gets its name when it is complete and on the disk."""

    def __init__(self, target: Path, table: Table, file: SealedFile, ids: Sequence[str] = ()) -> None:
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        self._ids = ids
        self._rows_of = table.rows
        self._group: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._empty: list[list[Any]] = []
        with self._failing():
            # Opened again by its name: the mode of the file that is there remains.
            os.close(open_private(self._part, os.O_WRONLY | os.O_TRUNC))
            self._writer = pq.ParquetWriter(self._part, table.schema, compression="zstd")
            self._writer.add_key_value_metadata({_SOURCE: _source(file)})

    def add(self, block: Block) -> None:
        """Add the records of a block; they are written a group of rows at a time."""
        if self._ids:
            self._empty += (
                [*(getattr(line, name) for name in self._ids), line.n] for line in block.empty if line.whole
            )
        table = self._rows_of(block.table)
        self._group.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            with self._failing():
                self._write()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SinkError(f"cannot write {self._target}: {error.strerror or error}") from error

    def _write(self) -> None:
        if self._rows:
            self._writer.write_table(pa.concat_tables(self._group), row_group_size=self._rows)
        self._group, self._rows, self._bytes = [], 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                with self._failing():
                    self._finish()
        finally:
            with suppress(OSError):
                self._writer.close()
            self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        self._write()
        if self._empty:
            self._writer.add_key_value_metadata({_EMPTY: msgspec.json.encode(self._empty)})
        self._writer.close()
        with self._part.open("rb") as written:
            # A loss of power could otherwise leave half a file under a name that says it is complete.
            os.fsync(written.fileno())
        publish(self._part, self._target)


def _source(file: SealedFile) -> bytes:
    return msgspec.json.encode({"id": file.id, "size": file.size, "crc": file.crc})
