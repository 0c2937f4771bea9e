"""The models against the published SDK, whose types are the oracle here; and what enumerations promise."""

import copy
import json
import pickle
import types
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
import pytest
from msgspec.structs import FieldInfo, fields

from codat_async import codec, models
from codat_async.errors import InvalidRecord
from codat_async.models.base import Model, OpenEnum

STRUCTS: list[type[Model]] = [
    held
    for name in models.__all__
    if isinstance(held := getattr(models, name), type) and issubclass(held, Model)
]
ENUMS: list[type[OpenEnum]] = [
    held
    for name in models.__all__
    if isinstance(held := getattr(models, name), type) and issubclass(held, OpenEnum) and held is not OpenEnum
]

# --- the oracle --------------------------------------------------------------------------

PUSHED = [
    "Account", "BankAccount", "BillCreditNote", "BillPayment", "Bill", "CreditNote", "Customer",
    "DirectCost", "DirectIncome", "Invoice", "Item", "JournalEntry", "Journal", "Payment", "PurchaseOrder",
    "Supplier", "Transfer",
]  # fmt: skip
UPDATED = [
    "BankAccount",
    "BillCreditNote",
    "Bill",
    "CreditNote",
    "Customer",
    "Invoice",
    "PurchaseOrder",
    "Supplier",
]

LISTED = {
    "AccountTransactions": "AccountTransaction", "Accounts": "Account", "BankAccounts": "BankAccount",
    "BankTransactions": "BankTransaction", "BillCreditNotes": "BillCreditNote",
    "BillPayments": "BillPayment", "Bills": "Bill", "CreditNotes": "CreditNote", "Customers": "Customer",
    "DirectCosts": "DirectCost", "DirectIncomes": "DirectIncome", "Invoices": "Invoice",
    "ItemReceipts": "ItemReceipt", "SchemaItems": "Item", "JournalEntries": "JournalEntry",
    "Journals": "Journal", "PaymentMethods": "PaymentMethod", "Payments": "Payment",
    "PurchaseOrders": "PurchaseOrder", "SalesOrders": "SalesOrder", "Suppliers": "Supplier",
    "TaxRates": "TaxRate", "TrackingCategories": "TrackingCategory", "Transfers": "Transfer",
    "Companies": "Company", "Connections": "Connection", "PullOperations": "PullOperation",
}  # fmt: skip

