"""Syncs: Codat's copy changes only when one completes, and dataStatus shows how far it is."""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest
from small_books import Api, credential, eventually, synced, written

from codat_async.models import Connection, ConnectionStatus, DataType
from codat_async.sandbox import Sandbox
from codat_async.sandbox.syncs import OUTCOMES, Change, Syncs, Timers

STATES = ["Queued", "Fetching", "Mapping", "Validating", "Processing", "Complete"]


async def status_of(api: Api, data_type: str) -> Any:
    """The status of a data type."""
    return (await api.get(f"/companies/{api.company}/dataStatus"))[data_type]


async def queue(api: Api, data_type: str) -> Any:
    """The pull operation of a sync that was queued."""
    status, pull = await api.send("POST", f"{api.data}/queue/{data_type}")
    assert status == 200, pull
    return pull


async def test_a_sync_goes_through_its_states(slow: Api) -> None:
    """A sync is queued, fetched, mapped, validated and processed, and then complete."""
    before = await status_of(slow, "bills")
    pull = await queue(slow, "bills")
    assert (pull["status"], pull["isCompleted"], pull["connectionId"]) == ("Queued", False, slow.connection)
    seen = [pull["status"]]

    async def over() -> bool:
        # In this order: the sync may end between the two answers.
        status = await status_of(slow, "bills")
        shown = await slow.get(f"{slow.data}/history/{pull['id']}")
        assert status["latestSyncId"] == pull["id"]
        if shown["status"] != seen[-1]:
            seen.append(shown["status"])
        if not shown["isCompleted"]:
            assert status["latestSuccessfulSyncId"] == before["latestSuccessfulSyncId"]
        return bool(shown["isCompleted"])

    await eventually(over)
    assert seen == [state for state in STATES if state in seen]
    assert len(seen) >= 3
    after = await status_of(slow, "bills")
    assert after["latestSuccessfulSyncId"] == pull["id"]
    assert after["lastSuccessfulSync"] > before["lastSuccessfulSync"]
    newest = await slow.get(f"{slow.data}/history", orderBy="-requested", pageSize="1")
    assert newest["results"][0]["id"] == pull["id"]
    assert newest["results"][0]["progress"] == 100


async def test_a_second_queueing_is_refused(slow: Api) -> None:
    """While a sync of a type runs, another is refused with the id of the first; other types are not."""
    pull = await queue(slow, "bills")
    status, error = await slow.send("POST", f"{slow.data}/queue/bills")
    assert status == 409
    assert error["error"] == (
        f"DatasetAlreadyInProgressException: Cannot queue bills sync for {slow.company} as previous sync "
        f"{pull['id']} is still in progress"
    )
    await queue(slow, "invoices")
    await synced(slow, "bills")
    assert (await queue(slow, "bills"))["id"] != pull["id"]


@pytest.mark.parametrize("outcome", sorted(OUTCOMES - {"Queued"}))
async def test_a_sync_ends_as_asked(api: Api, sandbox: Sandbox, outcome: str) -> None:
    """A sync can be made to end in each of the states, and what was waiting stays for a later one."""
    before = await status_of(api, "customers")
    sandbox.records.set_sync_outcome(api.company, "customers", outcome)
    _, operation = await api.send(
        "POST", f"{api.push}/customers", json={"customerName": "New", "status": "Active"}
    )
    await written(api, operation)
    after = await status_of(api, "customers")
    assert after["currentStatus"] == outcome
    assert after["latestSuccessfulSyncId"] == before["latestSuccessfulSyncId"] != after["latestSyncId"]
    pull = await api.get(f"{api.data}/history/{after['latestSyncId']}")
    assert pull["isErrored"] is (outcome != "NotSupported")
    assert pull["isCompleted"] is False
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 5
    (connection,) = (await api.get(f"/companies/{api.company}/connections"))["results"]
    assert connection["status"] == ("Deauthorized" if outcome == "AuthError" else "Linked")
    sandbox.records.set_sync_outcome(api.company, "customers", None)
    if outcome == "AuthError":
        await api.send("PUT", f"{api.linked}/authorization", json={})
    await queue(api, "customers")
    await synced(api, "customers")
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 6


async def test_software_that_is_off(api: Api, sandbox: Sandbox) -> None:
    """A sync of software that is switched off stays queued."""
    sandbox.records.set_sync_outcome(api.company, "bills", "Queued")
    pull = await queue(api, "bills")
    await asyncio.sleep(0.1)
    assert (await status_of(api, "bills"))["currentStatus"] == "Queued"
    assert (await api.send("POST", f"{api.data}/queue/bills"))[0] == 409
    assert (await api.get(f"{api.data}/history/{pull['id']}"))["progress"] == 0


