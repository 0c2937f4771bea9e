"""Pulling: what is written and reported, and that the failure of one list does not affect the others."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from aiohttp import web
from bulk_server import (
    COMPANY,
    Server,
    client,
    customer,
    error_response,
    everything,
    files,
    parts,
    written_lines,
)

from codat_async import Codat, Limits, bulk
from codat_async.bulk import Outcome, PullOptions
from codat_async.errors import Unauthorized
from codat_async.sandbox import Sandbox
from codat_middleware import Governor
from tests.middleware.fakes import FastClock

CUSTOMERS = f"/companies/{COMPANY}/data/customers"


def options(*types: str, **more: object) -> PullOptions:
    return PullOptions(types=types or ("customers",), source="test", **more)  # type: ignore[arg-type]


async def test_every_type_of_every_company_is_written(codat: Codat, sandbox: Sandbox, tmp_path: Path) -> None:
    """A pull of everything writes and reports as many records as the sandbox has."""
    report = await bulk.pull(codat, tmp_path / "books", options=PullOptions(page_size=7))
    assert report.outcome == Outcome.DONE
    assert set(report.types) == {*bulk.pull_types(), "data_status"}
    company = sandbox.company_ids[0]
    records = everything(tmp_path / "books")
    for kind in ("invoices", "bills", "direct_costs", "journal_entries", "bank_accounts"):
        assert len(records[f"{kind}/{company}"]) == len(sandbox.books.company(company).records(kind))
    accounts = sandbox.books.company(company).records("bank_accounts")
    expected = sum(len(sandbox.books.company(company).bank_transactions(each.id)) for each in accounts)
    assert len(records[f"bank_account_transactions/{company}"]) == expected
    assert len(records[f"balance_sheet/{company}"]) == 1
    assert parts(tmp_path) == []


async def test_records_are_written_byte_for_byte(server: Server, caller: Codat, tmp_path: Path) -> None:
    """Numbers, escapes, unknown fields and the order of fields are as the API sent them."""
    odd = rb'{"status":"Active","id":"\u00e9/1","modifiedDate":"2024-01-01T00:00:00Z","new":1.50E+2,"n":0.10}'
    server.put("customers", [odd, customer(2)])
    await bulk.pull(caller, tmp_path, options=options())
    assert written_lines(tmp_path, "customers")[0] == odd


async def test_pretty_printed_records_are_written_one_a_line(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Only white space is removed; the digits of a number are kept."""
    server.pretty = True
    odd = b'{"id":"1","status":"Active","modifiedDate":"2024-01-01T00:00:00Z","x":1.50E+2,"s":"a\\n b"}'
    server.put("customers", [odd, customer(2)])
    await bulk.pull(caller, tmp_path, options=options())
    assert written_lines(tmp_path, "customers")[0] == odd
    assert len(written_lines(tmp_path, "customers")) == 2


async def test_an_invalid_record_is_written_and_listed(server: Server, caller: Codat, tmp_path: Path) -> None:
    """It is in the raw file, and in ``invalid`` with the reason and the path."""
    bad = {"id": "bad", "status": 7, "modifiedDate": "2024-01-01T00:00:00Z", "contacts": "none"}
    server.put("customers", [customer(1), bad, customer(2)])
    report = await bulk.pull(caller, tmp_path, options=options())
    assert report.outcome == Outcome.DONE
    assert report.total.invalid == 1
    assert len(written_lines(tmp_path, "customers")) == 3
    (listing,) = (tmp_path / "invalid").rglob("*.ndjson")
    entry = json.loads(listing.read_text())
    assert entry["id"] == "bad"
    assert entry["path"].startswith("$.")
    assert entry["reason"]
    assert entry["record"] == bad


async def test_dates_without_a_time_are_valid(server: Server, caller: Codat, tmp_path: Path) -> None:
    """The client accepts them too."""
    server.put("payments", [{"id": "p", "date": "2024-05-01", "modifiedDate": "2024-05-01T00:00:00Z"}])
    report = await bulk.pull(caller, tmp_path, options=options("payments"))
    assert report.total.invalid == 0


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        (404, "unsupported", Outcome.DONE),
        (409, "not_synced", Outcome.PARTIAL),
        (403, "forbidden", Outcome.PARTIAL),
    ],
)
async def test_a_failed_list_does_not_affect_the_others(
    server: Server, caller: Codat, tmp_path: Path, status: int, kind: str, outcome: Outcome
) -> None:
    """Its failure is classified and reported."""
    server.put("customers", [customer(1)])
    server.hook = lambda path, _: error_response(status) if path.endswith("/suppliers") else None
    report = await bulk.pull(caller, tmp_path, options=options("suppliers", "customers"))
    assert report.outcome == outcome
    assert len(written_lines(tmp_path, "customers")) == 1
    if outcome == Outcome.DONE:
        assert report.skipped == {"suppliers": 1}
    else:
        (group,) = report.failures
        assert (group.kind, group.count, group.types) == (kind, 1, {"suppliers": 1})
        assert [(each.type, each.company) for each in group.examples] == [("suppliers", COMPANY)]


