"""The events that the sandbox sends: of what, to whom, signed, again, and in which order."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import aiohttp
import pytest
from aiohttp import web
from small_books import credential, eventually

from codat_async import Codat, errors, webhooks
from codat_async.models import (
    CompanyRequest,
    CompanyUpdateRequest,
    ConnectionRequest,
    ConnectionStatus,
    Customer,
    DatasetStatus,
    UpdateConnectionStatus,
    WebhookConsumer,
)
from codat_async.sandbox import RateLimits, Sandbox, WebhookOptions, run_in_background
from codat_async.sandbox.limits import RateLimiter
from codat_async.sandbox.syncs import ACCOUNTING_TYPES
from codat_async.sandbox.webhooks.delivery import WAITS
from codat_async.sandbox.webhooks.events import _TOGETHER_SECONDS
from codat_async.webhooks.events import Event, WriteType


class Endpoint:
    """A receiver of events, which answers with the statuses that a test wants."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = ""
        self.statuses: list[int] = []
        """Answered first; then 204."""
        self.paths: set[str] = set()
        self.ids: list[str] = []
        """The message ids of all attempts."""
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.paths.add(request.path)
        event = webhooks.receive(await request.read(), request.headers, self.secret)
        self.ids.append(webhooks.message_id(request.headers))
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), headers={"Location": "/elsewhere"})
        self._events.put_nowait(event)
        return web.Response(status=204)

    async def next(self) -> Any:
        """The next event that was accepted."""
        return await asyncio.wait_for(self._events.get(), 20)

    @property
    def is_empty(self) -> bool:
        return self._events.empty()


