"""Lists as async iterators: one page after another, or some read ahead, as records or as pages."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from copy import copy
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import astuple, replace

from codat_async.codec import OnInvalid, SlicedPage
from codat_async.dedup import SeenRecords, newest
from codat_async.errors import EmptyList, InvalidRecord
from codat_async.models import Page
from codat_async.prefetch import Advance, Step, page_count, read_pages

__all__ = ["DEFAULT_PAGE_SIZE", "MAX_PAGE_SIZE", "Drift", "Page", "Pager"]

T = TypeVar("T")

DEFAULT_PAGE_SIZE: Final = 100
"""The size that Codat recommends for latency."""
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

    def __init__(
        self,
        fetch: "Callable[[int, int, OnInvalid, bool], Awaitable[Page[T] | SlicedPage[T]]]",
        *,
        name: str = "list",
        page: int = 1,
        page_size: int = DEFAULT_PAGE_SIZE,
        limit: int | None = None,
        prefetch: int = 0,
        on_invalid: OnInvalid = "raise",
    ) -> None:
        if page < 1:
            raise ValueError(f"page counts from 1, not {page}")
        if not 1 <= page_size <= MAX_PAGE_SIZE:
            raise ValueError(f"page_size is 1 to {MAX_PAGE_SIZE}, not {page_size}")
        if limit is not None and limit < 0:
            raise ValueError(f"limit is a number of records, not {limit}")
        if prefetch < 0:
            raise ValueError(f"prefetch is a number of pages, not {prefetch}")
        if on_invalid not in ("raise", "skip") and not callable(on_invalid):
            raise ValueError(f'on_invalid is "raise", "skip" or a function, not {on_invalid!r}')
        # Takes a page's number, its size, what to do with an invalid record, and whether the
        # records are released one by one: then a large page is better decoded in slices.
        self._fetch = fetch
        self._name = name
        self._page = page
        # Which records a later page holds depends on the size, so only the first may be made smaller.
        self._page_size = page_size if limit is None or page > 1 else max(1, min(page_size, limit))
        self._limit = limit
        self._prefetch = prefetch
        self._on_invalid: OnInvalid = on_invalid
        self.total: int | None = None
        """Records in the whole list after the filter; None before the first page."""
        self.drift: Drift | None = None
        """Set if a list that was read to its end does not match what the API reported."""

    def __repr__(self) -> str:
        return f"<Pager {self._name} page_size={self._page_size} total={self.total}>"

    async def __aiter__(self) -> AsyncIterator[T]:
        """Iterate over the records, in order."""
        async with aclosing(self._pages(SeenRecords(), sliced=True)) as pages:
            async for page in pages:
                # One by one: a large page released at once would stall the event loop.
                records = page.results
                records.reverse()
                while records:
                    yield records.pop()

    def pages(self) -> AsyncIterator[Page[T]]:
        """Iterate over the pages, in order; ``limit`` cuts the last one."""
        return self._pages(SeenRecords())

    async def first(self) -> T | None:
        """Return the first record, or None if the list is empty."""
        only = copy(self)
        only._limit = 1 if self._limit is None else min(1, self._limit)
        only._page_size, only._prefetch = 1 if self._page == 1 else self._page_size, 0
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
            name = self._name
            raise TypeError(
                f"{name}() returns a pager, which is not awaited: write "
                f"`async for record in {name}(...)`, or `await {name}(...).collect()` or `.first()`"
            )

        def __iter__(self):
            raise TypeError(f"{self._name}() returns a pager: write `async for` instead of `for`")

    async def collect(self) -> list[T]:
        """Return all records in one list; of a record that changed while reading, the newest version."""
        seen = SeenRecords()
        records: list[T] = []
        first = await self._first(seen)
        if first and first.only:
            # Most lists have one page, for which a generator costs as much as the middleware.
            records = (await self._only(first.head, seen)).results
        elif first:
            async with aclosing(self._pages(seen, first)) as pages:
                async for page in pages:
                    records += page.results
        return newest(records) if seen.rows > await seen.count() else records

    async def _first(self, seen: SeenRecords, *, sliced: bool = False) -> "_Read[T] | None":
        """Begin an iteration by requesting its first page, unless no record is wanted."""
        self.total = self.drift = None
        if self._limit == 0:
            return None
        first = await self._read(self._page, seen, sliced)
        self.total = first.head.total_results
        return first

    async def _pages(
        self, seen: SeenRecords, first: "_Read[T] | None" = None, *, sliced: bool = False
    ) -> AsyncGenerator[Page[T], None]:
        """Iterate over pages, or parts of them: records that are released one by one cost less so."""
        first = first or await self._first(seen, sliced=sliced)
        if first is None:
            return
        if first.only:
            yield await self._only(first.head, seen)
            return
        left, read = self._limit, first
        reading = read_pages(
            lambda number: self._read(number, seen, sliced),
            self._page,
            ahead=lambda: self._prefetch,
            last=self._last,
            begun=first,
        )
        first = None
        advance = Advance(self._name, (self._page - 1) * self._page_size)
        async with aclosing(reading) as pages:
            async for read in pages:
                dropped, new = seen.dropped, seen.rows
                self.total = read.head.total_results
                async with aclosing(read.parts()) as parts:
                    async for page in parts:
                        left = self._cut(page, seen, left)
                        yield page
                        if left == 0:
                            return
                # Only now, so that no record is lost to a link that leads nowhere.
                following, new = read.checked(), seen.rows - new
                rows = new + seen.dropped - dropped
                advance.check(read.number, following, rows=rows, new=new, total=self.total)
        await self._reconcile(read.head, seen)

    async def _only(self, page: Page[T], seen: SeenRecords) -> Page[T]:
        if self._cut(page, seen, self._limit) != 0:
            await self._reconcile(page, seen)
        return page

    @staticmethod
    def _cut(page: Page[T], seen: SeenRecords, left: int | None) -> int | None:
        """Drop a page's duplicates, and what exceeds the limit; return how many more may come."""
        records = seen.new(page.results)
        if left is not None and left < len(records):
            records = records[:left]
        # Most pages stay as they are, and to set a field of a model is not cheap.
        if records is not page.results:
            page.results = records
        return None if left is None else left - len(records)

    async def _reconcile(self, last: Page[T], seen: SeenRecords) -> None:
        if self._page > 1:
            return
        count = await seen.count()
        if count == last.total_results and not seen.dropped and seen.rows == count:
            return
        self.drift = Drift(last.total_results, count, seen.dropped, seen.rows - count)
        _log.warning(
            "%s: rows shifted while the list was read: the API reports %d records, got %d; "
            "%d duplicates dropped, %d newer versions",
            self._name,
            *astuple(self.drift),
        )

    async def _read(self, number: int, seen: SeenRecords, sliced: bool) -> "_Read[T]":
        """Request a page; a record in it that is invalid counts as read."""
        wanted = self._on_invalid

        def count(invalid: InvalidRecord) -> None:
            seen.add_unreadable()
            if callable(wanted):
                wanted(invalid)

        on_invalid = wanted if wanted == "raise" else count
        return _Read(await self._fetch(number, self._page_size, on_invalid, sliced), number, self._name)

    def _last(self, read: "_Read[T]") -> int:
        """Return the number of the last page that will be needed, according to a page."""
        size = read.head.page_size or self._page_size
        total = read.head.total_results
        if self._limit is not None:
            total = min(total, (self._page - 1) * size + self._limit)
        return page_count(total, size)


class _Read(Step, Generic[T]):
    """A page, whole or in slices, and where it leads."""

    def __init__(self, page: Page[T] | SlicedPage[T], number: int, name: str) -> None:
        self._slices = page if isinstance(page, SlicedPage) else None
        self.head = page.head if isinstance(page, SlicedPage) else page
        empty = page.empty if isinstance(page, SlicedPage) else not page.results
        super().__init__(self.head, number, name, empty=empty)
        self.only = self._slices is None and self.following is None and not self._failure

    async def parts(self) -> AsyncGenerator[Page[T], None]:
        """Yield the page, or each slice as a page of its own."""
        if self._slices is None:
            yield self.head
        else:
            async with aclosing(aiter(self._slices)) as slices:
                async for records in slices:
                    yield replace(self.head, results=records)
