"""Formats the figures as tables, ratios first, with a verdict on each goal."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from benchmarks.measure import FLOOR, OURS, SDK, STEP_MARK, Goal, Measure
from benchmarks.runner import Outcome

_LEAST_MB: Final = 1.0
"""Smaller amounts of memory are not compared, since they depend on the allocator."""


@dataclass(frozen=True)
class Verdict:
    """Whether a row reached a goal."""

    goal: Goal
    value: float
    more_is_better: bool

    @property
    def reached(self) -> bool:
        """Whether the value is within the bound."""
        return self.value >= self.goal.bound if self.more_is_better else self.value <= self.goal.bound

    @property
    def text(self) -> str:
        """The goal, whether it was reached, and the value."""
        goal = self.goal
        sign, unit = ("≥" if self.more_is_better else "≤"), ("×" if goal.to else "")
        to = f" {goal.to}" if goal.to else ""
        word = "reached" if self.reached else "missed"
        why = f" ({goal.shortfall})" if goal.shortfall and not self.reached else ""
        whose = "" if goal.numerator == OURS else f"{goal.numerator}, "
        bound = f"{whose}{goal.measure} {sign} {goal.bound:g}{unit}{to}"
        return f"{bound}: {word}, {short(self.value)}{unit}{why}"


def verdicts(outcome: Outcome) -> list[Verdict]:
    """Return a verdict for each of a row's goals."""
    measures = {measure.name: measure for measure in outcome.row.measures}
    found = []
    for goal in outcome.row.goals:
        if goal.to is None:
            value = outcome.figures[goal.numerator].median(goal.measure)
        else:
            value = outcome.ratio(goal.measure, goal.numerator, goal.to)
        # Small is good for a time or a size, and so it is for their ratios.
        found.append(Verdict(goal, value, measures[goal.measure].more_is_better))
    return found


def lines(outcome: Outcome) -> list[list[str]]:
    """Return a row's cells, a line for each measure: ratios first, then the absolute figures."""
    found = []
    for index, measure in enumerate(outcome.row.measures):
        title = outcome.row.title if index == 0 else ""
        ratios = [_ratio(outcome, measure, to) for to in (SDK, FLOOR)]
        absolute = [
            f"{side} {short(figures.median(measure.name))} ±{figures.spread(measure.name):.0%}"
            f"{_beside(outcome, measure, side)}"
            for side, figures in outcome.figures.items()
        ]
        found.append([title, f"{measure.name} ({measure.unit})", *ratios, ", ".join(absolute)])
    return found


def is_of_steps(outcome: Outcome) -> bool:
    """Whether a row's measures are those of several steps."""
    return all(STEP_MARK in measure.name for measure in outcome.row.measures)


def step_tables(outcome: Outcome) -> list[list[list[str]]]:
    """Tables of a row of steps, a line for each step: one for each set of measures that steps share."""
    steps: dict[str, list[tuple[str, str]]] = {}
    for measure in outcome.row.measures:
        step, _, name = measure.name.partition(STEP_MARK)
        steps.setdefault(step, []).append((name, measure.unit))
    tables: dict[tuple[tuple[str, str], ...], list[list[str]]] = {}
    for step, named in steps.items():
        head = ["", *(f"{name} ({unit})" if unit else name for name, unit in named)]
        values = [outcome.figures[OURS].median(f"{step}{STEP_MARK}{name}") for name, _ in named]
        tables.setdefault(tuple(named), [head]).append([step, *(short(value) for value in values)])
    return list(tables.values())


@dataclass(frozen=True)
class Exponent:
    """How a figure grows: with this power of the size."""

    grown: str
    side: str
    figure: str
    value: float
    smallest: int
    largest: int


def exponents(outcomes: Iterable[Outcome], figure: str, *, each: bool) -> list[Exponent]:
    """Fit a power to the points of each growth and side; a figure for ``each`` unit is multiplied."""
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for outcome in outcomes:
        if outcome.row.point is None or figure not in {measure.name for measure in outcome.row.measures}:
            continue
        grown, size = outcome.row.point
        for side, figures in outcome.figures.items():
            value = figures.median(figure) * (size if each else 1)
            lines.setdefault((grown, side), []).append((size, value))
    return [
        Exponent(grown, side, figure, _power(points), points[0][0], points[-1][0])
        for (grown, side), points in lines.items()
        if len(points) > 2
    ]


def _power(points: list[tuple[int, float]]) -> float:
    """The slope of a line through the logarithms, by least squares."""
    xs, ys = zip(*((math.log(size), math.log(value)) for size, value in points), strict=True)
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    over = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return over / sum((a - x) ** 2 for a in xs)


HEAD: Final = ["case", "measure", "ours : SDK", "ours : floor", "median and spread"]


def table(outcomes: Iterable[Outcome]) -> str:
    """Return the table as text for a terminal; rows of steps have tables of their own."""
    cells = [HEAD, *(line for outcome in outcomes if not is_of_steps(outcome) for line in lines(outcome))]
    return as_text(cells)


def as_text(cells: list[list[str]]) -> str:
    """Lines of cells in columns."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _ratio(outcome: Outcome, measure: Measure, to: str) -> str:
    if to not in outcome.figures:
        return "–"
    mine, other = (outcome.figures[side].median(measure.name) for side in (OURS, to))
    if min(mine, other) <= 0 or (measure.unit == "MB" and max(mine, other) < _LEAST_MB * 2):
        return "–"
    return f"{short(outcome.ratio(measure.name, OURS, to))}×"


def _beside(outcome: Outcome, measure: Measure, side: str) -> str:
    """The ratio of ours to a side that has no column of its own."""
    if side in (OURS, SDK, FLOOR) or OURS not in outcome.figures:
        return ""
    ratio = _ratio(outcome, measure, side)
    return "" if ratio == "–" else f" (ours {ratio})"


def short(value: float) -> str:
    """Three digits of a figure, or all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"
