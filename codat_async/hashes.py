"""A set of hashes that stays small: for telling which ids of a long list were met before."""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable
from typing import Final

__all__ = ["HashSet"]

_RECENT: Final = 2_000
_LARGEST: Final = 160_000


class HashSet:
    """Hashes of 64 bits, in about nine bytes each.

    The latest are in a set; before that they are put away in sorted arrays, since a set of
    a million would take seventy bytes each. Two of a million ids share a hash once in some
    thirty million lists.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._sorted: list[array[int]] = []

    def __contains__(self, value: int) -> bool:
        return not self.isdisjoint((value,))

    def isdisjoint(self, values: Collection[int]) -> bool:
        """Whether none of the values is in the set."""
        return self._recent.isdisjoint(values) and not any(_meet(values, held) for held in self._sorted)

    def update(self, values: Iterable[int]) -> None:
        """Take values in that are not in the set."""
        self._recent.update(values)
        if len(self._recent) > _RECENT:
            self._put_away()

    def _put_away(self) -> None:
        fresh = array("q", sorted(self._recent))
        self._recent = set()
        # Equal sizes are merged, so that there are few arrays to look through, up to a size
        # whose merging is not felt.
        while self._sorted and len(self._sorted[-1]) <= len(fresh) and len(fresh) <= _LARGEST // 2:
            fresh = array("q", sorted(self._sorted.pop() + fresh))
        self._sorted.append(fresh)


def _meet(values: Iterable[int], held: "array[int]") -> bool:
    size = len(held)
    return any((at := bisect_left(held, each)) < size and held[at] == each for each in values)
