"""The inventory of a directory: what it has of each data type, how old that is, and what is left to do."""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from codat_async.bulk.report import (
    FailureGroup,
    Outcome,
    UnitFailure,
    group_failures,
    merge_groups,
    merge_outcomes,
)
from codat_async.bulk.store.checkpoint import Checkpoint, CheckpointError
from codat_async.bulk.store.damage import Damage, find_damage
from codat_async.bulk.store.directory import (
    START_OVER,
    DirectoryError,
    lose_files,
    open_checkpoint,
    running_pull,
)
from codat_async.bulk.store.events import SyncTrouble, read_events
from codat_async.bulk.store.files import FileRow
from codat_async.bulk.store.layout import Layout
from codat_async.bulk.store.lists import ListRow
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.remote.view import View, lose_objects, open_view
from codat_async.bulk.store.roster import Absent
from codat_async.bulk.store.shards import missing_shards, pull_directories, shard_count, shards_in
from codat_async.bulk.store.state import SKIP_REASONS
from codat_async.bulk.store.troubles import CompanyTrouble, find_troubles

__all__ = ["Inventory", "TypeInventory", "UnitStatus", "status", "troubled_companies", "unit_statuses"]


class TypeInventory(Struct, kw_only=True):
    """What a directory has of one type, or of all."""

    companies: int = 0
    lists: int = 0
    records: int = 0
    """Of the last whole reading and the increments since, before versions of a record are compared."""
    oldest: str | None = None
    """When the least recent complete reading of a list ended, in UTC."""
    newest: str | None = None
    open: int = 0
    """Lists that are to be read."""
    failed: int = 0
    skipped: int = 0
    """Lists that the platform does not offer."""
    lost: int = 0
    """Lists whose data was damaged: the next pull reads them whole."""
    unchanged: int = 0
    """Companies of which it was not read when their data status was last asked, since it is unchanged."""
    syncing: int = 0
    """The same, since a sync was running."""
    not_synced: int = 0
    """The same, since it was never synced."""
    not_supported: int = 0
    """The same, since the platform does not have it."""


class Inventory(Struct, kw_only=True):
    """The state of a directory."""

    outcome: Outcome
    run: str
    """The run that a process worked on last."""
    began: str
    ended: str | None
    """None while it has work left."""
    seconds: float | None
    """How long the last process worked on it."""
    stopped: str | None
    types: dict[str, TypeInventory]
    total: TypeInventory
    failures: list[FailureGroup]
    damaged: list[str]
    """A line for each file that is not what was written."""
    absent: list[Absent]
    """The companies that are no longer linked or listed."""
    forgotten: int
    """Companies that were forgotten, and that a pull does not read unless they are named."""
    events: int = 0
    """Events of webhooks that were received and are still to be followed."""
    troubles: list[SyncTrouble] = []
    """The data types whose last sync failed, and the broken connections, according to events."""
    process: int | None = None
    """The id of the process that pulls now, or of one of them; None if none does."""
    shards: int | None = None
    """The number of shards; None without shards."""
    missing_shards: list[int] = []
    """The indexes of the shards whose pull has not begun."""


class UnitStatus(Struct, kw_only=True):
    """One list of a directory."""

    type: str
    company: str
    connection: str | None
    parent: str | None
    state: str
    records: int
    read_at: str | None
    missing: int
    invalid: int
    lost: bool
    failure: str | None
    error: str | None


def status(directory: Path | str | RemoteDirectory, *, verify: bool = False) -> Inventory:
    """The inventory of a directory, of all its shards if it has some, also while a pull runs.

    With ``verify`` every file is read and compared with its CRC, and the next pull reads the lists of
    damaged ones again. Raises
    :class:`~codat_async.bulk.store.directory.DirectoryError` if there is no pull.
    """
    with open_view(place_of(directory)) as (root, view):
        found = _of_all(root, verify and view is None)
        if view is not None:
            _compare(found, view, verify=verify)
    return found


def _of_all(root: Path, verify: bool) -> Inventory:
    shards, found = shards_in(root), list[Inventory]()
    if not shards:
        return _status(root, verify)
    missing = missing_shards(root)
    for index, path in shards.items():
        try:
            found.append(_status(path, verify))
        except _NotStarted:
            missing.append(index)
    if not found:
        raise _NotStarted(root)
    return _merged(found, shard_count(root), sorted(missing))


def _compare(inventory: Inventory, view: View, *, verify: bool) -> None:
    """Add the damages of the objects; those found by reading them are noted for the next pull."""
    for part in view.parts():
        damages = view.damages(part, verify=verify)
        inventory.damaged += damages.values()
        if verify and damages:
            lose_objects(view, part, {*damages})
    if inventory.damaged and inventory.outcome == Outcome.DONE:
        inventory.outcome = Outcome.PARTIAL


class _NotStarted(DirectoryError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} has a pull that has not started yet; try again in a moment")


