"""Operations: what a call sends, waiting for a write to end, and the catalogue."""

import json
import pickle
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from inspect import Parameter, signature
from pydoc import plain, render_doc
from typing import Any

import pytest

from codat_async import Codat, Pager, PushOperation, Request, Response, codec
from codat_async.codec import OnInvalid
from codat_async.errors import ConfigurationError, DecodingError, PushFailed, PushTimedOut
from codat_async.models import (
    Account,
    Attachment,
    BankAccount,
    Bill,
    BillPayment,
    Company,
    CompanyRequest,
    CompanySyncSettings,
    CompanyUpdateRequest,
    ConnectionRequest,
    ConnectionStatus,
    DataType,
    Invoice,
    ProductRefreshRequest,
    PushOperationStatus,
    UpdateConnectionStatus,
    ValidationItem,
    WebhookConsumer,
)
from codat_async.operations import (
    CompanyCall,
    CompanyList,
    ConnectionCall,
    RecordCall,
    Resource,
    calls,
    polling,
)
from codat_async.operations.base import Call
from codat_async.operations.files import UploadAttachment
from codat_async.operations.lists import ListOptions
from codat_async.operations.writes import Create, _Write
from codat_async.resources import Resources, catalogue, data_type_of
from codat_async.testing import InstantClock
from codat_middleware import Handler, Timeout

OPERATION = {
    "pushOperationKey": "k1",
    "companyId": "c",
    "dataConnectionKey": "n",
    "dataType": "chartOfAccounts",
    "status": "Pending",
    "statusCode": 202,
    "requestedOnUtc": "2022-10-23T00:00:00Z",
}


def state(status: str, **changes: Any) -> dict[str, Any]:
    """A push operation as the API sends it."""
    return {**OPERATION, "status": status, **changes}


class Api:
    """A middleware that answers from a list, the last answer over and over."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    async def __call__(self, request: Request, handler: Handler) -> Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Response(status=200, body=answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    @property
    def sent(self) -> Any:
        """The last body."""
        body = self.requests[-1].body
        assert body is not None
        assert isinstance(body.content, bytes)
        return json.loads(body.content)


def client(api: Api) -> Codat:
    """A client that ends in it."""
    return Codat(middleware=[api])


# --- what a call sends ----------------------------------------------------------------------------


async def test_request_knows_where_it_belongs() -> None:
    """A request names its operation, path template and company, for the middleware."""
    api = Api({"id": "a"})
    await client(api).accounts.get("the company", "a/b")
    (request,) = api.requests
    assert request.path == "/companies/the%20company/data/accounts/a%2Fb"
    assert (request.operation, request.company_id) == ("accounts.get", "the company")
    assert request.route == "/companies/{companyId}/data/accounts/{accountId}"
    assert (request.query, request.body, request.stream) == ((), None, False)


async def test_list_options() -> None:
    """The options of a list are sent under the API's names; those not given are not sent."""
    api = Api({"results": [], "pageNumber": 2, "totalResults": 0})
    codat = client(api)
    await codat.accounts.list("c", query="a=b && c>1", order_by="-name", page=2, page_size=7).collect()
    api.answers = [{"results": [], "pageNumber": 1, "totalResults": 0}]
    await codat.companies.list(tags="region=uk").collect()
    await codat.payments.list_by_link_type("c", "n", "Invoice").collect()
    assert [request.query for request in api.requests] == [
        (("page", "2"), ("pageSize", "7"), ("orderBy", "-name"), ("query", "a=b && c>1")),
        (("page", "1"), ("pageSize", "100"), ("tags", "region=uk")),
        (("page", "1"), ("pageSize", "100"), ("linkType", "Invoice")),
    ]


@pytest.mark.parametrize("wrong", [0, -1, float("nan")])
@pytest.mark.parametrize("option", ["timeout", "deadline"])
def test_times_that_make_no_sense(option: str, wrong: float) -> None:
    """A list checks its time-out and deadline when it is called, as with_options does."""
    with pytest.raises(ValueError, match="must be greater than 0"):
        client(Api({})).accounts.list("c", **{option: wrong})


def test_query_that_is_too_long() -> None:
    """A query beyond the API's limit raises before anything is sent."""
    with pytest.raises(ValueError, match="2048"):
        client(Api({})).accounts.list("c", query="x" * 2048)
    client(Api({})).accounts.list("c", query="x" * 2047)


def test_misspelt_option() -> None:
    """An option that no list has is a TypeError when the list is called, not when it is read."""
    wrong: Any = {"pagesize": 7}
    with pytest.raises(TypeError, match="pagesize"):
        client(Api({})).accounts.list("c", **wrong)


