"""What is made of the figures: ratios of rounds that went together, and what became of the aims."""

import pytest

pytest.importorskip("uvloop")

from benchmarks import report
from benchmarks.measure import FLOOR, OURS, PER_SECOND, THROUGHPUT, Reach, Row
from benchmarks.runner import Figures, Outcome


def outcome(ours: list[float], floor: list[float], bound: float) -> Outcome:
    """Of rounds with these records a second."""
    reach = (Reach(PER_SECOND, bound, FLOOR, shortfall="it is slow"),)
    row = Row(case="some", title="some work", sides={}, measures=THROUGHPUT[:1], reach=reach)
    figures = {
        side: Figures([{PER_SECOND: each} for each in rounds])
        for side, rounds in ((OURS, ours), (FLOOR, floor))
    }
    return Outcome(row, figures, 1.0)


def test_a_ratio_is_of_rounds_that_went_together() -> None:
    """A machine that is slow in every other round does not change it."""
    found = outcome([100, 10, 100, 10, 10], [200, 20, 200, 20, 200], 0.5)
    assert found.ratio(PER_SECOND, OURS, FLOOR) == 0.5
    assert found.ratio(PER_SECOND, FLOOR, OURS) == 2.0
    assert report.lines(found)[0][3] == "0.50×"


@pytest.mark.parametrize(
    ("bound", "text"), [(0.5, "reached, 0.50×"), (0.6, "NOT reached, 0.50× (it is slow)")]
)
def test_what_became_of_an_aim(bound: float, text: str) -> None:
    """Said with the figure, and with the reason where it falls short."""
    (verdict,) = report.verdicts(outcome([10], [20], bound))
    assert verdict.text.endswith(text)
