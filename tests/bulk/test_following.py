"""Following events: what each asks for, when companies are pulled, and when events are acknowledged."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from bulk_server import COMPANY, CONNECTION, Server, client, customer, error_response, raw_lines

from codat_async import Codat, bulk
from codat_async.bulk.following import follower as follower_module
from codat_async.bulk.following.bursts import Burst, Bursts
from codat_async.bulk.following.hold import Hold
from codat_async.bulk.following.needs import Need, need_of, types_by_key
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.events import EventStore
from codat_async.bulk.store.shards import shard_of
from codat_async.errors import Unauthorized
from codat_async.webhooks import Event, RateLimitReached, RateLimitReset, parse

TYPES = ["customers", "suppliers"]
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TODAY = "2026-11-01T12:00:00Z"
OTHER = "33333333-3333-4333-8333-333333333333"


def event(kind: str, payload: dict[str, Any], at: str = TODAY) -> Event:
    """An event as it is parsed from a message."""
    body = {"id": "e", "eventType": kind, "generatedDate": at, "payload": payload}
    return parse(json.dumps(body).encode())


def read(*results: dict[str, Any], company: str = COMPANY, at: str = TODAY) -> Event:
    """A ``read.completed`` of these data types."""
    return event("read.completed", {"referenceCompany": {"id": company}, "dataTypes": [*results]}, at)


def result(data_type: str, modified: bool | None = True, **fields: Any) -> dict[str, Any]:
    """The result of the sync of one data type."""
    known = {} if modified is None else {"recordsModified": modified}
    return {"dataType": data_type, "status": "Complete", **known, **fields}


class Events:
    """Events of a queue, and which of them were acknowledged."""

    def __init__(self, *events: Event) -> None:
        self.events = events
        self.acknowledged: list[Event] = []

    async def __aiter__(self) -> AsyncIterator[bulk.Delivery]:
        """Deliver each once."""
        for each in self.events:
            yield delivery(each, self.acknowledged)


def delivery(event: Event, acknowledged: list[Event]) -> bulk.Delivery:
    """An event that is added to a list when it is acknowledged."""

    async def acknowledge() -> None:
        acknowledged.append(event)

    return bulk.Delivery(event=event, acknowledge=acknowledge)


async def follow(codat: Codat, root: Path, *events: Event, **options: Any) -> tuple[Events, bulk.Followed]:
    """Follow events to their end, at which all are pulled that have not failed."""
    source = Events(*events)
    done = await bulk.follow(
        source, codat, root, options=bulk.PullOptions(types=TYPES), gather=60.0, **options
    )
    return source, done


def current(root: Path, kind: str = "customers") -> list[str]:
    """The ids on the lines of a type."""
    return [json.loads(line)["record"]["id"] for line in raw_lines(root, kind) if b'"record"' in line]


# --- what an event asks for ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("happened", "need"),
    [
        (read(result("customers")), Need(types=frozenset({"customers"}))),
        (read(result("customers", None)), Need(types=frozenset({"customers"}))),
        (read(result("customers", modified=False)), Need()),
        (read(result("customers"), result("suppliers")), Need(types=frozenset(TYPES))),
        (read(), Need(types=frozenset(TYPES))),
        (read(result("banking-accounts")), Need(ignored=("banking-accounts",))),
        (read(result("commerce-orders")), Need(ignored=("commerce-orders",))),
        (event("company.deleted", {"id": COMPANY}), Need(deleted=True)),
        (event("company.created", {"id": COMPANY}), Need(look=True)),
        (event("connection.disconnected", {"referenceCompany": {"id": COMPANY}}), Need(look=True)),
        (event("invoices.write.successful", {"referenceCompany": {"id": COMPANY}}), Need()),
        (event("something.else", {}), Need()),
    ],
)
def test_what_an_event_asks_for(happened: Event, need: Need) -> None:
    """Types whose records changed, or of which it is not said; others are ignored by name."""
    assert need_of(happened, types_by_key(bulk.resolve_types(TYPES))) == need


def test_reports_follow_the_types_that_they_are_made_of() -> None:
    """A sync of invoices changes the debts by age; that of bank accounts their transactions."""
    by_key = types_by_key(bulk.resolve_types(None))
    assert by_key["invoices"] == {"invoices", "aged_debtors"}
    assert "bank_account_transactions" in by_key["bankAccounts"]


# --- bursts ----------------------------------------------------------------------------------


def test_events_of_one_company_are_one_burst() -> None:
    """It is due some seconds after the first of them, and what has failed is pulled with what comes."""
    bursts, acknowledged = Bursts(3.0), list[Event]()
    first = delivery(read(), acknowledged)
    bursts.add("a", Need(types=frozenset({"customers"})), first, 0.0)
    bursts.add("a", Need(types=frozenset({"suppliers"})), first, 2.0)
    bursts.add("b", Need(look=True), first, 1.0)
    assert (bursts.take(2.9, 10), bursts.next_due()) == ([], 3.0)
    (burst,) = bursts.take(3.0, 10)
    assert (burst.company, burst.types, len(burst.deliveries)) == ("a", {"customers", "suppliers"}, 2)
    burst.attempts = 1
    bursts.put_back(burst, 100.0)
    assert [each.company for each in bursts.take(0.0, 10, ended=True)] == ["b"]
    bursts.add("a", Need(look=True), first, 10.0)
    assert (bursts.next_due(), bursts.failing, bursts.deliveries) == (13.0, 1, 3)
    assert bursts.take(13.0, 10) == [
        Burst("a", 13.0, frozenset(TYPES), look=True, deliveries=[first] * 3, attempts=1)
    ]


def test_what_was_ignored_is_counted_for_each_call() -> None:
    """No two of them share the counter that they begin with."""
    bulk.Followed().ignored["banking-transactions"] += 1
    assert not bulk.Followed().ignored


# --- the quota -------------------------------------------------------------------------------


def reached(expiry: str | None, at: str = TODAY) -> RateLimitReached:
    """The event that the quota is spent."""
    found = event("client.rateLimit.reached", {"expiryDate": expiry}, at)
    assert isinstance(found, RateLimitReached)
    return found


def reset(at: str) -> RateLimitReset:
    """The event that it was renewed."""
    found = event("client.rateLimit.reset", {}, at)
    assert isinstance(found, RateLimitReset)
    return found


@pytest.mark.parametrize(
    ("expiry", "until"),
    [
        ("2026-11-01T18:00:00Z", datetime(2026, 11, 1, 18, tzinfo=UTC)),
        ("2026-11-01T12:30:99Z", datetime(2026, 11, 2, tzinfo=UTC)),
        (None, datetime(2026, 11, 2, tzinfo=UTC)),
        ("2099-01-01T00:00:00Z", NOW + timedelta(days=1)),
    ],
)
def test_spent_quota_closes_until_its_expiry(expiry: str | None, until: datetime) -> None:
    """Or the next 00:00 UTC if that cannot be read; the event is kept so long."""
    hold, closing = Hold(), delivery(read(), [])
    assert hold.reached(reached(expiry), closing, NOW) == []
    if expiry is None or "99Z" not in expiry:
        assert hold.until == until
    assert hold.until is not None
    assert hold.expired(hold.until - timedelta(seconds=1)) == []
    assert hold.expired(hold.until) == [closing]
    assert hold.until is None


def test_renewed_quota_opens() -> None:
    """Whatever comes late: an event that is older than the reset closes nothing, and one after it does."""
    hold, one, two, three = Hold(), *(delivery(read(), []) for _ in range(3))
    assert hold.reached(reached("2026-11-01T18:00:00Z"), one, NOW) == []
    assert hold.reset(reset("2026-11-01T11:00:00Z"), two, NOW) == [two]
    assert hold.until is not None
    assert hold.reset(reset("2026-11-01T13:00:00Z"), two, NOW) == [two, one]
    assert hold.reached(reached("2026-11-01T18:00:00Z"), three, NOW) == [three]
    assert hold.until is None
    assert hold.reached(reached("2026-11-01T11:00:00Z", "2026-11-01T14:00:00Z"), three, NOW) == [three]
    assert hold.until is None


# --- following -------------------------------------------------------------------------------


@pytest.fixture
def filled(server: Server) -> Server:
    """Two lists, as they were pulled."""
    server.put("customers", [customer(1)])
    server.put("suppliers", [{"id": "s1", "status": "Active", "modifiedDate": "2024-01-01T00:00:00Z"}])
    return server


async def test_only_changed_lists_are_requested(filled: Server, caller: Codat, tmp_path: Path) -> None:
    """By three requests: the data status before and after, and the list from the last change on."""
    await bulk.pull(caller, tmp_path, options=bulk.PullOptions(types=TYPES))
    report = (tmp_path / "report.json").read_bytes()
    filled.put("customers", [customer(1), customer(2, modified="2024-02-01T00:00:00Z")])
    filled.requests.clear()
    source, done = await follow(
        caller, tmp_path, read(result("customers"), result("suppliers", modified=False)), read()
    )
    assert [path.rsplit("/", 1)[-1] for path, _ in filled.requests] == [
        "companies", "dataStatus", "customers", "dataStatus",
    ]  # fmt: skip
    assert "modifiedDate" in filled.requests[2][1]["query"]
    assert current(tmp_path) == ["c1", "c2"]
    assert source.acknowledged == [*source.events]
    assert (done.events, done.acknowledged, done.pulls, done.requests) == (2, 2, 1, 3)
    # The report is that of the last whole pull.
    assert (tmp_path / "report.json").read_bytes() == report


async def test_each_company_is_asked_for_its_own_types(filled: Server, caller: Codat, tmp_path: Path) -> None:
    """Also if they are pulled together."""
    filled.companies = [COMPANY, OTHER]
    source, done = await follow(
        caller, tmp_path, read(result("customers")), read(result("suppliers"), company=OTHER)
    )
    assert sorted(path for path, _ in filled.data_requests()) == sorted(
        [f"/companies/{COMPANY}/data/customers", f"/companies/{OTHER}/data/suppliers"]
    )
    assert (done.pulls, done.companies, len(source.acknowledged)) == (1, 2, 2)


async def test_events_are_acknowledged_once_their_records_are_committed(
    filled: Server, caller: Codat, tmp_path: Path
) -> None:
    """An event of a list that fails stays, and the next call pulls it."""
    filled.hook = lambda path, query: error_response(403) if path.endswith("/customers") else None
    source, _ = await follow(
        caller, tmp_path, read(result("suppliers"), company=COMPANY), read(result("customers"))
    )
    assert source.acknowledged == []
    filled.hook = None
    heard = list[bulk.Event]()
    source, _ = await follow(caller, tmp_path, *source.events, on_event=heard.append)
    assert [each.details for each in heard if each.event == "burst_pulled"] == [
        {"company": COMPANY, "events": 2, "outcome": "done", "attempts": 0}
    ]
    assert source.acknowledged == [*source.events]
    assert current(tmp_path) == ["c1"]


async def test_lists_that_go_on_failing_are_left_to_the_nightly_pull(
    filled: Server, caller: Codat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some attempts the event is acknowledged, since the failure is in the status."""
    monkeypatch.setattr(follower_module, "_RETRIES", ())
    filled.hook = lambda path, query: error_response(403) if path.endswith("/customers") else None
    source, _ = await follow(caller, tmp_path, read(result("customers")))
    assert source.acknowledged == [*source.events]
    assert bulk.status(tmp_path).types["customers"].failed == 1


