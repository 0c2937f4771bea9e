"""Decoding and encoding records and pages: exact, lenient, and without stalling the event loop."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from msgspec import Raw

from codat_async import NULL, codec, models
from codat_async.codec import pages
from codat_async.errors import DecodingError, InvalidRecord
from codat_async.models import (
    Account,
    BalanceSheets,
    Bill,
    Connection,
    DataStatus,
    Invoice,
    JournalEntry,
    Links,
    PushOperation,
)

INVOICE = {
    "id": "i1",
    "issueDate": "2022-10-23T00:00:00",
    "currency": "GBP",
    "totalAmount": 1.5,
    "totalTaxAmount": 0.5,
    "amountDue": 0,
    "status": "Paid",
}


def invoice(**changes: Any) -> dict[str, Any]:
    """The JSON of an invoice."""
    return {**INVOICE, **changes}


def a_bill(**fields: Any) -> Bill:
    """A bill with its required fields."""
    nothing = Decimal(0)
    return Bill(
        issue_date=datetime(2022, 10, 23),
        status=models.BillStatus.OPEN,
        sub_total=nothing,
        tax_amount=nothing,
        total_amount=nothing,
        **fields,
    )


def page(*records: Any, **changes: Any) -> bytes:
    """A page of records as the API sends it."""
    rest = {"pageNumber": 1, "pageSize": 100, "totalResults": len(records), "_links": {}}
    whole = {"results": records, **rest, **changes}
    return json.dumps(whole, separators=(",", ":")).encode()


# --- single records --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "digits",
    ["12345678901234567.89", "0.1", "1E+2", "1234567890123456789012345.678", "-0.00", "0E-10", "1E+400"],
)
def test_money_keeps_its_digits(digits: str) -> None:
    """A number is decoded to a Decimal and encoded again without losing or adding a digit."""
    text = b'{"id":"a","currentBalance":%b}' % digits.encode()
    account = codec.read(text, Account)
    assert str(account.current_balance) == digits
    assert codec.encode(account) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021-11-15T06:00:00Z", datetime(2021, 11, 15, 6, tzinfo=UTC)),
        ("2021-11-15T01:00:00-05:00", datetime(2021, 11, 15, 1, tzinfo=timezone(timedelta(hours=-5)))),
        ("2021-11-15T01:00:00", datetime(2021, 11, 15, 1)),
        ("2022-10-23", datetime(2022, 10, 23)),
        ("2023-03-21T17:17:58.9235364Z", datetime(2023, 3, 21, 17, 17, 58, 923536, tzinfo=UTC)),
        ("2023-03-21T17:17:58.92353640", datetime(2023, 3, 21, 17, 17, 58, 923536)),
        ("2022-10-23T10:30", datetime(2022, 10, 23, 10, 30)),
        ("2022-10-23 10:30:00", datetime(2022, 10, 23, 10, 30)),
        (" 2022-10-23 ", datetime(2022, 10, 23)),
        ("0001-01-01T00:00:00", datetime(1, 1, 1)),
        ("9999-12-31T23:59:59.9999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ],
)
async def test_every_form_of_a_date(text: str, moment: datetime) -> None:
    """Each documented form, and some that platforms send, in records and in pages."""
    single = codec.read(json.dumps(invoice(issueDate=text)).encode(), Invoice)
    (listed,) = (await codec.decode_page(page(invoice(issueDate=text)), Invoice)).results
    assert single.issue_date == listed.issue_date == moment
    assert single.issue_date.tzinfo == listed.issue_date.tzinfo == moment.tzinfo


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2021, 11, 15, 6, tzinfo=UTC), '"2021-11-15T06:00:00Z"'),
        (datetime(2021, 11, 15, 1), '"2021-11-15T01:00:00"'),
        (datetime(2021, 11, 15, 1, tzinfo=timezone(timedelta(hours=-5))), '"2021-11-15T01:00:00-05:00"'),
        (date(2021, 11, 15), '"2021-11-15"'),
    ],
)
def test_dates_are_encoded_unchanged(moment: Any, text: str) -> None:
    """No zone is added or converted; a plain date is accepted too."""
    assert text in codec.encode(models.JournalEntry(posted_on=moment)).decode()


def test_blank_date_is_absent() -> None:
    """An empty string in the place of an optional date is None."""
    assert codec.read(b'{"id":"j","postedOn":""}', JournalEntry).posted_on is None


def test_dates_of_reports_without_a_time() -> None:
    """Some platforms send months without a time, in several places of one document."""
    text = b"""{"currency":"GBP",
        "earliestAvailableMonth":"2020-01-01","mostRecentAvailableMonth":"2022-10-31",
        "reports":[{"date":"2022-10-31","netAssets":1.10},{"date":"2022-09-30","netAssets":2}]}"""
    sheets = codec.read(text, BalanceSheets)
    assert sheets.earliest_available_month == datetime(2020, 1, 1)
    assert [report.date_ for report in sheets.reports] == [datetime(2022, 10, 31), datetime(2022, 9, 30)]
    assert str(sheets.reports[0].net_assets) == "1.10"


def test_any_number_of_bare_dates() -> None:
    """More of them than values are coerced one by one."""
    reports = [{"date": f"{year}-10-31", "netAssets": 1} for year in range(1800, 2000)]
    text = json.dumps({"currency": "GBP", "reports": reports}).encode()
    years = [report.date_ and report.date_.year for report in codec.read(text, BalanceSheets).reports]
    assert years == list(range(1800, 2000))


@pytest.mark.parametrize(
    ("field", "sent", "name", "read"),
    [
        ("invoiceNumber", 17, "invoice_number", "17"),
        ("invoiceNumber", True, "invoice_number", "true"),
        ("note", 1.5, "note", "1.5"),
        ("currencyRate", "1.25", "currency_rate", Decimal("1.25")),
        ("currencyRate", "", "currency_rate", None),
        ("lineItems", None, "line_items", None),
        ("metadata", {"isDeleted": "True"}, "metadata", models.Metadata(is_deleted=True)),
    ],
)
async def test_values_with_one_meaning_are_coerced(field: str, sent: Any, name: str, read: Any) -> None:
    """A number in the place of a string, or a string in the place of a number or a boolean."""
    single = codec.read(json.dumps(invoice(**{field: sent})).encode(), Invoice)
    (listed,) = (await codec.decode_page(page(invoice(**{field: sent})), Invoice)).results
    assert getattr(single, name) == getattr(listed, name) == read


@pytest.mark.parametrize("size", ["12", 12.0, " 12 "])
def test_whole_numbers_in_other_forms(size: Any) -> None:
    """A whole number sent as a string, or with a fraction of zero, is an int."""
    assert codec.read(json.dumps({"fileSize": size}).encode(), models.Attachment).file_size == 12


def test_coercion_keeps_money_and_large_numbers() -> None:
    """Coercing one field must not convert the others to float."""
    text = b'{"id":"a","currentBalance":12345678901234567890.12,"nominalCode":4000}'
    account = codec.read(text, Account)
    assert (str(account.current_balance), account.nominal_code) == ("12345678901234567890.12", "4000")


def test_name_that_is_not_utf8() -> None:
    """The strict decoder passes over an unknown field, whose name cannot be kept."""
    with pytest.raises(DecodingError, match=r"accounts\.get: the text is not JSON"):
        codec.read(b'{"id":"a","\xff":1}', Account, operation="accounts.get")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not JSON"),
        (b"<html>Bad gateway</html>", "not JSON"),
        (b'{"id":"i1"', "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
    ],
)
async def test_bodies_that_are_not_json(text: bytes, reason: str) -> None:
    """They raise a DecodingError with the operation and the bytes."""
    with pytest.raises(DecodingError, match=reason) as single:
        codec.read(text, Bill, operation="bills.get")
    with pytest.raises(DecodingError, match=reason) as listed:
        await codec.decode_page(text, Bill, operation="bills.list")
    assert single.value.raw == listed.value.raw == text
    assert str(single.value).startswith("bills.get: ")
    assert not isinstance(single.value, InvalidRecord)


@pytest.mark.parametrize("text", [b'{"id":"\xff"}', b'{"id":"a","totalAmount":1e99999999999999999999}'])
def test_json_with_a_value_that_cannot_be_decoded(text: bytes) -> None:
    """It is JSON all the same, so the record is invalid."""
    with pytest.raises(InvalidRecord, match="a value cannot be decoded") as caught:
        codec.read(text, Bill, operation="bills.get")
    assert caught.value.raw == text


def test_an_invalid_record_has_a_path() -> None:
    """A value without a certain meaning raises with its path, the reason and the record's id."""
    text = json.dumps(invoice(totalAmount="a lot")).encode()
    with pytest.raises(InvalidRecord) as caught:
        codec.read(text, Invoice, operation="invoices.get")
    error = caught.value
    assert (error.record_id, error.path, error.raw) == ("i1", "$.totalAmount", text)
    assert "invoices.get: record i1: " in str(error)


