"""Writes lists into a store without a pull, and reads back what it holds."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.journal import Block
from codat_async.bulk.store.lines import empty_line, head_of, lines_of, read_line
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.sealed import read_sealed, sealed_files
from codat_async.bulk.store.state import Run, State, UnitState
from codat_async.bulk.store.writer import WriteBatch, Writer
from codat_async.bulk.units.unit import Unit

T = TypeVar("T")


def begin(directory: Directory, *, compression: str = "zstd", name: str = "20260101T000000Z") -> Run:
    """Begin a run, or go on with it."""
    with directory.checkpoint.transaction():
        known = directory.checkpoint.runs("id = ?", (name,))
        if known:
            return known[0]
        return directory.checkpoint.begin_run(
            Run(id=name, mode="full", page_size=100, compression=compression, began="2026-01-01T00:00:00")
        )


def reading(
    directory: Directory, run: Run, unit: Unit, records: Iterable[bytes], *, whole: bool = True
) -> Callable[[WriteBatch], None]:
    """A job that writes a small list."""
    rows = list(records)
    n = directory.draw()
    head = head_of(unit, n, whole=whole)
    data = lines_of(head, rows) or empty_line(head)
    state = UnitState(state=State.DONE, n=n, since=None if whole else "2026-01-01T00:00:00Z", rows=len(rows))

    def job(batch: WriteBatch) -> None:
        company = batch.checkpoint.keys.company(unit.company)
        batch.add(Block(unit.type, company, n, len(rows), max(1, len(rows)), data))
        batch.checkpoint.lists.finish(run, unit, state, Ending(watermark=n, overlap=None))

    return job


async def write(
    directory: Directory,
    run: Run,
    lists: Iterable[tuple[Unit, list[bytes]]],
    *,
    seal: bool = True,
    whole: bool = True,
) -> None:
    """Write small lists, and seal them."""
    async with Writer(directory, run, lambda error: None) as writer:
        for unit, records in lists:
            await writer.commit(reading(directory, run, unit, records, whole=whole))
        if seal:
            await writer.seal()


def fill(
    root: Path,
    lists: Iterable[tuple[Unit, list[bytes]]],
    *,
    seal: bool = True,
    compression: str = "zstd",
    name: str = "20260101T000000Z",
    whole: bool = True,
) -> None:
    """Open a directory, write small lists as one run, and close it."""
    with Directory(root) as directory:
        directory.recover()
        run = begin(directory, compression=compression, name=name)
        asyncio.run(write(directory, run, lists, seal=seal, whole=whole))


def held(root: Path) -> dict[str, list[bytes]]:
    """The records of each company and type in the sealed files, in their order."""
    found: dict[str, list[bytes]] = {}
    for file in sealed_files(root):
        for lines in read_sealed(file):
            for each in map(read_line, lines):
                records = found.setdefault(f"{file.type}/{each.company_id}", [])
                if len(each.record):
                    records.append(bytes(each.record))
    return found


def on_checkpoint(root: Path, work: Callable[[Checkpoint], T]) -> T:
    """Do something with the checkpoint of a directory."""
    with Directory(root) as directory, directory.checkpoint.transaction():
        return work(directory.checkpoint)