def _merged(found: list[Inventory], shards: int | None, missing: list[int]) -> Inventory:
    """The inventories of shards, whose companies differ, as one."""
    names = dict.fromkeys(name for each in found for name in each.types)
    last = max(found, key=lambda each: each.run)
    outcome = merge_outcomes(each.outcome for each in found)
    return Inventory(
        outcome=Outcome.PARTIAL if missing and outcome == Outcome.DONE else outcome,
        run=last.run,
        began=min(each.began for each in found),
        ended=None if missing else max((each.ended for each in found if each.ended), default=None),
        seconds=max((each.seconds for each in found if each.seconds is not None), default=None),
        stopped="; ".join(dict.fromkeys(each.stopped for each in found if each.stopped)) or None,
        types={name: _sum([each.types[name] for each in found if name in each.types]) for name in names},
        total=_sum([each.total for each in found]),
        failures=merge_groups(group for each in found for group in each.failures),
        damaged=[line for each in found for line in each.damaged],
        absent=[absent for each in found for absent in each.absent],
        forgotten=sum(each.forgotten for each in found),
        events=sum(each.events for each in found),
        troubles=[trouble for each in found for trouble in each.troubles],
        process=next((each.process for each in found if each.process is not None), None),
        shards=shards,
        missing_shards=missing,
    )


def _sum(parts: list[TypeInventory]) -> TypeInventory:
    total = TypeInventory()
    for each in parts:
        for field in ("companies", "lists", "records", "open", "failed", "skipped", "lost", *SKIP_REASONS):
            setattr(total, field, getattr(total, field) + getattr(each, field))
    total.oldest = min((each.oldest for each in parts if each.oldest), default=None)
    total.newest = max((each.newest for each in parts if each.newest), default=None)
    return total


def _status(path: Path, verify: bool) -> Inventory:
    checkpoint = open_checkpoint(path)
    try:
        found, damages = _inventory(path, checkpoint, verify=verify)
    except (CheckpointError, sqlite3.DatabaseError) as error:
        raise DirectoryError(f"{checkpoint.path} cannot be used: {error}; {START_OVER}") from error
    finally:
        checkpoint.close()
    if verify and damages:
        # A pull looks at sizes alone, so what only reading shows has to be noted for it.
        files = {each.row.id: each.reason for each in damages if isinstance(each.row, FileRow)}
        lose_files(path, files)
    return found


def _inventory(path: Path, checkpoint: Checkpoint, *, verify: bool) -> tuple[Inventory, list[Damage]]:
    run = checkpoint.current_run()
    if run is None:
        raise _NotStarted(path)
    if verify:
        checkpoint.verify()
    types: dict[str, TypeInventory] = {}
    for name, companies, lists, records, *times, opened, failed, skipped, lost in checkpoint.lists.sums():
        types[name] = TypeInventory(
            companies=companies,
            lists=lists,
            records=records,
            oldest=_moment(times[0]),
            newest=_moment(times[1]),
            open=opened,
            failed=failed,
            skipped=skipped,
            lost=lost,
        )
    for name, queued in checkpoint.work.queued_counts().items():
        types.setdefault(name, TypeInventory()).open += queued
    for name, reasons in checkpoint.checks.counts().items():
        found = types.setdefault(name, TypeInventory())
        for reason, number in reasons.items():
            setattr(found, reason, number)
    total = _sum(list(types.values()))
    total.companies = checkpoint.lists.company_count()
    process = running_pull(path)
    # While a pull runs, what is being written is neither complete nor damaged.
    damages = find_damage(Layout.local(path), checkpoint, verify=verify) if process is None else []
    seconds, stopped, packed = checkpoint.stopped(run)
    missing = msgspec.json.decode(packed, type=list[UnitFailure]) if packed else []
    if total.open or total.failed or total.lost or damages or stopped or missing or process is not None:
        outcome = Outcome.PARTIAL if total.lists > total.open + total.failed else Outcome.FAILED
    else:
        outcome = Outcome.DONE
    events, troubles = read_events(path)
    inventory = Inventory(
        outcome=outcome if process is None else Outcome.PARTIAL,
        run=run.id,
        began=run.began,
        ended=run.ended,
        seconds=seconds,
        stopped=stopped,
        types=types,
        total=total,
        failures=group_failures(checkpoint, missing),
        damaged=[str(each) for each in damages],
        absent=checkpoint.roster.absent(),
        forgotten=checkpoint.roster.forgotten(),
        events=events,
        troubles=troubles,
        process=process,
    )
    return inventory, damages


def unit_statuses(directory: Path | str | RemoteDirectory) -> Iterator[UnitStatus]:
    """Every list of a directory, ordered by company within each shard; raises DirectoryError."""
    with open_view(place_of(directory)) as (root, _):
        for path in pull_directories(root):
            with contextlib.closing(open_checkpoint(path)) as checkpoint:
                yield from map(_unit_status, checkpoint.lists.rows())


def troubled_companies(
    directory: Path | str | RemoteDirectory, stale_before: datetime
) -> list[CompanyTrouble]:
    """The companies with lists that failed, are unread or damaged, or are older than a moment.

    Those with the most failures of each shard come first. Raises DirectoryError.
    """
    found = list[CompanyTrouble]()
    with open_view(place_of(directory)) as (root, _):
        for path in pull_directories(root):
            with contextlib.closing(open_checkpoint(path)) as checkpoint:
                found += find_troubles(checkpoint, int(stale_before.timestamp()))
    return found


def _unit_status(row: ListRow) -> UnitStatus:
    unit, progress = row.unit, row.progress
    return UnitStatus(
        type=unit.type,
        company=unit.company,
        connection=unit.connection or None,
        parent=unit.parent or None,
        state=row.state,
        records=row.rows,
        read_at=_moment(row.read_at),
        missing=row.missing,
        invalid=row.invalid,
        lost=row.lost,
        failure=None if progress is None else progress.failure,
        error=None if progress is None else progress.error,
    )


def _moment(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