async def test_what_is_not_to_be_pulled_is_acknowledged(
    filled: Server, caller: Codat, tmp_path: Path
) -> None:
    """Without a request beside that of the companies."""
    source, done = await follow(
        caller, tmp_path, read(result("banking-accounts")), read(result("customers", modified=False))
    )
    assert source.acknowledged == [*source.events]
    assert done.ignored == {"banking-accounts": 1}
    assert filled.data_requests() == []


async def test_deleted_company_is_marked_and_not_erased(
    filled: Server, caller: Codat, tmp_path: Path
) -> None:
    """Its last record says that it is no longer listed; its other records stay."""
    await bulk.pull(caller, tmp_path, options=bulk.PullOptions(types=TYPES))
    source, _ = await follow(caller, tmp_path, event("company.deleted", {"id": COMPANY}))
    assert [(each.company, each.reason) for each in bulk.status(tmp_path).absent] == [(COMPANY, "unlisted")]
    assert json.loads(raw_lines(tmp_path, "companies")[-1])["listed"] is False
    assert current(tmp_path) == ["c1"]
    assert len(source.acknowledged) == 1


async def test_troubles_of_events_are_in_the_status(filled: Server, caller: Codat, tmp_path: Path) -> None:
    """A connection that broke, and a sync that failed, until a later event says that they are well."""
    await bulk.pull(caller, tmp_path, options=bulk.PullOptions(types=TYPES))
    filled.unlinked = {COMPANY}
    broken = {"referenceCompany": {"id": COMPANY}, "connection": {"id": CONNECTION, "status": "Unlinked"}}
    failed = result(
        "suppliers", modified=False, status="FetchError", issues=[{"type": "e", "message": "denied"}]
    )
    await follow(caller, tmp_path, event("connection.disconnected", broken), read(failed))
    found = bulk.status(tmp_path)
    assert [(each.company, each.reason) for each in found.absent] == [(COMPANY, "unlinked")]
    assert [(each.subject, each.status, each.text) for each in found.troubles] == [
        (CONNECTION, "disconnected", ""),
        ("suppliers", "FetchError", "denied"),
    ]
    filled.unlinked = set()
    later, earlier = "2026-11-01T13:00:00Z", "2026-11-01T10:00:00Z"
    await follow(
        caller,
        tmp_path,
        event("connection.reconnected", broken, later),
        read(result("suppliers"), at=later),
        read(failed, at=earlier),
    )
    assert bulk.status(tmp_path).troubles == []


