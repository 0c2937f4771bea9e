"""Removes companies from everything that a pull has written; killed, it is completed by the next try."""

import contextlib
import shutil
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from codat_async.bulk.store import segments
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.compression import Compression, DamagedFile, compressor, decompressed
from codat_async.bulk.store.directory import Directory, DirectoryError
from codat_async.bulk.store.disk import write_private
from codat_async.bulk.store.files import FileKind, FileRow
from codat_async.bulk.store.keys import unpack_keys
from codat_async.bulk.store.layout import CHECKPOINT, DAMAGED, PAGE, PUBLISHED, REPORT
from codat_async.bulk.store.lines import read_line
from codat_async.bulk.store.reading import lines_in
from codat_async.bulk.store.segments import file_path

__all__ = ["erase", "finish", "room_left", "room_needed"]

_ASIDE: Final = "aside-*"
_CHUNK: Final = 1 << 20
_COMPRESSIONS: Final[dict[str, Compression]] = {".gz": "gzip", ".zst": "zstd"}


def room_needed(directory: Directory, companies: Collection[str]) -> int:
    """Bytes of the copies that are written before the originals are removed."""
    checkpoint = directory.checkpoint
    keys = checkpoint.roster.keys_of(companies)
    sizes = [row.size for row in _affected(checkpoint, keys)]
    # One segment is copied after the other; the checkpoint is copied as a whole.
    return max(sizes, default=0) + 2 * checkpoint.path.stat().st_size


def erase(directory: Directory, companies: Collection[str]) -> dict[int, int | None]:
    """Remove companies from the sealed files, the files set aside and the reports.

    The directory must be recovered with nothing left in the journal. The tombstones are written first.
    Returns, by the number of a file, that of the file which took its place; None if nothing was left.
    """
    checkpoint, layout = directory.checkpoint, directory.layout
    with checkpoint.transaction():
        checkpoint.roster.forget(companies)
    keys = checkpoint.roster.keys_of(companies)
    wanted = {each.lower() for each in companies}
    replaced: dict[int, int | None] = {}
    for row in _affected(checkpoint, keys):
        replaced[row.id] = _erase_from(directory, row, keys, lambda each: each.lower() not in wanted)
    shutil.rmtree(layout.root / DAMAGED, ignore_errors=True)
    for aside in layout.root.glob(_ASIDE):
        _erase_aside(aside, wanted)
    _erase_report(layout.root / REPORT, wanted)
    (layout.root / PAGE).unlink(missing_ok=True)
    with checkpoint.transaction():
        for run in checkpoint.runs("missing is not null"):
            packed = checkpoint.stopped(run)[2] or b"[]"
            kept = msgspec.json.encode(_without(msgspec.json.decode(packed), wanted))
            checkpoint.db.execute("update runs set missing = ? where key = ?", (kept, run.key))
    return replaced


def finish(directory: Directory, companies: Collection[str]) -> None:
    """Remove companies from the checkpoint, once nothing else has them, and every trace of deleted rows."""
    checkpoint = directory.checkpoint
    checkpoint.db.execute("pragma secure_delete = on")
    with checkpoint.transaction():
        checkpoint.roster.erase(companies)
    # Rows that were changed before left their old values in free space.
    checkpoint.db.execute("vacuum")
    checkpoint.db.execute("pragma wal_checkpoint(truncate)")


def _affected(checkpoint: Checkpoint, keys: set[int]) -> list[FileRow]:
    files = checkpoint.files.sealed(*FileKind.ALL)
    return [row for row in files if not keys.isdisjoint(unpack_keys(row.companies))]


def _erase_from(
    directory: Directory, row: FileRow, keys: set[int], keep: Callable[[str], bool]
) -> int | None:
    """Rewrite a file without some companies; returns its new number, None if nothing is left."""
    checkpoint, layout = directory.checkpoint, directory.layout
    path = file_path(layout, row)
    if set(unpack_keys(row.companies)) <= keys:
        with checkpoint.transaction():
            checkpoint.files.remove([row.id])
        path.unlink(missing_ok=True)
        return None
    with checkpoint.transaction():
        target = segments.begin_merge(checkpoint, [row], row.run)
    try:
        written = segments.write_merged(layout, target, [row], keep=keep)
    except DamagedFile as damaged:
        raise DirectoryError(f"{damaged}; a pull reads its lists again, then forget the company") from damaged
    for key in keys:
        written.companies.discard(key)
    with checkpoint.transaction():
        segments.end_merge(checkpoint, [row], written)
    path.unlink(missing_ok=True)
    return target.id


# --- what is not in the checkpoint ---------------------------------------------------------


def _erase_aside(aside: Path, wanted: set[str]) -> None:
    """Remove companies from what was set aside: their lines, and whatever has no known company."""
    for name in (CHECKPOINT, f"{CHECKPOINT}-wal", f"{CHECKPOINT}-shm", PUBLISHED, REPORT):
        (aside / name).unlink(missing_ok=True)
    for name in ("journal", "parquet", "current", "as-of", DAMAGED):
        shutil.rmtree(aside / name, ignore_errors=True)
    for path in [*aside.glob("raw/*/*"), *aside.glob("invalid/*/*")]:
        _filter_lines(path, wanted)


def _filter_lines(path: Path, wanted: set[str]) -> None:
    compression = _COMPRESSIONS.get(path.suffix)
    kept: list[bytes] = []
    dropped = False
    try:
        for lines in lines_in(decompressed(_pieces(path), compression or "plain")):
            for line in lines:
                if read_line(line).company_id.lower() in wanted:
                    dropped = True
                else:
                    kept.append(line)
    except (EOFError, zlib.error, msgspec.MsgspecError):
        # What a damaged file holds cannot be known.
        path.unlink(missing_ok=True)
        return
    if not dropped:
        return
    if not kept:
        path.unlink()
        return
    content = b"\n".join([*kept, b""])
    write_private(path, content if compression is None else compressor(compression)(content))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def _erase_report(path: Path, wanted: set[str]) -> None:
    with contextlib.suppress(FileNotFoundError):
        try:
            found = msgspec.json.decode(path.read_bytes())
        except msgspec.MsgspecError:
            path.unlink()
            return
        write_private(
            path, msgspec.json.format(msgspec.json.encode(_without(found, wanted)), indent=1) + b"\n"
        )


def _without(value: Any, wanted: set[str]) -> Any:
    """A JSON value without the objects of some companies."""
    if isinstance(value, dict):
        return {key: _without(each, wanted) for key, each in value.items()}
    if isinstance(value, list):
        return [_without(each, wanted) for each in value if not _is_of(each, wanted)]
    return value


def _is_of(value: Any, wanted: set[str]) -> bool:
    return isinstance(value, dict) and str(value.get("company", "")).lower() in wanted


def room_left(path: Path) -> int:
    """Bytes that are free where a directory is."""
    return shutil.disk_usage(path).free
