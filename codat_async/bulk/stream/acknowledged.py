"""What the consumer of a typed stream acknowledged, in a checkpoint of its own."""

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from codat_async.bulk.extract.choices import Chooser
from codat_async.bulk.store.checkpoint import Checkpoint, CheckpointError
from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Opened, Run, UnitState, from_microseconds
from codat_async.bulk.units.unit import Unit

__all__ = ["Acknowledged"]


class Acknowledged:
    """The lists of a stream: how far they are acknowledged, and what the next reading needs.

    Used by one thread at a time.
    """

    def __init__(self, path: Path, page_size: int, overlap: timedelta) -> None:
        self._overlap = overlap
        try:
            self._checkpoint = Checkpoint(path)
        except (CheckpointError, sqlite3.Error, OSError) as error:
            raise DirectoryError(f"{path} cannot be used as a checkpoint: {error}") from error
        try:
            # Two readings with one file would each acknowledge what the other has not read.
            self._checkpoint.lock()
        except sqlite3.Error as error:
            self._checkpoint.close()
            raise DirectoryError(
                f"{path} cannot be used as a checkpoint: {error}; is another reading using it?"
            ) from error
        last = self._checkpoint.last_run()
        if last is None or last.ended is not None or last.page_size != page_size:
            now = datetime.now(UTC)
            run_id = f"{now:%Y%m%dT%H%M%S.%fZ}"
            last = Run(id=run_id, mode="records", page_size=page_size, compression="", began=now.isoformat())
            with self._checkpoint.transaction():
                last = self._checkpoint.begin_run(last)
        self._run = last

    def enter(self, company: str, units: Iterable[Unit], chooser: Chooser) -> list[Opened]:
        """Open the lists of a company that are to be read; those in progress go on at their page."""
        lists, run, several = self._checkpoint.open_lists, self._run, [*units]
        with self._checkpoint.transaction():
            opened = lists.in_progress(run, company)
            for each in opened:
                if each.state.next_page == 1:
                    chooser.stamp(each.unit, each.state)
            found = lists.add(run, several, self._since, chooser.choose).opened
            read = {each.unit for each in found}
            known = [each for each in lists.accounts(company) if each.type in {unit.type for unit in several}]
            # The accounts of a connection whose list of accounts is not read are those of the last reading.
            parents = {Unit(each.type, company, each.connection) for each in known}
            children = [each for each in known if Unit(each.type, company, each.connection) in parents - read]
            found += lists.add(run, children, self._since, chooser.choose).opened
        return opened + found

    def expand(self, parent: Opened, children: Iterable[Unit], choose: Chooser) -> list[Opened]:
        """Open the lists of the bank accounts of a connection."""
        with self._checkpoint.transaction():
            found = self._checkpoint.open_lists.add(self._run, children, self._since, choose.choose)
            self._checkpoint.lists.finish(self._run, parent.unit, parent.state, Ending())
        return found.opened

    def add(self, unit: Unit, state: UnitState, ending: Ending | None) -> None:
        """Record that the pages before ``state.next_page`` are acknowledged; with an ending, all of them."""
        lists = self._checkpoint.lists
        with self._checkpoint.transaction():
            if ending is None:
                lists.save(self._run, unit, state)
            else:
                lists.finish(self._run, unit, state, ending)

    def skip(self, unit: Unit) -> None:
        """Record that the platform does not offer a list."""
        with self._checkpoint.transaction():
            self._checkpoint.lists.skip(self._run, unit)

    def confirm(self, endings: Iterable[tuple[Unit, Ending]]) -> None:
        """Record what the next reading needs of lists that no sync can have changed meanwhile."""
        with self._checkpoint.transaction():
            for unit, ending in endings:
                self._checkpoint.lists.confirm(self._run, unit, ending)

    def _since(self, type_name: str, watermark: int) -> str | None:
        try:
            since = from_microseconds(watermark) - self._overlap
        except OverflowError:
            return None
        return f"{since.isoformat(timespec='seconds')}Z"

    def end(self) -> None:
        """Record that everything was read, so that the next reading asks for what changed since."""
        with self._checkpoint.transaction():
            self._checkpoint.end_run(self._run, datetime.now(UTC).isoformat())

    def close(self) -> None:
        """Close the file."""
        self._checkpoint.close()
