"""Integer keys for the names that the rows of a checkpoint are about."""

import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

from codat_async.bulk.units.unit import Unit

__all__ = ["KeySet", "Keys", "pack_keys", "types_in", "unpack_keys"]

_CACHED: Final = 2_000
"""Companies and places whose keys are kept: lists of a company are read one after the other."""
_MOST_TYPES: Final = 62


class Keys:
    """Keys of data types, companies, and places (a connection and an account); made when first asked for."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._types: dict[str, int] = {}
        self._companies: dict[str, int] = {}
        self._places: dict[tuple[str, str], int] = {("", ""): 0}
        self._type_names: dict[int, str] = {}

    def clear(self) -> None:
        """Drop what is cached: keys made in a transaction that was rolled back are no keys."""
        self.__init__(self._db)  # type: ignore[misc]

    def type(self, name: str) -> int:
        """The key of a data type."""
        key = self._types.get(name)
        if key is None:
            key = self._make("types", "name", name)
            if key > _MOST_TYPES:
                raise ValueError(f"more than {_MOST_TYPES} data types in one checkpoint")
            self._types[name] = key
        return key

    def types(self, names: Iterable[str]) -> int:
        """A set of data types as one number, a bit for each key."""
        mask = 0
        for name in names:
            mask |= 1 << self.type(name)
        return mask

    def type_name(self, key: int) -> str:
        """The data type of a key."""
        if key not in self._type_names:
            self._type_names = dict(self._db.execute("select key, name from types").fetchall())
        return self._type_names[key]

    def company(self, company: str) -> int:
        """The key of a company id."""
        key = self._companies.get(company)
        if key is None:
            key = self._make("companies", "id", company)
            if len(self._companies) >= _CACHED:
                self._companies.clear()
            self._companies[company] = key
        return key

    def place(self, connection: str, account: str) -> int:
        """The key of a connection and an account; 0 for neither."""
        key = self._places.get((connection, account))
        if key is None:
            row = self._db.execute(
                "insert into places (connection, account) values (?, ?)"
                " on conflict do update set account = account returning key",
                (connection, account),
            ).fetchone()
            if len(self._places) >= _CACHED:
                self._places = {("", ""): 0}
            key = self._places[connection, account] = int(row[0])
        return key

    def of(self, unit: Unit) -> tuple[int, int, int]:
        """The key of a list: of its company, type and place."""
        return self.company(unit.company), self.type(unit.type), self.place(unit.connection, unit.parent)

    def _make(self, table: str, column: str, value: str) -> int:
        # Looked up first: an insert that does nothing still takes the lock for writing.
        row = self._db.execute(f"select key from {table} where {column} = ?", (value,)).fetchone()
        if row is None:
            row = self._db.execute(
                f"insert into {table} ({column}) values (?) returning key", (value,)
            ).fetchone()
        return int(row[0])


class KeySet:
    """A set of keys, which are small numbers, in a bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, key: int) -> None:
        """Add a key."""
        place, bit = divmod(key, 8)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        self._bits[place] |= 1 << bit

    def discard(self, key: int) -> None:
        """Remove a key if it is there."""
        place, bit = divmod(key, 8)
        if place < len(self._bits):
            self._bits[place] &= ~(1 << bit)

    def __iter__(self) -> Iterator[int]:
        """The keys in ascending order."""
        for place, byte in enumerate(self._bits):
            if byte:
                yield from (place * 8 + bit for bit in range(8) if byte >> bit & 1)


def types_in(mask: int) -> list[int]:
    """The keys in a set of data types."""
    return [key for key in range(_MOST_TYPES + 1) if mask >> key & 1]


def pack_keys(keys: Iterable[int]) -> bytes:
    """A set of keys in a byte or two each."""
    ordered = sorted(set(keys))
    deltas = array("I", (each - before for each, before in zip(ordered, [0, *ordered], strict=False)))
    return zlib.compress(deltas.tobytes(), 1) if ordered else b""


def unpack_keys(packed: bytes) -> list[int]:
    """The reverse of :func:`pack_keys`, in ascending order."""
    if not packed:
        return []
    deltas = array("I")
    deltas.frombytes(zlib.decompress(packed))
    keys, total = [], 0
    for each in deltas:
        total += each
        keys.append(total)
    return keys
