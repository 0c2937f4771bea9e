"""The reading of one list of a typed stream: its pages, duplicates, and what the next reading needs."""

import logging
from datetime import timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from codat_async.bulk.extract.growth import Growth
from codat_async.bulk.extract.memory import Reservation
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Opened, State
from codat_async.bulk.stream.batches import Batch, batch_of
from codat_async.bulk.stream.marks import Marks
from codat_async.dedup import SeenRecords
from codat_async.errors import InvalidRecord
from codat_async.prefetch import Advance

__all__ = ["TypedList", "TypedPage"]

_log = logging.getLogger(__name__)


class TypedPage(Struct, kw_only=True):
    """A page of a list, decoded."""

    number: int
    following: int | None
    total: int
    received: int
    records: list[Any]
    invalid: list[InvalidRecord]
    reservation: Reservation | None

    @property
    def rows(self) -> int:
        """Records on the page, those that the model rejects included."""
        return len(self.records) + len(self.invalid)


class TypedList:
    """How far a list was read, page by page."""

    def __init__(self, opened: Opened, growth: Growth, overlap: timedelta | None) -> None:
        self.state = state = replace(opened.state, state=State.READING)
        self.growth = growth
        growth.begin(state, opened.rows)
        self.grew = False
        """Whether the pages after the last one are larger."""
        self._unit = opened.unit
        self._marks = None if overlap is None else Marks(opened, overlap)
        self._seen = SeenRecords()
        self._new = 0
        """Records of the last page that no page before it had."""
        self._whole = state.next_page == 1
        """Whether this process reads all pages."""
        # Of a list that goes on at a later page the data status alone says whether rows shifted.
        self._complete = self._whole or state.gated
        self._advance = Advance(opened.unit.type, growth.offset(state))

    async def add(self, page: TypedPage) -> tuple[Batch, tuple[Ending, Ending] | None]:
        """Note a page, and make the batch of it; on the last one, with what the next reading needs.

        That is for a reading that is confirmed, and for one that is not. None if nothing is kept.
        """
        unit, marks, seen = self._unit, self._marks, self._seen
        kept = seen.new(page.records)
        seen.add_unreadable(invalid := len(page.invalid))
        if page.following is None and self._whole and (count := await seen.count()) != page.total:
            self._complete = False
            _log.warning(
                "%s: rows shifted while the list was read: got %d records, the API reports %d",
                unit,
                count,
                page.total,
            )
        self._new = len(kept) + invalid
        endings = None
        if marks is None:
            self.state = replace(self.state, next_page=page.following)
        else:
            kept = marks.fresh(kept, page.invalid)
            self.state = marks.advance(self.state, page.following, rows=len(kept) + invalid)
            if page.following is None:
                endings = marks.endings(self.state, complete=self._complete)
        larger = self.growth.grown(self.state, page)
        self.grew = larger is not None
        if larger is not None:
            self.growth.resize(self.state, larger)
        return batch_of(unit, page.number, page.total, kept, page.invalid, whole=self.state.whole), endings

    def check(self, page: TypedPage) -> None:
        """Raise PagingError if the list does not advance."""
        self._advance.check(page.number, page.following, rows=page.rows, new=self._new, total=page.total)
