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

__all__ = ["Advance", "Step", "page_count", "read_pages"]

T = TypeVar("T")

_IDLE: Final = 5
"""Pages in a row without anything new, after which a list is taken for one without end. So many may repeat
known records if that many pages of records are inserted between two requests."""
_PAGE: Final = re.compile("[?&]page=([0-9]{1,9})(?:[&#]|$)").search
_UNSTATED: Final = 1000
"""Pages of a list that does not state its total."""


class Step(Generic[T]):
    """A page and where it leads, found before it is handed out, since its user may change it.

    Raises :class:`~codat_async.errors.PagingError` if it has another number than requested (or 0, for none).
    """

    is_last = False
    """Whether it has no link to another."""
    following: int | None = None
    """The number in the page's link to the next, if it is usable; nothing else of the link is used."""
    skipped: Sequence[object] = ()
    """Its invalid records; of a page in slices, those in the slices so far."""
    _failure = ""

    def __init__(self, page: Page[T] | SlicedPage[T], number: int, name: str) -> None:
        self.page, self.number = page, number
        self.head = head = page if isinstance(page, Page) else page.head
        if head.page_number not in (number, 0):
            received = head.page_number
            why = "the server ignores the page number" if received == 1 else "the list does not advance"
            raise PagingError(f"{name}: requested page {number}, received page {received}; {why}")
        link = head.links and head.links.next
        if not link:
            self.is_last = True
            return
        found = _PAGE(href := link.href or "")
        if found and int(found[1]) > number:
            self.following = int(found[1])
        else:
            # Without the query, which may hold credentials.
            href = one_line(href.partition("?")[0])
            self._failure = f"{name}: page {number} links to {href!r} as the next; the list does not advance"

    def checked(self) -> int | None:
        """Return the next page's number, None at the end; raises PagingError if the list does not advance."""
        if self._failure:
            raise PagingError(self._failure)
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
        if following is None or (self._idle < _IDLE and (rows or not past)):
            return
        if new:
            why = f"{self._received} records were received, and the API reports {max(total, 0)}"
        elif rows:
            why = "its records, and those before, are repeated; the server seems to ignore the page number"
        else:
            why = "it is empty and past the end" if past else "it is empty, as those before"
        raise PagingError(f"{self._name}: page {number} links to a next one, but {why}")


def page_count(total: int, size: int) -> int:
    """Return how many pages of that size a list of ``total`` records has; 0 for an empty list."""
    return -(-total // size)


class _Leading(Protocol):
    @property
    def following(self) -> int | None:
        """The next page's number; None on the last."""


P = TypeVar("P", bound=_Leading)


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

    ``ahead``, called before each request, returns how many pages to request ahead of their turn. ``last``
    returns the list's last page according to a page: those beyond it are requested only after the page that
    links to them was handled. ``drop`` is called with each page that was received and is not yielded.
    """
    tasks: deque[asyncio.Task[P]] = deque()

    async def cancel() -> None:
        for task in tasks:
            task.cancel()
        for page in await asyncio.gather(*tasks, return_exceptions=True) if tasks else ():
            if not isinstance(page, BaseException):
                drop(page)
        tasks.clear()

    number, page = first, begun or await fetch(first)
    begun = None
    try:
        while True:
            following = page.following
            if following != number + 1:
                # The list ended, or skipped a number: the pages requested ahead do not come next.
                await cancel()
            while following is not None and len(tasks) < ahead() and following + len(tasks) <= last(page):
                tasks.append(asyncio.create_task(fetch(following + len(tasks))))
            yield page
            if following is None:
                return
            number, page = following, await (tasks.popleft() if tasks else fetch(following))
    finally:
        await cancel()
