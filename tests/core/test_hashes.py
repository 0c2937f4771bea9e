"""The small set of hashes answers as an ordinary set does."""

import random

from codat_async.hashes import HashSet


def test_answers_as_a_set_does() -> None:
    """Over many pages, put away or not, what was taken in is found and nothing else."""
    draw = random.Random(7)
    numbers = draw.sample(range(-(2**61), 2**61), 40_000)
    held, other = numbers[:30_000], numbers[30_000:]
    hashes = HashSet()
    for start in range(0, len(held), 500):
        page = held[start : start + 500]
        assert hashes.isdisjoint(page)
        hashes.update(page)
        assert not hashes.isdisjoint([other[0], page[-1]])
    assert all(each in hashes for each in held)
    assert not any(each in hashes for each in other)
    assert hashes.isdisjoint(other)


def test_takes_little_memory() -> None:
    """Few of many hashes are kept in the costly form."""
    hashes = HashSet()
    for start in range(0, 100_000, 1_000):
        hashes.update(range(start, start + 1_000))
    assert sum(len(held) * held.itemsize for held in hashes._sorted) >= 8 * 95_000
    assert len(hashes._recent) <= 5_000
