"""What a directory knows of earlier nights, from which tonight is estimated."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from codat_async.bulk.plan.estimate import History, TypeHistory
from codat_async.bulk.plan.sizes import page_requests
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.counts import DATA_STATUS, Counts, Tally
from codat_async.bulk.store.directory import open_checkpoint
from codat_async.bulk.store.layout import CHECKPOINT
from codat_async.bulk.store.remote.opening import open_objects
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.remote.published import KEY
from codat_async.bulk.store.remote.view import open_view

__all__ = ["history_of", "opened_to_read", "read_history"]

_NIGHTS: Final = 7
"""Runs that are looked at, the latest first."""


def read_history(path: Path | str | RemoteDirectory) -> History | None:
    """What the directory of a pull knows, also while a pull runs; None if there is none yet.

    Raises :class:`~codat_async.bulk.store.directory.DirectoryError` if its checkpoint cannot be used.
    """
    with opened_to_read(path) as checkpoint:
        return None if checkpoint is None else history_of(checkpoint)


@contextlib.contextmanager
def opened_to_read(path: Path | str | RemoteDirectory) -> Iterator[Checkpoint | None]:
    """The checkpoint of a directory, also while a pull runs; None if there is none yet.

    Raises :class:`~codat_async.bulk.store.directory.DirectoryError` if it cannot be used.
    """
    place = place_of(path)
    if isinstance(place, RemoteDirectory):
        exists = KEY in open_objects(place).names()
    else:
        exists = (place / CHECKPOINT).exists()
    if not exists:
        yield None
        return
    with open_view(place) as (root, _), contextlib.closing(open_checkpoint(root)) as checkpoint:
        yield checkpoint


def history_of(checkpoint: Checkpoint) -> History:
    """What a checkpoint knows."""
    found: dict[str, TypeHistory] = {}
    for name, rows, lists in checkpoint.lists.sizes():
        known = found.setdefault(name, TypeHistory())
        known.lists += lists
        known.records += rows * lists
        known.whole += page_requests(rows) * lists
    history = History(companies=frozenset(checkpoint.lists.companies()), types=found)
    received = records = 0
    for run, seconds, packed in checkpoint.latest_runs(_NIGHTS):
        counts = Tally(packed).types
        received += sum(each.received for each in counts.values())
        records += sum(each.rows for each in counts.values())
        if history.speed is None and seconds:
            history.speed = sum(each.requests for each in counts.values()) / seconds
        if run.mode == "incremental" and DATA_STATUS in counts:
            _add_night(history, counts)
    history.record_bytes = received / records if records else 0.0
    return history


def _add_night(history: History, counts: dict[str, Counts]) -> None:
    history.nights += 1
    history.status_requests += counts.pop(DATA_STATUS).requests
    # A type of which there is one list a company has as many lists as there were companies.
    history.company_nights += max(min(each.units for each in counts.values()), 1) if counts else 0
    for name, each in counts.items():
        past = history.types.setdefault(name, TypeHistory())
        past.units += each.units
        past.read += each.done
        past.changed_records += each.rows
        past.requests += each.requests
        past.bytes += each.received