async def test_a_failed_list_is_retried_at_the_end(server: Server, caller: Codat, tmp_path: Path) -> None:
    """After all others, in the same run."""
    server.put("customers", [customer(1)])
    server.put("suppliers", [customer(1)])
    failures = iter([error_response(409)])
    server.hook = lambda path, _: next(failures, None) if path.endswith("/customers") else None
    report = await bulk.pull(caller, tmp_path, options=options("customers", "suppliers"))
    assert report.outcome == Outcome.DONE
    assert [path for path, _ in server.requests if "/data/" in path][-1] == CUSTOMERS


async def test_a_page_that_is_not_json_fails_its_list_only(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """HTML with status 200 is reported as unreadable."""
    server.put("customers", [customer(1)])
    server.hook = lambda path, _: web.Response(text="<html>") if path.endswith("/suppliers") else None
    report = await bulk.pull(caller, tmp_path, options=options("customers", "suppliers"))
    assert [each.kind for each in report.failures] == ["unreadable"]
    assert report.total.done == 1


async def test_a_wrong_api_key_raises_and_leaves_no_directory(sandbox: Sandbox, tmp_path: Path) -> None:
    """Unauthorized is raised before anything is written."""
    async with Codat("wrong", base_url=sandbox.base_url) as codat:
        with pytest.raises(Unauthorized):
            await bulk.pull(codat, tmp_path / "books")
    assert not (tmp_path / "books").exists()


async def test_a_list_that_cannot_be_ordered_is_read_without_order(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """It is read whole, also by the next run."""
    server.put("customers", [customer(1), customer(2)])
    server.hook = lambda path, query: error_response(400) if "orderBy" in query and "/data/" in path else None
    for _ in range(2):
        report = await bulk.pull(caller, tmp_path, options=options(freshness=False))
        assert report.outcome == Outcome.DONE
        assert report.total.rows == 2


async def test_the_report_has_sums_and_the_status_every_unit(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """``report.json`` has rows, pages and requests by type; the inventory has the state of each list."""
    server.put("customers", [customer(number) for number in range(5)])
    await bulk.pull(caller, tmp_path, options=options(page_size=2))
    sums = json.loads((tmp_path / "report.json").read_text())["types"]["customers"]
    assert (sums["rows"], sums["pages"], sums["requests"], sums["done"]) == (5, 3, 3, 1)
    found = bulk.status(tmp_path)
    assert (found.outcome, found.total.records, found.total.companies) == (Outcome.DONE, 5, 1)
    (unit,) = bulk.unit_statuses(tmp_path)
    assert (unit.company, unit.type, unit.state, unit.records) == (COMPANY, "customers", "done", 5)
    assert unit.read_at == found.types["customers"].newest == found.types["customers"].oldest


async def test_a_second_pull_into_the_same_directory_raises(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """While the first is running; the error says that there is another pull."""
    server.put("customers", [customer(1)])
    asked = asyncio.Event()
    go_on = asyncio.Event()

    def hook(path: str, _: dict[str, str]) -> None:
        asked.set()

    server.hook = hook
    answer = server._answer

    async def slow(request: web.BaseRequest) -> web.Response:
        asked.set()
        await go_on.wait()
        return answer(request.path, dict(request.query))

    server._runner.server.request_handler = slow  # type: ignore[union-attr]
    first = asyncio.create_task(bulk.pull(caller, tmp_path, options=options()))
    await asked.wait()
    with pytest.raises(bulk.DirectoryError, match="another pull"):
        await bulk.pull(caller, tmp_path, options=options())
    go_on.set()
    assert (await first).outcome == Outcome.DONE


async def test_a_directory_of_something_else_is_not_changed(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A directory with files that are not of a pull raises DirectoryError."""
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(bulk.DirectoryError, match="something else"):
        await bulk.pull(caller, tmp_path, options=options())
    assert os.listdir(tmp_path) == ["letter.txt"]


async def test_a_directory_of_another_account_is_not_changed(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """An API key with none of the companies pulled before belongs to another account."""
    server.put("customers", [customer(1)])
    await bulk.pull(caller, tmp_path, options=options())
    server.companies = ["33333333-3333-4333-8333-333333333333"]
    with pytest.raises(bulk.DirectoryError, match="another account"):
        await bulk.pull(caller, tmp_path, options=options())
    with pytest.raises(bulk.DirectoryError, match="holds a pull of test"):
        await bulk.pull(caller, tmp_path, options=PullOptions(types=["customers"], source="other"))


async def test_a_quota_that_is_too_small_raises_before_the_start(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """The totals are requested to find out; with ``allow_partial`` the pull starts anyway."""
    server.put("customers", [customer(number) for number in range(40)])
    server.headers = {"X-Rate-Limit-Limit": "2000", "X-Rate-Limit-Remaining": "10"}
    with pytest.raises(bulk.QuotaTooSmall, match=r"about 20 requests and \d+ are left"):
        await bulk.pull(caller, tmp_path / "books", options=options(page_size=2))
    assert not (tmp_path / "books").exists()
    report = await bulk.pull(caller, tmp_path / "books", options=options(page_size=2, allow_partial=True))
    assert report.total.rows == 40


async def test_a_pull_stopped_by_the_quota_can_be_resumed(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """What was read before the quota was used up is kept, and the next day's pull reads the rest."""
    server.put("customers", [customer(number) for number in range(20)])
    spent = {"Retry-After": "3600", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Limit": "2000"}

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        if query.get("page") == "4" and "/data/" in path:
            return web.Response(status=429, headers=spent)
        return None

    server.hook = hook
    report = await bulk.pull(caller, tmp_path, options=options(page_size=2, allow_partial=True, memory=1))
    assert report.outcome == Outcome.PARTIAL
    assert report.stopped
    server.hook = None
    async with client(server.base_url) as next_day:
        report = await bulk.pull(next_day, tmp_path, options=options(page_size=2))
    assert report.outcome == Outcome.DONE
    assert len(written_lines(tmp_path, "customers")) == 20
    assert sum(query.get("page") == "1" for path, query in server.requests if "/data/" in path) == 1


async def test_a_pull_stopped_by_a_long_pause_of_the_api_can_be_resumed(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A pause of hours for all requests stops the pull as a spent quota does, after a few of them."""
    names = [f"{number:08}-1111-4111-8111-111111111111" for number in range(200)]
    server.companies = names
    server.put("customers", [customer(1)])
    refused = 0

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        nonlocal refused
        if path == "/companies":
            return None
        refused += 1
        return web.Response(status=429, headers={"Retry-After": "7200"})

    server.hook = hook
    governor = Governor(Limits(per_minute=None), clock=FastClock())
    async with Codat("key", base_url=server.base_url, governor=governor) as paused:
        report = await bulk.pull(paused, tmp_path, options=options(allow_partial=True))
    assert report.outcome != Outcome.DONE
    assert report.stopped
    assert "for all requests" in report.stopped
    # Those under way at the first verdict, and the probes after it; how many depends on the machine.
    assert refused < len(names)
    server.hook = None
    report = await bulk.pull(caller, tmp_path, options=options())
    assert (report.outcome, report.total.rows) == (Outcome.DONE, 200)


async def test_lists_of_a_company_with_a_long_pause_stay_open(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """They are tried again at the end of the run; the report names them, and the next pull reads them."""
    names = [f"{number:08}-1111-4111-8111-111111111111" for number in range(40)]
    server.companies = names
    server.put("customers", [customer(1)])
    asked: list[str] = []

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        if "/data/" not in path:
            return None
        asked.append(path)
        return web.Response(status=429, headers={"Retry-After": "7200"}) if names[3] in path else None

    server.hook = hook
    report = await bulk.pull(caller, tmp_path, options=options())
    assert report.outcome == Outcome.PARTIAL
    assert report.stopped is None
    (group,) = report.failures
    assert (group.kind, group.count, group.examples[0].company) == ("rate_limited", 1, names[3])
    assert [names[3] in path for path in asked][-1]
    assert report.total.rows == 39
    server.hook = None
    async with client(server.base_url) as later:
        report = await bulk.pull(later, tmp_path, options=options())
    assert (report.outcome, report.total.rows) == (Outcome.DONE, 40)


async def test_a_cancelled_pull_leaves_no_incomplete_file_and_can_be_resumed(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Incomplete files of large lists are named ``.part``; the next pull completes them."""
    server.put("customers", [customer(number) for number in range(20)])
    task: asyncio.Task[bulk.Report] | None = None

    def hook(path: str, query: dict[str, str]) -> None:
        if query.get("page") == "6" and task is not None:
            task.cancel()

    server.hook = hook
    task = asyncio.create_task(bulk.pull(caller, tmp_path, options=options(page_size=2, memory=1)))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not files(tmp_path)
    assert len(parts(tmp_path)) == 1
    task = None
    report = await bulk.pull(caller, tmp_path, options=options(page_size=2))
    assert report.outcome == Outcome.DONE
    assert [json.loads(line)["id"] for line in written_lines(tmp_path, "customers")] == [
        f"c{n}" for n in range(20)
    ]
    assert parts(tmp_path) == []