async def test_a_type_that_was_never_synced(api: Api, sandbox: Sandbox) -> None:
    """It has no status but its name, and cannot be read until it is synced, or is not supported."""
    sandbox.records.forget_syncs(api.company, "customers")
    assert await status_of(api, "customers") == {"dataType": "customers"}
    assert (await api.refused(f"{api.data}/customers"))[0] == 409
    sandbox.records.set_sync_outcome(api.company, "customers", "NotSupported")
    await queue(api, "customers")
    await synced(api, "customers")
    assert (await api.refused(f"{api.data}/customers"))[0] == 404
    sandbox.records.set_sync_outcome(api.company, "customers", None)
    await queue(api, "customers")
    await synced(api, "customers")
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 5


async def test_an_unlinked_connection_cannot_be_synced(api: Api) -> None:
    """A sync from a connection that is not linked ends as AuthError, and shows in queries."""
    await api.send("PATCH", api.linked, json={"status": "Unlinked"})
    assert (await api.send("POST", f"{api.data}/queue/bills?connectionId={api.connection}"))[0] == 200
    assert (await synced(api, "bills"))["currentStatus"] == "AuthError"
    assert (await api.send("POST", f"{api.data}/queue/bills"))[0] == 404
    found = await api.get("/companies", query="dataConnections.status=Deauthorized", pageSize="9")
    assert [each["id"] for each in found["results"]] == [api.company]
    # Data that was synced before can still be read.
    assert (await api.get(f"{api.data}/invoices"))["totalResults"] == 25


async def test_what_follows_is_synced_along() -> None:
    """A type's sync id moves exactly when its records do: an invoice changes accounts, but no items."""
    async with (
        Sandbox(companies=1, size=20, push_delay=0, sync_delay=0) as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
    ):
        api = Api(sandbox, session)

        async def read() -> tuple[dict[str, Any], dict[str, Any]]:
            status = await api.get(f"/companies/{api.company}/dataStatus")
            lists = {
                name: (await api.get(f"{api.data}/{path}", pageSize="500"))["results"]
                for name, path in (
                    ("chartOfAccounts", "accounts"),
                    ("journalEntries", "journalEntries"),
                    ("invoices", "invoices"),
                    ("items", "items"),
                    ("bills", "bills"),
                )
            }
            return {name: each["latestSyncId"] for name, each in status.items()}, lists

        ids, lists = await read()
        invoice = lists["invoices"][0]
        for name in ("id", "modifiedDate", "sourceModifiedDate", "metadata"):
            invoice.pop(name, None)
        _, operation = await api.send("POST", f"{api.push}/invoices", json=invoice | {"status": "Submitted"})
        await written(api, operation)
        later_ids, later = await read()
        moved = {name for name in ids if ids[name] != later_ids[name]}
        changed = {name for name in later if later[name] != (await read_again(lists, name))}
        assert changed == {"chartOfAccounts", "journalEntries", "invoices"}
        assert moved & set(later) == changed
        assert {"balanceSheet", "profitAndLoss", "cashFlowStatement"} <= moved


async def read_again(lists: dict[str, Any], name: str) -> Any:
    """A list as it was read before; the first invoice was taken apart since."""
    return None if name == "invoices" else lists[name]


async def test_changes_behind_the_api_wait_for_a_sync(api: Api, sandbox: Sandbox) -> None:
    """An edit with sync=False shows only after a sync, any other at once, with a sync of its own."""
    before = await status_of(api, "invoices")
    sandbox.records.touch(1.0, resource="invoices", company_id=api.company, sync=False)
    sandbox.records.delete_records(api.company, "invoices", ["inv-3"], sync=False)
    assert (await api.get(f"{api.data}/invoices", query="note~Changed"))["totalResults"] == 0
    assert await status_of(api, "invoices") == before
    await queue(api, "invoices")
    await synced(api, "invoices")
    assert (await api.get(f"{api.data}/invoices", query="note~Changed"))["totalResults"] == 25
    assert (await api.get(f"{api.data}/invoices", query="metadata.isDeleted=true"))["totalResults"] == 1
    before = await status_of(api, "invoices")
    sandbox.records.touch(1.0, resource="invoices", company_id=api.company)
    assert (await status_of(api, "invoices"))["latestSuccessfulSyncId"] != before["latestSuccessfulSyncId"]


