"""Run the benchmarks, print the tables, and store the figures.

Figures are stored, and the page and its plots made, if every case ran in full, or with --store.
"""

import argparse
import os
from datetime import date
from itertools import groupby
from typing import Final

from benchmarks import cases, machine, report, runner, store

_UNKNOWN: Final = 45.0
"""Seconds that a row is expected to take if it was never stored."""


def main() -> None:
    """Run the cases that the arguments select."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--case", action="append", choices=list(cases.CASES), help="run only this case; may be repeated"
    )
    parser.add_argument("--store", action="store_true", help="store the figures of these cases with today's")
    parser.add_argument("--short", action="store_true", help="only check that every case runs")
    arguments = parser.parse_args()
    # What pip installs has its bytecode; without this the checkout alone would be compiled in each process.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    described = machine.description()
    print(*(f"{name}: {value}" for name, value in described.items()), sep="\n", end="\n\n")
    storing = not arguments.short and bool(arguments.store or not arguments.case)
    path = store.path_of(date.today())
    rows = [row for name in arguments.case or cases.CASES for row in cases.CASES[name](arguments.short)]
    known = {} if arguments.short else store.known_seconds()
    expected = [known.get(row.key, _UNKNOWN) for row in rows]
    outcomes: list[runner.Outcome] = []
    stored: store.Stored | None = None
    for case, several in groupby(rows, key=lambda row: row.case):
        spare = runner.Spare()
        for row in several:
            outcome = runner.run(row, short=arguments.short, spare=spare)
            outcomes.append(outcome)
            print(_line(outcomes, expected), flush=True)
        if storing:
            # Case by case, so that what was measured stays if a later one is interrupted.
            stored = store.add(
                (each for each in outcomes if each.row.case == case), described, path, cases.CASES
            )
    if arguments.short:
        print("\nevery case ran; figures of so little work would mean nothing")
        return
    print("", report.table(outcomes), "", sep="\n")
    for outcome in outcomes:
        if report.is_of_steps(outcome):
            print(
                outcome.row.title, *map(report.as_text, report.step_tables(outcome)), sep="\n\n", end="\n\n"
            )
        for verdict in report.verdicts(outcome):
            print(f"{outcome.row.title}: {verdict.text}")
    if stored is not None:
        from benchmarks import page

        print(f"\nstored in {path}; the page is {page.write(stored, path.with_suffix('.md'))}")


def _line(outcomes: list[runner.Outcome], expected: list[float]) -> str:
    """How long the last row took, and how long the others should, by the stored run and this one so far."""
    outcome, done = outcomes[-1], len(outcomes)
    rounds = max(len(each.samples) for each in outcome.figures.values())
    pace = sum(each.seconds for each in outcomes) / sum(expected[:done])
    minutes = pace * sum(expected[done:]) / 60
    return f"{outcome.seconds:6.1f} s  {rounds:2} rounds  {outcome.row.title}  ({minutes:.0f} minutes left)"


if __name__ == "__main__":
    main()
