"""Transactions of the checkpoint, and its exclusive mode."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Run, UnitState
from codat_async.bulk.units.unit import Unit


def fail_in_transaction(checkpoint: Checkpoint) -> None:
    """Write something, then fail."""
    with checkpoint.transaction():
        checkpoint.note("source", "here")
        raise ValueError("stop")


def test_a_transaction_is_committed_or_rolled_back(tmp_path: Path) -> None:
    """An error in the body rolls it back, and the next transaction is not affected."""
    checkpoint = Checkpoint(tmp_path / "checkpoint.sqlite")
    with pytest.raises(ValueError, match="stop"):
        fail_in_transaction(checkpoint)
    assert checkpoint.fact("source") is None
    with checkpoint.transaction():
        checkpoint.note("source", "here")
    checkpoint.close()
    again = Checkpoint(tmp_path / "checkpoint.sqlite")
    assert again.fact("source") == "here"
    again.close()


def test_a_company_counts_once_however_many_lists_it_has(tmp_path: Path) -> None:
    """Of the connections and accounts of a type, those that were read or not."""
    with closing(Checkpoint(tmp_path / "checkpoint.sqlite")) as checkpoint, checkpoint.transaction():
        run = checkpoint.begin_run(Run(id="r", mode="full", page_size=0, compression="gzip", began=""))
        for company, place in (("a", "1"), ("a", "2"), ("b", "3"), ("c", ""), ("c", "4")):
            checkpoint.lists.finish(run, Unit("customers", company, place), UnitState(rows=1), Ending())
        for place in ("2", "3"):
            checkpoint.lists.skip(run, Unit("customers", "b" if place == "3" else "d", place))
        ((name, companies, lists, records, *_, skipped, _),) = checkpoint.lists.sums()
    assert (name, companies, lists, records, skipped) == ("customers", 2, 6, 5, 2)


def test_an_exclusive_checkpoint_is_locked_until_it_is_closed(tmp_path: Path) -> None:
    """Other connections can neither write to it nor read it."""
    path = tmp_path / "checkpoint.sqlite"
    first = Checkpoint(path)
    first.lock()
    with closing(sqlite3.connect(path, timeout=0)) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("select * from facts")
        first.close()
        assert other.execute("select count(*) from runs").fetchall() == [(0,)]
