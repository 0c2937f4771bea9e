"""Spoils records in a rendered answer, without touching the digits of what it leaves alone."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from codat_async.sandbox.faults import IN_RECORDS, Fault, chance

__all__ = ["spoil"]

_DATE_FIELD: Final = re.compile(r"(?:[dD]ate|On|OnUtc)$")
_ENUM_FIELD: Final = re.compile(r"^(?:status|type|accountType|itemStatus|invoiceStatus)$")
_UNKNOWN_FIELDS: Final = {
    "sandboxScore": Raw(b"0.12345678901234567890"),
    "sandboxDetail": Raw(b'{"nested":[1,{"deep":null}]}'),
}

_split_page = msgspec.json.Decoder(dict[str, Raw]).decode
_split_list = msgspec.json.Decoder(list[Raw]).decode


def spoil(
    body: bytes, faults: Sequence[Fault], seed: int, *, page: bool, required: Sequence[str] = ()
) -> bytes:
    """The body with its record, or some records of its page, spoilt as the faults say.

    Whether a record is struck depends on the seed and its id, so that it is spoilt in the
    same way wherever it turns up. ``required`` are the fields that its type demands.
    """
    faults = [fault for fault in faults if fault.kind in IN_RECORDS]
    if not faults or not body.startswith(b"{"):
        return body
    outer = _split_page(body)
    if not page:
        return _spoil_record(body, faults, seed, required)
    records = _split_list(outer.get("results", Raw(b"[]")))
    outer["results"] = Raw(
        b"[" + b",".join(_spoil_record(bytes(record), faults, seed, required) for record in records) + b"]"
    )
    return msgspec.json.encode(outer)


def _spoil_record(record: bytes, faults: Sequence[Fault], seed: int, required: Sequence[str]) -> bytes:
    if not record.startswith(b"{"):
        return record
    fields = _split_page(record)
    identity = bytes(fields.get("id", b""))
    struck = [
        fault
        for number, fault in enumerate(faults)
        if chance(seed, number, fault.kind, identity) < fault.rate
    ]
    if not struck:
        return record
    for fault in struck:
        if fault.kind == "missing-field":
            _leave_out(fields, required)
        else:
            _SPOILERS[fault.kind](fields)
    return msgspec.json.encode(fields)


def _bad_enum(fields: dict[str, Raw]) -> None:
    _change_first(fields, _ENUM_FIELD, b"42")


def _unknown_enum(fields: dict[str, Raw]) -> None:
    _change_first(fields, _ENUM_FIELD, b'"AddedNextYear"')


def _bad_date(fields: dict[str, Raw]) -> None:
    _change_first(fields, _DATE_FIELD, b'"2026-02-30T25:00:00"')


def _change_first(fields: dict[str, Raw], names: re.Pattern[str], value: bytes) -> None:
    for name in fields:
        if names.search(name):
            fields[name] = Raw(value)
            return


def _date_only(fields: dict[str, Raw]) -> None:
    for name, value in fields.items():
        text = bytes(value)
        if _DATE_FIELD.search(name) and text.startswith(b'"') and b"T" in text:
            fields[name] = Raw(text.partition(b"T")[0] + b'"')


def _leave_out(fields: dict[str, Raw], required: Sequence[str]) -> None:
    # Where nothing is required, an id is still what nobody expects to miss.
    for name in (*required, "id"):
        if name in fields:
            del fields[name]
            return


def _unknown_field(fields: dict[str, Raw]) -> None:
    fields.update(_UNKNOWN_FIELDS)


_SPOILERS: Final[dict[str, Any]] = {
    "bad-enum": _bad_enum,
    "unknown-enum": _unknown_enum,
    "bad-date": _bad_date,
    "date-only": _date_only,
    "unknown-field": _unknown_field,
}