def test_answers_that_are_not_a_record() -> None:
    """A boolean, and a map of records."""
    assert codec.read(b"true", bool) is True
    status = b'{"bills":{"dataType":"bills","currentStatus":"Brewing","lastSuccessfulSync":"2022-01-01"}}'
    decoded = codec.read(status, dict[str, DataStatus])
    assert decoded["bills"].current_status == "Brewing"
    assert decoded["bills"].last_successful_sync == datetime(2022, 1, 1)


# --- fields and values that this version does not know ------------------------------------------


def test_unknown_fields_survive_at_every_depth() -> None:
    """They are kept, in the record and inside it, and encoded unchanged."""
    text = json.dumps(
        invoice(
            brandNew={"a": [1, 2.50]},
            customerRef={"id": "c", "colour": "red"},
            lineItems=[
                {"unitAmount": 1, "quantity": 1, "warehouse": {"bin": 7}},
                {"unitAmount": 2, "quantity": 1},
            ],
        )
    ).encode()
    record = codec.read(text, Invoice)
    assert record.unknown_fields is not None
    assert json.loads(codec.encode(record)) == json.loads(text)


def test_unknown_fields_below_a_map_survive() -> None:
    """Records in a map keep their unknown fields too."""
    text = b'{"bills":{"dataType":"bills","currentStatus":"Complete","shade":"blue"}}'
    decoded = codec.read(text, dict[str, DataStatus])
    assert json.loads(codec.encode(decoded)) == json.loads(text)


