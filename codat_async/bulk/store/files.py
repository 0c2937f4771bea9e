"""The rows of journals and sealed files, and what readers need: which files there are, and their lines."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from codat_async.bulk.store.compression import Compression
from codat_async.bulk.store.keys import Keys, pack_keys, types_in, unpack_keys

__all__ = ["SCHEMA", "FileKind", "FileRow", "Files", "JournalRow"]

SCHEMA: Final = """
create table journals (
    number integer primary key autoincrement, compression text not null, run text not null,
    size integer not null default 0, crc integer not null default 0,
    first_n integer not null default 0, last_n integer not null default 0, types integer not null default 0,
    listings integer not null default 0, sealing integer not null default 0
);
create table files (
    id integer primary key autoincrement, type integer not null, kind integer not null,
    sealed integer not null default 0, run text not null, compression text not null,
    journal integer, sources blob,
    size integer not null default 0, lines integer not null default 0, rows integer not null default 0,
    crc integer not null default 0, first_n integer not null default 0, last_n integer not null default 0,
    companies blob, replaces blob, object text not null default ''
);
create table pages (
    file integer not null, begins integer not null, ends integer not null, last_modified integer,
    primary key (file, begins)
) without rowid;
"""


class FileKind:
    """What a file is made of."""

    SEGMENT: Final = 0
    """Many small lists of a type."""
    OWN: Final = 1
    """One large list."""
    LISTING: Final = 2
    """Invalid records of a type."""

    ALL: Final = (SEGMENT, OWN, LISTING)


class JournalRow(Struct, frozen=True, kw_only=True):
    """A journal, as far as it is committed."""

    number: int
    compression: Compression
    run: str
    size: int
    crc: int
    first_n: int
    last_n: int
    types: int
    """The data types in it, a bit for each key."""
    listings: int
    """The data types with invalid records in it."""
    sealing: bool


class FileRow(Struct, frozen=True, kw_only=True):
    """A file under ``raw/`` or ``invalid/``."""

    id: int
    type: str
    kind: int
    sealed: bool
    run: str
    compression: Compression
    journal: int | None
    """The journal that a segment is sealed from, while that is not done."""
    sources: tuple[int, ...]
    """The files that it is merged from, while that is not done."""
    size: int
    lines: int
    rows: int
    crc: int
    first_n: int
    last_n: int
    companies: bytes
    """The keys of the companies that have lines in it, packed."""
    replaces: tuple[int, ...]
    """The numbers of earlier files whose lines it holds."""
    object: str
    """Its key in object storage; empty if it is not there."""


_COLUMNS: Final = (
    "id, type, kind, sealed, run, compression, journal, sources, size, lines, rows, crc, first_n, last_n,"
    " companies, replaces, object"
)


class Files:
    """The journals and files of a checkpoint."""

    def __init__(self, db: sqlite3.Connection, keys: Keys) -> None:
        self._db = db
        self._keys = keys

    # --- journals ------------------------------------------------------------------------

    def new_journal(self, compression: str, run: str) -> JournalRow:
        """Add an empty journal; lines are appended to the newest one."""
        row = self._db.execute(
            "insert into journals (compression, run) values (?, ?) returning number", (compression, run)
        ).fetchone()
        return next(each for each in self.journals() if each.number == row[0])

    def journals(self) -> list[JournalRow]:
        """All journals, oldest first."""
        rows = self._db.execute(
            "select number, compression, run, size, crc, first_n, last_n, types, listings, sealing"
            " from journals order by number"
        )
        names = JournalRow.__struct_fields__
        return [
            JournalRow(**{**dict(zip(names, row, strict=True)), "sealing": bool(row[-1])}) for row in rows
        ]

    def save_journal(self, row: JournalRow) -> None:
        """Store how much of a journal is committed."""
        self._db.execute(
            "update journals set size = ?, crc = ?, first_n = ?, last_n = ?, types = ?, listings = ?,"
            " sealing = ? where number = ?",
            (row.size, row.crc, row.first_n, row.last_n, row.types, row.listings, row.sealing, row.number),
        )

    def drop_journal(self, number: int) -> None:
        """Remove a journal whose lines are in sealed files."""
        self._db.execute("delete from journals where number = ?", (number,))

    # --- files ---------------------------------------------------------------------------

    def add(
        self,
        type_key: int,
        kind: int,
        run: str,
        compression: str,
        *,
        journal: int | None = None,
        sources: Sequence[int] = (),
        companies: bytes = b"",
    ) -> int:
        """Note the intent to write a file; returns its number."""
        row = self._db.execute(
            "insert into files (type, kind, run, compression, journal, sources, companies)"
            " values (?, ?, ?, ?, ?, ?, ?)"
            " returning id",
            (type_key, kind, run, compression, journal, pack_keys(sources), companies),
        ).fetchone()
        return int(row[0])

    def seal(
        self,
        number: int,
        *,
        size: int,
        crc: int,
        lines: int,
        rows: int,
        first_n: int,
        last_n: int,
        companies: Iterable[int],
        replaces: Iterable[int] = (),
    ) -> None:
        """Store that a file is complete."""
        self._db.execute(
            "update files set sealed = 1, journal = null, sources = null, size = ?, crc = ?, lines = ?,"
            " rows = ?, first_n = ?, last_n = ?, companies = ?, replaces = ? where id = ?",
            (size, crc, lines, rows, first_n, last_n, pack_keys(companies), pack_keys(replaces), number),
        )

    def uploaded(self, objects: Mapping[int, str]) -> None:
        """Store under which keys files are in object storage, by their numbers; an empty key for none."""
        for number, key in objects.items():
            self._db.execute("update files set object = ? where id = ?", (key, number))

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove the rows of files, and their pages."""
        for number in numbers:
            self._db.execute("delete from files where id = ?", (number,))
            self._db.execute("delete from pages where file = ?", (number,))

    def all(self, where: str = "true", values: Sequence[object] = ()) -> list[FileRow]:
        """The files, ordered by type and number."""
        rows = self._db.execute(
            f"select {_COLUMNS} from files where {where} order by type, id", values
        ).fetchall()
        return [self._row(row) for row in rows]

    def sealed(self, *kinds: int) -> list[FileRow]:
        """The complete files of these kinds."""
        return self.all(f"sealed = 1 and kind in ({', '.join(map(str, kinds))})")

    def one(self, number: int) -> FileRow | None:
        """One file."""
        return next(iter(self.all("id = ?", (number,))), None)

    def _row(self, row: Sequence[object]) -> FileRow:
        values = dict(zip(FileRow.__struct_fields__, row, strict=True))
        values["type"] = self._keys.type_name(int(str(values["type"])))
        values["sealed"] = bool(values["sealed"])
        values["companies"] = values["companies"] or b""
        for name in ("sources", "replaces"):
            packed = values[name]
            values[name] = tuple(unpack_keys(packed)) if isinstance(packed, bytes) else ()
        return FileRow(**values)  # type: ignore[arg-type]

    # --- pages of own files ----------------------------------------------------------------

    def add_page(self, number: int, begins: int, ends: int, last_modified: int | None) -> None:
        """Store a written page: a range of bytes, and the latest modified date in it."""
        self._db.execute(
            "insert or replace into pages values (?, ?, ?, ?)", (number, begins, ends, last_modified)
        )

    def drop_pages(self, number: int) -> None:
        """Remove the pages of a list that is read again from its beginning."""
        self._db.execute("delete from pages where file = ?", (number,))

    def keep_pages(self, number: int, since: int) -> None:
        """Remove the pages that no overlap can reach: those whose records are all older than a moment."""
        self._db.execute("delete from pages where file = ? and last_modified < ?", (number, since))

    def pages(self, number: int, since: int) -> list[tuple[int, int]]:
        """The ranges of a file with records modified at or after a moment."""
        return self._db.execute(
            "select begins, ends from pages where file = ? and last_modified >= ? order by begins",
            (number, since),
        ).fetchall()

    def types(self, mask: int) -> list[str]:
        """The data types of a set."""
        return [self._keys.type_name(key) for key in types_in(mask)]