RENAMED = {
    # Twins of one record: as it is read, as it is sent, as a write answers it.
    "AccountPrototype": "Account",
    "DirectCostPrototype": "DirectCost",
    "JournalPrototype": "Journal",
    "AccountingBankAccountTransaction": "BankTransaction",
    "AccountingCreateBankAccountTransactions": "CreateBankTransactions",
    # Parts.
    "AccountingAddress": "Address",
    "Items": "Address",
    "PhoneNumberItems": "Phone",
    "AccountingCustomerRef": "CustomerRef",
    "BankAccountRef": "AccountRef",
    "ContactReference": "ContactRef",
    "AccountTransactionLineRecordRef": "RecordReference",
    "InvoiceTo": "RecordReference",
    "JournalEntryRecordRef": "RecordReference",
    "PushOperationRef": "RecordReference",
    "SalesOrderRef": "RecordReference",
    "TrackingRecordRef": "RecordReference",
    "Zero": "RecordLineReference",
    "BillItem": "ItemPrice",
    "InvoiceItem": "ItemPrice",
    "CreatePurchaseOrderResponseUser": "User",
    "UpdatePurchaseOrderResponseUser": "User",
    "SalesOrderShipTo": "ShipTo",
    "SalesOrderContact": "ShipToContact",
    "AccountingAgedCurrencyOutstanding": "AgedCurrencyOutstanding",
    "AgedCurrencyOutstandingItems": "AgedCurrencyOutstanding",
    "WithholdingTaxItems": "WithholdingTax",
    "CreateBillResponseWithholdingTax": "WithholdingTax",
    "UpdateBillResponseWithholdingTax": "WithholdingTax",
    "PaymentAllocationItems": "PaymentAllocation",
    "AccountingPaymentAllocation": "PaymentAllocation",
    "CreateDirectCostResponseAccountingPaymentAllocation": "PaymentAllocation",
    "DirectCostAccountingPaymentAllocation": "PaymentAllocation",
    "CreateDirectCostResponseAllocation": "Allocation",
    "DirectCostAllocation": "Allocation",
    "DirectCostPrototypeAllocation": "Allocation",
    "BillCreditNoteLineItemTracking": "BillingTracking",
    "CreditNoteLineItemTracking": "BillingTracking",
    "PropertieTracking": "BillingTracking",
    "PropertieTracking1": "BillingTracking",
    "PropertieTracking2": "Tracking",
    "ItemReceiptLineItemTracking": "Tracking",
    # Containers.
    "CompanyDataset": "CompanyInfo",
    "AttachmentsDataset": "Attachments",
    "BalanceSheetInput": "BalanceSheets",
    "CashFlowStatementInput": "CashFlowStatements",
    "ProfitAndLossReportInput": "ProfitAndLossReports",
    "PushOperationSummary": "PushOperation",
    "ErrorMessageData": "ErrorMessage",
    "ErrorValidation": "Validation",
    "ErrorValidationItem": "ValidationItem",
    # The Platform API's.
    "CompanyRequestBody": "CompanyRequest",
    "CreateConnectionRequestBody": "ConnectionRequest",
    **{f"Accounting{name}": name for name in PUSHED},
    **{f"Update{name}ResponseAccounting{name}": name for name in UPDATED},
    **{f"Create{name}Response": "PushOperation" for name in PUSHED},
    **{f"Update{name}Response": "PushOperation" for name in UPDATED},
    "CreateBankTransactionsResponse": "PushOperation",
    **dict.fromkeys(LISTED, "Page"),
    "PushOperations": "Page",
}  # fmt: skip

NOT_JSON = {
    "AttachmentUpload": "a multipart body, which the client streams",
    "CodatFile": "the file in a multipart body",
    "Security": "the SDK's own argument for credentials",
    "DataStatuses": "a mapping of data type to DataStatus",
}

REACHED_ON_THE_PLATFORM = [
    "Companies", "Company", "CompanyAccessToken", "CompanyRequestBody", "CompanyReference",
    "CompanyReferenceLinks", "Connection", "Connections", "CreateConnectionRequestBody",
    "DataConnectionError", "DataStatus", "ErrorValidation", "ErrorValidationItem", "HalRef", "Links",
    "PullOperation", "PullOperations", "PushFieldValidation", "PushOperation", "PushOperationChange",
    "PushOperationRef", "PushOperations", "PushOption", "PushOptionChoice", "PushOptionProperty",
    "PushValidationInfo", "SyncSetting", "UpdateConnectionStatus", "Validation", "ValidationItem",
]  # fmt: skip

REQUIRED: dict[str, set[str]] = {
    # What is read by its id, or refers to something by it.
    "Company": {"id", "name"}, "Connection": {"id", "status"}, "PullOperation": {"id", "status"},
    "Dataset": {"id", "status"}, "DataStatus": {"dataType"},
    "PushOperation": {"pushOperationKey", "companyId", "status", "requestedOnUtc"},
    "ContactRef": {"id"}, "CustomerRef": {"id"}, "SupplierRef": {"id"}, "JournalRef": {"id"},
    "PaymentMethodRef": {"id"}, "ProjectRef": {"id"}, "TrackingCategoryRef": {"id"},
    "CompanyAccessToken": {"accessToken"},
    # Date, status and total amounts of a document.
    "Bill": {"issueDate", "status", "subTotal", "taxAmount", "totalAmount"},
    "BillCreditNote": {"status", "subTotal", "totalTaxAmount", "totalAmount"},
    "CreditNote": {"status", "subTotal", "totalTaxAmount", "totalAmount", "remainingCredit"},
    "DirectCost": {"issueDate", "subTotal", "taxAmount", "totalAmount"},
    "DirectIncome": {"issueDate", "subTotal", "taxAmount", "totalAmount"},
    "Invoice": {"issueDate", "status", "totalTaxAmount", "totalAmount", "amountDue"},
    "BillPayment": {"date"},
    # The amount that a part exists for.
    "BillPaymentLine": {"amount"}, "PaymentLine": {"amount"}, "PaymentAllocation": {"payment", "allocation"},
    "JournalLine": {"netAmount"}, "WithholdingTax": {"amount"}, "ReportLine": {"value"},
    # Reports.
    "BalanceSheets": {"reports"}, "CashFlowStatements": {"reports"}, "ProfitAndLossReports": {"reports"},
    "BalanceSheet": {"netAssets"},
    "ProfitAndLossReport": {"grossProfit", "netOperatingProfit", "netOtherIncome", "netProfit"},
    # What is sent as a whole.
    "CompanyRequest": {"name"},
    "SyncSetting": {"dataType", "fetchOnFirstLink", "syncOrder", "syncSchedule"},
    "PushOption": {"type", "required"}, "PushOptionProperty": {"type", "required"},
}  # fmt: skip
"""What a record is useless without. All else is optional, also if the published SDK requires it."""

