"""Typed batches: back-pressure, acknowledgement, and lists that fail."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path

import pytest
from bulk_server import COMPANY, Server, customer, error_response

from codat_async import Codat, bulk, models
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
    """A reading interrupted in the third batch resumes with that one; a complete one starts over."""
    server.put("customers", [customer(number) for number in range(10)])

    def stream() -> AsyncGenerator[bulk.Batch, None]:
        return bulk.records(caller, types=["customers"], page_size=2, checkpoint=tmp_path / "mine.sqlite")

    first = await take(stream(), 3)
    assert first == [f"c{number}" for number in range(6)]
    assert await take(stream(), 99) == [f"c{number}" for number in range(4, 10)]
    assert len(await take(stream(), 99)) == 10


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
