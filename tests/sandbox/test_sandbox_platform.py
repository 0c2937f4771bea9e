"""The Platform API around the books: companies, connections, settings, refreshes."""

from typing import Any

import pytest
from small_books import Api, synced

from codat_async.sandbox import Sandbox


async def test_a_company_from_cradle_to_grave(api: Api, sandbox: Sandbox) -> None:
    """A company is created, read, replaced, changed in part, listed and deleted."""
    status, company = await api.send("POST", "/companies", json={"name": "New", "tags": {"a": "1"}})
    assert status == 200
    path = f"/companies/{company['id']}"
    assert await api.get(path) == company
    assert company["id"] in sandbox.company_ids
    _, replaced = await api.send("PUT", path, json={"name": "Other", "description": "x"})
    assert (replaced["name"], replaced.get("tags")) == ("Other", None)
    _, changed = await api.send("PATCH", path, json={"tags": {"b": "2"}})
    assert (changed["name"], changed["description"], changed["tags"]) == ("Other", "x", {"b": "2"})
    assert (await api.get("/companies", query="name=Other", pageSize="10"))["totalResults"] == 1
    assert await api.send("DELETE", path) == (204, b"")
    assert (await api.refused(path))[0] == 404
    assert (await api.get("/companies"))["totalResults"] == 2


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 5}, [], "x"])
async def test_companies_that_cannot_be(api: Api, body: Any) -> None:
    """A company without a name is refused."""
    assert (await api.send("POST", "/companies", json=body))[0] == 400


async def test_the_quota_grows_with_the_companies(api: Api) -> None:
    """A further company raises the day's quota."""
    await api.send("POST", "/companies", json={"name": "New"})
    async with api.session.get(f"{api.sandbox.base_url}/companies") as response:
        assert response.headers["X-Rate-Limit-Limit"] == "4000"


async def test_companies_by_tag(api: Api) -> None:
    """Companies are narrowed by tags, alone or with a query."""
    assert (await api.get("/companies", tags="region=United Kingdom"))["totalResults"] == 1
    page = await api.get("/companies", tags="region=United Kingdom", query="name=nobody", pageSize="10")
    assert page["totalResults"] == 0
    assert (await api.refused("/companies", tags="="))[0] == 400


async def test_queries_of_companies_need_a_page_size(api: Api) -> None:
    """A query on companies without pageSize answers 400."""
    assert (await api.refused("/companies", query="name=Other"))[0] == 400


async def test_a_new_company_has_data_once_it_is_linked_and_synced(slow: Api) -> None:
    """Before anything is linked, data is not there to be read; linking queues a sync of every type."""
    _, company = await slow.send("POST", "/companies", json={"name": "New"})
    path = f"/companies/{company['id']}"
    assert (await slow.refused(f"{path}/data/invoices"))[0] == 409
    assert (await slow.refused(f"{path}/data/info"))[0] == 409
    assert (await slow.get(f"{path}/dataStatus"))["suppliers"] == {"dataType": "suppliers"}
    assert (await slow.send("POST", f"{path}/data/all"))[0] == 404
    _, connection = await slow.send("POST", f"{path}/connections", json={"platformKey": "gbol"})
    assert (await slow.get("/companies", query="dataConnections.status=PendingAuth", pageSize="5"))[
        "results"
    ][0]["id"] == company["id"]
    await slow.send("PUT", f"{path}/connections/{connection['id']}/authorization", json={})
    assert (await slow.get(f"{path}/dataStatus"))["invoices"]["currentStatus"] == "Queued"
    assert (await slow.refused(f"{path}/data/accounts"))[0] == 409
    slow.company = company["id"]
    await synced(slow, "chartOfAccounts")
    assert (await slow.get(f"{path}/data/accounts"))["totalResults"] > 20


async def test_a_connection_from_cradle_to_grave(api: Api) -> None:
    """A connection is created pending, authorised, unlinked and deleted, and shows in its company."""
    path = f"/companies/{api.company}/connections"
    status, made = await api.send("POST", path, json={"platformKey": "qhyg"})
    assert (status, made["status"], made["integrationKey"]) == (200, "PendingAuth", "qhyg")
    one = f"{path}/{made['id']}"
    assert await api.get(one) == made
    assert (await api.send("PUT", f"{one}/authorization", json={"code": "x"}))[1]["status"] == "Linked"
    assert (await api.send("PATCH", one, json={"status": "Unlinked"}))[1]["status"] == "Unlinked"
    assert (await api.send("PATCH", one, json={"status": "Perhaps"}))[0] == 400
    assert (await api.get(path, query="status=Unlinked"))["totalResults"] == 1
    connections = (await api.get(f"/companies/{api.company}"))["dataConnections"]
    assert [each["id"] for each in connections] == [api.connection, made["id"]]
    assert (await api.send("DELETE", one))[0] == 200
    assert (await api.refused(one))[0] == 404
    assert len((await api.get(f"/companies/{api.company}"))["dataConnections"]) == 1


async def test_products(api: Api) -> None:
    """Products are switched on once and off again, and refreshed."""
    path = f"/companies/{api.company}/products/lending"
    for _ in range(2):
        assert (await api.send("PUT", path))[0] == 204
    assert (await api.get(f"/companies/{api.company}"))["products"] == ["lending"]
    assert (await api.send("POST", f"{path}/refresh", json={"dataTypes": ["bills"]}))[0] == 202
    assert (await api.send("POST", f"{path}/refresh", json={"dataTypes": ["none"]}))[0] == 404
    assert (await api.send("DELETE", path))[0] == 204
    name = (await api.get(f"/companies/{api.company}"))["name"]
    assert (await api.get("/companies", query=f"name={name}", pageSize="10"))["results"][0]["products"] == []


async def test_sync_settings(api: Api) -> None:
    """Settings begin with the account's, and are replaced whole."""
    path = f"/companies/{api.company}/syncSettings"
    settings = await api.get(path)
    assert settings["overridesDefaults"] is False
    assert {each["dataType"] for each in settings["settings"]} >= {"invoices", "bills", "balanceSheet"}
    changed = settings | {"settings": settings["settings"][:1], "overridesDefaults": True}
    assert (await api.send("POST", path, json=changed))[0] == 204
    assert await api.get(path) == changed
    assert (await api.send("POST", path, json={"overridesDefaults": True}))[0] == 400
    assert (await api.send("POST", path, json=changed | {"companyId": "other"}))[0] == 400


async def test_access_tokens(api: Api) -> None:
    """A token for the browser is another each time."""
    path = f"/companies/{api.company}/accessToken"
    first, second = await api.get(path), await api.get(path)
    assert first["accessToken"] != second["accessToken"]
    assert (first["tokenType"], first["expiresIn"]) == ("Bearer", 86400)
