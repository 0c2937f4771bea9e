"""Run the simulation's rows, print what held, and draw the accepted rate over time for each row."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Final

from benchmarks.simulation import Log, Row, rows, simulate

PICTURE: Final = Path(__file__).parents[1] / "docs" / "pace.svg"
_BIN: Final = 10.0
"""Seconds."""
_COLOURS: Final = ("#0b6e4f", "#c8553d")


def main() -> None:
    """Run all rows and draw them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pace", description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=8)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    drawn = []
    for row in rows(arguments.calls):
        for situation in row.variants():
            logs = [simulate(situation, seed) for seed in range(arguments.seeds)]
            print(f"{row.name} ({situation.kind}, Retry-After {situation.hint})")
            for figure in row.figures:
                values = [figure.of(log) for log in logs]
                sign, verdict = "<=" if figure.at_most else ">=", "ok" if figure.holds(logs) else "NOT HELD"
                print(
                    f"  {mean(values):8.3f} ({min(values):.3f} to {max(values):.3f}) {figure.name}"
                    f" {sign} {figure.bound:.3g}: {verdict}",
                    flush=True,
                )
        drawn.append((row, simulate(row.variants()[0], 0)))
    draw(drawn)


def draw(drawn: Sequence[tuple[Row, Log]]) -> None:
    """Draw what the server accepted of each client, what it refused, and the pace, into one SVG file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "codat-async"
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots((len(drawn) + 1) // 2, 2, figsize=(11, 1.6 * len(drawn)))
    for axis, (row, log) in zip(axes.flat, drawn, strict=False):
        for client, colour in zip(log.by_client, _COLOURS, strict=False):
            axis.plot(*_per_minute(log.by_client[client], log.ended), color=colour, label="accepted")
            axis.plot(*zip(*log.rates[client], strict=True), color=colour, lw=0.7, ls=":", label="pace")
        axis.fill_between(*_per_minute(log.refused, log.ended), color="#7d8597", alpha=0.5, label="refused")
        axis.set_title(row.name, fontsize=10)
        axis.set_ylim(0, 1100)
        axis.grid(alpha=0.3)
    axes.flat[0].legend(fontsize=7)
    for axis in axes.flat[len(drawn) :]:
        axis.remove()
    figure.supxlabel("seconds")
    figure.supylabel("requests a minute")
    figure.tight_layout()
    figure.savefig(PICTURE, format="svg", metadata={"Date": None})


def _per_minute(times: Sequence[float], end: float) -> tuple[list[float], list[float]]:
    bins = [0] * (int(end // _BIN) + 1)
    for at in times:
        bins[int(at // _BIN)] += 1
    return [n * _BIN for n in range(len(bins))], [count * 60.0 / _BIN for count in bins]


if __name__ == "__main__":
    main()
