"""The records of a list already read: which rows come again, and how many different records there were."""

import asyncio
from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

__all__ = ["SeenRecords", "Version", "newest"]

T = TypeVar("T")

Version: TypeAlias = datetime | float | None
"""When a record was modified: a moment (in UTC if it has no zone), a timestamp, or None if unknown."""

_WINDOW: Final = 4_096
"""Ids that are kept with their versions, before the oldest are reduced to hashes."""
_KEPT: Final = 1_024
"""Of those, the latest that stay. A row that shifts comes again after as many as were inserted before it."""
_PARTS: Final = 64


class SeenRecords:
    """The records of one list that were already read, known by their ids.

    A record that comes again in the same or an older version is to be dropped; in a newer
    version it is to be handed on. Versions are kept for the latest 1,024 records at least:
    so many rows may be inserted between two requests. A record that comes again later is
    handed on in any version, since losing a change is worse than handing on an unchanged
    record twice. Records without an id are never duplicates.

    Every id counts, however long ago it came. Older ids take 8 bytes each, as 64-bit hashes
    that are valid in this process only; two of a million ids share a hash once in some
    thirty million lists.
    """

    def __init__(self) -> None:
        self.rows = 0
        """Rows handed on: all but those that were dropped."""
        self.dropped = 0
        """Rows that repeated a record in the same or an older version."""
        self.without_id = 0
        """Records without an id, each counted as a different one."""
        self.updates = 0
        """Rows handed on that repeated a record in a newer version, as far as versions are known."""
        self._recent: set[Hashable] = set()
        self._pages: list[tuple[Sequence[Hashable], Sequence[Version]]] = []
        self._versions: dict[Hashable, Version] | None = None
        self._older: list[array[int]] = []

    def new(self, records: list[T]) -> list[T]:
        """Add records; return those to hand on, which is the same list unless some are dropped."""
        dropped = self.add(*_ids_and_versions(records))
        return [each for row, each in enumerate(records) if row not in dropped] if dropped else records

    def add(self, ids: Sequence[Hashable], versions: Sequence[Version]) -> set[int]:
        """Add rows by their ids (None, empty or 0 if a row has none); return the rows to drop."""
        recent, before = self._recent, len(self._recent)
        dropped: set[int] = set()
        if all(ids) and recent.isdisjoint(ids):
            recent.update(ids)
        if len(recent) - before == len(ids):
            self._pages.append((ids, versions))
            if self._versions is not None:
                self._versions.update(zip(ids, versions, strict=True))
        else:
            dropped = self._compare(ids, versions)
        self.rows += len(ids) - len(dropped)
        if len(recent) > _WINDOW:
            self._reduce()
        return dropped

    def add_unreadable(self, count: int = 1) -> None:
        """Add records that could not be decoded, each as a different one."""
        self.rows += count
        self.without_id += count

    def counts(self) -> Iterator[int]:
        """Count the different records in parts, to be summed; this forgets all versions.

        A part takes about a millisecond for a million records.
        """
        if not self._older:
            yield self.rows - self.updates
            return
        self._remember(self._pages)
        self._pages, self._recent, self._versions = [], set(), None
        yield self.without_id
        for part in self._older:
            yield len(set(part))

    async def count(self) -> int:
        """Count the different records, with the event loop running between the parts."""
        total = 0
        for part in self.counts():
            if total:
                await asyncio.sleep(0)
            total += part
        return total

    def _compare(self, ids: Sequence[Hashable], versions: Sequence[Version]) -> set[int]:
        """Add rows of which some have no id, or one that is in the window or comes twice."""
        if self._versions is None:
            # Made only now, since most lists have no row of this kind.
            self._versions = {}
            for page in self._pages:
                self._versions.update(zip(*page, strict=True))
        known = self._versions
        dropped: set[int] = set()
        kept: list[tuple[Hashable, Version]] = []
        for row, (identifier, version) in enumerate(zip(ids, versions, strict=True)):
            if not identifier:
                self.without_id += 1
                continue
            if identifier in known:
                if not _is_newer(version, known[identifier]):
                    dropped.add(row)
                    continue
                self.updates += 1
            known[identifier] = version
            kept.append((identifier, version))
        self.dropped += len(dropped)
        if kept:
            kept_ids, kept_versions = zip(*kept, strict=True)
            self._recent.update(kept_ids)
            self._pages.append((kept_ids, kept_versions))
        return dropped

    def _reduce(self) -> None:
        """Move all but the latest pages of the window to the older ids."""
        pages, size, first = self._pages, 0, len(self._pages)
        while size < _KEPT:
            first -= 1
            size += len(pages[first][0])
        self._remember(pages[:first])
        self._pages = pages[first:]
        self._recent = set().union(*(ids for ids, _ in self._pages))
        self._versions = None

    def _remember(self, pages: Iterable[tuple[Sequence[Hashable], object]]) -> None:
        # In parts by their low bits, so that counting makes a small set at a time: a set of all
        # ids would take seventy bytes for each.
        if not self._older:
            self._older = [array("q") for _ in range(_PARTS)]
        older = self._older
        for ids, _ in pages:
            for each in map(hash, ids):
                older[each % _PARTS].append(each)


def newest(records: Sequence[T]) -> list[T]:
    """One record of each id: the newest version, in the place of the first one."""
    found: dict[Hashable, tuple[T, Version]] = {}
    ids, versions = _ids_and_versions(records)
    for row, (record, identifier, version) in enumerate(zip(records, ids, versions, strict=True)):
        key = identifier or (row,)
        if key not in found or _is_newer(version, found[key][1]):
            found[key] = record, version
    return [record for record, _ in found.values()]


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
        return bool(_in_utc(version) > _in_utc(known))


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