def test_unknown_fields_outlive_the_body() -> None:
    """They are copies, so that one of them does not keep the whole body in memory."""
    record = codec.read(b'{"id":"a","later":[1,2,3]}', Account)
    assert record.unknown_fields is not None
    assert bytes(record.unknown_fields["later"]) == b"[1,2,3]"


def test_a_model_whose_parameter_is_not_given_keeps_unknown_fields() -> None:
    """Also beside content of any type."""
    head = (
        b'"pushOperationKey":"k","companyId":"c","status":"Success","requestedOnUtc":"2024-01-02T00:00:00Z"'
    )
    operation = codec.read(b'{%b,"data":{"x":1},"later":1}' % head, PushOperation)
    assert operation.data == {"x": 1}
    assert list(operation.unknown_fields or {}) == ["later"]


def test_unknown_fields_need_not_be_readable() -> None:
    """A malformed string in an unknown field does no harm, and is kept unchanged."""
    record = codec.read(b'{"id":"a","later":"\xff"}', Account)
    assert record.unknown_fields is not None
    assert bytes(record.unknown_fields["later"]) == b'"\xff"'


def test_a_field_set_by_hand_wins() -> None:
    """An unknown field does not overwrite a field of the model."""
    account = Account(id="a", name="new", unknown_fields={"name": Raw(b'"old"'), "x": Raw(b"1")})
    assert json.loads(codec.encode(account)) == {"id": "a", "name": "new", "x": 1}


