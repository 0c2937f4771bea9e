"""The gate: which lists a night reads when syncs come between the requests, and that none ends stale."""

from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from bulk_server import COMPANY, CONNECTION, client, customer, error_response
from sync_server import SyncServer, current, listed

from codat_async import Codat, bulk
from codat_async.bulk import Event, Outcome, PullOptions, Report
from codat_async.bulk.extract.gate import Gate
from codat_async.bulk.store.directory import Directory

LIST = f"/companies/{COMPANY}/data/customers"


@pytest.fixture
async def server() -> AsyncIterator[SyncServer]:
    """A company with three customers, synced once."""
    async with SyncServer() as running:
        running.sync(records=[customer(number) for number in range(3)])
        yield running


@pytest.fixture
async def caller(server: SyncServer) -> AsyncIterator[Codat]:
    """A client of that server."""
    async with client(server.base_url) as made:
        yield made


class Nights:
    """Pulls of one directory."""

    def __init__(self, codat: Codat, path: Path) -> None:
        self.codat = codat
        self.path = path
        self.events: list[Event] = []

    async def __call__(self, *types: str, **options: Any) -> Report:
        """Pull once."""
        given = {"types": types or ("customers",), "source": "test", **options}
        self.events.clear()
        return await bulk.pull(
            self.codat, self.path, options=PullOptions(**given), on_event=self.events.append
        )

    def event(self, name: str) -> dict[str, Any]:
        """The details of the one event of that name."""
        (found,) = [each.details for each in self.events if each.event == name]
        return dict(found)

    def token(self, kind: str = "customers") -> bytes | None:
        """The token that the checkpoint has of a list."""
        with Directory(self.path) as directory:
            query = "select token from lists l join types t on t.key = l.type where t.name = ?"
            row = directory.checkpoint.db.execute(query, (kind,)).fetchone()
            return None if row is None else row[0]


@pytest.fixture
def night(caller: Codat, tmp_path: Path) -> Nights:
    """Pulls one directory, night after night."""
    return Nights(caller, tmp_path / "books")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the day that the gate goes by, so many days from today."""
    today = Gate.today

    def shift(days: int) -> None:
        monkeypatch.setattr(Gate, "today", lambda gate: today(gate) + timedelta(days=days))

    return shift


def once(server: SyncServer, action: Callable[[], object], path: str = LIST, page: str = "1") -> None:
    """Act once when a page is requested, before it is answered."""
    acted = False

    def hook(requested: str, query: dict[str, str]) -> None:
        nonlocal acted
        if not acted and requested == path and query.get("page", "1") == page:
            acted = True
            action()

    server.hook = hook


async def settled(server: SyncServer, night: Nights) -> None:
    """The next night reads what could not be confirmed, and the one after that nothing."""
    report = await night()
    assert (report.total.done, report.total.unchanged) == (1, 0)
    assert current(night.path) == listed(server)
    server.asked()
    report = await night()
    assert (report.total.done, report.total.unchanged) == (0, 1)
    assert server.asked() == []
    assert current(night.path) == listed(server)


async def test_an_unchanged_list_costs_no_request(server: SyncServer, night: Nights) -> None:
    """Only its company's status is asked; report, status and event say so."""
    await night()
    assert len(server.asked("dataStatus")) == 2
    server.asked()
    report = await night()
    assert len(server.asked("dataStatus")) == 1
    assert server.asked() == []
    assert (report.outcome, report.mode) == (Outcome.DONE, "incremental")
    assert (report.total.units, report.total.ended, report.total.unchanged) == (1, 1, 1)
    assert report.total.requests == report.types["data_status"].requests == 1
    assert night.event("company_checked") == {"company": COMPANY, "read": 0, "rechecked": 0, "unchanged": 1}
    found = bulk.status(night.path)
    assert (found.outcome, found.types["customers"].unchanged) == (Outcome.DONE, 1)


