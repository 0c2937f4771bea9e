"""Ratios of rounds, the verdict on each goal, growth, and what is stored."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

pytest.importorskip("uvloop")

from benchmarks import report, store
from benchmarks.measure import FLOOR, OURS, PER_SECOND, SDK, THROUGHPUT, Goal, Measure, Row
from benchmarks.runner import Figures, Outcome, is_settled


def outcome(ours: list[float], floor: list[float], bound: float) -> Outcome:
    """Make an outcome of rounds with these records a second."""
    goals = (Goal(PER_SECOND, bound, FLOOR, shortfall="it is slow"),)
    row = Row(case="some", title="some work", sides={}, measures=THROUGHPUT[:1], goals=goals)
    figures = {
        side: Figures([{PER_SECOND: each} for each in rounds])
        for side, rounds in ((OURS, ours), (FLOOR, floor))
    }
    return Outcome(row, figures, 1.0, 0.5)


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


def grown(figure: str, points: dict[int, float]) -> list[Outcome]:
    """Make an outcome for each size."""
    found = []
    for size, value in points.items():
        row = Row("growth", f"{size}", {}, (Measure(figure, ""),), point=("records", size))
        found.append(Outcome(row, {OURS: Figures([{figure: value}])}, 1.0, 0.0))
    return found


def test_exponent_of_growth() -> None:
    """A constant figure for each unit grows with the size; a figure in all that is constant does not."""
    (each,) = report.exponents(grown("CPU", {10: 3.0, 100: 3.0, 1000: 3.0}), "CPU", each=True)
    assert (each.value, each.smallest, each.largest) == (pytest.approx(1.0), 10, 1000)
    (whole,) = report.exponents(grown("peak", {10: 4.0, 100: 4.0, 1000: 4.0}), "peak", each=False)
    assert whole.value == pytest.approx(0.0)
    (square,) = report.exponents(grown("CPU", {10: 1.0, 100: 10.0, 1000: 100.0}), "CPU", each=True)
    assert square.value == pytest.approx(2.0)


def test_no_exponent_through_two_points() -> None:
    """Any two points are on a line."""
    assert report.exponents(grown("CPU", {10: 3.0, 100: 3.0}), "CPU", each=True) == []


def test_spread_is_of_the_middle_half() -> None:
    """More rounds can settle a row, which a range of all of them never could; of three rounds all count."""
    assert Figures([{"CPU": each} for each in (9.0, 10.0, 12.0)]).spread("CPU") == 0.15
    assert Figures([{"CPU": each} for each in (1.0, 9.0, 10.0, 11.0, 90.0)]).spread("CPU") == 0.1


def test_a_row_is_settled_when_the_times_that_are_compared_are() -> None:
    """Not the memory, nor the SDK unless a goal is a ratio to it."""
    times, row = [8.0, 10.0, 12.0], outcome([1], [1], 0.5).row
    even = Figures([{PER_SECOND: 10.0}] * 3)
    uneven = Figures([{PER_SECOND: each} for each in times])
    assert is_settled(row, {OURS: even, FLOOR: even, SDK: uneven})
    assert not is_settled(row, {OURS: even, FLOOR: uneven})
    goals = (Goal(PER_SECOND, 2, SDK),)
    assert not is_settled(replace(row, goals=goals), {OURS: even, SDK: uneven})
    memory = replace(row, measures=(Measure(PER_SECOND, "MB"),))
    assert is_settled(memory, {OURS: uneven})


def test_ratio_to_a_side_without_a_column() -> None:
    """It is beside the side's figure."""
    found = outcome([10.0], [20.0], 0.5)
    found.figures["peer"] = Figures([{PER_SECOND: 40.0}])
    assert report.lines(found)[0][4] == "ours 10.0 ±0%, floor 20.0 ±0%, peer 40.0 ±0% (ours 0.25×)"


def test_tables_of_steps() -> None:
    """Steps with the same figures share a table."""
    measures = (Measure("night: files", ""), Measure("day: files", ""), Measure("plan: CPU", "s"))
    row = Row("fleet", "some steps", {}, measures)
    found = Outcome(row, {OURS: Figures([{"night: files": 3, "day: files": 4, "plan: CPU": 0.5}])}, 1.0, 0.0)
    assert report.is_of_steps(found)
    nights, plans = report.step_tables(found)
    assert nights == [["", "files"], ["night", "3.00"], ["day", "4.00"]]
    assert plans == [["", "CPU (s)"], ["plan", "0.50"]]


def test_stored_figures_are_replaced_case_by_case(tmp_path: Path) -> None:
    """A later run of a case replaces it and keeps the others, in the order of the cases; goals stay."""
    path = tmp_path / "2026-01-02.json"
    growth, other = grown("CPU", {10: 3.0}), outcome([100.0], [200.0], 0.4)
    store.add([*growth, other], {"cores": "2"}, path, ["some", "growth"])
    store.add(grown("CPU", {10: 7.0}), {"cores": "4"}, path, ["some", "growth"])
    stored = store.load(path)
    first, second = stored.outcomes()
    assert (stored.day, stored.machine) == (date(2026, 1, 2), {"cores": "4"})
    assert [verdict.text for verdict in report.verdicts(first)] == ["per second ≥ 0.4× floor: reached, 0.50×"]
    assert second.figures[OURS].samples == [{"CPU": 7.0}]
    assert second.row.point == ("records", 10)
