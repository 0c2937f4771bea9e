"""Helpers for users' tests: records, answers, the stub transport, mocks, and aioresponses."""

import asyncio
import inspect
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import MagicMock, create_autospec

import msgspec
import pytest

from codat_async import Codat, Request, Response, RetryPolicy, codec, models
from codat_async.errors import BadRequest, ConnectionLost, EmptyList, NotFound, PushFailed
from codat_async.models import Invoice, PushOperationStatus
from codat_async.models.base import Model
from codat_async.resources import catalogue
from codat_async.testing import (
    StubTransport,
    UnexpectedRequest,
    error,
    json_response,
    make,
    mocked_responses,
    page,
    push_operation,
)

MODELS = [
    found
    for name in models.__all__
    if isinstance(found := getattr(models, name), type) and issubclass(found, Model)
]


def client(stub: StubTransport, **options: Any) -> Codat:
    """A client of a stub, whose retries do not wait."""
    return Codat("key", transport=stub, retry=RetryPolicy(waits=False), **options)


# --- records ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_can_be_made(model: type[Model]) -> None:
    """The record is valid: what is encoded from it is read as the same."""
    record = make(model)
    assert msgspec.json.decode(codec.encode(record), type=model, strict=False) == record


def test_values_of_a_record() -> None:
    """Values take the place of examples; what is not required stays absent."""
    invoice = make(Invoice, id="7", total_amount=Decimal("1.10"))
    assert (invoice.id, invoice.total_amount, invoice.note) == ("7", Decimal("1.10"), None)
    assert invoice.issue_date == datetime(2026, 1, 31, tzinfo=UTC)
    with pytest.raises(TypeError, match="totalAmount"):
        make(Invoice, totalAmount=Decimal(1))


# --- the transport ----------------------------------------------------------------------------------


async def test_list_is_sent_in_pages() -> None:
    """The records are sent in pages of the size that is asked for, and the requests are kept."""
    stub = StubTransport()
    stub.answer("invoices.list", [make(Invoice, id=str(number)) for number in range(5)])
    async with client(stub) as codat:
        pager = codat.invoices.list("c", page_size=2, query="status=Paid")
        assert [invoice.id async for invoice in pager] == ["0", "1", "2", "3", "4"]
        assert pager.total == 5
        first = await pager.first()
    assert first is not None
    assert [dict(request.query)["page"] for request in stub.requests] == ["1", "2", "3", "1"]
    assert {request.company_id for request in stub.requests} == {"c"}
    assert stub.requests[0].headers["Authorization"] == "Basic a2V5"


async def test_answers_in_turn() -> None:
    """Errors and records follow each other, and the last answer is repeated."""
    stub = StubTransport()
    lost = ConnectionLost("gone", method="GET", path="/", sent=True)
    stub.answer("accounts.get", error(503), lost, make(models.Account, id="a"), error(404, "no such account"))
    async with client(stub) as codat:
        assert (await codat.accounts.get("c", "a")).id == "a"
        for _ in range(2):
            with pytest.raises(NotFound, match="no such account"):
                await codat.accounts.get("c", "a")
    assert [request.attempt for request in stub.requests] == [1, 2, 3, 1, 1]


async def test_functions_as_answers() -> None:
    """A function answers by what was asked; an async one can wait for the test."""

    def by_id(request: Request) -> object:
        return make(models.Account, id=request.path.rsplit("/", 1)[1])

    async def rejected(request: Request) -> Response:
        await asyncio.sleep(0)
        return error(400, "malformed")

    stub = StubTransport()
    stub.answer("accounts.get", by_id)
    stub.answer("bills.get", rejected)
    async with client(stub) as codat:
        assert (await codat.accounts.get("c", "b")).id == "b"
        with pytest.raises(BadRequest, match="malformed"):
            await codat.bills.get("c", "b")


