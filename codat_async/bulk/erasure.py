"""Forgetting companies: removing them from everything that pulls and conversions have written."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from msgspec import Struct

from codat_async.bulk.shards import by_directory
from codat_async.bulk.sinks.convert import check_sinks
from codat_async.bulk.store import erase
from codat_async.bulk.store.directory import Directory, DirectoryError, open_checkpoint
from codat_async.bulk.store.events import erase_events
from codat_async.bulk.store.layout import CONVERT_LOCK
from codat_async.bulk.store.locks import FileLock
from codat_async.bulk.store.roster import Roster

__all__ = ["Forgotten", "forget"]


class Forgotten(Struct, kw_only=True):
    """What was done."""

    companies: list[str]
    files: int
    """Raw files and listings that had lines of them, and were rewritten or removed."""
    parquet: int
    """Parquet files that were rewritten or removed."""
    duckdb: int
    """DuckDB files that were rewritten."""


def forget(
    directory: Path | str,
    companies: Collection[str],
    *,
    duckdb: Sequence[Path | str] = (),
    on_step: Callable[[str], None] = lambda step: None,
) -> Forgotten:
    """Remove companies from the journal, segments, own files, files set aside, listings, report, Parquet,
    checkpoint, and the DuckDB files that are named.

    A tombstone keeps the next pull from reading them again, unless it names them. If the process is
    killed, the same call completes what it began. A copy of what is rewritten needs room for a moment.

    Raises :class:`~codat_async.bulk.store.directory.DirectoryError` if a pull is running, if a company is
    not known, or if there is not enough room. In a directory with shards the companies are removed from
    the shards that they belong to.
    """
    if isinstance(companies, str):
        raise TypeError(f"companies must be a list of ids, not a str; did you mean [{companies!r}]?")
    names, sinks = list(companies), [Path(each) for each in duckdb]
    parts = by_directory(Path(directory), names)
    if len(parts) > 1:
        for path, its in parts.items():
            checkpoint = open_checkpoint(path)
            try:
                _check_known(path, checkpoint.roster, its)
            finally:
                checkpoint.close()
    total = Forgotten(companies=names, files=0, parquet=0, duckdb=0)
    for number, (path, its) in enumerate(parts.items(), 1):
        # The DuckDB files have all shards, and are copied: once is enough.
        done = _forget_in(path, its, sinks if number == len(parts) else [], names, on_step)
        total.files += done.files
        total.parquet += done.parquet
        total.duckdb += done.duckdb
    return total


def _forget_in(
    path: Path,
    companies: list[str],
    duckdb: list[Path],
    from_duckdb: list[str],
    on_step: Callable[[str], None],
) -> Forgotten:
    try:
        with Directory(path, create=False) as opened:
            on_step("recover")
            opened.recover(seal=True)
            lock = FileLock(path / CONVERT_LOCK, wait=True)
            try:
                return _forget(opened, companies, duckdb, from_duckdb, on_step)
            finally:
                lock.close()
    except (OSError, sqlite3.Error) as error:
        raise DirectoryError(f"cannot forget in {path}: {error}; run the same command again") from error


def _check_known(path: Path, roster: Roster, companies: list[str]) -> None:
    known = {each.lower() for each in roster.ids()}
    for each in companies:
        if each.lower() not in known and not roster.is_forgotten(each):
            raise DirectoryError(f"{path} has no company {each}; nothing was changed")


def _forget(
    opened: Directory,
    companies: list[str],
    duckdb: list[Path],
    from_duckdb: list[str],
    on_step: Callable[[str], None],
) -> Forgotten:
    _check_known(opened.path, opened.checkpoint.roster, companies)
    # The library of a sink that is missing must not be noticed half-way.
    sinks = any((opened.path / name).exists() for name in ("parquet", "current", "as-of"))
    if sinks or duckdb:
        check_sinks(parquet=True, duckdb=bool(duckdb))
    needed = erase.room_needed(opened, companies) + max((each.stat().st_size for each in duckdb), default=0)
    left = erase.room_left(opened.path)
    if left < needed:
        raise DirectoryError(
            f"forgetting needs {needed:,} bytes for a copy and {opened.path} has {left:,} left;"
            " nothing was changed"
        )
    on_step("files")
    replaced = erase.erase(opened, companies)
    parquet = 0
    if sinks or duckdb:
        from codat_async.bulk.sinks.forget import forget_duckdb, forget_parquet

        on_step("parquet")
        kept = {old: new for old, new in replaced.items() if new is not None}
        parquet = forget_parquet(opened.path, companies, kept)
        for each in duckdb:
            on_step("duckdb")
            forget_duckdb(each, from_duckdb)
    on_step("checkpoint")
    erase_events(opened.path, companies)
    erase.finish(opened, companies)
    return Forgotten(companies=companies, files=len(replaced), parquet=parquet, duckdb=len(duckdb))
