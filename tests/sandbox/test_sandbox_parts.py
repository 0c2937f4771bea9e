"""The server's parts by themselves: routes, caches, options; and what only the real books show."""

from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import pytest
from small_books import Api, credential, invoice, written

from codat_async.models import Invoice, TrackingCategoryTree
from codat_async.resources import catalogue
from codat_async.sandbox import Sandbox
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.options import check, option_tree
from codat_async.sandbox.paging import RenderCache
from codat_async.sandbox.routes import add_catalogue
from codat_async.sandbox.routing import Router, split_path


def routed(router: Router[str], method: str, path: str) -> tuple[str | None, dict[str, str]] | None:
    """The target and parameters of a path."""
    segments = split_path(path)
    match = router.find(method, segments) if segments is not None else None
    return None if match is None else (match.target, match.parameters)


def test_routes() -> None:
    """Literals win over parameters, unless only the parameter leads on; methods share a path."""
    router: Router[str] = Router()
    router.add("GET", "/a/{id}", "one")
    router.add("POST", "/a/{name}", "make")
    router.add("GET", "/a/special", "special")
    router.add("GET", "/a/{id}/b", "inner")
    assert routed(router, "GET", "/a/1%2F2") == ("one", {"id": "1/2"})
    assert routed(router, "POST", "/a/x") == ("make", {"name": "x"})
    assert routed(router, "GET", "/a/special") == ("special", {})
    assert routed(router, "POST", "/a/special") == ("make", {"name": "special"})
    assert routed(router, "GET", "/a/special/b") == ("inner", {"id": "special"})
    assert routed(router, "PUT", "/a/x") == (None, {})
    for path in ("/a", "/a/", "/a//b", "/a/x/c", "a/x", ""):
        assert routed(router, "GET", path) is None
    with pytest.raises(ValueError, match="two targets"):
        router.add("GET", "/a/{other}", "again")


def test_every_operation_must_have_a_handler() -> None:
    """An operation of the catalogue that nothing serves is an error at the start, not a 404 later."""
    with pytest.raises(LookupError, match="no handler"):
        add_catalogue(Router(), catalogue(), {})


def test_the_cache_keeps_to_its_size() -> None:
    """What was used least recently goes first; what is too large is not kept at all."""
    cache = RenderCache(10)
    cache.put("a", b"1234")
    cache.put("b", b"1234")
    assert cache.get("a") == b"1234"
    cache.put("c", b"1234")
    assert (cache.get("b"), cache.get("a"), cache.size) == (None, b"1234", 8)
    cache.put("a", b"12")
    assert cache.size == 6
    cache.put("d", b"x" * 11)
    assert (cache.get("d"), cache.size) == (None, 6)


def test_collections_keep_their_views_until_they_change() -> None:
    """A filtered view is worked out once; after a change, views and ids are worked out again."""
    rows = [invoice(number) for number in range(4)]
    collection = Collection(rows, Invoice)
    assert collection.view("status=Paid", None) is collection.view("status=Paid", None)
    collection.add(invoice(5))
    assert collection.find("inv-5") is rows[4]
    assert len(collection.view("status=Paid", None)) == 3
    del rows[0]
    collection.changed()
    assert collection.find("inv-5") is rows[3]
    for number in range(40):
        collection.view(f"totalAmount>{number}", "-issueDate")
    assert len(collection.view("totalAmount>1", "-issueDate")) == 4


def wrong(body: Any, **changes: Any) -> set[str]:
    """What is wrong with an invoice."""
    encoded = msgspec.json.encode(body | changes if isinstance(body, dict) else body)
    record, errors = check(encoded, Invoice)
    assert (record is None) == bool(errors)
    return {error.item_id or "" for error in errors}


def test_what_a_write_must_hold() -> None:
    """Each kind of value is checked in its place, and nothing else is demanded."""
    good = {
        "issueDate": "2026-01-31",
        "status": "Draft",
        "totalAmount": 10,
        "totalTaxAmount": 0.1,
        "amountDue": 10,
        "unknown": "kept out",
        "dueDate": None,
        "lineItems": [{"quantity": 1, "unitAmount": 2}],
    }
    assert wrong(good) == set()
    record, _ = check(msgspec.json.encode(good), Invoice)
    assert record.total_tax_amount == Decimal("0.1")
    assert wrong(good, issueDate=5, totalAmount=True, status=["x"]) == {"issueDate", "totalAmount", "status"}
    assert wrong(good, totalAmount=10**15, amountDue=-(10**400)) == {"totalAmount", "amountDue"}
    assert wrong(good, lineItems={}, customerRef=[], note=1) == {"lineItems", "customerRef", "note"}
    assert wrong(good, lineItems=[{"quantity": 1, "unitAmount": 2, "isDirectIncome": "yes"}]) == {
        "lineItems[0].isDirectIncome"
    }
    assert wrong(good, issueDate=None) == {"issueDate"}
    assert wrong([]) == {""}
    assert len(wrong(good, lineItems=[{"quantity": "x"}] * 1000)) == 50


def test_trees_end_at_a_type_within_itself() -> None:
    """A type that holds itself is described once."""
    tree = option_tree(TrackingCategoryTree)
    assert tree.properties is not None
    assert tree.properties["subCategories"].properties is None


async def test_what_is_too_large(api: Api) -> None:
    """A body or an address beyond all measure is refused, and so is a body that cannot be unpacked."""

    async def endless() -> Any:
        for _ in range(300):
            yield b" " * 65536

    status, _ = await api.send("POST", f"{api.push}/customers", data=endless())
    assert status == 413
    assert (await api.send("GET", "/" + "x" * 8001))[0] == 414
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    status, _ = await api.send("POST", f"{api.push}/customers", data=b"no gzip", headers=headers)
    assert status == 400


async def test_balances_follow_what_is_written() -> None:
    """A purchase paid on the spot lowers the balance of the account it was paid from."""
    async with (
        Sandbox(companies=1, size=20, push_delay=0, sync_delay=0) as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
    ):
        api = Api(sandbox, session)
        cost = (await api.get(f"{api.linked}/data/directCosts", orderBy="-totalAmount"))["results"][0]
        account = cost["paymentAllocations"][0]["payment"]["accountRef"]["id"]
        before = await api.get(f"{api.linked}/data/bankAccounts/{account}")
        entries = (await api.get(f"{api.data}/journalEntries"))["totalResults"]
        for name in ("id", "modifiedDate", "sourceModifiedDate"):
            cost.pop(name)
        _, operation = await api.send("POST", f"{api.push}/directCosts", json=cost)
        assert (await written(api, operation))["status"] == "Success"
        after = await api.get(f"{api.linked}/data/bankAccounts/{account}")
        assert after["balance"] != before["balance"]
        assert (await api.get(f"{api.data}/journalEntries"))["totalResults"] == entries + 1


async def test_a_tracking_category_comes_with_what_is_below_it() -> None:
    """Reading one category gives its tree, which the list does not."""
    async with (
        Sandbox(companies=1, size=20) as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
    ):
        api = Api(sandbox, session)
        categories = (await api.get(f"{api.data}/trackingCategories"))["results"]
        parent = next(each for each in categories if each.get("hasChildren"))
        tree = await api.get(f"{api.data}/trackingCategories/{parent['id']}")
        below = {each["id"] for each in categories if each.get("parentId") == parent["id"]}
        assert {each["id"] for each in tree["subCategories"]} == below


def test_other_names_are_not_there() -> None:
    """The package offers its names, loaded late, and no others."""
    import codat_async.sandbox as package

    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
