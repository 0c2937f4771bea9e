"""The lines of raw files: each names the reading and the list that its record belongs to."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from codat_async.bulk.units.unit import Unit

__all__ = ["Line", "empty_line", "head_of", "lines_of", "read_line", "split_line"]


class Line(Struct, frozen=True):
    """One line of a raw file.

    Of two lines with the same record id in the same list, the one with the newer ``modifiedDate``
    wins, then the one with the higher ``n``. A ``whole`` line removes all lines of its list with a
    lower ``n``.
    """

    n: int
    """The number of the reading, from one counter of the directory, drawn when the reading begins."""
    company_id: str
    whole: bool = False
    """Whether the reading is of the whole list, not only of what changed."""
    connection_id: str | None = None
    account_id: str | None = None
    read_at: datetime | None = None
    """When a report was read, or the company last listed; None for the records of lists."""
    listed: bool | None = None
    """Whether a company is still in the list of companies; None for other types."""
    record: Raw = Raw()
    """The bytes that the API sent; none if the list was read whole and is empty."""

    @property
    def source(self) -> tuple[str, str | None, str | None]:
        """The list within the type of the file."""
        return self.company_id, self.connection_id, self.account_id


_decode = msgspec.json.Decoder(Line).decode
_RECORD: Final = b',"record":'


def split_line(line: bytes) -> tuple[bytes, bytes]:
    """The head of a line, and its record; empty if it has none."""
    # In the head, quotes within ids are escaped, so the first match is the key.
    head, _, rest = line.partition(_RECORD)
    return (head, rest[:-1]) if rest else (head[:-1], b"")


def read_line(line: bytes) -> Line:
    """Decode a line; the record is not decoded, so it may be anything that the API sent."""
    head, record = split_line(line)
    found = _decode(head + b"}")
    return replace(found, record=Raw(record)) if record else found


def head_of(
    unit: Unit, n: int, *, whole: bool, read_at: datetime | None = None, listed: bool | None = None
) -> bytes:
    """The start of each line of a reading, up to the record."""
    fields: dict[str, int | bool | str | datetime] = {"n": n}
    if whole:
        fields["whole"] = True
    fields["company_id"] = unit.company
    if unit.connection:
        fields["connection_id"] = unit.connection
    if unit.parent:
        fields["account_id"] = unit.parent
    if read_at is not None:
        fields["read_at"] = read_at
    if listed is not None:
        fields["listed"] = listed
    return msgspec.json.encode(fields)[:-1]


def lines_of(head: bytes, records: Iterable[bytes | Raw]) -> bytes:
    """Lines of records that hold no line breaks; empty if there are no records."""
    texts = [*records]
    if not texts:
        return b""
    start, end = head + _RECORD, b"}\n"
    # Added to a record: adding them to the lines would copy all of those twice.
    texts[0] = start + texts[0]
    texts[-1] = bytes(texts[-1]) + end
    return (end + start).join(texts)


def empty_line(head: bytes) -> bytes:
    """The line of a list that was read whole and is empty."""
    return head + b"}\n"
