"""Reading pages within a memory budget, and who holds the memory of a page."""

import asyncio
from contextlib import aclosing

import pytest
from msgspec import Struct

from codat_async.bulk.extract.fetch import PageReader
from codat_async.bulk.extract.memory import Reservation
from codat_async.errors import ResponseTooLarge
from codat_middleware import Response

MIB = 1 << 20


class Page(Struct):
    """A prepared page."""

    number: int
    following: int | None
    total: int
    reservation: Reservation | None = None


class List:
    """A list of five pages of 10 bytes and one record each; preparing page ``damaged`` fails."""

    def __init__(self, memory: int = 100, damaged: int | None = None) -> None:
        self.reader = PageReader(memory)
        self.requested: list[int] = []
        self._damaged = damaged

    def pages(self, ahead: int = 1):  # type: ignore[no-untyped-def]
        """The pages as the reader returns them."""
        return self.reader.pages("bills", 1, 1, ahead=lambda: ahead, send=self._send, prepare=self._prepare)

    async def _send(self, number: int, limit: int) -> Response:
        self.requested.append(number)
        return Response(status=200, body=b"0123456789")

    async def _prepare(self, body: bytes, number: int, reservation: Reservation) -> Page:
        if number == self._damaged:
            raise ValueError("damaged")
        reservation.resize(8)
        return Page(number, number + 1 if number < 5 else None, 5)

    @property
    def held(self) -> int:
        """The bytes that are reserved."""
        return self.reader._budget.used


async def test_a_page_keeps_its_memory_until_the_caller_releases_it() -> None:
    """Asking for the next page hands the reservation over; closing the generator does not release it."""
    bills, handed_over = List(), []
    async with aclosing(bills.pages(ahead=0)) as pages:
        async for page in pages:
            handed_over.append(page.reservation)
            if page.number == 3:
                break
    assert bills.held == 16
    for reservation in handed_over:
        reservation.release()
    assert bills.held == 0


async def test_a_page_that_is_taken_keeps_its_memory() -> None:
    """Although the caller leaves with it, to go on in pages of another size."""
    bills = List()
    async with aclosing(bills.pages(ahead=2)) as pages:
        page = await anext(pages)
        page.reservation.taken = True
    assert bills.held == 8
    page.reservation.release()
    assert bills.held == 0


async def test_pages_are_requested_ahead_within_the_budget() -> None:
    """A page takes 10 bytes while it is requested and 8 when it is prepared, so two fit into 25."""
    bills = List(memory=25)
    async with aclosing(bills.pages(ahead=10)) as pages:
        async for page in pages:
            assert page.reservation is not None
            assert 8 <= bills.held <= 25
            page.reservation.release()
    assert bills.requested == [1, 2, 3, 4, 5]
    assert bills.held == 0


async def test_leaving_early_releases_the_pages_requested_ahead() -> None:
    """The current page too, since the caller did not ask for the next one."""
    bills = List()
    async with aclosing(bills.pages(ahead=2)) as pages:
        await anext(pages)
    assert bills.held == 0


async def test_a_page_that_cannot_be_prepared_releases_its_memory() -> None:
    """The error reaches the caller once the earlier pages are used up."""
    bills = List(damaged=3)
    async with aclosing(bills.pages()) as pages:
        for _ in range(2):
            (await anext(pages)).reservation.release()
        with pytest.raises(ValueError, match="damaged"):
            await anext(pages)
    assert bills.held == 0


async def test_a_large_answer_is_requested_again_with_all_of_the_memory() -> None:
    """Once, alone, and the next of its kind has the size that it had."""
    limits: list[int] = []
    reader, size = PageReader(64 * MIB), 10 * MIB
    at_once = most = 0

    async def request(limit: int) -> Response:
        nonlocal at_once, most
        limits.append(limit)
        if size > limit:
            raise ResponseTooLarge("too large", method="GET", path="/", sent=True)
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return Response(status=200, body=bytes(size))

    await asyncio.gather(*(reader.send("bills", request) for _ in range(3)))
    assert sorted(limits) == [4 * MIB] * 3 + [64 * MIB] * 3
    assert most == 1
    await reader.send("bills", request)
    assert limits[6:] == [20 * MIB]
    size = 65 * MIB
    with pytest.raises(ResponseTooLarge):
        await reader.send("bills", request)
    assert limits[7:] == [20 * MIB, 64 * MIB]


async def test_a_small_memory_has_room_for_an_answer() -> None:
    """An answer may have a mebibyte, and is not requested again if it has more."""
    limits: list[int] = []

    async def request(limit: int) -> Response:
        limits.append(limit)
        raise ResponseTooLarge("too large", method="GET", path="/", sent=True)

    with pytest.raises(ResponseTooLarge):
        await PageReader(1).send("bills", request)
    assert limits == [MIB]
