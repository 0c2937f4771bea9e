"""Times are cut to microseconds and never move forward, and are sent back as they were received."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_async import codec, errors, models
from codat_async.models import (
    Account,
    Bill,
    Company,
    CompanyInfo,
    Connection,
    Contact,
    Customer,
    PushOperation,
)

END = "2023-02-28T23:59:59.9999999"
CUT = datetime(2023, 2, 28, 23, 59, 59, 999999)


def decoded(text: str) -> datetime | None:
    return codec.read(json.dumps({"modifiedDate": text}).encode(), Account).modified_date


async def at_once(text: str) -> datetime | None:
    body = json.dumps({"results": [{"id": "1", "modifiedDate": text}], "pageNumber": 1}).encode()
    return (await codec.decode_page(body, Account)).results[0].modified_date


async def in_slices(text: str) -> datetime | None:
    records = [{"id": str(number), "modifiedDate": text} for number in range(3)]
    page = codec.SlicedPage(json.dumps({"results": records, "pageNumber": 1}).encode(), Account)
    found = [record.modified_date async for part in page for record in part]
    assert len(set(found)) == 1
    return found[0]


# --- never forward --------------------------------------------------------------------------------


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, Fraction]:
    """A time in one of the API's forms, and the exact microseconds from the year 1 to it."""
    moment = draw(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 28)))
    moment = moment.replace(microsecond=0)
    digits = draw(st.text("0123456789", max_size=12) | st.sampled_from(["9999999", "4999995", "0000005"]))
    minutes = draw(st.sampled_from([None, 0, 60, -300, 330]))
    zone = "" if minutes is None else draw(st.sampled_from(["Z", "z"])) if minutes == 0 else ""
    if minutes:
        sign = "+" if minutes > 0 else "-"
        zone = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    separator = draw(st.sampled_from("Tt "))
    text = f"{moment:%Y-%m-%d}".zfill(10) + separator + f"{moment:%H:%M:%S}"
    exact = Fraction((moment - datetime(1, 1, 1)) // timedelta(seconds=1)) - (minutes or 0) * 60
    if digits:
        exact += Fraction(int(digits), 10 ** len(digits))
        text += "." + digits
    return text + zone, exact * 10**6


def microseconds(moment: datetime) -> int:
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - datetime(1, 1, 1)) // timedelta(microseconds=1)


@given(texts())
async def test_no_time_moves_forward_by_being_read(case: tuple[str, Fraction]) -> None:
    """Read alone, on a page or in slices, a time is the last microsecond that is not after it."""
    text, exact = case
    for read in (decoded(text), await at_once(text), await in_slices(text)):
        assert read is not None
        assert microseconds(read) == exact // 1


@pytest.mark.parametrize("zone", ["", "Z", "+01:00"])
@pytest.mark.parametrize("dumps", [json.dumps, lambda value: json.dumps(value, separators=(",", ":"))])
def test_period_end_stays_in_its_month(zone: str, dumps: Callable[[Any], str]) -> None:
    """The end of February is not read as the first of March, at any depth of a report."""
    report = {"fromDate": "2023-02-01T00:00:00", "toDate": END + zone}
    amounts = dict.fromkeys(("grossProfit", "netOperatingProfit", "netOtherIncome", "netProfit"), 0)
    answer = {"reports": [report | amounts], "mostRecentAvailableMonth": END + zone}
    read = codec.read(dumps(answer).encode(), models.ProfitAndLossReports)
    for moment in (read.reports[0].to_date, read.most_recent_available_month):
        assert moment is not None
        assert moment.replace(tzinfo=None) == CUT


