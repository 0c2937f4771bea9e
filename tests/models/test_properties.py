"""Any record survives the way to JSON and back, to the last digit."""

import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from codat_async import models
from codat_async.models.base import Model, OpenEnum

ENCODER = msgspec.json.Encoder(decimal_format="number")
DEPTH = 2
"""How far records go into themselves; deeper optional parts are left out."""

STRUCTS = [
    held
    for name in models.__all__
    if isinstance(held := getattr(models, name), type) and issubclass(held, Model)
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)

decimals = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=28).map(tuple),
    st.integers(-28, 4),
).map(lambda amount: amount or abs(amount))  # msgspec reads -0 as 0, which nobody pays or is paid

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
datetimes = st.datetimes(timezones=st.none() | st.just(UTC) | offsets, allow_imaginary=True)

# What JSON without a type can hold. Fractions are Decimals here, as in the decoder below.
untyped = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.just(Decimal("0.10"))

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    bool: st.booleans(),
    int: st.integers(-(2**31), 2**31),
    Decimal: decimals,
    datetime: datetimes,
    Any: untyped,
}


def values(hint: Any, depth: int) -> st.SearchStrategy[Any]:
    """Values of a type hint, unlisted ones of its enumerations among them."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, TypeVar):
        return records(models.Journal, depth)
    if origin is Annotated:
        kind, bounds = arguments
        assert kind is int
        return st.integers(bounds.ge, bounds.le)
    if origin in (Union, types.UnionType):
        (inner,) = (part for part in arguments if part is not type(None))
        return st.none() | values(inner, depth)
    if origin is list:
        return st.lists(values(arguments[0], depth), max_size=2)
    if origin is dict:
        return st.dictionaries(texts, values(arguments[1], depth), max_size=2)
    if isinstance(hint, type) and issubclass(hint, OpenEnum):
        return st.sampled_from(hint) | texts.map(hint)
    assert issubclass(hint, Model), hint
    return records(hint, depth)


def holds_records(hint: Any) -> bool:
    return (isinstance(hint, type) and issubclass(hint, Model)) or any(map(holds_records, get_args(hint)))


def records(kind: type[Model], depth: int = DEPTH) -> st.SearchStrategy[Model]:
    """Instances of a Struct; its required fields always, the others sometimes."""
    required, optional = {}, {}
    for field in fields(kind):
        if field.name == "unknown_fields":
            continue
        if field.required:
            required[field.name] = values(field.type, depth - 1)
        elif depth > 0 or not holds_records(field.type):
            optional[field.name] = values(field.type, depth - 1)
    made = st.fixed_dictionaries(required, optional=optional)
    return made.map(lambda held: kind(**held))


def same(left: Any, right: Any) -> bool:
    """Equal, and written alike: Decimals to the same digits, times in the same zone or none."""
    if isinstance(left, Model):
        return type(left) is type(right) and all(
            same(getattr(left, field.name), getattr(right, field.name)) for field in fields(left)
        )
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, datetime):
        return isinstance(right, datetime) and left == right and left.utcoffset() == right.utcoffset()
    return type(left) is type(right) and bool(left == right)


@pytest.mark.parametrize("kind", STRUCTS)
def test_a_record_comes_back_as_it_went(kind: type[Model]) -> None:
    decode: Callable[[bytes], Model] = msgspec.json.Decoder(
        kind[models.Journal] if getattr(kind, "__parameters__", ()) else kind,  # type: ignore[index]
        float_hook=Decimal,
    ).decode

    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(records(kind))
    def check(record: Model) -> None:
        wire = ENCODER.encode(record)
        back = decode(wire)
        assert back == record
        assert same(record, back)
        assert ENCODER.encode(back) == wire

    check()


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(decimals)
def test_money_keeps_every_digit(amount: Decimal) -> None:
    line = models.BillPaymentLine(amount=amount)
    back = msgspec.json.decode(ENCODER.encode(line), type=models.BillPaymentLine)
    assert back.amount == amount
    assert back.amount.as_tuple() == amount.as_tuple()


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(datetimes)
def test_times_keep_their_zone_or_the_lack_of_one(moment: datetime) -> None:
    back = msgspec.json.decode(ENCODER.encode(models.Account(modified_date=moment)), type=models.Account)
    assert back.modified_date == moment
    assert back.modified_date is not None
    assert back.modified_date.utcoffset() == moment.utcoffset()
