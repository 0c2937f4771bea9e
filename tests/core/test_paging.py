"""Pagers: in order, each record once, bounded, and honest about what did not come out."""

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from codat_async.codec import OnInvalid, SlicedPage, records
from codat_async.errors import InvalidRecord, PagingError
from codat_async.models import Account, HalRef, Links, Page
from codat_async.paging import Drift, Pager


def link(number: int) -> Links:
    """Links that lead on to a page."""
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
    """A server of pages that notes what it is asked, and how much of it at once."""

    sliced = False
    """Whether records, where they are wanted one by one, come from pages that are decoded in slices."""

    def __init__(
        self, *pages: Page[Account] | Exception, gates: dict[int, asyncio.Event] | None = None
    ) -> None:
        self.pages = dict(enumerate(pages, 1))
        self.gates = gates or {}
        self.asked: list[tuple[int, int]] = []
        self.running = self.most_running = 0
        self.cancelled = 0

    async def __call__(self, number: int, size: int, on_invalid: OnInvalid) -> Page[Account]:
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
        return msgspec.structs.replace(answer, results=list(answer.results))

    async def slices(self, number: int, size: int, on_invalid: OnInvalid) -> SlicedPage[Account]:
        """The same page to be decoded in slices."""
        data = msgspec.json.encode(await self(number, size, on_invalid))
        return SlicedPage(data, Account, on_invalid=on_invalid, operation="accounts.list")

    def pager(self, **options: Any) -> Pager[Account]:
        """A pager over it."""
        fetch_sliced = self.slices if self.sliced else None
        return Pager(self, fetch_sliced=fetch_sliced, name="accounts.list", **{"page_size": 2, **options})

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.asked]


@pytest.fixture(params=["whole", "sliced"], autouse=True)
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test with both ways to come to the records."""
    monkeypatch.setattr(Listing, "sliced", request.param == "sliced")
    # A slice for each record.
    monkeypatch.setattr(records, "_SLICE_BYTES", 1)


def three_pages() -> Listing:
    """Six records on three pages."""
    return Listing(page(1, "a", "b"), page(2, "c", "d"), page(3, "e", "f", last=True))


async def ids(pager: Pager[Account]) -> str:
    """The ids of all records, in one text."""
    return "".join([record.id or "?" async for record in pager])


# --- one after another ----------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 1, 2, 9])
async def test_all_records_in_order(prefetch: int) -> None:
    """Records come in the order of their pages, each page asked for once, however far it reads ahead."""
    listing = three_pages()
    pager = listing.pager(prefetch=prefetch)
    assert await ids(pager) == "abcdef"
    assert sorted(listing.numbers) == [1, 2, 3]
    assert pager.total == 6
    assert pager.drift is None


async def test_nothing_is_asked_before_use() -> None:
    """Making a pager, its pages and its text asks for nothing."""
    listing = three_pages()
    pager = listing.pager()
    pager.pages()
    assert "accounts.list" in repr(pager)
    assert listing.asked == []
    assert pager.total is None


async def test_iterating_twice() -> None:
    """Each iteration starts anew, also two at once."""
    listing = three_pages()
    pager = listing.pager()
    assert await ids(pager) == await ids(pager) == "abcdef"
    both = await asyncio.gather(ids(pager), ids(pager))
    assert both == ["abcdef", "abcdef"]


async def test_pages_collect_and_first() -> None:
    """The other ways to use a pager give the same records; first asks for one only."""
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


async def test_first_of_an_empty_list() -> None:
    """An empty list has no first record, and no drift."""
    pager = Listing(page(1, total=0, last=True)).pager()
    assert await pager.first() is None
    assert await pager.collect() == []
    assert (pager.total, pager.drift) == (0, None)


@pytest.mark.parametrize("prefetch", [0, 2])
async def test_empty_page_in_the_middle(prefetch: int) -> None:
    """A page without records does not end the list while the API links on."""
    listing = Listing(page(1, "a", "b", total=4), page(2, total=6), page(3, "c", "d", total=4, last=True))
    assert await ids(listing.pager(prefetch=prefetch)) == "abcd"


@pytest.mark.parametrize("prefetch", [0, 3])
async def test_server_that_skips_a_number(prefetch: int) -> None:
    """The number in the link is followed, whatever was read ahead."""
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
    """The records that came are given, then an error instead of an endless loop."""
    got: list[str | None] = []
    with pytest.raises(PagingError, match=r"accounts\.list: page 2 .*does not advance"):
        await take(Listing(page(1, "a", "b"), stuck, page(3)).pager(prefetch=prefetch), got)
    assert got == list("abcd")


async def test_another_page_than_asked() -> None:
    """A server that answers page 1 to everything is found out."""
    with pytest.raises(PagingError, match="page 2 was asked for and page 1 came"):
        await Listing(page(1, "a"), page(1, "a")).pager().collect()


async def test_empty_pages_without_end() -> None:
    """Empty pages past the end that still link on are an error, not a loop."""
    listing = Listing(page(1, "a", "b", total=2), *(page(number, total=2) for number in range(2, 9)))
    with pytest.raises(PagingError, match="past the end"):
        await listing.pager().collect()
    assert listing.numbers == [1, 2]


async def test_only_the_number_of_a_link_is_used() -> None:
    """A link to another host leads to the same list."""
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
    """No more records than wanted, and no more pages than they are on, even reading ahead."""
    listing = three_pages()
    pager = listing.pager(limit=limit, prefetch=prefetch)
    assert await ids(pager) == expected
    assert len(listing.asked) == asked
    assert pager.drift is None


async def test_limit_of_nothing_asks_for_nothing() -> None:
    """A limit of 0 is an empty list without a request."""
    listing = three_pages()
    assert await listing.pager(limit=0).collect() == []
    assert await listing.pager(limit=0).first() is None
    assert listing.asked == []


async def test_small_limit_makes_small_pages_only_from_the_start() -> None:
    """A page is made smaller for a limit, but a later one is not, for it would hold other records."""
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
    """Reading on from a page gives the rest, and no drift for what was left out."""
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
    """What would be refused, or taken for something else, later is refused at once, by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        three_pages().pager(**wrong)


