"""Pages that grow with the list, and shrink where the API cannot answer them."""

import json
import random
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bulk_server import COMPANY, Server, customer, error_response, written_lines

from codat_async import Codat, bulk
from codat_async.bulk import PullOptions
from codat_async.bulk.plan.sizes import boundary, grown, known_size, page_requests, smaller

LIST = f"/companies/{COMPANY}/data/customers"


def options(**more: Any) -> PullOptions:
    """Options for the customers alone."""
    return PullOptions(types=["customers"], source="test", check=False, **more)


def rows(number: int) -> list[bytes]:
    """Records, as small as they can be."""
    return [b'{"id":"%d","modifiedDate":"2024-01-01T00:00:00Z"}' % each for each in range(number)]


def read(server: Server) -> list[tuple[int, int]]:
    """The first record and the number of records of each page that was requested."""
    pages = [query for path, query in server.requests if path == LIST]
    return [((int(each["page"]) - 1) * int(each["pageSize"]), int(each["pageSize"])) for each in pages]


def ids(path: Path) -> list[int]:
    """The ids of the records that were written."""
    return sorted(int(json.loads(line)["id"]) for line in written_lines(path, "customers"))


def test_the_requests_of_any_total_are_reckoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one, those of a total that the API makes up would take hours."""
    sizes = iter([500, 1_000, 5_000])
    monkeypatch.setattr("codat_async.bulk.plan.sizes.grown", lambda *_: next(sizes))
    assert page_requests(10**12) == 4 + (10**12 - 7_000) // 5_000 + 1
    assert next(sizes, None) is None


def test_fifty_thousand_records_take_fifteen_requests() -> None:
    """A hundred with the size of 500, ten with the known size."""
    assert page_requests(50_000) == 15
    assert page_requests(50_000, 500) == 100
    assert page_requests(50_000, known_size(50_000)) == 10
    assert [page_requests(each) for each in (0, 1, 500, 501, 1_000, 1_001, 2_000)] == [1, 1, 1, 2, 2, 3, 3]
    assert [known_size(each) for each in (1, 500, 501, 1_000, 1_001, 90_000)] == [
        500,
        500,
        1000,
        1000,
        5000,
        5000,
    ]
    assert [smaller(each) for each in (5_000, 1_000, 500, 100, 50)] == [1_000, 500, 100, None, None]


@pytest.mark.parametrize("seed", range(200))
def test_sizes_leave_nothing_out_and_read_nothing_twice(seed: int) -> None:
    """From any size, below any ceiling: each page begins where the last one ended."""
    draw = random.Random(seed)
    total, size = draw.randint(0, 30_000), draw.choice((100, 500, 1_000, 5_000))
    ceiling = draw.choice((100, 500, 700, 1_000, 5_000))
    offset, pages = 0, []
    while offset < total:
        assert offset % size == 0
        change = boundary(size, offset + size, total, ceiling)
        pages.append((offset, size))
        offset += size
        larger = grown(size, offset, total, ceiling)
        assert (larger != size) == (change == offset and offset < total)
        assert larger == size or larger <= ceiling
        size = larger
    assert all(first + length == second for (first, length), (second, _) in pairwise(pages))


async def test_a_long_list_is_read_in_growing_pages(server: Server, caller: Codat, tmp_path: Path) -> None:
    """50,000 records in 15 requests, 14 from the second page on; each record is written once."""
    server.put("customers", rows(50_000))
    report = await bulk.pull(caller, tmp_path, options=options())
    pages = sorted(read(server))
    assert len(pages) == 15
    assert [size for _, size in pages] == [500] * 2 + [1_000] * 4 + [5_000] * 9
    assert all(first + size == second for (first, size), (second, _) in pairwise(pages))
    assert report.total.rows == 50_000
    assert ids(tmp_path) == list(range(50_000))


async def test_the_known_size_of_an_earlier_run_is_used_at_once(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Two requests for 10,000 records."""
    server.put("customers", rows(10_000))
    await bulk.pull(caller, tmp_path, options=options())
    server.requests.clear()
    await bulk.pull(caller, tmp_path, options=options(full=True))
    assert sorted(read(server)) == [(0, 5_000), (5_000, 5_000)]


async def test_a_given_size_is_kept(server: Server, caller: Codat, tmp_path: Path) -> None:
    """It neither grows nor shrinks."""
    server.put("customers", rows(3_000))
    await bulk.pull(caller, tmp_path, options=options(page_size=700))
    assert {size for _, size in read(server)} == {700}


@pytest.mark.parametrize("status", [400, 408, 503, 504])
async def test_a_server_that_fails_on_large_pages_is_read_to_the_end(
    server: Server, caller: Codat, tmp_path: Path, status: int
) -> None:
    """Once a page of 5,000 fails, the rest is read in pages of 1,000, as are other lists of the type."""
    server.companies.append("33333333-3333-4333-8333-333333333333")
    server.put("customers", rows(12_000))
    server.hook = lambda _, query: error_response(status) if int(query.get("pageSize", 0)) > 1_000 else None
    report = await bulk.pull(caller, tmp_path, options=options(units_at_once=1))
    assert (report.outcome, report.total.failed, report.total.rows) == ("done", 0, 24_000)
    assert ids(tmp_path) == sorted([*range(12_000)] * 2)
    path = LIST.replace(COMPANY, server.companies[1])
    sizes = {int(query["pageSize"]) for requested, query in server.requests if requested in (LIST, path)}
    assert sizes == {500, 1_000, 5_000}
    large = [requested for requested, query in server.requests if query.get("pageSize") == "5000"]
    assert len({*large} - {"/companies"}) == 1


