"""The rate adapts to what servers accept, on a virtual clock; each row is a situation and its bounds."""

import logging
from itertools import cycle, islice
from statistics import mean

import pytest

from benchmarks.simulation import LIMIT, Log, Row, Situation, rows, simulate

SEEDS = 5
SHORT = rows(2500, shared=240.0, start=60.0, down_from=60.0)
FULL = rows(20_000)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    # Thousands of records would be captured.
    logging.getLogger("codat_middleware").setLevel(logging.CRITICAL)


def check(row: Row, logs: list[Log]) -> None:
    """Assert the row's bounds, and the known limits on the wire."""
    for figure in row.figures:
        values = [figure.of(log) for log in logs]
        print(f"{row.name}: {mean(values):.3f} ({min(values):.3f} to {max(values):.3f}) {figure.name}")
        assert figure.holds(logs), f"{figure.name}: {values}, the bound is {figure.bound}"
    for log in logs:
        assert log.busiest_minute() <= LIMIT
        assert log.most_in_flight <= 10


@pytest.mark.parametrize("row", SHORT, ids=lambda row: row.name)
def test_row(row: Row) -> None:
    """The bounds hold over several seeds, each with another kind of server and ``Retry-After``."""
    variants = islice(cycle(row.variants()[::2] + row.variants()[1::2]), SEEDS)
    check(row, [simulate(situation, seed) for seed, situation in enumerate(variants)])


@pytest.mark.soak
@pytest.mark.parametrize("row", FULL, ids=lambda row: row.name)
def test_row_in_full(row: Row) -> None:
    """The bounds hold for 20,000 calls, each kind of server and ``Retry-After``, over 8 seeds."""
    for situation in row.variants():
        print(situation.kind, situation.hint)
        check(row, [simulate(situation, seed) for seed in range(8)])


def test_bounds_can_fail() -> None:
    """A server that accepts nothing for long breaks the bounds: the simulation is not blind."""
    row = SHORT[0]
    log = simulate(Situation(3000, noise=0.3, kind="sliding", limit=lambda now: LIMIT, seconds=500.0), 0)
    assert not row.figures[0].holds([log])
    assert log.refused
