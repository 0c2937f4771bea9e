"""Lists that never end, and malformed pages, over sockets."""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from codat_async import Codat, Limits, Pager, Request, Response, RetryPolicy, bulk, codec, errors
from codat_async.models import Attachment

COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"
CONNECTION = "8a210b68-6988-11ed-a1eb-0242ac120003"
Page = Callable[[int], bytes | dict[str, Any]]


def record(identifier: object, **fields: Any) -> dict[str, Any]:
    """A customer."""
    return {"id": str(identifier), "status": "Active", "modifiedDate": "2024-01-01T00:00:00Z", **fields}


def page(number: int, *records: dict[str, Any], total: Any = 2, **head: Any) -> dict[str, Any]:
    """A page that links to the next one."""
    links = {"next": {"href": f"/companies/x?page={number + 1}&secret=token"}}
    whole = {
        "results": [*records],
        "pageNumber": number,
        "pageSize": 2,
        "totalResults": total,
        "_links": links,
    }
    return {name: value for name, value in (whole | head).items() if value is not ...}


class Server:
    """Answers a list of customers by a function of the page's number, and everything else properly."""

    def __init__(self, pages: Page) -> None:
        self.pages = pages
        self.numbers: list[int] = []
        self.company: dict[str, Any] = {}
        """Other fields of the only company."""

    async def __aenter__(self) -> "Server":
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._server = TestServer(app)
        await self._server.start_server()
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.path
        if path.endswith("/data/customers"):
            number = int(request.query["page"])
            self.numbers.append(number)
            found = self.pages(number)
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            return web.Response(body=body, content_type="application/json")
        connection = {"id": CONNECTION, "status": "Linked", "sourceType": "Accounting", "platformName": "x"}
        company = {"id": COMPANY, "name": "x", "redirect": "x", "dataConnections": [connection]}
        if path == "/companies":
            return web.json_response(page(1, company | self.company, total=1, _links={}))
        return web.json_response(company)


def client(server: Server) -> Codat:
    """A client that waits for nothing."""
    limits = Limits(per_minute=None)
    return Codat("key", base_url=server.url, limits=limits, retry=RetryPolicy(attempts=2, waits=False))


ENDLESS: dict[str, tuple[Page, str]] = {
    "the same two records": (lambda number: page(number, record(1), record(2), total=1000), "page number"),
    "the same, without a number": (
        lambda number: page(number, record(1), record(2), total=1000, pageNumber=...),
        "ignore the page number",
    ),
    "the same, and a small total": (lambda number: page(number, record(1), record(2)), "page number"),
    "the first page for all": (
        lambda number: page(number, record(1), record(2), pageNumber=1),
        "requested page 2, received page 1; the server ignores the page number",
    ),
    "new records": (lambda number: page(number, record(2 * number), record(2 * number + 1)), "reports 2"),
    "new versions": (
        lambda number: page(number, record(1, modifiedDate=f"2024-01-01T00:00:{number % 60:02}Z")),
        "reports 2",
    ),
    "records without ids": (lambda number: page(number, {"status": "Active"}), "reports 2"),
    "empty pages": (lambda number: page(number, total=10**9), "empty"),
    "empty pages past the end": (lambda number: page(number), "it is empty"),
    "empty pages without a size": (lambda number: page(number, total=10**9, pageSize=0), "it is empty"),
}


@pytest.mark.parametrize("prefetch", [0, 5])
@pytest.mark.parametrize("kind", ENDLESS)
async def test_list_that_never_ends(kind: str, prefetch: int) -> None:
    """It ends in an error after a few pages, with the records handed on before, and says why."""
    pages, reason = ENDLESS[kind]
    async with Server(pages) as server, client(server) as codat:
        with pytest.raises(errors.PagingError, match=reason) as caught:
            async for _ in codat.customers.list(COMPANY, page_size=2, prefetch=prefetch):
                pass
        assert len(server.numbers) <= 12
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ENDLESS)
async def test_pull_of_a_list_that_never_ends(kind: str, tmp_path: Path) -> None:
    """The list fails, and what was read of it is bounded; so in a stream."""
    async with Server(ENDLESS[kind][0]) as server, client(server) as codat:
        report = await bulk.pull(
            codat, tmp_path, options=bulk.PullOptions(types=["customers"], page_size=2, allow_partial=True)
        )
        assert report.outcome == "failed"
        assert {failure.kind for failure in report.failures} == {"paging"}
        assert len(server.numbers) <= 40
        server.numbers.clear()
        with pytest.raises(bulk.PartialFailure):
            async for _ in bulk.records(codat, types=["customers"], page_size=2):
                pass
        assert len(server.numbers) <= 20


# --- odd pages ------------------------------------------------------------------------------

BOTH = (record(1), record(2))
ODD: dict[str, dict[str, Any]] = {
    "total null": {"total": None},
    "total in quotes": {"total": "2"},
    "total with a point": {"total": 2.0},
    "total that is a list": {"total": []},
    "total of many digits": {"total": "9" * 5000},
    "total beyond a database": {"total": 10**30},
    "total below zero": {"total": -5},
    "number null": {"pageNumber": None},
    "number in quotes": {"pageNumber": "1"},
    "size null": {"pageSize": None},
    "links an empty list": {"_links": []},
    "links a list": {"_links": [{"next": 1}]},
    "byte order mark": {},
    "mark and null": {"total": None},
    "raw control characters": {},
    "mark, control characters and lone surrogate": {"total": "2", "pageSize": None, "_links": []},
}


