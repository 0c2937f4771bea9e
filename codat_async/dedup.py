"""The records of a list already read: which rows come again, and how many different records there were."""

import asyncio
from array import array
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

__all__ = ["SeenRecords", "Version", "newest"]

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
        self._earlier: list[Sequence[Hashable]] = []
        self._older: list[array[int]] = []
        self._latest: deque[tuple[Sequence[Hashable], Sequence[Version]]] = deque()
        self._kept = 0
        self._versions: dict[Hashable, Version] | None = None

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
        if len(known) - before == len(ids):
            self._keep(ids, versions)
            if self._versions is not None:
                self._versions.update(zip(ids, versions, strict=True))
        else:
            dropped = self._compare(ids, versions)
        self.rows += len(ids) - len(dropped)
        if len(known) > (4 * _KEPT if self._older else _EXACT):
            self._reduce()
        return dropped

    def add_unreadable(self, count: int = 1) -> None:
        """Add records that could not be decoded, each as a different one."""
        self.rows += count
        self.without_id += count

    def counts(self) -> Iterator[int]:
        """Count the different records in parts, 1 ms each for a million in all; this forgets versions."""
        yield self.without_id
        if not self._older:
            yield len(self._ids)
            return
        self._earlier += (ids for ids, _ in self._latest)
        self._latest.clear()
        self._kept = 0
        self._reduce()
        for part in self._older:
            yield len(set(part))

    async def count(self) -> int:
        """Count the different records, with the event loop running between the parts."""
        if not self._older:
            return self.without_id + len(self._ids)
        total = 0
        for part in self.counts():
            await asyncio.sleep(0)
            total += part
        return total

    def _keep(self, ids: Sequence[Hashable], versions: Sequence[Version]) -> None:
        latest = self._latest
        latest.append((ids, versions))
        self._kept += len(ids)
        while self._kept - len(latest[0][0]) >= _KEPT:
            earlier, _ = latest.popleft()
            self._earlier.append(earlier)
            self._kept -= len(earlier)
            if self._versions is not None and len(self._versions) > 4 * _KEPT:
                self._versions = None

    def _compare(self, ids: Sequence[Hashable], versions: Sequence[Version]) -> set[int]:
        """Add rows of which some have no id, or one that is known or comes twice."""
        known = self._versions
        if known is None:
            # Made only now, since most lists have no row of this kind.
            known = self._versions = {}
            for page in self._latest:
                known.update(zip(*page, strict=True))
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
            self._ids.update(kept_ids)
            self._keep(kept_ids, kept_versions)
        return dropped

    def _reduce(self) -> None:
        """Move all but the latest ids to the older ones."""
        # In parts by their low bits, so that counting makes a small set at a time: one of all ids would
        # take seventy bytes for each.
        if not self._older:
            self._older = [array("q") for _ in range(_PARTS)]
        append = [part.append for part in self._older]
        for ids in self._earlier:
            for each in map(hash, ids):
                append[each % _PARTS](each)
        self._earlier.clear()
        self._ids = set().union(*(ids for ids, _ in self._latest))
        self._versions = None


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