async def test_a_sync_makes_only_its_list_be_read_from_the_watermark(
    server: SyncServer, night: Nights
) -> None:
    """The changes alone, without those of the overlap."""
    server.sync("suppliers", [customer(1)])
    await night("customers", "suppliers")
    server.asked()
    server.add(7)
    report = await night("customers", "suppliers")
    (query,) = server.asked()
    assert query["query"].startswith("modifiedDate>=2023-12-31T23:50:00")
    assert (report.total.rows, report.total.unchanged, report.total.incremental) == (1, 1, 1)
    assert current(night.path) == listed(server)


async def test_without_the_gate_everything_is_read(server: SyncServer, night: Nights) -> None:
    """And nothing is asked about companies; what was known of the night before is dropped."""
    await night()
    await night()
    assert bulk.status(night.path).total.unchanged == 1
    server.asked("dataStatus")
    report = await night(freshness=False)
    assert server.asked("dataStatus") == []
    assert (report.total.done, report.total.unchanged) == (1, 0)
    assert bulk.status(night.path).total.unchanged == 0
    assert night.token() is None


async def test_a_quiet_night_fits_a_quota_of_a_request_a_company(server: SyncServer, night: Nights) -> None:
    """Its lists are more than what is left of the day's quota, which is no reason not to start."""
    types = ("customers", "suppliers", "items")
    for each in ("suppliers", "items"):
        server.sync(each, [customer(1)])
    await night(*types)
    server.headers = {
        "X-Rate-Limit-Limit": "1000",
        "X-Rate-Limit-Remaining": "2",
        "X-Rate-Limit-Reset": "2999-01-01T00:00:00Z",
    }
    assert (await night(*types)).total.unchanged == 3
    with pytest.raises(bulk.QuotaTooSmall, match="at least 3 requests and 2 are left"):
        await night(*types, freshness=False)


async def test_full_reads_what_is_unchanged(server: SyncServer, night: Nights) -> None:
    """Whole, and what it read is confirmed as on any night."""
    await night()
    report = await night(full=True)
    assert (report.mode, report.total.rows) == ("full", 3)
    assert (await night()).total.unchanged == 1


# --- races ---------------------------------------------------------------------------------


async def test_sync_that_ends_between_the_status_and_page_1(server: SyncServer, night: Nights) -> None:
    """What it brought is kept, and the list is read once more."""
    once(server, lambda: server.add(8))
    report = await night()
    assert report.total.rows == 4
    assert night.token() is None
    await settled(server, night)


async def test_sync_that_ends_between_pages(server: SyncServer, night: Nights) -> None:
    """A record that moved past the pages read is found by the next night."""
    server.add(3, 4, 5)
    moved = [customer(0, modified="2024-01-05T00:00:00Z")]
    changed = [customer(number) for number in range(1, 6)] + moved
    once(server, lambda: server.sync(records=changed), page="2")
    await night(page_size=2)
    await settled(server, night)


async def test_sync_that_starts_while_the_list_is_read_and_fails(server: SyncServer, night: Nights) -> None:
    """It may have changed records before it failed."""
    await night()
    server.add(5)

    def fail() -> None:
        server.begin()
        server.add(6, sync=False, modified="2024-01-01T00:00:30Z")
        server.end(status="FetchError")

    once(server, fail)
    await night()
    assert night.token() is None
    await settled(server, night)


async def test_sync_that_runs_when_the_reading_ends(server: SyncServer, night: Nights) -> None:
    """The reading is not confirmed, and while the sync runs the list is not read."""
    once(server, server.begin)
    await night()
    assert night.token() is None
    server.hook = None
    server.asked()
    report = await night()
    assert (report.total.syncing, report.total.done, report.outcome) == (1, 0, Outcome.DONE)
    assert server.asked() == []
    server.end(records=[customer(number) for number in range(5)])
    await settled(server, night)


