"""Typed batches: back-pressure, acknowledgement, and lists that fail."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from bulk_server import COMPANY, CONNECTION, Server, client, customer, error_response
from sync_server import SyncServer

from codat_async import Codat, bulk, models
from codat_async.bulk.units.failures import Failure
from codat_async.sandbox import Sandbox


async def test_batches_are_typed_and_complete(codat: Codat, sandbox: Sandbox) -> None:
    """Every record of every company is in one batch, as a Struct of its model."""
    found: dict[tuple[str, str], int] = {}
    async for batch in bulk.records(codat, types=["bills", "balanceSheet", "bankTransactions"], page_size=7):
        found[batch.type, batch.company] = found.get((batch.type, batch.company), 0) + len(batch.records)
        if batch.type == "bills":
            assert all(isinstance(each, models.Bill) for each in batch.records)
            assert isinstance(batch.records[0].total_amount, Decimal)
    for company in sandbox.company_ids:
        assert found["bills", company] == len(sandbox.books.company(company).records("bills"))
        assert found["balance_sheet", company] == 1
        assert found["bank_account_transactions", company] > 0


async def test_companies_and_invalid_records(server: Server, caller: Codat) -> None:
    """Only the requested companies are read; an invalid record is in the batch with its bytes."""
    server.companies.append("33333333-3333-4333-8333-333333333333")
    server.put("customers", [customer(1), {"id": "bad", "contacts": "none"}])
    batches = [batch async for batch in bulk.records(caller, [COMPANY], types=["customers"])]
    assert [(batch.company, len(batch.records), batch.total) for batch in batches] == [(COMPANY, 1, 2)]
    assert batches[0].invalid[0].record_id == "bad"


async def test_rows_that_shift_and_records_that_change(
    server: Server, caller: Codat, caplog: pytest.LogCaptureFixture
) -> None:
    """An unchanged row is in one batch, a record that changed in two; invalid records count as read."""
    bad = {"id": "bad", "contacts": "none"}
    records = [bad, *(customer(number) for number in range(5))]
    server.put("customers", records)

    def hook(path: str, query: dict[str, str]) -> None:
        if path.endswith("/customers") and query["page"] == "2":
            server.put(
                "customers", [bad, *records[:5], records[5], customer(0, modified="2024-01-02T00:00:00Z")]
            )

    server.hook = hook
    batches = [batch async for batch in bulk.records(caller, types=["customers"], page_size=3)]
    found = [[each.id for each in batch.records] for batch in batches]
    assert found == [["c0", "c1"], ["c2", "c3"], ["c4", "c0"]]
    assert "got 6 records, the API reports 8" in caplog.text
    server.hook = None
    caplog.clear()
    server.put("customers", records)
    assert len([batch async for batch in bulk.records(caller, types=["customers"], page_size=3)]) == 2
    assert caplog.text == ""


async def test_a_slow_consumer_slows_down_the_reading(server: Server, caller: Codat) -> None:
    """No more pages are requested than fit into the memory limit, until the consumer continues."""
    server.put("customers", [customer(number, customerName="x" * 1000) for number in range(200)])
    stream = bulk.records(caller, types=["customers"], page_size=10, memory=30_000)
    async with aclosing(stream):
        await anext(stream)
        await asyncio.sleep(0.2)
        asked = len(server.requests)
        assert asked <= 6
        await asyncio.sleep(0.2)
        assert len(server.requests) == asked
        rest = [batch async for batch in stream]
    assert sum(len(batch.records) for batch in rest) == 190


async def take(stream: AsyncGenerator[bulk.Batch, None], count: int) -> list[str]:
    """The ids of some batches; the last one is not acknowledged."""
    ids: list[str] = []
    async with aclosing(stream):
        async for batch in stream:
            ids += [each.id for each in batch.records]
            count -= 1
            if not count:
                break
    return ids


async def test_acknowledged_batches_are_not_yielded_again(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A reading interrupted in the third batch resumes with it; after a complete one nothing is left."""
    server.put("customers", [customer(number) for number in range(10)])

    def stream() -> AsyncGenerator[bulk.Batch, None]:
        return bulk.records(caller, types=["customers"], page_size=2, checkpoint=tmp_path / "mine.sqlite")

    first = await take(stream(), 3)
    assert first == [f"c{number}" for number in range(6)]
    assert await take(stream(), 99) == [f"c{number}" for number in range(4, 10)]
    server.requests.clear()
    assert await take(stream(), 99) == []
    assert server.data_requests() == []


