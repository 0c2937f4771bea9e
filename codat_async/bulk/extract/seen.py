"""Remembers the ids of a list of any length, and the versions in which the latest of its records came."""

from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

__all__ = ["Seen"]

_PAGES: Final = 3
"""A row that comes again through a shift of the pages comes within so many; one that comes later is
taken for a new version."""
_PARTS: Final = 64
_ONE_PART: Final = 4096
"""Ids that are kept together, since parts would cost a short list more than they save."""


class Seen:
    """Hashes of what was met so far in the reading of a list."""

    def __init__(self) -> None:
        self.nameless = 0
        """Records without an id, none of which is known to be another."""
        self.rows = 0
        """All rows but those that :meth:`repeats` gave."""
        # Apart by their low bits, since sets of a part at a time are small, where a set of all
        # would take seventy bytes for each; eight are kept.
        self._ids = [array("q")]
        self._latest: deque[array[int]] = deque(maxlen=_PAGES)

    def repeats(self, ids: Sequence[int], versions: Sequence[int]) -> set[int]:
        """Note one page; its rows that came shortly before, or on it already, in that very version.

        ``versions`` are hashes of id and modified date together; both are 0 without an id.
        """
        self.note(ids)
        unique = set(versions)
        found = set[int]()
        if len(unique) < len(versions) or not all(map(unique.isdisjoint, self._latest)):
            met = set(chain.from_iterable(self._latest))
            for row, (identifier, version) in enumerate(zip(ids, versions, strict=True)):
                if identifier:
                    if version in met:
                        found.add(row)
                    met.add(version)
        self._latest.append(array("q", versions))
        self.rows -= len(found)
        return found

    def note(self, ids: Iterable[int]) -> None:
        """Note records of which only the ids matter."""
        parts = self._ids
        for identifier in ids:
            self.rows += 1
            if identifier:
                parts[identifier % len(parts)].append(identifier)
            else:
                self.nameless += 1
        if len(parts) == 1 and len(parts[0]) > _ONE_PART:
            (whole,) = parts
            self._ids = [array("q") for _ in range(_PARTS)]
            for identifier in whole:
                self._ids[identifier % _PARTS].append(identifier)

    def count(self) -> int:
        """How many different records there were; takes a tenth of a second for a million."""
        return self.nameless + sum(len(set(part)) for part in self._ids)
