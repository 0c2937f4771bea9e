"""The companies and their connections, which every pull writes."""

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bulk_server
import msgspec
import pytest
from bulk_server import COMPANY, CONNECTION, Server, customer, error_response, raw_lines, written_lines
from sinks_tools import rows

from codat_async import Codat, bulk
from codat_async.bulk.plan import companies
from codat_async.bulk.plan.companies import find_companies
from codat_async.bulk.plan.data_types import known_types
from codat_async.errors import BadRequest

OTHER = "33333333-3333-4333-8333-333333333333"
OPTIONS = bulk.PullOptions(types=["customers"])


@pytest.fixture
def three(server: Server) -> Server:
    """A server of three companies, the last of which is not linked."""
    server.companies = [COMPANY, OTHER, "c" * 8]
    server.unlinked = {"c" * 8}
    server.put("customers", [customer(1)])
    return server


def listed(books: Path) -> list[tuple[str, bool]]:
    """The companies of a DuckDB file, and whether each is listed."""
    return rows(books, "select company_id, listed from companies order by company_id")


async def pull(caller: Codat, root: Path, **options: Any) -> bulk.Report:
    """Pull the customers, and merge everything."""
    report = await bulk.pull(caller, root, options=bulk.PullOptions(types=["customers"], **options))
    bulk.convert(root, duckdb=root.with_suffix(".duckdb"))
    return report


async def test_every_pull_writes_the_companies_as_received(
    three: Server, caller: Codat, tmp_path: Path
) -> None:
    """Also those that are not linked, whatever types are read; each with when it was listed."""
    await pull(caller, tmp_path / "pull")
    sent = [json.loads(three._company(each)) for each in three.companies]
    assert [json.loads(each) for each in written_lines(tmp_path / "pull", "companies")] == sent
    connections = [each["dataConnections"][0] for each in sent]
    assert [json.loads(each) for each in written_lines(tmp_path / "pull", "connections")] == connections
    books = tmp_path / "pull.duckdb"
    found = rows(books, "select company_id, id, name, listed, read_at is not null from companies order by id")
    assert found == [(each["id"], each["id"], each["name"], True, True) for each in sent]
    query = "select company_id, id, status, platform_name, created::varchar from connections order by all"
    created = rows(books, "select timestamptz '2024-01-01T00:00:00Z'::varchar")[0][0]
    status = {True: "Unlinked", False: "Linked"}
    assert rows(books, query) == [
        (each, CONNECTION, status[each in three.unlinked], "P", created) for each in three.companies
    ]
    assert {json.loads(each)["whole"] for each in raw_lines(tmp_path / "pull", "connections")} == {True}


async def test_a_company_that_is_not_listed_any_more_is_marked(
    three: Server, caller: Codat, tmp_path: Path
) -> None:
    """With what was known of it and when it was listed last, once; and it is unmarked if it comes back."""
    root, books = tmp_path / "pull", tmp_path / "pull.duckdb"
    await pull(caller, root)
    before = rows(books, f"select name, read_at from companies where company_id = '{OTHER}'")
    three.companies = [COMPANY]
    report = await pull(caller, root)
    assert [each.company for each in report.absent] == [OTHER]
    assert listed(books) == [(COMPANY, True), (OTHER, False), ("c" * 8, False)]
    assert rows(books, f"select name, read_at from companies where company_id = '{OTHER}'") == before
    assert rows(books, "select count(*) from connections") == [(3,)]
    written = len(raw_lines(root, "companies"))
    await pull(caller, root)
    assert len(raw_lines(root, "companies")) == written + 1
    three.companies = [COMPANY, "c" * 8, OTHER]
    report = await pull(caller, root)
    assert report.absent == []
    assert listed(books) == [(COMPANY, True), (OTHER, True), ("c" * 8, True)]


@pytest.mark.parametrize("selection", [{"companies": [COMPANY]}, {"company_query": "name=1111"}])
async def test_a_part_of_the_companies_marks_none(
    three: Server, caller: Codat, tmp_path: Path, selection: dict[str, Any]
) -> None:
    """A pull of some companies writes these alone, and leaves the others as they are."""
    root, books = tmp_path / "pull", tmp_path / "pull.duckdb"
    await pull(caller, root)
    count = len(raw_lines(root, "companies"))
    three.companies = [COMPANY]
    report = await pull(caller, root, **selection)
    assert report.absent == []
    assert len(raw_lines(root, "companies")) == count + 1
    assert listed(books) == [(COMPANY, True), (OTHER, True), ("c" * 8, True)]


async def test_an_unlinked_company_is_absent_only_if_it_was_pulled(
    three: Server, caller: Codat, tmp_path: Path
) -> None:
    """Its record alone is no data that went missing."""
    await pull(caller, tmp_path / "pull")
    report = await pull(caller, tmp_path / "pull")
    assert report.absent == []
    three.unlinked = {OTHER, "c" * 8}
    report = await pull(caller, tmp_path / "pull")
    assert [(each.company, each.reason) for each in report.absent] == [(OTHER, "unlinked")]


