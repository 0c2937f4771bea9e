"""Decoding and encoding a record, with known and unknown content, changes nothing."""

import json
import types
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from codat_async import codec, models
from codat_async.codec import pages
from codat_async.errors import DecodingError
from codat_async.models import Account, Invoice, JournalEntry
from codat_async.models.base import Model

DEPTH = 3
"""The depth of a record; optional fields below it are absent."""

KINDS = [models.Invoice, models.Bill, models.DirectCost, models.JournalEntry, models.Customer, models.Account,
         models.Item, models.PurchaseOrder, models.Payment, models.CreditNote, models.TrackingCategoryTree,
         models.BalanceSheets, models.PushOption, models.Company, models.BankTransaction]  # fmt: skip

relaxed = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
amounts = (
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**16), max_value=10**16, places=4)
    | st.builds(
        lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=28),
        st.integers(-30, 6),
    )
).filter(lambda amount: str(amount) != "-0")
"""Any number but the whole -0, whose sign the decoder drops."""
zones = (
    st.none()
    | st.just(UTC)
    | st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
moments = st.datetimes(timezones=zones, allow_imaginary=True)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts | amounts,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(texts, inside, max_size=3),
    max_leaves=5,
)
extras = st.dictionaries(texts.map(lambda text: f"later {text}"), anything, max_size=2)


def tree(hint: Any, depth: int, extended: bool) -> st.SearchStrategy[Any]:
    """JSON for a type hint, as the API could send it: with values and fields added after this version."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.one_of([tree(part, depth, extended) for part in arguments if part is not type(None)])
    if origin is list:
        return st.lists(tree(arguments[0], depth - 1, extended), max_size=2)
    if origin is dict:
        return st.dictionaries(texts, tree(arguments[1], depth - 1, extended), max_size=2)
    if isinstance(hint, type) and issubclass(hint, Model):
        return st.deferred(lambda: record(hint, depth, extended))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from([member.value for member in hint]) | texts.map(lambda text: f"New{text}")
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: texts, bool: st.booleans(), int: st.integers(-(2**31), 2**31), Decimal: amounts,
        datetime: moments,
    }  # fmt: skip
    return plain.get(hint, anything)


@cache
def record(kind: type[Model], depth: int = DEPTH, extended: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """JSON for a model: all it needs, some of the rest, and fields that it has no name for."""
    needed, free = {}, {}
    for field in fields(kind):
        if field.required:
            needed[field.encode_name] = tree(field.type, depth - 1, extended)
        elif field.name != "unknown_fields" and depth > 0:
            free[field.encode_name] = tree(field.type, depth - 1, extended)
    known = st.fixed_dictionaries(needed, optional=free)
    return st.builds(lambda one, other: {**other, **one}, known, extras) if extended else known


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that only yields to the event loop; this is faster than an event loop."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value


ENCODER = msgspec.json.Encoder(decimal_format="number")


def digits(text: bytes) -> Any:
    """JSON with every number as its digits, so that comparing is exact."""
    return json.loads(text, parse_float=str, parse_int=str)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_decoding_and_encoding_is_the_identity(kind: type[Model]) -> None:
    """Every field, unknown value, unknown field and digit is encoded as received."""

    @relaxed
    @given(record(kind))
    def holds(value: dict[str, Any]) -> None:
        if kind is models.Company:
            # Its connections are a list whether the API sends one or not.
            value["dataConnections"] = value.get("dataConnections") or []
        text = ENCODER.encode(value)
        decoded = codec.read(text, kind)
        encoded = codec.encode(decoded)
        assert digits(encoded) == digits(text)
        assert codec.encode(codec.read(encoded, kind)) == encoded

    holds()


@relaxed
@given(st.lists(record(Invoice, DEPTH, False), max_size=4))
def test_page_is_its_records(values: list[dict[str, Any]]) -> None:
    """A page decoded at once, a page in slices and single records are equal."""
    rest = {"pageNumber": 1, "pageSize": 9, "totalResults": len(values), "_links": {}}
    text = ENCODER.encode({"results": values, **rest})
    single = [codec.read(ENCODER.encode(value), Invoice) for value in values]
    for limit, cut in ((pages._LARGE_PAGE, 0), (0, pages.SLICE), (0, 1)):
        with patch.object(pages, "_LARGE_PAGE", limit), patch.object(pages, "SLICE", cut):
            page = finished(codec.decode_page(text, Invoice))
        assert [codec.encode(record) for record in page.results] == [
            codec.encode(record) for record in single
        ]


@relaxed
@given(amounts)
@example(Decimal("12345678901234567.89"))
@example(Decimal("0.1"))
@example(Decimal("1E+2"))
def test_money_survives(amount: Decimal) -> None:
    """Any number keeps its digits, also if another field of its record is coerced."""
    text = b'{"id":"a","nominalCode":7,"currentBalance":%b}' % str(amount).encode()
    account = codec.read(text, Account)
    assert str(account.current_balance) == str(amount)
    assert b'"currentBalance":%b' % str(amount).encode() in codec.encode(account)


FORMS: list[Callable[[datetime], str]] = [
    lambda moment: moment.isoformat(),
    lambda moment: moment.isoformat().replace("+00:00", "Z"),
    lambda moment: (
        f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}0{moment.strftime('%z')}"
    ),
]


@relaxed
@given(moments, st.sampled_from(FORMS))
def test_moments_never_shift(moment: datetime, form: Callable[[datetime], str]) -> None:
    """A moment keeps its time and zone, and is encoded unchanged."""
    entry = codec.read(json.dumps({"postedOn": form(moment)}).encode(), JournalEntry)
    again = codec.read(codec.encode(entry), JournalEntry)
    for read in (entry.posted_on, again.posted_on):
        assert read is not None
        assert read.replace(tzinfo=None) == moment.replace(tzinfo=None)
        assert read.utcoffset() == moment.utcoffset()


@relaxed
@given(st.dates(), texts, st.dictionaries(texts, st.dates().map(str), max_size=2))
def test_bare_dates_never_shift(day: date, note: str, content: dict[str, str]) -> None:
    """A bare date is midnight, in a page and in a record; strings that look like one are unchanged."""
    said = {"id": str(day), "description": f'{note} "postedOn":"{day}"', "postedOn": str(day)}
    said |= {"supplementalData": {"content": {"own": {**content, "postedOn": str(day)}}}}  # type: ignore[dict-item]
    text = json.dumps({"results": [said], "pageNumber": 1}, separators=(",", ":")).encode()
    (listed,) = finished(codec.decode_page(text, JournalEntry)).results
    single = codec.read(json.dumps(said).encode(), JournalEntry)
    for entry in (listed, single):
        assert entry.posted_on == datetime.combine(day, time())
        assert (entry.id, entry.description) == (said["id"], said["description"])
        assert entry.supplemental_data is not None
        assert entry.supplemental_data.content == {"own": {**content, "postedOn": str(day)}}


@relaxed
@given(st.binary(max_size=200) | texts.map(str.encode) | anything.map(ENCODER.encode))
def test_no_body_breaks_the_decoder(text: bytes) -> None:
    """For any body the result is a record, a page, or a DecodingError."""
    for read in (lambda: codec.read(text, Invoice), lambda: finished(codec.decode_page(text, Invoice))):
        with suppress(DecodingError):
            read()