class Together(Server):
    """Answers a list only when so many are requested at once."""

    def __init__(self, lists: int) -> None:
        super().__init__()
        self._barrier = asyncio.Barrier(lists)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if "/data/" in request.path:
            async with asyncio.timeout(30):
                await self._barrier.wait()
        return await super()._handle(request)


@pytest.mark.parametrize("stored", [True, False])
async def test_lists_of_one_company_are_read_at_once(tmp_path: Path, *, stored: bool) -> None:
    """Also with a checkpoint, where a company's status is asked before it is known what to read."""
    async with Together(3) as server, client(server.base_url) as caller:
        for each in (types := ["customers", "suppliers", "invoices"]):
            server.put(each, [{"id": each, "modifiedDate": "2024-01-01T00:00:00Z"}])
        path = tmp_path / "mine.sqlite" if stored else None
        found = [each async for each in bulk.records(caller, types=types, units_at_once=3, checkpoint=path)]
    assert sorted(each.type for each in found) == sorted(types)


def test_the_error_shows_a_company_as_one_short_line() -> None:
    """The id of a company that cannot be read is the server's, and may hold what a terminal obeys."""
    error = bulk.PartialFailure([("\x1b[2J" + "x" * 5000, Failure("unreadable", "no"))])
    assert str(error).isprintable()
    assert len(str(error)) < 300


async def test_lists_that_fail_do_not_stop_the_others(server: Server, caller: Codat) -> None:
    """They are passed to ``on_failure``, or raised after all others; a 404 is not a failure."""
    server.put("customers", [customer(1)])
    server.hook = lambda path, _: error_response(403) if path.endswith("/suppliers") else None
    failures: list[str] = []
    stream = bulk.records(
        caller,
        types=["suppliers", "items", "customers"],
        on_failure=lambda unit, failure: failures.append(failure.kind),
    )
    assert [batch.type async for batch in stream] == ["customers"]
    assert failures == ["forbidden"]
    stream = bulk.records(caller, types=["suppliers", "customers"])
    assert (await anext(stream)).type == "customers"
    with pytest.raises(bulk.PartialFailure, match="1 lists could not be read"):
        await anext(stream)


async def test_breaking_out_ends_the_reading_tasks(codat: Codat) -> None:
    """A task left running would fail this test."""
    async with aclosing(bulk.records(codat, types=["bills", "invoices"], page_size=1)) as stream:
        async for _ in stream:
            break


# --- what changed --------------------------------------------------------------------------


class Consumer:
    """A consumer of the customers that comes again and again."""

    def __init__(self, server: SyncServer, codat: Codat, checkpoint: Path) -> None:
        self.server = server
        self._codat = codat
        self._checkpoint = checkpoint

    async def batches(self, *types: str, most: int = 1_000, **options: Any) -> list[bulk.Batch]:
        """The batches of one reading, the last of which is not acknowledged if ``most`` is reached."""
        given = {"page_size": 3, "checkpoint": self._checkpoint, "recheck_after": None, **options}
        found: list[bulk.Batch] = []
        stream = bulk.records(self._codat, types=types or ("customers",), **given)
        async with aclosing(stream):
            async for batch in stream:
                found.append(batch)
                if len(found) == most:
                    break
        return found

    async def ids(self, *types: str, **options: Any) -> list[str]:
        """The ids of the records of one reading."""
        return [each.id for batch in await self.batches(*types, **options) for each in batch.records]


@pytest.fixture
async def consumer(tmp_path: Path) -> AsyncIterator[Consumer]:
    """A consumer of a company with four customers, synced once."""
    async with SyncServer() as server, client(server.base_url) as codat:
        server.sync(records=[customer(number) for number in range(4)])
        yield Consumer(server, codat, tmp_path / "mine.sqlite")


async def test_the_next_reading_yields_only_what_changed(consumer: Consumer) -> None:
    """A batch says that it is no whole list; records of the overlap are not yielded again."""
    assert await consumer.ids() == ["c0", "c1", "c2", "c3"]
    assert await consumer.ids() == []
    consumer.server.add(7)
    (batch,) = [each for each in await consumer.batches() if each.records]
    assert ([each.id for each in batch.records], batch.whole) == (["c7"], False)
    consumer.server.asked()
    assert await consumer.ids() == []
    assert consumer.server.asked() == []
    assert len(consumer.server.asked("dataStatus")) >= 1


async def test_without_the_gate_every_list_is_asked_for_what_changed(consumer: Consumer) -> None:
    """A request a list, whether it was synced or not."""
    assert len(await consumer.ids(freshness=False)) == 4
    assert await consumer.ids(freshness=False) == []
    consumer.server.add(7, sync=False)
    assert await consumer.ids(freshness=False) == ["c7"]
    assert consumer.server.asked("dataStatus") == []


