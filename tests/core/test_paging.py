"""Pagers: in order, without duplicates, bounded, and with a report of rows that shifted."""

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from codat_async import dedup, paging
from codat_async.codec import OnInvalid, SlicedPage, pages
from codat_async.errors import EmptyList, InvalidRecord, PagingError
from codat_async.models import Account, HalRef, Links, Page
from codat_async.paging import Drift, Pager


def link(number: int) -> Links:
    """Links to a next page."""
    return Links(next=HalRef(href=f"/companies/c/data/accounts?page={number}&pageSize=2"))


def page(
    number: int, *ids: str | None, total: int = 6, size: int = 2, last: bool = False, **changes: Any
) -> Page[Account]:
    """One page, with a link to the next unless it is the last."""
    whole = {
        "results": [Account(id=identifier) for identifier in ids],
        "page_number": number,
        "page_size": size,
        "total_results": total,
        "links": Links() if last else link(number + 1),
    }
    return Page(**{**whole, **changes})


class Listing:
    """A server of pages that records its requests, and how many of them are concurrent."""

    sliced = False
    """Whether iterating over records decodes pages in slices."""

    def __init__(
        self, *pages: Page[Account] | Exception, gates: dict[int, asyncio.Event] | None = None
    ) -> None:
        self.pages = dict(enumerate(pages, 1))
        self.gates = gates or {}
        self.asked: list[tuple[int, int]] = []
        self.running = self.most_running = 0
        self.cancelled = 0

    async def __call__(
        self, number: int, size: int, on_invalid: OnInvalid, sliced: bool = False
    ) -> Page[Account] | SlicedPage[Account]:
        self.asked.append((number, size))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if number in self.gates:
                await self.gates[number].wait()
            else:
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        answer = self.pages[number]
        if isinstance(answer, Exception):
            raise answer
        if sliced and self.sliced:
            data = msgspec.json.encode(answer)
            return SlicedPage(data, Account, on_invalid=on_invalid, operation="accounts.list")
        return msgspec.structs.replace(answer, results=list(answer.results))

    def pager(self, **options: Any) -> Pager[Account]:
        """A pager over it."""
        return Pager(self, name="accounts.list", **{"page_size": 2, **options})

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.asked]


@pytest.fixture(params=["whole", "sliced"], autouse=True)
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with pages decoded at once, and in slices of one record."""
    monkeypatch.setattr(Listing, "sliced", request.param == "sliced")
    monkeypatch.setattr(pages, "SLICE", 1)


def three_pages() -> Listing:
    """Six records on three pages."""
    return Listing(page(1, "a", "b"), page(2, "c", "d"), page(3, "e", "f", last=True))


async def ids(pager: Pager[Account]) -> str:
    """The ids of all records, in one string."""
    return "".join([record.id or "?" async for record in pager])


# --- one after another ----------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 1, 2, 9])
async def test_all_records_in_order(prefetch: int) -> None:
    """Records are in the order of their pages, and each page is requested once, with any prefetch."""
    listing = three_pages()
    pager = listing.pager(prefetch=prefetch)
    assert await ids(pager) == "abcdef"
    assert sorted(listing.numbers) == [1, 2, 3]
    assert pager.total == 6
    assert pager.drift is None


async def test_nothing_is_requested_before_use() -> None:
    """Constructing a pager, calling pages() and repr() send no request."""
    listing = three_pages()
    pager = listing.pager()
    pager.pages()
    assert "accounts.list" in repr(pager)
    assert listing.asked == []
    assert pager.total is None


async def test_one_page_is_handed_on_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that ends with its first page is read without the loop over pages, in every way of reading."""
    monkeypatch.setattr(paging, "read_pages", None)
    listing = Listing(page(1, "a", None, total=2, last=True))
    pager = listing.pager(prefetch=3)
    assert [record.id for record in await pager.collect()] == ["a", None]
    assert [len(held.results) async for held in pager.pages()] == [2]
    if not listing.sliced:
        assert await ids(pager) == "a?"
    assert pager.drift is None
    assert [record.id for record in await Listing(page(1, "a")).pager(limit=1).collect()] == ["a"]
    assert listing.numbers == [1] * (2 + (not listing.sliced))


