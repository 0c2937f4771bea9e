"""Formats the figures as a table, ratios first, and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import FLOOR, OURS, SDK, Goal, Measure
from benchmarks.runner import Outcome

RESULTS: Final = Path(__file__).parent / "results"

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
        return f"{bound}: {word}, {_short(self.value)}{unit}{why}"


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
            f"{side} {_short(figures.median(measure.name))} ±{figures.spread(measure.name):.0%}"
            for side, figures in outcome.figures.items()
        ]
        found.append([title, f"{measure.name} ({measure.unit})", *ratios, ", ".join(absolute)])
    return found


_HEAD: Final = ["case", "measure", "ours : SDK", "ours : floor", "median and spread"]


def table(outcomes: Iterable[Outcome]) -> str:
    """Return the table as text for a terminal."""
    cells = [_HEAD, *(line for outcome in outcomes for line in lines(outcome))]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def markdown(outcomes: Sequence[Outcome], described: dict[str, str], minutes: float) -> str:
    """Return the table as a Markdown page with the machine, the goals and the notes."""
    text = [
        "# Benchmarks",
        "",
        f"{date.today().isoformat()}, in {minutes:.0f} minutes by `python -m benchmarks`.",
        "",
    ]
    text += [f"- {name}: {value}" for name, value in described.items()]
    text += ["", f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}"]
    text += [f"| {' | '.join(line)} |" for outcome in outcomes for line in lines(outcome)]
    text += ["", "## Goals", ""]
    text += [
        f"- {outcome.row.title}: {verdict.text}" for outcome in outcomes for verdict in verdicts(outcome)
    ]
    text += ["", "## Notes", ""]
    text += [f"- {outcome.row.title}: {outcome.row.note}" for outcome in outcomes if outcome.row.note]
    return "\n".join(text) + "\n"


def store(outcomes: Sequence[Outcome], described: dict[str, str], minutes: float) -> Path:
    """Write the figures of every round as JSON and the page beside it; return the path of the JSON."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{date.today().isoformat()}.json"
    content: dict[str, Any] = {
        "machine": described,
        "minutes": round(minutes, 1),
        "rows": [_json(o) for o in outcomes],
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text(markdown(outcomes, described, minutes))
    return path


def _json(outcome: Outcome) -> dict[str, Any]:
    row = outcome.row
    return {
        "case": row.case,
        "title": row.title,
        "note": row.note,
        "units": {measure.name: measure.unit for measure in row.measures},
        "goals": [verdict.text for verdict in verdicts(outcome)],
        "sides": {
            side: {
                measure.name: {
                    "median": _rounded(figures.median(measure.name)),
                    "spread": round(figures.spread(measure.name), 3),
                    "rounds": [_rounded(sample[measure.name]) for sample in figures.samples],
                }
                for measure in row.measures
            }
            for side, figures in outcome.figures.items()
        },
    }


def _ratio(outcome: Outcome, measure: Measure, to: str) -> str:
    if to not in outcome.figures:
        return "–"
    mine, other = (outcome.figures[side].median(measure.name) for side in (OURS, to))
    if min(mine, other) <= 0 or (measure.unit == "MB" and max(mine, other) < _LEAST_MB * 2):
        return "–"
    return f"{_short(outcome.ratio(measure.name, OURS, to))}×"


def _short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