def test_operation_that_a_group_lacks() -> None:
    """An operation that a resource does not have is no attribute of it."""
    with pytest.raises(AttributeError):
        client(Api({})).sales_orders.create  # type: ignore[attr-defined]  # noqa: B018


async def test_create() -> None:
    """Read-only fields are left out, the time-out and the caller's key are sent; the answer is typed."""
    api = Api(state("Pending", data={"id": "new", "name": "Sales"}))
    account = Account(
        id="old", modified_date=datetime(2022, 1, 1), name="Sales", current_balance=Decimal("1.10")
    )
    operation = await client(api).accounts.create(
        "c", "n", account, timeout_in_minutes=5, idempotency_key="mine"
    )
    (request,) = api.requests
    assert (request.method, request.path) == ("POST", "/companies/c/connections/n/push/accounts")
    assert request.query == (("timeoutInMinutes", "5"),)
    assert request.headers["Idempotency-Key"] == "mine"
    assert api.sent == {"name": "Sales", "currentBalance": 1.10}
    assert isinstance(operation.data, Account)
    assert operation.status == PushOperationStatus.PENDING


async def test_update_and_delete() -> None:
    """An update sends the whole record with its id, and flags as true or false; a deletion has no body."""
    api = Api(state("Pending"))
    codat = client(api)
    await codat.bank_accounts.update(
        "c", "n", "b", BankAccount(id="b", account_name="Cash"), force_update=True
    )
    assert api.requests[-1].query == (("forceUpdate", "true"),)
    assert api.sent["id"] == "b"
    operation = await codat.bill_payments.delete("c", "n", "b")
    assert (api.requests[-1].method, api.requests[-1].body) == ("DELETE", None)
    typed: PushOperation[BillPayment] = operation
    assert typed.data is None


SYNCING = [
    ("accounts", "create"), ("suppliers", "create"), ("customers", "create"), ("direct_costs", "create"),
    ("payments", "create"), ("transfers", "create"), ("bank_accounts", "create"), ("journals", "create"),
    ("bank_account_transactions", "create"), ("journal_entries", "create"), ("customers", "update"),
    ("suppliers", "update"), ("journal_entries", "delete"),
]  # fmt: skip
"""Writes that take allowSyncOnPushComplete, by Codat's documents of 2026."""


def test_writes_that_take_a_sync() -> None:
    """allow_sync_on_push_complete is taken where Codat documents it, and nowhere else."""
    found = [
        (operation.resource, operation.name)
        for operation in catalogue()
        if "allow_sync_on_push_complete" in signature(operation).parameters
    ]
    assert sorted(found) == sorted(SYNCING)


@pytest.mark.parametrize(("resource", "name"), SYNCING)
async def test_options_of_a_write_are_sent_only_if_given(resource: str, name: str) -> None:
    """Without options there is no query, except for forceUpdate; with them, each is sent."""
    api = Api(state("Pending"))
    call = getattr(getattr(client(api), resource), name)
    ids = ["c", "n", "r"] if name != "create" or resource == "bank_account_transactions" else ["c", "n"]
    body: list[Any] = [] if name == "delete" else [{}]
    await call(*ids, *body)
    forced = {"forceUpdate": "false"} if name == "update" else {}
    assert dict(api.requests[-1].query) == forced
    await call(*ids, *body, allow_sync_on_push_complete=False, timeout_in_minutes=5)
    assert dict(api.requests[-1].query) == {
        "allowSyncOnPushComplete": "false", "timeoutInMinutes": "5", **forced
    }  # fmt: skip


async def test_deleting_an_attachment() -> None:
    """A file of a bill is deleted by its id, as a write."""
    api = Api(state("Pending", dataType="bills"))
    operation = await client(api).bills.delete_attachment("c", "n", "b", "a/1")
    (request,) = api.requests
    assert (request.method, request.body) == ("DELETE", None)
    assert request.path == "/companies/c/connections/n/push/bills/b/attachments/a%2F1"
    assert operation.status == PushOperationStatus.PENDING


async def test_validation_results() -> None:
    """The quality of synced data is read by the id of the sync."""
    item = {"ruleId": "r", "itemId": "i", "message": "m", "validatorName": "v"}
    api = Api({"errors": [item], "warnings": []})
    found = await client(api).read_data.get_validation_results("c", "d")
    assert api.requests[0].path == "/companies/c/sync/d/validation"
    assert found.errors == [ValidationItem(rule_id="r", item_id="i", message="m", validator_name="v")]


