"""Remembers the ids of a list of any length in about nine bytes each."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

__all__ = ["Seen"]

_RECENT = 20_000
_LARGEST = 320_000


class Seen:
    """Hashes of the ids met so far in one reading of a list.

    The latest are in a set; beyond some thousands they are put away in sorted arrays,
    since a set of a million would take a hundred bytes each.
    """

    def __init__(self) -> None:
        self.count = 0
        """Different ids, and records without one."""
        self._recent: set[int] = set()
        self._sorted: list[array[int]] = []
        self._versions = array("q")

    def repeats(self, ids: list[int | None], versions: list[int]) -> list[tuple[int, bool]]:
        """Note one page; the positions of ids met before, and whether that very version was.

        ``versions`` are hashes of id and modified date together.
        """
        named = [each for each in ids if each is not None]
        unique = set(named)
        found: list[tuple[int, bool]] = []
        if len(unique) != len(named) or not self._all_new(unique):
            here: dict[int, set[int]] = {}
            for position, (identifier, version) in enumerate(zip(ids, versions, strict=True)):
                if identifier is None:
                    continue
                earlier = here.setdefault(identifier, set())
                if earlier or self._met(identifier):
                    found.append((position, version in earlier or version in self._versions))
                earlier.add(version)
        self.count += len(ids) - len(found)
        self._versions.extend(versions)
        self._recent |= unique
        if len(self._recent) > _RECENT:
            self._put_away()
        return found

    def _all_new(self, ids: Iterable[int]) -> bool:
        if not self._recent.isdisjoint(ids):
            return False
        return not any(_within(ids, held) for held in self._sorted)

    def _met(self, identifier: int) -> bool:
        return identifier in self._recent or any(_within((identifier,), held) for held in self._sorted)

    def _put_away(self) -> None:
        fresh = array("q", sorted(self._recent))
        self._recent = set()
        # Equal sizes are merged, so that there are few arrays to look through, up to a size
        # whose merging is not felt.
        while self._sorted and len(self._sorted[-1]) <= len(fresh) and len(fresh) <= _LARGEST // 2:
            fresh = array("q", sorted(self._sorted.pop() + fresh))
        self._sorted.append(fresh)


def _within(ids: Iterable[int], held: "array[int]") -> bool:
    size = len(held)
    return any((at := bisect_left(held, each)) < size and held[at] == each for each in ids)
