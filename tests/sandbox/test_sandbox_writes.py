"""Writes: push operations from pending to their end, what they change, and keys against doing it twice."""

import asyncio
from typing import Any

import aiohttp
import pytest
from small_books import Api, credential, ended, eventually, small_sandbox, synced, written

from codat_async.sandbox.idempotency import Replays, request_digest
from codat_async.sandbox.replies import ApiError, Reply

CUSTOMER = {"customerName": "New & Sons", "status": "Active"}


def key(number: int = 1) -> dict[str, str]:
    """The header with an idempotency key."""
    return {"Idempotency-Key": f"5a0b1f5e-2f6d-4a7c-9b3e-{number:012x}"}


async def test_a_create_shows_after_a_sync(api: Api) -> None:
    """A write answers pending, ends with the record's id but no data, and shows only once synced."""
    status, operation = await api.send("POST", f"{api.push}/customers", json=CUSTOMER)
    assert status == 200
    assert (operation["status"], operation["statusCode"]) == ("Pending", 202)
    assert operation["dataType"] == "customers"
    state = await ended(api, operation)
    assert (state["status"], state["statusCode"]) == ("Success", 200)
    assert state["completedOnUtc"] > state["requestedOnUtc"]
    assert "data" not in operation
    assert "data" not in state
    (change,) = state["changes"]
    assert (change["type"], change["recordRef"]["dataType"]) == ("Created", "customers")
    path = f"{api.data}/customers/{change['recordRef']['id']}"
    assert (await api.refused(path))[0] == 404
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 5
    await synced(api, "customers")
    record = await api.get(path)
    assert record["customerName"] == "New & Sons"
    assert record["modifiedDate"] >= record["sourceModifiedDate"]
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 6


async def test_a_write_without_a_sync(api: Api) -> None:
    """With allowSyncOnPushComplete=false a write shows only after a sync that somebody queues."""
    path = f"{api.push}/customers?allowSyncOnPushComplete=false"
    before = (await api.get(f"/companies/{api.company}/dataStatus"))["customers"]
    _, operation = await api.send("POST", path, json=CUSTOMER)
    await written(api, operation)
    assert (await api.get(f"/companies/{api.company}/dataStatus"))["customers"] == before
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 5
    assert (await api.send("POST", f"{api.data}/queue/customers"))[0] == 200
    await synced(api, "customers")
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 6


async def test_a_write_during_a_sync() -> None:
    """A sync that runs already has read the books: what is written meanwhile comes with the next one."""
    async with (
        small_sandbox(push_delay=0, sync_delay=0.3) as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
    ):
        api = Api(sandbox, session)
        _, running = await api.send("POST", f"{api.data}/queue/customers")
        _, operation = await api.send("POST", f"{api.push}/customers", json=CUSTOMER)
        await ended(api, operation)

        async def first_is_over() -> bool:
            return bool((await api.get(f"{api.data}/history/{running['id']}"))["isCompleted"])

        await eventually(first_is_over)
        assert (await api.get(f"{api.data}/customers"))["totalResults"] == 5
        assert (await synced(api, "customers"))["latestSyncId"] != running["id"]
        assert (await api.get(f"{api.data}/customers"))["totalResults"] == 6


