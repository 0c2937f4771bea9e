"""The records already read: which rows are dropped, which are handed on, and how many were different."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from codat_async import dedup
from codat_async.dedup import SeenRecords, Version, may_repeat, newest
from codat_async.models import Account, Links

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def account(identifier: str | None, day: int | None = 0) -> Account:
    """An account modified on a day."""
    return Account(id=identifier, modified_date=None if day is None else DAY + timedelta(days=day))


def add(seen: SeenRecords, *rows: tuple[str | None, int | None]) -> str:
    """Add a page of ids and days; return the ids of the rows handed on."""
    return "".join(each.id or "?" for each in seen.new([account(*row) for row in rows]))


def count(seen: SeenRecords) -> int:
    """The number of different records."""
    return sum(seen.counts())


def filler(number: int) -> Iterator[list[Account]]:
    """Pages of that many other records."""
    for start in range(0, number, 100):
        yield [account(f"other {each}") for each in range(start, start + 100)]


@pytest.fixture(params=["few", "many"])
def seen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SeenRecords:
    """With all ids in the window, and with all but the latest ten as hashes."""
    if request.param == "many":
        monkeypatch.setattr(dedup, "_EXACT", 20)
        monkeypatch.setattr(dedup, "_KEPT", 10)
    return SeenRecords()


def test_an_unchanged_row_that_shifted_is_dropped(seen: SeenRecords) -> None:
    """On the next page, on the one after it, and on the same page."""
    assert add(seen, ("a", 1), ("b", 1), ("a", 1)) == "ab"
    assert add(seen, ("b", 1), ("c", 1)) == "c"
    assert add(seen, ("b", 1), ("d", 1)) == "d"
    assert (seen.rows, seen.dropped, seen.updates, count(seen)) == (4, 3, 0, 4)


def test_a_newer_version_is_handed_on(seen: SeenRecords) -> None:
    """Also on the same page; it is no other record, and later versions are compared with it."""
    assert add(seen, ("a", 1), ("b", 1), ("a", 2)) == "aba"
    assert add(seen, ("b", 3), ("a", 2)) == "b"
    assert add(seen, ("a", 1), ("b", 4)) == "b"
    assert (seen.rows, seen.dropped, seen.updates, count(seen)) == (5, 2, 3, 2)


def test_an_older_version_is_dropped_and_not_compared_with_later(seen: SeenRecords) -> None:
    """A third row is compared with the newest one, not with the latest."""
    assert add(seen, ("a", 3)) == "a"
    assert add(seen, ("a", 1)) == ""
    assert add(seen, ("a", 2)) == ""
    assert add(seen, ("a", 4)) == "a"


@pytest.mark.parametrize(
    ("first", "second", "newer"),
    [
        (None, None, False),
        (DAY, None, False),
        (None, DAY, True),
        (DAY, DAY.replace(tzinfo=None), False),
        (DAY, datetime(2024, 1, 1, 0, 0, 1), True),
        (datetime(2024, 1, 1, 1), DAY, False),
        (DAY, datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), False),
        (DAY, datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(minutes=59))), True),
        (1.0, 1.0, False),
        (1.0, 1.5, True),
    ],
)
def test_which_version_is_newer(first: Version, second: Version, newer: bool) -> None:
    """Moments without a zone are in UTC; a version without a date is never newer."""
    seen = SeenRecords()
    seen.add(["a"], [first])
    assert seen.add(["a"], [second]) == (set() if newer else {0})


def test_records_without_an_id_are_never_duplicates(seen: SeenRecords) -> None:
    """They are handed on, next to others that are dropped, and each counts as a different one."""
    assert add(seen, (None, 1), (None, 1), ("a", 1), ("a", 1), ("", 1)) == "??a?"
    assert add(seen, (None, 1), ("a", 1)) == "?"
    assert (seen.without_id, count(seen)) == (4, 5)


def test_records_of_any_type() -> None:
    """Those without an id field, and those without a modified date."""
    seen = SeenRecords()
    operations = [Links(), Links()]
    assert seen.new(operations) is operations
    assert seen.without_id == 2
    assert seen.add([5, 0, 6, 5], [1.0, 1.0, 1.0, 2.0]) == set()
    assert count(seen) == 5


def test_unreadable_records_count() -> None:
    """Each as a different one."""
    seen = SeenRecords()
    seen.add_unreadable()
    seen.add_unreadable(2)
    assert (seen.rows, count(seen)) == (3, 3)


def test_versions_are_kept_for_the_latest_records() -> None:
    """A row that comes again after 1,000 others is compared, after 20,000 handed on; it counts once."""
    seen = SeenRecords()
    assert add(seen, ("a", 1), ("b", 1)) == "ab"
    for page in filler(1_000):
        assert seen.new(page) is page
    assert add(seen, ("a", 1)) == ""
    for page in filler(20_000):
        seen.new(page)
    assert add(seen, ("b", 1)) == "b"
    assert count(seen) == 20_002
    assert seen.rows - count(seen) > seen.updates == 0


@pytest.mark.parametrize("page_size", [1, 13, 500, 5_000])
def test_the_guarantee_does_not_depend_on_the_page_size(page_size: int) -> None:
    """The row after which 1,024 others came is still known, whenever it is asked for."""
    seen = SeenRecords()
    numbers = iter(range(15_000))
    for _ in range(15_000 // page_size):
        page = [next(numbers) + 1 for _ in range(page_size)]
        assert seen.add(page, [1.0] * page_size) == set()
        oldest = max(1, page[-1] - 1_023)
        assert seen.add([oldest], [1.0]) == {0}


def test_counts_as_a_set_does(seen: SeenRecords) -> None:
    """Over many pages with some ids on several of them, near and far."""
    draw = random.Random(5)
    ids = [draw.randrange(-(2**60), 2**60) for _ in range(3_000)]
    rows = [draw.choice(ids) for _ in range(5_000)]
    for start in range(0, len(rows), 50):
        page = rows[start : start + 50]
        seen.add(page, [1.0] * 50)
    assert count(seen) == len(set(rows))
    assert count(seen) == len(set(rows))


async def test_counting_lets_the_event_loop_run(seen: SeenRecords) -> None:
    """The same number, one part of the ids at a time."""
    for start in range(1, 2_000, 100):
        seen.add(range(start, start + 100), [1.0] * 100)
    assert await seen.count() == 2_000


def test_old_ids_take_little_memory() -> None:
    """All but the latest are numbers in arrays, spread evenly over small parts."""
    seen = SeenRecords()
    for start in range(0, 100_000, 500):
        seen.add([f"id {each}" for each in range(start, start + 500)], [None] * 500)
        assert seen.add([f"id {start}"], [None]) == {0}
    sizes = [len(part) for part in seen._older]
    assert sum(sizes) >= 95_000
    assert max(sizes) < 2 * sum(sizes) / len(sizes)
    assert len(seen._ids) <= 5_000
    assert sum(map(len, seen._pages)) <= 5_000
    assert sum(len(ids) for ids, _ in seen._latest) <= 2_000
    assert {part.itemsize for part in seen._older} == {8}
    assert len(seen._versions or ()) <= 5_000


def test_newest_keeps_the_place_of_the_first() -> None:
    """One record an id; those without an id stay."""
    records = [
        account("a", 1), account(None, 1), account("b", 5), account("a", 3),
        account("b", 4), account(None, 1), account("a", 2), account("c", None),
    ]  # fmt: skip
    assert newest(records) == [records[3], records[1], records[2], records[5], records[7]]


@pytest.mark.parametrize(
    ("ids", "repeats"),
    [((), False), (("a",), False), (("a", "b", None), False), (("a", "b", "a"), True), ((None, None), True)],
)
def test_whether_records_may_repeat(ids: tuple[str | None, ...], repeats: bool) -> None:
    """Those of which each has another id do not; of several without one it is not known."""
    assert may_repeat([account(each) for each in ids]) is repeats
    assert may_repeat([Links()])
