"""Tracks duplicates and missing records across the passes over one list."""

from collections.abc import Iterable

from codat_async.bulk.extract.page import Keys, PreparedPage, stable_hashes
from codat_async.dedup import SeenRecords

__all__ = ["Reconciler", "stable_versions", "versions_of", "written_twice"]


class Reconciler:
    """The records of one list, read in a first pass and, if rows shifted, in a second."""

    def __init__(self, earlier: set[int], overlap: int = 0) -> None:
        self._all = self._this = SeenRecords()
        self._earlier = earlier
        self._written = set[int]()
        # Rows that an interrupted attempt dropped, and that are not read again.
        self._overlap = overlap
        self._decrease_before = 0

    @property
    def has_records_without_id(self) -> bool:
        """Whether there were records without an id, which cannot be matched between two passes."""
        return self._all.without_id > 0

    @property
    def rows(self) -> int:
        """The rows of this pass that repeated none of it."""
        return self._this.rows

    def restore(self, batches: Iterable[list[bytes]]) -> None:
        """Add the records that an interrupted attempt wrote, from its lines."""
        for lines in batches:
            keys = Keys.of_lines(lines)
            self._all.add(keys.ids, keys.versions)

    def begin_second_pass(self, written: set[int], total_decrease: int) -> None:
        """Begin the second pass, given the versions written so far and the decrease of the total."""
        self._this = SeenRecords()
        self._written = written
        self._overlap = 0
        self._decrease_before = total_decrease

    def sort_out(self, page: PreparedPage) -> tuple[set[int], set[int]]:
        """Add a page; return its rows that repeat one of this pass, and those that were written before it.

        The keys are moved out of the page, which may have to wait for the disk.
        """
        keys, page.keys = page.keys, Keys()
        ids = keys.ids.tolist()
        repeated = self._this.add(ids, keys.versions)
        if self._this is not self._all:
            self._all.add(ids, keys.versions)
        known = set[int]()
        if self._earlier:
            known |= {row for row, each in enumerate(page.stable) if each in self._earlier}
        if self._written:
            known |= {row for row, each in enumerate(keys.hashes()) if each in self._written}
        return repeated, known - repeated

    def missing(self, total: int, total_decrease: int) -> int:
        """Return how many records may be missing; negative if more were read than the API reports.

        A row that is deleted while the pages are read moves all rows after it forward: one is
        then never read, and the count is right all the same. Such a row cannot be distinguished from one
        that was read and then deleted, so each row of ``total_decrease`` counts as possibly missing.
        """
        missing = total - sum(self._all.counts()) - self._overlap + total_decrease
        if self._this is self._all:
            return missing
        return min(missing, total - sum(self._this.counts()) + total_decrease - self._decrease_before)

    def may_have_duplicates(self) -> bool:
        """Whether a record came again so late that its version could not be compared."""
        return self._all.rows - self._all.updates > sum(self._all.counts())


def versions_of(batches: Iterable[list[bytes]]) -> set[int]:
    """Return hashes of id and modified date of the records that have an id, from their lines."""
    return {version for lines in batches for version in Keys.of_lines(lines).hashes() if version}


def stable_versions(batches: Iterable[list[bytes]]) -> set[int]:
    """Return the same as :func:`versions_of`, with hashes that are the same in every process."""
    return {version for lines in batches for version in stable_hashes(lines)}


def written_twice(batches: Iterable[list[bytes]]) -> bool:
    """Return whether a version of a record is in the lines more than once."""
    seen = SeenRecords()
    for lines in batches:
        versions = [version for version in Keys.of_lines(lines).hashes() if version]
        seen.add(versions, [None] * len(versions))
    return seen.dropped > 0 or seen.rows > sum(seen.counts())