@pytest.mark.parametrize("supplemental", [{}, {"supplementalData": {"content": {"a": {"dueDate": END}}}}])
def test_strings_that_look_like_times_are_not_cut(supplemental: dict[str, Any]) -> None:
    """Only dates are: not other fields, not unknown ones, not untyped content under the same name."""
    bill = {
        "issueDate": END, "reference": END, "status": "Open", "subTotal": 0, "taxAmount": 0, "totalAmount": 0,
        "note": f'"dueDate":"{END}"', "new": {"dueDate": END}, **supplemental,
    }  # fmt: skip
    read = codec.read(json.dumps(bill).encode(), Bill)
    assert (read.issue_date, read.reference, read.note) == (CUT, END, bill["note"])
    if supplemental:
        assert read.supplemental_data is not None
        assert read.supplemental_data.content == {"a": {"dueDate": END}}
    assert json.loads(codec.encode(read)) == bill


async def test_supplemental_data_on_a_page_is_not_cut() -> None:
    """It keeps its strings on a page and in slices, also when dates are bare."""
    held = {"content": {"a": {"modifiedDate": END, "createdDate": "2023-02-28"}}}
    for date in (END, "2023-02-28"):
        record = {"id": "1", "modifiedDate": END, "sourceModifiedDate": date, "supplementalData": held}
        body = json.dumps({"results": [record] * 3, "pageNumber": 1}).encode()
        page = await codec.decode_page(body, Account)
        slices = [each async for part in codec.SlicedPage(body, Account) for each in part]
        for account in (*page.results, *slices):
            assert account.modified_date == CUT
            assert account.supplemental_data is not None
            assert account.supplemental_data.content == held["content"]


def test_several_records_at_once() -> None:
    """In a list or mapping of records, dates are cut and supplemental data is not."""
    held = {"content": {"a": {"modifiedDate": END}}}
    record = {"id": "1", "modifiedDate": END, "supplementalData": held}
    several = codec.read(json.dumps([record, {"modifiedDate": END}]).encode(), list[Account])
    named = codec.read(json.dumps({"a": record}).encode(), dict[str, Account])
    for account in (*several, *named.values()):
        assert account.modified_date == CUT
    for account in (several[0], named["a"]):
        assert account.supplemental_data is not None
        assert account.supplemental_data.content == held["content"]


async def test_types_with_untyped_content() -> None:
    """Their dates are cut and the untyped content is not."""
    connection = {"id": "n", "status": "Linked", "created": END, "connectionInfo": {"created": END}}
    read = codec.read(json.dumps(connection).encode(), Connection)
    assert (read.created, read.connection_info) == (CUT, {"created": END})
    operation = {
        "pushOperationKey": "k", "companyId": "c", "status": "Success", "requestedOnUtc": END,
        "data": {"requestedOnUtc": END},
    }  # fmt: skip
    kind = PushOperation[Any]
    pushed = codec.read(json.dumps(operation).encode(), kind)
    assert (pushed.requested_on_utc, pushed.data) == (CUT, {"requestedOnUtc": END})
    found = codec.read(json.dumps({"a": operation, "b": operation}).encode(), dict[str, kind])  # type: ignore[valid-type]
    assert {each.requested_on_utc for each in found.values()} == {CUT}
    page = await codec.decode_page(json.dumps({"results": [operation]}).encode(), kind)
    assert [(each.requested_on_utc, each.data) for each in page.results] == [(CUT, {"requestedOnUtc": END})]


def test_untyped_content_beside_a_list_that_is_null() -> None:
    """Null is read as an empty list."""
    connection = {"id": "n", "status": "Linked", "connectionInfo": {"created": END}}
    companies = [
        {"id": "a", "name": "A", "created": END, "dataConnections": [connection]},
        {"id": "b", "name": "B", "dataConnections": None},
    ]
    first, second = codec.read(json.dumps(companies).encode(), list[Company])
    assert (first.created, first.data_connections[0].connection_info) == (CUT, {"created": END})
    assert second.data_connections == []