async def test_writes_and_files() -> None:
    """Push operations are answers to writes; bytes are the content of a download."""
    stub = StubTransport()
    stub.answer("customers.create", push_operation(status=PushOperationStatus.PENDING))
    stub.answer("push_operations.get", push_operation("c-1"))
    stub.answer("invoices.download_pdf", b"%PDF")
    stub.answer(
        "bills.create", push_operation(status=PushOperationStatus.FAILED, error_message="no currency")
    )
    async with client(stub) as codat:
        operation = await codat.customers.create("c", "n", make(models.Customer))
        assert (await codat.push_operations.wait(operation)).record_id == "c-1"
        async with codat.invoices.download_pdf("c", "i") as download:
            assert (await download.read(), download.size) == (b"%PDF", 4)
        with pytest.raises(PushFailed, match="no currency"):
            await codat.push_operations.wait(await codat.bills.create("c", "n", make(models.Bill)))
    assert stub.requests[0].body == codec_body(make(models.Customer))


def codec_body(record: Model) -> object:
    """The body that is sent for a new record."""
    from codat_middleware import Body

    return Body(codec.encode(record, omit_read_only=True))


async def test_requests_of_your_own() -> None:
    """What is sent without a method is named by its method and path."""
    stub = StubTransport()
    stub.answer("GET /profile", {"name": "Bakery"})
    async with client(stub) as codat:
        response = await codat.send(Request(method="GET", path="/profile"))
        assert response.body == b'{"name":"Bakery"}'


async def test_mistakes_are_named() -> None:
    """An operation that does not exist, no answer, and a request without one."""
    stub = StubTransport()
    with pytest.raises(ValueError, match=r"no operation 'invoices.lst'"):
        stub.answer("invoices.lst", [])
    with pytest.raises(ValueError, match="at least one answer"):
        stub.answer("invoices.list")
    async with client(stub) as codat:
        with pytest.raises(UnexpectedRequest, match=r"GET /companies/c/data/bills/b: .*'bills.get'"):
            await codat.bills.get("c", "b")


def test_pages_and_responses() -> None:
    """One page of several, and a value of any kind."""
    second = page([{"id": "1"}, {"id": "2"}, {"id": "3"}], number=2, size=2)
    decoded = msgspec.json.decode(second.body)
    assert (decoded["results"], decoded["totalResults"]) == ([{"id": "3"}], 3)
    assert "next" not in decoded["_links"]
    assert json_response([1], 202, {"X-A": "b"}).headers["x-a"] == "b"


# --- mocks ------------------------------------------------------------------------------------------


async def test_mock_of_the_client() -> None:
    """create_autospec knows the names and arguments, what is awaited, and what is iterated."""
    codat = create_autospec(Codat, instance=True)
    assert hasattr(codat, "base_url")
    codat.bills.get.return_value = make(models.Bill, id="b")
    codat.invoices.list.return_value.__aiter__.return_value = [make(Invoice, id="i")]
    assert (await codat.bills.get("c", "b")).id == "b"
    assert [invoice.id async for invoice in codat.invoices.list("c")] == ["i"]
    assert await codat.push_operations.wait("c", "k") is not None
    codat.bills.get.assert_awaited_once_with("c", "b")
    for misspelt in (lambda: codat.bils, lambda: codat.bills.gte):
        with pytest.raises(AttributeError):
            misspelt()
    for wrong in (lambda: codat.bills.get("c"), lambda: codat.invoices.list()):
        with pytest.raises(TypeError, match="missing a required argument"):
            wrong()
    bill = make(models.Bill, id="b")
    for unknown in (
        lambda: codat.invoices.list("c", pagesize=7),
        lambda: codat.bills.create("c", "n", bill, allow_sync_on_push_complete=True),
    ):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            unknown()
    await codat.customers.create("c", "n", make(models.Customer), allow_sync_on_push_complete=True)