async def test_spent_quota_stops_pulls_until_it_expires(
    filled: Server, caller: Codat, tmp_path: Path
) -> None:
    """No list and no data status is requested before; and then the event of it is acknowledged."""
    requested: list[datetime] = []

    def note(path: str, query: dict[str, str]) -> None:
        # The list of companies may be requested before the event is read.
        if "/data" in path:
            requested.append(datetime.now(UTC))

    filled.hook = note
    now = datetime.now(UTC)
    expiry = now + timedelta(seconds=1)
    heard = list[bulk.Event]()
    source, _ = await follow(
        caller,
        tmp_path,
        reached(expiry.isoformat(), now.isoformat()),
        read(result("customers")),
        on_event=heard.append,
    )
    assert min(requested) >= expiry
    assert [each.event for each in heard if each.event.startswith("listening")] == [
        "listening_paused", "listening_resumed",
    ]  # fmt: skip
    assert len(source.acknowledged) == 2
    assert current(tmp_path) == ["c1"]


async def test_nightly_pull_finds_what_no_event_named(filled: Server, caller: Codat, tmp_path: Path) -> None:
    """A night that was missed is made up for at the start; the next one is not due before tomorrow."""
    await follow(caller, tmp_path, nightly=time(2))
    assert filled.data_requests() == []
    with Directory(tmp_path) as directory, directory.checkpoint.transaction():
        directory.checkpoint.note("nightly", (datetime.now(UTC) - timedelta(days=2)).isoformat())
    _, done = await follow(caller, tmp_path, read(result("customers")), nightly=time(2))
    assert done.nights == 1
    assert (current(tmp_path), current(tmp_path, "suppliers")) == (["c1"], ["s1"])
    assert (tmp_path / "report.json").exists()
    _, done = await follow(caller, tmp_path, read(result("customers")), nightly=time(2))
    assert done.nights == 0


