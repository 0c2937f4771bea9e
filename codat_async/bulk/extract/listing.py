"""Writes the companies and their connections as the list of companies has them."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

import msgspec
from msgspec import Raw, Struct

from codat_async.bulk.plan.companies import Found, ListedCompany
from codat_async.bulk.store.compression import DamagedFile
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.journal import Block
from codat_async.bulk.store.layout import NotFetched
from codat_async.bulk.store.lines import Line, empty_line, head_of, lines_of, read_line
from codat_async.bulk.store.sealed import read_sealed, sealed_files
from codat_async.bulk.store.versions import current_lines
from codat_async.bulk.store.writer import WriteBatch, Writer
from codat_async.bulk.units.unit import Unit

__all__ = ["write_listing"]


async def write_listing(writer: Writer, directory: Directory, found: Found, chosen: Collection[str]) -> None:
    """Write the records of the chosen companies and their connections, as one whole list a company.

    If all companies of the API key were listed, the records of those that no longer are say so.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    for records in found.records():
        lists = [
            each for record in records for each in _lists(directory, record, chosen, now) if each is not None
        ]
        await writer.commit(lambda batch, lists=lists: _add(batch, lists))  # type: ignore[misc]
    gone = directory.checkpoint.roster.unmarked()
    if gone:
        known = await asyncio.to_thread(_last_lines, directory, gone)
        marks = [_mark(directory, company, known.get(company)) for company in gone]

        def mark(batch: WriteBatch) -> None:
            _add(batch, marks)
            for company in gone:
                batch.checkpoint.roster.mark(company)

        await writer.commit(mark)


class _List(Struct):
    unit: Unit
    n: int
    rows: int
    data: bytes


def _lists(directory: Directory, record: bytes, chosen: Collection[str], now: datetime) -> Iterator[_List]:
    company = ListedCompany.of(record)
    if company is not None and company.id in chosen:
        unit = Unit("companies", company.id)
        yield _list(directory, unit, [record], read_at=now, listed=True)
        yield _list(directory, Unit("connections", company.id), company.data_connections or [], read_at=now)


def _list(
    directory: Directory,
    unit: Unit,
    records: Iterable[bytes | Raw],
    *,
    read_at: datetime | None,
    listed: bool | None = None,
) -> _List:
    rows, n = list(records), directory.draw()
    head = head_of(unit, n, whole=True, read_at=read_at, listed=listed)
    return _List(unit, n, len(rows), lines_of(head, rows) or empty_line(head))


def _add(batch: WriteBatch, lists: Iterable[_List]) -> None:
    for each in lists:
        company = batch.checkpoint.keys.company(each.unit.company)
        batch.add(Block(each.unit.type, company, each.n, each.rows, max(1, each.rows), each.data))


def _mark(directory: Directory, company: str, last: Line | None) -> _List:
    """The record of a company that is no longer listed: the last one, and when that was."""
    record = msgspec.json.encode({"id": company, "name": ""}) if last is None else bytes(last.record)
    read_at = None if last is None else last.read_at
    return _list(directory, Unit("companies", company), [record], read_at=read_at, listed=False)


def _last_lines(directory: Directory, companies: Iterable[str]) -> dict[str, Line]:
    """The current lines of some companies."""
    wanted = {company.encode() for company in companies}

    def chosen(lines: list[bytes]) -> list[bytes]:
        return [line for line in lines if read_line(line).company_id.encode() in wanted]

    batches: list[list[bytes]] = []
    for file in sealed_files(directory.path, ["companies"]):
        # What a damaged file held is not known any more.
        with contextlib.suppress(DamagedFile, NotFetched):
            if file.object and not file.path.exists() and directory.mirror is not None:
                directory.mirror.fetch(file.object, file.path)
            batches += [chosen(lines) for lines in read_sealed(file)]
    return {line.company_id: line for line in current_lines(batches)}