def test_supplemental_data_beside_what_is_not_utf8() -> None:
    """A name that is not UTF-8, and has no place in the model, costs no date and no other content."""
    held = b'"supplementalData":{"content":{"a":{"modifiedDate":"%b"}}}' % END.encode()
    for date in (END, "2023-02-28"):
        text = b'{"modifiedDate":"%b","n\xf6":1,"x":1e99999999999999999999,%b}' % (date.encode(), held)
        account = codec.read(text, Account, unknown_fields=False)
        assert account.modified_date == (CUT if date == END else datetime(2023, 2, 28))
        assert account.supplemental_data is not None
        assert account.supplemental_data.content == {"a": {"modifiedDate": END}}


# --- sent back as received -------------------------------------------------------------------------

DATES = st.sampled_from(
    [
        "2023-02-28",
        END,
        END + "Z",
        "2023-02-28T23:59:59.1234567+01:00",
        "2023-02-28T10:00:00Z",
        "2023-02-28T10:00:00",
    ]
)


@given(st.tuples(DATES, DATES, DATES))
def test_dates_are_sent_as_received(dates: tuple[str, str, str]) -> None:
    """A record that is read, changed in another field and sent has the dates it came with, at any depth."""
    sent = {
        "id": "c", "modifiedDate": dates[0], "status": "Active",
        "contacts": [{"name": "A", "status": "Active", "modifiedDate": dates[1]}, {"modifiedDate": dates[2]}],
    }  # fmt: skip
    customer = codec.read(json.dumps(sent).encode(), Customer)
    customer.customer_name = "New"
    assert json.loads(codec.encode(customer)) == sent | {"customerName": "New"}


def test_changed_dates_are_sent() -> None:
    """A date that was changed, removed or set to null is not sent as it was received."""
    text = json.dumps({"ledgerLockDate": "2023-02-28", "createdDate": END, "financialYearStartDate": END})
    info = codec.read(text.encode(), CompanyInfo)
    info.ledger_lock_date = datetime(2023, 3, 1)
    info.created_date = None
    info.financial_year_start_date = models.NULL
    sent = json.loads(codec.encode(info))
    assert sent == {"ledgerLockDate": "2023-03-01T00:00:00", "financialYearStartDate": None}


def test_read_only_dates_stay_out_of_a_create() -> None:
    """A record that was read has no modified date when it is created again."""
    account = codec.read(json.dumps({"id": "a", "modifiedDate": END, "name": "Sales"}).encode(), Account)
    assert json.loads(codec.encode(account, omit_read_only=True)) == {"name": "Sales"}


def test_records_without_such_dates_have_no_unknown_fields() -> None:
    """Dates that a datetime can hold are not kept twice."""
    account = codec.read(b'{"modifiedDate": "2023-02-28T10:00:00.123Z"}', Account)
    assert account.unknown_fields is None
    contact = codec.read(b'{"modifiedDate": "2023-02-28"}', Contact)
    assert list(contact.unknown_fields or {}) == ["modifiedDate"]


def test_dates_of_a_model_inside_itself_are_corrected() -> None:
    """At each depth, cut or without a time; what is malformed elsewhere keeps its place in the error."""
    tree: dict[str, Any] = {"id": "1", "modifiedDate": "2023-02-28"}
    for number in range(3):
        tree = {"id": str(number), "modifiedDate": END, "subCategories": [tree, {"modifiedDate": END}]}
    found = codec.read(json.dumps(tree).encode(), models.TrackingCategoryTree)
    for _ in range(3):
        assert found.modified_date == CUT
        assert found.sub_categories is not None
        assert found.sub_categories[1].modified_date == CUT
        found = found.sub_categories[0]
    assert found.modified_date == datetime(2023, 2, 28)
    for field in ("status", "subCategories"):
        tree["subCategories"][0]["subCategories"][1] = {field: {}}
        with pytest.raises(errors.InvalidRecord) as caught:
            codec.read(json.dumps(tree).encode(), models.TrackingCategoryTree)
        assert caught.value.path == f"$.subCategories[0].subCategories[1].{field}"