def odd_page(kind: str) -> bytes:
    """A page of two records that has something odd."""
    whole = page(1, record(1), record(2, customerName="b"), **({"_links": {}} | ODD[kind]))
    body = json.dumps(whole).encode()
    if "control" in kind:
        body = body.replace(b'"b"', b'"a\x00\x1b\n\tb"')
    if "surrogate" in kind:
        body = body.replace(b"a\x00", b"a\\ud800")
    return b"\xef\xbb\xbf" + body if "mark" in kind else body


@pytest.mark.parametrize("kind", ODD)
async def test_malformed_page(kind: str, tmp_path: Path) -> None:
    """All of its records are read: by a list, a pull and a stream."""
    async with Server(lambda number: odd_page(kind)) as server, client(server) as codat:
        pager = codat.customers.list(COMPANY)
        assert [each.id for each in await pager.collect()] == ["1", "2"]
        names = [each.customer_name async for each in codat.customers.list(COMPANY, page_size=2)]
        expected = "a\ufffd   b" if "lone" in kind else "a    b" if "control" in kind else "b"
        assert names == [None, expected]
        report = await bulk.pull(codat, tmp_path, options=bulk.PullOptions(types=["customers"]))
        assert (report.outcome, report.total.rows, report.failures) == ("done", 2, [])
        found = [
            each.id async for batch in bulk.records(codat, types=["customers"]) for each in batch.records
        ]
        assert found == ["1", "2"]
    converted = bulk.convert(tmp_path, types=["customers"])
    assert sum(each.records for each in converted) == 2


async def extend(records: list[Any], pager: Pager[Any]) -> None:
    """Add the records of a pager, as far as it comes."""
    async for each in pager:
        records.append(each)  # noqa: PERF401


NOWHERE = {
    "5,000 digits": f"/x?page={'9' * 5000}",
    "no URL": "http://[/x?page=2",
    "no number": "/x?page=two&secret=token",
    "digits of another script": "/x?page=٢",
    "a terminal's": "/\x1b[2J\x07?page=1",
    "long": "/" + "x" * 100_000,
    "null": None,
}


@pytest.mark.parametrize("kind", NOWHERE)
async def test_link_that_leads_nowhere(kind: str) -> None:
    """Its page is handed on, then a typed error is raised, bounded and without the query."""
    pages = page(1, *BOTH, total=100, _links={"next": {"href": NOWHERE[kind]}})
    async with Server(lambda number: pages) as server, client(server) as codat:
        got: list[Any] = []
        with pytest.raises(errors.PagingError) as caught:
            await extend(got, codat.customers.list(COMPANY, page_size=2, prefetch=3))
        assert [each.id for each in got] == ["1", "2"]
        text = str(caught.value)
        assert text.isprintable()
        assert len(text) < 400
        assert "secret" not in text


async def test_page_of_more_records_than_any_page_has(tmp_path: Path) -> None:
    """It is rejected before each of its records becomes an object or an error."""
    pages = b'{"results":[' + b"{}," * 100_000 + b"{}]}"
    async with Server(lambda number: pages) as server, client(server) as codat:
        for on_invalid in ("raise", "skip"):
            with pytest.raises(errors.DecodingError, match="100,001 records; at most 5,000"):
                await codat.customers.list(COMPANY, on_invalid=on_invalid).collect()  # type: ignore[arg-type]
        report = await bulk.pull(codat, tmp_path, options=bulk.PullOptions(types=["customers"]))
        assert {failure.kind for failure in report.failures} == {"unreadable"}


async def test_unreadable_links_before_the_end() -> None:
    """The list is not taken for one that ends there."""
    pages = page(1, *BOTH, total=100, _links=[{"next": 1}])
    async with Server(lambda number: pages) as server, client(server) as codat:
        with pytest.raises(errors.PagingError, match="does not advance"):
            await codat.customers.list(COMPANY, page_size=2).collect()


async def test_one_odd_record_costs_no_other() -> None:
    """A number of 5,000 digits, in quotes or not, or beyond any integer, costs its record at most."""
    bad = [
        b'{"id":"1","attachmentId":"1","fileSize":"' + b"9" * 5000 + b'"}',
        b'{"id":"2","fileSize":' + b"9" * 5000 + b"}",
        b'{"id":"3","fileSize":1e999999999}',
        b'{"id":"4","fileSize":"12"}',
    ]
    for text in bad[:3]:
        with pytest.raises(errors.InvalidRecord):
            codec.read(text, Attachment)
    assert codec.read(bad[3], Attachment).file_size == 12


async def test_company_whose_id_a_terminal_obeys(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Errors, reports and logs show the beginning of it, on one line."""
    caplog.set_level(logging.DEBUG, "codat_async")
    caplog.set_level(logging.DEBUG, "codat_middleware")
    async with Server(lambda number: b"[") as server, client(server) as codat:
        server.company["id"] = server.company["redirect"] = "\x1b[2J\x9b\x00" + "x" * 5000
        with pytest.raises(bulk.PartialFailure) as caught:
            async for _ in bulk.records(codat, types=["customers"]):
                pass
        options = bulk.PullOptions(types=["customers"], allow_partial=True)
        for connections in (..., []):
            if connections is not ...:
                server.company["dataConnections"] = connections
            with suppress(bulk.NothingToPull):
                await bulk.pull(codat, tmp_path, options=options)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("codat")]
    assert any("is no longer linked" in line for line in lines)
    for line in (str(caught.value), *lines):
        assert line.isprintable()
        assert len(line) < 1500


async def test_errors_with_a_byte_order_mark() -> None:
    """The correlation id is not lost, with a mark or with raw control characters."""
    text = b'\xef\xbb\xbf{"error":"a\nb","correlationId":"abc"}'
    error = errors.from_response(Request(method="GET", path="/x"), Response(status=404, body=text))
    assert (error.error, error.correlation_id) == ("a b", "abc")
