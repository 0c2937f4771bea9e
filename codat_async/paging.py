"""Lists as async iterators: one page after another, or some read ahead, as records or as pages."""

import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from codat_async.codec import OnInvalid, SlicedPage
from codat_async.dedup import SeenRecords, may_repeat, newest
from codat_async.errors import EmptyList, InvalidRecord
from codat_async.models import Page
from codat_async.prefetch import Advance, Step, page_count, read_pages

__all__ = ["MAX_PAGE_SIZE", "Drift", "Page", "Pager"]

T = TypeVar("T")

MAX_PAGE_SIZE: Final = 5000
"""The largest size that Codat accepts."""

_log = logging.getLogger(__name__)


class Drift(Struct, frozen=True):
    """How a list that was read to its end differs from what the API reported.

    Pages are requested by number, so rows that appear, vanish or move between two requests shift the rest:
    some are then read twice, others not at all.
    """

    total: int
    """``totalResults`` of the last page."""
    seen: int
    """Different records read."""
    duplicates: int
    """Rows that repeated a record in the same or an older version, and were dropped."""
    updates: int = 0
    """Rows that repeated a record in a newer version, and were handed on."""

    @property
    def reconciled(self) -> bool:
        """Whether as many different records were read as the API reported."""
        return self.seen == self.total


