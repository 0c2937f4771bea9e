"""Reads the pages of a list in order: where each leads, and some of them ahead of their turn."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

from codat_async.errors import PagingError
from codat_async.models import Links

__all__ = ["Leading", "PageHead", "Step", "check_number", "page_count", "read_pages"]


class PageHead(Protocol):
    """What a page tells of itself, whatever its records were made into."""

    page_size: int
    total_results: int
    links: Links | None


class Step:
    """Where a page leads, told from it before it is handed out and may be changed."""

    def __init__(self, page: PageHead, number: int, name: str, *, empty: bool) -> None:
        self._number = number
        self._name = name
        self._link = page.links.next if page.links is not None else None
        # A page without records that does not tell its size could lead on for ever.
        self._past_the_end = empty and not 0 < number * page.page_size < page.total_results
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


def page_count(total: int, size: int) -> int:
    """How many pages of that size a list of ``total`` records has; 0 for an empty list."""
    return -(-total // size)


class Leading(Protocol):
    """What has to be known of a page to go on from it."""

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
) -> AsyncGenerator[P, None]:
    """The pages from ``first`` on.

    ``ahead`` tells, each time anew, how many to ask for before their turn, and ``last`` the
    number of the list's last page as far as one tells: beyond it a page is asked for only
    when one that leads to it has been dealt with. ``drop`` is called with each page that
    came and is not handed out, since it was not the next or nobody asked any more.
    """
    tasks: deque[asyncio.Task[P]] = deque()

    async def cancel() -> None:
        for task in tasks:
            task.cancel()
        for page in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(page, BaseException):
                drop(page)
        tasks.clear()

    number = unasked = first
    page = await fetch(first)
    try:
        while True:
            following = page.following
            if following != number + 1:
                # The end, or the server skips: what was read ahead is not what comes next.
                await cancel()
            if following is not None:
                if not tasks:
                    unasked = following
                while len(tasks) < ahead() and unasked <= last(page):
                    tasks.append(asyncio.create_task(fetch(unasked)))
                    unasked += 1
            yield page
            if following is None:
                return
            number = following
            page = await (tasks.popleft() if tasks else fetch(number))
    finally:
        await cancel()