def modes(root: Path) -> list[str]:
    """The modes of the runs of a directory."""
    with Directory(root, create=False) as directory:
        return [run.mode for run in directory.checkpoint.runs()]


def nights(root: Path) -> tuple[object, ...]:
    """What the history of a directory says of its nights."""
    found = bulk.read_history(root)
    assert found is not None
    types = [(name, each.units, each.read, each.requests) for name, each in found.types.items()]
    return found.nights, found.company_nights, found.status_requests, found.speed, types


async def test_runs_of_events_are_no_nights(filled: Server, caller: Codat, tmp_path: Path) -> None:
    """What a whole pull takes is not estimated from them, and the first whole pull is a full one."""
    options = bulk.PullOptions(types=TYPES)
    await follow(caller, tmp_path, read(result("customers")))
    assert (await bulk.pull(caller, tmp_path, options=options)).mode == "full"
    await bulk.pull(caller, tmp_path, options=options)
    before = nights(tmp_path)
    filled.put("customers", [customer(1), customer(2, modified="2024-02-01T00:00:00Z")])
    await follow(caller, tmp_path, read(result("customers")))
    assert nights(tmp_path) == before
    assert before[0] == 1
    assert modes(tmp_path) == ["events", "full", "incremental", "events"]


async def test_what_events_left_is_read_by_the_next_pull(
    filled: Server, caller: Codat, tmp_path: Path
) -> None:
    """Also if that resumes a run that began earlier, which is not of events."""
    options = bulk.PullOptions(types=TYPES)
    filled.hook = lambda path, query: error_response(401) if path.endswith("/suppliers") else None
    assert (await bulk.pull(caller, tmp_path, options=options)).open == 1
    filled.hook = lambda path, query: error_response(403) if path.endswith("/customers") else None
    await follow(caller, tmp_path, read(result("customers")))
    filled.hook = None
    report = await bulk.pull(caller, tmp_path, options=options)
    assert (report.outcome, report.open, bulk.status(tmp_path).total.failed) == ("done", 0, 0)
    assert modes(tmp_path) == ["full", "events"]


