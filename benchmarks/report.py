"""The figures as a table, ratios first, and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import FLOOR, OURS, SDK, Measure, Reach
from benchmarks.runner import Outcome

RESULTS: Final = Path(__file__).parent / "results"

_LEAST_MB: Final = 1.0
"""Memory under this is not compared: it is the allocator's, not the work's."""


@dataclass(frozen=True)
class Verdict:
    """Whether a row came to what was aimed at."""

    reach: Reach
    value: float
    more_is_better: bool

    @property
    def reached(self) -> bool:
        """Whether the bound is kept."""
        return self.value >= self.reach.bound if self.more_is_better else self.value <= self.reach.bound

    @property
    def text(self) -> str:
        """In words."""
        reach = self.reach
        sign, unit = ("≥" if self.more_is_better else "≤"), ("×" if reach.to else "")
        to = f" {reach.to}" if reach.to else ""
        word = "reached" if self.reached else "NOT reached"
        why = f" ({reach.shortfall})" if reach.shortfall and not self.reached else ""
        whose = "" if reach.numerator == OURS else f"{reach.numerator}, "
        bound = f"{whose}{reach.measure} {sign} {reach.bound:g}{unit}{to}"
        return f"{bound}: {word}, {_short(self.value)}{unit}{why}"


def verdicts(outcome: Outcome) -> list[Verdict]:
    """What became of a row's aims."""
    measures = {measure.name: measure for measure in outcome.row.measures}
    found = []
    for reach in outcome.row.reach:
        if reach.to is None:
            value = outcome.figures[reach.numerator].median(reach.measure)
        else:
            value = outcome.ratio(reach.measure, reach.numerator, reach.to)
        # A ratio to a time or a size is better when it is small, as the time and the size are.
        found.append(Verdict(reach, value, measures[reach.measure].more_is_better))
    return found


def lines(outcome: Outcome) -> list[list[str]]:
    """A row's cells, a line for each measure: ratios first, then the absolute figures."""
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


_HEAD: Final = ["case", "measure", "ours : SDK", "ours : floor", "median and spread of each"]


def table(outcomes: Iterable[Outcome]) -> str:
    """The table for a terminal."""
    cells = [_HEAD, *(line for outcome in outcomes for line in lines(outcome))]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def markdown(outcomes: Sequence[Outcome], described: dict[str, str], minutes: float) -> str:
    """The table as a page, with the machine, the aims and the notes."""
    text = [
        "# Benchmarks",
        "",
        f"{date.today().isoformat()}, made in {minutes:.0f} minutes by `python -m benchmarks`.",
        "",
    ]
    text += [f"- {name}: {value}" for name, value in described.items()]
    text += ["", f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}"]
    text += [f"| {' | '.join(line)} |" for outcome in outcomes for line in lines(outcome)]
    text += ["", "## Aims", ""]
    text += [
        f"- {outcome.row.title}: {verdict.text}" for outcome in outcomes for verdict in verdicts(outcome)
    ]
    text += ["", "## Notes", ""]
    text += [f"- {outcome.row.title}: {outcome.row.note}" for outcome in outcomes if outcome.row.note]
    return "\n".join(text) + "\n"


def keep(outcomes: Sequence[Outcome], described: dict[str, str], minutes: float) -> Path:
    """Write the figures of every round as JSON, and the page beside it; the JSON's path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{date.today().isoformat()}.json"
    held: dict[str, Any] = {
        "machine": described,
        "minutes": round(minutes, 1),
        "rows": [_json(o) for o in outcomes],
    }
    path.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text(markdown(outcomes, described, minutes))
    return path


def _json(outcome: Outcome) -> dict[str, Any]:
    row = outcome.row
    return {
        "case": row.case,
        "title": row.title,
        "note": row.note,
        "units": {measure.name: measure.unit for measure in row.measures},
        "aims": [verdict.text for verdict in verdicts(outcome)],
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
