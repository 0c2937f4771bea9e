"""Worker units: one list of one company, what it is called on disk, and the order units are taken in."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from msgspec import Struct

__all__ = ["Unit", "interleaved", "safe_name"]

_LONGEST = 120


class Unit(Struct, frozen=True):
    """One list: a type of a company, and where it has them, the connection and bank account."""

    type: str
    company: str
    connection: str = ""
    parent: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.company, self.type, self.connection, self.parent) if part)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the path, in its order."""
        return tuple(part for part in (self.company, self.connection, self.parent) if part)

    def stem(self, run: str, *, whole: bool) -> str:
        """The file's path without its root and suffix, such as ``invoices/company=…/20260101T000000Z-full``.

        A ``full`` file supersedes those before it, a ``delta`` adds to them; the connection
        and a digest of the bank account follow where the list has them.
        """
        part = "full" if whole else "delta"
        if self.connection:
            part += f".{safe_name(self.connection)}"
        if self.parent:
            part += f".{hashlib.sha256(self.parent.encode()).hexdigest()[:16]}"
        return f"{self.type}/company={safe_name(self.company)}/{run}-{part}"


def safe_name(text: str) -> str:
    """The text as a file name: itself for ids of the usual kind, percent-encoded and cut otherwise."""
    name = quote(text, safe="").replace(".", "%2E")
    if len(name) > _LONGEST:
        name = f"{name[:_LONGEST]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return name


def interleaved(units: Iterable[Unit]) -> Iterator[Unit]:
    """The units with companies taken in turn, so that no company's limit holds up the rest."""
    by_company: dict[str, deque[Unit]] = {}
    for unit in units:
        by_company.setdefault(unit.company, deque()).append(unit)
    ring = deque(by_company.values())
    while ring:
        queue = ring.popleft()
        yield queue.popleft()
        if queue:
            ring.append(queue)
