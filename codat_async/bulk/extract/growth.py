"""The sizes that the pages of a list are requested in: larger ones if it is long, smaller if those fail."""

import logging
from http import HTTPStatus
from typing import Final, Protocol

from codat_async.bulk.extract.fetch import PageReader
from codat_async.bulk.plan.sizes import FIRST_SIZE, boundary, grown, known_size, smaller
from codat_async.bulk.store.state import UnitState
from codat_async.bulk.units.unit import Unit
from codat_async.errors import BadRequest, RequestTimeout, ResponseTooLarge, ServerError, StatusError
from codat_async.paging import MAX_PAGE_SIZE
from codat_async.prefetch import page_count

__all__ = ["RESIZABLE", "Growth"]

_log = logging.getLogger(__name__)
RESIZABLE: Final = (RequestTimeout, ResponseTooLarge, StatusError)
"""The errors that a smaller page may not have."""


class SizedPage(Protocol):
    """What must be known of a page."""

    number: int
    total: int
    received: int
    """Its bytes."""

    @property
    def rows(self) -> int:
        """Its records."""
        ...

    @property
    def following(self) -> int | None:
        """The next page's number; None on the last."""
        ...


class Growth:
    """The size of the next page of a list, by its state, of which ``next_page`` counts in that size.

    ``fixed`` is a size that never changes, 0 for none.
    """

    def __init__(self, reader: PageReader, unit: Unit, fixed: int) -> None:
        self._reader = reader
        self._unit = unit
        self._fixed = fixed
        self._uneven = False
        """Whether a page had another number of records than was asked for."""

    def begin(self, state: UnitState, rows: int) -> None:
        """Choose the first size of a list that had so many records."""
        if state.whole and rows and not (state.page_size or self._fixed):
            state.page_size = known_size(rows)

    def size(self, state: UnitState) -> int:
        """Records of the next page."""
        return self._fixed or state.page_size or FIRST_SIZE

    def offset(self, state: UnitState) -> int:
        """The records before the next page."""
        return ((state.next_page or 1) - 1) * self.size(state)

    def last(self, state: UnitState, page: SizedPage) -> int:
        """The number of the last page to request ahead in the size of this one."""
        size = self.size(state)
        return page_count(boundary(size, page.number * size, page.total, self._ceiling(state, page)), size)

    def grown(self, state: UnitState, page: SizedPage) -> int | None:
        """The size to go on with after a page, whose next one the state has; None if it stays."""
        size = self.size(state)
        # A server with a size of its own goes by that, so its pages must not be counted in another.
        self._uneven = self._uneven or (page.following is not None and page.rows != size)
        larger = grown(size, self.offset(state), page.total, self._ceiling(state, page))
        return larger if page.following == page.number + 1 and larger != size else None

    def smaller(self, state: UnitState, error: Exception) -> int | None:
        """The size to go on with after an error, for all lists of the type; None if that would not help."""
        now = self.size(state)
        size = smaller(now)
        if self._fixed or self._uneven or size is None:
            return None
        if isinstance(error, StatusError) and error.status != HTTPStatus.REQUEST_TIMEOUT:
            sized = isinstance(error, (ServerError, BadRequest))
            if not sized or size < FIRST_SIZE:
                # The list fails, and not its size.
                return None
        _log.info("%s: pages of %d records failed, going on with %d: %s", self._unit, now, size, error)
        self._reader.largest[self._unit.type] = size
        return size

    def resize(self, state: UnitState, size: int) -> None:
        """Go on in pages of another size, which the offset is a multiple of."""
        state.page_size, state.next_page = size, self.offset(state) // size + 1

    def _ceiling(self, state: UnitState, page: SizedPage) -> int:
        """The largest size to read the pages after this one in."""
        if self._fixed or self._uneven:
            return self.size(state)
        # A page takes up to a quarter of the memory: others are read at the same time.
        fits = self._reader.room // 4 * page.rows // max(1, page.received)
        known = self._reader.largest.get(self._unit.type, MAX_PAGE_SIZE)
        return min(state.largest or MAX_PAGE_SIZE, known, fits)