async def test_one_page_that_differs_from_what_was_reported() -> None:
    """A record that comes twice is dropped, and what exceeds the limit too; the page is requested once."""
    listing = Listing(page(1, "a", "b", "b", total=2, last=True))
    pager = listing.pager(prefetch=3)
    assert [record.id for record in await pager.collect()] == ["a", "b"]
    assert pager.drift == Drift(total=2, seen=2, duplicates=1)
    assert [len(held.results) async for held in pager.pages()] == [2]
    assert [record.id for record in await listing.pager(limit=1).collect()] == ["a"]
    assert listing.asked == [(1, 2), (1, 2), (1, 1)]
    pager = Listing(page(1, "a", total=2, last=True)).pager()
    assert len(await pager.collect()) == 1
    assert pager.drift == Drift(total=2, seen=1, duplicates=0)
    pager = Listing(page(1, "a", "a", last=True)).pager(page=1, limit=2)
    assert len(await pager.collect()) == 1
    assert pager.drift == Drift(total=6, seen=1, duplicates=1)


async def test_the_first_page_of_a_longer_list_is_requested_once() -> None:
    """It is handed on to the loop over pages."""
    listing = three_pages()
    assert len(await listing.pager().collect()) == 6
    assert listing.numbers == [1, 2, 3]


async def test_iterating_twice() -> None:
    """Each iteration starts from the beginning, also two that run concurrently."""
    listing = three_pages()
    pager = listing.pager()
    assert await ids(pager) == await ids(pager) == "abcdef"
    both = await asyncio.gather(ids(pager), ids(pager))
    assert both == ["abcdef", "abcdef"]


async def test_pages_collect_and_first() -> None:
    """The other ways to use a pager return the same records; first() requests only one."""
    listing = three_pages()
    pager = listing.pager()
    assert [len(held.results) async for held in pager.pages()] == [2, 2, 2]
    assert [record.id for record in await pager.collect()] == list("abcdef")
    listing.asked.clear()
    record = await pager.first()
    assert record is not None
    assert record.id == "a"
    assert listing.asked == [(1, 1)]
    assert pager.total == 6


async def test_one_record_is_expected() -> None:
    """It is returned, and a list without any raises."""
    assert (await three_pages().pager().one()).id == "a"
    with pytest.raises(EmptyList, match=r"accounts\.list has no record"):
        await Listing(page(1, total=0, last=True)).pager().one()


async def test_wrong_ways_to_use_a_pager() -> None:
    """The errors say what to write instead."""
    pager: Any = three_pages().pager()
    with pytest.raises(TypeError, match="not awaited: write `async for"):
        await pager
    with pytest.raises(TypeError, match="instead of `for`"):
        list(pager)
    assert [each async for each in three_pages().pager(limit=0).pages()] == []


async def test_first_of_an_empty_list() -> None:
    """An empty list has no first record, and no drift."""
    pager = Listing(page(1, total=0, last=True)).pager()
    assert await pager.first() is None
    assert await pager.collect() == []
    assert (pager.total, pager.drift) == (0, None)


@pytest.mark.parametrize("prefetch", [0, 2])
async def test_empty_page_in_the_middle(prefetch: int) -> None:
    """A page without records does not end the list if it has a link to the next."""
    listing = Listing(page(1, "a", "b", total=4), page(2, total=6), page(3, "c", "d", total=4, last=True))
    assert await ids(listing.pager(prefetch=prefetch)) == "abcd"


@pytest.mark.parametrize("prefetch", [0, 3])
async def test_server_that_skips_a_number(prefetch: int) -> None:
    """The number in the link is followed, whatever was requested ahead."""
    listing = Listing(
        page(1, "a", "b", links=link(3)), page(2, "x", "y"), page(3, "c", "d", total=4, last=True)
    )
    assert await ids(listing.pager(prefetch=prefetch)) == "abcd"


