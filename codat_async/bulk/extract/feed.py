"""Feeds the companies of a run to be visited, a slice at a time, so that memory stays bounded."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby

from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.state import OPEN, Opened, Run, State
from codat_async.bulk.store.writer import WriteBatch, Writer

__all__ = ["Entry", "Feed", "queued_units", "unit_counts"]


class Entry(Struct):
    """A company to be visited."""

    company: str
    connections: tuple[str, ...]
    types: int
    """The data types that are queued, a bit for each key."""
    opened: list[Opened]
    """The lists that an earlier process or attempt opened."""


class Feed:
    """The companies with lists that are open, then those that are queued."""

    def __init__(self, writer: Writer, run: Run, types: int) -> None:
        self._writer = writer
        self._run = run
        self._types = types
        self._states: Sequence[int] = OPEN
        self.last = False
        """Whether what is syncing is asked about for the last time."""
        self._begin()

    def _begin(self) -> None:
        self._after: tuple[int, int, int] | None = (-1, -1, -1)
        self._entries: deque[Entry] = deque()
        self._after_queued: int | None = -1

    def again(self) -> None:
        """Feed the lists that failed once more, and the companies whose types were syncing."""
        self._states, self.last = (State.FAILED,), True
        self._begin()

    async def next(self) -> Entry | None:
        """The next company; None if nothing is left."""
        while not self._entries:
            if self._after is not None:
                self._entries.extend(await self._writer.commit(self._open))
            elif self._after_queued is not None:
                self._entries.extend(await self._writer.commit(self._queued))
            else:
                return None
        return self._entries.popleft()

    def _open(self, batch: WriteBatch) -> list[Entry]:
        assert self._after is not None
        checkpoint = batch.checkpoint
        opened, self._after = checkpoint.open_lists.opened(self._run, self._types, self._states, self._after)
        return [
            Entry(company, checkpoint.work.connections(company), 0, [*lists])
            for company, lists in groupby(opened, lambda each: each.unit.company)
        ]

    def _queued(self, batch: WriteBatch) -> list[Entry]:
        assert self._after_queued is not None
        found, self._after_queued = batch.checkpoint.work.queued(self._run, self._types, self._after_queued)
        return [Entry(company, connections, types, []) for company, connections, types in found]


def unit_counts(companies: int, connections: int, kinds: Iterable[PullType]) -> dict[str, int]:
    """The number of lists of each type that so many companies have, with their connections together.

    Bank accounts are not known yet and count as one a connection.
    """
    return {
        kind.name: connections if kind.scope in (Scope.CONNECTION, Scope.ACCOUNT) else companies
        for kind in kinds
    }


def queued_units(
    checkpoint: Checkpoint, queued: Iterable[tuple[int, int, int]], kinds: Sequence[PullType]
) -> dict[str, int]:
    """The number of lists of each type that were queued, by the result of :meth:`Work.queue`."""
    found: dict[str, int] = {}
    for types, companies, connections in queued:
        chosen = [kind for kind in kinds if types >> checkpoint.keys.type(kind.name) & 1]
        for name, units in unit_counts(companies, connections, chosen).items():
            found[name] = found.get(name, 0) + units
    return found
