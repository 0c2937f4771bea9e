"""Validation of records without decoding them: it accepts what the model accepts, and reads the key."""

from datetime import datetime
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import fields

from codat_async import codec, models
from codat_async.bulk.extract.validation import keyed_mirror, validator
from codat_async.bulk.units.records import RecordKey, read_key
from codat_async.errors import InvalidRecord

DAY = datetime(2024, 1, 2)
RECORDS = [
    model
    for name in models.__all__
    if isinstance(model := getattr(models, name), type)
    and issubclass(model, models.Record)
    and model is not models.Record
]


def payment(**changes: object) -> Raw:
    """A payment that the model accepts, but for the changes."""
    record = {
        "id": "p1",
        "modifiedDate": "2024-01-02T00:00:00",
        "date": "2024-01-02T00:00:00",
        "totalAmount": 1,
    }
    return Raw(msgspec.json.encode({**record, **changes}))


@pytest.mark.parametrize("model", RECORDS, ids=lambda model: model.__name__)
def test_the_quick_decoder_accepts_no_more_than_the_model(model: Any) -> None:
    """It has every field of the model, and rejects a record without a required one."""
    decode = codec.decoder(keyed_mirror(model)).plain
    if any(each.required for each in fields(model)):
        with pytest.raises(msgspec.ValidationError):
            decode(b"{}")
    for each in fields(model):
        if each.name != "unknown_fields":
            wrong = b'{"%b":[[]]}' % each.encode_name.encode()
            with pytest.raises(msgspec.ValidationError):
                msgspec.json.decode(wrong, type=model)
            with pytest.raises(msgspec.ValidationError):
                decode(wrong)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"totalAmount": "1.5"},
        {"date": "2024-01-02"},
        {"modifiedDate": "2024-01-02"},
        {"modifiedDate": " 2024-01-02 "},
        {"note": 5},
        {"lines": None},
        {"supplementalData": {"content": {"a": {"date": "2024-01-02"}}}, "date": "2024-01-02"},
    ],
)
def test_what_the_model_accepts_is_valid(changes: dict[str, object]) -> None:
    """Strictly or leniently; the key is that of the record."""
    key = validator(models.Payment)(payment(**changes))
    assert (key.id, key.modified_date) == ("p1", DAY)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"totalAmount": "much"}, "$.totalAmount"),
        ({"date": "soon"}, "$.date"),
        ({"modifiedDate": "x"}, "$.modifiedDate"),
    ],
)
def test_what_the_model_rejects_is_invalid(changes: dict[str, object], path: str) -> None:
    """With the path, the id and the bytes of the record."""
    record = payment(**changes)
    with pytest.raises(InvalidRecord) as caught:
        validator(models.Payment, operation="payments.list")(record)
    error = caught.value
    assert (error.path, error.record_id, error.raw) == (path, "p1", bytes(record))
    assert error.operation == "payments.list"


def test_a_model_without_the_fields_of_a_key() -> None:
    """They are read all the same, and a wrong date in them does not make the record invalid."""
    assert not {"id", "modified_date"} & {each.name for each in fields(models.CompanyInfo)}
    validate = validator(models.CompanyInfo)
    key = validate(Raw(b'{"id":"c","modifiedDate":"2024-01-02T00:00:00","companyName":"C"}'))
    assert (key.id, key.modified_date) == ("c", DAY)
    assert validate(Raw(b'{"id":"c","modifiedDate":"soon"}')) == RecordKey("c")


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (b'{"id":"a","modifiedDate":"2024-01-02T00:00:00"}', RecordKey("a", DAY)),
        (b'{"id":"a","modifiedDate":"2024-01-02"}', RecordKey("a", DAY)),
        (b'{"id":7}', RecordKey("7")),
        (b'{"id":"a","modifiedDate":"soon"}', RecordKey("a")),
        (b'{"id":"a","modifiedDate":5}', RecordKey("a")),
        (rb'{"id":"a","note":"\ud83d"}', RecordKey("a")),
        (rb'{"id":"\ud83d"}', RecordKey("\ufffd")),
        (b'{"id":"a","note":"\xff"}', RecordKey("a")),
        (b"5", RecordKey()),
        (b"null", RecordKey()),
        (b"[]", RecordKey()),
        (b"{", RecordKey()),
    ],
)
def test_the_key_of_any_record(record: bytes, key: RecordKey) -> None:
    """As far as it can be read, whatever else the record holds."""
    assert read_key(record) == key