async def test_of_two_failed_syncs_the_last_is_visible(server: SyncServer, night: Nights) -> None:
    """Its id alone says that records may have changed: no sync succeeded."""
    await night()
    server.begin()
    server.end(status="MapError")
    server.begin()
    server.add(9, sync=False)
    server.end(status="FetchError")
    report = await night()
    assert report.total.rows == 1
    assert (await night()).total.unchanged == 1
    assert current(night.path) == listed(server)


async def test_record_that_becomes_visible_hours_after_its_date(server: SyncServer, night: Nights) -> None:
    """A later one was read before, of a sync that failed: the watermark did not pass the last success."""
    server.sync(records=[customer(0, modified="2024-01-01T09:00:00Z")], at="2024-01-01T10:00:00Z")
    await night()
    server.begin()
    server.add(1, sync=False, modified="2024-01-01T12:00:00Z")
    server.end(status="ProcessingError")
    assert (await night()).total.rows == 1
    server.begin()
    server.add(2, sync=False, modified="2024-01-01T11:00:00Z")
    server.end(at="2024-01-01T13:00:00Z")
    assert (await night()).total.rows == 1
    assert current(night.path) == listed(server)


async def test_resume_after_a_new_sync_keeps_the_old_token(server: SyncServer, night: Nights) -> None:
    """The list goes on at its page, is not confirmed, and is read again by the next night."""
    server.sync(records=[customer(number) for number in range(6)])

    def hook(path: str, query: dict[str, str]) -> Any:
        return error_response(500) if path == LIST and query["page"] == "2" else None

    server.hook = hook
    report = await night(page_size=3, memory=1)
    assert report.outcome == Outcome.PARTIAL
    server.hook = None
    server.asked()
    server.sync(
        records=[customer(number) for number in range(6)] + [customer(0, modified="2024-01-09T00:00:00Z")]
    )
    server.lists["customers"].pop(0)
    report = await night(page_size=3, memory=1)
    assert report.outcome == Outcome.DONE
    assert server.asked()[0]["page"] == "2"
    assert night.token() is None
    await settled(server, night)


async def test_a_retry_that_begins_at_page_1_takes_a_new_token(server: SyncServer, night: Nights) -> None:
    """The status is asked again before it, so that it can be confirmed."""
    failed = 0

    def hook(path: str, query: dict[str, str]) -> Any:
        nonlocal failed
        if path == LIST and not failed:
            failed += 1
            server.add(4)
            return error_response(403)
        return None

    server.hook = hook
    report = await night()
    assert (report.outcome, report.total.rows) == (Outcome.DONE, 4)
    assert (await night()).total.unchanged == 1
    assert current(night.path) == listed(server)


async def test_a_killed_attempt_that_had_lines_in_memory_takes_a_new_token(
    server: SyncServer, night: Nights
) -> None:
    """The next process begins at page 1, after the sync that came between."""
    server.sync(records=[customer(number) for number in range(6)])
    server.hook = lambda path, query: (
        error_response(401) if query.get("page") == "2" and path == LIST else None
    )
    report = await night(page_size=3)
    assert report.stopped is not None
    server.hook = None
    server.add(6)
    assert (await night(page_size=3)).outcome == Outcome.DONE
    assert (await night()).total.unchanged == 1
    assert current(night.path) == listed(server)


async def test_a_replaced_connection_makes_its_lists_be_read_whole(server: SyncServer, night: Nights) -> None:
    """The books are others, even if the records are older than those known."""
    await night()
    server.connections = ["33333333-3333-4333-8333-333333333333"]
    server.sync(records=[customer(70, modified="2023-06-01T00:00:00Z")])
    server.asked()
    report = await night()
    (query,) = server.asked()
    assert "query" not in query
    assert report.total.rows == 1
    assert current(night.path) == listed(server)
    assert (await night()).total.unchanged == 1


async def test_two_connections_that_sync_at_once_are_always_read(server: SyncServer, night: Nights) -> None:
    """The one entry does not say whose sync it is, nor that the other's has ended."""
    server.connections.append("33333333-3333-4333-8333-333333333333")
    await night()
    server.add(5, sync=False, modified="2023-01-01T00:00:00Z")
    report = await night()
    assert (report.total.unchanged, report.total.done) == (0, 1)
    assert current(night.path) == listed(server)