@pytest.mark.parametrize(
    "stuck",
    [
        page(2, "c", "d", links=link(2)),
        page(2, "c", "d", links=link(1)),
        page(2, "c", "d", links=Links(next=HalRef(href="/companies/c/data/accounts?cursor=abc"))),
        page(2, "c", "d", links=Links(next=HalRef(href=None))),
    ],
    ids=["itself", "backwards", "no number", "no address"],
)
@pytest.mark.parametrize("prefetch", [0, 2])
async def test_page_that_does_not_advance(stuck: Page[Account], prefetch: int) -> None:
    """Its records are yielded, then an error is raised instead of looping."""
    got: list[str | None] = []
    with pytest.raises(PagingError, match=r"accounts\.list: page 2 .*does not advance"):
        await take(Listing(page(1, "a", "b"), stuck, page(3)).pager(prefetch=prefetch), got)
    assert got == list("abcd")


async def test_another_page_than_requested() -> None:
    """A server that answers every request with page 1 raises an error."""
    with pytest.raises(PagingError, match="requested page 2, received page 1"):
        await Listing(page(1, "a"), page(1, "a")).pager().collect()


async def test_empty_pages_without_end() -> None:
    """Empty pages past the end that link to another one raise an error instead of looping."""
    listing = Listing(page(1, "a", "b", total=2), *(page(number, total=2) for number in range(2, 9)))
    with pytest.raises(PagingError, match="past the end"):
        await listing.pager().collect()
    assert listing.numbers == [1, 2]


async def test_only_the_number_of_a_link_is_used() -> None:
    """A link to another host is read as a page of the same list."""
    away = Links(next=HalRef(href="https://evil.example/steal?page=2&pageSize=5000"))
    listing = Listing(page(1, "a", total=2, links=away), page(2, "b", total=2, last=True))
    assert await ids(listing.pager()) == "ab"
    assert listing.asked == [(1, 2), (2, 2)]


# --- bounds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "expected", "asked"),
    [(1, "a", 1), (2, "ab", 1), (3, "abc", 2), (6, "abcdef", 3), (99, "abcdef", 3)],
)
@pytest.mark.parametrize("prefetch", [0, 9])
async def test_limit(limit: int, expected: str, asked: int, prefetch: int) -> None:
    """No more records than the limit, and no more pages than needed, even with prefetch."""
    listing = three_pages()
    pager = listing.pager(limit=limit, prefetch=prefetch)
    assert await ids(pager) == expected
    assert len(listing.asked) == asked
    assert pager.drift is None


async def test_limit_of_zero_sends_no_request() -> None:
    """The list is empty."""
    listing = three_pages()
    assert await listing.pager(limit=0).collect() == []
    assert await listing.pager(limit=0).first() is None
    assert listing.asked == []


async def test_small_limit_makes_small_pages_only_from_the_start() -> None:
    """The page size is reduced to the limit, but not for a later page, which would hold other records."""
    listing = three_pages()
    await listing.pager(page_size=100, limit=2).collect()
    assert listing.asked == [(1, 2)]
    listing.asked.clear()
    assert [record.id for record in await listing.pager(page_size=2, page=2, limit=1).collect()] == ["c"]
    first = await listing.pager(page=2).first()
    assert first is not None
    assert first.id == "c"
    assert listing.asked == [(2, 2), (2, 2)]