# --- reading ahead ------------------------------------------------------------------------------------


async def test_pages_are_read_ahead_while_the_consumer_works() -> None:
    """While the first page is in hand, the next ones are on their way; never more than wanted."""
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


async def test_read_ahead_is_bounded_to_the_end() -> None:
    """Pages past the last, as the total tells it, are not asked for."""
    listing = three_pages()
    await ids(listing.pager(prefetch=50))
    assert sorted(listing.numbers) == [1, 2, 3]


async def test_order_is_kept_when_later_pages_come_first() -> None:
    """A slow page holds back the ones after it."""
    gate = asyncio.Event()
    listing = three_pages()
    listing.gates = {2: gate}
    task = asyncio.create_task(ids(listing.pager(prefetch=2)))
    await settle()
    assert listing.numbers == [1, 2, 3]
    assert not task.done()
    gate.set()
    assert await task == "abcdef"


async def test_errors_come_in_order() -> None:
    """A page that failed while read ahead fails in its place, after the records before it."""
    listing = Listing(
        page(1, "a", "b", total=8), page(2, "c", "d", total=8), ValueError("third"), ValueError("fourth")
    )
    got: list[str | None] = []
    with pytest.raises(ValueError, match="third"):
        await take(listing.pager(prefetch=3), got)
    assert got == list("abcd")


async def test_break_cancels_what_was_read_ahead() -> None:
    """After a break no request goes on and no task is left."""
    listing = Listing(*(page(n, f"{n}", total=40) for n in range(1, 20)))
    listing.gates = {n: asyncio.Event() for n in range(2, 20)}
    before = asyncio.all_tasks()
    async for _record in listing.pager(prefetch=4):
        await settle()
        break
    await settle()
    assert asyncio.all_tasks() == before
    assert listing.cancelled == 4


