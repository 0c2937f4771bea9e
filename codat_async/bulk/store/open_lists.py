"""The lists that are being read: opened after a decision about each, and handed out in slices."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from msgspec import Struct

from codat_async.bulk.store.keys import Keys, types_in
from codat_async.bulk.store.lists import IS_OPEN
from codat_async.bulk.store.state import (
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

__all__ = ["Choose", "Expanded", "OpenLists"]

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


class OpenLists:
    """The lists of a checkpoint that have work left, and what was left of them to decide by."""

    def __init__(self, db: sqlite3.Connection, keys: Keys) -> None:
        self._db = db
        self._keys = keys

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
