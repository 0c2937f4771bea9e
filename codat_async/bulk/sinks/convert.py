"""Converts raw files to Parquet files and DuckDB tables; it can be repeated at any time."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType, resolve_types
from codat_async.bulk.sinks.errors import Faults, SinkError
from codat_async.bulk.sinks.tally import ConversionProgress, Converted, Tally
from codat_async.bulk.store import sealed
from codat_async.bulk.store.directory import DirectoryError, lose_files, open_checkpoint, seal_if_idle
from codat_async.bulk.store.layout import CONVERT_LOCK
from codat_async.bulk.store.locks import FileLock
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.remote.view import View, lose_objects, open_view
from codat_async.bulk.store.sealed import find_damage, lost_lists, sealed_files
from codat_async.bulk.store.shards import pull_directories
from codat_async.errors import CodatError, ConfigurationError

if TYPE_CHECKING:
    from codat_async.bulk.sinks.bucket import Bucket
    from codat_async.bulk.sinks.conversion import Conversion
    from codat_async.bulk.sinks.duckdb import Database

__all__ = ["check_sinks", "convert"]

_AT_ONCE: Final = 64
"""Shards whose files are merged in one transaction, which costs more than their records; each is locked."""


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
        duckdb=None if duckdb is None else Path(duckdb),
        types=resolve_types(None if types is None else list(types)),
        all_types=types is None,
        line_items=line_items,
        current=current,
        as_of=as_of,
    )
    with open_view(place_of(directory)) as (root, view):
        return _convert(pull_directories(root), wanted, on_progress, view)


class _Wanted(Struct, kw_only=True):
    parquet: bool
    duckdb: Path | None
    types: Sequence[PullType]
    all_types: bool
    line_items: bool
    current: bool
    as_of: str | None


def _convert(
    directories: Sequence[Path],
    wanted: _Wanted,
    on_progress: Callable[[ConversionProgress], None] | None,
    view: View | None,
) -> list[Converted]:
    """Convert a directory, or all shards of one, as far as possible; then raise what went wrong in any."""
    names = [kind.name for kind in wanted.types]
    tally = Tally(on_progress)
    done: dict[str, Converted] = {}
    errors: list[CodatError] = []
    moments: dict[Path, sealed.AsOf] = {}
    sound: list[Path] = []
    for root in directories:
        try:
            open_checkpoint(root).close()
            if wanted.as_of is not None:
                moments[root] = sealed.as_of(root, wanted.as_of)
            if len(directories) > _AT_ONCE:
                tally.expect(root, sealed_files(root, names))
            sound.append(root)
        except DirectoryError as error:
            errors.append(error)
    with contextlib.ExitStack() as stack:
        database = None
        if wanted.duckdb is not None and sound:
            from codat_async.bulk.sinks.duckdb import Database

            try:
                moment = sealed.name_of(moments.values()) if moments else None
                database = stack.enter_context(Database(wanted.duckdb, moment))
            except SinkError as error:
                errors.append(error)
        for begin in range(0, len(sound), _AT_ONCE):
            with contextlib.ExitStack() as opened:
                parts = []
                for root in sound[begin : begin + _AT_ONCE]:
                    try:
                        part = _prepared(root, wanted, moments.get(root), tally, view)
                        parts.append(opened.enter_context(part))
                    except (DirectoryError, SinkError) as error:
                        errors.append(error)
                for each in _convert_parts(parts, wanted.types, database):
                    done.setdefault(each.type, Converted(type=each.type)).add(each)
                faults = [_finish(part, wanted, view) for part in parts]
            errors += [each for each in faults if each is not None]
    if len(errors) > 1:
        kind = next((type(each) for each in errors if isinstance(each, DirectoryError)), type(errors[0]))
        raise kind("; ".join(dict.fromkeys(map(str, errors))))
    if errors:
        raise errors[0]
    return list(done.values())


@contextlib.contextmanager
def _prepared(
    root: Path,
    wanted: _Wanted,
    moment: sealed.AsOf | None,
    tally: Tally,
    view: View | None,
) -> Iterator["Conversion"]:
    """The conversion of one directory, while no other process converts or merges its files.

    Raises DirectoryError, and SinkError for an OSError.
    """
    from codat_async.bulk.sinks.conversion import Conversion

    names = [kind.name for kind in wanted.types]
    try:
        with _alone(root, writes=wanted.parquet):
            # Sealing moves damaged files out of the way, so they are looked for before and after.
            damaged = {each.path: str(each) for each in find_damage(sealed_files(root, names))}
            seal_if_idle(root)
            files = sealed_files(root, names)
            damaged |= {each.path: str(each) for each in find_damage(files)}
            tally.expect(root, files)
            yield Conversion(
                root=root,
                files=files,
                known=files if wanted.all_types else sealed_files(root),
                parquet=wanted.parquet,
                line_items=wanted.line_items,
                present=wanted.current or (wanted.parquet and moment is not None),
                as_of=moment,
                bucket=_bucket(view, root),
                tally=tally,
                faults=Faults(root, damaged, lost_lists(root, names)),
            )
    except OSError as error:
        raise SinkError(f"cannot convert {root}: {error}") from error


def _finish(part: "Conversion", wanted: _Wanted, view: View | None) -> CodatError | None:
    """Upload what was written, and have the lists of damaged files read again; returns what went wrong."""
    faults, root = part.faults, part.root
    try:
        if part.bucket is not None and wanted.parquet:
            complete = faults.error() is None
            part.bucket.upload(wanted.types, part.known, line_items=wanted.line_items, complete=complete)
        if faults.found and view is not None:
            lose_objects(view, root, {*faults.found})
        elif faults.found:
            lose_files(root, faults.found)
    except (DirectoryError, SinkError) as error:
        return error
    except OSError as error:
        return SinkError(f"cannot convert {root}: {error}")
    return faults.error()


def _bucket(view: View | None, part: Path) -> "Bucket | None":
    if view is None:
        return None
    from codat_async.bulk.sinks.bucket import Bucket

    return Bucket(view, part)


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


def _convert_parts(
    parts: Sequence["Conversion"], types: Iterable[PullType], database: "Database | None"
) -> list[Converted]:
    from codat_async.bulk.sinks.conversion import convert_type

    wanted = [kind for kind in types if any(part.has(kind) for part in parts)]
    if database is not None:
        # What fails fails again when the type is merged, and is reported then.
        with contextlib.suppress(SinkError):
            database.prepare(kind for kind in wanted if any(part.unmerged(kind, database) for part in parts))
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(lambda kind: convert_type(kind, parts, database), wanted))