Start: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[Sandbox, Codat, Endpoint]]]


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    runner = web.ServerRunner(web.Server(made.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    yield made
    await runner.cleanup()


@pytest.fixture
def start(endpoint: Endpoint) -> Start:
    """Start a sandbox that sends all its events to the endpoint, or to none at first."""

    @asynccontextmanager
    async def run(*, to_all: bool = True, **options: Any) -> AsyncIterator[tuple[Sandbox, Codat, Endpoint]]:
        chosen = WebhookOptions(urls=(endpoint.url,) if to_all else (), **options)
        async with (
            Sandbox(companies=2, size=3, push_delay=0.01, sync_delay=0.02, webhooks=chosen) as sandbox,
            Codat(sandbox.api_key, base_url=sandbox.base_url) as codat,
        ):
            endpoint.secret = sandbox.webhook_secret
            yield sandbox, codat, endpoint

    return run


async def quiet(sandbox: Sandbox) -> None:
    """Wait until no message is on its way."""
    await eventually(lambda: not sandbox._deliveries.pending)


# --- of what -----------------------------------------------------------------------------------------


async def test_a_sync(start: Start) -> None:
    """It is reported with whether records changed, since when, and for which connection."""
    async with start() as (sandbox, codat, endpoint):
        company = sandbox.company_ids[0]
        before = (await codat.refresh_data.get(company))["bills"].last_successful_sync
        await codat.refresh_data.by_data_type(company, "bills")
        event = await endpoint.next()
        assert isinstance(event, webhooks.ReadCompleted)
        assert event.company_id == company
        (result,) = event.payload.data_types
        assert (result.data_type, result.status, result.records_modified) == ("bills", "Complete", False)
        assert result.connection_id == sandbox.connection_ids(company)[0]
        assert event.payload.modified_from_date == before

        sandbox.records.touch(1.0, company_id=company, resource="bills", sync=False)
        await codat.refresh_data.by_data_type(company, "bills")
        results = {each.data_type: each for each in (await endpoint.next()).payload.data_types}
        assert results["bills"].records_modified is True


async def test_an_edit_that_is_synced_at_once(start: Start) -> None:
    """Changes from outside the API are reported too, for what follows from them as well."""
    async with start() as (sandbox, _, endpoint):
        sandbox.records.touch(1.0, company_id=sandbox.company_ids[1], resource="invoices")
        event = await endpoint.next()
        assert event.company_id == sandbox.company_ids[1]
        assert "invoices" in {each.data_type for each in event.payload.data_types}
        assert all(each.records_modified for each in event.payload.data_types)


async def test_the_first_sync_of_a_company(start: Start) -> None:
    """It is one event for all types, and not preceded by anything but the company and its connection."""
    async with start() as (sandbox, codat, endpoint):
        company = await codat.companies.create(CompanyRequest(name="New"))
        connection = await codat.connections.create(company.id, ConnectionRequest(platform_key="gbol"))
        await codat.connections.update_authorization(company.id, connection.id, {"code": "x"})
        events = [await endpoint.next() for _ in range(4)]
        assert [event.event_type for event in events] == [
            "company.created",
            "connection.created",
            "connection.connected",
            "read.completed.initial",
        ]
        assert {event.company_id for event in events} == {company.id}
        assert {each.data_type for each in events[-1].payload.data_types} == set(ACCOUNTING_TYPES)
        assert all(each.records_modified for each in events[-1].payload.data_types)
        assert events[-1].payload.modified_from_date is None
        sandbox.events.send("the.last", {})
        assert (await endpoint.next()).event_type == "the.last"


@pytest.mark.parametrize("outcome", ["FetchError", "NotSupported"])
async def test_a_sync_that_does_not_complete(start: Start, outcome: str) -> None:
    """It has its state, an issue if that is an error, and no changed records."""
    async with start() as (sandbox, codat, endpoint):
        company = sandbox.company_ids[0]
        sandbox.records.set_sync_outcome(company, "bills", outcome)
        await codat.refresh_data.by_data_type(company, "bills")
        (result,) = (await endpoint.next()).payload.data_types
        assert (result.status, result.records_modified) == (DatasetStatus(outcome), False)
        assert bool(result.issues) == (outcome != "NotSupported")

        sandbox.records.forget_syncs(company, "bills")
        await codat.refresh_data.by_data_type(company, "bills")
        (result,) = (await endpoint.next()).payload.data_types
        assert (result.status, result.records_modified) == (DatasetStatus(outcome), False)


async def test_a_write(start: Start) -> None:
    """Its end is reported with the record, before the sync that makes the record readable."""
    async with start() as (sandbox, codat, endpoint):
        company = sandbox.company_ids[0]
        (connection, *_) = sandbox.connection_ids(company)
        customer = Customer(customer_name="Fig", status="Active")
        operation = await codat.customers.create(company, connection, customer)
        written = await endpoint.next()
        assert isinstance(written, webhooks.WriteSuccessful)
        assert (written.data_type, written.payload.id) == ("customers", operation.push_operation_key)
        assert written.payload.type == WriteType.CREATE
        synced = await endpoint.next()
        first = synced.payload.data_types[0]
        assert (first.data_type, first.records_modified) == ("customers", True)
        assert (await codat.customers.get(company, written.payload.record.id)).customer_name == "Fig"


@pytest.mark.parametrize(("fault", "status"), [("push-failed", "Failed"), ("push-timed-out", "TimedOut")])
async def test_a_write_that_fails(start: Start, fault: str, status: str) -> None:
    """It is unsuccessful, with its status and without a record."""
    async with start() as (sandbox, codat, endpoint):
        company = sandbox.company_ids[0]
        (connection, *_) = sandbox.connection_ids(company)
        sandbox.set_faults(fault)
        await codat.customers.create(company, connection, Customer(customer_name="Fig", status="Active"))
        event = await endpoint.next()
        assert isinstance(event, webhooks.WriteUnsuccessful)
        assert (event.payload.status, event.payload.record) == (status, None)


async def test_connections_and_companies(start: Start) -> None:
    """Lost and restored authorisation, and a company that is deleted."""
    async with start() as (sandbox, codat, endpoint):
        company = sandbox.company_ids[0]
        (connection, *_) = sandbox.connection_ids(company)
        unlinked = UpdateConnectionStatus(status=ConnectionStatus.UNLINKED)
        await codat.connections.unlink(company, connection, unlinked)
        await codat.connections.update_authorization(company, connection, {"code": "x"})
        sandbox.records.set_sync_outcome(company, "bills", "AuthError")
        await codat.refresh_data.by_data_type(company, "bills")
        events = [await endpoint.next() for _ in range(4)]
        assert sorted(event.event_type for event in events) == [
            "connection.disconnected",
            "connection.disconnected",
            "connection.reconnected",
            "read.completed",
        ]
        await codat.connections.delete(company, connection)
        await codat.companies.delete(company)
        gone = [await endpoint.next() for _ in range(2)]
        assert [event.event_type for event in gone] == ["connection.deleted", "company.deleted"]
        assert gone[1].payload.name


# --- to whom -----------------------------------------------------------------------------------------


async def test_the_quota(start: Start) -> None:
    """The event of its end comes with the last request that it allows, that of its renewal unasked."""
    async with start() as (sandbox, codat, endpoint):
        sandbox.set_limits(RateLimits(per_day=2))
        await codat.companies.list().collect()
        await codat.companies.list().collect()
        event = await endpoint.next()
        assert isinstance(event, webhooks.RateLimitReached)
        assert (event.payload.daily_quota, event.payload.quota_remaining) == (2, 0)
        assert event.payload.expiry_date is not None
        assert event.payload.expiry_date.timestamp() % 86_400 == 0
        sandbox.set_limits(RateLimits(per_day=100))
        event = await endpoint.next()
        assert isinstance(event, webhooks.RateLimitReset)
        assert (event.payload.daily_quota, event.payload.quota_remaining) == (100, 98)


async def test_midnight_renews_the_quota(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if nobody sends a request then, and if the clock of the date lags behind that of the timer."""
    async with start() as (sandbox, codat, endpoint):
        limiter = sandbox._limiter
        monkeypatch.setattr(RateLimiter, "resets_in", 0.01)
        sandbox.set_limits(RateLimits(per_day=1))
        await codat.companies.list().collect()
        assert isinstance(await endpoint.next(), webhooks.RateLimitReached)
        await asyncio.sleep(0.1)
        assert endpoint.is_empty
        now = limiter._clock()
        monkeypatch.setattr(limiter, "_clock", lambda: now + 86_400.0)
        assert isinstance(await endpoint.next(), webhooks.RateLimitReset)


async def test_consumers_are_created_listed_and_deleted(start: Start) -> None:
    """By the API; one that is deleted gets nothing more."""
    async with start(to_all=False) as (sandbox, codat, endpoint):
        made = await codat.webhooks.create_consumer(WebhookConsumer(url=endpoint.url))
        assert (await codat.webhooks.list_consumers()).results == [made]
        assert sandbox.events.send("new.thing", {"n": 1}) == 1
        assert (await endpoint.next()).event_type == "new.thing"
        assert made.id is not None
        assert await codat.webhooks.delete_consumer(made.id) is None
        assert (await codat.webhooks.list_consumers()).results == []
        assert sandbox.events.send("new.thing", {"n": 1}) == 0
        with pytest.raises(errors.NotFound):
            await codat.webhooks.delete_consumer(made.id)
        for url in (None, "", "ftp://a.example", "https://", "events"):
            with pytest.raises(errors.BadRequest):
                await codat.webhooks.create_consumer(WebhookConsumer(url=url))


async def test_consumers_get_what_they_want(start: Start) -> None:
    """By the type of the event, the tags of the company, and whether they are disabled."""
    async with start(to_all=False) as (sandbox, codat, endpoint):
        first, second = sandbox.company_ids
        await codat.companies.update(first, CompanyUpdateRequest(tags={"region": "uk"}))
        wanted: list[tuple[dict[str, Any], list[int]]] = [
            ({}, [1, 1, 1]),
            ({"event_types": ["read.completed"]}, [1, 0, 0]),
            ({"event_types": ["{dataType}.write.successful"]}, [0, 1, 0]),
            ({"event_types": ["bills.write.successful", "x"]}, [0, 1, 0]),
            ({"company_tags": ["region:uk"]}, [1, 0, 0]),
            ({"company_tags": ["region:us", "tier:1"]}, [0, 0, 0]),
            ({"disabled": True}, [0, 0, 0]),
        ]
        for options, counts in wanted:
            made = await codat.webhooks.create_consumer(WebhookConsumer(url=endpoint.url, **options))
            one = (await codat.companies.get(first), await codat.companies.get(second))
            sent = [
                sandbox.events.send("read.completed", {}, one[0]),
                sandbox.events.send("bills.write.successful", {}, one[1]),
                sandbox.events.send("client.rateLimit.reached", {"dailyQuota": 1}),
            ]
            assert sent == counts, options
            await codat.webhooks.delete_consumer(str(made.id))
        await quiet(sandbox)


# --- how ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_message_is_sent_again_until_it_is_accepted(start: Start, status: int) -> None:
    """With the same id, and a signature that is valid each time."""
    async with start(retry_scale=0.0) as (sandbox, _, endpoint):
        endpoint.statuses = [status] * 3
        sandbox.events.send("new.thing", {})
        await endpoint.next()
        assert len(endpoint.ids) == 4
        assert len(set(endpoint.ids)) == 1
        await quiet(sandbox)
        assert len(endpoint.ids) == 4
        # Redirects are not followed.
        assert endpoint.paths == {"/events"}


async def test_a_message_is_given_up_after_the_last_attempt(start: Start) -> None:
    """There are eight attempts, with Codat's waits between them."""
    assert WAITS == (5, 300, 1800, 7200, 18_000, 36_000, 36_000)
    async with start(retry_scale=1e-6) as (sandbox, _, endpoint):
        endpoint.statuses = [500] * 9
        sandbox.events.send("new.thing", {})
        await quiet(sandbox)
        assert len(endpoint.ids) == 8


async def test_an_endpoint_that_keeps_failing_is_disabled(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five days, scaled as the waits are."""
    monkeypatch.setattr("codat_async.sandbox.webhooks.delivery._DISABLED_AFTER", 1e-9)
    async with start(retry_scale=0.001) as (sandbox, codat, endpoint):
        endpoint.statuses = [500] * 9
        sandbox.events.send("new.thing", {})
        await quiet(sandbox)
        (consumer,) = (await codat.webhooks.list_consumers()).results or []
        assert consumer.disabled
        assert len(endpoint.ids) == 2
        assert sandbox.events.send("new.thing", {}) == 0


async def test_a_consumer_that_is_deleted_gets_no_further_attempt(start: Start) -> None:
    """A message that was refused before is dropped."""
    async with start(retry_scale=0.1) as (sandbox, codat, endpoint):
        endpoint.statuses = [500]
        sandbox.events.send("new.thing", {})
        await eventually(lambda: sandbox._deliveries.counts["attempts"] == 1)
        (consumer,) = (await codat.webhooks.list_consumers()).results or []
        await codat.webhooks.delete_consumer(str(consumer.id))
        await quiet(sandbox)
        assert sandbox._deliveries.counts["attempts"] == 1


async def test_nobody_listens(start: Start, endpoint: Endpoint) -> None:
    """A refused connection is a failed attempt like any other; stopping drops what is left."""
    endpoint.url = "http://127.0.0.1:9/"
    async with start() as (sandbox, _, _):
        sandbox.events.send("new.thing", {})
        await eventually(lambda: sandbox._deliveries.counts["attempts"] > 0)
        assert sandbox._deliveries.pending == 1


async def test_messages_come_twice_if_wanted(start: Start) -> None:
    """The second has the id of the first."""
    async with start(repeats=1.0) as (sandbox, _, endpoint):
        sandbox.events.send("new.thing", {})
        await quiet(sandbox)
        assert len(endpoint.ids) == 2
        assert len(set(endpoint.ids)) == 1


@pytest.mark.parametrize("shuffle", [0.0, 0.1])
async def test_order(start: Start, shuffle: float) -> None:
    """Messages arrive in the order of the events, or in another one if that is wanted."""
    async with start(shuffle=shuffle) as (sandbox, _, endpoint):
        for number in range(20):
            sandbox.events.send("new.thing", number)
        received = [int(bytes((await endpoint.next()).payload)) for _ in range(20)]
        assert sorted(received) == list(range(20))
        assert (received == list(range(20))) == (shuffle == 0.0)


async def test_before_the_start_nothing_is_sent(endpoint: Endpoint) -> None:
    """Changes made while the sandbox does not run are no events."""
    sandbox = Sandbox(companies=1, size=1, webhooks=WebhookOptions(urls=(endpoint.url,)))
    endpoint.secret = sandbox.webhook_secret
    sandbox.records.touch(1.0)
    async with sandbox:
        # Longer than syncs are gathered to one event.
        await asyncio.sleep(5 * _TOGETHER_SECONDS)
        await quiet(sandbox)
    assert endpoint.ids == []


def test_before_there_is_a_loop() -> None:
    """The same outside of asynchronous code."""
    sandbox = Sandbox(companies=1, size=1, webhooks=WebhookOptions(urls=("http://127.0.0.1:9",)))
    assert sandbox.records.touch(1.0, resource="bills") == 1


async def test_the_admin_endpoint(start: Start) -> None:
    """It shows the secret and the counts, and sends an event of any type."""
    async with start() as (sandbox, _, endpoint):
        headers = credential(sandbox.api_key)
        url = f"{sandbox.base_url}/_sandbox/webhooks"
        async with aiohttp.ClientSession(headers=headers) as session:
            event = {"eventType": "client.rateLimit.reached", "payload": {"dailyQuota": 7}}
            async with session.post(url, json=event) as answer:
                assert await answer.json() == {"consumers": 1}
            received = await endpoint.next()
            assert received.payload.daily_quota == 7
            async with session.get(url) as answer:
                shown = await answer.json()
            assert (shown["secret"], shown["messages"], shown["attempts"]) == (sandbox.webhook_secret, 1, 1)


# --- options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"retry_scale": -1}, {"repeats": 2}, {"shuffle": -1}, {"shuffle": float("nan")}]
)
def test_options_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        WebhookOptions(**options)


def test_a_secret_that_cannot_be_used() -> None:
    """It is an error at once, as is a URL that cannot."""
    with pytest.raises(ValueError, match="whsec_"):
        WebhookOptions(secret="whsec_?")
    with pytest.raises(ValueError, match="not the URL"):
        Sandbox(webhooks=WebhookOptions(urls=("events",)))


async def test_in_a_process_of_its_own(endpoint: Endpoint) -> None:
    """The options reach it."""
    endpoint.secret = "whsec_c2VjcmV0c2VjcmV0"
    chosen = WebhookOptions(urls=(endpoint.url,), secret=endpoint.secret)

    with run_in_background(companies=1, size=1, sync_delay=0.01, webhooks=chosen) as address:
        async with Codat(address.api_key, base_url=address.base_url) as codat:
            await codat.refresh_data.by_data_type(address.company_ids[0], "bills")
            assert (await endpoint.next()).company_id == address.company_ids[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot signal a single process")
def test_the_command() -> None:
    """With --webhook-url it prints the secret too; a wrong one is bad input."""
    command = [sys.executable, "-m", "codat_async.cli", "sandbox", "--port", "0", "--companies", "1"]
    urls = ["--webhook-url", "http://127.0.0.1:9", "--webhook-url", "http://127.0.0.1:8"]
    arguments = [*command, *urls, "--webhook-secret", "whsec_c2VjcmV0", "--webhook-retry-scale", "0.001"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(3)]
        server.terminate()
    assert lines[2] == "export CODAT_WEBHOOK_SECRET=whsec_c2VjcmV0\n"
    wrong = subprocess.run(
        [*command, "--webhook-secret", "whsec_?"], capture_output=True, text=True, timeout=60, check=False
    )
    assert wrong.returncode == 2
    assert "whsec_" in wrong.stderr
