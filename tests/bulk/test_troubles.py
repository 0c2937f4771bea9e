"""Which companies of a directory have lists that failed, are unread, damaged or stale."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from codat_async.bulk import troubled_companies
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Run, State, UnitState
from codat_async.bulk.units.unit import Unit

TYPES = ("bills", "invoices", "items")
NOW = datetime.now(UTC)
DAY_AGO, OLD = NOW - timedelta(days=1), int((NOW - timedelta(days=2)).timestamp())
DONE = UnitState(state=State.DONE, rows=1, n=1)
FAILED = UnitState(state=State.FAILED, failure="timeout", error="x")


def found(path: Path, before: datetime = DAY_AGO) -> dict[str, dict[str, str]]:
    """The troubles by company, in their order."""
    return {each.company: each.types for each in troubled_companies(path, before)}


def begin(directory: Directory) -> Run:
    """A run in the checkpoint."""
    return directory.checkpoint.begin_run(
        Run(id="20260102T030405Z", mode="full", page_size=1, compression="gzip", began=NOW.isoformat())
    )


def test_each_trouble_and_their_order(tmp_path: Path) -> None:
    """The worst trouble of a type counts; companies with more failures come first; others are not there."""
    with Directory(tmp_path) as directory, directory.checkpoint.transaction():
        checkpoint, run = directory.checkpoint, begin(directory)
        lists = checkpoint.lists
        for company in ("fine", "stale", "unread", "damaged", "worst", "mixed"):
            for name in TYPES:
                lists.finish(run, Unit(name, company, "", ""), DONE, Ending(watermark=None, overlap=None))
        for company in ("stale", "worst"):
            key = checkpoint.keys.company(company)
            checkpoint.db.execute("update lists set read_at = ? where company = ?", (OLD, key))
        lists.save(run, Unit("bills", "unread", "", ""), UnitState())
        lists.lose(checkpoint.keys.type("items"), [checkpoint.keys.company("damaged")])
        lists.save(run, Unit("bills", "worst", "", ""), FAILED)
        lists.save(run, Unit("items", "worst", "", ""), FAILED)
        lists.save(run, Unit("items", "mixed", "connection", ""), UnitState())
        lists.save(run, Unit("items", "mixed", "other", ""), FAILED)
        lists.skip(run, Unit("bills", "skipped", "", ""))
        checkpoint.roster.name([("worst", "Worst & Co")])
    assert list(found(tmp_path).items()) == [
        ("worst", {"bills": "failed", "invoices": "stale", "items": "failed"}),
        ("mixed", {"items": "failed"}),
        ("damaged", {"items": "damaged"}),
        ("unread", {"bills": "open"}),
        ("stale", dict.fromkeys(TYPES, "stale")),
    ]
    (worst, *_) = troubled_companies(tmp_path, DAY_AGO)
    assert (worst.name, worst.oldest) == ("Worst & Co", OLD)
    assert "fine" in found(tmp_path, NOW + timedelta(days=1))
    assert "stale" not in found(tmp_path, NOW - timedelta(days=3))


def test_queued_companies_are_unread(tmp_path: Path) -> None:
    """A pull that was killed before it came to a company leaves no lists of it, only the queue."""
    with Directory(tmp_path) as directory:
        checkpoint = directory.checkpoint
        work = getattr(checkpoint, "work", checkpoint.lists)
        with checkpoint.transaction():
            work.want([("never", ["connection"])])
            work.queue(begin(directory), checkpoint.keys.types(["bills", "items"]))
    assert found(tmp_path) == {"never": {"bills": "open", "items": "open"}}
    assert troubled_companies(tmp_path, DAY_AGO)[0].oldest is None


def test_unchanged_lists_are_as_new_as_their_check(tmp_path: Path) -> None:
    """A list that was found unchanged without being read is not stale."""
    with Directory(tmp_path) as directory, directory.checkpoint.transaction():
        checkpoint, run = directory.checkpoint, begin(directory)
        for company in ("recent", "earlier"):
            for name in ("bills", "items"):
                checkpoint.lists.finish(
                    run, Unit(name, company, "", ""), DONE, Ending(watermark=None, overlap=None)
                )
        checkpoint.db.execute("update lists set read_at = ?", (OLD,))
        for company, at in (("recent", int(NOW.timestamp())), ("earlier", OLD)):
            checkpoint.db.execute(
                "insert into checks (company, run, at, unchanged) values (?, ?, ?, ?)",
                (checkpoint.keys.company(company), run.key, at, checkpoint.keys.types(["bills"])),
            )
    assert found(tmp_path) == {"recent": {"items": "stale"}, "earlier": {"bills": "stale", "items": "stale"}}
