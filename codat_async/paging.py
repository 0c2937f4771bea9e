"""Lists as async iterators: one page after another, or some read ahead, records or pages."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from codat_async.codec import OnInvalid
from codat_async.errors import InvalidRecord, PagingError
from codat_async.hashes import HashSet
from codat_async.models import Links, Page

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
        self._fetch = fetch
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
        async with aclosing(self._pages()) as pages:
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
            limit=1,
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

    async def _pages(self) -> AsyncGenerator[Page[T], None]:
        self.total = self.drift = None
        left = self._limit
        if left == 0:
            return
        seen = _Seen(self._on_invalid)
        last: Page[T] | None = None
        async with aclosing(self._ahead(seen) if self._prefetch else self._one_by_one(seen)) as pages:
            async for page in pages:
                self.total = page.total_results
                page.results = seen.new(page.results)
                last = page
                if left is not None:
                    if len(page.results) >= left:
                        page.results = page.results[:left]
                        yield page
                        return
                    left -= len(page.results)
                yield page
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

    async def _one_by_one(self, seen: "_Seen") -> AsyncGenerator[Page[T], None]:
        number: int | None = self._page
        while number is not None:
            page = await self._get(number, seen)
            step = self._step(page, number)
            yield page
            number = step.following()

    async def _ahead(self, seen: "_Seen") -> AsyncGenerator[Page[T], None]:
        number = self._page
        page = await self._get(number, seen)
        expected = number + self._pages_left(page)
        tasks: deque[asyncio.Task[Page[T]]] = deque()
        try:
            while True:
                step = self._step(page, number)
                if step.next != number + 1:
                    # The end, or the server skips: what was read ahead is not what comes next.
                    await _cancel(tasks)
                if step.next is not None:
                    ahead = step.next + len(tasks)
                    while len(tasks) < self._prefetch and (ahead <= expected or not tasks):
                        tasks.append(asyncio.create_task(self._get(ahead, seen)))
                        ahead += 1
                yield page
                following = step.following()
                if following is None:
                    return
                number = following
                page = await tasks.popleft()
        finally:
            await _cancel(tasks)

    def _pages_left(self, page: Page[T]) -> int:
        size = page.page_size or self._page_size
        total = page.total_results - (self._page - 1) * size
        if self._limit is not None:
            total = min(total, self._limit)
        return max(0, -(-total // size) - 1)

    async def _get(self, number: int, seen: "_Seen") -> Page[T]:
        page = await self._fetch(number, self._page_size, seen.on_invalid)
        check_number(number, page.page_number, self._name)
        return page

    def _step(self, page: Page[T], number: int) -> "Step":
        past_the_end = not page.results and number * page.page_size >= page.total_results
        return Step(page.links, number, self._name, past_the_end=past_the_end)


async def _cancel(tasks: deque[asyncio.Task[Page[T]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()


class Step:
    """Where a page leads, told from it before it is handed out and may be changed."""

    def __init__(self, links: Links | None, number: int, name: str, *, past_the_end: bool) -> None:
        self._number = number
        self._name = name
        self._link = links.next if links is not None else None
        self._past_the_end = past_the_end
        self.next = self._linked()
        """The number in ``_links.next``, where one can go on to it; nothing else of the link is used."""

    def _linked(self) -> int | None:
        if self._link is None:
            return None
        numbers = parse_qs(urlsplit(self._link.href or "").query).get("page", [])
        found = int(numbers[0]) if numbers and numbers[0].isdecimal() else 0
        return found if found > self._number and not self._past_the_end else None

    def following(self) -> int | None:
        """The page to go on to, None at the end; raises PagingError for a link that leads nowhere."""
        if self._link is not None and self.next is None:
            why = "which is past the end" if self._past_the_end else "the list does not advance"
            raise PagingError(
                f"{self._name}: page {self._number} links to {self._link.href!r} as the next; {why}"
            )
        return self.next


def check_number(asked: int, came: int, name: str) -> None:
    """Raise PagingError where another page came than was asked for; 0 stands for one that does not tell."""
    if came and came != asked:
        raise PagingError(
            f"{name}: page {asked} was asked for and page {came} came; the list does not advance"
        )


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
