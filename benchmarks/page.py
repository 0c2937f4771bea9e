"""The page of results: a sentence to quote, tables, plots, goals, and what each case is."""

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks import cases, plots, report
from benchmarks.cases import fleet, growth
from benchmarks.measure import CPU, OURS, PEAK, PROCESS_PEAK
from benchmarks.runner import Outcome
from benchmarks.store import Stored, load

_EXTRA: Final = {
    "before.md": "## Version 0.1.0",
    "profiles.md": "",
}
"""Files beside the page that are written by hand, and their headings if they have none."""
PLOTS: Final = {
    "growth.svg": "Growth",
    "fleet.svg": "A fleet's nights, and its checkpoint",
    "machines.svg": "More machines",
    "../../docs/pace.svg": "The pace, simulated by `python -m benchmarks.pace`: requests a minute",
}


def write(stored: Stored, path: Path) -> Path:
    """Draw the plots and write the page beside the figures; returns its path."""
    outcomes = stored.outcomes()
    plots.draw_all(outcomes, path.parent)
    path.write_text("\n".join(_lines(stored, outcomes, path.parent)).rstrip() + "\n")
    return path


def _lines(stored: Stored, outcomes: Sequence[Outcome], folder: Path) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    for outcome in outcomes:
        if outcome.row.case == fleet.CASE:
            yield from (f"> {fleet.sentence(outcome)}", "")
    minutes = sum(outcome.seconds for outcome in outcomes) / 60
    loads = [outcome.load for outcome in outcomes]
    yield (
        f"{stored.day.isoformat()}, by `python -m benchmarks`, {minutes:.0f} minutes in all. The load of the"
        f" machine was {min(loads):.1f} to {max(loads):.1f} as the rows began. What is compared is measured"
        " in turn, and CPU is process time; a busy machine adds to it all the same, and more to elapsed time."
        " Figures are medians of the rounds and ratios those of each round; after ± is half the range of the"
        " middle half of the rounds, or of all three. Rows that differ by more than 15 % got more rounds."
    )
    yield ""
    yield from (f"- {name}: {value}" for name, value in stored.machine.items())
    yield ""
    yield from _table([report.HEAD, *(cell for each in outcomes if not report.is_of_steps(each)
                                      for cell in report.lines(each))])  # fmt: skip
    for outcome in outcomes:
        if report.is_of_steps(outcome):
            yield from (f"## {outcome.row.title}", "", f"The load as it began: {outcome.load:.1f}.", "")
            for cells in report.step_tables(outcome):
                yield from _table(cells)
    yield from _growth(outcomes)
    yield from ("## Plots", "")
    for name, title in PLOTS.items():
        if (folder / name).exists():
            yield from (f"![{title}]({name})", "", f"*{title}*", "")
    yield from ("## Goals", "")
    for outcome in outcomes:
        yield from (f"- {outcome.row.title}: {verdict.text}" for verdict in report.verdicts(outcome))
    yield from ("", "## What the cases are", "")
    for name in dict.fromkeys(outcome.row.case for outcome in outcomes):
        text = " ".join((sys.modules[f"benchmarks.cases.{name}"].__doc__ or "").split())
        yield f"- **{name}**: {text}"
    if missing := [name for name in cases.CASES if name not in {outcome.row.case for outcome in outcomes}]:
        yield f"- not measured that day: {', '.join(missing)}"
    yield from ("", "## Notes", "")
    yield from (f"- {outcome.row.title}: {outcome.row.note}" for outcome in outcomes if outcome.row.note)
    for name, heading in _EXTRA.items():
        if (folder / name).exists():
            text = (folder / name).read_text()
            yield from ("", *([heading, ""] if heading else []), *_demoted(text, not heading))


def _demoted(text: str, demote: bool) -> Iterator[str]:
    for line in text.splitlines():
        yield f"#{line}" if demote and line.startswith("#") else line


def _growth(outcomes: Sequence[Outcome]) -> Iterator[str]:
    found = [
        *report.exponents(outcomes, CPU, each=True),
        *report.exponents(outcomes, PROCESS_PEAK, each=False),
        *report.exponents(outcomes, PEAK, each=False),
    ]
    if found:
        yield from ("## Exponents of growth", "")
        head = ["what grows", "from", "to", "side", "figure", "exponent", "aim"]
        cells = [
            [
                each.grown,
                f"{each.smallest:,}",
                f"{each.largest:,}",
                each.side,
                "CPU in all" if each.figure == CPU else each.figure,
                f"{each.value:.2f}",
                _aim(each),
            ]
            for each in found
        ]
        yield from _table([head, *cells])


def _aim(found: report.Exponent) -> str:
    if found.side != OURS or (found.grown, found.figure) not in growth.AIMS:
        return ""
    least, most = growth.AIMS[found.grown, found.figure]
    aim = f"{least:g} to {most:g}" if math.isfinite(least) else f"at most {most:g}"
    return f"{aim}: {'reached' if least <= round(found.value, 2) <= most else 'missed'}"


def _table(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(cells[0])} |"
    yield f"|{'---|' * len(cells[0])}"
    yield from (f"| {' | '.join(line)} |" for line in cells[1:])
    yield ""


def main(*names: str) -> None:
    """Write the pages of these files of figures again."""
    for name in names:
        assert cases.CASES
        print(write(load(Path(name)), Path(name).with_suffix(".md")))


if __name__ == "__main__":
    main(*sys.argv[1:])
