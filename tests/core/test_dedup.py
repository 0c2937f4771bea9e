"""The small set of hashes answers as an ordinary set does."""

import random

from codat_async.dedup import HashSet


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
    assert sum(map(len, hashes._buckets)) >= 8 * 94_000
    assert len(hashes._few) <= 5_000
    assert 2_000 <= len(hashes._buckets) <= 3_000
    assert max(map(len, hashes._buckets)) <= 8 * 100


def test_neighbours_do_not_make_a_third() -> None:
    """The end of one packed hash with the beginning of the next is none, though it may look like one."""
    first, second = (
        int.from_bytes(bytes(each), "little") for each in ([1, 1, 2, 2, 2, 2, 1, 1], [1, 1] + [3] * 6)
    )
    between = int.from_bytes(bytes([1, 1, 1, 1, 3, 3, 3, 3]), "little")
    hashes = HashSet()  # The ranges are there to have all before them packed, next to even numbers.
    hashes.update([first])
    hashes.update(range(2_000_000, 2_020_000, 2))
    hashes.update([second])
    hashes.update(range(3_000_000, 3_020_000, 2))
    bucket = hashes._buckets[hashes._place(between)]
    assert bucket == first.to_bytes(8, "little") + second.to_bytes(8, "little")
    assert between.to_bytes(8, "little") in bucket
    assert first in hashes
    assert second in hashes
    assert between not in hashes
    hashes.update([between])
    hashes.update(range(4_000_000, 4_020_000, 2))
    assert between in hashes
