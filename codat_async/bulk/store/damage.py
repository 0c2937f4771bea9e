"""Finds files that are not what was written, and marks their lists to be read again."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.disk import make_folder
from codat_async.bulk.store.files import FileKind, FileRow, JournalRow
from codat_async.bulk.store.keys import unpack_keys
from codat_async.bulk.store.layout import Layout
from codat_async.bulk.store.reading import check_content, size_damage
from codat_async.bulk.store.segments import file_path

__all__ = [
    "Damage",
    "file_damage",
    "find_damage",
    "journal_damage",
    "lose_damaged",
    "lose_file",
    "lose_journal",
    "set_aside",
]


class Damage(Struct, frozen=True):
    """A file that is not what was written."""

    path: Path
    type: str
    """The data type; empty for a journal."""
    reason: str
    row: FileRow | JournalRow

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.reason}"


def find_damage(
    layout: Layout, checkpoint: Checkpoint, *, verify: bool = False, verify_journals: bool = False
) -> list[Damage]:
    """The files and journals that are missing, or shorter or longer than what was written.

    With ``verify`` all of them, and with ``verify_journals`` the journals, are read and compared with
    their CRC. A journal may be longer: what
    follows the committed end is of a batch that was interrupted.
    """
    found: list[Damage] = []
    for journal in checkpoint.files.journals():
        path = layout.journal(journal.number, journal.compression)
        reason = journal_damage(path, journal, verify=verify or verify_journals)
        if reason is not None:
            found.append(Damage(path, "", reason, journal))
    for row in checkpoint.files.sealed(*FileKind.ALL):
        path = file_path(layout, row)
        if row.object and not path.exists():
            # Object storage is compared with the checkpoint when a pull begins.
            continue
        reason = file_damage(path, row.size, row.crc, verify=verify)
        if reason is not None:
            found.append(Damage(path, row.type, reason, row))
    return found


def file_damage(path: Path, size: int, crc: int, *, verify: bool = False) -> str | None:
    """What is wrong with a sealed file."""
    reason = size_damage(path, size)
    return check_content(path, size, crc) if reason is None and verify else reason


def journal_damage(path: Path, row: JournalRow, *, verify: bool = False) -> str | None:
    """What is wrong with the committed part of a journal."""
    if not row.size:
        return None
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return "it is missing"
    if found < row.size:
        return f"it has {found:,} bytes instead of {row.size:,}"
    return check_content(path, row.size, row.crc, beyond=True) if verify else None


def lose_damaged(layout: Layout, checkpoint: Checkpoint, damages: Iterable[Damage]) -> None:
    """Move damaged files aside and mark their lists: the next run reads them whole."""
    for each in damages:
        row = each.row
        with checkpoint.transaction():
            if isinstance(row, JournalRow):
                lose_journal(checkpoint, row)
            else:
                lose_file(checkpoint, row)
        set_aside(layout, each.path)


def lose_file(checkpoint: Checkpoint, row: FileRow) -> None:
    """Remove the row of a damaged file and mark its lists, within a transaction."""
    if row.kind != FileKind.LISTING:
        checkpoint.lists.lose(checkpoint.keys.type(row.type), unpack_keys(row.companies))
    checkpoint.files.remove([row.id])


def lose_journal(checkpoint: Checkpoint, row: JournalRow) -> None:
    """Remove the row of a damaged journal and mark its lists, within a transaction."""
    checkpoint.lists.lose_between(row.first_n, row.last_n)
    checkpoint.drop_intents(row.number)
    checkpoint.files.drop_journal(row.number)


def set_aside(layout: Layout, path: Path) -> None:
    """Move a damaged file out of the way, if it is there."""
    target = layout.damaged(path)
    make_folder(target.parent)
    with contextlib.suppress(FileNotFoundError):
        path.replace(target)
