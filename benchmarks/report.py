"""The figures as a table, ratios first, and as JSON."""

from benchmarks.measure import FLOOR, OURS, SDK, UVLOOP, Measure, Reach
from benchmarks.runner import Outcome


def text(outcome: Outcome) -> str:
    """One row's figures, for a terminal."""
    lines = [f"{outcome.row.title}  ({outcome.seconds:.1f} s)"]
    for measure in outcome.row.measures:
        ratios = "   ".join(f"{_ratio(outcome, measure.name, to):>8} {to}" for to in (SDK, FLOOR) if _has(outcome, measure, to))
        absolute = "   ".join(
            f"{side} {_figure(figures.median(measure.name))} ±{figures.spread(measure.name):.0%}"
            for side, figures in outcome.figures.items()
            if _has(outcome, measure, side)
        )
        lines.append(f"  {measure.name:<16} {ratios:<40} {absolute}  [{measure.unit}]")
    return "\n".join(lines)


def _has(outcome: Outcome, measure: Measure, side: str) -> bool:
    figures = outcome.figures.get(side)
    return figures is not None and measure.name in figures.samples[0]


def _ratio(outcome: Outcome, measure: str, to: str, numerator: str = OURS) -> str:
    ratio = outcome.figures[numerator].median(measure) / outcome.figures[to].median(measure)
    return f"{ratio:.2f}×"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
