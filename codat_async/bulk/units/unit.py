"""Units of work: each is one list or report of one company."""

from collections import deque
from collections.abc import Iterable, Iterator

from msgspec import Struct

from codat_middleware.text import one_line

__all__ = ["Unit", "interleaved"]


class Unit(Struct, frozen=True):
    """One list: a type of a company, with the connection and bank account if the list is under one."""

    type: str
    company: str
    connection: str = ""
    parent: str = ""

    def __str__(self) -> str:
        parts = (self.company, self.type, self.connection, self.parent)
        return "/".join(one_line(part) for part in parts if part)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in the list's path, in order."""
        return tuple(part for part in (self.company, self.connection, self.parent) if part)


def interleaved(units: Iterable[Unit]) -> Iterator[Unit]:
    """The units, alternating between companies so that one company's limit does not hold up the others."""
    by_company: dict[str, deque[Unit]] = {}
    for unit in units:
        by_company.setdefault(unit.company, deque()).append(unit)
    ring = deque(by_company.values())
    while ring:
        queue = ring.popleft()
        yield queue.popleft()
        if queue:
            ring.append(queue)
