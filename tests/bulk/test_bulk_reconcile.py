"""Duplicates and missing records across the passes over one list."""

from array import array

import msgspec
import pytest

from codat_async import dedup
from codat_async.bulk.extract.page import Keys, PreparedPage, stable_hashes
from codat_async.bulk.extract.reconcile import Reconciler, stable_versions, versions_of, written_twice
from codat_async.bulk.store.lines import lines_of


@pytest.fixture(autouse=True)
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are kept for the latest four records."""
    monkeypatch.setattr(dedup, "_EXACT", 8)
    monkeypatch.setattr(dedup, "_KEPT", 4)


def line(identifier: str | None, day: int | None = 1) -> bytes:
    """A line of a raw file with a record modified on a day of January."""
    date = None if day is None else f"2024-01-{day:02d}"
    return raw_line({"id": identifier} if date is None else {"id": identifier, "modifiedDate": date})


def raw_line(record: dict[str, object]) -> bytes:
    """A line of a raw file."""
    return lines_of(b'{"n":1', [msgspec.json.encode(record)]).rstrip()


def page(*rows: tuple[str | None, int | None]) -> PreparedPage:
    """A page of records by id and day."""
    lines = [line(*row) for row in rows]
    keys = Keys.of_lines(lines)
    stable = [next(stable_hashes([each]), 0) for each in lines]
    return PreparedPage(
        number=1, following=None, total=len(rows), rows=len(rows), keys=keys, last_modified=None,
        undated=0, payload=b"", compressed=False, stable=array("q", stable), recent=[], received=0,
        invalid=[],
    )  # fmt: skip


def others(count: int, first: int = 0) -> list[tuple[str | None, int | None]]:
    """That many rows of other records."""
    return [(f"x{number}", 1) for number in range(first, first + count)]


def test_rows_are_sorted_out_by_what_they_repeat() -> None:
    """A record of this pass, or one that was written before it; a newer version is neither."""
    reconciler = Reconciler(stable_versions([[line("old", 1), line("other", 1)]]))
    first = page(("a", 1), ("old", 1), (None, 1), ("old", 2))
    assert reconciler.sort_out(first) == (set(), {1})
    assert first.keys == Keys()
    assert reconciler.sort_out(page(("a", 1), ("a", 2), ("old", 1), (None, 1))) == ({0, 2}, set())
    assert reconciler.has_records_without_id
    assert reconciler.missing(4, 0) == 0


def test_missing_records_and_the_second_pass() -> None:
    """Each pass misses another record; what the first one wrote is known in the second."""
    reconciler = Reconciler(set())
    reconciler.sort_out(page(("a", 1), ("b", 1)))
    assert reconciler.missing(3, 0) == 1
    reconciler.begin_second_pass(versions_of([[line("a"), line("b")]]), 0)
    assert reconciler.sort_out(page(("a", 1), ("c", 1), ("c", 1), ("b", 2))) == ({2}, {0})
    assert reconciler.missing(3, 0) == 0
    assert not reconciler.has_records_without_id


def test_the_decrease_of_the_total_may_be_missing() -> None:
    """In the first pass; in the second only the decrease during that pass."""
    reconciler = Reconciler(set())
    reconciler.sort_out(page(("a", 1), ("b", 1)))
    assert reconciler.missing(2, 1) == 1
    reconciler.begin_second_pass(set(), 1)
    reconciler.sort_out(page(("a", 1), ("b", 1)))
    assert reconciler.missing(2, 1) == 0


def test_restoring_an_interrupted_attempt() -> None:
    """Its records count, and are duplicates if they are read again; so does the overlap it dropped."""
    reconciler = Reconciler(set(), overlap=3)
    reconciler.restore([[line("a"), line("b")]])
    assert reconciler.sort_out(page(("b", 1), ("c", 1))) == ({0}, set())
    assert reconciler.missing(6, 0) == 0


def test_a_record_that_comes_again_late_may_be_a_duplicate() -> None:
    """Its version cannot be compared; that of one that comes again soon can."""
    reconciler = Reconciler(set())
    reconciler.sort_out(page(("a", 1), ("b", 1), ("b", 2)))
    assert not reconciler.may_have_duplicates()
    reconciler.sort_out(page(*others(20)))
    assert reconciler.sort_out(page(("a", 1))) == (set(), set())
    assert reconciler.may_have_duplicates()


def test_versions_that_were_written_twice() -> None:
    """Near each other or far; several versions of a record are not the same version."""
    rows = [line(*row) for row in others(20)]
    assert not written_twice([])
    assert not written_twice([[line("a", 1), line("a", 2), line(None), line(None)], rows, [line("a", 3)]])
    assert written_twice([[line("a", 1), line("b", 1), line("a", 1)]])
    assert written_twice([[line("a", 1)], rows, [line("a", 1)]])


def test_versions_are_moments() -> None:
    """However they are written, and the same in lines and on pages; a record without an id has none."""
    forms = ["2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"]
    lines = [raw_line({"id": "a", "modifiedDate": each}) for each in forms]
    assert len(versions_of([lines, [line(None)]])) == len(stable_versions([lines, [line(None)]])) == 1
    assert Keys.of_lines([line(None)]) == Keys(
        array("q", [0]), array("d", [Keys.of_lines(lines).versions[0]])
    )
