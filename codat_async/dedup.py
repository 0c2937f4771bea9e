"""A set of hashes that stays small: for telling which ids of a long list were met before."""

from collections.abc import Collection, Iterable
from struct import Struct
from typing import Final

__all__ = ["HashSet"]

_FEW: Final = 2_000
_FILLED: Final = 40
"""Hashes in a bucket, on average: fewer cost memory for so many buckets, more cost time to look through."""

_packed: Final = Struct("q")


class HashSet:
    """Hashes of 64 bits, in about ten bytes each.

    The latest are in a set, all others packed into strings of bytes by their low
    bits, since a set of a million would take seventy bytes each. Two of a million ids share
    a hash once in some thirty million lists.
    """

    def __init__(self) -> None:
        self._few: set[int] = set()
        # Linear hashing: one bucket is split for some hashes that come, so that none waits for all.
        self._buckets: list[bytes] = [b""]
        self._size = 1
        self._count = 0

    def __contains__(self, value: int) -> bool:
        return not self.isdisjoint((value,))

    def isdisjoint(self, values: Collection[int]) -> bool:
        """Whether none of the values is in the set."""
        return self._few.isdisjoint(values) and not (self._count and any(map(self._is_packed, values)))

    def update(self, values: Iterable[int]) -> None:
        """Take values in that are not in the set."""
        self._few.update(values)
        if len(self._few) > _FEW:
            buckets, pack, place = self._buckets, _packed.pack, self._place
            for value in self._few:
                buckets[place(value)] += pack(value)
                self._count += 1
                if self._count > _FILLED * len(buckets):
                    self._split()
            self._few = set()

    def _place(self, value: int) -> int:
        place = value % (2 * self._size)
        return place if place < len(self._buckets) else place - self._size

    def _split(self) -> None:
        buckets, size = self._buckets, self._size
        place = len(buckets) - size
        stay: list[bytes] = []
        move: list[bytes] = []
        for (value,) in _packed.iter_unpack(buckets[place]):
            (move if value & size else stay).append(_packed.pack(value))
        buckets[place] = b"".join(stay)
        buckets.append(b"".join(move))
        if len(buckets) == 2 * size:
            self._size = 2 * size

    def _is_packed(self, value: int) -> bool:
        bucket, packed = self._buckets[self._place(value)], _packed.pack(value)
        at = bucket.find(packed)
        while at % len(packed) and at > 0:
            # The end of one and the beginning of the next.
            at = bucket.find(packed, at + 1)
        return at >= 0