async def test_dates_in_reports() -> None:
    """Dates are sent in the API's format."""
    api = Api({"data": []}, {"currency": "GBP", "reports": []})
    codat = client(api)
    await codat.reports.get_aged_debtors_report("c", report_date=date(2022, 10, 23), number_of_periods=3)
    assert api.requests[-1].query == (("numberOfPeriods", "3"), ("reportDate", "2022-10-23"))
    await codat.reports.get_balance_sheet(
        "c", period_length=1, periods_to_compare=2, start_month="2022-10-01"
    )
    assert ("startMonth", "2022-10-01") in api.requests[-1].query
    await codat.reports.get_balance_sheet(
        "c", period_length=1, periods_to_compare=2, start_month=datetime(2022, 10, 1, 12)
    )
    assert ("startMonth", "2022-10-01T12:00:00") in api.requests[-1].query


async def test_attachments() -> None:
    """The attachments of a record are a list, which is empty if there are none."""
    api = Api({"attachments": [{"id": "a", "fileSize": 3}]}, {}, {"id": "a", "name": "x.pdf"})
    codat = client(api)
    (attachment,) = await codat.bills.list_attachments("c", "n", "b")
    assert (attachment.id, attachment.file_size) == ("a", 3)
    assert await codat.bills.list_attachments("c", "n", "b") == []
    single = await codat.direct_incomes.get_attachment("c", "n", "d", "a", timeout_in_minutes=2)
    assert isinstance(single, Attachment)
    assert api.requests[-1].query == (("timeoutInMinutes", "2"),)


async def test_upload_answers() -> None:
    """The answer to an upload is empty or a push operation."""
    api = Api(b"", state("Success"))
    codat = client(api)
    assert await codat.bills.upload_attachment("c", "n", "b", b"x", name="x.pdf") is None
    operation = await codat.bills.upload_attachment("c", "n", "b", b"x", name="x.pdf", idempotency_key="mine")
    assert operation is not None
    assert operation.status == PushOperationStatus.SUCCESS
    assert api.requests[-1].headers == {"Idempotency-Key": "mine"}


async def test_platform_operations() -> None:
    """Changes to companies and connections send their bodies; without an answer the result is None."""
    company = {"id": "c", "name": "Acme", "redirect": "https://x"}
    api = Api(company, b"")
    codat = client(api)
    updated = await codat.companies.update("c", CompanyUpdateRequest(name="Acme"))
    assert isinstance(updated, Company)
    assert (api.requests[-1].method, api.sent) == ("PATCH", {"name": "Acme"})
    assert await codat.companies.delete("c") is None
    assert await codat.refresh_data.all("c") is None
    assert api.requests[-1].path == "/companies/c/data/all"
    body = UpdateConnectionStatus(status=ConnectionStatus.UNLINKED)
    api.answers = [
        {
            "id": "n", "integrationId": "i", "platformName": "p", "sourceId": "s", "sourceType": "Accounting",
            "linkUrl": "l", "status": "Unlinked", "created": "2022-10-23T00:00:00Z",
        }
    ]  # fmt: skip
    connection = await codat.connections.unlink("c", "n", body)
    assert connection.status == ConnectionStatus.UNLINKED


COMPANY = {"id": "c", "name": "Acme", "redirect": "https://x", "dataConnections": []}
CONNECTION = {
    "id": "n", "integrationId": "i", "platformName": "p", "sourceId": "s", "sourceType": "Accounting",
    "linkUrl": "l", "status": "Linked", "created": "2022-10-23T00:00:00Z",
}  # fmt: skip
PULL = {
    "id": "d", "companyId": "c", "connectionId": "n", "dataType": "bills", "status": "Queued", "progress": 0,
    "requested": "2022-10-23T00:00:00Z", "isCompleted": False, "isErrored": False,
}  # fmt: skip
TOKEN = {"accessToken": "t", "expiresIn": 3600, "tokenType": "Bearer"}
CONSUMER = {"id": "w", "url": "https://a.example", "disabled": False, "eventTypes": ["read.completed"]}
OPTION = {"type": "Object", "displayName": "Bill", "required": True}

