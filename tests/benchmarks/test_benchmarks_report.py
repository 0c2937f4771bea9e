"""Ratios of rounds, and the verdict on each goal."""

import pytest

pytest.importorskip("uvloop")

from benchmarks import report
from benchmarks.measure import FLOOR, OURS, PER_SECOND, THROUGHPUT, Goal, Row
from benchmarks.runner import Figures, Outcome


def outcome(ours: list[float], floor: list[float], bound: float) -> Outcome:
    """Make an outcome of rounds with these records a second."""
    goals = (Goal(PER_SECOND, bound, FLOOR, shortfall="it is slow"),)
    row = Row(case="some", title="some work", sides={}, measures=THROUGHPUT[:1], goals=goals)
    figures = {
        side: Figures([{PER_SECOND: each} for each in rounds])
        for side, rounds in ((OURS, ours), (FLOOR, floor))
    }
    return Outcome(row, figures, 1.0)


def test_ratio_compares_figures_of_the_same_round() -> None:
    """A machine that is slow in every second round does not change the ratio."""
    found = outcome([100, 10, 100, 10, 10], [200, 20, 200, 20, 200], 0.5)
    assert found.ratio(PER_SECOND, OURS, FLOOR) == 0.5
    assert found.ratio(PER_SECOND, FLOOR, OURS) == 2.0
    assert report.lines(found)[0][3] == "0.50×"


@pytest.mark.parametrize(("bound", "text"), [(0.5, "reached, 0.50×"), (0.6, "missed, 0.50× (it is slow)")])
def test_verdict_on_a_goal(bound: float, text: str) -> None:
    """It shows the value, and the reason if the goal was missed."""
    (verdict,) = report.verdicts(outcome([10], [20], bound))
    assert verdict.text.endswith(text)
