"""Which lists of a checkpoint are to be read: queued, opened, and handed out in slices."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from codat_async.bulk.store.keys import Keys, types_in
from codat_async.bulk.store.lists import IS_OPEN
from codat_async.bulk.store.state import (
    EVENTS,
    OPEN,
    Before,
    Choice,
    Known,
    Opened,
    Run,
    State,
    UnitState,
    pack_state,
    unpack_state,
)
from codat_async.bulk.units.unit import Unit

__all__ = ["SCHEMA", "Choose", "Expanded", "Work"]

SCHEMA: Final = """
create table asked (
    company integer not null, run integer not null, types integer not null, queued integer not null,
    primary key (company, run)
) without rowid;
create index queued_companies on asked (run, company) where queued <> 0;
"""
_EVENTS: Final = f"select key from runs where mode = '{EVENTS}'"
_PAGE: Final = 500
Choose: TypeAlias = Callable[[Unit, Known], Choice]
"""Decides whether a list is read; called in the writer's thread."""


class Expanded(Struct):
    """What became of lists about which it was decided whether they are read."""

    opened: list[Opened] = []
    dropped: list[int] = []
    """The own files of readings that end with it."""
    planned: dict[str, int] = {}
    """Lists by type that were not counted when the types were queued."""
    skipped: dict[str, dict[str, int]] = {}
    """By reason, then type, the lists that are not read."""
    done: int = 0
    """The types of a company that are no longer queued, a bit for each key."""