DATES = {
    "allocatedOnDate", "clearedOnDate", "completed", "completedOnUtc", "created", "createdDate",
    "createdOn", "date", "dateCreated", "deliveryDate", "dueDate", "earliestAvailableMonth", "erroredOnUtc",
    "expectedDeliveryDate", "financialYearStartDate", "fromDate", "generated", "issueDate",
    "lastSuccessfulSync", "lastSync", "ledgerLockDate", "modifiedDate", "mostRecentAvailableMonth",
    "paidOnDate", "paymentDueDate", "postedOn", "receivedDate", "reportDate", "requested", "requestedOnUtc",
    "resolvedOnUtc", "sourceModifiedDate", "syncFromUtc", "toDate", "updatedOn",
}  # fmt: skip


WIDER_WITH_US = {("Connection", "connectionInfo"): "the API's newer documents allow any value, not only text"}


def published(package: str) -> types.SimpleNamespace:
    """The SDK's models by name, those of errors and of request bodies included."""
    found: dict[str, Any] = {}
    for module in ("shared", "errors", "operations"):
        source = pytest.importorskip(
            f"{package}.models.{module}",
            reason=f"{package} is not installed: it comes with the extra 'contract' of codat-async",
        )
        for name in source.__all__:
            held = getattr(source, name)
            if isinstance(held, type) and hasattr(held, "model_fields"):
                found.setdefault(name, held)
    return types.SimpleNamespace(**found)


@pytest.fixture(scope="module")
def accounting() -> types.SimpleNamespace:
    return published("codat_accounting")


@pytest.fixture(scope="module")
def platform() -> types.SimpleNamespace:
    return published("codat_platform")


def ours(name: str) -> Any:
    held = getattr(models, RENAMED.get(name, name), None)
    assert held is not None, f"{name} of the published SDK has no counterpart here"
    return held


def by_wire_name(kind: type[Model]) -> dict[str, FieldInfo]:
    return {field.encode_name: field for field in fields(kind) if field.name != "unknown_fields"}


