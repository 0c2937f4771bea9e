"""Run the benchmarks, print the tables, and store the figures.

Figures are stored, and the page and its plots made, if every case ran in full, or with --store.
"""

import argparse
from datetime import date

from benchmarks import cases, machine, report, runner, store


def main() -> None:
    """Run the cases that the arguments select."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--case", action="append", choices=list(cases.CASES), help="run only this case; may be repeated"
    )
    parser.add_argument("--store", action="store_true", help="store the figures of these cases with today's")
    parser.add_argument("--short", action="store_true", help="only check that every case runs")
    arguments = parser.parse_args()
    described = machine.description()
    print(*(f"{name}: {value}" for name, value in described.items()), sep="\n", end="\n\n")
    outcomes = []
    for name in arguments.case or cases.CASES:
        for row in cases.CASES[name](arguments.short):
            outcome = runner.run(row, short=arguments.short)
            outcomes.append(outcome)
            print(f"{outcome.seconds:5.1f} s  {row.title}", flush=True)
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
    if arguments.store or not arguments.case:
        from benchmarks import page

        path = store.path_of(date.today())
        stored = store.add(outcomes, described, path, cases.CASES)
        print(f"\nstored in {path}; the page is {page.write(stored, path.with_suffix('.md'))}")


if __name__ == "__main__":
    main()
