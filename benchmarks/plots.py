"""Plots: the figures at each size, a line for each side; the same figures give the same bytes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

from benchmarks.cases import fleet, machines
from benchmarks.cases.growth import CONCURRENCY, LISTS, PULLED, RECORDS
from benchmarks.measure import CPU, OURS, PEAK, PER_SECOND, PROCESS_PEAK, STEP_MARK
from benchmarks.runner import Outcome

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "codat-async"
matplotlib.rcParams["svg.fonttype"] = "none"
_COLOURS: Final = {"ours": "#0b6e4f", "sdk": "#c8553d", "floor": "#7d8597"}
_PLOTS: Final = (
    (RECORDS, PER_SECOND, "records per second", True),
    (RECORDS, PEAK, "additional memory, MB", False),
    (PULLED, CPU, "processor time per record of a pull, µs", False),
    (PULLED, PROCESS_PEAK, "memory of the process of a pull, MB", False),
    (LISTS, CPU, "processor time per list of a pull, µs", False),
    (LISTS, PROCESS_PEAK, "memory of the process of a pull, MB", False),
    (CONCURRENCY, PER_SECOND, "small GETs per second", True),
    (CONCURRENCY, CPU, "processor time per GET, µs", True),
)


def draw_all(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Draw what there are figures for into SVG files of this folder."""
    if any(outcome.row.point for outcome in outcomes):
        _draw_growth(outcomes, folder / "growth.svg")
    for outcome in outcomes:
        if outcome.row.case == fleet.CASE:
            _draw_fleet(outcome, folder / "fleet.svg")
        if outcome.row.case == machines.CASE:
            _draw_machines(outcome, folder / "machines.svg")


def _draw_growth(outcomes: Sequence[Outcome], path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(4, 2, figsize=(11, 14))
    for axis, (grown, measure, title, logarithmic) in zip(axes.flat, _PLOTS, strict=True):
        points = [outcome for outcome in outcomes if outcome.row.point and outcome.row.point[0] == grown]
        for side, colour in _COLOURS.items():
            line = [
                (outcome.row.point[1], outcome.figures[side].median(measure))
                for outcome in points
                if outcome.row.point
                and side in outcome.figures
                # Figures of an earlier day may have other measures.
                and measure in {each.name for each in outcome.row.measures}
            ]
            if line:
                axis.plot(*zip(*line, strict=True), marker="o", label=side, color=colour)
        axis.set_xscale("log")
        axis.set_yscale("log" if logarithmic else "linear")
        axis.set_ylim(bottom=None if logarithmic else 0)
        axis.set_xlabel(grown)
        axis.set_title(title)
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend()
    _save(figure, path)


def _draw_fleet(outcome: Outcome, path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 3.8))
    nights = (fleet.FIRST, fleet.QUIET, fleet.CHANGED)

    def median(step: str, measure: str) -> float:
        return outcome.figures[OURS].median(f"{step}{STEP_MARK}{measure}")

    bars: tuple[tuple[str, Sequence[str], Callable[[str], float]], ...] = (
        ("minutes at 1,000 requests a minute", nights, lambda step: median(step, fleet.MINUTES)),
        ("processor time, s", fleet.STEPS, lambda step: median(step, "CPU")),
    )
    for axis, (title, steps, value) in zip(axes, bars, strict=False):
        drawn = axis.barh(steps, [value(step) for step in steps], color=_COLOURS["ours"])
        axis.bar_label(drawn, fmt="%.1f", padding=3)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.set_title(title)
    sizes = [median(fleet.after(night), "checkpoint") for night in fleet.COUNTED]
    axes[2].plot(fleet.COUNTED, sizes, marker="o", color=_COLOURS["ours"])
    axes[2].set_ylim(bottom=0)
    axes[2].set_xlabel("nights")
    axes[2].set_title("checkpoint, MB")
    axes[2].grid(alpha=0.3)
    _save(figure, path)


def _draw_machines(outcome: Outcome, path: Path) -> None:
    """Requests a second by the number of workers, which each side's name begins with."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 4.2))
    measured = {int(side.split()[0]): each.median(PER_SECOND) for side, each in outcome.figures.items()}
    workers = sorted(measured)
    rates = [measured[each] for each in workers]
    axis.plot(workers, rates, marker="o", label="measured", color=_COLOURS["ours"])
    ideal = [rates[0] * each for each in workers]
    axis.plot(workers, ideal, linestyle="--", label="× one worker", color=_COLOURS["floor"])
    axis.set_xticks(workers)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("workers, with a source address each")
    axis.set_title("requests per second")
    axis.grid(alpha=0.3)
    axis.legend()
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