async def test_a_list_whose_first_page_times_out_is_read_in_small_ones(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Down to 100 records a page."""
    server.put("customers", rows(750))
    big = error_response
    server.hook = lambda path, query: big(408) if path == LIST and int(query["pageSize"]) > 100 else None
    report = await bulk.pull(caller, tmp_path, options=options())
    assert (report.outcome, report.total.rows) == ("done", 750)
    assert ids(tmp_path) == list(range(750))


async def test_a_list_that_fails_at_any_size_fails(server: Server, caller: Codat, tmp_path: Path) -> None:
    """With 5xx it is not tried below the first size."""
    server.put("customers", rows(10))
    server.hook = lambda path, _: error_response(500) if path == LIST else None
    report = await bulk.pull(caller, tmp_path, options=options())
    assert [each.kind for each in report.failures] == ["server_error"]
    assert {size for _, size in read(server)} == {500}


async def test_large_records_are_read_in_pages_that_fit_the_memory(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A page takes a quarter of it at most; none fails."""
    many = [customer(each, customerName="x" * 900) for each in range(11_000)]
    server.put("customers", many)
    report = await bulk.pull(caller, tmp_path, options=options(memory=12 << 20))
    assert (report.outcome, report.total.rows, report.total.retries) == ("done", 11_000, 0)
    assert max(size for _, size in read(server)) == 1_000


async def test_pages_of_another_size_than_asked_for(server: Server, caller: Codat, tmp_path: Path) -> None:
    """A server that answers 200 records at most is read in its own pages."""
    server.put("customers", rows(3_000))

    def hook(path: str, query: dict[str, str]) -> Any:
        if path == LIST:
            query["pageSize"] = "200"
        return None

    server.hook = hook
    report = await bulk.pull(caller, tmp_path, options=options())
    assert (report.outcome, report.total.rows, report.total.repeats) == ("done", 3_000, 0)
    assert (report.total.pages, ids(tmp_path)) == (15, list(range(3_000)))


async def test_a_resumed_list_goes_on_at_its_page_and_size(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Nothing is read twice."""
    server.put("customers", rows(20_000))
    failed = (LIST, "3", "5000")
    server.hook = lambda path, query: (
        error_response(403) if (path, query.get("page"), query.get("pageSize")) == failed else None
    )
    report = await bulk.pull(caller, tmp_path, options=options(memory=1 << 20, units_at_once=1))
    assert report.outcome == "partial"
    server.hook = None
    server.requests.clear()
    report = await bulk.pull(caller, tmp_path, options=options(memory=1 << 20, units_at_once=1))
    assert sorted(read(server)) == [(10_000, 5_000), (15_000, 5_000)]
    assert ids(tmp_path) == list(range(20_000))


# --- the typed stream ----------------------------------------------------------------------


async def stream(codat: Codat, **more: Any) -> list[int]:
    """The ids of the records of a typed stream, in their order."""
    batches = bulk.records(codat, types=["customers"], **more)
    return [int(record.id) async for batch in batches for record in batch.records]  # type: ignore[attr-defined]


@pytest.mark.parametrize("stored", [True, False])
async def test_a_stream_grows_its_pages(
    server: Server, caller: Codat, tmp_path: Path, *, stored: bool
) -> None:
    """12,000 records in eight requests, each once and in order."""
    server.put("customers", rows(12_000))
    where = {"checkpoint": tmp_path / "mine.sqlite"} if stored else {}
    assert await stream(caller, **where) == [*range(12_000)]
    thousands = [(each, 1000) for each in range(1000, 5000, 1000)]
    assert sorted(read(server)) == [(0, 500), (500, 500), *thousands, (5000, 5000), (10_000, 5000)]


async def test_a_size_that_is_given_to_a_stream_is_kept(server: Server, caller: Codat) -> None:
    """Whatever the list has."""
    server.put("customers", rows(1_900))
    assert await stream(caller, page_size=1_000) == [*range(1_900)]
    assert read(server) == [(0, 1000), (1000, 1000)]


async def test_a_stream_is_read_to_the_end_if_large_pages_fail(server: Server, caller: Codat) -> None:
    """In smaller ones, from where it was."""
    server.put("customers", rows(7_000))
    server.hook = lambda path, query: error_response(504) if int(query.get("pageSize", 1)) > 1000 else None
    assert await stream(caller) == [*range(7_000)]
    assert {size for _, size in read(server)} == {500, 1000, 5000}


async def test_a_stream_that_was_interrupted_goes_on_at_its_size(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """With the batch that was not acknowledged, which was read in larger pages than the first."""
    server.put("customers", rows(4_000))
    batches = bulk.records(caller, types=["customers"], checkpoint=tmp_path / "mine.sqlite")
    async with aclosing(batches):
        for _ in range(3):
            last = [int(each.id) for each in (await anext(batches)).records]  # type: ignore[attr-defined]
    assert (last[0], len(last)) == (1000, 1000)
    server.requests.clear()
    assert await stream(caller, checkpoint=tmp_path / "mine.sqlite") == [*range(1000, 4_000)]
    assert read(server)[0] == (1000, 1000)
