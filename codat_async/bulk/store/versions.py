"""Which version of a record is current, and hashes by which versions are recognised across runs."""

from array import array
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final, TypeAlias

from msgspec import Raw

from codat_async.bulk.store.lines import Line, read_line
from codat_async.bulk.store.state import microseconds
from codat_async.bulk.units.records import read_key

__all__ = ["MOST_HASHES", "current_lines", "pack_hashes", "unpack_hashes", "version_hash"]

MOST_HASHES: Final = 1000
"""Hashes of an overlap that the checkpoint keeps for a list; a list with more has a file of its own."""


def version_hash(identifier: object, modified_date: object) -> int:
    """A hash of a record's id and modified date, the same in every process; 0 without an id."""
    if identifier is None or identifier == "":
        return 0
    digest = blake2b(f"{identifier}\0{modified_date}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


_UNDATED: Final = -(1 << 63)
_Source: TypeAlias = tuple[str, str | None, str | None]


def current_lines(batches: Iterable[list[bytes]]) -> Iterator[Line]:
    """The current lines among those of any files of a type; all are read before the first is returned."""
    lines = [read_line(line) for batch in batches for line in batch]
    whole: dict[_Source, int] = {}
    for line in lines:
        if line.whole:
            whole[line.source] = max(line.n, whole.get(line.source, 0))
    best: dict[tuple[object, ...], tuple[int, int, int]] = {}
    for place, line in enumerate(lines):
        if not len(line.record) or line.n < whole.get(line.source, 0):
            continue
        identifier, modified = _key_of(line.record)
        name = (*line.source, identifier) if identifier is not None else (*line.source, None, place)
        rank = (modified, line.n, place)
        if name not in best or best[name] < rank:
            best[name] = rank
    for place in sorted(place for _, _, place in best.values()):
        yield lines[place]


def _key_of(record: Raw) -> tuple[str | None, int]:
    key = read_key(record)
    return key.id or None, _UNDATED if key.modified_date is None else _in_microseconds(key.modified_date)


def _in_microseconds(moment: datetime) -> int:
    """A modified date in microseconds, in UTC if it has no zone; undated if UTC has no such year."""
    try:
        utc = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
        return microseconds(utc)
    except OverflowError:
        return _UNDATED


def pack_hashes(hashes: Iterable[int]) -> bytes:
    """Hashes as the checkpoint keeps them, eight bytes each."""
    return array("q", sorted(hashes)).tobytes()


def unpack_hashes(packed: bytes) -> set[int]:
    """The reverse of :func:`pack_hashes`."""
    values = array("q")
    values.frombytes(packed)
    return set(values)
