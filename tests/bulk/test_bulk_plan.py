"""The plan of a pull: its requests, and how long the pull will take."""

from pathlib import Path
from typing import Any

import pytest
from bulk_server import COMPANY, CONNECTION, Server, customer, error_response

from codat_async import Codat, Limits, RetryPolicy, bulk
from codat_async.bulk.plan.accounts import account_ids
from codat_async.bulk.plan.freshness import status_keys
from codat_async.bulk.units.unit import Unit
from codat_async.sandbox import Sandbox


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


# --- from earlier nights -------------------------------------------------------------------


def fleet(server: Server, companies: int = 4) -> None:
    """Companies with five customers, and a supplier, each."""
    server.companies = [f"11111111-1111-4111-8111-{number:012d}" for number in range(companies)]
    server.put("customers", [customer(number) for number in range(5)])
    server.put("suppliers", [customer(1)])


async def planned(codat: Codat, path: Path, *types: str, **options: Any) -> bulk.Plan:
    """The plan of a directory."""
    found = await bulk.find_companies(codat)
    history = bulk.read_history(path)
    return await bulk.make_plan(codat, found.subjects, bulk.resolve_types(types), history=history, **options)


async def test_a_plan_from_earlier_nights_asks_nothing_of_the_lists(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A quiet night takes a request a company; without the gate it would be one a list."""
    fleet(server)
    types = ("customers", "suppliers")
    options = bulk.PullOptions(types=types, source="test")
    for _ in range(2):
        report = await bulk.pull(caller, tmp_path, options=options)
    server.requests.clear()
    plan = await planned(caller, tmp_path, *types)
    assert {path for path, _ in server.requests} == {"/companies"}
    assert (plan.nights, plan.requests, plan.status_requests, plan.records) == (1, 4, 4, 0)
    assert plan.requests == report.total.requests
    assert plan.ungated is not None
    assert plan.ungated.requests == 8
    plan = await planned(caller, tmp_path, *types, freshness=False)
    assert (plan.requests, plan.status_requests) == (8, 0)
    plan = await planned(caller, tmp_path, *types, full=True)
    assert (plan.requests, plan.records) == (16, 24)


async def test_a_plan_counts_on_as_many_changes_as_there_were(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """One of two lists of each company changed on one of two nights."""
    fleet(server)
    types = ("customers", "suppliers")
    options = bulk.PullOptions(types=types, source="test")
    await bulk.pull(caller, tmp_path, options=options)
    first = await planned(caller, tmp_path, *types)
    assert (first.nights, first.requests) == (0, 16)
    await bulk.pull(caller, tmp_path, options=options)
    server.put(
        "customers",
        [*(customer(number) for number in range(5)), customer(9, modified="2024-02-01T00:00:00Z")],
    )
    await bulk.pull(caller, tmp_path, options=options)
    plan = await planned(caller, tmp_path, *types)
    # Half of the customers are expected to change, by one record, and half of the confirmations.
    assert (plan.nights, plan.types["customers"].requests, plan.types["customers"].records) == (2, 2, 2)
    assert (plan.types["suppliers"].requests, plan.status_requests, plan.requests) == (0, 6, 8)


async def test_new_companies_and_types_are_planned_whole(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """By the size that known lists have; of an unknown type each list is counted as a request."""
    fleet(server)
    for _ in range(2):
        await bulk.pull(caller, tmp_path, options=bulk.PullOptions(types=["customers"], source="test"))
    server.companies.append("99999999-9999-4999-8999-999999999999")
    plan = await planned(caller, tmp_path, "customers", "items")
    assert (plan.types["customers"].requests, plan.types["customers"].records) == (1, 5)
    assert (plan.types["items"].requests, plan.unknown, plan.status_requests) == (5, 5, 6)


async def test_a_refresh_is_counted(server: Server, caller: Codat, tmp_path: Path) -> None:
    """A request for each data type of each company, and those that wait for it."""
    fleet(server)
    await bulk.pull(caller, tmp_path, options=bulk.PullOptions(types=["customers"], source="test"))
    plan = await planned(caller, tmp_path, "customers", "aged_debtors", refresh=True)
    assert plan.refresh_requests == 4 * (len({*status_keys("aged_debtors")}) + 3)
    assert plan.requests >= plan.refresh_requests + plan.status_requests


async def test_without_earlier_nights_the_totals_of_a_few_companies_are_asked_for(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Twenty of fifty, for an estimate of all."""
    fleet(server, 50)
    assert bulk.read_history(tmp_path) is None
    plan = await planned(caller, tmp_path, "customers")
    assert len(server.data_requests()) == plan.sampled == 20
    assert (plan.types["customers"].lists, plan.records, plan.requests) == (50, 250, 50)


async def asked(codat: Codat, path: Path, *types: str, **options: Any) -> bulk.Plan:
    """The plan of a directory, whose companies are asked."""
    found, kinds = await bulk.find_companies(codat), bulk.resolve_types(types)
    with bulk.StatusSample(codat, kinds, bulk.PullOptions(source="test", **options), path) as ask:
        return await bulk.make_plan(codat, found.subjects, kinds, ask=ask)


async def test_companies_that_are_asked_say_what_tonight_reads(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Nothing on a quiet night; then what changed of the lists that did."""
    fleet(server)
    types = ("customers", "suppliers")
    options = bulk.PullOptions(types=types, source="test")
    plan = await asked(caller, tmp_path, *types)
    assert (plan.records, plan.status_requests, plan.requests) == (24, 8, 16)
    assert (await bulk.pull(caller, tmp_path, options=options)).total.requests == 16
    server.requests.clear()
    plan = await asked(caller, tmp_path, *types)
    assert server.data_requests() == []
    assert (plan.records, plan.status_requests, plan.requests) == (0, 4, 4)
    assert plan.ungated is not None
    assert plan.ungated.requests == 8
    changed = customer(9, modified="2024-02-01T00:00:00Z")
    server.put("customers", [*(customer(number) for number in range(5)), changed])
    plan = await asked(caller, tmp_path, *types)
    assert (plan.types["customers"].unread, plan.types["suppliers"].unread) == (0, 4)
    # The new one; those of the overlap are as old as the latest of before.
    assert (plan.records, plan.status_requests, plan.requests) == (24, 8, 12)
    assert (await bulk.pull(caller, tmp_path, options=options)).total.requests == 12
    plan = await asked(caller, tmp_path, *types, full=True)
    assert (plan.records, plan.requests) == (28, 16)


async def test_what_is_asked_of_a_few_companies_is_for_all(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Their data status too; a status that is not answered means that everything is read."""
    fleet(server, 50)
    plan = await asked(caller, tmp_path, "customers")
    assert (plan.sampled, plan.status_requests, plan.requests) == (20, 100, 150)
    server.hook = lambda path, query: error_response(403) if path.endswith("/dataStatus") else None
    assert (await asked(caller, tmp_path, "customers")).requests == 150


async def test_the_sample_of_a_sandbox_night_is_what_the_night_takes(tmp_path: Path) -> None:
    """Over all data types, bank transactions included."""
    async with Sandbox(companies=3, size=3) as sandbox:
        limits = Limits(per_minute=None)
        async with Codat(sandbox.api_key, base_url=sandbox.base_url, limits=limits) as codat:
            kinds = [*bulk.pull_types()]
            for night in range(2):
                plan = await asked(codat, tmp_path, *kinds, recheck_after=None)
                options = bulk.PullOptions(source="test", recheck_after=None)
                report = await bulk.pull(codat, tmp_path, options=options)
                assert plan.requests == report.total.requests, night
    assert report.total.requests == 3


async def test_the_plan_of_a_sandbox_night_is_what_the_night_takes(tmp_path: Path) -> None:
    """Over all data types, bank transactions included."""
    async with Sandbox(companies=4, size=3) as sandbox:
        limits = Limits(per_minute=None)
        async with Codat(sandbox.api_key, base_url=sandbox.base_url, limits=limits) as codat:
            options = bulk.PullOptions(source="test", recheck_after=None)
            for _ in range(2):
                await bulk.pull(codat, tmp_path, options=options)
            plan = await planned(codat, tmp_path, *bulk.pull_types())
            report = await bulk.pull(codat, tmp_path, options=options)
    assert plan.requests == report.total.requests == 4
