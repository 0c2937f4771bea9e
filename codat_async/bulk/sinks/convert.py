"""Converts raw files to Parquet files and DuckDB tables; it can be repeated at any time."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType, resolve_types
from codat_async.bulk.shards import pull_directories
from codat_async.bulk.sinks.errors import Faults, SinkError
from codat_async.bulk.sinks.tally import ConversionProgress, Converted, Tally
from codat_async.bulk.store import sealed
from codat_async.bulk.store.directory import DirectoryError, lose_files, open_checkpoint, seal_if_idle
from codat_async.bulk.store.layout import CONVERT_LOCK
from codat_async.bulk.store.locks import FileLock
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.remote.view import View, lose_objects, open_view
from codat_async.bulk.store.sealed import SealedFile, find_damage, lost_lists, sealed_files
from codat_async.errors import CodatError, ConfigurationError

if TYPE_CHECKING:
    from codat_async.bulk.sinks.bucket import Bucket

__all__ = ["check_sinks", "convert"]


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
    directory: Path | str | RemoteDirectory,
    *,
    parquet: bool = True,
    duckdb: Path | str | None = None,
    types: Iterable[str] | None = None,
    line_items: bool = False,
    current: bool = False,
    as_of: str | None = None,
    on_progress: Callable[[ConversionProgress], None] | None = None,
) -> list[Converted]:
    """Convert the raw files of a directory; what is up to date already is not converted again.

    Each raw file becomes a Parquet file of the same name in ``parquet/TYPE/``, with all versions of
    the records in it. DuckDB gets a table per type with the current version of each record, and a
    view ``current_TYPE`` without those that were deleted in the source. :func:`columns` lists the
    columns. With ``line_items`` the lists within records are written to Parquet as tables of their own,
    such as ``parquet/invoice_line_items/``, and the lines of statements as ``statement_lines``; DuckDB
    has views of these names in any case.

    With ``current`` the current records of each type, without deleted ones, are written to
    ``current/TYPE.parquet`` as well, sorted by company; each file is replaced at once, and only if
    there is something new. ``as_of``, the id of a run or a time in ISO 8601 (a day means its end,
    in UTC), takes only what was known then: to Parquet, the current records of that moment go to
    ``as-of/MOMENT/TYPE.parquet``; a DuckDB file must be empty, or of the same moment.

    While a pull is running, what it has sealed so far is converted; if another conversion is
    running in the directory, this one waits until that ends.

    Of a directory in object storage, Parquet files are written beside the raw files, and DuckDB to a local
    file; a raw file is fetched when its turn comes.

    If the directory has shards, those that have begun are converted, each with the Parquet files in its
    own ``parquet``, and all into one DuckDB file.

    The function blocks: in an event loop call it with :func:`asyncio.to_thread`. ``on_progress``
    is called after each block of records and each file, from the converting threads, one at a time.

    Everything that can be converted is, before an error is raised. DirectoryError names each file
    that is damaged, and how many lists were lost with one and are not read again yet; SinkError says
    which sink could not be written. ValueError is raised for an ``as_of`` that is neither a run nor a time.
    """
    check_sinks(parquet=parquet, duckdb=duckdb is not None)
    wanted = _Wanted(
        parquet=parquet or current,
        duckdb=duckdb,
        types=None if types is None else list(types),
        line_items=line_items,
        current=current,
        as_of=as_of,
    )
    with open_view(place_of(directory)) as (root, view):
        if (parts := pull_directories(root)) != [root]:
            return _convert_shards(parts, wanted, on_progress, view)
        return _convert_directory(root, wanted, on_progress, view)


class _Wanted(Struct, kw_only=True):
    parquet: bool
    duckdb: Path | str | None
    types: list[str] | None
    line_items: bool
    current: bool
    as_of: str | None


def _convert_directory(
    root: Path,
    wanted: _Wanted,
    on_progress: Callable[[ConversionProgress], None] | None,
    view: View | None,
) -> list[Converted]:
    types, as_of, parquet = wanted.types, wanted.as_of, wanted.parquet
    kinds = resolve_types(types)
    names = [kind.name for kind in kinds]
    moment = None if as_of is None else sealed.as_of(root, as_of)
    open_checkpoint(root).close()
    bucket = _bucket(view, root)
    try:
        with _alone(root, writes=parquet):
            # Sealing moves damaged files out of the way, so they are looked for before and after.
            damaged = {each.path: str(each) for each in find_damage(sealed_files(root, names))}
            seal_if_idle(root)
            files = sealed_files(root, names)
            damaged |= {each.path: str(each) for each in find_damage(files)}
            faults = Faults(root, damaged, lost_lists(root, names))
            known = files if types is None else sealed_files(root)
            present = wanted.current or (parquet and moment is not None)
            job = _Job(root, parquet, wanted.line_items, present, moment, wanted.duckdb, known, bucket)
            done = _convert(job, kinds, files, Tally(files, on_progress), faults)
            if bucket is not None and parquet:
                complete = not faults.any()
                bucket.upload(kinds, known, line_items=wanted.line_items, complete=complete)
            if faults.found and view is not None:
                lose_objects(view.remote_of(root), {*faults.found})
            elif faults.found:
                lose_files(root, faults.found)
    except OSError as error:
        raise SinkError(f"cannot convert {root}: {error}") from error
    faults.raise_any()
    return done


def _bucket(view: View | None, part: Path) -> "Bucket | None":
    if view is None:
        return None
    from codat_async.bulk.sinks.bucket import Bucket

    return Bucket(view, part)


def _convert_shards(
    parts: Sequence[Path],
    wanted: _Wanted,
    on_progress: Callable[[ConversionProgress], None] | None,
    view: View | None,
) -> list[Converted]:
    """Convert each shard as far as possible, then raise what went wrong in any."""
    names = [kind.name for kind in resolve_types(wanted.types)]
    files = [file for part in parts for file in sealed_files(part, names)]
    of_files, of_bytes = len(files), sum(file.size for file in files)
    before, last = ConversionProgress(), ConversionProgress()
    done: dict[str, Converted] = {}
    errors: list[CodatError] = []

    def report(progress: ConversionProgress) -> None:
        nonlocal last
        last = before.plus(progress, of_files, of_bytes)
        if on_progress is not None:
            on_progress(last)

    for part in parts:
        try:
            for each in _convert_directory(part, wanted, report, view):
                done.setdefault(each.type, Converted(type=each.type)).add(each)
        except (DirectoryError, SinkError) as error:
            errors.append(error)
        before = last
    if errors:
        kind = next((type(each) for each in errors if isinstance(each, DirectoryError)), type(errors[0]))
        raise kind("; ".join(dict.fromkeys(map(str, errors))))
    return list(done.values())


@contextlib.contextmanager
def _alone(root: Path, *, writes: bool) -> Iterator[None]:
    # A pull that merges segments, or another conversion, would replace files while they are read.
    lock = None
    try:
        lock = FileLock(root / CONVERT_LOCK, wait=True)
    except OSError:
        # In a directory that is read-only nothing changes.
        if writes:
            raise
    try:
        yield
    finally:
        if lock is not None:
            lock.close()


class _Job(Struct):
    root: Path
    parquet: bool
    line_items: bool
    present: bool
    as_of: sealed.AsOf | None
    duckdb: Path | str | None
    known: list[SealedFile]
    bucket: "Bucket | None"


def _convert(
    job: _Job,
    kinds: Iterable[PullType],
    files: Sequence[SealedFile],
    tally: Tally,
    faults: Faults,
) -> list[Converted]:
    from codat_async.bulk.sinks.conversion import Conversion

    work = [(kind, [file for file in files if file.type == kind.name]) for kind in kinds]
    with contextlib.ExitStack() as stack:
        database = None
        if job.duckdb is not None:
            from codat_async.bulk.sinks.duckdb import Database

            try:
                database = stack.enter_context(Database(Path(job.duckdb), job.as_of))
            except SinkError as error:
                faults.add(error)
        conversion = Conversion(job.root, job.parquet, job.line_items, database, job.known, tally, faults)
        conversion.present, conversion.as_of, conversion.bucket = job.present, job.as_of, job.bucket
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=os.cpu_count() or 1))
        return list(pool.map(lambda each: conversion.convert(*each), [each for each in work if each[1]]))
