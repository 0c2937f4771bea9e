"""Plots of growth: the figures at each size, a line for each side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib

from benchmarks.cases.growth import CONCURRENCY, RECORDS
from benchmarks.measure import CPU, PEAK, PER_SECOND
from benchmarks.runner import Outcome

_COLOURS: Final = {"ours": "#0b6e4f", "sdk": "#c8553d", "floor": "#7d8597"}
_PLOTS: Final = (
    (RECORDS, PER_SECOND, "records per second", True),
    (RECORDS, PEAK, "additional memory, MB", False),
    (CONCURRENCY, PER_SECOND, "small GETs per second", True),
    (CONCURRENCY, CPU, "processor time per GET, µs", True),
)


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw all plots into one SVG file; the same figures give the same bytes."""
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "codat-async"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7.5))
    for axis, (grown, measure, title, logarithmic) in zip(axes.flat, _PLOTS, strict=True):
        points = [outcome for outcome in outcomes if outcome.row.point and outcome.row.point[0] == grown]
        for side, colour in _COLOURS.items():
            line = [
                (outcome.row.point[1], outcome.figures[side].median(measure))
                for outcome in points
                if outcome.row.point and side in outcome.figures
            ]
            if line:
                axis.plot(*zip(*line, strict=True), marker="o", label=side, color=colour)
        axis.set_xscale("log")
        axis.set_yscale("log" if logarithmic else "linear")
        axis.set_ylim(bottom=None if logarithmic else 0)
        axis.set_xlabel(grown)
        axis.set_title(title)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