PLATFORM: list[tuple[Callable[[Codat], Awaitable[Any]], str, str, Any]] = [
    (lambda c: c.companies.create(CompanyRequest(name="A")), "POST", "/companies", COMPANY),
    (lambda c: c.companies.get("c"), "GET", "/companies/c", COMPANY),
    (lambda c: c.companies.replace("c", CompanyRequest(name="A")), "PUT", "/companies/c", COMPANY),
    (lambda c: c.companies.delete("c"), "DELETE", "/companies/c", None),
    (lambda c: c.companies.add_product("c", "p"), "PUT", "/companies/c/products/p", None),
    (lambda c: c.companies.remove_product("c", "p"), "DELETE", "/companies/c/products/p", None),
    (
        lambda c: c.companies.refresh_product_data("c", "p", ProductRefreshRequest(data_types=["bills"])),
        "POST", "/companies/c/products/p/refresh", None,
    ),
    (lambda c: c.companies.get_access_token("c"), "GET", "/companies/c/accessToken", TOKEN),
    (lambda c: c.companies.get_sync_settings("c"), "GET", "/companies/c/syncSettings", {"settings": []}),
    (
        lambda c: c.companies.set_sync_settings("c", CompanySyncSettings(overrides_defaults=True)),
        "POST", "/companies/c/syncSettings", None,
    ),
    (
        lambda c: c.connections.create("c", ConnectionRequest(platform_key="abcd")),
        "POST", "/companies/c/connections", CONNECTION,
    ),
    (lambda c: c.connections.get("c", "n"), "GET", "/companies/c/connections/n", CONNECTION),
    (lambda c: c.connections.delete("c", "n"), "DELETE", "/companies/c/connections/n", None),
    (
        lambda c: c.connections.update_authorization("c", "n", {"token": "x"}),
        "PUT", "/companies/c/connections/n/authorization", CONNECTION,
    ),
    (lambda c: c.refresh_data.by_data_type("c", "bills"), "POST", "/companies/c/data/queue/bills", PULL),
    (lambda c: c.refresh_data.get("c"), "GET", "/companies/c/dataStatus", {}),
    (lambda c: c.refresh_data.get_pull_operation("c", "d"), "GET", "/companies/c/data/history/d", PULL),
    (
        lambda c: c.push_operations.get_model_options("c", "n", "bills"),
        "GET", "/companies/c/connections/n/options/bills", OPTION,
    ),
    (
        lambda c: c.bank_account_transactions.get_create_model("c", "n", "a"),
        "GET", "/companies/c/connections/n/options/bankAccounts/a/bankTransactions", OPTION,
    ),
    (lambda c: c.company_info.get("c"), "GET", "/companies/c/data/info", {"companyName": "Acme"}),
    (lambda c: c.webhooks.list_consumers(), "GET", "/webhooks", {"results": [CONSUMER]}),
    (
        lambda c: c.webhooks.create_consumer(WebhookConsumer(url="https://a.example")),
        "POST", "/webhooks", CONSUMER,
    ),
    (lambda c: c.webhooks.delete_consumer("w"), "DELETE", "/webhooks/w", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "method", "path", "answer"), PLATFORM, ids=[row[1] + row[2] for row in PLATFORM]
)
async def test_paths_of_platform_calls(
    call: Callable[[Codat], Awaitable[Any]], method: str, path: str, answer: Any
) -> None:
    """Each has its method and path, and returns the decoded answer or None."""
    api = Api(b"" if answer is None else answer)
    read = await call(client(api))
    (request,) = api.requests
    assert (request.method, request.path) == (method, path)
    # Requests wait for each other by company.
    assert request.company_id == ("c" if path.startswith("/companies/") else None)
    if answer is None:
        assert read is None
    else:
        assert json.loads(codec.encode(read)) == answer


async def test_refresh_of_one_connection() -> None:
    """A refresh can be limited to one connection."""
    api = Api(PULL)
    await client(api).refresh_data.by_data_type("c", "bills", connection_id="n")
    assert api.requests[0].query == (("connectionId", "n"),)


# --- waiting for a write ----------------------------------------------------------------------------


class SleepingClock(InstantClock):
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return 1000.0 + sum(self.sleeps)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept between polls, by a clock that moves only so."""
    clock = SleepingClock()
    monkeypatch.setattr(polling, "clock", clock)
    return clock.sleeps


async def test_waiting_for_success(naps: list[float]) -> None:
    """wait() polls at growing intervals until the end, and keeps the type of the record."""
    pending = state("Pending")
    api = Api(pending, pending, pending, state("Success", data={"id": "new"}))
    codat = client(api)
    operation = await codat.accounts.create("c", "n", Account(name="Sales"))
    done = await codat.push_operations.wait(operation)
    assert done.status == PushOperationStatus.SUCCESS
    assert isinstance(done.data, Account)
    assert done.data.id == "new"
    assert naps == [1.0, 1.5, 2.25]
    assert {request.path for request in api.requests[1:]} == {"/companies/c/push/k1"}


@pytest.mark.parametrize("change", [{"pushOperationKey": ""}, {"companyId": ""}])
async def test_waiting_for_what_cannot_be_read(change: dict[str, str]) -> None:
    """An operation without a key or a company is the server's fault, and no wrong argument."""
    codat = client(Api({**state("Pending"), **change}))
    operation = await codat.accounts.create("c", "n", Account())
    with pytest.raises(DecodingError, match="has no company or no key"):
        await codat.push_operations.wait(operation)


