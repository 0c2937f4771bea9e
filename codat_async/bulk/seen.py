"""Remembers the ids and versions of a list of any length."""

from array import array
from typing import Final

from codat_async.hashes import HashSet

__all__ = ["Seen"]

_PAGES: Final = 2
"""A row that comes again through a shift of the pages comes within so many; one that comes later is
taken for a new version."""


class Seen:
    """Hashes of the ids met so far in one reading of a list, and of the versions they came in."""

    def __init__(self) -> None:
        self.count = 0
        """Different ids, and records without one."""
        self._ids = HashSet()
        self._versions = array("q")
        self._kept = 0

    def repeats(self, ids: list[int | None], versions: list[int]) -> list[tuple[int, bool]]:
        """Note one page; the rows whose ids were met before, and whether in that very version.

        ``versions`` are hashes of id and modified date together.
        """
        named = [each for each in ids if each is not None]
        unique = set(named)
        found: list[tuple[int, bool]] = []
        if len(unique) != len(named) or not self._ids.isdisjoint(unique):
            here: dict[int, set[int]] = {}
            for row, (identifier, version) in enumerate(zip(ids, versions, strict=True)):
                if identifier is None:
                    continue
                earlier = here.setdefault(identifier, set())
                if earlier or identifier in self._ids:
                    found.append((row, version in earlier or version in self._versions))
                earlier.add(version)
        self.count += len(ids) - len(found)
        self._versions.extend(versions)
        self._kept = max(self._kept, _PAGES * len(versions))
        if len(self._versions) > 2 * self._kept:
            del self._versions[: -self._kept]
        self._ids.update(unique)
        return found