async def test_a_record_with_mistakes_fails(api: Api) -> None:
    """Missing properties, wrong kinds and unknown choices end as failed, each named; nothing is written."""
    body = {
        "issueDate": "soon",
        "status": "Whatever",
        "totalAmount": "10.00",
        "lineItems": [{"quantity": "x"}, "x"],
        "customerRef": 5,
    }
    status, operation = await api.send("POST", f"{api.push}/invoices", json=body)
    assert status == 200
    state = await ended(api, operation)
    assert (state["status"], state["statusCode"]) == ("Failed", 400)
    assert state["errorMessage"]
    wrong = {error["itemId"] for error in state["validation"]["errors"]}
    assert wrong == {
        "issueDate",
        "status",
        "totalAmount",
        "totalTaxAmount",
        "amountDue",
        "lineItems[0].quantity",
        "lineItems[1]",
        "customerRef",
    }
    assert (await api.get(f"{api.data}/invoices"))["totalResults"] == 25


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[1", b"nul"])
async def test_a_body_that_is_no_json(api: Api, body: bytes) -> None:
    """A body that cannot be read answers 400 at once."""
    status, _ = await api.send("POST", f"{api.push}/customers", data=body)
    assert status == 400


async def test_an_update_replaces(api: Api) -> None:
    """A PUT replaces the record, keeps its id, and moves its modifiedDate."""
    status, operation = await api.send("PUT", f"{api.push}/customers/c%2F1", json=CUSTOMER | {"id": "other"})
    assert status == 200
    assert (await written(api, operation))["changes"][0]["type"] == "Modified"
    record = await api.get(f"{api.data}/customers/c%2F1")
    assert (record["id"], record["customerName"]) == ("c/1", "New & Sons")
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 5
    status, _ = await api.send("PUT", f"{api.push}/customers/none", json=CUSTOMER)
    assert status == 404


async def test_a_delete_marks(api: Api) -> None:
    """A deleted record stays in lists, marked, and can be filtered out."""
    status, operation = await api.send("DELETE", f"{api.push}/invoices/inv-4")
    assert (status, operation["status"]) == (200, "Pending")
    assert (await written(api, operation))["changes"][0]["type"] == "Deleted"
    assert (await api.get(f"{api.data}/invoices/inv-4"))["metadata"] == {"isDeleted": True}
    left = await api.get(f"{api.data}/invoices", query="metadata.isDeleted!=true")
    assert left["totalResults"] == 24


async def test_bank_transactions_are_added_once(api: Api) -> None:
    """Lines of a statement are added to their account; one that is there, by its id, is left alone."""
    lines = [{"id": "1", "amount": 7, "date": "2026-03-01T00:00:00"}, {"id": "new", "amount": 7.25}]
    body = {"accountId": "bank", "transactions": lines}
    status, operation = await api.send("POST", f"{api.push}/bankAccounts/bank/bankTransactions", json=body)
    assert status == 200
    await written(api, operation)
    page = await api.get(f"{api.linked}/data/bankAccounts/bank/bankTransactions")
    assert [(each["id"], each["amount"]) for each in page["results"]] == [
        ("0", 0), ("1", 1), ("2", 2), ("new", 7.25),
    ]  # fmt: skip


async def test_too_many_bank_transactions(api: Api) -> None:
    """More than 1,000 transactions in one write answer 400."""
    lines = [{"id": str(number), "amount": 1} for number in range(1001)]
    path = f"{api.push}/bankAccounts/bank/bankTransactions"
    status, body = await api.send("POST", path, json={"accountId": "bank", "transactions": lines})
    assert (status, "1000" in body["error"]) == (400, True)


async def test_history(api: Api) -> None:
    """The history lists a company's push operations, filtered like any list."""
    for _ in range(3):
        _, operation = await api.send("POST", f"{api.push}/customers", json=CUSTOMER)
    await ended(api, operation)
    page = await api.get(
        f"/companies/{api.company}/push", query="dataType=customers&&status=Success", pageSize="2"
    )
    assert page["totalResults"] == 3
    assert (await api.refused(f"/companies/{api.company}/push/none"))[0] == 404


async def test_timeouts(api: Api) -> None:
    """A write that takes longer than its time-out ends as timed out, and changes nothing."""
    path = f"{api.push}/customers"
    assert (await api.send("POST", f"{path}?timeoutInMinutes=soon", json=CUSTOMER))[0] == 400
    _, operation = await api.send("POST", f"{path}?timeoutInMinutes=0", json=CUSTOMER)
    assert operation["timeoutInMinutes"] == 0
    assert (await ended(api, operation))["status"] == "TimedOut"
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 5


@pytest.mark.parametrize(("fault", "end"), [("push-failed", "Failed"), ("push-timed-out", "TimedOut")])
async def test_ends_that_can_be_asked_for(api: Api, fault: str, end: str) -> None:
    """A write can be made to fail, or to time out."""
    headers = {"X-Sandbox-Fault": fault}
    _, operation = await api.send("POST", f"{api.push}/customers", json=CUSTOMER, headers=headers)
    assert (await ended(api, operation))["status"] == end


async def test_pending_for_ever(api: Api) -> None:
    """A write can be made to stay pending, as with software that is switched off."""
    headers = {"X-Sandbox-Fault": "push-pending"}
    _, operation = await api.send("POST", f"{api.push}/customers", json=CUSTOMER, headers=headers)
    await asyncio.sleep(0.1)
    path = f"/companies/{api.company}/push/{operation['pushOperationKey']}"
    assert (await api.get(path))["status"] == "Pending"


async def test_unlinked_connections_take_no_writes(api: Api) -> None:
    """A write through a connection that was unlinked fails."""
    status, connection = await api.send("PATCH", api.linked, json={"status": "Unlinked"})
    assert (status, connection["status"]) == (200, "Unlinked")
    _, operation = await api.send("POST", f"{api.push}/customers", json=CUSTOMER)
    assert (await ended(api, operation))["status"] == "Failed"


async def test_options(api: Api) -> None:
    """The options tree names required properties and choices, the same under both addresses, and ends."""
    tree = await api.get(f"{api.linked}/options/invoices")
    assert tree["type"] == "Object"
    assert tree["properties"]["issueDate"]["required"] is True
    assert tree["properties"]["issueDate"]["type"] == "DateTime"
    assert "id" not in tree["properties"]
    lines = tree["properties"]["lineItems"]
    assert (lines["type"], lines["properties"]["quantity"]["type"]) == ("Array", "Number")
    values = [each["value"] for each in tree["properties"]["status"]["options"]]
    assert "Paid" in values
    assert (await api.get(f"{api.linked}/options/chartOfAccounts"))["displayName"] == "Account"
    for data_type in ("taxRates", "nothing", "commerce-orders"):
        assert (await api.refused(f"{api.linked}/options/{data_type}"))[0] == 404
    transactions = await api.get(f"{api.linked}/options/bankAccounts/bank/bankTransactions")
    assert "transactions" in transactions["properties"]


async def test_a_key_replays_the_first_answer(api: Api) -> None:
    """The same key and body give the same operation again; another body 422; another key a second write."""
    headers = key()
    path = f"{api.push}/customers"
    _, first = await api.send("POST", path, json=CUSTOMER, headers=headers)
    _, again = await api.send("POST", path, json=CUSTOMER, headers=headers)
    assert again == first
    assert (await api.send("POST", path, json=CUSTOMER | {"phone": "1"}, headers=headers))[0] == 422
    assert (await api.send("POST", f"{api.push}/suppliers", json=CUSTOMER, headers=headers))[0] == 422
    _, other = await api.send("POST", path, json=CUSTOMER, headers=key(2))
    assert other["pushOperationKey"] != first["pushOperationKey"]
    await written(api, other)
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 7


async def test_a_key_replays_errors_but_not_429(api: Api) -> None:
    """An answer of 4xx or 5xx is replayed with its key, but a 429 is not kept."""
    path = f"{api.push}/customers"
    for status in (400, 500):
        headers = key(status)
        spoilt = headers | {"X-Sandbox-Fault": str(status)}
        assert (await api.send("POST", path, json=CUSTOMER, headers=spoilt))[0] == status
        assert (await api.send("POST", path, json=CUSTOMER, headers=headers))[0] == status
    headers = key(429)
    spoilt = headers | {"X-Sandbox-Fault": "429"}
    assert (await api.send("POST", path, json=CUSTOMER, headers=spoilt))[0] == 429
    assert (await api.send("POST", path, json=CUSTOMER, headers=headers))[0] == 200


async def test_a_lost_answer_is_found_again_by_its_key(api: Api) -> None:
    """A write whose answer was lost is done once: the key gives the answer again."""
    headers = key()
    path = f"{api.push}/customers"
    with pytest.raises(aiohttp.ClientError):
        await api.send("POST", path, json=CUSTOMER, headers=headers | {"X-Sandbox-Fault": "lost"})
    status, operation = await api.send("POST", path, json=CUSTOMER, headers=headers)
    assert status == 200
    await written(api, operation)
    assert (await api.get(f"{api.data}/customers"))["totalResults"] == 6


async def test_a_key_that_is_no_guid(api: Api) -> None:
    """A key that is not a GUID answers 400."""
    headers = {"Idempotency-Key": "order-7"}
    assert (await api.send("POST", f"{api.push}/customers", json=CUSTOMER, headers=headers))[0] == 400


async def test_a_key_in_use_answers_409(api: Api) -> None:
    """While the first request with a key is still under way, a second one is refused."""
    headers = key()
    path = api.sandbox.base_url + f"{api.push}/customers"
    gate = asyncio.Event()

    async def slowly() -> Any:
        yield b"{"
        await gate.wait()
        yield b'"customerName": "Slow", "status": "Active"}'

    async def first() -> int:
        async with api.session.post(path, data=slowly(), headers=headers) as response:
            return response.status

    task = asyncio.create_task(first())
    await eventually(lambda: bool(api.sandbox.stats["inFlight"]))
    status, _ = await api.send("POST", f"{api.push}/customers", json=CUSTOMER, headers=headers)
    gate.set()
    assert (status, await task) == (409, 200)


def test_keys_are_remembered_for_ninety_minutes() -> None:
    """A key is free again 90 minutes after its first use, and at once where that gave no answer."""
    now = 0.0
    replays = Replays(lambda: now)
    with replays.claim("k") as claim:
        assert claim.replay(b"a") is None
        claim.keep(Reply(body=b"1"))
    now = 90 * 60 - 1
    with replays.claim("k") as claim:
        assert claim.replay(b"a") == Reply(body=b"1")
    now += 1
    with replays.claim("k") as claim:
        assert claim.replay(b"b") is None
    with replays.claim("k") as claim:
        assert claim.replay(b"c") is None
        claim.keep(Reply(status=429))
    with replays.claim("k") as claim, pytest.raises(ApiError) as caught, replays.claim("k"):
        pass
    assert caught.value.status == 409


def test_digests_depend_on_where_parts_end() -> None:
    """Parts do not run into each other."""
    assert request_digest("a", b"bc") != request_digest("ab", b"c")
    assert request_digest("a", b"bc") == request_digest("a", b"bc")


async def test_a_write_without_delay() -> None:
    """Without a delay a write is still pending in its own answer, and done by the next request."""
    async with small_sandbox(push_delay=0) as sandbox, aiohttp.ClientSession() as session:
        session.headers.update(credential(sandbox.api_key))
        api = Api(sandbox, session)
        _, operation = await api.send("POST", f"{api.push}/customers", json=CUSTOMER)
        assert operation["status"] == "Pending"
        path = f"/companies/{api.company}/push/{operation['pushOperationKey']}"
        assert (await api.get(path))["status"] == "Success"