async def test_intervals_stop_growing(naps: list[float]) -> None:
    """A long wait polls at a steady pace, and ends by its time-out, with the last state in hand."""
    api = Api(state("Pending"))
    codat = client(api)
    operation = await codat.accounts.create("c", "n", Account())
    with pytest.raises(PushTimedOut, match="push operation k1: still Pending after 120 s") as caught:
        await codat.push_operations.wait(operation, timeout=120)
    assert max(naps) == 15.0
    assert sum(naps) == pytest.approx(120)
    assert caught.value.operation.status == PushOperationStatus.PENDING


async def test_what_has_ended_is_not_asked_for(naps: list[float]) -> None:
    """An operation that came back ended needs no request."""
    api = Api(state("Success"))
    codat = client(api)
    operation = await codat.accounts.create("c", "n", Account())
    assert await codat.push_operations.wait(operation, timeout=0) is operation
    assert (len(api.requests), naps) == (1, [])


async def test_failure_has_its_reason(naps: list[float]) -> None:
    """A failed write raises with the platform's message and the validation."""
    failed = state(
        "Failed",
        errorMessage="Refused",
        validation={"errors": [{"itemId": "name", "message": "is taken"}, {"message": "and more"}]},
    )
    codat = client(Api(state("Pending"), failed))
    operation = await codat.accounts.create("c", "n", Account())
    with pytest.raises(PushFailed, match="k1: Refused; name: is taken; record: and more") as caught:
        await codat.push_operations.wait(operation)
    assert caught.value.validation is not None


async def test_failure_without_a_reason(naps: list[float]) -> None:
    """The error has a message even if the platform sent none."""
    with pytest.raises(PushFailed, match="without giving a reason"):
        await client(Api(state("Failed"))).push_operations.wait("c", "k1")


async def test_platform_that_times_out(naps: list[float]) -> None:
    """TimedOut is a final state with an error of its own."""
    with pytest.raises(PushTimedOut, match="timed out"):
        await client(Api(state("TimedOut"))).push_operations.wait("c", "k1", timeout=None)


async def test_status_that_is_not_known_is_not_an_end(naps: list[float]) -> None:
    """An unknown state counts as pending, not as success."""
    api = Api(state("Reviewing"), state("Reviewing"), state("Success"))
    done = await client(api).push_operations.wait("c", "k1", timeout=None)
    assert done.status == PushOperationStatus.SUCCESS
    assert len(naps) == 2


async def test_picking_up_by_id(naps: list[float]) -> None:
    """wait() takes a company and a key; a record is decoded by its data type, or plain if that is unknown."""
    api = Api(state("Pending"), state("Success", data={"id": "j", "brandNew": 1.10}))
    typed = await client(api).push_operations.wait("c", "k1")
    assert isinstance(typed.data, Account)
    assert bytes((typed.data.unknown_fields or {})["brandNew"]) == b"1.1"
    api = Api(state("Success", dataType="later", data={"id": "j", "brandNew": 1.10}))
    plain = await client(api).push_operations.wait("c", "k1")
    assert plain.data == {"id": "j", "brandNew": Decimal("1.10")}


async def test_one_id_without_the_other() -> None:
    """wait() with a single string raises."""
    lonely: Any = "k1"
    with pytest.raises(TypeError, match="company id"):
        await client(Api(state("Success"))).push_operations.wait(lonely)


async def test_deletion_keeps_its_type(naps: list[float]) -> None:
    """A write whose answer has no record is typed by its data type."""
    pending, done = (state(status, dataType="billPayments") for status in ("Pending", "Success"))
    api = Api(pending, {**done, "data": {"id": "p", "date": "2022-10-23"}})
    codat = client(api)
    ended = await codat.push_operations.wait(await codat.bill_payments.delete("c", "n", "p"))
    assert isinstance(ended.data, BillPayment)


