"""The loop that reads pages: in order, some ahead of their turn, and only those that are linked to."""

import asyncio

import pytest

from codat_async.errors import PagingError
from codat_async.prefetch import Advance, read_pages


class Leaf:
    """A page with the number of the next."""

    def __init__(self, number: int, following: int | None, last: int) -> None:
        self.number = number
        self.following = following
        self.last = last


class Book:
    """Pages by number, and the requests for them."""

    def __init__(self, *leads: int | None, last: int) -> None:
        self.leaves = {number: Leaf(number, lead, last) for number, lead in enumerate(leads, 1)}
        self.asked: list[int] = []
        self.cancelled: list[int] = []

    async def fetch(self, number: int) -> Leaf:
        self.asked.append(number)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        return self.leaves[number]

    async def read(self, ahead: int, first: int = 1) -> list[int]:
        pages = read_pages(self.fetch, first, ahead=lambda: ahead, last=lambda page: page.last)
        return [page.number async for page in pages]


@pytest.mark.parametrize("ahead", [0, 1, 3, 10])
async def test_in_order_and_each_once(ahead: int) -> None:
    """With any number of pages ahead."""
    book = Book(2, 3, 4, 5, None, last=5)
    assert await book.read(ahead) == [1, 2, 3, 4, 5]
    assert sorted(book.asked) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("ahead", [0, 1, 3])
async def test_a_page_that_is_skipped_is_not_yielded(ahead: int) -> None:
    """The second links to the fourth; the request in between is cancelled."""
    book = Book(2, 4, 4, 5, None, last=5)
    assert await book.read(ahead) == [1, 2, 4, 5]


@pytest.mark.parametrize("ahead", [0, 1, 3])
async def test_an_end_before_the_last(ahead: int) -> None:
    """A page without a link is the last, whatever the total is."""
    book = Book(2, None, None, None, last=4)
    assert await book.read(ahead) == [1, 2]


@pytest.mark.parametrize("ahead", [0, 1, 3])
async def test_more_pages_than_reported(ahead: int) -> None:
    """A linked page beyond the last one is read, but not ahead of its turn."""
    book = Book(2, 3, 4, None, last=2)
    assert await book.read(ahead) == [1, 2, 3, 4]
    assert book.asked == [1, 2, 3, 4]


async def test_from_a_later_page() -> None:
    """As a resumed pull does."""
    book = Book(2, 3, 4, 5, None, last=5)
    assert await book.read(2, first=3) == [3, 4, 5]
    assert book.asked == [3, 4, 5]


async def test_nothing_is_requested_before_its_turn() -> None:
    """Without pages ahead the next one is requested when the consumer continues."""
    book = Book(2, 3, None, last=3)
    pages = read_pages(book.fetch, 1, ahead=lambda: 0, last=lambda page: page.last)
    assert (await anext(pages)).number == 1
    await asyncio.sleep(0)
    assert book.asked == [1]
    await pages.aclose()


async def test_leaving_early_cancels_requests() -> None:
    """No task is left behind."""
    book = Book(2, 3, 4, 5, None, last=5)
    pages = read_pages(book.fetch, 1, ahead=lambda: 3, last=lambda page: page.last)
    await anext(pages)
    await asyncio.sleep(0)
    await pages.aclose()
    assert book.cancelled == [2, 3, 4]
    assert len(asyncio.all_tasks()) == 1


def test_an_empty_page_has_a_next_one_only_before_the_end() -> None:
    """The end is where the total is reached; without one an empty page is like any without new records."""
    Advance("list", received=10).check(2, 3, rows=0, new=0, total=11)
    Advance("list").check(2, 3, rows=0, new=0, total=0)
    Advance("list", received=10).check(2, None, rows=0, new=0, total=10)
    with pytest.raises(PagingError, match="page 2 links to a next one, but it is empty and past the end"):
        Advance("list", received=10).check(2, 3, rows=0, new=0, total=10)


def test_a_list_with_nothing_new() -> None:
    """Five pages in a row may repeat known records or be empty, if the last of them leads nowhere."""
    for rows, reason in ((2, "ignore the page number"), (0, "it is empty")):
        advance = Advance("list")
        advance.check(1, 2, rows=2, new=2, total=100)
        for number in range(2, 6):
            advance.check(number, number + 1, rows=rows, new=0, total=100)
        advance.check(6, None, rows=rows, new=0, total=100)
        with pytest.raises(PagingError, match=reason):
            advance.check(6, 7, rows=rows, new=0, total=100)


def test_a_list_that_advances_in_between() -> None:
    """Repeated pages between new ones are rows that shifted."""
    advance = Advance("list")
    for number in range(1, 50):
        advance.check(number, number + 1, rows=2, new=2 * (number % 5 == 0), total=1000)


def test_a_list_beyond_its_total() -> None:
    """New records may go beyond the total for four pages, counted from where the reading began."""
    advance = Advance("list", received=8)
    advance.check(5, 6, rows=1, new=1, total=10)
    for number in range(6, 10):
        advance.check(number, number + 1, rows=1, new=1, total=10)
    with pytest.raises(PagingError, match="14 records were received, and the API reports 10"):
        advance.check(10, 11, rows=1, new=1, total=10)


def test_a_list_that_grows() -> None:
    """A total that grows with the records is never exceeded."""
    advance = Advance("list")
    for number in range(1, 100):
        advance.check(number, number + 1, rows=1, new=1, total=number + 1)


def test_a_list_without_a_total() -> None:
    """It may have a thousand pages."""
    advance = Advance("list")
    for number in range(1, 1004):
        advance.check(number, number + 1, rows=1, new=1, total=0)
    with pytest.raises(PagingError, match="reports 0"):
        advance.check(1004, 1005, rows=1, new=1, total=0)
