"""Lists as async iterators: one page after another, or some read ahead, records or pages."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from codat_async.codec import OnInvalid, SlicedPage
from codat_async.dedup import HashSet
from codat_async.errors import InvalidRecord
from codat_async.models import Page
from codat_async.prefetch import Step, check_number, page_count, read_pages

__all__ = ["DEFAULT_PAGE_SIZE", "MAX_PAGE_SIZE", "Drift", "Page", "Pager"]

T = TypeVar("T")

DEFAULT_PAGE_SIZE: Final = 100
"""The size that Codat recommends for latency."""
MAX_PAGE_SIZE: Final = 5000
"""The largest that Codat accepts."""

_log = logging.getLogger(__name__)


class Drift(Struct, frozen=True):
    """How a list read to its end differs from what the API said it holds.

    Pages are asked for by number, so rows that appear or vanish between two requests
    shift the rest: some are then read twice, others not at all.
    """

    total: int
    """``totalResults`` as the last page gave it."""
    seen: int
    """Different records read."""
    duplicates: int
    """Records that came a second time and were dropped."""

    @property
    def reconciled(self) -> bool:
        """Whether as many different records were read as the API said there are."""
        return self.seen == self.total


class Pager(Generic[T]):
    """A list of the API, not read before it is used.

    ``async for record in pager`` gives records, ``async for page in pager.pages()`` gives
    pages; :meth:`first` and :meth:`collect` do what they say. Every iteration starts anew,
    so a pager can be used more than once. ``total`` and ``drift`` tell of the latest one.

    Errors come while iterating: those of a request, :class:`~codat_async.errors.PagingError`
    for a list that does not advance, :class:`~codat_async.errors.InvalidRecord` for a record
    no model accepts (unless ``on_invalid`` says otherwise).
    """

    def __init__(
        self,
        fetch: Callable[[int, int, OnInvalid], Awaitable[Page[T]]],
        *,
        fetch_sliced: Callable[[int, int, OnInvalid], Awaitable[SlicedPage[T]]] | None = None,
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
        self._fetch = fetch
        self._fetch_sliced = fetch_sliced
        self._name = name
        self._page = page
        # Which records a later page holds depends on the size, so only the first may be made smaller.
        self._page_size = page_size if limit is None or page > 1 else max(1, min(page_size, limit))
        self._limit = limit
        self._prefetch = prefetch
        self._on_invalid: OnInvalid = on_invalid
        self.total: int | None = None
        """Records in the whole list after the filter, once a page told."""
        self.drift: Drift | None = None
        """Set where a whole list did not come out as the API counted it."""

    def __repr__(self) -> str:
        return f"<Pager {self._name} page_size={self._page_size} total={self.total}>"

    async def __aiter__(self) -> AsyncIterator[T]:
        """The records, in order."""
        async with aclosing(self._pages(sliced=True)) as pages:
            async for page in pages:
                # Taken out one by one: a large page let go at once would stall the event loop.
                records = page.results
                records.reverse()
                while records:
                    yield records.pop()

    def pages(self) -> AsyncIterator[Page[T]]:
        """The pages, in order; ``limit`` cuts the last one."""
        return self._pages()

    async def first(self) -> T | None:
        """The first record, or None where the list is empty."""
        only = Pager(
            self._fetch,
            name=self._name,
            page=self._page,
            page_size=self._page_size,
            limit=1 if self._limit is None else min(1, self._limit),
            on_invalid=self._on_invalid,
        )
        async with aclosing(only._pages()) as pages:
            async for page in pages:
                self.total = only.total
                for record in page.results:
                    return record
        return None

    async def collect(self) -> list[T]:
        """All records in one list."""
        records: list[T] = []
        async with aclosing(self._pages()) as pages:
            async for page in pages:
                records += page.results
        return records

    async def _pages(self, *, sliced: bool = False) -> AsyncGenerator[Page[T], None]:
        """The pages, or each in parts where it can be: what is let go record by record costs less so."""
        self.total = self.drift = None
        left = self._limit
        if left == 0:
            return
        seen = _Seen(self._on_invalid)
        last: Page[T] | None = None
        async with aclosing(self._read(seen, sliced=sliced)) as pages:
            async for read in pages:
                last = read.head
                self.total = last.total_results
                async with aclosing(read.parts()) as parts:
                    async for page in parts:
                        page.results = seen.new(page.results)
                        if left is not None:
                            if len(page.results) >= left:
                                page.results = page.results[:left]
                                yield page
                                return
                            left -= len(page.results)
                        yield page
                # Told only now, so that nothing that came is lost to a link that leads nowhere.
                read.step.following()
        if last is not None and self._page == 1:
            self._reconcile(last, seen)

    def _reconcile(self, last: Page[T], seen: "_Seen") -> None:
        drift = Drift(total=last.total_results, seen=seen.count, duplicates=seen.duplicates)
        if not drift.reconciled or drift.duplicates:
            self.drift = drift
            _log.warning(
                "%s: rows shifted while paging: %d of %d records read, %d came twice",
                self._name,
                drift.seen,
                drift.total,
                drift.duplicates,
            )

    def _read(self, seen: "_Seen", *, sliced: bool) -> "AsyncGenerator[_Read[T], None]":
        async def fetch(number: int) -> _Read[T]:
            if sliced and self._fetch_sliced is not None:
                slices = await self._fetch_sliced(number, self._page_size, seen.on_invalid)
                page, empty = slices.head, slices.empty
            else:
                slices, page = None, await self._fetch(number, self._page_size, seen.on_invalid)
                empty = not page.results
            check_number(number, page.page_number, self._name)
            return _Read(page, slices, Step(page, number, self._name, empty=empty))

        return read_pages(fetch, self._page, ahead=lambda: self._prefetch, last=self._last)

    def _last(self, read: "_Read[T]") -> int:
        """The number of the last page that will be needed, as far as a page tells."""
        size = read.head.page_size or self._page_size
        total = read.head.total_results
        if self._limit is not None:
            total = min(total, (self._page - 1) * size + self._limit)
        return page_count(total, size)


class _Read(Generic[T]):
    """A page, whole or in slices, and where it leads."""

    def __init__(self, head: Page[T], slices: SlicedPage[T] | None, step: Step) -> None:
        self.head = head
        self.step = step
        self._slices = slices

    async def parts(self) -> AsyncGenerator[Page[T], None]:
        """The page, or each slice as a page of its own."""
        if self._slices is None:
            yield self.head
        else:
            async with aclosing(aiter(self._slices)) as slices:
                async for records in slices:
                    yield replace(self.head, results=records)

    @property
    def following(self) -> int | None:
        return self.step.next


class _Seen:
    """The records met so far in one iteration."""

    def __init__(self, on_invalid: OnInvalid) -> None:
        self.on_invalid: OnInvalid = on_invalid if on_invalid == "raise" else self._count_invalid
        self._tell = None if isinstance(on_invalid, str) else on_invalid
        self.count = 0
        self.duplicates = 0
        self._ids = HashSet()

    def new(self, records: list[T]) -> list[T]:
        """The records that were not met before."""
        ids = [None if (held := getattr(record, "id", None)) is None else hash(held) for record in records]
        unique = {identifier for identifier in ids if identifier is not None}
        if len(unique) == len(records) and self._ids.isdisjoint(unique):
            self._ids.update(unique)
            self.count += len(records)
            return records
        kept, fresh = [], set[int]()
        for identifier, record in zip(ids, records, strict=True):
            if identifier is not None:
                if identifier in fresh or identifier in self._ids:
                    continue
                fresh.add(identifier)
            kept.append(record)
        self._ids.update(fresh)
        self.count += len(kept)
        self.duplicates += len(records) - len(kept)
        return kept

    def _count_invalid(self, invalid: InvalidRecord) -> None:
        self.count += 1
        if self._tell is not None:
            self._tell(invalid)