class Pager(Generic[T]):
    """A list of the API; nothing is requested before it is used.

    ``async for record in pager`` iterates over records, ``async for page in pager.pages()`` over pages. Every
    iteration starts from the beginning; ``total`` and ``drift`` describe the latest.

    A record that is read twice is handed on once, and a newer version too, of which :meth:`collect` keeps
    only the newest. One that comes again more than 1,024 records later may be taken for a newer version.

    Iterating raises the errors of requests, :class:`~codat_async.errors.PagingError` for a list that does not
    advance, and :class:`~codat_async.errors.InvalidRecord` for a record that does not fit its model (unless
    ``on_invalid`` is something else than ``"raise"``).
    """

    total: int | None = None
    """Records in the whole list after the filter; None before the first page."""
    drift: Drift | None = None
    """Set if a list that was read to its end does not match what the API reported."""

    def __init__(
        self,
        fetch: "Callable[[int, int, OnInvalid, bool], Awaitable[Page[T] | SlicedPage[T]]]",
        *,
        name: str = "list",
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        on_invalid: OnInvalid = "raise",
    ) -> None:
        if page < 1 or prefetch < 0 or (limit is not None and limit < 0):
            raise ValueError(
                f"page counts from 1, limit and prefetch from 0, not {page}, {limit} and {prefetch}"
            )
        if not 1 <= page_size <= MAX_PAGE_SIZE:
            raise ValueError(f"page_size is 1 to {MAX_PAGE_SIZE}, not {page_size}")
        if on_invalid not in ("raise", "skip") and not callable(on_invalid):
            raise ValueError(f'on_invalid is "raise", "skip" or a function, not {on_invalid!r}')
        # Takes a page's number, its size, what to do with an invalid record, and whether the
        # records are released one by one: then a large page is better decoded in slices.
        self._fetch = fetch
        self._name = name
        self._page = page
        self._limit = sys.maxsize if limit is None else limit
        # Which records a later page holds depends on the size, so only the first may be made smaller.
        self._page_size = page_size if limit is None or page > 1 else max(1, min(page_size, limit))
        self._prefetch = prefetch
        self._on_invalid: OnInvalid = on_invalid

    def __repr__(self) -> str:
        return f"<Pager {self._name} page_size={self._page_size} total={self.total}>"

    async def __aiter__(self) -> AsyncIterator[T]:
        """Iterate over the records, in order."""
        async with aclosing(self._pages(sliced=True)) as pages:
            async for page in pages:
                for record in page.results:
                    yield record
                # Before the next are decoded: that is faster in their memory than in new memory.
                page.results.clear()

    def pages(self) -> AsyncIterator[Page[T]]:
        """Iterate over the pages, in order; ``limit`` cuts the last one."""
        return self._pages()

    async def first(self) -> T | None:
        """Return the first record, or None if the list is empty."""
        only = copy(self)
        only._limit = min(1, self._limit)
        only._page_size = 1 if self._page == 1 else self._page_size
        records = await only.collect()
        self.total = only.total
        return records[0] if records else None

    async def one(self) -> T:
        """Return the first record; raises :class:`~codat_async.errors.EmptyList` if there is none."""
        record = await self.first()
        if record is None:
            raise EmptyList(f"{self._name} has no record; first() returns None instead")
        return record

    if not TYPE_CHECKING:

        def __await__(self):
            how = f"`async for record in {self._name}(...)`, or await its `.collect()` or `.first()`"
            raise TypeError(f"{self._name}() returns a pager, which is not awaited: write {how}")

        def __iter__(self):
            raise TypeError(f"{self._name}() returns a pager: write `async for` instead of `for`")

    async def collect(self) -> list[T]:
        """Return all records in one list; of a record that changed while reading, the newest version."""
        first = None if self._limit == 0 else await self._read(self._page)
        if first and self._is_plain(first):
            # Most lists are one page, for which a generator costs as much as the middleware.
            return first.head.results
        seen, records = SeenRecords(), list[T]()
        async with aclosing(self._pages(first, seen)) as pages:
            async for page in pages:
                records += page.results
        return newest(records) if seen.rows > await seen.count() else records

    def _is_plain(self, first: Step[T]) -> bool:
        """Whether the first page has all that is wanted, and nothing to drop, cut or report."""
        head, count, limit = first.head, len(first.head.results), self._limit
        if count != limit:
            counted = count + len(first.skipped) == head.total_results or self._page > 1
            if count > limit or not counted or not first.is_last or first.page is not head:
                return False
        return not may_repeat(head.results)

    async def _pages(
        self, first: Step[T] | None = None, seen: SeenRecords | None = None, *, sliced: bool = False
    ) -> AsyncGenerator[Page[T], None]:
        """Iterate over pages, or parts of them: records that are released one by one cost less so."""
        if self._limit == 0:
            return
        fetch = partial(self._read, sliced=sliced)
        read = first or await fetch(self._page)
        if self._is_plain(read):
            yield read.head
            return
        seen, left, total = seen or SeenRecords(), self._limit, 0
        reading = read_pages(fetch, self._page, ahead=lambda: self._prefetch, last=self._last, begun=read)
        advance = Advance(self._name, (self._page - 1) * self._page_size)
        async with aclosing(reading) as pages:
            async for read in pages:
                dropped, new = seen.dropped, seen.rows
                total = read.head.total_results
                async with aclosing(_parts(read.page)) as parts:
                    async for page in parts:
                        records = seen.new(page.results)
                        if left < len(records):
                            records = records[:left]
                        left -= len(records)
                        # Most pages stay as they are, and to set a field of a model is not cheap.
                        if records is not page.results:
                            page.results = records
                        yield page
                        if left == 0:
                            return
                seen.add_unreadable(len(read.skipped))
                # Only now, so that no record is lost to a link that leads nowhere.
                following, new = read.checked(), seen.rows - new
                rows = new + seen.dropped - dropped
                advance.check(read.number, following, rows=rows, new=new, total=total)
        drift = Drift(total, count := await seen.count(), seen.dropped, seen.rows - count)
        if self._page == 1 and drift != Drift(total, total, 0):
            self.drift = drift
            got = f"got {count}; {drift.duplicates} duplicates dropped, {drift.updates} newer versions"
            shifted = f"rows shifted while the list was read: the API reports {total} records, {got}"
            _log.warning("%s: %s", self._name, shifted)

    async def _read(self, number: int, *, sliced: bool = False) -> Step[T]:
        skipped: list[str | None] = []
        on_invalid = self._on_invalid
        if on_invalid != "raise":
            on_invalid = partial(_skip, skipped, on_invalid)
        read = Step(await self._fetch(number, self._page_size, on_invalid, sliced), number, self._name)
        read.skipped = skipped
        self.total, self.drift = read.head.total_results, None
        return read

    def _last(self, read: Step[T]) -> int:
        """Return the number of the last page that will be needed, according to a page."""
        size = read.head.page_size or self._page_size
        return page_count(min(read.head.total_results, (self._page - 1) * size + self._limit), size)


def _skip(skipped: list[str | None], on_invalid: OnInvalid, invalid: InvalidRecord) -> None:
    skipped.append(invalid.record_id)
    if callable(on_invalid):
        on_invalid(invalid)


async def _parts(page: Page[T] | SlicedPage[T]) -> AsyncGenerator[Page[T], None]:
    """Yield a page, or each of its slices as a page of its own."""
    if isinstance(page, Page):
        yield page
    else:
        async with aclosing(aiter(page)) as slices:
            async for records in slices:
                yield replace(page.head, results=records)
