"""Reads the pages of a list in order, some of them ahead of their turn, and finds where each leads."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from codat_async.codec import SlicedPage
from codat_async.errors import PagingError
from codat_async.models import Page
from codat_middleware.text import one_line

__all__ = ["Advance", "Leading", "Step", "page_count", "read_pages"]

T = TypeVar("T")

_IDLE: Final = 5
"""Pages in a row without anything new, after which a list is taken for one without end. So many may repeat
known records if that many pages of records are inserted between two requests."""
_HREF: Final = 4096
"""Characters of a link in which the page number is looked for."""
_PAGE: Final = re.compile("[?&]page=([0-9]{1,9})(?:[&#]|$)").search
_UNSTATED: Final = 1000
"""Pages of a list that does not state its total."""


class Step(Generic[T]):
    """A page and where it leads, which is found before it is handed out, since its user may change it.

    Raises :class:`~codat_async.errors.PagingError` if it has another number than requested (or 0, for none).
    """

    following: int | None = None
    """The number in the page's link to the next, if it is usable; nothing else of the link is used."""
    failure = ""
    """Why the link is not usable."""

    def __init__(
        self, page: Page[T] | SlicedPage[T], number: int, name: str, skipped: Sequence[object] = ()
    ) -> None:
        self.head = head = page.head if isinstance(page, SlicedPage) else page
        if head.page_number not in (number, 0):
            received = head.page_number
            why = "the server ignores the page number" if received == 1 else "the list does not advance"
            raise PagingError(f"{name}: requested page {number}, received page {received}; {why}")
        self.page = page
        self.number = number
        self.skipped = skipped
        """Its invalid records; of a page in slices those so far."""
        link = head.links and head.links.next
        if not link:
            return
        href = link.href or ""
        # An empty page that does not state its size could lead on for ever.
        empty = page.empty if isinstance(page, SlicedPage) else not (page.results or skipped)
        past = empty and not 0 < number * head.page_size < head.total_results
        found = _PAGE(href[:_HREF])
        if found and int(found[1]) > number and not past:
            self.following = int(found[1])
            return
        why = "which is past the end" if past else "the list does not advance"
        # Without the query, which may hold credentials.
        href = one_line(href.partition("?")[0])
        self.failure = f"{name}: page {number} links to {href!r} as the next; {why}"

    def checked(self) -> int | None:
        """Return the next page's number, None at the end; raises PagingError if the list does not advance."""
        if self.failure:
            raise PagingError(self.failure)
        return self.following


class Advance:
    """Ends a list that goes on although it has nothing more; ``received`` is how many rows came before."""

    def __init__(self, name: str, received: int = 0) -> None:
        self._name = name
        self._received = received
        self._idle = 0

    def check(self, number: int, following: int | None, *, rows: int, new: int, total: int) -> None:
        """Raise PagingError if page ``number`` is one too many, given its rows and how many were new."""
        self._received += rows
        past = self._received >= total if total > 0 else number >= _UNSTATED
        self._idle = self._idle + 1 if past or not new else 0
        if following is None or self._idle < _IDLE:
            return
        if new:
            why = f"{self._received} records were received, and the API reports {max(total, 0)}"
        elif rows:
            why = "its records, and those before, are repeated; the server seems to ignore the page number"
        else:
            why = "it is empty, as those before"
        raise PagingError(f"{self._name}: page {number} links to a next one, but {why}")


def page_count(total: int, size: int) -> int:
    """Return how many pages of that size a list of ``total`` records has; 0 for an empty list."""
    return -(-total // size)


class Leading(Protocol):
    """What must be known of a page to continue after it."""

    @property
    def following(self) -> int | None:
        """The next page's number; None on the last."""


P = TypeVar("P", bound=Leading)


async def read_pages(
    fetch: Callable[[int], Coroutine[Any, Any, P]],
    first: int,
    *,
    ahead: Callable[[], int],
    last: Callable[[P], int],
    drop: Callable[[P], object] = lambda page: None,
    begun: P | None = None,
) -> AsyncGenerator[P, None]:
    """Yield the pages from number ``first`` on, which is ``begun`` if it was fetched already.

    ``ahead`` returns how many pages to request ahead of their turn; it is called before each request.
    ``last`` returns the number of the list's last page according to a page: pages beyond it are requested
    only after the page that links to them was handled. ``drop`` is called with each page that was received
    and is not yielded, since the list skipped it or the iteration was left.
    """
    tasks: deque[asyncio.Task[P]] = deque()

    async def cancel() -> None:
        for task in tasks:
            task.cancel()
        for page in await asyncio.gather(*tasks, return_exceptions=True) if tasks else ():
            if not isinstance(page, BaseException):
                drop(page)
        tasks.clear()

    number = unrequested = first
    page = begun or await fetch(first)
    begun = None
    try:
        while True:
            following = page.following
            if following != number + 1:
                # The list ended, or skipped a number: the pages requested ahead do not come next.
                await cancel()
            if following is not None:
                if not tasks:
                    unrequested = following
                while len(tasks) < ahead() and unrequested <= last(page):
                    tasks.append(asyncio.create_task(fetch(unrequested)))
                    unrequested += 1
            yield page
            if following is None:
                return
            number = following
            page = await (tasks.popleft() if tasks else fetch(number))
    finally:
        await cancel()
