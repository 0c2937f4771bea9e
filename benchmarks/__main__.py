"""Run the benchmarks, print the table, and store the figures.

Figures are stored, and plots drawn, only if every case ran in full.
"""

import argparse
import time

from benchmarks import cases, machine, report, runner


def main() -> None:
    """Run the cases that the arguments select."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--case", action="append", choices=list(cases.CASES), help="run only this case; may be repeated"
    )
    parser.add_argument("--short", action="store_true", help="only check that every case runs")
    arguments = parser.parse_args()
    started, described = time.perf_counter(), machine.description()
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
        for verdict in report.verdicts(outcome):
            print(f"{outcome.row.title}: {verdict.text}")
    for outcome in outcomes:
        if outcome.row.case == cases.machines.CASE:
            from benchmarks import plots

            plots.draw_machines(outcome, report.RESULTS / "machines.svg")
    if not arguments.case:
        from benchmarks import plots

        path = report.store(outcomes, described, (time.perf_counter() - started) / 60)
        plots.draw(outcomes, report.RESULTS / "growth.svg")
        print(f"\nstored in {path}")


if __name__ == "__main__":
    main()