async def test_cancelling_the_consumer_cancels_its_reading() -> None:
    """A consumer cancelled while it waits for a page takes all its requests with it."""
    listing = three_pages()
    listing.gates = {2: asyncio.Event(), 3: asyncio.Event()}
    task = asyncio.create_task(ids(listing.pager(prefetch=2)))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert (listing.running, listing.cancelled) == (0, 2)


async def test_records_are_let_go_one_by_one() -> None:
    """A page does not hold on to records that the consumer is done with: freeing them at once would stall."""
    page_held: list[Page[Account]] = []

    async def fetch(number: int, size: int, on_invalid: OnInvalid) -> Page[Account]:
        page_held.append(page(1, "a", "b", total=2, last=True))
        return page_held[0]

    left = [len(page_held[0].results) async for _ in Pager(fetch)]
    assert left == [1, 0]


# --- rows that shift ----------------------------------------------------------------------------------


async def test_duplicates_are_dropped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """A record that comes twice is given once; the pager and the log say that rows shifted."""
    listing = Listing(page(1, "a", "b"), page(2, "b", "c"), page(3, "d", last=True))
    pager = listing.pager()
    with caplog.at_level(logging.WARNING, "codat_async.paging"):
        assert await ids(pager) == "abcd"
    assert pager.drift == Drift(total=6, seen=4, duplicates=1)
    assert not pager.drift.reconciled
    assert "accounts.list: rows shifted while paging: 4 of 6 records read, 1 came twice" in caplog.text


async def test_drift_is_of_the_latest_iteration() -> None:
    """A later, whole iteration clears it; one that was left early says nothing."""
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
    """Only ids tell two records apart, so those without one are all given."""
    listing = Listing(page(1, None, None), page(2, "a", None), page(3, None, "a", last=True))
    pager = listing.pager()
    assert await ids(pager) == "??a??"
    assert pager.drift == Drift(total=6, seen=5, duplicates=1)


async def test_duplicates_while_reading_ahead() -> None:
    """Duplicates are judged in the order of the pages, not of their arrival."""
    gate = asyncio.Event()
    listing = Listing(page(1, "a", "b"), page(2, "b", "c"), page(3, "c", "d", last=True), gates={2: gate})
    pager = listing.pager(prefetch=3)
    task = asyncio.create_task(pager.collect())
    await settle()
    gate.set()
    assert [record.id for record in await task] == list("abcd")
    assert pager.drift == Drift(total=6, seen=4, duplicates=2)


async def test_invalid_records_count_as_read() -> None:
    """A record that was skipped or handed over is no drift; the function is told of it."""
    told: list[InvalidRecord] = []
    bad = InvalidRecord("odd", record_id="x", path="$.y", raw=b"{}")

    async def fetch(number: int, size: int, on_invalid: OnInvalid) -> Page[Account]:
        assert callable(on_invalid)
        on_invalid(bad)
        return page(1, "a", total=2, last=True)

    for wanted in ("skip", told.append):
        pager = Pager(fetch, on_invalid=wanted)
        assert len(await pager.collect()) == 1
        assert pager.drift is None
    assert told == [bad]


async def test_raising_for_invalid_records_is_the_default() -> None:
    """Without a word from the caller the page is asked for to raise."""
    asked: list[OnInvalid] = []

    async def fetch(number: int, size: int, on_invalid: OnInvalid) -> Page[Account]:
        asked.append(on_invalid)
        return page(1, total=0, last=True)

    await Pager(fetch).collect()
    assert asked == ["raise"]


async def test_pages_already_read_are_not_kept() -> None:
    """A page is freed once the consumer has gone on: memory holds what is in hand and ahead."""
    listing = Listing(
        *(page(n, f"{n}", total=40, size=1) for n in range(1, 40)),
        page(40, "40", total=40, size=1, last=True),
    )
    held: list[weakref.ref[object]] = []

    class Marked:
        """Something that can be referred to weakly."""

    async def fetch(number: int, size: int, on_invalid: OnInvalid) -> Page[Any]:
        answer = await listing(number, size, on_invalid)
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
    """Let everything that can run, run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def take(pager: Pager[Account], into: list[str | None]) -> None:
    """Read on at leisure, noting the ids."""
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