async def test_beginning_at_a_later_page() -> None:
    """Starting at a later page yields the rest, without a drift for the records before it."""
    pager = three_pages().pager(page=2)
    assert await ids(pager) == "cdef"
    assert pager.drift is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"page": 0},
        {"page_size": 0},
        {"page_size": 5001},
        {"limit": -1},
        {"prefetch": -1},
        {"on_invalid": "rasie"},
        {"on_invalid": None},
    ],
)
def test_arguments_out_of_range(wrong: dict[str, Any]) -> None:
    """They raise at once, and the error names the argument."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        three_pages().pager(**wrong)


# --- reading ahead ------------------------------------------------------------------------------------


async def test_pages_are_requested_ahead_while_the_consumer_is_busy() -> None:
    """While the first page is used, the next ones are requested; never more than prefetch."""
    listing = Listing(
        *(page(n, f"{n}a", f"{n}b", total=20) for n in range(1, 10)), page(10, "x", "y", total=20, last=True)
    )
    async with PagesOf(listing.pager(prefetch=3)) as pages:
        await anext(pages)
        await settle()
        assert listing.numbers == [1, 2, 3, 4]
        await anext(pages)
        await settle()
        assert listing.numbers == [1, 2, 3, 4, 5]
    assert listing.most_running <= 3


async def test_prefetch_ends_at_the_last_page() -> None:
    """Pages after the last one, according to the total, are not requested."""
    listing = three_pages()
    await ids(listing.pager(prefetch=50))
    assert sorted(listing.numbers) == [1, 2, 3]


async def test_order_is_kept_if_later_pages_arrive_first() -> None:
    """A slow page delays the ones after it."""
    gate = asyncio.Event()
    listing = three_pages()
    listing.gates = {2: gate}
    task = asyncio.create_task(ids(listing.pager(prefetch=2)))
    await settle()
    assert listing.numbers == [1, 2, 3]
    assert not task.done()
    gate.set()
    assert await task == "abcdef"


async def test_errors_are_raised_in_order() -> None:
    """A page that failed ahead of its turn raises after the records before it."""
    listing = Listing(
        page(1, "a", "b", total=8), page(2, "c", "d", total=8), ValueError("third"), ValueError("fourth")
    )
    got: list[str | None] = []
    with pytest.raises(ValueError, match="third"):
        await take(listing.pager(prefetch=3), got)
    assert got == list("abcd")


async def test_break_cancels_requests_ahead() -> None:
    """After a break no request and no task is left."""
    listing = Listing(*(page(n, f"{n}", total=40) for n in range(1, 20)))
    listing.gates = {n: asyncio.Event() for n in range(2, 20)}
    before = asyncio.all_tasks()
    async for _record in listing.pager(prefetch=4):
        await settle()
        break
    await settle()
    assert asyncio.all_tasks() == before
    assert listing.cancelled == 4


async def test_cancelling_the_consumer_cancels_its_requests() -> None:
    """A consumer that is cancelled while it waits for a page leaves no request."""
    listing = three_pages()
    listing.gates = {2: asyncio.Event(), 3: asyncio.Event()}
    task = asyncio.create_task(ids(listing.pager(prefetch=2)))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert (listing.running, listing.cancelled) == (0, 2)


async def test_records_are_released_before_the_next_are_read() -> None:
    """Otherwise two pages would be in memory at once, and the next one's memory would be new."""
    held: list[Page[Account]] = []
    left: list[int] = []

    async def fetch(number: int, size: int, on_invalid: OnInvalid, sliced: bool) -> Page[Account]:
        left.append(sum(len(each.results) for each in held))
        held.append(page(number, *("ab", "cd")[number - 1], total=4, last=number == 2))
        return held[-1]

    assert await ids(Pager(fetch, page_size=2)) == "abcd"
    assert left == [0, 0]


# --- rows that shift ----------------------------------------------------------------------------------