async def test_record_that_no_longer_fits(naps: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """The outcome of a write is returned even if its record does not fit; the record is kept raw."""
    caplog.set_level("INFO", "codat_async.operations.writes")
    pending, done = (state(status, dataType="billPayments") for status in ("Pending", "Success"))
    codat = client(Api(pending, {**done, "data": {"id": "p", "odd": 1.50}}))
    ended = await codat.push_operations.wait(await codat.bill_payments.delete("c", "n", "p"))
    assert (ended.status, ended.data) == (PushOperationStatus.SUCCESS, None)
    assert ended.unknown_fields is not None
    assert json.loads(bytes(ended.unknown_fields["data"])) == {"id": "p", "odd": 1.5}
    assert "does not fit" in caplog.text


UPLOADED = {"id": "a", "name": "scan.pdf", "contentType": "application/pdf", "fileSize": 3}


@pytest.mark.parametrize("from_history", [False, True])
async def test_upload_ends_as_an_attachment(
    naps: list[float], caplog: pytest.LogCaptureFixture, from_history: bool
) -> None:
    """An upload has the data type of its record; ``changes`` shows that it is an attachment."""
    pending, done = (state(status, dataType="bills") for status in ("Pending", "Success"))
    changes = [{"type": "AttachmentUploaded", "attachmentId": "a", "recordRef": {"id": "b"}}]
    # Some platforms show the file while it is pending, before they list the changes.
    api = Api(pending, {**pending, "data": UPLOADED}, {**done, "data": UPLOADED, "changes": changes})
    codat = client(api)
    if from_history:
        api.answers.insert(0, {"results": [api.answers.pop(0)], "pageNumber": 1, "totalResults": 1})
        operation: Any = await codat.push_operations.list("c").first()
    else:
        operation = await codat.bills.upload_attachment("c", "n", "b", b"x", name="scan.pdf")
    ended = await codat.push_operations.wait(operation)
    assert ended.data == Attachment(id="a", name="scan.pdf", content_type="application/pdf", file_size=3)
    assert caplog.text == ""


async def test_upload_without_changes(naps: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """Without ``changes`` an attachment is taken for a record that does not fit: kept raw, no warning."""
    pending, done = (state(status, dataType="bills") for status in ("Pending", "Success"))
    codat = client(Api(pending, {**done, "data": UPLOADED}))
    operation = await codat.bills.upload_attachment("c", "n", "b", b"x", name="scan.pdf")
    assert operation is not None
    ended = await codat.push_operations.wait(operation)
    assert (ended.status, ended.data) == (PushOperationStatus.SUCCESS, None)
    assert json.loads(bytes((ended.unknown_fields or {})["data"])) == UPLOADED
    assert caplog.text == ""


async def test_reference_of_the_record(naps: list[float]) -> None:
    """After a success without data, the reference and id of what was written are in the changes."""
    changes = [{"type": "Created"}, {"type": "Created", "recordRef": {"dataType": "accounts", "id": "a"}}]
    api = Api(state("Pending"), state("Success", changes=changes))
    codat = client(api)
    operation = await codat.accounts.create("c", "n", Account(name="Sales"))
    with pytest.raises(LookupError, match=r"k1 \(Pending\) names no record; wait for it"):
        _ = operation.record_ref
    done = await codat.push_operations.wait(operation)
    assert (done.data, done.record_ref.id, done.record_id) == (None, "a", "a")


@pytest.mark.parametrize("changes", [None, [], [{"type": "Deleted"}], [{"recordRef": {"dataType": "bills"}}]])
async def test_success_without_a_reference(changes: Any) -> None:
    """A deletion may name no record: its reference raises, and is not None."""
    api = Api(state("Success", changes=changes))
    done = await client(api).bills.delete("c", "n", "b")
    with pytest.raises(LookupError, match=r"k1 \(Success\) names no record$"):
        _ = done.record_id


async def test_push_operations_through_pickle() -> None:
    """A push operation can be pickled, unknown fields included."""
    operation = await client(Api(state("Pending", data={"id": "a", "later": 1}))).accounts.create(
        "c", "n", Account()
    )
    copied = pickle.loads(pickle.dumps(operation))
    assert copied.push_operation_key == "k1"
    assert isinstance(copied.data, Account)
    assert copied.data_type == DataType.CHART_OF_ACCOUNTS
    assert copied.requested_on_utc == datetime(2022, 10, 23, tzinfo=UTC)
    assert bytes(copied.data.unknown_fields["later"]) == b"1"


# --- the catalogue ----------------------------------------------------------------------------------


def test_operations_that_start_a_push() -> None:
    """The retry middleware knows them by their path; all writes to the accounting software are such."""
    for operation in catalogue():
        request = Request(method=operation.method, path=operation.path)
        assert request.starts_push == isinstance(operation, _Write | UploadAttachment), operation


def test_catalogue() -> None:
    """Each operation is declared once, with a path from the root, and can be found by its name."""
    operations = list(catalogue())
    assert len({(operation.method, operation.path, operation.name) for operation in operations}) == len(
        operations
    )
    for operation in operations:
        assert operation.path.startswith(("/companies", "/webhooks"))
        assert operation.method in {"GET", "POST", "PUT", "PATCH", "DELETE"}
        resource = vars(Resources)[operation.resource].kind
        assert getattr(resource, operation.name) is operation


def test_data_types_of_resources() -> None:
    """Each resource with a list has a known data type; three do not have the resource's own name."""
    listed = {operation.resource for operation in catalogue() if "/data/" in operation.path}
    known = {name: data_type_of(name) for name in listed - {"refresh_data", "reports"}}
    assert [name for name, data_type in known.items() if not data_type.is_known] == []
    assert known["accounts"] == DataType.CHART_OF_ACCOUNTS
    assert known["bank_account_transactions"] == DataType.BANK_TRANSACTIONS
    assert known["company_info"] == DataType.COMPANY
    assert known["direct_costs"] == DataType.DIRECT_COSTS


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        (CompanyCall, "/lending/companies/{companyId}/loans/{loanId}", "{companyId}"),
        (CompanyCall, "/lending/companies/{companyID}/loans", "{companyId}"),
        (CompanyCall, "/loans/{companyId", "{companyId}"),
        (RecordCall, "/lending/companies/{companyId}/loans", "{companyId}{…}"),
        (RecordCall, "/lending/companies/{companyId}/loans/{companyId}", "{companyId}{…}"),
        (RecordCall, "/lending/{loanId}/companies/{companyId}", "{companyId}{…}"),
        (ConnectionCall, "/lending/companies/{companyId}/loans", "{companyId}{connectionId}"),
        (ConnectionCall, "/x/{connectionId}/y/{companyId}", "{companyId}{connectionId}"),
        (CompanyList, "/data/{connectionId}/x", "{companyId}"),
        (calls.AccountCall, "/webhooks/{webhookId}", "none"),
        (calls.AccountRecordCall, "/webhooks", "{…}"),
    ],
)
def test_placeholders_that_a_call_does_not_fill_in(
    kind: Callable[[Any, str], object], path: str, expected: str
) -> None:
    """Each id of a call has one placeholder, the company's first; otherwise the declaration raises."""
    with pytest.raises(ConfigurationError, match=re.escape(path) + r".* must be, each once, ") as raised:
        kind(Account, path)
    assert str(raised.value).endswith(f" {expected}")


