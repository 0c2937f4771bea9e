"""Reads the pages of a list ahead of their turn, each within a memory budget."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, Protocol, TypeVar

from codat_async.bulk.extract.memory import MemoryBudget, Reservation
from codat_async.errors import ResponseTooLarge
from codat_async.prefetch import page_count, read_pages
from codat_middleware import Response

__all__ = ["SMALLEST_LIMIT", "PageReader"]

_FIRST_ESTIMATE: Final = 256 * 1024
"""Bytes reserved for a page of a type of which none was read yet."""
SMALLEST_LIMIT: Final = 1024 * 1024
"""Bytes that an answer may have however small the memory is."""
_SHARE: Final = 16
"""An answer of unknown size may have this part of the memory, before it is requested again alone."""


class ReservedPage(Protocol):
    """What must be known of a prepared page."""

    total: int
    reservation: Reservation | None

    @property
    def following(self) -> int | None:
        """The next page's number; None on the last."""


P = TypeVar("P", bound=ReservedPage)


class PageReader:
    """Reads lists page by page; all lists of a pull share its memory budget."""

    def __init__(self, memory: int, on_wait: Callable[[], None] = lambda: None) -> None:
        self._budget = MemoryBudget(memory, on_wait)
        self._limit = max(memory, SMALLEST_LIMIT)
        self._alone = asyncio.Lock()
        self._pages: dict[str, tuple[int, int]] = {}
        """Records and bytes of the latest page of each type, an estimate for the next."""
        self.largest: dict[str, int] = {}
        """The largest size of page of each type, if a larger one failed."""

    def waits(self) -> bool:
        """Whether a page waits for memory."""
        return self._budget.waits()

    @property
    def room(self) -> int:
        """Bytes of all pages that may be in memory at once."""
        return self._limit

    def _expected(self, type_name: str, page_size: int) -> int:
        """The bytes that a page should have, from the latest of its type."""
        size, known = self._pages.get(type_name, (page_size, _FIRST_ESTIMATE))
        return known * page_size // size

    async def send(
        self, type_name: str, request: Callable[[int], Awaitable[Response]], page_size: int = 1
    ) -> Response:
        """Send a request, which is passed the most bytes that the answer may have.

        A small compressed answer can grow to any size while it is received, and many at once. One that
        is larger than its share is requested a second time, when no other of its kind is: it may then
        have all of the memory. Raises :class:`~codat_async.errors.ResponseTooLarge` if that is not enough.
        """
        known = self._expected(type_name, page_size)
        share = min(self._limit, max(2 * known, self._limit // _SHARE, SMALLEST_LIMIT))
        try:
            response = await request(share)
        except ResponseTooLarge:
            if share == self._limit:
                raise
            async with self._alone:
                response = await request(self._limit)
        self._pages[type_name] = page_size, len(response.body)
        return response

    async def pages(
        self,
        type_name: str,
        first: int,
        page_size: int,
        *,
        ahead: Callable[[], int],
        send: Callable[[int, int], Awaitable[Response]],
        prepare: Callable[[bytes, int, Reservation], Awaitable[P]],
        last: Callable[[P], int] | None = None,
    ) -> AsyncGenerator[P, None]:
        """The pages of a list from number ``first`` on.

        ``send`` requests a page by its number, of a limited size, once its memory is reserved.
        ``prepare`` makes a page of the body, and may resize the reservation. ``ahead`` is as in
        :func:`~codat_async.prefetch.read_pages`, and so is ``last``; by default it is that of the list.

        A page's reservation becomes the caller's by asking for the next page, or by noting in it that it
        is taken. Those of all other pages are released when the generator is closed.
        """
        held: set[Reservation] = set()

        async def fetch(number: int) -> P:
            reservation = await self._budget.reserve(self._expected(type_name, page_size))
            held.add(reservation)
            try:
                response = await self.send(type_name, lambda limit: send(number, limit), page_size)
                reservation.resize(len(response.body))
                page = await prepare(response.body, number, reservation)
            except BaseException:
                # The list may be read on without this page, and would wait for the memory it holds.
                drop(reservation)
                raise
            page.reservation = reservation
            return page

        def drop(reservation: Reservation | None) -> None:
            if reservation is not None:
                reservation.release()
                held.discard(reservation)

        try:
            begun = await fetch(first)
            if begun.following is None:
                # Most lists have one page, which needs nothing of what follows.
                yield begun
                if begun.reservation is not None:
                    held.discard(begun.reservation)
                return
            pages = read_pages(
                fetch,
                first,
                ahead=ahead,
                last=last or (lambda page: page_count(page.total, page_size)),
                drop=lambda page: drop(page.reservation),
                begun=begun,
            )
            async with aclosing(pages):
                async for page in pages:
                    yield page
                    if page.reservation is not None:
                        held.discard(page.reservation)
        finally:
            for reservation in [*held]:
                if not reservation.taken:
                    drop(reservation)
