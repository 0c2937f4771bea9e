"""Preparing a page: its keys, dates, and invalid records."""

import time
from datetime import datetime
from math import inf
from typing import Any

import msgspec
import pytest

from codat_async.bulk.extract.page import Preparation, PreparedPage, prepare_page, stable_hashes
from codat_async.bulk.store.state import microseconds
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


def preparation(model: Any = Payment, **changes: Any) -> Preparation:
    """How a whole list is prepared, but for the changes."""
    how = {"name": NAME, "model": model, "head": HEAD, "compress": bytes, "began": 0, "overlap": 0}
    return Preparation(**{**how, "incremental": False, **changes})


def prepared(body: bytes, model: Any = Payment, *, check: bool = True) -> PreparedPage:
    """The page, prepared and not compressed."""
    return prepare_page(body, 1, preparation(model if check else None), compress=False)


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
    assert bad.keys == good.keys
    (invalid,) = bad.invalid
    assert (invalid.row, invalid.id, invalid.path) == (1, "p2", "$.totalAmount")
    assert msgspec.json.decode(invalid.record) == payment(2, totalAmount="much")
    assert bad.payload.count(b"\n") == 2


@pytest.mark.parametrize("modified", ["yesterday", "2024-13-01T00:00:00Z", "2024-01-01T25:00:00Z"])
def test_an_unreadable_modified_date_makes_a_record_invalid(modified: str) -> None:
    """The record has a key without a date."""
    made = prepared(page(payment(1), payment(2, modified)))
    assert [(each.row, each.path) for each in made.invalid] == [(1, "$.modifiedDate")]
    assert made.undated == 1
    assert made.last_modified == "2024-01-01T00:00:00.000000"


def test_dates_without_a_time_are_valid() -> None:
    """In the modified date and in others; the version is the moment, however it is written."""
    made = prepared(page(payment(1, "2024-02-01"), payment(2, date="2024-01-02"), payment(3)))
    assert made.invalid == []
    assert made.undated == 0
    assert made.last_modified == "2024-02-01T00:00:00.000000"
    for same in ("2024-02-01T00:00:00", "2024-02-01T00:00:00Z", "2024-02-01T01:00:00+01:00"):
        (version,) = prepared(page(payment(1, same))).keys.hashes()
        assert version == next(made.keys.hashes())
    later = prepared(page(payment(1, "2024-02-01T00:00:00.000001Z"))).keys
    assert later.ids[0] == made.keys.ids[0]
    assert later.versions[0] > made.keys.versions[0]
    assert next(later.hashes()) != next(made.keys.hashes())


def test_the_latest_modified_date_of_several_formats() -> None:
    """They are compared as points in time; one without an offset is in UTC."""
    dates = ["2024-01-01T10:00:00", "2024-01-01T12:30:00+02:00", "2024-01-01T10:15:00Z"]
    made = prepared(page(*(payment(number, date) for number, date in enumerate(dates))))
    assert made.last_modified == "2024-01-01T10:30:00.000000"
    same_offset = prepared(
        page(payment(1, "2024-01-01T12:30:00+02:00"), payment(2, "2024-01-01T12:15:00+02:00"))
    )
    assert same_offset.last_modified == "2024-01-01T10:30:00.000000"
    out_of_range = ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "2024-01-01T12:30:00.25+02:00"]
    made = prepared(page(*(payment(number, date) for number, date in enumerate(out_of_range))))
    assert (made.last_modified, made.undated) == ("2024-01-01T10:30:00.250000", 0)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of the process cannot be set")
@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), "2023-02-28T23:59:59.999999"),
        (("2023-02-28T23:59:59.9999999Z",), "2023-02-28T23:59:59.999999"),
        (("2023-03-01T00:00:00Z",), "2023-03-01T00:00:00.000000"),
        (("2023-02-28T12:00:00",), "2023-02-28T23:59:59.999999"),
        (("2023-03-01T00:00:00.0000014Z",), "2023-03-01T00:00:00.000001"),
    ],
)
def test_the_latest_modified_date_is_cut_and_never_rounded(others: tuple[str, ...], expected: str) -> None:
    """A watermark after the last change read would leave out what changed at that moment."""
    records = [payment(1, "2023-02-28T23:59:59.9999999Z"), *(payment(2, each) for each in others)]
    for check in (True, False):
        assert prepared(page(*records), check=check).last_modified == expected
        assert prepared(page(*reversed(records)), check=check).last_modified == expected


def test_dates_without_a_zone_are_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the time zone of the process is."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        versions = [
            prepared(page(payment(1, f"2024-02-01T00:00:00{zone}"))).keys.versions for zone in ("", "Z")
        ]
    time.tzset()
    assert versions[0] == versions[1]


def test_versions_of_the_next_overlap() -> None:
    """Those within its length of the latest date, or of the beginning of the run if that is earlier."""
    day = 86_400_000_000
    rows = [payment(each, f"2024-01-{each:02d}T00:00:00.123456Z") for each in (1, 5, 9)]
    for began, numbers in (
        (microseconds(datetime(2024, 2, 1)), [5, 9]),
        (microseconds(datetime(2024, 1, 5)), [1, 5, 9]),
    ):
        how = preparation(began=began, overlap=4 * day, incremental=True)
        made = prepare_page(page(*rows), 1, how, compress=False)
        assert [moment for moment, _ in made.recent] == [
            microseconds(datetime(2024, 1, each, microsecond=123456)) for each in numbers
        ]
        assert [version for _, version in made.recent] == list(made.stable)[-len(numbers) :]
        assert sorted(stable_hashes(made.payload.splitlines())) == sorted(made.stable)


def test_records_without_date_or_id() -> None:
    """They count as undated, and have no hash."""
    made = prepared(page(payment(1, None), {"totalAmount": 1, "date": "2024-01-01T00:00:00Z"}, payment(3)))
    assert made.undated == 2
    assert made.keys.ids[1] == 0
    assert made.keys.ids[0] != 0
    assert made.keys.versions[0] == -inf
    assert list(made.keys.hashes())[1] == 0


@pytest.mark.parametrize("odd", [5, None, "text", [1], []])
def test_a_record_that_is_not_an_object(odd: object) -> None:
    """It is kept, and listed as invalid."""
    made = prepared(page(payment(1), odd, payment(2)))
    assert [each.row for each in made.invalid] == [1]
    assert made.payload.split(b"\n")[1] == HEAD + b',"record":' + msgspec.json.encode(odd) + b"}"
    assert made.keys.ids[1] == 0
    assert made.undated == 1


def test_a_page_without_validation() -> None:
    """The keys are the same, and no record is invalid."""
    body = page(payment(1), payment(2, totalAmount="much"), payment(3, "2024-03-01T00:00:00Z"), 5)
    checked, unchecked = prepared(body), prepared(body, check=False)
    assert unchecked.invalid == []
    assert len(checked.invalid) == 2
    assert unchecked.keys == checked.keys
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
