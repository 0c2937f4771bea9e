"""The rows of lists: one a list, with what the next reading of it needs, however many nights it was read."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from codat_async.bulk.store.keys import Keys, unpack_keys
from codat_async.bulk.store.state import (
    Run,
    State,
    UnitState,
    now,
    pack_state,
    unpack_state,
)
from codat_async.bulk.units.unit import Unit

__all__ = ["IS_OPEN", "SCHEMA", "Ending", "ListRow", "Lists"]

SCHEMA: Final = """
create table places (
    key integer primary key, connection text not null, account text not null, unique (connection, account)
);
create table lists (
    company integer not null, type integer not null, place integer not null,
    state integer not null, lost integer not null default 0,
    run integer not null, n integer not null default 0, whole_n integer not null default 0,
    read_at integer, watermark integer,
    rows integer not null default 0, missing integer not null default 0, invalid integer not null default 0,
    file integer not null default 0, token blob, overlap blob, progress blob,
    primary key (company, type, place)
) without rowid;
create index open_lists on lists (company, type, place) where state in (0, 1, 4);
create index lost_lists on lists (type) where lost <> 0;
"""
IS_OPEN: Final = "state in (0, 1, 4)"
"""The condition of a list with work left to do, of which there is an index."""
_LOSE: Final = (
    "update lists set lost = 1, watermark = null, overlap = null, token = null, file = 0, progress = null,"
    " state = case when state = 3 then 3 else 0 end, run = case when state = 2 then 0 else run end"
)
_PAGE: Final = 500


class Ending(Struct, frozen=True, kw_only=True):
    """What a complete reading leaves for the next one."""

    watermark: int | None = None
    """None if the next run must read the whole list."""
    overlap: bytes | None = None
    """Hashes of the versions in the overlap; None if they are in the own file."""
    file: int = 0
    """The own file that has the versions in the overlap."""
    token: bytes | None = None
    """Sixteen bytes by which an unchanged list is recognised."""


class ListRow(Struct, frozen=True, kw_only=True):
    """The row of a list, for an inventory."""

    unit: Unit
    state: str
    rows: int
    """Records of the last whole reading, and of the incremental ones since."""
    read_at: int | None
    """When the last complete reading ended, in seconds since 1970."""
    missing: int
    invalid: int
    lost: bool
    """Whether its data was damaged and not read again yet."""
    progress: UnitState | None
    """Of a list with work left to do."""


class Lists:
    """The lists of a checkpoint, and which of them are to be read."""

    def __init__(self, db: sqlite3.Connection, keys: Keys) -> None:
        self._db = db
        self._keys = keys

    # --- one list ------------------------------------------------------------------------

    def row(self, unit: Unit) -> dict[str, Any] | None:
        """All columns of a list."""
        cursor = self._db.execute(
            "select * from lists where company = ? and type = ? and place = ?", self._keys.of(unit)
        )
        found = cursor.fetchone()
        names = [each[0] for each in cursor.description]
        return None if found is None else dict(zip(names, found, strict=True))

    def save(self, run: Run, unit: Unit, state: UnitState) -> None:
        """Store the progress of a list that is open."""
        self._db.execute(
            "insert into lists (company, type, place, state, run, n, progress) values (?, ?, ?, ?, ?, ?, ?)"
            " on conflict do update set state = excluded.state, run = excluded.run,"
            " progress = excluded.progress",
            (*self._keys.of(unit), state.state, run.key, 0, pack_state(state)),
        )

    def skip(self, run: Run, unit: Unit) -> None:
        """Note that the platform does not offer a list."""
        self._db.execute(
            "insert into lists (company, type, place, state, run, read_at) values (?, ?, ?, 3, ?, ?)"
            " on conflict do update set state = 3, run = excluded.run, read_at = excluded.read_at,"
            " lost = 0, token = null, progress = null",
            (*self._keys.of(unit), run.key, now()),
        )

    def finish(self, run: Run, unit: Unit, state: UnitState, ending: Ending) -> None:
        """Store a complete reading."""
        self._db.execute(
            "insert into lists (company, type, place, state, run, n, whole_n, read_at, watermark, rows,"
            " missing, invalid, file, token, overlap)"
            " values (?, ?, ?, 2, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " on conflict do update set state = 2, run = excluded.run, n = excluded.n,"
            " whole_n = case when ? then excluded.n else whole_n end, read_at = excluded.read_at,"
            " watermark = excluded.watermark,"
            " rows = case when ? then excluded.rows else rows + excluded.rows end,"
            " missing = excluded.missing,"
            " invalid = case when ? then excluded.invalid else invalid + excluded.invalid end,"
            " file = excluded.file, token = excluded.token, overlap = excluded.overlap,"
            " lost = case when ? then 0 else lost end, progress = null",
            (
                *self._keys.of(unit),
                run.key,
                state.n,
                state.n,
                now(),
                ending.watermark,
                state.rows,
                state.missing,
                state.invalid,
                ending.file,
                ending.token,
                ending.overlap,
                *[state.whole] * 4,
            ),
        )

    def confirm(self, run: Run, unit: Unit, ending: Ending) -> None:
        """Store what the next reading needs, now that it is known that no sync came between."""
        self._db.execute(
            "update lists set token = ?, watermark = ?, overlap = ?, file = ?"
            " where company = ? and type = ? and place = ? and run = ? and state in (2, 3) and lost = 0",
            (ending.token, ending.watermark, ending.overlap, ending.file, *self._keys.of(unit), run.key),
        )

    # --- readers ---------------------------------------------------------------------------

    def rows(self, where: str = "true", limit: int = _PAGE) -> Iterator[ListRow]:
        """The rows of lists in the order of their keys, read in slices so that no snapshot is held open."""
        after: tuple[int, int, int] = (-1, -1, -1)
        while True:
            found = self._db.execute(
                "select l.company, l.type, l.place, c.id, p.connection, p.account, l.state, l.rows,"
                " l.read_at, l.missing, l.invalid, l.lost, l.progress from lists l"
                " join companies c on c.key = l.company join places p on p.key = l.place"
                f" where (l.company, l.type, l.place) > (?, ?, ?) and {where}"
                " order by l.company, l.type, l.place limit ?",
                (*after, limit),
            ).fetchall()
            for _, kind, _, company, connection, account, state, *rest, progress in found:
                rows, read_at, missing, invalid, lost = rest
                yield ListRow(
                    unit=Unit(self._keys.type_name(kind), company, connection, account),
                    state=State.NAMES[state],
                    rows=rows,
                    read_at=read_at,
                    missing=missing,
                    invalid=invalid,
                    lost=bool(lost),
                    progress=None if progress is None else unpack_state(progress),
                )
            if len(found) < limit:
                return
            after = found[-1][:3]

    def failed(self, types: int | None = None) -> Iterator[ListRow]:
        """The lists that failed: all, or those of these types and the wanted companies."""
        chosen = ""
        if types is not None:
            chosen = f" and (1 << l.type) & {types} <> 0 and l.company in (select company from wanted)"
        return self.rows(f"l.{IS_OPEN} and l.state = 4{chosen}")

    def sums(self) -> Iterator[tuple[Any, ...]]:
        """By type: companies, lists, records, first and last reading, open, failed, skipped, lost."""
        # What few lists have is counted by their indexes: each sum over all of them takes its time.
        opened = {
            key: counts
            for key, *counts in self._db.execute(
                f"select type, sum(state <> 4), sum(state = 4) from lists where {IS_OPEN} group by type"
            )
        }
        lost = self.lost()
        # Of the lists of a company the first counts it: to count distinct ones takes half as long again.
        for key, *read, skipped in self._db.execute(
            "select type, count(*) filter (where read_at is not null and state <> 3 and (place = 0"
            "  or not exists (select 1 from lists o where o.company = l.company and o.type = l.type"
            "  and o.place < l.place and o.read_at is not null and o.state <> 3))),"
            " count(*), sum(rows), min(read_at), max(read_at), sum(state = 3)"
            " from lists l group by type order by type"
        ).fetchall():
            name = self._keys.type_name(key)
            yield name, *read, *opened.get(key, (0, 0)), skipped, lost.get(name, 0)

    def sizes(self) -> Iterator[tuple[str, int, int]]:
        """By type and number of records, the lists that were read; without those of accounts' parents."""
        for key, rows, lists in self._db.execute(
            "select type, rows, count(*) from lists where read_at is not null and state <> 3"
            " group by type, rows"
        ).fetchall():
            yield self._keys.type_name(key), rows, lists

    def companies(self) -> Iterator[str]:
        """The companies of which a list was read."""
        for (company,) in self._db.execute(
            "select id from companies c where exists (select 1 from lists l"
            " where l.company = c.key and l.read_at is not null)"
        ).fetchall():
            yield company

    def company_count(self) -> int:
        """Companies of which a list was read."""
        row = self._db.execute(
            "select count(*) from companies c where exists (select 1 from lists l"
            " where l.company = c.key and l.read_at is not null and l.state <> 3)"
        ).fetchone()
        return int(row[0])

    def reading_into(self, companies: bytes, file: int) -> bool:
        """Whether an open list of these companies, packed, is being read into an own file."""
        return any(
            progress is not None and unpack_state(progress).file == file
            for company in unpack_keys(companies)
            for (progress,) in self._db.execute(
                f"select progress from lists where company = ? and {IS_OPEN}", (company,)
            ).fetchall()
        )

    def clear(self) -> None:
        """Remove all lists."""
        self._db.execute("delete from lists")

    # --- damage ----------------------------------------------------------------------------

    def lose(self, type_key: int, companies: Iterable[int]) -> int:
        """Note that data of a type is damaged: the next run reads these lists whole."""
        return sum(
            self._db.execute(
                f"{_LOSE} where company = ? and type = ? and n > 0", (company, type_key)
            ).rowcount
            for company in companies
        )

    def lose_between(self, first_n: int, last_n: int) -> int:
        """Note that the readings with these numbers are damaged, and those that may depend on them."""
        return self._db.execute(f"{_LOSE} where n >= ? and whole_n <= ?", (first_n, last_n)).rowcount

    def lost(self) -> dict[str, int]:
        """By type, the lists that are damaged and not read again yet."""
        rows = self._db.execute("select type, count(*) from lists where lost <> 0 group by type").fetchall()
        return {self._keys.type_name(key): count for key, count in rows}
