"""What the readings of a list have met: which rows to drop, and how many records may be missing."""

from collections.abc import Iterable, Iterator

from codat_async.bulk.extract.page import PreparedPage, key_of_record, records_of
from codat_async.bulk.extract.seen import Seen
from codat_async.bulk.store.versions import version_hash

__all__ = ["Reconciler", "landed_twice", "stable_versions", "versions_of"]


class Reconciler:
    """The account of one list, over a first reading and, where rows shifted, a second."""

    def __init__(self, earlier: set[int], overlap: int = 0) -> None:
        self._all = self._this = Seen()
        self._earlier = earlier
        self._landed = set[int]()
        # Rows that an attempt which was broken off dropped, and that are not met again.
        self._overlap = overlap
        self._shrunk_before = 0

    @property
    def nameless(self) -> bool:
        """Whether there were records without an id, of which two readings cannot be made one."""
        return self._all.nameless > 0

    def recollect(self, batches: Iterable[list[bytes]]) -> None:
        """Note what an attempt that was broken off landed, from its lines."""
        for lines in batches:
            hashes = [key_of_record(record).hashes() for record in records_of(lines)]
            self._all.repeats([each for each, _ in hashes], [each for _, each in hashes])

    def once_more(self, landed: set[int], shrunk: int) -> None:
        """Begin the second reading: with the versions that landed, and by how much the list shrank before."""
        self._this = Seen()
        self._landed = landed
        self._overlap = 0
        self._shrunk_before = shrunk

    def sort_out(self, page: PreparedPage) -> tuple[set[int], set[int]]:
        """The rows of a page that repeat one of this reading, and those that landed before it."""
        repeated = self._this.repeats(page.ids, page.versions)
        if self._this is not self._all:
            self._all.repeats(page.ids, page.versions)
        known = set[int]()
        if self._earlier:
            known |= {row for row, each in enumerate(page.stable) if each in self._earlier}
        if self._landed:
            known |= {row for row, each in enumerate(page.versions) if each in self._landed}
        return repeated, known - repeated

    def missing(self, total: int, shrunk: int) -> int:
        """How many records of the list may not have come; negative where more came than it is said to hold.

        A row that goes while the pages are read moves all after it forward: one is then
        never read, and the count is right nevertheless. What was there and is gone cannot
        be told from it, so each of the ``shrunk`` rows counts as one that may be missing.
        """
        missing = total - self._all.count() - self._overlap + shrunk
        if self._this is self._all:
            return missing
        return min(missing, total - self._this.count() + shrunk - self._shrunk_before)

    def changed(self) -> bool:
        """Whether an id came more than once: as another version, or as a row that shifted by many pages."""
        return self._all.rows > self._all.count()


def versions_of(batches: Iterable[list[bytes]]) -> set[int]:
    """Hashes of id and modified date of the records that have an id, from their lines."""
    return {version for lines in batches for version in _versions(lines)}


def landed_twice(batches: Iterable[list[bytes]]) -> bool:
    """Whether a version is there more than once."""
    seen = Seen()
    for lines in batches:
        seen.note(_versions(lines))
    return seen.rows > seen.count()


def _versions(lines: list[bytes]) -> Iterator[int]:
    hashes = (key_of_record(record).hashes() for record in records_of(lines))
    return (version for identifier, version in hashes if identifier)


def stable_versions(batches: Iterable[list[bytes]]) -> set[int]:
    """Like :func:`versions_of`, with hashes that are the same in every process."""
    keys = (key_of_record(record) for lines in batches for record in records_of(lines))
    return {version_hash(key.id, key.modified_date) for key in keys} - {0}