async def test_without_a_checkpoint_everything_is_read(consumer: Consumer) -> None:
    """Each time, and no status is asked."""
    for _ in range(2):
        assert len(await consumer.ids(checkpoint=None)) == 4
    assert consumer.server.asked("dataStatus") == []


async def test_the_token_is_stored_once_the_last_batch_is_acknowledged(consumer: Consumer) -> None:
    """A consumer that stops before gets that batch again, and only then is the list known."""
    assert await consumer.ids(most=2) == ["c0", "c1", "c2", "c3"]
    assert await consumer.ids() == ["c3"]
    assert await consumer.ids() == []


async def test_a_sync_while_batches_are_consumed_leaves_no_token(consumer: Consumer) -> None:
    """The list is read again, whole if it was, from the last watermark if it was an increment."""

    def sync_once(path: str, query: dict[str, str]) -> None:
        if path.endswith("/customers") and query["page"] == "1":
            consumer.server.hook = None
            consumer.server.add(8)

    consumer.server.hook = sync_once
    assert "c8" in await consumer.ids()
    assert len(await consumer.ids()) == 5
    assert await consumer.ids() == []
    consumer.server.add(9)
    consumer.server.hook = lambda path, query: (
        consumer.server.begin() if path.endswith("/customers") else None
    )
    assert await consumer.ids() == ["c9"]
    consumer.server.hook = None
    consumer.server.end()
    assert await consumer.ids() == ["c9"]
    assert await consumer.ids() == []


async def test_a_record_that_becomes_visible_late_is_yielded(consumer: Consumer) -> None:
    """The watermark did not pass the last success before the reading."""
    consumer.server.sync(records=[customer(0, modified="2024-01-01T09:00:00Z")], at="2024-01-01T10:00:00Z")
    await consumer.ids()
    consumer.server.begin()
    consumer.server.add(1, sync=False, modified="2024-01-01T12:00:00Z")
    consumer.server.end(status="FetchError")
    assert await consumer.ids() == ["c1"]
    consumer.server.begin()
    consumer.server.add(2, sync=False, modified="2024-01-01T11:00:00Z")
    consumer.server.end(at="2024-01-01T13:00:00Z")
    assert await consumer.ids() == ["c2"]


async def test_bank_transactions_and_reports_are_gated_too(consumer: Consumer) -> None:
    """The accounts are known from the last reading; a new one is read whole."""
    server, kinds = consumer.server, ("bank_account_transactions", "balance_sheet", "suppliers")
    server.sync("bankAccounts", [{"id": "a"}])
    for each in "ab":
        server.put(f"bankAccounts/{each}/bankTransactions", [customer(1)])
    server.sync("bankTransactions")
    server.sync("balanceSheet")
    report = error_response(200)
    server.hook = lambda path, _: report if path.endswith("balanceSheet") else None
    found = await consumer.batches(*kinds)
    assert sorted((each.type, each.parent) for each in found) == [
        ("balance_sheet", None),
        ("bank_account_transactions", "a"),
    ]
    server.asked()
    server.hook = None
    assert await consumer.batches(*kinds) == []
    assert server.asked() == []
    server.sync("bankAccounts", [{"id": "a"}, {"id": "b"}])
    assert [each.parent for each in await consumer.batches(*kinds)] == ["b"]
    assert CONNECTION in server.connections
    server.put("bankAccounts/a/bankTransactions", [customer(1), customer(2, modified="2024-01-03T00:00:00Z")])
    server.sync("bankTransactions")
    found = [each for each in await consumer.batches(*kinds) if each.records]
    assert [(each.parent, len(each.records)) for each in found] == [("a", 1)]


async def test_records_without_a_date_are_yielded_whenever_their_list_changed(consumer: Consumer) -> None:
    """They cannot be recognised, so the list is read whole."""
    plain = {key: value for key, value in customer(5).items() if key != "modifiedDate"}
    consumer.server.sync(records=[customer(0), plain])
    assert await consumer.ids() == ["c0", "c5"]
    assert await consumer.ids() == []
    consumer.server.sync()
    assert await consumer.ids() == ["c0", "c5"]


async def test_a_data_status_that_is_not_answered_has_everything_read(
    consumer: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning; nothing is lost."""
    await consumer.ids()
    consumer.server.hook = lambda path, _: error_response(500) if path.endswith("dataStatus") else None
    consumer.server.add(6)
    assert await consumer.ids() == ["c6"]
    assert "the data status of company" in caplog.text