def test_mock_of_every_operation() -> None:
    """Each operation that is awaited gives something to await, and the others do not."""
    codat = create_autospec(Codat, instance=True)
    for operation in list(catalogue()):
        mock = getattr(getattr(codat, operation.resource), operation.name)
        arguments = inspect.signature(operation).parameters.values()
        given = [
            MagicMock()
            for each in arguments
            if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
        ]
        named = {
            each.name: MagicMock()
            for each in arguments
            if each.default is each.empty and each.kind is each.KEYWORD_ONLY
        }
        answer = mock(*given, **named)
        awaited = inspect.iscoroutinefunction(type(operation).__call__)
        assert inspect.iscoroutine(answer) == awaited, operation
        if awaited:
            answer.close()


# --- aioresponses -----------------------------------------------------------------------------------


async def test_aioresponses() -> None:
    """The library answers the requests of a client of this package."""
    with mocked_responses() as mocked:
        mocked.get(
            "https://api.codat.io/companies/c/data/accounts/a",
            body=codec.encode(make(models.Account, id="a")),
        )
        async with Codat("key") as codat:
            assert (await codat.accounts.get("c", "a")).id == "a"
    import aioresponses.core
    from aiohttp import ClientResponse

    assert aioresponses.core.ClientResponse is ClientResponse


def test_nothing_imports_it() -> None:
    """The module is imported only by those who ask for it."""
    names = "codat_async.client, codat_async.sync, codat_async.bulk, codat_async.sandbox.pytest_plugin"
    code = f"import sys, {names}; sys.exit('codat_async.testing' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- mistakes of the caller -------------------------------------------------------------------------


async def test_one_record() -> None:
    """one() returns the first record, and raises if there is none."""
    stub = StubTransport()
    stub.answer("companies.list", [make(models.Company, id="c")], [])
    async with client(stub) as codat:
        assert (await codat.companies.list().one()).id == "c"
        with pytest.raises(EmptyList, match=r"companies\.list has no record"):
            await codat.companies.list().one()


async def test_pager_that_is_awaited_or_iterated_without_async() -> None:
    """The error says what to write."""
    pager: Any = client(StubTransport()).companies.list()
    with pytest.raises(TypeError, match=r"async for record in companies\.list\(\.\.\.\)`, or .*collect\(\)"):
        await pager
    with pytest.raises(TypeError, match=r"companies\.list\(\) returns a pager: write `async for`"):
        list(pager)


async def test_misspelt_options() -> None:
    """The error names the operation and the nearest option."""
    codat: Any = client(StubTransport())
    with pytest.raises(TypeError, match=r"invoices\.list\(\) .* 'pagesize'; did you mean 'page_size'\?"):
        codat.invoices.list("c", pagesize=5)
    with pytest.raises(TypeError, match=r"invoices\.list\(\) .* 'zzz'; it has query, order_by"):
        codat.invoices.list("c", zzz=5)
    with pytest.raises(TypeError, match=r"bills\.create\(\) .* did you mean 'timeout_in_minutes'\?"):
        await codat.bills.create("c", "n", make(models.Bill), timeout_minutes=5)


def test_options_of_a_mock() -> None:
    """A mock of the client knows the options of lists and writes."""
    codat = create_autospec(Codat, instance=True)
    codat.invoices.list("c", page_size=5, deadline=2.0)
    with pytest.raises(TypeError, match="pagesize"):
        codat.invoices.list("c", pagesize=5)


def test_help_of_an_operation() -> None:
    """It has the arguments, what the resource is, and the path; and a resource says what it is."""
    codat = Codat("key")
    text = inspect.getdoc(codat.invoices.list) or ""
    assert "``invoices``: What customers were invoiced: owed to the company." in text
    assert "GET /companies/{companyId}/data/invoices" in text
    assert "page_size" in inspect.signature(codat.invoices.list).parameters
    assert codat.invoices.__doc__ == "What customers were invoiced: owed to the company."
