"""The cases: each module returns rows of the table."""

from collections.abc import Callable

from benchmarks.cases import (
    bulk,
    conversion,
    decode,
    dedup,
    fanout,
    files,
    fleet,
    gets,
    growth,
    imports,
    lists,
    machines,
    peers,
    pipeline,
    stall,
)
from benchmarks.measure import Row

CASES: dict[str, Callable[[bool], list[Row]]] = {
    "imports": imports.rows,
    "decode": decode.rows,
    "dedup": dedup.rows,
    "gets": gets.rows,
    "lists": lists.rows,
    "fanout": fanout.rows,
    "pipeline": pipeline.rows,
    "files": files.rows,
    "stall": stall.rows,
    "bulk": bulk.rows,
    "conversion": conversion.rows,
    "growth": growth.rows,
    "machines": machines.rows,
    "fleet": fleet.rows,
    "peers": peers.rows,
}
"""Functions that return the rows of a case, by its name; the argument is whether to be short."""


def row(key: str, short: bool) -> Row:
    """Return the row with a key."""
    case, _, _ = key.partition("/")
    return next(row for row in CASES[case](short) if row.key == key)
