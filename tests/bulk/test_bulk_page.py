"""What is made of one page: keys, dates, and the records that no model accepts."""

from typing import Any

import msgspec
import pytest

from codat_async.bulk.extract.page import PreparedPage, comparable, prepare_page
from codat_async.errors import DecodingError, PagingError
from codat_async.models import Invoice, Payment

NAME = "payments.list"


def page(*records: object, **changes: Any) -> bytes:
    """A page that is the last."""
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


def digest(body: bytes, model: Any = Payment, *, check: bool = True) -> PreparedPage:
    """A digest that is not compressed."""
    return prepare_page(body, 1, model, lambda data: data, name=NAME, check=check)


def test_records_land_as_they_came_one_a_line() -> None:
    """Also from a page with line breaks in it."""
    records = [payment(1, note="two\nlines"), payment(2)]
    made = digest(page(*records))
    assert made.payload.split(b"\n")[:-1] == [msgspec.json.encode(each) for each in records]
    assert digest(msgspec.json.format(page(*records), indent=2)).payload == made.payload
    assert (made.rows, made.total, made.following, made.invalid) == (2, 2, None, [])


def test_an_invalid_record_keeps_its_key() -> None:
    """Its id and version are those of the same record in good shape, so that it is told apart as well."""
    good = digest(page(payment(1), payment(2)))
    bad = digest(page(payment(1), payment(2, totalAmount="much")))
    assert (bad.ids, bad.versions) == (good.ids, good.versions)
    (invalid,) = bad.invalid
    assert (invalid.row, invalid.id, invalid.path) == (1, "p2", "$.totalAmount")
    assert msgspec.json.decode(invalid.record) == payment(2, totalAmount="much")
    assert bad.payload.count(b"\n") == 2


@pytest.mark.parametrize("modified", ["yesterday", "2024-13-01T00:00:00Z", "2024-01-01T25:00:00Z"])
def test_a_modified_date_that_is_none_is_invalid(modified: str) -> None:
    """The quick check takes it as text; whether it is a date is looked at as well."""
    made = digest(page(payment(1), payment(2, modified)))
    assert [(each.row, each.path) for each in made.invalid] == [(1, "$.modifiedDate")]
    assert made.undated == 1
    assert made.last_modified == "2024-01-01T00:00:00.000000"


def test_bare_dates_are_no_fault() -> None:
    """Neither of the modified date nor of another, and the key is the text as it came."""
    made = digest(page(payment(1, "2024-02-01"), payment(2, date="2024-01-02"), payment(3)))
    assert made.invalid == []
    assert made.undated == 0
    assert made.last_modified == "2024-02-01T00:00:00.000000"
    again = digest(page(payment(1, "2024-02-01T00:00:00")))
    assert again.ids[0] == made.ids[0]
    assert again.versions[0] != made.versions[0]


def test_the_latest_of_dates_in_several_forms() -> None:
    """Compared as moments: one without an offset is in UTC."""
    dates = ["2024-01-01T10:00:00", "2024-01-01T12:30:00+02:00", "2024-01-01T10:15:00Z"]
    made = digest(page(*(payment(number, date) for number, date in enumerate(dates))))
    assert made.last_modified == "2024-01-01T10:30:00.000000"
    same_offset = digest(
        page(payment(1, "2024-01-01T12:30:00+02:00"), payment(2, "2024-01-01T12:15:00+02:00"))
    )
    assert same_offset.last_modified == "2024-01-01T10:30:00.000000"
    assert comparable("2024-01-01T12:30:00.25+02:00") == "2024-01-01T10:30:00.250000"
    assert comparable("soon") is comparable(5) is None


def test_records_without_date_or_id() -> None:
    """Nothing is known of when they changed, nor which they are."""
    made = digest(page(payment(1, None), {"totalAmount": 1, "date": "2024-01-01T00:00:00Z"}, payment(3)))
    assert made.undated == 2
    assert made.ids[1] == 0
    assert made.ids[0] != 0


@pytest.mark.parametrize("odd", [5, None, "text", [1], []])
def test_what_is_not_even_an_object(odd: object) -> None:
    """It lands, and is listed, whatever it is."""
    made = digest(page(payment(1), odd, payment(2)))
    assert [each.row for each in made.invalid] == [1]
    assert made.payload.split(b"\n")[1] == msgspec.json.encode(odd)
    assert made.ids[1] == 0
    assert made.undated == 1


def test_unchecked() -> None:
    """The keys are the same; nothing is invalid."""
    body = page(payment(1), payment(2, totalAmount="much"), payment(3, "2024-03-01T00:00:00Z"), 5)
    checked, unchecked = digest(body), digest(body, check=False)
    assert unchecked.invalid == []
    assert len(checked.invalid) == 2
    assert (unchecked.ids, unchecked.versions) == (checked.ids, checked.versions)
    assert unchecked.last_modified == checked.last_modified


def test_numbers_in_quotes_are_accepted_as_the_model_does() -> None:
    """The quick check refuses them; the model has the last word."""
    assert digest(page(payment(1, totalAmount="12.50"))).invalid == []


def test_what_is_no_page() -> None:
    """A list that cannot be read, or does not lead on."""
    for body in (b"<html>", b"[]", b"{}", b'{"error":"moved"}'):
        with pytest.raises(DecodingError):
            digest(body)
    with pytest.raises(PagingError):
        digest(page(payment(1), pageNumber=2))
    with pytest.raises(PagingError):
        digest(page(payment(1), totalResults=500, _links={"next": {"href": "/x?page=1"}}))


def test_required_fields_of_the_model() -> None:
    """A record that lacks one is invalid."""
    made = digest(page({"id": "i1"}), Invoice)
    assert [each.id for each in made.invalid] == ["i1"]
