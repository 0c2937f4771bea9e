"""What records have that the models do not describe, without the values themselves."""

import re
from collections import Counter
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from msgspec import Raw
from msgspec.structs import fields

from codat_async import codec
from codat_async.check.probe import tree_of
from codat_async.errors import DecodingError
from codat_async.models.base import Model, OpenEnum

__all__ = ["Survey"]

_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,39}")
_WORD: Final = re.compile(r"[A-Za-z]{1,40}")
_BARE_DATE: Final = re.compile(rb'"(\d{4}-\d\d-\d\d)"')
_DATE: Final = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"(?P<time>[Tt ]\d\d:\d\d:\d\d(?P<fraction>\.\d{1,7})?(?P<zone>Z|[+-]\d\d:\d\d)?)?"
)


class Survey:
    """Reads records as the client does, and collects what differs from the models."""

    def __init__(self) -> None:
        self.records = 0
        self.unknown_fields: set[str] = set()
        """By data type and path."""
        self.unknown_values: set[str] = set()
        """Of enumerations, by data type and path."""
        self.coerced: Counter[str] = Counter()
        """Why records needed the lenient reading, other than for a date without a time."""
        self.unreadable: Counter[str] = Counter()
        """Why records could not be read at all."""
        self.date_forms: Counter[str] = Counter()
        self.odd_dates: set[str] = set()
        """Fields with dates in a form that is not documented."""
        self.decimals = 0
        self.scale = 0
        """The most digits after the point."""
        self.wide_decimals: set[str] = set()
        """Fields with a number of more than 28 digits before the point, or more than 10 after it."""

    def add(self, name: str, model: Any, raw: bytes | Raw) -> None:
        """Read one record."""
        self.records += 1
        data = bytes(raw)
        try:
            codec.decoder(model).decode(_BARE_DATE.sub(rb'"\1T00:00:00"', data))
        except codec.DECODE_ERRORS as failure:
            self.coerced[f"{name}: {failure}"] += 1
        try:
            record = codec.read(data, model, unknown_fields=False)
        except DecodingError as failure:
            self.unreadable[f"{name}: {failure.reason} at {failure.path}"] += 1
            return
        self._walk(name, record, tree_of(data))

    def _walk(self, place: str, value: Any, tree: Any) -> None:
        if isinstance(value, Model) and isinstance(tree, dict):
            names = _names(type(value))
            for wire_name, below in tree.items():
                if wire_name in names:
                    self._walk(f"{place}.{wire_name}", getattr(value, names[wire_name]), below)
                else:
                    self.unknown_fields.add(f"{place}.{_plain(wire_name, _FIELD)}")
        elif isinstance(value, list) and isinstance(tree, list):
            for each, below in zip(value, tree, strict=False):
                self._walk(place, each, below)
        elif isinstance(value, dict) and isinstance(tree, dict):
            # The keys are the platform's own: data, not fields.
            for key, each in value.items():
                if isinstance(each, Model):
                    self._walk(place, each, tree.get(key))
        elif isinstance(value, OpenEnum):
            if not value.is_known:
                self.unknown_values.add(f"{place}: {_plain(value, _WORD)}")
        elif isinstance(value, datetime):
            self._date(place, str(tree))
        elif isinstance(value, Decimal):
            self._decimal(place, value)

    def _date(self, place: str, text: str) -> None:
        found = _DATE.fullmatch(text)
        if found is None:
            self.odd_dates.add(place)
            return
        zone = found["zone"] and ("Z" if found["zone"] == "Z" else "an offset")
        fraction = found["fraction"]
        parts = [
            "a date" + (" and time" if found["time"] else " alone"),
            f"with {len(fraction) - 1} digits of a second" if fraction else "",
            f"with {zone}" if zone else "",
        ]
        self.date_forms[" ".join(filter(None, parts))] += 1

    def _decimal(self, place: str, value: Decimal) -> None:
        self.decimals += 1
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            return
        significant = len(str("".join(map(str, digits))).rstrip("0"))
        scale = max(0, significant - (len(digits) + exponent)) if significant else 0
        self.scale = max(self.scale, scale)
        if scale > 10 or len(digits) + exponent > 28:
            self.wide_decimals.add(place)


@cache
def _names(kind: type[Model]) -> dict[str, str]:
    """The attribute of each field, by its name on the wire."""
    return {field.encode_name: field.name for field in fields(kind)}


def _plain(text: str, pattern: re.Pattern[str]) -> str:
    """A name that cannot hold anything personal; other text is only described."""
    return str(text) if pattern.fullmatch(text) else f"({len(text)} characters)"
