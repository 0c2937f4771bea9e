"""Plots: the figures at each size, a line for each side, and those of more machines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib

from benchmarks.cases import machines
from benchmarks.cases.growth import CONCURRENCY, RECORDS
from benchmarks.measure import CPU, PEAK, PER_SECOND
from benchmarks.runner import Outcome

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "codat-async"
_COLOURS: Final = {"ours": "#0b6e4f", "sdk": "#c8553d", "floor": "#7d8597"}
_PLOTS: Final = (
    (RECORDS, PER_SECOND, "records per second", True),
    (RECORDS, PEAK, "additional memory, MB", False),
    (CONCURRENCY, PER_SECOND, "small GETs per second", True),
    (CONCURRENCY, CPU, "processor time per GET, µs", True),
)


def draw_machines(outcome: Outcome, path: Path) -> None:
    """Draw requests a second by the number of workers, beside that many times one worker's."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 4.2))
    measured = [outcome.figures[machines.name(workers)].median(PER_SECOND) for workers in machines.WORKERS]
    axis.plot(machines.WORKERS, measured, marker="o", label="measured", color=_COLOURS["ours"])
    ideal = [measured[0] * workers for workers in machines.WORKERS]
    axis.plot(machines.WORKERS, ideal, linestyle="--", label="× one worker", color=_COLOURS["floor"])
    axis.set_xticks(machines.WORKERS)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("workers, with a source address each")
    axis.set_title("requests per second")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw the plots of growth into one SVG file; the same figures give the same bytes."""
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