async def test_a_call_of_your_own_has_the_ids_of_its_signature() -> None:
    """A class of operations that a user writes needs nothing but its call."""

    class Loan(Call[Account], base="/companies/{companyId}"):
        """A loan."""

        async def __call__(self, company_id: str, loan_id: str, /, *, language: str) -> Account:
            """Read it."""
            return await self._answer((company_id, loan_id), {"language": language})

    class Loans(Resource):
        """Loans."""

        get = Loan(Account, "/loans/100%/{loanId}")

    api = Api({"id": "a"})
    await Loans(client(api)).get("c", "l", language="en")
    assert api.requests[0].path == "/companies/c/loans/100%/l"
    with pytest.raises(ConfigurationError, match=r"\{companyId\}\{…\}"):
        Loan(Account, "/loans")


async def test_an_operation_outside_the_catalogue_changes_nothing(naps: list[float]) -> None:
    """A Create of one's own for the path of invoices does not change how invoices are decoded."""
    Create(Bill, "/push/invoices")
    invoice = {
        "id": "i", "issueDate": "2022-10-23T00:00:00Z", "status": "Paid", "totalAmount": 1.5, "amountDue": 0,
        "totalTaxAmount": 0, "currency": "GBP",
    }  # fmt: skip
    pending, done = (state(status, dataType="invoices") for status in ("Pending", "Success"))
    codat = client(Api(pending, {**done, "data": invoice}))
    ended = await codat.push_operations.wait(await codat.invoices.delete("c", "n", "i"))
    assert isinstance(ended.data, Invoice)