async def test_a_new_bank_account_under_an_old_token(server: SyncServer, night: Nights) -> None:
    """It is read whole, and the others' transactions, which no sync changed, are not read."""
    kind, accounts = "bank_account_transactions", [{"id": "a"}, {"id": "b"}]
    server.sync("bankAccounts", accounts)
    for each in "abc":
        server.put(f"bankAccounts/{each}/bankTransactions", [customer(1), customer(2)])
    for each in "abc":
        path = f"connections/{CONNECTION}/data/bankAccounts/{each}/bankTransactions"
        server.lists[path] = server.lists[f"bankAccounts/{each}/bankTransactions"]
    server.sync("bankTransactions")
    report = await night(kind)
    assert (report.total.done, report.total.rows) == (3, 4)
    server.asked()
    report = await night(kind)
    assert server.asked() == []
    assert (report.total.units, report.total.unchanged) == (3, 3)
    server.sync("bankAccounts", [*accounts, {"id": "c"}])
    report = await night(kind)
    assert len(server.asked()) == 2
    assert (report.total.units, report.total.unchanged, report.total.rows) == (4, 2, 2)


async def test_changed_transactions_are_read_without_listing_the_accounts(
    server: SyncServer, night: Nights
) -> None:
    """The accounts are known from the checkpoint: a request for each."""
    kind = "bank_account_transactions"
    server.sync("bankAccounts", [{"id": "a"}, {"id": "b"}])
    for each in "ab":
        server.put(f"bankAccounts/{each}/bankTransactions", [customer(1)])
    server.sync("bankTransactions")
    await night(kind)
    server.put("bankAccounts/b/bankTransactions", [customer(1), customer(2, modified="2024-01-03T00:00:00Z")])
    server.sync("bankTransactions")
    server.asked()
    report = await night(kind)
    assert len(server.asked()) == 2
    assert (report.total.rows, report.total.unchanged) == (1, 1)


async def test_not_supported_and_then_linked_again(server: SyncServer, night: Nights) -> None:
    """Skipped without a request until a sync of it succeeds."""
    server.begin("bills")
    server.end("bills", status="NotSupported")
    report = await night("bills")
    assert (report.total.not_supported, report.skipped, report.outcome) == (1, {"bills": 1}, Outcome.DONE)
    assert server.asked() == []
    server.sync("bills", [customer(1)])
    assert (await night("bills")).total.rows == 1
    assert (await night("bills")).total.unchanged == 1


async def test_a_type_that_was_never_synced_is_skipped_unless_there_are_records(
    server: SyncServer, night: Nights
) -> None:
    """Its entry names the type and nothing else."""
    report = await night("customers", "suppliers")
    assert (report.total.not_synced, report.total.done) == (1, 1)
    server.entries["customers"] = {"dataType": "customers"}
    assert (await night("customers", "suppliers")).total.done == 1
    assert bulk.status(night.path).types["suppliers"].not_synced == 1


async def test_ids_missing_and_times_only(server: SyncServer, night: Nights) -> None:
    """The time of the last success is compared as text."""
    server.with_ids = False
    server.entries.clear()
    server.sync(at="2024-02-01T00:00:00Z")
    await night()
    assert (await night()).total.unchanged == 1
    server.add(5, sync=False)
    server.sync(at="2024-02-01T00:00:01Z")
    assert (await night()).total.rows == 1
    assert current(night.path) == listed(server)


async def test_conflict_in_the_first_sync(server: SyncServer, night: Nights) -> None:
    """A list of which nothing is known is requested all the same, and read once the sync has ended."""
    server.begin("bills")
    server.hook = lambda path, _: error_response(409) if path.endswith("/data/bills") else None
    report = await night("bills")
    assert [each.kind for each in report.failures] == ["not_synced"]
    server.hook = None
    server.end("bills", [customer(1)])
    report = await night("bills")
    assert (report.outcome, report.total.rows) == (Outcome.DONE, 1)
    assert (await night("bills")).total.unchanged == 1


