"""What readers of a directory use: its sealed files, their lines, and what is damaged. Needs no lock."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct

from codat_async.bulk.store.compression import DamagedFile
from codat_async.bulk.store.damage import file_damage
from codat_async.bulk.store.directory import DirectoryError, open_checkpoint
from codat_async.bulk.store.files import FileKind, FileRow
from codat_async.bulk.store.layout import Layout
from codat_async.bulk.store.reading import content, lines_in
from codat_async.bulk.store.segments import file_path

__all__ = [
    "AsOf",
    "Damage",
    "SealedFile",
    "as_of",
    "find_damage",
    "lost_lists",
    "name_of",
    "read_line_blocks",
    "read_sealed",
    "sealed_files",
]


class SealedFile(Struct, frozen=True, kw_only=True):
    """A complete file of raw records; it never changes."""

    directory: str
    """The id of the directory's checkpoint."""
    id: int
    """Unique in the directory over all types, and never used again."""
    type: str
    path: Path
    run: str
    """The run that wrote it."""
    compression: str
    size: int
    """In bytes."""
    lines: int
    rows: int
    """Records: the lines of empty lists are not among them."""
    crc: int
    """``zlib.crc32`` of its bytes."""
    first_n: int
    last_n: int
    replaces: tuple[int, ...]
    """The numbers of earlier files whose lines it holds: what has all of them has this one."""
    object: str = ""
    """Its key in object storage; empty if it is not there."""


class Damage(Struct, frozen=True):
    """A sealed file that is not what was written."""

    path: Path
    type: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.reason}"


def sealed_files(root: Path, types: Iterable[str] | None = None) -> list[SealedFile]:
    """The sealed files of these types, ordered by type and number; raises DirectoryError."""
    layout = Layout.local(root)
    checkpoint = open_checkpoint(root)
    try:
        rows = checkpoint.files.sealed(FileKind.SEGMENT, FileKind.OWN)
        directory = checkpoint.id
    finally:
        checkpoint.close()
    wanted = None if types is None else set(types)
    return [_public(layout, directory, row) for row in rows if wanted is None or row.type in wanted]


def _public(layout: Layout, directory: str, row: FileRow) -> SealedFile:
    return SealedFile(
        directory=directory,
        id=row.id,
        type=row.type,
        path=file_path(layout, row),
        run=row.run,
        compression=row.compression,
        size=row.size,
        lines=row.lines,
        rows=row.rows,
        crc=row.crc,
        first_n=row.first_n,
        last_n=row.last_n,
        replaces=row.replaces,
        object=row.object,
    )


class AsOf(Struct, frozen=True):
    """What a directory had at a moment: all readings that a process had completed when it stopped."""

    at: datetime
    """When the last process stopped by then, or was killed."""
    run: str
    """The run that it worked on."""
    next_n: int
    """The numbers of its readings are lower."""
    files: frozenset[int]
    """The numbers of files that were not complete."""

    @property
    def name(self) -> str:
        """The moment as part of a file's name; several may be within a second."""
        return f"{self.at:%Y%m%dT%H%M%SZ}-{self.next_n}"


def as_of(root: Path, moment: str) -> AsOf:
    """What a directory had at a moment: the id of a run, or a time; a day means its end, in UTC.

    Raises DirectoryError if nothing was pulled by then, and ValueError for what is neither.
    """
    checkpoint = open_checkpoint(root)
    try:
        marks = checkpoint.marks()
        rows = checkpoint.files.sealed(FileKind.SEGMENT, FileKind.OWN)
        runs = {run.id for run in checkpoint.runs()}
    finally:
        checkpoint.close()
    if moment in runs:
        found = [mark for mark in marks if mark.run == moment]
    else:
        latest = _end(root, moment)
        found = [mark for mark in marks if mark.at <= latest.timestamp()]
    if not found:
        first = (
            f"the first that is known is of {_moment(marks[0].at):%Y-%m-%dT%H:%M:%SZ}"
            if marks
            else "nothing is"
        )
        raise DirectoryError(f"{root} has no state as of {moment}: {first}")
    mark = found[-1]
    unfinished = set(mark.unfinished)
    files = frozenset(row.id for row in rows if not unfinished.isdisjoint({row.id, *row.replaces}))
    return AsOf(_moment(mark.at), mark.run, mark.next_n, files)


def name_of(moments: Iterable[AsOf]) -> str:
    """The name of the moments of several directories; of one its own."""
    found = sorted(moments, key=lambda each: each.name)
    if len(found) == 1:
        return found[0].name
    digest = blake2b("\n".join(each.name for each in found).encode(), digest_size=4).hexdigest()
    return f"{max(each.at for each in found):%Y%m%dT%H%M%SZ}-{digest}"


def _end(root: Path, moment: str) -> datetime:
    """The time that a text means; a day ends with its last second."""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        raise ValueError(
            f"{moment!r} is neither a run of {root} nor a time, such as 2026-03-31 or 2026-03-31T18:00Z"
        ) from None
    if len(moment) <= len("2026-03-31"):
        found += timedelta(days=1, seconds=-1)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def find_damage(files: Iterable[SealedFile], *, verify: bool = False) -> list[Damage]:
    """The files that are not as long as they were written; with ``verify`` their CRC is checked too."""
    found = []
    for file in files:
        if file.object and not file.path.exists():
            continue
        reason = file_damage(file.path, file.size, file.crc, verify=verify)
        if reason is not None:
            found.append(Damage(file.path, file.type, reason))
    return found


def lost_lists(root: Path, types: Iterable[str] | None = None) -> dict[str, int]:
    """By type, the lists whose data was damaged and is not read again yet; raises DirectoryError."""
    checkpoint = open_checkpoint(root)
    try:
        lost = checkpoint.lists.lost()
    finally:
        checkpoint.close()
    wanted = set(lost) if types is None else set(types)
    return {name: count for name, count in lost.items() if name in wanted}


def read_sealed(file: SealedFile) -> Iterator[list[bytes]]:
    """The lines of a file in batches; raises DamagedFile, at the end at the latest.

    Size and CRC are checked on the way, so nothing should be made final before the last batch.
    """
    count = 0
    for lines in lines_in(content(file.path, file.size, file.crc, file.compression)):
        count += len(lines)
        yield lines
    if count != file.lines:
        raise DamagedFile(file.path, f"it has {count:,} lines instead of {file.lines:,}")


def read_line_blocks(file: SealedFile, size: int) -> Iterator[bytes]:
    """The same lines in blocks of this many bytes or more, each with its line break; not counted."""
    # Joined once: a block that grows is copied each time that it outgrows its memory.
    pieces: list[bytes] = []
    held = 0
    for piece in content(file.path, file.size, file.crc, file.compression):
        held += len(piece)
        if held >= size and (end := piece.rfind(b"\n") + 1):
            block = b"".join([*pieces, piece[:end]])
            pieces, held = [piece[end:]], len(piece) - end
            yield block
        else:
            pieces.append(piece)
    if held:
        block = b"".join(pieces)
        del pieces
        if not block.endswith(b"\n"):
            raise DamagedFile(file.path, "it ends within a line")
        yield block