def test_signatures() -> None:
    """The signature of an operation lists its options and has the declared models."""
    codat = client(Api({}))
    assert signature(codat.accounts.list) == signature(listing)
    assert signature(codat.accounts.create) == signature(creating)
    assert signature(codat.connections.unlink).parameters["body"].annotation is UpdateConnectionStatus
    for operation in catalogue():
        bound = getattr(getattr(codat, operation.resource), operation.name)
        assert signature(bound) == signature(operation)
        assert "~" not in str(signature(bound)), operation
        assert Parameter.VAR_KEYWORD not in {each.kind for each in signature(bound).parameters.values()}, (
            operation
        )


def listing(
    company_id: str,
    *,
    query: str | None = None,
    order_by: str | None = None,
    page: int = 1,
    page_size: int = 100,
    limit: int | None = None,
    prefetch: int = 0,
    timeout: Timeout | float | None = None,
    deadline: float | None = None,
    on_invalid: OnInvalid = "raise",
) -> Pager[Account]:
    """A list as it is called."""
    raise NotImplementedError


async def creating(
    company_id: str,
    connection_id: str,
    body: Account,
    *,
    allow_sync_on_push_complete: bool | None = None,
    timeout_in_minutes: int | None = None,
    idempotency_key: str | None = None,
) -> PushOperation[Account]:
    """A creation as it is called."""
    raise NotImplementedError


def help_text(thing: object) -> str:
    """What help() shows, without line breaks and margins: Python 3.13 breaks long signatures."""
    return re.sub(r"[\s|]+", " ", plain(render_doc(thing))).replace("( ", "(").replace(", )", ")")


def test_operations_have_help() -> None:
    """help() shows the signature, the purpose, the path, and the options of a list."""
    codat = client(Api({}))
    text = help_text(codat.bills.list)
    assert re.search(r" list\(company_id: str, \*, query: [^()]*\) -> \S*Pager\[\S*Bill\] ", text)
    assert "A list of a company's records, as a pager." in text
    assert "GET /companies/{companyId}/data/bills" in text
    for option in ListOptions.__annotations__:
        assert f"``{option}``" in text
    text = help_text(codat.bills)
    assert "upload_attachment(company_id: str, connection_id: str, record_id: str, file: " in text
    assert "Send a file without holding it in memory." in text
    # A class of operations keeps its own docstring.
    assert CompanyList.__doc__ == "A list of a company's records, as a pager."
    assert list(signature(CompanyList).parameters) == ["model", "path", "method"]


async def test_catalogue_is_bound_once() -> None:
    """A resource and an operation are created when first used, and are the same from then on."""
    codat = client(Api({}))
    assert codat.bills is codat.bills
    assert codat.bills.get is codat.bills.get
    assert client(Api({})).bills is not codat.bills


async def test_reading_ahead_by_a_list() -> None:
    """A list passes its options on to its pager."""

    async def pages(request: Request, handler: Handler) -> Response:
        number = int(dict(request.query)["page"])
        links = {"next": {"href": f"?page={number + 1}"}} if number < 3 else {}
        answer = {
            "results": [{"id": str(number)}], "pageNumber": number, "pageSize": 1,
            "totalResults": 3, "_links": links,
        }  # fmt: skip
        return Response(status=200, body=json.dumps(answer).encode())

    async def read() -> AsyncIterator[str | None]:
        async for account in Codat(middleware=[pages]).accounts.list("c", page_size=1, prefetch=2, limit=2):
            yield account.id

    assert [identifier async for identifier in read()] == ["1", "2"]


async def test_unknown_options_are_rejected() -> None:
    """A write that is called with an option that its endpoint does not take sends nothing, as a list."""
    api = Api({})
    codat: Any = client(api)
    with pytest.raises(TypeError, match=r"bills\.create\(\) .*'allow_sync_on_push_complete'"):
        await codat.bills.create("c", "n", None, allow_sync_on_push_complete=True)
    with pytest.raises(TypeError, match="'sort'"):
        codat.bills.list("c", sort="id")
    with pytest.raises(TypeError, match=r"reports\.get_aged_debtors_report\(\) .*did you mean 'report_date'"):
        await codat.reports.get_aged_debtors_report("c", report_dat=date(2022, 10, 23))
    with pytest.raises(TypeError, match=r"bills\.upload_attachment\(\) .*'names'"):
        await codat.bills.upload_attachment("c", "n", "b", b"x", names="x.pdf")
    with pytest.raises(TypeError, match=r"bills\.get_attachment\(\) .*'timeout_in_minutes'; it has none"):
        await codat.bills.get_attachment("c", "n", "b", "a", timeout_in_minutes=5)
    assert api.requests == []