def test_unknown_enumeration_values_survive() -> None:
    """A value that this version does not list is decoded, compared and encoded unchanged."""
    record = codec.read(json.dumps(invoice(status="Reimagined")).encode(), Invoice)
    assert record.status == "Reimagined"
    assert not record.status.is_known
    assert b'"status":"Reimagined"' in codec.encode(record)


# --- coercion of values ----------------------------------------------------------------------------


def test_null_is_an_empty_list() -> None:
    """If the model has no None in its place."""
    assert codec.read(b'{"reports":null}', BalanceSheets).reports == []


def test_some_values_of_a_mapping_are_malformed() -> None:
    """Those are coerced, and values without the field are as received."""
    sent = {
        "a": {"lastSuccessfulSync": " 2022-10-23 "},
        "b": {},
        "c": {"lastSuccessfulSync": "2022-10-24T00:00"},
    }
    text = json.dumps({key: {"dataType": "bills", **value} for key, value in sent.items()}).encode()
    read = codec.read(text, dict[str, DataStatus])
    days = [each.last_successful_sync and each.last_successful_sync.day for each in read.values()]
    assert days == [23, None, 24]


@pytest.mark.parametrize(("count", "accepted"), [(99, True), (101, False)])
def test_a_document_with_many_malformed_values(count: int, accepted: bool) -> None:
    """They are coerced one after the other, up to a hundred."""
    text = json.dumps([{"nominalCode": number} for number in range(count)]).encode()
    if accepted:
        assert len(codec.read(text, list[Account])) == count
    else:
        with pytest.raises(InvalidRecord, match="nominalCode"):
            codec.read(text, list[Account])


# --- what is sent ----------------------------------------------------------------------------------


def test_none_is_left_out_and_null_is_sent() -> None:
    """None is left out; NULL is an explicit null, also inside other models and in a required field."""
    bill = a_bill(
        id="b", reference=NULL, supplier_ref=models.SupplierRef(id="s", supplier_name=NULL), note=None
    )
    sent = json.loads(codec.encode(bill))
    assert sent["reference"] is None
    assert sent["supplierRef"] == {"id": "s", "supplierName": None}
    assert "note" not in sent


def test_read_only_fields_stay_out_of_a_create() -> None:
    """Its own id and modified dates are left out, the id of a reference is not; the record is unchanged."""
    when = datetime(2022, 1, 1, tzinfo=UTC)
    bill = a_bill(
        id="b", modified_date=when, source_modified_date=when, supplier_ref=models.SupplierRef(id="s")
    )
    sent = json.loads(codec.encode(bill, omit_read_only=True))
    assert not {"id", "modifiedDate", "sourceModifiedDate"} & sent.keys()
    assert sent["supplierRef"] == {"id": "s"}
    assert bill.id == "b"


@pytest.mark.parametrize(
    "number", [Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), float("nan"), float("inf")]
)
def test_numbers_that_json_cannot_hold(number: Any) -> None:
    """NaN and infinity raise ValueError at any depth."""
    with pytest.raises(ValueError, match="JSON cannot hold"):
        codec.encode(a_bill(line_items=[models.BillLineItem(unit_amount=number, quantity=Decimal(1))]))
    with pytest.raises(ValueError, match="JSON cannot hold"):
        codec.encode({"nested": [{"x": number}]})


def test_objects_that_cannot_be_encoded() -> None:
    """The TypeError names the object's type."""
    with pytest.raises(TypeError, match="object"):
        codec.encode({"a": object()})


# --- pages -----------------------------------------------------------------------------------------


async def test_page_is_typed_and_complete() -> None:
    """A page has its records, counts and links; absent or null results are an empty list."""
    read = await codec.decode_page(
        page(invoice(), totalResults=7, _links={"next": {"href": "/x?page=2"}}), Invoice
    )
    assert isinstance(read.results[0], Invoice)
    assert (read.page_number, read.page_size, read.total_results, read.has_next) == (1, 100, 7, True)
    for text in (b'{"pageNumber":1,"totalResults":0}', b'{"results":null,"totalResults":0}'):
        assert (await codec.decode_page(text, Invoice)).results == []


