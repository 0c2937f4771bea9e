"""What the data status said of companies whose lists were not read: one row a company."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from codat_async.bulk.store.keys import Keys, types_in
from codat_async.bulk.store.state import SKIP_REASONS, Run, now

__all__ = ["SCHEMA", "Checks"]

SCHEMA: Final = f"""
create table checks (
    company integer primary key, run integer not null, at integer not null,
    {", ".join(f"{each} integer not null default 0" for each in SKIP_REASONS)}
);
"""


class Checks:
    """The last answers about each company, as sets of data types by what was decided."""

    def __init__(self, db: sqlite3.Connection, keys: Keys) -> None:
        self._db = db
        self._keys = keys

    def note(self, run: Run, company: str, types: int, skipped: Mapping[str, Mapping[str, int]]) -> None:
        """Store which of these data types of a company are not read, by the reason."""
        masks = [self._keys.types(skipped.get(reason, ())) for reason in SKIP_REASONS]
        kept = ", ".join(f"{each} = ({each} & ~?) | excluded.{each}" for each in SKIP_REASONS)
        self._db.execute(
            f"insert into checks (company, run, at, {', '.join(SKIP_REASONS)})"
            f" values (?, ?, ?{', ?' * len(masks)})"
            f" on conflict do update set run = excluded.run, at = excluded.at, {kept}",
            (self._keys.company(company), run.key, now(), *masks, *[types] * len(masks)),
        )

    def checked_at(self, company: str) -> int | None:
        """When the data status of a company was last asked, in seconds since 1970."""
        row = self._db.execute(
            "select at from checks where company = ?", (self._keys.company(company),)
        ).fetchone()
        return None if row is None else int(row[0])

    def counts(self) -> dict[str, dict[str, int]]:
        """By data type and reason, the companies of which it was not read when they were last asked."""
        found: dict[str, dict[str, int]] = {}
        for reason in SKIP_REASONS:
            for mask, companies in self._db.execute(
                f"select {reason}, count(*) from checks where {reason} <> 0 group by {reason}"
            ).fetchall():
                for key in types_in(mask):
                    counts = found.setdefault(self._keys.type_name(key), {})
                    counts[reason] = counts.get(reason, 0) + companies
        return found
