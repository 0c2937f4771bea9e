"""Where the lines of a reading go: small lists stay in memory until complete, large ones get a file."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from msgspec.structs import replace

from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.gate import Settle
from codat_async.bulk.extract.memory import Reservation
from codat_async.bulk.extract.page import PreparedPage
from codat_async.bulk.store.compression import read_ranges
from codat_async.bulk.store.files import FileKind
from codat_async.bulk.store.journal import Block
from codat_async.bulk.store.keys import pack_keys
from codat_async.bulk.store.lines import empty_line, head_of
from codat_async.bulk.store.listings import listing_lines
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Before, UnitState, microseconds
from codat_async.bulk.store.versions import MOST_HASHES, pack_hashes, unpack_hashes
from codat_async.bulk.store.writer import WriteBatch
from codat_async.bulk.units.unit import Unit

__all__ = ["Output"]

Record: TypeAlias = Callable[[WriteBatch], None]
"""Stores, within a batch, what a change of the state means for the sums of the run."""
_DAY: Final = 86_400_000_000


class Output:
    """The lines of one reading of a list."""

    def __init__(self, context: Context, unit: Unit, state: UnitState) -> None:
        self._context = context
        self._unit = unit
        self._payloads: list[bytes] = []
        self._size = 0
        self._held: list[Reservation] = []
        """What the lines in memory have reserved."""
        self._listing: list[bytes] = []
        self._recent = _Recent(context.overlap)
        self._path = self._file_path(state.file) if state.file else None

    @property
    def in_file(self) -> bool:
        """Whether the list has a file of its own."""
        return self._path is not None

    def outgrows(self, size: int) -> bool:
        """Whether the lines in memory and this many bytes more are too large for memory."""
        return self._size + size > self._context.small

    def lines(self, state: UnitState) -> Iterator[list[bytes]]:
        """The lines so far; those in the file must be committed."""
        if self._path is None:
            return (payload.splitlines() for payload in self._payloads)
        return read_ranges(self._part(), [(0, state.bytes_written)] if state.bytes_written else [])

    def note(self, page: PreparedPage, state: UnitState) -> None:
        """Note the versions and the invalid records of a page."""
        self._recent.add(page.recent, _microseconds(state.last_modified))
        if page.invalid:
            self._listing.append(listing_lines(self._unit, state.n, page.number, page.invalid))

    def hold(self, page: PreparedPage) -> None:
        """Keep the lines of a page in memory, with its reservation."""
        self._payloads.append(page.payload)
        self._size += len(page.payload)
        if page.reservation is not None:
            page.reservation.resize(len(page.payload))
            page.reservation.taken = True
            self._held.append(page.reservation)

    async def move_to_file(self, state: UnitState) -> bytes:
        """Give the list a file of its own; returns what was in memory, compressed, to be appended first."""
        context, unit = self._context, self._unit

        def job(batch: WriteBatch) -> int:
            keys, files = batch.checkpoint.keys, batch.checkpoint.files
            company = pack_keys([keys.company(unit.company)])
            return files.add(
                keys.type(unit.type), FileKind.OWN, context.run.id, context.run.compression, companies=company
            )

        state.file = await context.writer.commit(job)
        self._path = self._file_path(state.file)
        held = b"".join(self._payloads)
        self._payloads.clear()
        self._size = 0
        return await context.in_thread(context.compress, held) if held else b""

    def append(self, state: UnitState, data: bytes, reservation: Reservation | None, record: Record) -> None:
        """Append compressed lines to the list's own file; the state is stored with them."""
        begins = state.bytes_written
        state.bytes_written += len(data)
        state.crc = zlib.crc32(data, state.crc)
        saved, unit, context = replace(state), self._unit, self._context
        listing = self._take_listing()
        held, self._held = self._held, []
        if reservation is not None:
            reservation.taken = True
            held.append(reservation)
        for each in held[:-1]:
            each.release()
        if held:
            held[-1].resize(len(data))

        def job(batch: WriteBatch) -> None:
            checkpoint = batch.checkpoint
            if data:
                batch.write(self._part(), begins, data)
                latest = _microseconds(saved.last_modified)
                checkpoint.files.add_page(saved.file, begins, saved.bytes_written, latest)
            self._write_listing(batch, listing, saved.n)
            checkpoint.lists.save(context.run, unit, saved)
            record(batch)

        context.writer.submit(job, lambda error: _release(held), size=len(data) + len(listing))

    # --- the end -------------------------------------------------------------------------

    async def finish(
        self,
        state: UnitState,
        watermark: int | None,
        before: Before | None,
        record: Callable[[], Record],
        done: Callable[[], None],
    ) -> Settle | None:
        """Submit the end of a complete reading; ``done`` is called once it is committed.

        Returns what is to be called once it is known whether the reading is confirmed; None if it cannot be.
        """
        reached = set[int]() if watermark is None else self._recent.reached(watermark)
        if not self.in_file and state.whole and len(reached) > MOST_HASHES:
            first = await self.move_to_file(state)
            self.append(state, first, None, record())
        unused = 0
        if self.in_file and not state.bytes_written:
            # Every row was written by earlier readings.
            unused, state.file, self._path = state.file, 0, None
        overlap, file = self._overlap(state, watermark, before, reached)
        final = Ending(watermark=watermark, overlap=overlap, file=file, token=state.token)
        unmoved = self._unmoved(before, watermark) if state.gated else final
        small = b"" if self.in_file else self._small(state)
        saved, listing, recorded = replace(state), self._take_listing(), record()
        unit, run, held, path = self._unit, self._context.run, self._held, self._path

        def job(batch: WriteBatch) -> None:
            checkpoint = batch.checkpoint
            if path is not None:
                self._seal_file(batch, saved, watermark)
            elif small:
                company = checkpoint.keys.company(unit.company)
                lines = max(1, saved.rows)
                batch.add(Block(unit.type, company, saved.n, saved.rows, lines, small))
            if unused:
                checkpoint.files.remove([unused])
            self._write_listing(batch, listing, saved.n)
            checkpoint.lists.finish(run, unit, saved, unmoved)
            if state.token is None:
                drop_pages(batch, unmoved)
            recorded(batch)

        def drop_pages(batch: WriteBatch, kept: Ending) -> None:
            used = {saved.file, 0 if before is None else before.file}
            for each in used - {0, kept.file}:
                batch.checkpoint.files.drop_pages(each)

        def settle(batch: WriteBatch, confirmed: bool) -> None:
            if confirmed:
                batch.checkpoint.lists.confirm(run, unit, final)
            drop_pages(batch, final if confirmed else unmoved)

        def committed(error: Exception | None) -> None:
            _release(held)
            if error is None:
                done()

        self._context.writer.submit(job, committed, size=len(small) + len(listing))
        return None if state.token is None else settle

    def _unmoved(self, before: Before | None, watermark: int | None) -> Ending:
        """What the next reading needs if this one is not confirmed: it begins where this one did."""
        if before is None or watermark is None:
            return Ending()
        if before.overlap is None:
            return Ending(watermark=before.watermark, file=before.file)
        known = unpack_hashes(before.overlap)
        met = known | self._recent.reached(before.watermark)
        # Versions that are not among them are written a second time, which does no harm.
        overlap = before.overlap if len(met) > MOST_HASHES else pack_hashes(met)
        return Ending(watermark=before.watermark, overlap=overlap)

    def _overlap(
        self, state: UnitState, watermark: int | None, before: Before | None, reached: set[int]
    ) -> tuple[bytes | None, int]:
        """The hashes for the next reading to compare with, or the own file that has the versions."""
        if watermark is None:
            return None, 0
        if before is not None and not state.rows and watermark == before.watermark:
            return before.overlap, before.file
        if state.file and not state.overlap:
            return None, state.file
        return pack_hashes(reached), 0

    def _small(self, state: UnitState) -> bytes:
        if state.rows or not state.whole:
            return b"".join(self._payloads)
        return empty_line(head_of(self._unit, state.n, whole=True))

    def _seal_file(self, batch: WriteBatch, state: UnitState, watermark: int | None) -> None:
        assert self._path is not None
        checkpoint = batch.checkpoint
        batch.cut(self._part(), state.bytes_written)
        batch.publish(self._part(), self._path)
        checkpoint.files.seal(
            state.file,
            size=state.bytes_written,
            crc=state.crc,
            lines=state.rows,
            rows=state.rows,
            first_n=state.n,
            last_n=state.n,
            companies=[checkpoint.keys.company(self._unit.company)],
        )
        if watermark is None:
            checkpoint.files.drop_pages(state.file)
        else:
            # A later run may have a larger overlap.
            checkpoint.files.keep_pages(state.file, watermark - self._context.overlap - _DAY)

    def discard(self, state: UnitState, batch: WriteBatch | None) -> None:
        """Forget all lines; those in the file within a batch."""
        if batch is not None and self._path is not None:
            batch.cut(self._part(), 0)
            batch.checkpoint.files.remove([state.file])
        _release(self._held)
        self._held = []
        self._payloads.clear()
        self._listing.clear()
        self._size = 0

    def _take_listing(self) -> bytes:
        taken = b"".join(self._listing)
        self._listing.clear()
        return taken

    def _write_listing(self, batch: WriteBatch, listing: bytes, n: int) -> None:
        if listing:
            unit, count = self._unit, listing.count(b"\n")
            company = batch.checkpoint.keys.company(unit.company)
            batch.add(Block(unit.type, company, n, count, count, listing, listing=True))

    def _file_path(self, number: int) -> Path:
        run, layout = self._context.run, self._context.directory.layout
        return layout.segment(self._unit.type, number, run.id, run.compression)  # type: ignore[arg-type]

    def _part(self) -> Path:
        assert self._path is not None
        return self._context.directory.layout.part(self._path)


class _Recent:
    """The versions that the overlap of the next reading may reach."""

    def __init__(self, overlap: int) -> None:
        self._overlap = overlap
        self._found: list[tuple[int, int]] = []
        self._pruned = 0

    def add(self, versions: Sequence[tuple[int, int]], latest: int | None) -> None:
        """Add those of a page; ``latest`` is the latest modified date so far."""
        self._found.extend(versions)
        if latest is not None and len(self._found) > 2 * self._pruned + MOST_HASHES:
            self._found = [each for each in self._found if each[0] >= latest - self._overlap]
            self._pruned = len(self._found)

    def reached(self, watermark: int) -> set[int]:
        """The hashes of those in the overlap before a watermark."""
        return {version for modified, version in self._found if modified >= watermark - self._overlap}


def _release(reservations: Iterable[Reservation]) -> None:
    for each in reservations:
        each.release()


def _microseconds(moment: str | None) -> int | None:
    return None if moment is None else microseconds(datetime.fromisoformat(moment))