async def test_the_case_of_a_named_company_does_not_matter(
    filled: Server, caller: Codat, tmp_path: Path
) -> None:
    """Its events are followed under the id that they have."""
    filled.companies = ["abcdef"]
    filled.hook = lambda path, query: filled._answer(path.replace("ABCDEF", "abcdef"), query)
    options = bulk.PullOptions(types=TYPES, companies=["ABCDEF"])
    source = Events(read(result("customers"), company="abcdef"))
    await bulk.follow(source, caller, tmp_path, options=options, gather=60.0)
    assert current(tmp_path) == ["c1"]


async def test_forgotten_company_is_not_pulled_again(filled: Server, caller: Codat, tmp_path: Path) -> None:
    """And nothing of it is left among the events."""
    await bulk.pull(caller, tmp_path, options=bulk.PullOptions(types=TYPES))
    store = EventStore(tmp_path)
    store.put("m", json.dumps({"payload": {"referenceCompany": {"id": COMPANY}}}).encode())
    store.close()
    bulk.forget(tmp_path, [COMPANY])
    assert bulk.status(tmp_path).events == 0
    source, _ = await follow(caller, tmp_path, read(result("customers")))
    assert (current(tmp_path), len(source.acknowledged)) == ([], 1)


async def test_directory_is_locked_while_events_are_followed(
    filled: Server, caller: Codat, tmp_path: Path
) -> None:
    """A pull and a forget are refused, and name the process."""
    refused: list[str] = []

    class Locked(Events):
        async def __aiter__(self) -> AsyncIterator[bulk.Delivery]:
            async for each in super().__aiter__():
                with pytest.raises(bulk.DirectoryError, match=r"process \d+\) is running") as error:
                    await bulk.pull(caller, tmp_path)
                refused.append(str(error.value))
                with pytest.raises(bulk.DirectoryError, match=r"process \d+\) is running"):
                    bulk.forget(tmp_path, [COMPANY])
                yield each

    await bulk.follow(Locked(read()), caller, tmp_path, options=bulk.PullOptions(types=TYPES), gather=0.0)
    assert len(refused) == 1


@pytest.mark.parametrize("options", [{"full": True}, {"refresh": True}, {"company_query": "a=b"}])
async def test_options_of_a_whole_pull_are_refused(
    caller: Codat, tmp_path: Path, options: dict[str, Any]
) -> None:
    """They make no sense for lists that an event names."""
    with pytest.raises(ValueError, match="cannot be followed"):
        await bulk.follow(Events(), caller, tmp_path, options=bulk.PullOptions(**options))


async def test_shard_follows_its_own_companies(filled: Server, caller: Codat, tmp_path: Path) -> None:
    """Events of the others are left to the process that follows their shard; so is the nightly pull."""
    filled.companies = [COMPANY, OTHER]
    source = Events(read(result("customers")), read(result("customers"), company=OTHER))
    options = bulk.PullOptions(types=TYPES, shard=f"{shard_of(COMPANY, 4)}/4")
    done = await bulk.follow(source, caller, tmp_path, options=options, gather=60.0)
    assert (source.acknowledged, done.events) == ([source.events[0]], 1)
    assert [path for path, _ in filled.data_requests()] == [f"/companies/{COMPANY}/data/customers"]
    for index in range(4):
        filled.requests.clear()
        options = bulk.PullOptions(types=TYPES, shard=f"{index}/4")
        await bulk.follow(Events(), caller, tmp_path, options=options, nightly=time(2))
        path = tmp_path / f"shard-00{index}-of-004"
        with Directory(path) as directory, directory.checkpoint.transaction():
            directory.checkpoint.note("nightly", (datetime.now(UTC) - timedelta(days=2)).isoformat())
        done = await bulk.follow(Events(), caller, tmp_path, options=options, nightly=time(2))
        assert (done.nights, done.last_error) == (1, None)
        its = {each for each in (COMPANY, OTHER) if shard_of(each, 4) == index}
        assert {path.split("/")[2] for path, _ in filled.data_requests()} == its


async def test_wrong_key_ends_it(filled: Server, tmp_path: Path) -> None:
    """And the event stays for the next call."""
    filled.hook = lambda path, query: error_response(401)
    source = Events(read())
    async with client(filled.base_url) as caller:
        with pytest.raises(Unauthorized):
            await bulk.follow(source, caller, tmp_path, options=bulk.PullOptions(types=TYPES), gather=0.0)
    assert source.acknowledged == []
