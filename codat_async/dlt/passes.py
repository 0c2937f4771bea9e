"""Whether a list was read whole, although its rows may shift between its pages."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

_PASSES: Final = 3
"""How often a list is read if rows shifted between its pages, so that some were skipped."""


class Passes:
    """Whether all records of a list were read, whose rows may shift between its pages."""

    def __init__(self) -> None:
        self.without_id = Counter[bytes]()
        """How often each record without an id came in this pass."""
        self._passes = 0
        self._seen, self._most = set[str](), 0
        self._found, self._totals = set[str](), set[int]()

    def begin(self) -> None:
        """Begin to read the list from its first page."""
        self._passes += 1
        self.without_id.clear()
        self._found, self._totals = set(), set()

    def add(self, names: Iterable[str], total: int) -> None:
        """Note the ids of a page, and how many records the list has."""
        self._found.update(names)
        self._seen.update(names)
        self._totals.add(total)
        self._most = max(self._most, total)

    @property
    def complete(self) -> bool:
        """Whether this pass has all records, or the passes together as many as there ever were."""
        steady = len(self._totals) == 1 and len(self._found) >= max(self._totals)
        return bool(self._totals) and (steady or len(self._seen) >= self._most)

    @property
    def enough(self) -> bool:
        """Whether not to read the list again."""
        return self.complete or self._passes >= _PASSES
