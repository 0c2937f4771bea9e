"""Units of work, each one list or report of one company, and what a record that they read is known by."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from codat_async import codec
from codat_async.codec import DECODE_ERRORS
from codat_async.errors import DecodingError, InvalidRecord
from codat_middleware.text import one_line

__all__ = ["RecordKey", "Unit", "interleaved", "on_one_line", "read_key"]


class Unit(Struct, frozen=True):
    """One list: a type of a company, with the connection and bank account if the list is under one."""

    type: str
    company: str
    connection: str = ""
    parent: str = ""

    def __str__(self) -> str:
        parts = (self.company, self.type, self.connection, self.parent)
        return "/".join(one_line(part) for part in parts if part)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in the list's path, in order."""
        return tuple(part for part in (self.company, self.connection, self.parent) if part)


def interleaved(units: Iterable[Unit]) -> Iterator[Unit]:
    """The units, alternating between companies so that one company's limit does not hold up the others."""
    by_company: dict[str, deque[Unit]] = {}
    for unit in units:
        by_company.setdefault(unit.company, deque()).append(unit)
    ring = deque(by_company.values())
    while ring:
        queue = ring.popleft()
        yield queue.popleft()
        if queue:
            ring.append(queue)


class RecordKey(Struct, rename="camel", gc=False, frozen=True):
    """What identifies a version of a record."""

    id: str | None = None
    modified_date: datetime | None = None
    """Rounded to the microsecond, by the decoder that is fastest."""


def read_key(record: bytes | Raw) -> RecordKey:
    """Read a record's key, as far as it can be read; an empty one if the record is not an object."""
    try:
        return codec.decoder(RecordKey).plain(record)
    except DECODE_ERRORS:
        pass
    try:
        return codec.read(record, RecordKey)
    except DecodingError as failure:
        return RecordKey(failure.record_id if isinstance(failure, InvalidRecord) else None)


def on_one_line(record: bytes | Raw) -> bytes | Raw:
    """Return JSON without line breaks, as received if it has none; it need not be readable."""
    text = bytes(record)
    if b"\n" not in text and b"\r" not in text:
        return record
    try:
        return msgspec.json.format(text, indent=-1)
    except DECODE_ERRORS:
        # JSON has no line breaks inside strings.
        return text.translate(None, b"\r\n")
