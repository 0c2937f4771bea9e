"""What is remembered of a list: which rows come again, and how many different records there were."""

import random

from codat_async.bulk.extract.seen import Seen


def noted(seen: Seen, *rows: tuple[str | None, int]) -> set[int]:
    """Rows of id and modified date, told to ``seen`` as a page."""
    ids = [0 if name is None else hash(name) for name, _ in rows]
    return seen.repeats(ids, [0 if name is None else hash((name, day)) for name, day in rows])


def test_a_row_that_shifted_to_the_next_page_repeats() -> None:
    """On the same page as well; the first of them stands."""
    seen = Seen()
    assert noted(seen, ("a", 1), ("b", 1), ("a", 1)) == {2}
    assert noted(seen, ("b", 1), ("c", 1)) == {0}
    assert seen.count() == 3


def test_another_version_is_no_repeat_and_no_other_record() -> None:
    """It is to land, and the list is not longer for it."""
    seen = Seen()
    assert noted(seen, ("a", 1), ("b", 1)) == set()
    assert noted(seen, ("a", 2)) == set()
    assert seen.count() == 2


def test_what_comes_long_after_is_no_shift() -> None:
    """Rows shift by a page or so; the count still knows that it is the same record."""
    seen = Seen()
    noted(seen, ("a", 1))
    for number in range(2):
        assert noted(seen, (f"other {number}", 1)) == set()
    assert noted(seen, ("a", 1)) == {0}
    for number in range(3):
        noted(seen, (f"another {number}", 1))
    assert noted(seen, ("a", 1)) == set()
    assert seen.count() == 6


def test_records_without_an_id_are_each_their_own() -> None:
    """None of them repeats another, next to some that do."""
    seen = Seen()
    assert noted(seen, (None, 0), (None, 0), ("a", 1), ("a", 1)) == {3}
    assert noted(seen, (None, 0)) == set()
    assert seen.nameless == 3
    assert seen.count() == 4


def test_counts_as_a_set_would() -> None:
    """Over many pages, some ids in several of them."""
    draw = random.Random(5)
    seen = Seen()
    ids = [draw.randrange(-(2**62), 2**62) for _ in range(3_000)]
    met = [draw.choice(ids) for _ in range(5_000)]
    for start in range(0, len(met), 500):
        page = met[start : start + 500]
        seen.repeats(page, [draw.randrange(2**62) for _ in page])
    assert seen.count() == len(set(met))
