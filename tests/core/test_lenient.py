"""Records that are JSON and that no decoder accepts do not affect the others."""

import json
from typing import Any

import msgspec
import pytest

from codat_async import codec, models
from codat_async.codec import pages
from codat_async.codec.decoding import replace_lone_surrogates
from codat_async.errors import DecodingError, InvalidRecord

PAYMENT = {"id": "p1", "date": "2024-01-01T00:00:00Z", "totalAmount": 1}


def record(text: str, **changes: Any) -> bytes:
    """A payment whose note is this text, including its escapes."""
    return json.dumps({**PAYMENT, "note": "NOTE", **changes}).replace("NOTE", text).encode()


def page(*records: bytes) -> bytes:
    return b'{"pageNumber":1,"pageSize":9,"totalResults":9,"results":[' + b", ".join(records) + b"]}"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"\ude00 cut", "\ufffd cut"),
        (r"\uD83D\ud83d\uDE00", "\ufffd\U0001f600"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
        (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (r"\\\ud83d\n", "\\\ufffd\n"),
        (r"\u00e9\ud83d", "é\ufffd"),
    ],
)
async def test_lone_surrogates_are_replaced(text: str, read: str) -> None:
    """Also next to pairs, and to strings that only look like an escape; the length does not change."""
    cut = record(text)
    assert len(replace_lone_surrogates(cut)) == len(cut)
    assert codec.read(cut, models.Payment).note == read
    whole = record("whole", id="p2")
    read_page = await codec.decode_page(page(whole, cut, whole), models.Payment)
    assert [each.note for each in read_page.results] == ["whole", read, "whole"]


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud83d", "plain", r"\u00e9", "\\\\\\\\ud83d"])
def test_text_without_lone_surrogates_is_unchanged(text: str) -> None:
    """The same object is returned."""
    whole = record(text)
    assert replace_lone_surrogates(whole) is whole


def test_splitting_a_page_keeps_lone_surrogates() -> None:
    """Each record is unchanged."""
    records = [record("a"), record(r"\ud83d"), record("a"), record(r"\ude00", id="p2")]
    split = codec.split_page(page(*records))
    assert split.results is not None
    assert [bytes(each) for each in split.results] == records


async def test_lone_surrogates_do_not_hide_another_fault() -> None:
    """The error names what else is wrong with the record."""
    bad = record(r"\ud83d", totalAmount="much")
    with pytest.raises(InvalidRecord, match="totalAmount"):
        await codec.decode_page(page(record("a"), bad), models.Payment)
    with pytest.raises(InvalidRecord, match="totalAmount"):
        codec.read(bad, models.Payment)


async def test_a_number_too_large_costs_only_its_record() -> None:
    """An exponent of twenty digits is JSON, but too large for a ``Decimal``."""
    absurd = record("a").replace(b": 1,", b": 1e99999999999999999999,")
    seen: list[InvalidRecord] = []
    read = await codec.decode_page(page(record("b"), absurd), models.Payment, on_invalid=seen.append)
    assert [each.note for each in read.results] == ["b"]
    assert len(seen) == 1
    with pytest.raises(DecodingError):
        codec.read(absurd, models.Payment)


def _names(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize("sliced", [False, True])
async def test_supplemental_data_that_the_model_does_not_have(
    sliced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an unknown field like any other, also beside a bare date."""
    assert "supplemental_data" not in _names(models.PaymentMethod)
    if sliced:
        monkeypatch.setattr(pages, "_LARGE_PAGE", 0)
    method = b'{"id":"m","modifiedDate":"2024-01-01","supplementalData":{"content":5}}'
    read = await codec.decode_page(page(method), models.PaymentMethod)
    assert [each.id for each in read.results] == ["m"]
    single = codec.read(method, models.PaymentMethod)
    assert single.unknown_fields is not None
    assert "supplementalData" in single.unknown_fields