async def test_a_body_that_is_not_a_page_is_not_an_empty_page() -> None:
    """A JSON object of another kind raises."""
    with pytest.raises(DecodingError, match="not a page"):
        await codec.decode_page(b'{"error":"moved"}', Invoice)


READABLE = {
    "sound": b'{"pageSize":100%b}',
    "number that is null": b'{"pageNumber":null%b}',
    "number in quotes": b'{"pageSize":"100"%b}',
    "link that is no object": b'{"_links":[5]%b}',
    "byte order mark": b'\xef\xbb\xbf{"pageSize":100%b}',
    "control character": b'{"note":"\n"%b}',
    "lone surrogate": b'{"note":"\\ud83d"%b}',
    "lone surrogate and number that is null": b'{"note":"\\ud83d","pageNumber":null%b}',
}
"""Bodies that are read as a page in one way or another, if they have records."""


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE)
async def test_every_way_of_reading_a_page_has_the_same_checks(body: bytes) -> None:
    """An object without records is no page, and a page has at most so many records."""

    async def in_slices(text: bytes) -> None:
        async for _ in codec.SlicedPage(text, Links):
            pass

    for text, match in (
        (body % b"", "not a page"),
        (body % (b',"results":[' + b"{}," * 50_000 + b"{}]"), r"5\d,\d+ records"),
    ):
        with pytest.raises(DecodingError, match=match):
            codec.split_page(text)
        with pytest.raises(DecodingError, match=match):
            await in_slices(text)
    found = codec.split_page(body % b',"results":[{}]').results
    assert [bytes(each) for each in found or ()] == [b"{}"]
    with pytest.raises(DecodingError, match="not a page"):
        await codec.decode_page(body % b"", Invoice)


async def test_bare_dates_touch_nothing_else() -> None:
    """Strings, unknown fields and supplemental data that look like a bare date are unchanged."""
    looks = 'he wrote "dueDate":"2022-10-23" and "issueDate": "2022-10-24"'
    content = {"mine": {"issueDate": "2021-01-01", "deep": {"dueDate": "2021-01-02"}, "rate": 1.10}}
    sent = invoice(
        issueDate="2022-10-23",
        dueDate="2022-11-23",
        invoiceNumber="2022-10-23",
        note=looks,
        supplementalData={"content": content},
    )
    read = (await codec.decode_page(page(sent, invoice(id="i2", note="2022-01-01")), Invoice)).results
    assert read[0].issue_date == datetime(2022, 10, 23)
    assert read[0].due_date == datetime(2022, 11, 23)
    assert read[0].invoice_number == "2022-10-23"
    assert read[0].note == looks
    assert read[0].supplemental_data is not None
    assert read[0].supplemental_data.content == json.loads(json.dumps(content), parse_float=Decimal)
    assert read[1].note == "2022-01-01"


@pytest.mark.parametrize("colon", [": ", " : ", ":\n  "])
async def test_bare_dates_in_other_spellings(colon: str) -> None:
    """White space around the colon makes no difference."""
    text = page(invoice(issueDate="2022-10-23")).replace(b'":"', b'"' + colon.encode() + b'"')
    assert (await codec.decode_page(text, Invoice)).results[0].issue_date == datetime(2022, 10, 23)


async def test_bare_dates_beside_untyped_content() -> None:
    """In a record with untyped content, dates are coerced one by one, so that the content is unchanged."""
    sent = {
        "id": "c", "integrationId": "x", "platformName": "p", "sourceId": "s", "sourceType": "Accounting",
        "linkUrl": "l", "status": "Linked",
        "created": "2022-10-23", "connectionInfo": {"created": "2022-10-23"},
    }  # fmt: skip
    (read,) = (await codec.decode_page(page(sent), Connection)).results
    assert read.created == datetime(2022, 10, 23)
    assert read.connection_info == {"created": "2022-10-23"}