def parts(hint: Any) -> Iterator[Any]:
    """The types a hint admits, without null."""
    origin = get_origin(hint)
    # The SDK's aliases Nullable[X] and OptionalNullable[X] stand for X, null or nothing.
    if origin is Annotated or hasattr(origin, "__value__"):
        yield from parts(get_args(hint)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(hint):
            yield from parts(part)
    elif hint is not type(None):
        yield hint


def only(hint: Any) -> Any:
    found = list(parts(hint))
    assert len(found) == 1, hint
    return found[0]


def compare(where: str, wire_name: str, theirs: Any, mine: Any, kind: type[Model]) -> None:
    """Assert that a field of ours holds what the SDK's holds, down to the items of lists and dicts."""
    theirs, mine = only(theirs), only(mine)
    origin = get_origin(theirs)
    if isinstance(mine, TypeVar):
        assert kind in (models.Page, models.PushOperation), where
    elif mine is Any:
        assert theirs is Any or tuple(where.split(".")) in WIDER_WITH_US, where
    elif origin is list or origin is dict:
        assert get_origin(mine) is origin, where
        compare(where, "", get_args(theirs)[-1], get_args(mine)[-1], kind)
    elif hasattr(theirs, "model_fields"):
        assert mine is ours(theirs.__name__), where
    elif isinstance(theirs, type) and issubclass(theirs, Enum):
        assert issubclass(mine, OpenEnum), where
        missing = {member.value for member in theirs} - {member.value for member in mine}
        assert not missing, (where, missing)
    elif theirs is str:
        if wire_name in DATES:
            assert mine is datetime, where
        else:
            # The SDK leaves the data type of some references as text.
            assert mine is str or mine is models.DataType, where
    else:
        assert theirs in (Decimal, int, bool), where
        assert mine is theirs, where


def check(name: str, theirs: Any) -> None:
    kind = ours(name)
    mine = by_wire_name(kind)
    for python_name, info in theirs.model_fields.items():
        wire_name = info.alias or python_name
        assert wire_name in mine, f"{name}.{wire_name} is missing from {kind.__name__}"
        field = mine[wire_name]
        where = f"{name}.{wire_name}"
        compare(where, wire_name, info.annotation, field.type, kind)
        assert field.required <= info.is_required(), f"{where} is required only here"
        if not (kind is models.Page or wire_name == "_links"):
            assert field.name == python_name, where


# --- against the published SDK -----------------------------------------------------------


def test_every_accounting_model_has_its_counterpart(accounting: types.SimpleNamespace) -> None:
    names = sorted(vars(accounting))
    reached = [name for name in names if not name.endswith(("Request", "Globals")) and name not in NOT_JSON]
    assert len(reached) > 200
    for name in reached:
        check(name, getattr(accounting, name))


@pytest.mark.parametrize("name", REACHED_ON_THE_PLATFORM)
def test_platform_model_has_its_counterpart(platform: types.SimpleNamespace, name: str) -> None:
    check(name, getattr(platform, name))


def test_no_platform_model_within_reach_is_left_out(platform: types.SimpleNamespace) -> None:
    reached = set(REACHED_ON_THE_PLATFORM) | set(NOT_JSON)

    def inside(hint: Any) -> Iterator[str]:
        if hasattr(hint, "model_fields"):
            yield hint.__name__
        for part in get_args(hint):
            yield from inside(part)

    for name in REACHED_ON_THE_PLATFORM:
        for info in getattr(platform, name).model_fields.values():
            assert set(inside(info.annotation)) <= reached, name


@pytest.mark.parametrize(("listed", "record"), [*LISTED.items(), ("PushOperations", "PushOperation")])
def test_lists_are_pages_of_the_record(
    accounting: types.SimpleNamespace, platform: types.SimpleNamespace, listed: str, record: str
) -> None:
    theirs = getattr(accounting, listed, None) or getattr(platform, listed)
    (item,) = get_args(only(theirs.model_fields["results"].annotation))
    assert ours(item.__name__) is getattr(models, record)


@pytest.mark.parametrize(
    "name", [*(f"Create{name}Response" for name in PUSHED), *(f"Update{name}Response" for name in UPDATED)]
)
def test_writes_answer_with_the_record(accounting: types.SimpleNamespace, name: str) -> None:
    theirs = only(getattr(accounting, name).model_fields["data"].annotation)
    assert ours(theirs.__name__).__name__ == name.removeprefix("Create").removeprefix("Update").removesuffix(
        "Response"
    )


def test_a_direct_cost_reads_as_the_published_sdk_reads_it(accounting: types.SimpleNamespace) -> None:
    data = (
        b'{"issueDate":"2023-03-21T17:17:58.923Z","currency":"GBP","currencyRate":0.123456789,'
        b'"lineItems":[{"quantity":1,"unitAmount":12.10,"tracking":{"recordRefs":[{"id":"7","dataType":"customers"}]}}],'
        b'"paymentAllocations":[{"payment":{"totalAmount":-0.01},"allocation":{"totalAmount":12345678901234567.89}}],'
        b'"subTotal":10.00,"taxAmount":2.10,"totalAmount":12.10}'
    )  # fmt: skip
    mine = msgspec.json.decode(data, type=models.DirectCost)
    theirs = accounting.DirectCost.model_validate(msgspec.json.decode(data))
    assert mine.line_items[0].unit_amount == theirs.line_items[0].unit_amount == Decimal("12.10")
    assert mine.currency_rate == Decimal("0.123456789")
    assert mine.payment_allocations[0].allocation.total_amount == Decimal("12345678901234567.89")


# --- what is required ----------------------------------------------------------------------


def test_required_fields() -> None:
    """Only what a record is useless without is required."""
    found = {
        kind.__name__: {field.encode_name for field in fields(kind) if field.required} for kind in STRUCTS
    }
    assert {name: required for name, required in found.items() if required} == REQUIRED


ANSWERS: list[tuple[Any, str]] = [
    (dict[str, models.DataStatus], '{"suppliers": {"dataType": "suppliers"}}'),
    (models.BalanceSheets, '{"reports": []}'),
    (models.ProfitAndLossReports, '{"reports": []}'),
    (models.CashFlowStatements, '{"reports": []}'),
    (
        models.Bill,
        '{"issueDate": "2022-10-23", "status": "Open", "subTotal": 1, "taxAmount": 0, "totalAmount": 1,'
        '"lineItems": [{"description": "Rent"}]}',
    ),
    (models.Customer, '{"id": "c", "addresses": [{"line1": "1 High Street"}]}'),
    (models.Payment, '{"id": "p", "totalAmount": 1, "currency": "GBP"}'),
    (
        models.BillCreditNote,
        '{"status": "Paid", "subTotal": 1, "totalTaxAmount": 0, "totalAmount": 1,'
        '"lineItems": [{"quantity": 1, "unitAmount": 1, "createdFromLineRef": []}]}',
    ),
]
"""Answers that Codat documents, without fields that the published SDK requires."""


@pytest.mark.parametrize(("kind", "text"), ANSWERS, ids=lambda value: getattr(value, "__name__", None))
async def test_documented_answers(kind: Any, text: str) -> None:
    """They decode, alone and on a page."""
    alone = codec.read(text.encode(), kind)
    assert codec.read(codec.encode(alone), kind) == alone
    if isinstance(alone, models.Record):
        page = await codec.decode_page(f'{{"results": [{text}], "pageNumber": 1}}'.encode(), kind)
        (listed,) = page.results
        alone.unknown_fields = None
        assert listed == alone


def test_an_empty_list_in_the_place_of_a_reference() -> None:
    """It is read as no reference; other lists there are an error."""
    line = codec.read(b'{"createdFromLineRef": []}', models.BillCreditNoteLineItem)
    assert line.created_from_line_ref is None
    with pytest.raises(InvalidRecord, match="object"):
        codec.read(b'{"createdFromLineRef": [1]}', models.BillCreditNoteLineItem)


NEWER: list[tuple[Any, str]] = [
    (models.JournalLine, '{"netAmount": 1.10, "transactionAmount": 1.25, "transactionCurrency": "EUR"}'),
    (models.Company, '{"id": "c", "name": "A", "dataConnections": [], "ownerUserIds": ["u"]}'),
    (
        models.CreateBankAccountTransaction,
        '{"counterparty": "B", "reference": "R", "reconciled": true, "transactionType": "Fee"}',
    ),
    (models.BankTransaction, '{"counterparty": "B"}'),
    (models.Transfer, '{"status": "Reconciled"}'),
    (models.AccountRef, '{"id": "a", "dataType": "bankAccounts"}'),
    (models.Address, '{"type": "Inventory"}'),
    (models.Address, '{"type": "Order"}'),
    (models.ValidationItem, '{"ruleId": "r", "itemId": "i", "message": "m", "validatorName": "v"}'),
]
"""Fields and values that are newer than the published SDK."""


@pytest.mark.parametrize(("kind", "text"), NEWER, ids=lambda value: getattr(value, "__name__", None))
def test_newer_fields(kind: Any, text: str) -> None:
    """Each has a name here, and is sent back unchanged."""
    record = codec.read(text.encode(), kind)
    assert record.unknown_fields is None
    assert all(
        value.is_known for value in msgspec.structs.asdict(record).values() if isinstance(value, OpenEnum)
    )
    assert json.loads(codec.encode(record), parse_float=Decimal) == json.loads(text, parse_float=Decimal)


# --- what holds for all of them ----------------------------------------------------------


def leaves(hint: Any) -> Iterator[Any]:
    yield hint
    for part in get_args(hint):
        yield from leaves(part)


@pytest.mark.parametrize("kind", STRUCTS)
def test_structs_share_one_shape(kind: type[Model]) -> None:
    assert kind.__struct_config__.gc is False
    assert kind.__struct_config__.omit_defaults
    assert kind.__doc__
    with pytest.raises(TypeError, match="positional"):
        kind("positional")  # type: ignore[call-arg, arg-type]
    for field in fields(kind):
        found = set(leaves(field.type))
        assert float not in found, f"{kind.__name__}.{field.name}"
        if field.encode_name in DATES:
            assert datetime in found, f"{kind.__name__}.{field.name}"
        elif datetime in found:
            pytest.fail(f"{kind.__name__}.{field.name} is a date that this test does not know")


def test_a_date_becomes_a_datetime_and_is_sent_without_a_time() -> None:
    """As a constructor's argument and when assigned; what a copy has is left alone."""
    entry = models.JournalEntry(posted_on=date(2026, 3, 31))
    assert entry.posted_on == datetime(2026, 3, 31)
    assert codec.encode(entry) == b'{"postedOn":"2026-03-31"}'
    assert codec.read(codec.encode(entry), models.JournalEntry) == entry
    assert pickle.loads(pickle.dumps(entry)) == entry
    other = copy.copy(entry)
    other.posted_on = date(2026, 4, 1)
    other.created_on = datetime(2026, 4, 2)
    assert (other.posted_on, other.created_on) == (datetime(2026, 4, 1), datetime(2026, 4, 2))
    assert codec.encode(other) == b'{"postedOn":"2026-04-01","createdOn":"2026-04-02T00:00:00"}'
    other.posted_on = datetime(2026, 4, 1, 12)
    assert b'"2026-04-01T12:00:00"' in codec.encode(other)
    other.posted_on = models.NULL
    assert b'"postedOn":null' in codec.encode(other)
    assert codec.encode(entry) == b'{"postedOn":"2026-03-31"}'


def test_a_text_becomes_the_member() -> None:
    """As a constructor's argument and when assigned, and if it is not listed."""
    account = models.Account(status="Active", type="Made up")
    assert account.status is models.AccountStatus.ACTIVE
    assert account.type is not None
    assert not account.type.is_known
    account.status = "Pending"
    assert account.status is models.AccountStatus.PENDING
    account.status = None
    assert codec.encode(account) == b'{"type":"Made up"}'


def test_decoding_converts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page holds has its types already, so the conversions of a constructor cost it nothing."""
    calls: list[type] = []

    def noted(model: type[Model]) -> dict[str, Any]:
        calls.append(model)
        return {}

    monkeypatch.setattr("codat_async.models.base._converters", noted)
    text = b'{"id":"a","status":"Active","modifiedDate":"2026-03-31T00:00:00"}'
    assert codec.read(text, models.Account).status is models.AccountStatus.ACTIVE
    assert calls == []
    models.Account(status="Active")
    assert models.Account in calls


def test_the_public_names_are_sorted_and_complete() -> None:
    assert models.__all__ == sorted(models.__all__, key=lambda name: (not name.isupper(), name))
    for name in models.__all__:
        assert hasattr(models, name)
    used = {part for kind in STRUCTS for field in fields(kind) for part in leaves(field.type)}
    missing = {
        part
        for part in used
        if isinstance(part, type)
        and part.__module__.startswith("codat_async")
        and part.__name__ not in models.__all__
    }
    assert not missing


def test_names_that_python_reserves_keep_their_wire_name() -> None:
    transfer = models.Transfer(
        from_=models.TransferAccount(amount=Decimal("1.50")), date_=datetime(2024, 2, 29)
    )
    assert (
        msgspec.json.Encoder(decimal_format="number").encode(transfer)
        == b'{"date":"2024-02-29T00:00:00","from":{"amount":1.50}}'
    )


def test_a_page_knows_whether_another_follows() -> None:
    first = msgspec.json.decode(
        b'{"results":[{"id":"1"}],"pageNumber":1,"pageSize":1,"totalResults":2,"_links":{"self":{"href":"/a"},'
        b'"current":{"href":"/a?page=1"},"next":{"href":"/a?page=2"}}}',
        type=models.Page[models.Account],
    )
    assert first.results == [models.Account(id="1")]
    assert first.has_next
    last = msgspec.json.decode(
        b'{"pageNumber":2,"_links":{"self":{"href":"/a"}}}', type=models.Page[models.Account]
    )
    assert last.results == []
    assert not last.has_next
    assert not models.Page[models.Account]().has_next


def test_a_write_answers_with_a_typed_record() -> None:
    operation = msgspec.json.decode(
        b'{"companyId":"c","dataConnectionKey":"k","pushOperationKey":"p","requestedOnUtc":"2024-01-01T00:00:00Z",'
        b'"status":"Success","statusCode":200,"data":{"id":"1","createdOn":"2024-01-01T00:00:00"},'
        b'"changes":[{"type":"Created","recordRef":{"id":"1","dataType":"journals"}}]}',
        type=models.PushOperation[models.Journal],
    )
    assert operation.data == models.Journal(id="1", created_on=datetime(2024, 1, 1))
    assert operation.changes is not None
    assert operation.changes[0].record_ref == models.RecordReference(
        id="1", data_type=models.DataType.JOURNALS
    )


@pytest.mark.parametrize(
    ("metadata", "deleted"),
    [
        (None, False),
        (models.NULL, False),
        (models.Metadata(), False),
        (models.Metadata(is_deleted=False), False),
        (models.Metadata(is_deleted=True), True),
    ],
)
def test_deleted_records(metadata: models.Metadata | None, deleted: bool) -> None:
    assert models.Account(metadata=metadata).is_deleted is deleted


# --- enumerations ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ENUMS)
def test_values_keep_their_text(kind: type[OpenEnum]) -> None:
    for member in kind:
        assert member.is_known
        assert msgspec.json.decode(msgspec.json.encode(member), type=kind) is member
        assert pickle.loads(pickle.dumps(member)) is member
        assert member.name.replace("_", "").lower() == member.value.replace("-", "").lower()


@pytest.mark.parametrize("kind", ENUMS)
@pytest.mark.parametrize("text", ["PaidInGold", "", "paid", 'é"\\\n'])
def test_values_that_are_not_listed_survive(kind: type[OpenEnum], text: str) -> None:
    wire = msgspec.json.encode(text)
    value = msgspec.json.decode(wire, type=kind)
    assert type(value) is kind
    assert not value.is_known
    assert value == text == str(value)
    assert value == kind(text)
    assert hash(value) == hash(text)
    assert value not in list(kind)
    assert msgspec.json.encode(value) == wire
    for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert twin == value
        assert type(twin) is kind


def test_an_enumeration_takes_text_only() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"7", type=models.BillStatus)
    with pytest.raises(ValueError, match="7"):
        models.BillStatus(7)  # type: ignore[arg-type]


def test_an_unlisted_value_does_not_join_the_enumeration() -> None:
    before = list(models.BillStatus)
    models.BillStatus("Disputed")
    assert list(models.BillStatus) == before


@pytest.mark.parametrize("sent", ['"dataConnections": null, ', ""])
def test_connections_of_a_company(sent: str) -> None:
    """A company without connections has an empty list of them, however the API words that."""
    company = codec.read(f'{{{sent}"id": "c", "name": "A"}}'.encode(), models.Company)
    assert company.data_connections == []
    assert models.Company(id="c", name="A").data_connections == []


@pytest.mark.parametrize("sent", ['"id": null, ', ""])
def test_record_without_an_id(sent: str) -> None:
    """It is read all the same, and its id is not sent."""
    text = f'{{{sent}"customerName": "A", "status": "Active"}}'
    assert b'"id"' not in codec.encode(codec.read(text.encode(), models.Customer))