@pytest.mark.parametrize("status", [500, 503, 404])
async def test_data_status_that_is_not_answered(
    server: SyncServer, night: Nights, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is read, whole if need be, with a warning; nothing is lost."""
    await night()
    server.hook = lambda path, _: error_response(status) if path.endswith("dataStatus") else None
    server.add(5)
    report = await night()
    assert (report.outcome, report.total.rows) == (Outcome.DONE, 1)
    assert "the data status of company" in caplog.text
    assert any(each.event == "status_failed" for each in night.events)
    server.add(6, sync=False, modified="2024-01-01T00:00:01Z")
    await night()
    server.hook = None
    await settled(server, night)


async def test_data_status_without_the_key_or_with_an_unknown_state(
    server: SyncServer, night: Nights
) -> None:
    """The list is read."""
    await night()
    kept = server.entries["customers"]
    server.entries["customers"] = None
    assert (await night()).total.done == 1
    server.entries["customers"] = {**(kept or {}), "currentStatus": "Pondering"}
    assert (await night()).total.done == 1
    server.entries["customers"] = kept
    await settled(server, night)


@pytest.mark.parametrize("answer", [{}, {"customers": {"dataType": "customers", "currentStatus": "Queued"}}])
async def test_confirmation_without_the_key_or_of_another_state(
    server: SyncServer, night: Nights, answer: dict[str, Any]
) -> None:
    """What was read is not confirmed by it."""
    asked = 0

    def hook(path: str, _: dict[str, str]) -> Any:
        nonlocal asked
        asked += path.endswith("dataStatus")
        return web.json_response(answer) if path.endswith("dataStatus") and asked == 2 else None

    server.hook = hook
    await night()
    assert night.token() is None
    server.hook = None
    await settled(server, night)


async def test_data_status_that_is_no_status(server: SyncServer, night: Nights) -> None:
    """JSON of another kind is one that is not answered."""
    server.hook = lambda path, _: web.json_response([1]) if path.endswith("dataStatus") else None
    assert (await night()).total.rows == 3
    server.hook = None
    await settled(server, night)


async def test_a_syncing_list_is_asked_about_once_more_at_the_end(server: SyncServer, night: Nights) -> None:
    """If the sync has ended by then, the list is read in the same run."""
    await night()
    server.begin()
    asked = 0

    def hook(path: str, _: dict[str, str]) -> None:
        nonlocal asked
        asked += path.endswith("dataStatus")
        if asked == 2:
            server.end(records=[customer(number) for number in range(4)])

    server.hook = hook
    server.lists["suppliers"] = []
    report = await night()
    assert (report.total.syncing, report.total.done, report.total.units) == (0, 1, 1)
    assert (await night()).total.unchanged == 1


async def test_a_list_that_is_not_offered_is_not_asked_for_again(server: SyncServer, night: Nights) -> None:
    """It answered 404 under the same token."""
    server.sync("items")

    assert (await night("items")).total.skipped == 1
    server.asked()
    report = await night("items")
    assert (report.total.unchanged, server.asked()) == (1, [])
    server.sync("items", [customer(1)])
    assert (await night("items")).total.rows == 1


async def test_rows_that_may_be_missing_leave_no_token(server: SyncServer, night: Nights) -> None:
    """A list that was not read to its end is not taken for unchanged."""

    def hook(path: str, _: dict[str, str]) -> Any:
        if path != LIST:
            return None
        return web.json_response(
            {"results": [customer(1)], "pageNumber": 1, "pageSize": 500, "totalResults": 2}
        )

    server.hook = hook
    assert (await night()).total.missing == 1
    assert night.token() is None


# --- rechecks and reports ------------------------------------------------------------------


async def test_unchanged_lists_are_rechecked_and_what_was_missed_is_counted(
    server: SyncServer, night: Nights, later: Callable[[int], None]
) -> None:
    """Once in so many days; a change without a sync is in the report, an event and the log."""
    await night()
    later(28)
    report = await night()
    assert (report.total.rechecked, report.total.missed, report.total.rows) == (1, 0, 0)
    assert night.event("company_checked")["rechecked"] == 1
    server.add(9, sync=False)
    later(56)
    assert (await night(recheck_after=None)).total.unchanged == 1
    report = await night()
    assert (report.total.rechecked, report.total.missed, report.total.rows) == (1, 1, 1)
    assert night.event("change_missed") == {"type": "customers", "company": COMPANY}
    assert current(night.path) == listed(server)


async def test_rechecks_are_spread_over_the_days(
    server: SyncServer, night: Nights, later: Callable[[int], None]
) -> None:
    """Each list is due on one of them."""
    for each in ("suppliers", "items", "bills"):
        server.sync(each, [customer(1)])
    names = ("customers", "suppliers", "items", "bills")
    await night(*names)
    counts = []
    for day in range(1, 8):
        later(day)
        # The day of the last reading is today for the server of this test, so each is due once only.
        report = await night(*names, recheck_after=7)
        counts.append(report.total.rechecked)
    assert counts == sorted(counts)
    assert (counts[0] < 4, counts[-1]) == (True, 4)


async def test_statements_are_read_again_in_a_new_month(
    server: SyncServer, night: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And after a sync."""
    monkeypatch.setattr(Gate, "today", lambda gate: date(2026, 1, 31))
    server.sync("balanceSheet", [])
    server.hook = _document("balanceSheet")
    assert (await night("balance_sheet")).total.rows == 1
    assert (await night("balance_sheet")).total.unchanged == 1
    monkeypatch.setattr(Gate, "today", lambda gate: date(2026, 2, 1))
    assert (await night("balance_sheet")).total.rows == 1
    server.sync("balanceSheet")
    assert (await night("balance_sheet")).total.rows == 1


async def test_aged_reports_follow_what_they_are_made_of(
    server: SyncServer, night: Nights, later: Callable[[int], None]
) -> None:
    """Read after a sync of one of four types, and on a new day only if that is asked for."""
    for each in ("invoices", "creditNotes", "payments"):
        server.sync(each, [])
    server.hook = _document("agedDebtorsReport", "agedDebtors", "aged")
    assert (await night("aged_debtors")).total.rows == 1
    later(1)
    assert (await night("aged_debtors", recheck_after=None)).total.unchanged == 1
    server.sync("creditNotes")
    assert (await night("aged_debtors", recheck_after=None)).total.rows == 1
    assert (await night("aged_debtors", aged="daily", recheck_after=None)).total.rows == 1
    assert (await night("aged_debtors", aged="daily", recheck_after=None)).total.unchanged == 1
    server.begin("payments")
    assert (await night("aged_debtors", aged="daily", recheck_after=None)).total.syncing == 1


@pytest.mark.parametrize("status", [400, 409])
async def test_an_aged_report_of_types_that_were_not_synced_together(
    server: SyncServer, night: Nights, status: int
) -> None:
    """It fails with a kind of its own: a refresh of the four types is the way out."""
    server.sync("invoices", [])
    server.hook = lambda path, _: error_response(status, "too old") if "gedDebtor" in path else None
    report = await night("aged_debtors")
    assert [each.kind for each in report.failures] == ["out_of_step"]


def _document(*parts: str) -> Any:
    def hook(path: str, _: dict[str, str]) -> Any:
        return web.json_response({"reports": []}) if any(each in path for each in parts) else None

    return hook


@pytest.mark.parametrize(
    "options", [{"recheck_after": 0}, {"aged": "hourly"}, {"refresh": True, "freshness": False}]
)
def test_options_out_of_range_are_rejected(options: dict[str, Any]) -> None:
    """With the name and the value."""
    with pytest.raises(ValueError, match=next(iter(options))):
        PullOptions(**options)
