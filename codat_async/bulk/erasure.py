"""Forgetting companies: removing them from everything that pulls and conversions have written."""

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from codat_async.bulk.sinks.convert import check_sinks
from codat_async.bulk.store import erase
from codat_async.bulk.store.directory import ASIDE, Directory, DirectoryError, open_checkpoint
from codat_async.bulk.store.events import erase_events
from codat_async.bulk.store.layout import CONVERT_LOCK, PAGE, REPORT, NotFetched
from codat_async.bulk.store.locks import FileLock
from codat_async.bulk.store.remote.checkout import Checkout
from codat_async.bulk.store.remote.opening import open_objects, open_remote
from codat_async.bulk.store.remote.place import Place, RemoteDirectory, place_of
from codat_async.bulk.store.remote.view import open_view
from codat_async.bulk.store.roster import Roster
from codat_async.bulk.store.shards import by_directory

__all__ = ["Forgotten", "forget"]

_SINKS = ("parquet", "current", "as-of")
"""The folders of what conversions write."""


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
    directory: Path | str | RemoteDirectory,
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
    with open_view(place_of(directory)) as (root, view):
        local = by_directory(root, names)
        if len(local) > 1:
            for path, its in local.items():
                with contextlib.closing(open_checkpoint(path)) as checkpoint:
                    _check_known(path, checkpoint.roster, its)
        parts: dict[Place, list[str]] = {
            path if view is None else view.remote_of(path): its for path, its in local.items()
        }
        if view is not None:
            view.delete(PAGE)
    total = Forgotten(companies=names, files=0, parquet=0, duckdb=0)
    for number, (place, its) in enumerate(parts.items(), 1):
        # The DuckDB files have all shards, and are copied: once is enough.
        done = _forget_in(place, its, sinks if number == len(parts) else [], names, on_step)
        total.files += done.files
        total.parquet += done.parquet
        total.duckdb += done.duckdb
    return total


def _forget_in(
    place: Place,
    companies: list[str],
    duckdb: list[Path],
    from_duckdb: list[str],
    on_step: Callable[[str], None],
) -> Forgotten:
    try:
        with _open(place) as opened:
            on_step("recover")
            opened.recover(seal=True)
            lock = FileLock(opened.path / CONVERT_LOCK, wait=True)
            try:
                if not isinstance(place, RemoteDirectory):
                    return _forget(opened, companies, duckdb, from_duckdb, on_step)
                with _in_bucket(opened, place, companies) as checkout:
                    return _forget(opened, companies, duckdb, from_duckdb, on_step, checkout)
            finally:
                lock.close()
    except (OSError, sqlite3.Error, NotFetched) as error:
        raise DirectoryError(f"cannot forget in {place}: {error}; run the same command again") from error


def _open(place: Place) -> Directory:
    if isinstance(place, RemoteDirectory):
        return open_remote(place)
    return Directory(place, create=False)


@contextlib.contextmanager
def _in_bucket(opened: Directory, remote: RemoteDirectory, companies: list[str]) -> Iterator[Checkout]:
    """Bring what is not in the checkpoint into the spool, and put it back in an order that a kill may cut."""
    assert opened.mirror is not None
    _check_known(opened.path, opened.checkpoint.roster, companies)
    objects = open_objects(remote)
    keys = [key for key, _ in objects.listed("")]
    checkout = Checkout(objects, opened.path, keys)
    checkout.bring(key for key in keys if key.startswith(ASIDE) or key == REPORT)
    yield checkout
    checkout.put()
    opened.mirror.flush(opened.checkpoint.path, opened.commit, always=True)
    checkout.finish([key for key in keys if key == PAGE])


def _affected(checkout: Checkout, opened: Directory, replaced: Collection[int]) -> list[str]:
    """The Parquet objects of raw files that were rewritten or are gone, and of current records."""
    known = {row.id for row in opened.checkpoint.files.all()} - {*replaced}

    def is_affected(key: str) -> bool:
        folder, _, name = key.partition("/")
        if folder == "parquet":
            number = name.rpartition("/")[2].partition("-")[0]
            return number.isdecimal() and int(number) not in known
        return folder in _SINKS

    return [key for key in checkout.keys if key.endswith(".parquet") and is_affected(key)]


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
    checkout: Checkout | None = None,
) -> Forgotten:
    _check_known(opened.path, opened.checkpoint.roster, companies)
    # The library of a sink that is missing must not be noticed half-way.
    sinks = any((opened.path / name).exists() for name in _SINKS)
    if checkout is not None:
        sinks = sinks or any(key.partition("/")[0] in _SINKS for key in checkout.keys)
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
        if checkout is not None:
            checkout.bring(_affected(checkout, opened, replaced))
        parquet = forget_parquet(opened.path, companies, kept)
        for each in duckdb:
            on_step("duckdb")
            forget_duckdb(each, from_duckdb)
    on_step("checkpoint")
    erase_events(opened.path, companies)
    erase.finish(opened, companies)
    return Forgotten(companies=companies, files=len(replaced), parquet=parquet, duckdb=len(duckdb))
