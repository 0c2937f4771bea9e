"""The records of a list already read: which rows come again, and how many different records there were."""

import asyncio
from array import array
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

__all__ = ["SeenRecords", "Version", "may_repeat", "newest"]

T = TypeVar("T")

Version: TypeAlias = datetime | float | None
"""When a record was modified: a moment (in UTC if it has no zone), a timestamp, or None if unknown."""

_EXACT: Final = 16_384
"""Ids that are kept, 2 MB of them, before all but the latest are reduced to hashes."""
_KEPT: Final = 1_024
"""The latest rows, whose versions are known: a row comes again after as many as were inserted before it."""
_PARTS: Final = 64


class SeenRecords:
    """The records of one list that were already read, known by their ids.

    A record that comes again in the same or an older version is to be dropped, in a newer one to be handed
    on. Versions are kept for the latest 1,024 records at least; one that comes again later is handed on in
    any version, since losing a change is worse than handing on a record twice. Records without an id are
    never duplicates.

    Every id counts, however long ago it came. Of more than 16,384 ids the older are 64-bit hashes, valid in
    this process only; two of a million ids share one once in some thirty million lists.
    """

    rows = 0
    """Rows handed on: all but those that were dropped."""
    dropped = 0
    """Rows that repeated a record in the same or an older version."""
    without_id = 0
    """Records without an id, each counted as a different one."""
    updates = 0
    """Rows handed on that repeated a record in a newer version, as far as versions are known."""

    def __init__(self) -> None:
        self._ids: set[Hashable] = set()
        self._pages: list[Sequence[Hashable]] = []
        # The latest of these pages; their versions are put in a table when an id comes again, as few do.
        self._latest: deque[tuple[Sequence[Hashable], Sequence[Version]]] = deque()
        self._kept = 0
        self._versions: dict[Hashable, Version] | None = None
        # The hashes of all ids before the pages, in parts by their low bits: counting then makes a small set
        # at a time, where one of all ids would take seventy bytes for each.
        self._older: list[array[int]] = []

    def new(self, records: list[T]) -> list[T]:
        """Add records; return those to hand on, which is the same list unless some are dropped."""
        dropped = self.add(*_ids_and_versions(records))
        return [each for row, each in enumerate(records) if row not in dropped] if dropped else records

    def add(self, ids: Sequence[Hashable], versions: Sequence[Version]) -> set[int]:
        """Add rows by their ids (None, empty or 0 if a row has none); return the rows to drop."""
        known, before = self._ids, len(self._ids)
        dropped: set[int] = set()
        if all(ids):
            known.update(ids)
        if len(known) - before < len(ids):
            dropped = self._compare(ids, versions)
        else:
            self._keep(ids, versions)
            if self._versions is not None:
                self._versions.update(zip(ids, versions, strict=True))
        self.rows += len(ids) - len(dropped)
        if len(known) > (4 * _KEPT if self._older else _EXACT):
            self._reduce()
        return dropped

    def _keep(self, ids: Sequence[Hashable], versions: Sequence[Version]) -> None:
        self._pages.append(ids)
        self._latest.append((ids, versions))
        self._kept += len(ids)
        while self._kept - len(self._latest[0][0]) >= _KEPT:
            self._kept -= len(self._latest.popleft()[0])

    def add_unreadable(self, count: int = 1) -> None:
        """Add records that could not be decoded, each as a different one."""
        self.rows += count
        self.without_id += count

    def counts(self) -> Iterator[int]:
        """Count the different records in parts, 1 ms each for a million in all; this forgets versions."""
        if self._older:
            self._latest.clear()
            self._kept = 0
            self._reduce()
        yield self.without_id + len(self._ids)
        for part in self._older:
            yield len(set(part))

    async def count(self) -> int:
        """Count the different records, with the event loop running between the parts."""
        total = 0
        for part in self.counts():
            total += part
            if self._older:
                await asyncio.sleep(0)
        return total

    def _compare(self, ids: Sequence[Hashable], versions: Sequence[Version]) -> set[int]:
        """Add rows of which some have no id, or one that is known or comes twice."""
        known = self._versions
        if known is None:
            known = self._versions = {}
            for page in self._latest:
                known.update(zip(*page, strict=True))
        dropped, kept = set[int](), dict[Hashable, Version]()
        for row, (identifier, version) in enumerate(zip(ids, versions, strict=True)):
            if not identifier:
                self.without_id += 1
                continue
            if identifier in known:
                if not _is_newer(version, known[identifier]):
                    dropped.add(row)
                    continue
                self.updates += 1
            known[identifier] = kept[identifier] = version
        self._ids.update(kept)
        if kept:
            self._keep([*kept], [*kept.values()])
        self.dropped += len(dropped)
        return dropped

    def _reduce(self) -> None:
        """Reduce all but the latest pages to hashes."""
        latest = [ids for ids, _ in self._latest]
        self._older = self._older or [array("q") for _ in range(_PARTS)]
        append = [part.append for part in self._older]
        for ids in self._pages[: len(self._pages) - len(latest)]:
            for each in map(hash, ids):
                append[each % _PARTS](each)
        self._pages, self._ids, self._versions = latest, set().union(*latest), None


def may_repeat(records: Sequence[Any]) -> bool:
    """Whether two records may have the same id: all that need be known of a list with a single page."""
    try:
        return len({each.id for each in records}) < len(records)
    except AttributeError:
        return True


def newest(records: Sequence[T]) -> list[T]:
    """One record of each id: the newest version, in the place of the first one."""
    ids, versions = _ids_and_versions(records)
    found: dict[Hashable, int] = {}
    for row, version in enumerate(versions):
        key = ids[row] or (row,)
        if key not in found or _is_newer(version, versions[found[key]]):
            found[key] = row
    return [records[row] for row in found.values()]


def _ids_and_versions(records: Sequence[Any]) -> tuple[list[Hashable], list[Version]]:
    try:
        return [each.id for each in records], [each.modified_date for each in records]
    except AttributeError:
        ids: list[Hashable] = [getattr(each, "id", None) for each in records]
        return ids, [getattr(each, "modified_date", None) for each in records]


def _is_newer(version: Any, known: Any) -> bool:
    if version is None or known is None:
        return version is not None
    try:
        return bool(version > known)
    except TypeError:
        # One of the moments has a zone, the other has none.
        version, known = (each if each.tzinfo else each.replace(tzinfo=UTC) for each in (version, known))
        return bool(version > known)