async def test_companies_do_not_stay_in_memory(three: Server, caller: Codat, tmp_path: Path) -> None:
    """Once they are queued the checkpoint has them; what a caller found for several pulls stays as it is."""
    found = await find_companies(caller)
    before = msgspec.json.encode(found)
    await bulk.pull(caller, tmp_path / "given", options=OPTIONS, found=found)
    assert msgspec.json.encode(found) == before
    three.companies = [f"company-{number}" for number in range(300)]
    held: list[int] = []

    def on_event(event: bulk.Event) -> None:
        if event.event == "company_checked" and not held:
            here = tracemalloc.Filter(True, companies.__file__, all_frames=True)
            traces = tracemalloc.take_snapshot().filter_traces([here]).traces
            held.append(sum(trace.size for trace in traces))
            tracemalloc.stop()

    tracemalloc.start(8)
    try:
        report = await bulk.pull(caller, tmp_path / "pull", options=OPTIONS, on_event=on_event)
    finally:
        tracemalloc.stop()
    assert report.companies == 300
    # As objects they take more than 100 kB.
    assert held[0] < 20_000


async def test_the_case_of_a_named_company_does_not_matter(server: Server, caller: Codat) -> None:
    """More than are requested one by one, and one of them twice; each is known by the API's own id."""
    server.companies = [f"abcdef{number:02}" for number in range(25)]
    named = [each.upper() for each in server.companies]
    found = await find_companies(caller, [*named, *server.companies[:3]])
    assert [each.id for each in found.subjects] == server.companies
    assert found.failures == []
    named = [server.companies[0], named[0]]
    server.companies = [server.companies[0], named[1]]
    assert len((await find_companies(caller, named)).subjects) == 1


async def test_a_company_without_an_id_is_a_failure(server: Server, caller: Codat, tmp_path: Path) -> None:
    """Nothing of it can be asked for; the others are pulled."""
    server.companies = [COMPANY, "", OTHER]
    server.put("customers", [customer(1)])
    report = await pull(caller, tmp_path / "pull")
    assert report.outcome == "partial"
    (failure,) = report.failures
    assert (failure.kind, failure.types) == ("unreadable", {"": 1})
    assert failure.examples[0].text == "companies.list: the id is empty at $.id"
    pulled = {json.loads(each)["company_id"] for each in raw_lines(tmp_path / "pull", "customers")}
    assert pulled == {COMPANY, OTHER}


async def test_a_connection_without_an_id_is_left_out(
    server: Server, caller: Codat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is read through a connection cannot be asked for, what the company has can."""
    monkeypatch.setattr(bulk_server, "CONNECTION", "")
    found = await find_companies(caller)
    assert [(each.id, each.connections, each.linked) for each in found.subjects] == [(COMPANY, (), True)]
    assert f"company {COMPANY}: a connection without an id is not read" in caplog.text


async def test_the_query_is_sent_as_it_is(three: Server, caller: Codat, tmp_path: Path) -> None:
    """It selects companies by what Codat's own query language can express."""
    await pull(caller, tmp_path / "pull", company_query="tags.region=uk")
    queries = [query for path, query in three.requests if path == "/companies"]
    assert [query.get("query") for query in queries] == ["tags.region=uk"]


async def test_a_query_that_the_api_rejects_ends_the_pull(
    three: Server, caller: Codat, tmp_path: Path
) -> None:
    """Nothing is written."""
    three.hook = lambda path, query: error_response(400, "bad query") if "query" in query else None
    with pytest.raises(BadRequest, match="bad query"):
        await bulk.pull(caller, tmp_path / "pull", options=bulk.PullOptions(company_query="tags?"))
    assert not (tmp_path / "pull").exists()


def test_companies_are_selected_in_one_way() -> None:
    """By ids or by a query."""
    with pytest.raises(ValueError, match="not by both"):
        bulk.PullOptions(companies=[COMPANY], company_query="tags.region=uk")


async def test_a_pull_of_the_companies_alone(three: Server, caller: Codat, tmp_path: Path) -> None:
    """Takes no request but that of their list."""
    options = bulk.PullOptions(types=["companies", "connections"])
    report = await bulk.pull(caller, tmp_path / "pull", options=options)
    assert report.outcome == "done"
    assert [path for path, _ in three.requests] == ["/companies"]
    assert len(written_lines(tmp_path / "pull", "companies")) == 3


async def test_a_forgotten_company_is_not_written_again(three: Server, caller: Codat, tmp_path: Path) -> None:
    """Neither its record nor its connections."""
    await pull(caller, tmp_path / "pull")
    bulk.forget(tmp_path / "pull", [OTHER], duckdb=[tmp_path / "pull.duckdb"])
    await pull(caller, tmp_path / "pull")
    for kind in ("companies", "connections"):
        assert OTHER.encode() not in b"".join(raw_lines(tmp_path / "pull", kind))
    assert listed(tmp_path / "pull.duckdb") == [(COMPANY, True), ("c" * 8, True)]


async def test_more_companies_than_a_page(three: Server, caller: Codat, tmp_path: Path) -> None:
    """Each is written once."""
    three.companies = [f"{number:08}" for number in range(1203)]
    three.unlinked = set(three.companies[1:])
    await pull(caller, tmp_path / "pull")
    assert [each for each, _ in listed(tmp_path / "pull.duckdb")] == three.companies


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("compnies", "companies"),
        ("invoice", "invoices"),
        ("transactions", "bank_account_transactions or account_transactions"),
        ("journal", "journals or journal_entries"),
        ("frobnicate", None),
        ("x", None),
    ],
)
def test_suggestions_for_a_misspelt_type(name: str, wanted: str | None) -> None:
    """Those spelled alike or with the same word, or all if there are none."""
    with pytest.raises(bulk.UnknownDataType) as error:
        bulk.resolve_types([name])
    # Other tests may have declared lists of their own.
    names: Sequence[str] = list(known_types())
    hint = f"known types are {', '.join(names)}" if wanted is None else f"did you mean {wanted}?"
    assert str(error.value) == f"unknown data type {name!r}; {hint}"
