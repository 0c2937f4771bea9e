"""The plan of a pull: its requests, and how long the pull will take."""

import pytest
from bulk_server import COMPANY, CONNECTION, Server

from codat_async import Codat, Limits, RetryPolicy, bulk
from codat_async.bulk.plan.accounts import account_ids
from codat_async.bulk.units import Unit


@pytest.mark.parametrize(("per_minute", "seconds"), [(30, 4), (None, 0.2)])
async def test_a_plan_of_reports_alone_estimates_seconds_from_the_limit(
    server: Server, per_minute: int | None, seconds: float
) -> None:
    """It makes no request, so no speed can be measured; without a limit a default speed is assumed."""
    limits = Limits(per_minute=per_minute)
    async with Codat("key", base_url=server.base_url, limits=limits, retry=RetryPolicy(waits=False)) as codat:
        found = await bulk.find_companies(codat, [COMPANY])
        kinds = bulk.resolve_types(["balance_sheet", "profit_and_loss"])
        plan = await bulk.make_plan(codat, found.subjects, kinds, page_size=500)
    assert (plan.requests, plan.seconds) == (2, seconds)


async def test_a_bank_account_without_an_id_is_left_out(server: Server, caller: Codat) -> None:
    """An empty id in the path would name the list of accounts."""
    server.put("bankAccounts", [{"id": ""}, {"id": "a"}, {}])
    unit = Unit("bank_account_transactions", COMPANY, CONNECTION)
    assert await account_ids(caller, unit, page_size=500) == ["a"]
