"""The companies of a directory: those that are no longer linked or listed, and those that were forgotten."""

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from codat_async.bulk.store.keys import Keys

__all__ = ["SCHEMA", "Absent", "Roster"]

SCHEMA: Final = """
create table companies (
    key integer primary key, id text not null unique, name text not null default '',
    absent text, since text, link text, forgotten text, erased integer not null default 0
);
create index absent_companies on companies (key) where absent is not null;
create index forgotten_companies on companies (key) where forgotten is not null;
"""


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
        """The companies that were ever queued."""
        return {row[0] for row in self._db.execute("select id from companies")}

    def some(self, number: int) -> list[str]:
        """A few of them."""
        return [row[0] for row in self._db.execute("select id from companies order by id limit ?", (number,))]

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
        not in it stay as they are.
        """
        db, fresh = self._db, list[str]()
        known = {
            row[0]: row[1] for row in db.execute("select id, absent from companies where forgotten is null")
        }
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        seen = set[str]()
        for company in linked:
            seen.add(company)
            if known.get(company) is not None:
                db.execute(
                    "update companies set absent = null, since = null, link = null where id = ?", (company,)
                )
        for company, name, link in unlinked:
            seen.add(company)
            if company in known and known[company] != "unlinked":
                fresh.append(company)
                db.execute(
                    "update companies set absent = 'unlinked', since = ?, name = ?, link = ? where id = ?",
                    (moment, name, link, company),
                )
        if complete:
            for company, absent in known.items():
                if company not in seen and absent != "unlisted":
                    fresh.append(company)
                    db.execute(
                        "update companies set absent = 'unlisted', since = ?, link = null where id = ?",
                        (moment, company),
                    )
        found = set(fresh)
        return [each for each in self.absent() if each.company in found] if fresh else []

    def absent(self) -> list[Absent]:
        """The companies that are no longer linked or listed."""
        rows = self._db.execute(
            "select id, name, absent, since, link from companies"
            " where absent is not null and forgotten is null order by since, id"
        )
        return [Absent(*row) for row in rows]

    # --- forgotten -----------------------------------------------------------------------

    def forget(self, companies: Iterable[str]) -> None:
        """Write the tombstones of companies: the next pull does not read them unless they are named."""
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        for company in companies:
            self._db.execute(
                "update companies set forgotten = ?, erased = 0, name = '', link = null, absent = null"
                " where key = ?",
                (moment, self._keys.company(company)),
            )

    def erased(self, companies: Iterable[str]) -> None:
        """Note that nothing of these companies is left."""
        for company in companies:
            self._db.execute("update companies set erased = 1 where key = ?", (self._keys.company(company),))

    def forgotten(self, *, erased: bool | None = None) -> list[str]:
        """The companies that have a tombstone: all, or those that are or are not erased yet."""
        where = "" if erased is None else f" and erased = {int(erased)}"
        rows = self._db.execute(f"select id from companies where forgotten is not null{where} order by id")
        return [row[0] for row in rows]

    def remember(self, companies: Iterable[str]) -> None:
        """Remove the tombstones of companies that are named in a pull."""
        for company in companies:
            self._db.execute(
                "update companies set forgotten = null, erased = 0 where key = ? and forgotten is not null",
                (self._keys.company(company),),
            )
