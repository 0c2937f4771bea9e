"""Changes to a running sandbox: in code, and by the endpoint off the API's paths."""

from typing import Any

import pytest
from small_books import Api, invoice

from codat_async.sandbox import Sandbox


async def ids(api: Api, resource: str = "invoices", **parameters: str) -> list[str]:
    """The ids in a list."""
    page = await api.get(f"{api.data}/{resource}", **parameters)
    return [record["id"] for record in page["results"]]


def edit(api: Api, action: str, resource: str = "invoices") -> str:
    """Where a change to a company's records is asked for."""
    return f"/_sandbox/companies/{api.company}/{resource}/{action}"


async def test_the_key_is_needed(api: Api) -> None:
    """The endpoint takes the same key as the API."""
    assert (await api.send("GET", "/_sandbox/stats", headers={"Authorization": "Basic x"}))[0] == 401


async def test_statistics(api: Api, sandbox: Sandbox) -> None:
    """Requests are counted by operation and status; the endpoint's own have a label of their own."""
    await api.get(f"{api.data}/invoices")
    await api.send("GET", f"{api.data}/invoices", headers={"X-Sandbox-Fault": "503"})
    await api.send("GET", "/nothing")
    _, stats = await api.send("GET", "/_sandbox/stats")
    assert stats["operations"]["invoices.list"] == {"200": 1, "503": 1}
    assert stats["operations"]["(none)"] == {"404": 1}
    assert stats["quotaUsed"] == 3
    _, stats = await api.send("DELETE", "/_sandbox/stats")
    assert stats["requests"] == 0
    assert sandbox.stats["operations"] == {"(admin)": {"200": 1}}


async def test_faults(api: Api, sandbox: Sandbox) -> None:
    """Faults are set as text or objects, shown with what there is, and taken away."""
    for wanted in ("503;only=bills", [{"kind": "503", "only": "bills"}], ["503;only=bills"]):
        status, shown = await api.send("PUT", "/_sandbox/faults", json=wanted)
        assert (status, shown["faults"][0]["kind"]) == (200, "503")
        assert "flaky" in shown["profiles"]
        assert "latency" in shown["kinds"]
        assert (await api.send("GET", f"{api.data}/bills"))[0] == 503
        assert (await api.send("GET", f"{api.data}/invoices"))[0] == 200
    for wrong in ("nothing", [{"kind": "503", "rate": 2}], [{"what": 1}], 5):
        assert (await api.send("PUT", "/_sandbox/faults", json=wrong))[0] == 400
    await api.send("DELETE", "/_sandbox/faults")
    assert (await api.send("GET", f"{api.data}/bills"))[0] == 200


async def test_shifting_rows(api: Api, sandbox: Sandbox) -> None:
    """The first rows go to the end, and are still found by their ids."""
    assert (await api.send("POST", edit(api, "shift"), json={"rows": 2}))[0] == 200
    seen = await ids(api)
    assert (seen[0], seen[-2:]) == ("inv-2", ["inv-0", "inv-1"])
    assert (await api.get(f"{api.data}/invoices/inv-0"))["id"] == "inv-0"
    sandbox.records.shift_rows(api.company, "invoices", 1000)
    assert await ids(api) == seen


async def test_touching_records(api: Api, sandbox: Sandbox) -> None:
    """A share of the records changes, and is what an incremental read then asks for."""
    latest = (await api.get(f"{api.data}/invoices", orderBy="-modifiedDate"))["results"][0]["modifiedDate"]
    _, answer = await api.send("POST", "/_sandbox/touch", json={"share": 0.2, "resource": "invoices"})
    assert answer == {"touched": 10}
    changed = await api.get(f"{api.data}/invoices", query=f"modifiedDate>{latest}")
    assert changed["totalResults"] == 5
    assert all(record["note"].startswith("Changed") for record in changed["results"])
    assert sandbox.records.touch(1.0, company_id=api.company, resource="customers") == 5
    assert (await api.send("POST", "/_sandbox/touch", json={"share": "x"}))[0] == 400
    assert (await api.send("POST", "/_sandbox/touch"))[0] == 200


async def test_adding_records(api: Api, sandbox: Sandbox) -> None:
    """Records are added as copies of the newest, from JSON, or as they are."""
    _, answer = await api.send("POST", edit(api, "add"), json={"copies": 2})
    assert (await ids(api))[-2:] == answer["ids"]
    body = [{"id": "x/1", "customerName": "X", "status": "Active"}]
    assert (await api.send("POST", edit(api, "add", "customers"), json=body))[1] == {"ids": ["x/1"]}
    assert (await api.get(f"{api.data}/customers/x%2F1"))["customerName"] == "X"
    sandbox.records.add_records(api.company, "invoices", [invoice(99)])
    assert (await ids(api))[-1] == "inv-99"


async def test_replacing_a_list(api: Api, sandbox: Sandbox) -> None:
    """A list holds exactly the records that it was set to, as JSON or as models."""
    body = [{"id": "x", "customerName": "X", "status": "Perhaps"}]
    path = f"/_sandbox/companies/{api.company}/customers"
    assert (await api.send("PUT", path, json=body))[0] == 200
    (record,) = (await api.get(f"{api.data}/customers"))["results"]
    assert (record["id"], record["status"]) == ("x", "Perhaps")
    sandbox.records.set_records(api.company, "invoices", [invoice(7)])
    assert await ids(api) == ["inv-7"]


async def test_deleting_and_removing(api: Api) -> None:
    """A deleted record stays, marked; a removed one is gone, and the rest move up."""
    body = {"ids": ["inv-0", "none"]}
    assert (await api.send("POST", edit(api, "delete"), json=body))[1] == {"deleted": 1}
    assert await ids(api, query="metadata.isDeleted=true") == ["inv-0"]
    assert (await api.send("POST", edit(api, "remove"), json=body))[1] == {"removed": 1}
    assert (await ids(api))[0] == "inv-1"
    assert (await api.refused(f"{api.data}/invoices/inv-0"))[0] == 404


async def test_changes_by_hand(api: Api, sandbox: Sandbox) -> None:
    """Records changed in place show after a call of changed()."""
    record: Any = sandbox.books.company(api.company).records("invoices")[0]
    await api.get(f"{api.data}/invoices/inv-0")
    record.note = "by hand"
    sandbox.records.changed(api.company, "invoices")
    assert (await api.get(f"{api.data}/invoices/inv-0"))["note"] == "by hand"


@pytest.mark.parametrize(
    ("action", "resource", "body"),
    [
        ("shift", "nothing", {}),
        ("shift", "companies", {}),
        ("shift", "invoices", {"rows": "x"}),
        ("add", "bills", {"copies": 1}),
        ("add", "invoices", {"copies": -1}),
        ("add", "invoices", [{"id": 1}]),
        ("remove", "invoices", {}),
    ],
)
async def test_what_cannot_be_done(api: Api, action: str, resource: str, body: Any) -> None:
    """A wrong resource or body answers 400."""
    status, answer = await api.send("POST", edit(api, action, resource), json=body)
    assert status == 400, answer
    assert (await api.send("POST", f"/_sandbox/companies/none/invoices/{action}", json=body))[0] in (400, 404)