async def test_one_bad_record_does_not_cost_its_page() -> None:
    """The default raises with the record's id and field; with "skip" or a function the rest is returned."""
    records = [invoice(id="1"), invoice(id="2", totalAmount="a lot"), {"id": 3}, invoice(id="4")]
    with pytest.raises(InvalidRecord, match=r"record 2: .*totalAmount") as caught:
        await codec.decode_page(page(*records), Invoice, operation="invoices.list")
    assert json.loads(caught.value.raw)["id"] == "2"
    skipped = await codec.decode_page(page(*records), Invoice, on_invalid="skip")
    assert [record.id for record in skipped.results] == ["1", "4"]
    reported: list[InvalidRecord] = []
    await codec.decode_page(page(*records), Invoice, on_invalid=reported.append)
    assert [(error.record_id, error.path) for error in reported] == [("2", "$.totalAmount"), ("3", "$")]
    assert json.loads(reported[1].raw) == {"id": 3}


async def test_a_malformed_string_costs_only_its_record() -> None:
    """Bytes that are not UTF-8 in one record do not affect the others."""
    text = page(invoice(id="1"), invoice(id="2", note="X"), invoice(id="3")).replace(b'"X"', b'"\xff"')
    reported: list[InvalidRecord] = []
    read = await codec.decode_page(text, Invoice, on_invalid=reported.append)
    assert [record.id for record in read.results] == ["1", "3"]
    assert len(reported) == 1


async def test_values_that_are_not_records() -> None:
    """A page may hold any value in the place of a record; it is reported without an id."""
    reported: list[InvalidRecord] = []
    read = await codec.decode_page(page(None, 7, "x", [], invoice()), Invoice, on_invalid=reported.append)
    assert len(read.results) == 1
    assert [error.record_id for error in reported] == [None] * 4


async def test_good_and_bare_and_bad_side_by_side() -> None:
    """Each record of a mixed page is read by the steps that it needs."""
    mixed = [
        invoice(id="1"),
        invoice(
            id="2", issueDate="2022-10-23", supplementalData={"content": {"a": {"issueDate": "2022-01-01"}}}
        ),
        invoice(id="3", issueDate="yesterday"),
        invoice(id="4", issueDate="2022-10-24"),
        invoice(id="5", invoiceNumber=5),
    ]
    read = (await codec.decode_page(page(*mixed), Invoice, on_invalid="skip")).results
    assert [record.id for record in read] == ["1", "2", "4", "5"]
    assert read[1].supplemental_data is not None
    assert read[1].supplemental_data.content == {"a": {"issueDate": "2022-01-01"}}


async def test_page_of_raw_push_operations() -> None:
    """The record in a push operation is unchanged if its type is not known."""
    operation = {
        "pushOperationKey": "k", "companyId": "c", "dataConnectionKey": "d", "status": "Success",
        "statusCode": 200, "requestedOnUtc": "2022-10-23", "data": {"issueDate": "2022-10-23"},
    }  # fmt: skip
    (read,) = (await codec.decode_page(page(operation), PushOperation[Any])).results
    assert read.requested_on_utc == datetime(2022, 10, 23)
    assert read.data is not None
    assert read.data == {"issueDate": "2022-10-23"}


# --- large pages -------------------------------------------------------------------------------------


