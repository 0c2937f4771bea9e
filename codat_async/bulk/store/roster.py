"""The companies of a directory: those that are no longer linked or listed, and those that were forgotten."""

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from msgspec import Struct

from codat_async.bulk.store.keys import Keys

__all__ = ["SCHEMA", "Absent", "Roster"]

SCHEMA: Final = """
create table companies (
    key integer primary key, id text not null unique, name text not null default '',
    absent text, since text, link text, marked integer not null default 0
);
create table forgotten (
    digest blob primary key, at text not null, erased integer not null default 0
) without rowid;
create index absent_companies on companies (key) where absent is not null;
"""


_PULLED: Final = (
    "(exists (select 1 from lists l where l.company = c.key)"
    " or exists (select 1 from asked a where a.company = c.key))"
)


class Absent(Struct, frozen=True):
    """A company that was pulled before and whose data may no longer be refreshed."""

    company: str
    name: str
    reason: str
    """``unlinked`` if no connection is linked any more, ``unlisted`` if the key no longer sees it."""
    since: str
    """When a pull first noticed."""
    link: str | None
    """The URL with which the company can link its books again."""


class Roster:
    """The companies of a checkpoint."""

    def __init__(self, db: sqlite3.Connection, keys: Keys) -> None:
        self._db = db
        self._keys = keys

    def ids(self) -> set[str]:
        """The companies that were ever queued or listed."""
        return {row[0] for row in self._db.execute("select id from companies")}

    def keys_of(self, companies: Iterable[str]) -> set[int]:
        """The keys of the known companies that have one of these ids, in any case."""
        wanted = {each.lower() for each in companies}
        return {
            key for key, name in self._db.execute("select key, id from companies") if name.lower() in wanted
        }

    def name(self, names: Iterable[tuple[str, str]]) -> None:
        """Store what companies are called, by their ids."""
        for company, name in names:
            self._db.execute(
                "update companies set name = ? where key = ?", (name, self._keys.company(company))
            )

    # --- absent --------------------------------------------------------------------------

    def note(
        self, linked: Iterable[str], unlinked: Iterable[tuple[str, str, str | None]], *, complete: bool
    ) -> list[Absent]:
        """Compare with what the API lists now; returns the companies that have become absent.

        ``unlinked`` are ids, names and link URLs. If the list is not ``complete``, companies that are
        not in it stay as they are. A company of which nothing was pulled is not absent if it is unlinked.
        """
        db, fresh = self._db, list[str]()
        # Few are; all ids would take as much memory as the companies themselves.
        known = dict(db.execute("select id, absent from companies where absent is not null").fetchall())
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        seen = set[str]()
        for company in linked:
            seen.add(company)
            if known.get(company) is not None:
                db.execute(
                    "update companies set absent = null, since = null, link = null, marked = 0 where id = ?",
                    (company,),
                )
        for company, name, link in unlinked:
            seen.add(company)
            row = db.execute(f"select {_PULLED} from companies c where id = ?", (company,)).fetchone()
            pulled = row is not None and row[0]
            if not pulled and known.get(company) == "unlisted":
                db.execute(
                    "update companies set absent = null, since = null, marked = 0 where id = ?", (company,)
                )
            elif pulled and known.get(company) != "unlinked":
                fresh.append(company)
                db.execute(
                    "update companies set absent = 'unlinked', since = ?, name = ?, link = ?, marked = 0"
                    " where id = ?",
                    (moment, name, link, company),
                )
        if complete:
            listed = db.execute("select id from companies where absent is not 'unlisted'")
            gone = [company for (company,) in listed if company not in seen]
            for company in gone:
                fresh.append(company)
                db.execute(
                    "update companies set absent = 'unlisted', since = ?, link = null where id = ?",
                    (moment, company),
                )
        found = set(fresh)
        return [each for each in self.absent() if each.company in found] if fresh else []

    def unlist(self, company: str) -> None:
        """Note that a company is no longer listed; nothing of it is removed."""
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        self._db.execute(
            "update companies set absent = 'unlisted', since = ?, link = null, marked = 0"
            " where id = ? and absent is not 'unlisted'",
            (moment, company),
        )

    def absent(self) -> list[Absent]:
        """The companies that are no longer linked or listed."""
        rows = self._db.execute(
            "select id, name, absent, since, link from companies c"
            f" where absent is not null and {_PULLED} order by since, id"
        )
        return [Absent(*row) for row in rows]

    def unmarked(self) -> list[str]:
        """The companies that are no longer listed, and whose record does not say so yet."""
        rows = self._db.execute("select id from companies where absent = 'unlisted' and marked = 0")
        return [row[0] for row in rows.fetchall()]

    def mark(self, company: str) -> None:
        """Note that the record of a company says that it is no longer listed."""
        self._db.execute("update companies set marked = 1 where id = ?", (company,))

    # --- forgotten -----------------------------------------------------------------------

    def forget(self, companies: Iterable[str]) -> None:
        """Write the tombstones of companies: the next pull does not read them unless they are named."""
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        for company in companies:
            self._db.execute("insert or replace into forgotten values (?, ?, 0)", (_digest(company), moment))

    def erase(self, companies: Iterable[str]) -> None:
        """Remove all rows of companies, whatever the case of their ids; only their tombstones are left."""
        db, named = self._db, [*companies]
        for key in self.keys_of(named):
            for table in ("lists", "asked", "checks"):
                db.execute(f"delete from {table} where company = ?", (key,))
            db.execute("delete from companies where key = ?", (key,))
        for company in named:
            db.execute("update forgotten set erased = 1 where digest = ?", (_digest(company),))
        # Connections and accounts belong to one company.
        db.execute("delete from places where key <> 0 and key not in (select place from lists)")
        self._keys.clear()

    def is_forgotten(self, company: str) -> bool:
        """Whether a company has a tombstone."""
        query = "select 1 from forgotten where digest = ?"
        return self._db.execute(query, (_digest(company),)).fetchone() is not None

    def forgotten(self, *, erased: bool | None = None) -> int:
        """How many companies have a tombstone: all, or those of which nothing or something is left."""
        where = "" if erased is None else f" where erased = {int(erased)}"
        return int(self._db.execute(f"select count(*) from forgotten{where}").fetchone()[0])

    def remember(self, companies: Iterable[str]) -> None:
        """Remove the tombstones of companies that are named in a pull."""
        for company in companies:
            self._db.execute("delete from forgotten where digest = ?", (_digest(company),))


def _digest(company: str) -> bytes:
    # The id itself is data of the company too.
    return sha256(company.lower().encode()).digest()
