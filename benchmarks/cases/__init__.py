"""The cases, each a module that gives rows of the table."""

from collections.abc import Callable

from benchmarks.cases import gets
from benchmarks.measure import Row

CASES: dict[str, Callable[[bool], list[Row]]] = {
    "gets": gets.rows,
}
"""By the name that ``--case`` takes; each is told whether to be short."""


def row(key: str, short: bool) -> Row:
    """The row of a key."""
    case, _, _ = key.partition("/")
    return next(row for row in CASES[case](short) if row.key == key)
