"""Preparing a page: its keys, dates, and invalid records."""

from typing import Any

import msgspec
import pytest

from codat_async.bulk.extract.page import Preparation, PreparedPage, comparable, prepare_page
from codat_async.errors import DecodingError, PagingError
from codat_async.models import Invoice, Payment

NAME = "payments.list"
HEAD = b'{"n":1'


def page(*records: object, **changes: Any) -> bytes:
    """The last page of a list."""
    whole = {"results": records, "pageNumber": 1, "pageSize": 100, "totalResults": len(records), "_links": {}}
    return msgspec.json.encode({**whole, **changes})


def payment(number: int, modified: object = "2024-01-01T00:00:00Z", **more: object) -> dict[str, object]:
    """A payment that the model accepts."""
    return {
        "id": f"p{number}",
        "modifiedDate": modified,
        "totalAmount": 1.5,
        "date": "2024-01-01T00:00:00Z",
        **more,
    }


def prepared(body: bytes, model: Any = Payment, *, check: bool = True) -> PreparedPage:
    """The page, prepared and not compressed."""
    how = Preparation(
        name=NAME,
        model=model if check else None,
        head=HEAD,
        compress=lambda data: data,
        began=0,
        overlap=0,
        incremental=False,
    )
    return prepare_page(body, 1, how, compress=False)


def test_records_are_kept_as_received_one_a_line() -> None:
    """Also if the page has line breaks in it."""
    records = [payment(1, note="two\nlines"), payment(2)]
    made = prepared(page(*records))
    lines = made.payload.split(b"\n")[:-1]
    assert lines == [HEAD + b',"record":' + msgspec.json.encode(each) + b"}" for each in records]
    assert prepared(msgspec.json.format(page(*records), indent=2)).payload == made.payload
    assert (made.rows, made.total, made.following, made.invalid) == (2, 2, None, [])


def test_an_invalid_record_keeps_its_key() -> None:
    """Its id and version equal those of the same record without the fault, so it is deduplicated too."""
    good = prepared(page(payment(1), payment(2)))
    bad = prepared(page(payment(1), payment(2, totalAmount="much")))
    assert (bad.ids, bad.versions) == (good.ids, good.versions)
    (invalid,) = bad.invalid
    assert (invalid.row, invalid.id, invalid.path) == (1, "p2", "$.totalAmount")
    assert msgspec.json.decode(invalid.record) == payment(2, totalAmount="much")
    assert bad.payload.count(b"\n") == 2


@pytest.mark.parametrize("modified", ["yesterday", "2024-13-01T00:00:00Z", "2024-01-01T25:00:00Z"])
def test_an_unreadable_modified_date_makes_a_record_invalid(modified: str) -> None:
    """The quick check reads it as a string, so the date is checked in addition."""
    made = prepared(page(payment(1), payment(2, modified)))
    assert [(each.row, each.path) for each in made.invalid] == [(1, "$.modifiedDate")]
    assert made.undated == 1
    assert made.last_modified == "2024-01-01T00:00:00.000000"


def test_dates_without_a_time_are_valid() -> None:
    """In the modified date and in others; the key has the string as received."""
    made = prepared(page(payment(1, "2024-02-01"), payment(2, date="2024-01-02"), payment(3)))
    assert made.invalid == []
    assert made.undated == 0
    assert made.last_modified == "2024-02-01T00:00:00.000000"
    again = prepared(page(payment(1, "2024-02-01T00:00:00")))
    assert again.ids[0] == made.ids[0]
    assert again.versions[0] != made.versions[0]


def test_the_latest_modified_date_of_several_formats() -> None:
    """They are compared as points in time; one without an offset is in UTC."""
    dates = ["2024-01-01T10:00:00", "2024-01-01T12:30:00+02:00", "2024-01-01T10:15:00Z"]
    made = prepared(page(*(payment(number, date) for number, date in enumerate(dates))))
    assert made.last_modified == "2024-01-01T10:30:00.000000"
    same_offset = prepared(
        page(payment(1, "2024-01-01T12:30:00+02:00"), payment(2, "2024-01-01T12:15:00+02:00"))
    )
    assert same_offset.last_modified == "2024-01-01T10:30:00.000000"
    assert comparable("2024-01-01T12:30:00.25+02:00") == "2024-01-01T10:30:00.250000"
    assert comparable("soon") is comparable(5) is None


def test_records_without_date_or_id() -> None:
    """They count as undated, and have no hash."""
    made = prepared(page(payment(1, None), {"totalAmount": 1, "date": "2024-01-01T00:00:00Z"}, payment(3)))
    assert made.undated == 2
    assert made.ids[1] == 0
    assert made.ids[0] != 0


@pytest.mark.parametrize("odd", [5, None, "text", [1], []])
def test_a_record_that_is_not_an_object(odd: object) -> None:
    """It is kept, and listed as invalid."""
    made = prepared(page(payment(1), odd, payment(2)))
    assert [each.row for each in made.invalid] == [1]
    assert made.payload.split(b"\n")[1] == HEAD + b',"record":' + msgspec.json.encode(odd) + b"}"
    assert made.ids[1] == 0
    assert made.undated == 1


def test_a_page_without_validation() -> None:
    """The keys are the same, and no record is invalid."""
    body = page(payment(1), payment(2, totalAmount="much"), payment(3, "2024-03-01T00:00:00Z"), 5)
    checked, unchecked = prepared(body), prepared(body, check=False)
    assert unchecked.invalid == []
    assert len(checked.invalid) == 2
    assert (unchecked.ids, unchecked.versions) == (checked.ids, checked.versions)
    assert unchecked.last_modified == checked.last_modified


def test_numbers_in_quotes_are_accepted_as_the_model_does() -> None:
    """The quick check rejects them, so the model is tried."""
    assert prepared(page(payment(1, totalAmount="12.50"))).invalid == []


def test_a_body_that_is_not_a_page_raises() -> None:
    """Also a page that does not lead to the next one."""
    for body in (b"<html>", b"[]", b"{}", b'{"error":"moved"}'):
        with pytest.raises(DecodingError):
            prepared(body)
    with pytest.raises(PagingError):
        prepared(page(payment(1), pageNumber=2))
    with pytest.raises(PagingError):
        prepared(page(payment(1), totalResults=500, _links={"next": {"href": "/x?page=1"}}))


def test_a_record_without_a_required_field_is_invalid() -> None:
    """As the model requires it."""
    made = prepared(page({"id": "i1"}), Invoice)
    assert [each.id for each in made.invalid] == ["i1"]
