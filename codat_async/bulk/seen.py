"""Remembers the ids of a list of any length in about eight bytes each."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

__all__ = ["Seen"]

_RECENT: Final = 2_000
_LARGEST: Final = 160_000
_VERSIONS: Final = 10_000
"""A row that comes again through a shift of the pages comes soon; one that comes this much later
is taken for a new version."""


class Seen:
    """Hashes of the ids met so far in one reading of a list.

    The latest are in a set; before that they are put away in sorted arrays, since a set of
    a million would take a hundred bytes each. Two of a million ids share a hash once in
    some thirty million lists.
    """

    def __init__(self) -> None:
        self.count = 0
        """Different ids, and records without one."""
        self._recent: set[int] = set()
        self._sorted: list[array[int]] = []
        self._versions = array("q")

    def repeats(self, ids: list[int | None], versions: list[int]) -> list[tuple[int, bool]]:
        """Note one page; the rows whose ids were met before, and whether in that very version.

        ``versions`` are hashes of id and modified date together.
        """
        named = [each for each in ids if each is not None]
        unique = set(named)
        found: list[tuple[int, bool]] = []
        if len(unique) != len(named) or not self._all_new(unique):
            here: dict[int, set[int]] = {}
            for row, (identifier, version) in enumerate(zip(ids, versions, strict=True)):
                if identifier is None:
                    continue
                earlier = here.setdefault(identifier, set())
                if earlier or not self._all_new((identifier,)):
                    found.append((row, version in earlier or version in self._versions))
                earlier.add(version)
        self.count += len(ids) - len(found)
        self._versions.extend(versions)
        if len(self._versions) > 2 * _VERSIONS:
            del self._versions[:-_VERSIONS]
        self._recent |= unique
        if len(self._recent) > _RECENT:
            self._put_away()
        return found

    def _all_new(self, ids: Iterable[int]) -> bool:
        return self._recent.isdisjoint(ids) and not any(_within(ids, held) for held in self._sorted)

    def _put_away(self) -> None:
        fresh = array("q", sorted(self._recent))
        self._recent = set()
        # Equal sizes are merged, so that there are few arrays to look through, up to a size
        # whose merging is not felt.
        while self._sorted and len(self._sorted[-1]) <= len(fresh) <= _LARGEST // 2:
            fresh = array("q", sorted(self._sorted.pop() + fresh))
        self._sorted.append(fresh)


def _within(ids: Iterable[int], held: "array[int]") -> bool:
    size = len(held)
    return any((at := bisect_left(held, each)) < size and held[at] == each for each in ids)
