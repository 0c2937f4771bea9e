"""The cases, each a module that gives rows of the table."""

from collections.abc import Callable

from benchmarks.cases import bulk, decode, fanout, files, gets, growth, imports, lists, pipeline, stall
from benchmarks.measure import Row

CASES: dict[str, Callable[[bool], list[Row]]] = {
    "imports": imports.rows,
    "decode": decode.rows,
    "gets": gets.rows,
    "lists": lists.rows,
    "fanout": fanout.rows,
    "pipeline": pipeline.rows,
    "files": files.rows,
    "stall": stall.rows,
    "bulk": bulk.rows,
    "growth": growth.rows,
}
"""By the name that ``--case`` takes; each is told whether to be short."""


def row(key: str, short: bool) -> Row:
    """The row of a key."""
    case, _, _ = key.partition("/")
    return next(row for row in CASES[case](short) if row.key == key)
