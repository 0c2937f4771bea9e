"""Converts raw files to Parquet files and DuckDB tables; it can be repeated at any time."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

import msgspec
from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType, pull_types, resolve_types
from codat_async.bulk.store.compression import DamagedFile, read_lines
from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.locks import FileLock
from codat_async.bulk.store.rawfiles import RawFile, raw_files
from codat_async.errors import ConfigurationError

__all__ = ["ConversionProgress", "Converted", "check_sinks", "convert"]

_GROUP_ROWS: Final = 20_000
_GROUP_BYTES: Final = 64 * 1024 * 1024
_BLOCK_BYTES: Final = 8 * 1024 * 1024
_INPUTS: Final = b"codat_async.inputs"
_LOCK: Final = "convert.lock"
_SCRATCH: Final = ".convert"


class Converted(Struct, kw_only=True):
    """The result of a conversion for one type."""

    type: str
    files: int = 0
    """Raw files read, without those whose Parquet file was up to date."""
    records: int = 0
    """Records converted."""
    slow: int = 0
    """Records converted one by one, since their block did not fit its columns."""
    inexact: int = 0
    """Records with a value that its column cannot hold."""
    unreadable: int = 0
    """Records that the model rejects."""
    merged: int = 0
    """Records merged into DuckDB."""


class ConversionProgress(Struct, frozen=True, kw_only=True):
    """The progress of a conversion."""

    files: int
    """Raw files done, including those that were up to date."""
    of_files: int
    bytes: int
    """The size of those files, compressed."""
    of_bytes: int
    records: int
    """Records converted by this call."""


class _Tally:
    """Keeps the counts, from several threads, and reports them."""

    def __init__(
        self, files: Iterable[RawFile], on_progress: Callable[[ConversionProgress], None] | None
    ) -> None:
        sizes = [each.size for each in files]
        self._of_files, self._of_bytes = len(sizes), sum(sizes)
        self._on_progress = on_progress
        self._lock = Lock()
        self._files = self._bytes = self._records = 0

    def count(self, *, files: Iterable[RawFile] = (), records: int = 0) -> None:
        if self._on_progress is None:
            return
        with self._lock:
            for each in files:
                self._files += 1
                self._bytes += each.size
            self._records += records
            self._on_progress(
                ConversionProgress(
                    files=self._files,
                    of_files=self._of_files,
                    bytes=self._bytes,
                    of_bytes=self._of_bytes,
                    records=self._records,
                )
            )


def check_sinks(*, parquet: bool, duckdb: bool) -> None:
    """Raise ConfigurationError, naming the extra, for a sink whose library is not installed."""
    if duckdb:
        _import("duckdb", "duckdb")
    if parquet or duckdb:
        _import("pyarrow", "duckdb" if duckdb else "parquet")


def _import(module: str, extra: str) -> None:
    try:
        __import__(module)
    except ImportError:
        raise ConfigurationError(f"{module} is not installed: pip install 'codat-async[{extra}]'") from None


def convert(
    directory: Path | str,
    *,
    parquet: bool = True,
    duckdb: Path | str | None = None,
    types: Iterable[str] | None = None,
    on_progress: Callable[[ConversionProgress], None] | None = None,
) -> list[Converted]:
    """Convert the raw files of a directory; what is up to date already is not converted again.

    Parquet files are ``parquet/TYPE/RUN.parquet``, one per type and run, with the company in a
    column of its own. DuckDB gets a table per type, merged by company and id. If another
    conversion is running in the directory, this one waits until that ends.

    The function blocks: in an event loop call it with :func:`asyncio.to_thread`. ``on_progress``
    is called after each block of records and each file, from the converting threads, one at a time.

    If a raw file is damaged or missing, its run is not converted for its type, and later runs of
    the type are not merged, so that older records never replace newer ones. Everything else is
    converted before DirectoryError, which names the file, is raised. The same goes for a type that
    cannot be merged.
    """
    check_sinks(parquet=parquet, duckdb=duckdb is not None)
    root = Path(directory)
    if not (root / "raw").is_dir():
        raise DirectoryError(f"{root} holds no pull")
    kinds = [kind for kind in resolve_types(types) if (root / "raw" / kind.name).is_dir()]
    try:
        with _alone(root), _scratch(root) as scratch:
            return _convert(root, root / "parquet" if parquet else scratch, duckdb, kinds, on_progress)
    except OSError as error:
        raise DirectoryError(f"cannot convert {root}: {error}") from error


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    # One conversion could replace a file while another merges it and marks it as merged.
    with contextlib.closing(FileLock(root / _LOCK, wait=True)):
        yield


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    path = root / _SCRATCH
    # Left over if a conversion was killed.
    shutil.rmtree(path, ignore_errors=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _convert(
    root: Path,
    parquet: Path,
    duckdb: Path | str | None,
    kinds: Sequence[PullType],
    on_progress: Callable[[ConversionProgress], None] | None,
) -> list[Converted]:
    found = {kind.name: raw_files(root, kind.name) for kind in kinds}
    tally = _Tally((each for files in found.values() for each in files), on_progress)
    failures: list[DirectoryError] = []
    results = {kind.name: Converted(type=kind.name) for kind in kinds}
    database = None
    if duckdb is not None:
        from codat_async.bulk.sinks.duckdb import Database

        database = Database(Path(duckdb))
    try:
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            made = pool.map(
                lambda kind: list(
                    _parquet(
                        root, parquet, kind, found[kind.name], results[kind.name], database, tally, failures
                    )
                ),
                kinds,
            )
            for kind, files in zip(kinds, made, strict=True):
                if database is not None:
                    try:
                        for run_files, file in files:
                            results[kind.name].merged += database.merge(kind, run_files, file)
                        database.make_view(kind)
                    except DirectoryError as error:
                        failures.append(error)
    finally:
        if database is not None:
            database.close()
    if failures:
        raise DirectoryError("; ".join(map(str, failures)))
    return list(results.values())


def _parquet(
    root: Path,
    parquet: Path,
    kind: PullType,
    found: Iterable[RawFile],
    result: Converted,
    database: Any,
    tally: _Tally,
    failures: list[DirectoryError],
) -> Iterator[tuple[list[RawFile], Path]]:
    by_run: dict[str, list[RawFile]] = {}
    for each in found:
        by_run.setdefault(each.run, []).append(each)
    failed = False
    for run, files in by_run.items():
        # If Parquet files are not kept, what is in the database need not be converted again.
        if parquet != root / "parquet" and database is not None and database.has(files):
            tally.count(files=files)
            continue
        target = parquet / kind.name / f"{run}.parquet"
        inputs = msgspec.json.encode([(str(each.path.relative_to(root)), each.size) for each in files])
        if _up_to_date(target, inputs):
            tally.count(files=files)
        else:
            try:
                _write(target, files, kind, inputs, result, tally)
            except DirectoryError as error:
                failures.append(error)
                failed = True
        if not failed:
            yield files, target


def _up_to_date(target: Path, inputs: bytes) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from codat_async.bulk.sinks.schema import shape_of

    if not target.exists():
        return False
    try:
        schema = pq.read_schema(target)
    except (pa.ArrowInvalid, OSError):
        return False
    metadata = schema.metadata or {}
    kind = pull_types()[target.parent.name]
    return metadata.get(_INPUTS) == inputs and schema.equals(shape_of(kind.model).schema)


def _write(
    target: Path,
    files: Sequence[RawFile],
    kind: PullType,
    inputs: bytes,
    result: Converted,
    tally: _Tally,
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from codat_async.bulk.sinks.schema import shape_of

    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.part")
    schema = shape_of(kind.model).schema.with_metadata({_INPUTS: inputs})
    try:
        with pq.ParquetWriter(fresh, schema, compression="zstd") as writer:
            group: list[pa.Table] = []
            for table in _tables(files, kind, result, tally):
                group.append(table)
                rows, size = sum(each.num_rows for each in group), sum(each.nbytes for each in group)
                if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                    writer.write_table(pa.concat_tables(group), row_group_size=max(rows, 1))
                    group = []
            if group:
                writer.write_table(pa.concat_tables(group))
        with fresh.open("rb") as written:
            # Otherwise a power failure could leave an incomplete file under its final name.
            os.fsync(written.fileno())
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _tables(files: Sequence[RawFile], kind: PullType, result: Converted, tally: _Tally) -> Iterator[Any]:
    from codat_async.bulk.sinks.arrow import tabulate

    for file in files:
        result.files += 1
        for lines in _blocks(file.path):
            block = tabulate(lines, kind.model, file.source)
            result.records += len(lines)
            result.slow += block.slow
            result.inexact += block.inexact
            result.unreadable += block.unreadable
            tally.count(records=len(lines))
            yield block.table
        tally.count(files=[file])


def _blocks(path: Path) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    try:
        for lines in read_lines(path):
            block += lines
            size += sum(map(len, lines))
            if size >= _BLOCK_BYTES:
                yield block
                block, size = [], 0
    except (DamagedFile, OSError) as error:
        raise DirectoryError(str(error)) from error
    if block:
        yield block