class Work:
    """The queue of a checkpoint, and the lists that are open."""

    def __init__(self, db: sqlite3.Connection, keys: Keys) -> None:
        self._db = db
        self._keys = keys

    def want(
        self, companies: Iterable[tuple[str, Sequence[str]]], types: Mapping[str, int] | None = None
    ) -> None:
        """Restrict what follows to these companies, given with their connections; not stored.

        ``types`` are those of each company that :meth:`queue` is restricted to, a bit for each key.
        """
        self._db.execute(
            "create temp table if not exists wanted (company integer primary key, types integer not null,"
            " connections integer not null, ids text not null)"
        )
        self._db.execute("delete from wanted")
        self._db.executemany(
            "insert or ignore into wanted values (?, ?, ?, ?)",
            (
                (
                    self._keys.company(each),
                    -1 if types is None else types.get(each, 0),
                    len(connections),
                    msgspec.json.encode(connections).decode(),
                )
                for each, connections in companies
            ),
        )

    def wanted(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The wanted companies, with their connections."""
        for company, ids in self._db.execute(
            "select c.id, w.ids from wanted w join companies c on c.key = w.company"
        ).fetchall():
            yield company, _ids(ids)

    def connections(self, company: str) -> tuple[str, ...]:
        """The connections of a wanted company."""
        query = "select ids from wanted where company = ?"
        return _ids(*self._db.execute(query, (self._keys.company(company),)).fetchone())

    # --- what is to be read --------------------------------------------------------------

    def queue(self, run: Run, types: int) -> list[tuple[int, int, int]]:
        """Queue types of the wanted companies, each once a run; other runs no longer read them.

        Returns the types which the run did not have yet, with how many companies have them, and how
        many connections these have together.
        """
        db = self._db
        fresh = db.execute(
            "select :types & w.types & ~coalesce(a.types, 0) as fresh, count(*), sum(w.connections)"
            " from wanted w left join asked a on a.company = w.company and a.run = :run"
            " where fresh <> 0 group by fresh",
            {"types": types, "run": run.key},
        ).fetchall()
        db.execute(
            "update asked set types = asked.types & ~(:types & w.types),"
            " queued = queued & ~(:types & w.types)"
            " from wanted w where run <> :run and w.company = asked.company",
            {"types": types, "run": run.key},
        )
        db.execute("delete from asked where types = 0")
        db.execute(
            "insert into asked (company, run, types, queued)"
            " select company, :run, :types & types, :types & types from wanted where :types & types <> 0"
            " on conflict do update set"
            " queued = queued | (excluded.types & ~types), types = types | excluded.types",
            {"types": types, "run": run.key},
        )
        return fresh

    def adopt(self, run: Run, types: int) -> dict[str, int]:
        """Let a run read the wanted lists that were damaged since, or that runs of events left open.

        Returns how many, by type.
        """
        rows = self._db.execute(
            f"update lists set run = :run where {IS_OPEN} and (run = 0 or run in ({_EVENTS}))"
            " and (1 << type) & :types <> 0"
            " and company in (select company from wanted) returning type",
            {"run": run.key, "types": types},
        ).fetchall()
        return Counter(self._keys.type_name(key) for (key,) in rows)

    def queued(
        self, run: Run, types: int, after: int = -1
    ) -> tuple[list[tuple[str, tuple[str, ...], int]], int | None]:
        """Some wanted companies that have types queued, with their connections and those types.

        ``after`` is a key; also returns after which the next ones are, None at the end.
        """
        rows = self._db.execute(
            "select c.id, w.ids, a.queued & :types, a.company from asked a"
            " join companies c on c.key = a.company join wanted w on w.company = a.company"
            " where a.run = :run and a.queued <> 0 and a.queued & :types <> 0 and a.company > :after"
            " order by a.company limit :limit",
            {"types": types, "run": run.key, "after": after, "limit": _PAGE},
        ).fetchall()
        found = [(company, _ids(ids), mask) for company, ids, mask, _ in rows]
        return found, rows[-1][3] if len(rows) == _PAGE else None

    def unfinished_run(self, types: int, *, failed: bool) -> int | None:
        """The latest run with work left on the wanted companies, if it is not one of events.

        ``failed`` lists count if asked for.
        """
        states = "0, 1, 4" if failed else "0, 1"
        row = self._db.execute(
            "select max(run) from ("
            " select a.run from asked a where a.queued <> 0 and a.queued & :types <> 0"
            " and a.company in (select company from wanted)"
            f" union all select run from lists where {IS_OPEN} and state in ({states}) and run > 0"
            " and (1 << type) & :types <> 0 and company in (select company from wanted))"
            f" where run not in ({_EVENTS})",
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
        choose: Choose,
    ) -> Expanded:
        """Open the queued lists of a company that are to be read; types to be asked later stay queued.

        ``places`` are the connection and account of each list of a type, ``since`` the modified date
        that a list is read from, by its type and watermark.
        """
        keys, known = self._keys, self._rows(company)
        found = Expanded()
        for type_key in types_in(types):
            name = keys.type_name(type_key)
            choices: dict[Unit, Choice] = {}
            children: list[Unit] = []
            for connection, account in places(name):
                unit = Unit(name, company, connection, account)
                choices[unit] = choose(unit, _known(known.get(unit)))
                if choices[unit].skip is not None:
                    # Its accounts are not listed, so they are those of the earlier nights.
                    children += [
                        each for each in known if each.type == name and each.connection == connection
                        and each.parent and not account
                    ]  # fmt: skip
            choices |= {each: choose(each, _known(known[each])) for each in children}
            if any(choice.later for choice in choices.values()):
                continue
            found.done |= 1 << type_key
            if children:
                found.planned[name] = found.planned.get(name, 0) + len(children)
            for unit, choice in choices.items():
                self._settle(found, run, unit, choice, known.get(unit), since)
        self._db.execute(
            "update asked set queued = queued & ~? where company = ? and run = ?",
            (found.done, keys.company(company), run.key),
        )
        return found

    def add(
        self,
        run: Run,
        units: Iterable[Unit],
        since: Callable[[str, int], str | None],
        choose: Choose = lambda unit, known: Choice(),
    ) -> Expanded:
        """Open further lists, such as those of a bank account; those open or done in the run stay."""
        found = Expanded()
        for unit in units:
            row = self._row(unit)
            if (
                row is not None
                and row["run"] == run.key
                and row["state"] in (*OPEN, State.DONE, State.SKIPPED)
            ):
                continue
            found.planned[unit.type] = found.planned.get(unit.type, 0) + 1
            self._settle(found, run, unit, choose(unit, _known(row)), row, since)
        return found

    def in_progress(self, run: Run, company: str) -> list[Opened]:
        """The lists of a company that a run has open."""
        found = []
        for unit, row in self._rows(company).items():
            if row["run"] == run.key and row["state"] in OPEN and row["progress"] is not None:
                state = unpack_state(row["progress"])
                before = None
                if state.since is not None:
                    before = Before(row["watermark"], row["overlap"], row["file"])
                found.append(Opened(unit, state, before))
        return found

    def accounts(self, company: str) -> list[Unit]:
        """The lists of a company that are under an account."""
        return [unit for unit in self._rows(company) if unit.parent]

    def known(self, company: str) -> dict[Unit, tuple[Known, int | None]]:
        """What earlier readings left of the lists of a company, and how far they were read."""
        return {
            unit: (_known(row), None if row["lost"] else row["watermark"])
            for unit, row in self._rows(company).items()
        }

    def _settle(
        self,
        found: Expanded,
        run: Run,
        unit: Unit,
        choice: Choice,
        row: Mapping[str, Any] | None,
        since: Callable[[str, int], str | None],
    ) -> None:
        """Open a list, or count it among those that are not read."""
        open_before = row is not None and row["state"] in OPEN
        if row is not None and row["progress"] is not None and (own := unpack_state(row["progress"]).file):
            found.dropped.append(own)
        if choice.skip is not None:
            counts = found.skipped.setdefault(choice.skip, {})
            counts[unit.type] = counts.get(unit.type, 0) + 1
            if open_before:
                # It failed earlier, and now there is nothing to read.
                self._db.execute(
                    "update lists set state = 3, run = ?, token = null, progress = null"
                    " where company = ? and type = ? and place = ?",
                    (run.key, *self._keys.of(unit)),
                )
            return
        watermark = None if row is None or row["lost"] or choice.whole else row["watermark"]
        start = None if watermark is None else since(unit.type, watermark)
        before = None
        if start is not None and row is not None:
            before = Before(row["watermark"], row["overlap"], row["file"])
        state = choice.stamp(UnitState(since=start))
        self._db.execute(
            "insert into lists (company, type, place, state, run, progress) values (?, ?, ?, 0, ?, ?)"
            " on conflict do update set state = 0, run = excluded.run,"
            " progress = excluded.progress",
            (*self._keys.of(unit), run.key, pack_state(state)),
        )
        found.opened.append(Opened(unit, state, before, 0 if row is None else row["rows"]))

    def _row(self, unit: Unit) -> dict[str, Any] | None:
        return self._select("l.company = ? and l.type = ? and l.place = ?", self._keys.of(unit)).get(unit)

    def _rows(self, company: str) -> dict[Unit, dict[str, Any]]:
        return self._select("l.company = ?", (self._keys.company(company),))

    def _select(self, where: str, values: tuple[object, ...]) -> dict[Unit, dict[str, Any]]:
        names = (
            "state", "run", "lost", "watermark", "overlap", "file", "rows", "token", "read_at", "progress",
        )  # fmt: skip
        found = self._db.execute(
            f"select l.type, c.id, p.connection, p.account, k.at, {', '.join(f'l.{each}' for each in names)}"
            " from lists l join companies c on c.key = l.company join places p on p.key = l.place"
            f" left join checks k on k.company = l.company where {where}",
            values,
        ).fetchall()
        return {
            Unit(self._keys.type_name(kind), company, connection, account): {
                **dict(zip(names, row, strict=True)), "checked_at": checked_at,
            }
            for kind, company, connection, account, checked_at, *row in found
        }  # fmt: skip

    def opened(
        self, run: Run, types: int, states: Iterable[int] = OPEN, after: tuple[int, int, int] = (-1, -1, -1)
    ) -> tuple[list[Opened], tuple[int, int, int] | None]:
        """Some of the wanted lists that a run has open, and where the next ones begin; None at the end."""
        rows = self._db.execute(
            "select l.company, l.type, l.place, c.id, p.connection, p.account,"
            " l.watermark, l.overlap, l.file, l.progress"
            " from lists l join companies c on c.key = l.company join places p on p.key = l.place"
            f" where l.{IS_OPEN} and l.state in ({', '.join(map(str, states))}) and l.run = :run"
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

    def left(self, company: str, types: int) -> list[str]:
        """The types of a company, of those given as bits, that have lists which are not read yet."""
        key = self._keys.company(company)
        rows = self._db.execute(
            f"select distinct type from lists where company = ? and {IS_OPEN} and (1 << type) & ? <> 0",
            (key, types),
        ).fetchall()
        masks = self._db.execute("select queued & ? from asked where company = ?", (types, key)).fetchall()
        found = {row[0] for row in rows}.union(*(types_in(mask) for (mask,) in masks))
        return sorted(map(self._keys.type_name, found))

    def open_count(self, types: int | None = None) -> tuple[int, int]:
        """Lists that are open, those that failed among them: of all, or of wanted companies and types."""
        where, wanted = "", ""
        if types is not None:
            wanted = " and company in (select company from wanted)"
            where = f"{wanted} and (1 << type) & {types} <> 0"
        opened, failed = self._db.execute(
            f"select count(*), coalesce(sum(state = 4), 0) from lists where {IS_OPEN}{where}"
        ).fetchone()
        masks = self._db.execute(f"select queued from asked where queued <> 0{wanted}")
        chosen = -1 if types is None else types
        return int(opened) + sum((mask & chosen).bit_count() for (mask,) in masks), int(failed)

    def queued_counts(self) -> dict[str, int]:
        """By type, the companies that have it queued."""
        counts: dict[int, int] = {}
        for mask, companies in self._db.execute(
            "select queued, count(*) from asked where queued <> 0 group by queued"
        ):
            for key in types_in(mask):
                counts[key] = counts.get(key, 0) + companies
        return {self._keys.type_name(key): count for key, count in counts.items()}

    def unfinished(self, run: Run) -> bool:
        """Whether a run has work left."""
        row = self._db.execute(
            f"select exists (select 1 from lists where {IS_OPEN} and run = :run)"
            " or exists (select 1 from asked where queued <> 0 and run = :run)",
            {"run": run.key},
        ).fetchone()
        return bool(row[0])


def _ids(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])


def _known(row: Mapping[str, Any] | None) -> Known:
    if row is None:
        return Known()
    return Known(
        complete=row["state"] in (State.DONE, State.SKIPPED) and not row["lost"],
        rows=row["rows"],
        token=row["token"],
        read_at=row["read_at"],
        checked_at=row["checked_at"],
    )