async def test_duplicates_are_dropped_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A record that is read twice is handed on once; the pager and the log report that rows shifted."""
    listing = Listing(page(1, "a", "b"), page(2, "b", "c"), page(3, "d", last=True))
    pager = listing.pager()
    with caplog.at_level(logging.WARNING, "codat_async.paging"):
        assert await ids(pager) == "abcd"
    assert pager.drift == Drift(total=6, seen=4, duplicates=1)
    assert not pager.drift.reconciled
    assert "rows shifted while the list was read: the API reports 6 records, got 4;" in caplog.text
    assert "1 duplicates dropped, 0 newer versions" in caplog.text


def dated(number: int, *rows: tuple[str, int], **changes: Any) -> Page[Account]:
    """A page of records by id and the day of January on which they were modified."""
    results = [Account(id=each, modified_date=datetime(2024, 1, day, tzinfo=UTC)) for each, day in rows]
    return page(number, results=results, **changes)


async def test_a_newer_version_alone_is_a_drift() -> None:
    """The numbers are right, but rows may have shifted."""
    pager = Listing(dated(1, ("a", 1), ("b", 1)), dated(2, ("a", 2), last=True, total=2)).pager()
    assert await ids(pager) == "aba"
    assert pager.drift == Drift(total=2, seen=2, duplicates=0, updates=1)


@pytest.mark.parametrize("prefetch", [0, 2])
async def test_the_newer_version_of_a_record_wins(prefetch: int) -> None:
    """Iteration hands it on too; an older one is dropped."""
    listing = Listing(
        dated(1, ("a", 1), ("b", 1)),
        dated(2, ("a", 2), ("c", 1)),
        dated(3, ("b", 1), ("a", 1), last=True, total=3),
    )
    pager = listing.pager(prefetch=prefetch)
    versions = [(each.id, each.modified_date.day) async for each in pager if each.modified_date]
    assert versions == [("a", 1), ("b", 1), ("a", 2), ("c", 1)]
    assert pager.drift == Drift(total=3, seen=3, duplicates=2, updates=1)
    assert pager.drift.reconciled
    assert [len(each.results) async for each in pager.pages()] == [2, 2, 0]


async def test_collect_keeps_the_newer_version_in_place() -> None:
    """Where the first one was; also when the list is cut or begins at a later page."""
    listing = Listing(
        dated(1, ("a", 1), ("b", 1)),
        dated(2, ("c", 1), ("a", 2)),
        dated(3, ("c", 3), ("d", 1), last=True, total=4),
    )
    for options, expected in (
        ({}, [("a", 2), ("b", 1), ("c", 3), ("d", 1)]),
        ({"limit": 4, "page_size": 2}, [("a", 2), ("b", 1), ("c", 1)]),
        ({"page": 2}, [("c", 3), ("a", 2), ("d", 1)]),
    ):
        records = await listing.pager(**options).collect()
        assert [(each.id, each.modified_date and each.modified_date.day) for each in records] == expected


async def test_a_record_of_which_the_version_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is handed on again, since it may be newer; collect compares, and the count is right."""
    monkeypatch.setattr(dedup, "_EXACT", 4)
    monkeypatch.setattr(dedup, "_KEPT", 2)
    listing = Listing(
        dated(1, ("a", 5), ("b", 1)),
        *(dated(n, (f"x{n}", 1), (f"y{n}", 1)) for n in range(2, 6)),
        dated(6, ("b", 2), ("a", 5), ("a", 4), last=True, total=10),
    )
    pager = listing.pager()
    assert (await ids(pager)).startswith("ab")
    assert pager.drift == Drift(total=10, seen=10, duplicates=1, updates=2)
    records = await pager.collect()
    assert len(records) == 10
    assert [each.modified_date and each.modified_date.day for each in records[:2]] == [5, 2]


async def test_drift_is_of_the_latest_iteration() -> None:
    """A complete iteration resets it, and one that was left early has none."""
    listing = Listing(page(1, "a", "b", total=3), page(2, "c", total=4, last=True))
    pager = listing.pager()
    await pager.collect()
    assert pager.drift == Drift(total=4, seen=3, duplicates=0)
    async for _ in pager:
        break
    assert pager.drift is None
    listing.pages[2] = page(2, "c", total=3, last=True)
    await pager.collect()
    assert pager.drift is None


async def test_records_without_an_id_are_never_duplicates() -> None:
    """Only ids identify records, so those without one are all handed on."""
    listing = Listing(page(1, None, None), page(2, "a", None), page(3, None, "a", last=True))
    pager = listing.pager()
    assert await ids(pager) == "??a??"
    assert pager.drift == Drift(total=6, seen=5, duplicates=1)


