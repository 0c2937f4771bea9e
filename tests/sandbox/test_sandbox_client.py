"""The client against syncs as they are: write, wait, sync, read; and refreshes with each final state."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from codat_async import Codat, RetryPolicy, errors
from codat_async.models import Customer, RecordStatus
from codat_async.sandbox import Sandbox
from codat_async.sandbox.syncs import ACCOUNTING_TYPES, OUTCOMES

# The two that are worth queueing again: the client does so once.
QUEUED_AGAIN = {"RateLimitError", "PrerequisiteNotMet"}


@pytest.fixture
async def codat(sandbox: Sandbox) -> AsyncIterator[Codat]:
    """A client of the sandbox that does not wait between attempts."""
    retry = RetryPolicy(waits=False)
    async with Codat(sandbox.api_key, base_url=sandbox.base_url, retry=retry) as made:
        yield made


async def test_written_then_waited_for_then_read(codat: Codat, sandbox: Sandbox) -> None:
    """What was written is not there without a sync, and is after one."""
    company = sandbox.company_ids[0]
    connection = sandbox.connection_ids(company)[0]
    record = Customer(customer_name="New", status=RecordStatus.ACTIVE)
    operation = await codat.customers.create(company, connection, record, allow_sync_on_push_complete=False)
    operation = await codat.push_operations.wait(operation)
    assert operation.data is None
    with pytest.raises(errors.NotFound):
        await codat.customers.get(company, operation.record_id)
    status = await codat.refresh_data.wait(company, ["customers"], refresh=True)
    assert status["customers"].current_status == "Complete"
    assert (await codat.customers.get(company, operation.record_id)).customer_name == "New"


async def test_refresh_with_each_final_state(codat: Codat, sandbox: Sandbox) -> None:
    """A refresh returns Complete and NotSupported, and raises SyncFailed with any other final state."""

    async def refresh(company: str, data_type: str, outcome: str) -> None:
        before = (await codat.refresh_data.get(company))[data_type]
        if outcome != "Complete":
            sandbox.records.set_sync_outcome(company, data_type, outcome)
        if outcome in ("Complete", "NotSupported"):
            status = (await codat.refresh_data.wait(company, [data_type], refresh=True))[data_type]
            assert status.current_status == outcome
            assert status.latest_sync_id != before.latest_sync_id
            same = status.latest_successful_sync_id == before.latest_successful_sync_id
            assert same is (outcome == "NotSupported")
        else:
            with pytest.raises(errors.SyncFailed, match=outcome):
                await codat.refresh_data.wait(company, [data_type], refresh=True)

    outcomes = ["Complete", *sorted(OUTCOMES - {"Queued", "AuthError"})]
    first, second = sandbox.company_ids
    # A failed authorisation unlinks the connection, so it is another company's.
    places = [(first, data_type) for data_type in ACCOUNTING_TYPES[: len(outcomes)]] + [(second, "bills")]
    await asyncio.gather(
        *(refresh(*place, outcome) for place, outcome in zip(places, [*outcomes, "AuthError"], strict=True))
    )
    queued = sandbox.stats["operations"]["refresh_data.by_data_type"]["200"]
    assert queued == len(places) + len(QUEUED_AGAIN)


async def test_two_refreshes_at_once(codat: Codat, sandbox: Sandbox) -> None:
    """A refresh that finds a sync running waits for that one."""
    company = sandbox.company_ids[0]
    both = await asyncio.gather(
        *(codat.refresh_data.wait(company, ["bills"], refresh=True) for _ in range(2))
    )
    assert both[0]["bills"].latest_sync_id == both[1]["bills"].latest_sync_id
    # The second was refused, whatever the number of times it was sent.
    assert sandbox.stats["operations"]["refresh_data.by_data_type"]["200"] == 1
    assert sandbox.stats["operations"]["refresh_data.by_data_type"]["409"] >= 1


async def test_software_that_is_off(codat: Codat, sandbox: Sandbox) -> None:
    """A sync that stays queued ends in SyncTimeout."""
    company = sandbox.company_ids[0]
    sandbox.records.set_sync_outcome(company, "bills", "Queued")
    with pytest.raises(errors.SyncTimeout, match="Queued"):
        await codat.refresh_data.wait(company, ["bills"], refresh=True, timeout=0.1)
