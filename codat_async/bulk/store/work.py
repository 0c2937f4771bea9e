"""What a run is to read: the companies that are wanted, the types queued of each, and how much is left."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from codat_async.bulk.store.keys import Keys, types_in
from codat_async.bulk.store.lists import IS_OPEN
from codat_async.bulk.store.state import EVENTS, Run

__all__ = ["SCHEMA", "Work"]

SCHEMA: Final = """
create table asked (
    company integer not null, run integer not null, types integer not null, queued integer not null,
    primary key (company, run)
) without rowid;
create index queued_companies on asked (run, company) where queued <> 0;
"""
_EVENTS: Final = f"select key from runs where mode = '{EVENTS}'"
_PAGE: Final = 500


class Work:
    """The queue of a checkpoint."""

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