async def test_outcomes_by_the_admin_endpoint(api: Api) -> None:
    """Outcomes are set, and syncs forgotten, over HTTP as well."""
    path = f"/_sandbox/companies/{api.company}/syncs/bills"
    assert (await api.send("PUT", path, json={"outcome": "FetchError"}))[0] == 200
    await queue(api, "bills")
    assert (await synced(api, "bills"))["currentStatus"] == "FetchError"
    assert (await api.send("PUT", path, json={"outcome": "Complete"}))[0] == 400
    assert (await api.send("PUT", path, json={"outcome": None}))[0] == 200
    assert (await api.send("DELETE", path))[0] == 200
    assert await status_of(api, "bills") == {"dataType": "bills"}


async def test_all_types_are_those_of_the_settings(api: Api) -> None:
    """Refreshing all queues what is fetched on the first link, and leaves out what runs already."""
    settings = await api.get(f"/companies/{api.company}/syncSettings")
    for each in settings["settings"]:
        each["fetchOnFirstLink"] = each["dataType"] in ("bills", "items")
    await api.send("POST", f"/companies/{api.company}/syncSettings", json=settings)
    total = (await api.get(f"{api.data}/history"))["totalResults"]
    await queue(api, "bills")
    assert await api.send("POST", f"{api.data}/all") == (204, b"")
    assert (await api.get(f"{api.data}/history"))["totalResults"] == total + 2
    await synced(api, "items")


async def test_refreshing_the_company_info(api: Api) -> None:
    """It answers a data set, and unknown types and connections answer 404."""
    status, dataset = await api.send("POST", f"{api.data}/info")
    assert (status, dataset["dataType"], dataset["status"]) == (200, "company", "Queued")
    assert (await synced(api, "company"))["latestSuccessfulSyncId"] == dataset["id"]
    assert (await api.send("POST", f"{api.data}/queue/none"))[0] == 404
    assert (await api.send("POST", f"{api.data}/queue/bills?connectionId=none"))[0] == 404
    assert (await api.refused(f"{api.data}/history/none"))[0] == 404


async def test_validation_of_what_was_synced(api: Api, sandbox: Sandbox) -> None:
    """A data set whose line items do not add up has warnings; one that failed validation an error."""
    bill = {
        "issueDate": "2026-01-31",
        "status": "Open",
        "subTotal": 5,
        "taxAmount": 0,
        "totalAmount": 5,
        "lineItems": [{"quantity": 1, "unitAmount": 4, "subTotal": 4}],
    }
    path = f"/companies/{api.company}/sync"
    _, operation = await api.send("POST", f"{api.push}/bills", json=bill)
    state = await written(api, operation)
    sync_id = (await status_of(api, "bills"))["latestSyncId"]
    found = await api.get(f"{path}/{sync_id}/validation")
    assert found["errors"] == []
    assert [each["itemId"] for each in found["warnings"]] == [state["changes"][0]["recordRef"]["id"]]
    clean = (await status_of(api, "customers"))["latestSyncId"]
    assert await api.get(f"{path}/{clean}/validation") == {"errors": [], "warnings": []}
    sandbox.records.set_sync_outcome(api.company, "bills", "ValidationError")
    failed = await queue(api, "bills")
    await synced(api, "bills")
    assert len((await api.get(f"{path}/{failed['id']}/validation"))["errors"]) == 1
    assert (await api.refused(f"{path}/none/validation"))[0] == 404


async def test_a_sync_that_ends_while_a_later_one_runs() -> None:
    """What waits for it is synced once the later one has ended too."""
    loop = asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda loop, context: failures.append(context["exception"]))
    applied: list[tuple[DataType, int]] = []

    def apply(data_type: DataType, changes: Sequence[Change]) -> list[DataType]:
        applied.append((data_type, len(changes)))
        return []

    timers = Timers(push_delay=0.0, sync_delay=0.05)
    syncs = Syncs("c", timers, apply, lambda connection: None, lambda *_: None)
    connection = Connection(id="n", status=ConnectionStatus.LINKED)
    syncs.queue(DataType.BILLS, connection)
    syncs.write(DataType.BILLS, lambda: None, connection)
    # Another data type, which the bills follow from, was synced meanwhile.
    syncs.complete([DataType.BILLS], "n")
    syncs.queue(DataType.BILLS, connection)

    async def over() -> bool:
        return len(applied) == 3

    await eventually(over)
    loop.set_exception_handler(None)
    assert failures == []
    assert applied == [(DataType.BILLS, 0), (DataType.BILLS, 1), (DataType.BILLS, 0)]
