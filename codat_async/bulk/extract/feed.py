"""Feeds the lists of a run to its workers, a slice at a time, so that memory does not grow with the fleet."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from codat_async.bulk.plan.companies import Subject
from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.store.state import OPEN, Opened, Run, State
from codat_async.bulk.store.writer import WriteBatch, Writer
from codat_async.bulk.units import interleaved

__all__ = ["Feed", "unit_counts"]

_COMPANIES: Final = 50
"""Companies whose lists are opened together."""


class Feed:
    """The lists of a run that are open, then those of the companies that are queued."""

    def __init__(
        self,
        writer: Writer,
        run: Run,
        types: int,
        subjects: Iterable[Subject],
        kinds: Sequence[PullType],
        since: Callable[[str, int], str | None],
    ) -> None:
        self._writer = writer
        self._run = run
        self._types = types
        self._since = since
        self._subjects = {subject.id: subject for subject in subjects}
        self._scopes = {kind.name: kind.scope for kind in kinds}
        self._after: tuple[int, int, int] | None = (-1, -1, -1)
        self._states: Sequence[int] = OPEN
        self._queued: deque[tuple[str, int]] | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is left to feed."""
        return self._after is None and self._queued is not None and not self._queued

    def again(self) -> None:
        """Feed the lists that failed once more."""
        self._after = (-1, -1, -1)
        self._states = (State.FAILED,)

    async def next(self) -> list[Opened]:
        """The next lists, alternating between companies; none if nothing is left."""
        while not self.empty:
            found = await self._writer.commit(self._open if self._after is not None else self._expand)
            if found:
                by_unit = {each.unit: each for each in found}
                return [by_unit[unit] for unit in interleaved(by_unit)]
        return []

    def _open(self, batch: WriteBatch) -> list[Opened]:
        assert self._after is not None
        lists = batch.checkpoint.lists
        found, self._after = lists.opened(self._run, self._types, self._states, self._after)
        if self._after is None and self._queued is None:
            self._queued = deque(lists.queued(self._run, self._types))
        return found

    def _expand(self, batch: WriteBatch) -> list[Opened]:
        assert self._queued is not None
        checkpoint, found = batch.checkpoint, list[Opened]()
        for _ in range(min(_COMPANIES, len(self._queued))):
            company, types = self._queued.popleft()
            opened, dropped = checkpoint.lists.expand(
                self._run, company, types, self._places(company), self._since
            )
            found += opened
            checkpoint.files.remove(dropped)
        return found

    def _places(self, company: str) -> Callable[[str], Iterator[tuple[str, str]]]:
        connections = self._subjects[company].connections

        def places(type_name: str) -> Iterator[tuple[str, str]]:
            if self._scopes[type_name] in (Scope.CONNECTION, Scope.ACCOUNT):
                return ((connection, "") for connection in connections)
            return iter([("", "")])

        return places


def unit_counts(subjects: Sequence[Subject], kinds: Iterable[PullType]) -> dict[str, int]:
    """The number of lists of each type; bank accounts are not known yet and count as one a connection."""
    connections = sum(len(subject.connections) for subject in subjects)
    return {
        kind.name: connections if kind.scope in (Scope.CONNECTION, Scope.ACCOUNT) else len(subjects)
        for kind in kinds
    }