async def test_duplicates_with_prefetch() -> None:
    """Duplicates are found in the order of the pages, not of their arrival."""
    gate = asyncio.Event()
    listing = Listing(page(1, "a", "b"), page(2, "b", "c"), page(3, "c", "d", last=True), gates={2: gate})
    pager = listing.pager(prefetch=3)
    task = asyncio.create_task(pager.collect())
    await settle()
    gate.set()
    assert [record.id for record in await task] == list("abcd")
    assert pager.drift == Drift(total=6, seen=4, duplicates=2)


async def test_invalid_records_count_as_read() -> None:
    """A record that was skipped or passed to the function is not a drift."""
    reported: list[InvalidRecord] = []
    bad = InvalidRecord("odd", record_id="x", path="$.y", raw=b"{}")

    async def fetch(number: int, size: int, on_invalid: OnInvalid, sliced: bool) -> Page[Account]:
        assert callable(on_invalid)
        on_invalid(bad)
        return page(1, "a", total=2, last=True)

    for wanted in ("skip", reported.append):
        pager = Pager(fetch, on_invalid=wanted)
        assert len(await pager.collect()) == 1
        assert pager.drift is None
    assert reported == [bad]


@pytest.mark.parametrize("prefetch", [0, 9])
async def test_pages_of_which_all_records_are_invalid(prefetch: int) -> None:
    """They advance all the same: the list is not taken for one without end."""
    listing = Listing(*(page(n, f"{n}", total=9, size=0, last=n == 9) for n in range(1, 10)))

    async def fetch(number: int, size: int, on_invalid: OnInvalid, sliced: bool) -> Page[Account]:
        assert callable(on_invalid)
        found = await listing(number, size, on_invalid)
        assert isinstance(found, Page)
        for record in found.results:
            on_invalid(InvalidRecord("odd", record_id=record.id, path="$.y", raw=b"{}"))
        found.results.clear()
        return found

    pager = Pager(fetch, page_size=1, prefetch=prefetch, on_invalid="skip")
    assert await pager.collect() == []
    assert pager.drift is None
    assert sorted(listing.numbers) == [*range(1, 10)]


async def test_invalid_records_raise_by_default() -> None:
    """The default of ``on_invalid`` is passed to the function that fetches a page."""
    asked: list[OnInvalid] = []

    async def fetch(number: int, size: int, on_invalid: OnInvalid, sliced: bool) -> Page[Account]:
        asked.append(on_invalid)
        return page(1, total=0, last=True)

    await Pager(fetch).collect()
    assert asked == ["raise"]


async def test_pages_already_read_are_not_kept() -> None:
    """A page is freed when the consumer continues: only the current page and those ahead are in memory."""
    listing = Listing(
        *(page(n, f"{n}", total=40, size=1) for n in range(1, 40)),
        page(40, "40", total=40, size=1, last=True),
    )
    held: list[weakref.ref[object]] = []

    class Marked:
        """An object that supports weak references."""

    async def fetch(number: int, size: int, on_invalid: OnInvalid, sliced: bool) -> Page[Any]:
        answer = await listing(number, size, on_invalid)
        assert isinstance(answer, Page)
        marked = Marked()
        held.append(weakref.ref(marked))
        return msgspec.structs.replace(answer, results=[marked])

    alive = 0
    async for _ in Pager(fetch, page_size=1, prefetch=3).pages():
        alive = max(alive, sum(reference() is not None for reference in held))
    assert len(held) == 40
    assert alive <= 6


# --- helpers --------------------------------------------------------------------------------------------


async def settle() -> None:
    """Let all other tasks run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def take(pager: Pager[Account], into: list[str | None]) -> None:
    """Read slowly, and record the ids."""
    async for record in pager:
        into.append(record.id)
        await settle()


class PagesOf:
    """The pages of a pager, closed at the end."""

    def __init__(self, pager: Pager[Account]) -> None:
        self.pages: Any = pager.pages()

    async def __aenter__(self) -> AsyncIterator[Page[Account]]:
        return self.pages  # type: ignore[no-any-return]

    async def __aexit__(self, *error: object) -> None:
        await self.pages.aclose()
