"""The rows of lists: one a list, with what the next reading of it needs, however many nights it was read."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from codat_async.bulk.store.keys import Keys, types_in, unpack_keys
from codat_async.bulk.store.state import (
    OPEN,
    UNFINISHED,
    Before,
    Opened,
    Run,
    State,
    UnitState,
    now,
    pack_state,
    unpack_state,
)
from codat_async.bulk.units import Unit

__all__ = ["SCHEMA", "Ending", "ListRow", "Lists"]

SCHEMA: Final = """
create table places (
    key integer primary key, connection text not null, account text not null, unique (connection, account)
);
create table lists (
    company integer not null, type integer not null, place integer not null,
    state integer not null, lost integer not null default 0, again integer not null default 0,
    run integer not null, n integer not null default 0, whole_n integer not null default 0,
    read_at integer, watermark integer,
    rows integer not null default 0, missing integer not null default 0, invalid integer not null default 0,
    file integer not null default 0, token blob, overlap blob, progress blob,
    primary key (company, type, place)
) without rowid;
create index open_lists on lists (company, type, place) where state in (0, 1, 4);
create index lost_lists on lists (type) where lost <> 0;
create table asked (
    company integer not null, run integer not null, types integer not null, queued integer not null,
    primary key (company, run)
) without rowid;
create index queued_companies on asked (run, company) where queued <> 0;
create table checks (
    company integer primary key, run integer not null, at integer not null, unchanged integer not null
);
"""
_OPEN: Final = "state in (0, 1, 4)"
_LOSE: Final = (
    "update lists set lost = 1, watermark = null, overlap = null, token = null, file = 0, progress = null,"
    " state = case when state = 3 then 3 else 0 end, run = case when state = 2 then 0 else run end"
)
_PAGE: Final = 500


class Ending(Struct, frozen=True, kw_only=True):
    """What a complete reading leaves for the next one."""

    watermark: int | None
    """None if the next run must read the whole list."""
    overlap: bytes | None
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

    def want(self, companies: Iterable[str]) -> None:
        """Restrict what follows to these companies; not stored."""
        self._db.execute("create temp table if not exists wanted (company integer primary key)")
        self._db.execute("delete from wanted")
        self._db.executemany(
            "insert or ignore into wanted values (?)", ((self._keys.company(each),) for each in companies)
        )

    # --- what is to be read --------------------------------------------------------------

    def queue(self, run: Run, types: int) -> list[tuple[str, int]]:
        """Queue types of the wanted companies, each once a run; other runs no longer read them.

        Returns the companies that have types which the run did not have yet, with those.
        """
        db = self._db
        fresh = db.execute(
            "select c.id, :types & ~coalesce(a.types, 0) from wanted w join companies c on c.key = w.company"
            " left join asked a on a.company = w.company and a.run = :run"
            " where :types & ~coalesce(a.types, 0) <> 0",
            {"types": types, "run": run.key},
        ).fetchall()
        db.execute(
            "update asked set types = types & ~:types, queued = queued & ~:types"
            " where run <> :run and company in (select company from wanted)",
            {"types": types, "run": run.key},
        )
        db.execute("delete from asked where types = 0")
        db.execute(
            "insert into asked (company, run, types, queued)"
            " select company, :run, :types, :types from wanted where true on conflict do update set"
            " queued = queued | (:types & ~types), types = types | :types",
            {"types": types, "run": run.key},
        )
        return fresh

    def adopt(self, run: Run, types: int) -> dict[str, int]:
        """Let a run read the wanted lists that were damaged since; returns how many, by type."""
        rows = self._db.execute(
            f"update lists set run = :run where {_OPEN} and run = 0 and (1 << type) & :types <> 0"
            " and company in (select company from wanted) returning type",
            {"run": run.key, "types": types},
        ).fetchall()
        return Counter(self._keys.type_name(key) for (key,) in rows)

    def queued(self, run: Run, types: int) -> list[tuple[str, int]]:
        """The wanted companies that have types queued, with those types."""
        return self._db.execute(
            "select c.id, a.queued & :types from asked a join companies c on c.key = a.company"
            " where a.run = :run and a.queued <> 0 and a.queued & :types <> 0"
            " and a.company in (select company from wanted) order by a.company",
            {"types": types, "run": run.key},
        ).fetchall()

    def unfinished_run(self, types: int, *, failed: bool) -> int | None:
        """The latest run with work left on the wanted companies; ``failed`` lists count if asked for."""
        states = "0, 1, 4" if failed else "0, 1"
        row = self._db.execute(
            "select max(run) from ("
            " select a.run from asked a where a.queued <> 0 and a.queued & :types <> 0"
            " and a.company in (select company from wanted)"
            f" union all select run from lists where {_OPEN} and state in ({states}) and run > 0"
            " and (1 << type) & :types <> 0 and company in (select company from wanted))",
            {"types": types},
        ).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def expand(
        self,
        run: Run,
        company: str,
        types: int,
        places: Callable[[str], Iterable[tuple[str, str]]],
        since: Callable[[str, int], str | None],
    ) -> tuple[list[Opened], list[int]]:
        """Open the queued lists of a company; returns them, and the own files of readings that end with it.

        ``places`` are the connection and account of each list of a type, ``since`` the modified date
        that a list is read from, by its type and watermark.
        """
        keys, key = self._keys, self._keys.company(company)
        known = {
            (row[0], row[1]): row[2:]
            for row in self._db.execute(
                "select type, place, watermark, overlap, file, lost, progress from lists where company = ?",
                (key,),
            )
        }
        opened: list[Opened] = []
        dropped: list[int] = []
        rows: list[tuple[object, ...]] = []
        for type_key in types_in(types):
            name = keys.type_name(type_key)
            for connection, account in places(name):
                place = keys.place(connection, account)
                watermark, overlap, file, lost, progress = known.get(
                    (type_key, place), (None, None, 0, 0, None)
                )
                if progress is not None and (own := unpack_state(progress).file):
                    dropped.append(own)
                start = None if watermark is None or lost else since(name, watermark)
                state = UnitState(since=start)
                before = None if start is None or watermark is None else Before(watermark, overlap, file)
                opened.append(Opened(Unit(name, company, connection, account), state, before))
                rows.append((key, type_key, place, run.key, pack_state(state)))
        self._db.executemany(
            "insert into lists (company, type, place, state, run, progress) values (?, ?, ?, 0, ?, ?)"
            " on conflict do update set state = 0, again = 0, run = excluded.run,"
            " progress = excluded.progress",
            rows,
        )
        self._db.execute(
            "update asked set queued = queued & ~? where company = ? and run = ?", (types, key, run.key)
        )
        return opened, dropped

    def opened(
        self, run: Run, types: int, states: Iterable[int] = OPEN, after: tuple[int, int, int] = (-1, -1, -1)
    ) -> tuple[list[Opened], tuple[int, int, int] | None]:
        """Some of the wanted lists that a run has open, and where the next ones begin; None at the end."""
        rows = self._db.execute(
            "select l.company, l.type, l.place, c.id, p.connection, p.account,"
            " l.watermark, l.overlap, l.file, l.progress"
            " from lists l join companies c on c.key = l.company join places p on p.key = l.place"
            f" where l.{_OPEN} and l.state in ({', '.join(map(str, states))}) and l.run = :run"
            " and (l.company, l.type, l.place) > (:company, :type, :place)"
            " and (1 << l.type) & :types <> 0 and l.company in (select company from wanted)"
            " order by l.company, l.type, l.place limit :limit",
            {
                "run": run.key,
                "types": types,
                "limit": _PAGE,
                **dict(zip(("company", "type", "place"), after, strict=True)),
            },
        ).fetchall()
        found = []
        for _, type_key, _, company, connection, account, watermark, overlap, file, progress in rows:
            state = UnitState() if progress is None else unpack_state(progress)
            before = None if state.since is None else Before(watermark, overlap, file)
            found.append(
                Opened(Unit(self._keys.type_name(type_key), company, connection, account), state, before)
            )
        return found, rows[-1][:3] if len(rows) == _PAGE else None

    def open_count(self, types: int | None = None) -> tuple[int, int]:
        """Lists that are open, those that failed among them: of all, or of wanted companies and types."""
        where, wanted = "", ""
        if types is not None:
            wanted = " and company in (select company from wanted)"
            where = f"{wanted} and (1 << type) & {types} <> 0"
        opened, failed = self._db.execute(
            f"select count(*), coalesce(sum(state = 4), 0) from lists where {_OPEN}{where}"
        ).fetchone()
        masks = self._db.execute(f"select queued from asked where queued <> 0{wanted}")
        chosen = -1 if types is None else types
        return int(opened) + sum((mask & chosen).bit_count() for (mask,) in masks), int(failed)

    # --- one list ------------------------------------------------------------------------

    def add(self, run: Run, units: Iterable[Unit], since: Callable[[str, int], str | None]) -> list[Opened]:
        """Open further lists, such as those of a bank account; those open or done in the run stay."""
        added = []
        for unit in units:
            row = self.row(unit)
            if (
                row is not None
                and row["run"] == run.key
                and row["state"] in (*OPEN, State.DONE, State.SKIPPED)
            ):
                continue
            watermark = None if row is None or row["lost"] else row["watermark"]
            start = None if watermark is None else since(unit.type, watermark)
            state = UnitState(since=start)
            before = None
            if start is not None and row is not None:
                before = Before(row["watermark"], row["overlap"], row["file"])
            self.save(run, unit, state)
            added.append(Opened(unit, state, before))
        return added

    def row(self, unit: Unit) -> dict[str, Any] | None:
        """All columns of a list."""
        cursor = self._db.execute(
            "select * from lists where company = ? and type = ? and place = ?", self._key(unit)
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
            (*self._key(unit), state.state, run.key, 0, pack_state(state)),
        )

    def skip(self, run: Run, unit: Unit) -> None:
        """Note that the platform does not offer a list."""
        self._db.execute(
            "insert into lists (company, type, place, state, run, read_at) values (?, ?, ?, 3, ?, ?)"
            " on conflict do update set state = 3, run = excluded.run, read_at = excluded.read_at,"
            " lost = 0, progress = null",
            (*self._key(unit), run.key, now()),
        )

    def finish(self, run: Run, unit: Unit, state: UnitState, ending: Ending) -> bool:
        """Store a complete reading; True if the list was queued again since it began."""
        whole = state.whole
        row = self._db.execute(
            "insert into lists (company, type, place, state, run, n, whole_n, read_at, watermark, rows,"
            " missing, invalid, file, token, overlap) values (:company, :type, :place, 2, :run, :n, :n, :at,"
            " :watermark, :rows, :missing, :invalid, :file, :token, :overlap)"
            " on conflict do update set state = case when again then 0 else 2 end, run = :run, n = :n,"
            " whole_n = case when :whole then :n else whole_n end, read_at = :at, watermark = :watermark,"
            " rows = case when :whole then :rows else rows + :rows end, missing = :missing,"
            " invalid = case when :whole then :invalid else invalid + :invalid end, file = :file,"
            " token = :token, overlap = :overlap, lost = case when :whole then 0 else lost end,"
            " progress = null returning again",
            {
                **dict(zip(("company", "type", "place"), self._key(unit), strict=True)),
                "run": run.key,
                "n": state.n,
                "whole": whole,
                "at": now(),
                "watermark": ending.watermark,
                "rows": state.rows,
                "missing": state.missing,
                "invalid": state.invalid,
                "file": ending.file,
                "token": ending.token,
                "overlap": ending.overlap,
            },
        ).fetchone()
        if row[0]:
            self._db.execute(
                "update lists set again = 0 where company = ? and type = ? and place = ?", self._key(unit)
            )
        return bool(row[0])

    def request(
        self, run: Run, unit: Unit, since: Callable[[str, int], str | None], *, reading: bool
    ) -> Opened | None:
        """Queue one list: not twice, and once more if it is being read, which the caller knows."""
        row = self.row(unit)
        if reading:
            self._db.execute(
                "update lists set again = 1 where company = ? and type = ? and place = ?", self._key(unit)
            )
            return None
        if row is not None and row["state"] in UNFINISHED:
            return None
        if row is not None:
            # Done lists of the run are opened again too.
            self._db.execute(
                "update lists set run = -1 where company = ? and type = ? and place = ?", self._key(unit)
            )
        return next(iter(self.add(run, [unit], since)), None)

    def _key(self, unit: Unit) -> tuple[int, int, int]:
        keys = self._keys
        return keys.company(unit.company), keys.type(unit.type), keys.place(unit.connection, unit.parent)

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
        return self.rows(f"l.{_OPEN} and l.state = 4{chosen}")

    def sums(self) -> Iterator[tuple[Any, ...]]:
        """By type: companies, lists, records, first and last reading, open, failed, skipped, lost."""
        for key, *rest in self._db.execute(
            "select type, count(distinct case when read_at is not null and state <> 3 then company end),"
            " count(*), sum(rows), min(read_at), max(read_at), sum(state in (0, 1)), sum(state = 4),"
            " sum(state = 3), sum(lost) from lists group by type order by type"
        ).fetchall():
            yield self._keys.type_name(key), *rest

    def queued_counts(self) -> dict[str, int]:
        """By type, the companies that have it queued."""
        counts: dict[int, int] = {}
        for mask, companies in self._db.execute(
            "select queued, count(*) from asked where queued <> 0 group by queued"
        ):
            for key in types_in(mask):
                counts[key] = counts.get(key, 0) + companies
        return {self._keys.type_name(key): count for key, count in counts.items()}

    def company_count(self) -> int:
        """Companies of which a list was read."""
        row = self._db.execute(
            "select count(*) from companies c where exists (select 1 from lists l"
            " where l.company = c.key and l.read_at is not null and l.state <> 3)"
        ).fetchone()
        return int(row[0])

    def unfinished(self, run: Run) -> bool:
        """Whether a run has work left."""
        row = self._db.execute(
            f"select exists (select 1 from lists where {_OPEN} and run = :run)"
            " or exists (select 1 from asked where queued <> 0 and run = :run)",
            {"run": run.key},
        ).fetchone()
        return bool(row[0])

    def reading_into(self, companies: bytes, file: int) -> bool:
        """Whether an open list of these companies, packed, is being read into an own file."""
        return any(
            progress is not None and unpack_state(progress).file == file
            for company in unpack_keys(companies)
            for (progress,) in self._db.execute(
                f"select progress from lists where company = ? and {_OPEN}", (company,)
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