def large(count: int, **changes: Any) -> bytes:
    """A page that is large enough to be decoded in slices."""
    filler = "x" * (pages._LARGE_PAGE // count)
    return page(*(invoice(id=str(number), note=filler, **changes) for number in range(count)))


@pytest.mark.parametrize("issued", ["2022-10-23T00:00:00", "2022-10-23"])
async def test_large_page_reads_the_same(issued: str) -> None:
    """A page in slices equals a page decoded at once, bare dates and supplemental data included."""
    held = {"content": {"a": {"issueDate": "2022-01-01"}}}
    text = large(300, issueDate=issued, supplementalData=held)
    assert len(text) > pages._LARGE_PAGE
    read = (await codec.decode_page(text, Invoice)).results
    assert [record.id for record in read] == [str(number) for number in range(300)]
    assert {record.issue_date for record in read} == {datetime(2022, 10, 23)}
    assert read[7].supplemental_data is not None
    assert read[7].supplemental_data.content == held["content"]


async def test_large_page_with_a_bad_record() -> None:
    """One invalid record does not affect the others."""
    text = large(300).replace(b'"id":"7"', b'"id":"7","lineItems":"none"')
    reported: list[InvalidRecord] = []
    read = await codec.decode_page(text, Invoice, on_invalid=reported.append)
    assert len(read.results) == 299
    assert [error.record_id for error in reported] == ["7"]


@pytest.mark.parametrize("total", [1, "none"])
async def test_a_large_page_lets_the_event_loop_run(total: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tasks get a turn for each quarter of a megabyte, and after a page is split into its records."""
    text = page(*(invoice(id=str(number), note="x" * 1000) for number in range(5000)))
    text = text.replace(b'"totalAmount":1.5', b'"totalAmount":%b' % json.dumps(total).encode(), 1)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    seen: dict[str, int] = {}

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            seen.setdefault(name, turns)
            return function(*args, **options)

        return call

    monkeypatch.setattr(pages, "split_page", noted("split", pages.split_page))
    monkeypatch.setattr(pages.SlicedPage, "_one_by_one", noted("read", pages.SlicedPage._one_by_one))
    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    sliced = codec.SlicedPage(text, Invoice, on_invalid="skip")
    async for records in sliced:
        sliced.head.results += records
    read = sliced.head
    task.cancel()
    assert set(seen) == (set() if total == 1 else {"split", "read"})
    assert not seen or 0 <= seen["split"] < seen["read"]
    assert len(read.results) == 5000 - (total != 1)
    assert turns >= len(text) // (pages._BETWEEN_PAUSES + pages.SLICE) > 5


NESTED = [{"id": "r", "name": "} ] [ {"}, {"id": "s"}, {"id": "t"}]
"""Records inside of a record that start as it does."""


def nested(number: int, repeat: int = 1) -> dict[str, Any]:
    """An invoice that contains lists of what looks like the start of another."""
    line = {"description": '},{"id":"', "trackingCategoryRefs": NESTED * repeat, "isDirectIncome": False}
    return invoice(id=str(number), lineItems=[line, {"id": "line", **line}])


@pytest.mark.parametrize("repeat", [1, 40])
@pytest.mark.parametrize("size", [1, 300, 1_000, 5_000])
async def test_slices_end_between_records(size: int, repeat: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they contain; if no end is found, the page is split into its records first."""
    monkeypatch.setattr(pages, "SLICE", size)
    monkeypatch.setattr(pages, "_BETWEEN_PAUSES", 20_000)
    text = page(*(nested(number, repeat) for number in range(30)))
    whole = (await codec.decode_page(text, Invoice)).results
    assert [each async for part in codec.SlicedPage(text, Invoice) for each in part] == whole


@pytest.mark.parametrize("size", [1, 1_000])
async def test_lists_within_records_are_not_cut(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their elements may start as the records do; the page is not split for it, nor for a bare date."""
    monkeypatch.setattr(pages, "SLICE", size)
    monkeypatch.setattr(pages, "split_page", None)
    records = [invoice(id=str(number), lineItems=[{"trackingCategoryRefs": NESTED}]) for number in range(30)]
    records[20]["dueDate"] = "2022-10-23"
    slices = [part async for part in codec.SlicedPage(page(*records), Invoice)]
    assert [each.id for part in slices for each in part] == [str(number) for number in range(30)]
    assert len(slices) == 30 if size == 1 else 5 < len(slices) < 30


RECORDS = b'{"id":"a"},{"id":"b"}'
REST = b'"pageNumber":1,"pageSize":9,"totalResults":2,"_links":{"next":{"href":"/?page=2"}}'
SHAPES = {
    "records first": b'{"results":[%b],%b}',
    "a list behind": b'{"results":[%b],"tags":[],%b}',
    "a list at the end": b'{"results":[%b],%b,"tags":[{}]}',
    "a list before": b'{"tags":[],"results":[%b],%b}',
    "an object before": b'{"meta":{},"results":[%b],%b}',
    "brackets in texts": b'{"note":"{\\"results\\":[","results":[%b],%b,"end":"]"}',
    "white space": b' {\n "note" : 1 ,\n "results" : [ %b ] , %b } ',
    "the same name inside": b'{"x":{"results":[{"id":"x"}]},"results":[%b],%b}',
    "only inside": b'{"x":{"results":[%b]},%b}',
    "in a list": b'{"x":[{"results":[%b]}],%b}',
    "a number that is null": b'{"results":[%b],%b,"pageSize":null}',
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_pages_of_any_shape(shape: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records of a page are the same in slices and at once, wherever they are in its text."""
    monkeypatch.setattr(pages, "SLICE", 1)
    for records in (RECORDS, b'{"id":"a"}', b""):
        text = shape % (records, REST)
        whole = await codec.decode_page(text, Account)
        sliced = codec.SlicedPage(text, Account)
        assert [each async for part in sliced for each in part] == whole.results
        whole.results = []
        assert sliced.head == whole
        assert whole.has_next


async def test_what_is_wrong_after_the_first_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The records before it are yielded, whether it is a record or the page that is malformed."""
    monkeypatch.setattr(pages, "SLICE", 1)
    found: list[str | None] = []

    async def read(text: bytes) -> None:
        found.clear()
        async for part in codec.SlicedPage(text, Account):
            found.extend(each.id for each in part)

    for second, error in ((b'{"id":"b","name":[]}', InvalidRecord), (b'{"id":"b",]}', DecodingError)):
        with pytest.raises(error):
            await read(b'{"results":[{"id":"a"},%b,{"id":"c"}],%b}' % (second, REST))
        assert found == ["a"]


@pytest.mark.parametrize("second", [0, 1, 3000])
async def test_two_lists_of_records(second: int) -> None:
    """The last counts, as in a small page, unless records of the first were yielded: then it is an error."""
    lists = [
        b",".join(b'{"id":"%d"}' % (start + number) for number in range(count))
        for start, count in ((0, 20_000), (50_000, second))
    ]
    text = b'{"results":[%b],"results":[%b],%b}' % (*lists, REST)
    found: list[str | None] = []

    async def read(text: bytes) -> None:
        found.clear()
        async for part in codec.SlicedPage(text, Account):
            found.extend(each.id for each in part)

    with pytest.raises(DecodingError, match="more than one list of records"):
        await read(text)
    assert found[:2] == ["0", "1"]
    await read(b'{"results":[{"id":"first"}],"results":[%b],%b}' % (lists[1], REST))
    assert found == [str(number) for number in range(50_000, 50_000 + second)]


@pytest.mark.parametrize("numbers", [True, False])
async def test_slices_are_cut_by_bytes(numbers: bool) -> None:
    """Each ends with the record that fills it, whatever the others are like, and whatever the records are."""
    sizes = [*[pages.SLICE // 4] * 5, 3 * pages.SLICE, 10, 10, pages.SLICE - 20, 5, pages.SLICE, 7]
    raws = [b"1" * size for size in sizes] if numbers else [b'{"id":"%b"}' % (b"1" * size) for size in sizes]
    slices = [each async for each in codec.SlicedPage(b'{"results":[%b],%b}' % (b",".join(raws), REST), Raw)]
    assert [len(each) for each in slices] == [4, 2, 3, 2, 1]
    assert [bytes(raw) for each in slices for raw in each] == raws
    assert [each async for each in codec.SlicedPage(page(), Raw)] == []


@pytest.mark.parametrize("size", [-1, 0, 1])
async def test_which_pages_are_sliced(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those from a fixed size on, in every run and for every type."""
    text = page(invoice())
    monkeypatch.setattr(pages, "_LARGE_PAGE", len(text) + size)
    empty = codec.SlicedPage(page(), Invoice)
    sliced: list[int] = []

    def made(data: bytes, kind: Any, **_: Any) -> codec.SlicedPage[Invoice]:
        sliced.append(len(data))
        return empty

    monkeypatch.setattr(pages, "SlicedPage", made)
    for _ in range(3):
        await codec.decode_page(text, Invoice)
    assert sliced == ([] if size > 0 else [len(text)] * 3)
