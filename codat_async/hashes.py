"""A set of hashes that stays small: for telling which ids of a long list were met before."""

from collections.abc import Collection, Iterable
from struct import Struct
from typing import Final

__all__ = ["HashSet"]

_FEW: Final = 10_000
_BUCKETS: Final = 1 << 16
_pack: Final = Struct("q").pack


class HashSet:
    """Hashes of 64 bits, in about twelve bytes each.

    The first thousands are in a set, all others packed into strings of bytes by their low
    bits, since a set of a million would take seventy bytes each. Two of a million ids share
    a hash once in some thirty million lists.
    """

    def __init__(self) -> None:
        self._few: set[int] = set()
        self._buckets: list[bytes] = []

    def __contains__(self, value: int) -> bool:
        return not self.isdisjoint((value,))

    def isdisjoint(self, values: Collection[int]) -> bool:
        """Whether none of the values is in the set."""
        return self._few.isdisjoint(values) and not (self._buckets and any(map(self._is_packed, values)))

    def update(self, values: Iterable[int]) -> None:
        """Take values in that are not in the set."""
        self._few.update(values)
        if len(self._few) > _FEW:
            if not self._buckets:
                self._buckets = [b""] * _BUCKETS
            buckets = self._buckets
            for value in self._few:
                buckets[value % _BUCKETS] += _pack(value)
            self._few = set()

    def _is_packed(self, value: int) -> bool:
        bucket, packed = self._buckets[value % _BUCKETS], _pack(value)
        at = bucket.find(packed)
        while at % len(packed) and at > 0:
            # The end of one and the beginning of the next.
            at = bucket.find(packed, at + 1)
        return at >= 0
