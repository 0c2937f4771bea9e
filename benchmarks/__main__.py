"""The one command: runs the cases, prints the table, keeps the figures."""

import argparse

from benchmarks import cases, report, runner


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--case", action="append", choices=sorted(cases.CASES), help="only this one; may be repeated")
    parser.add_argument("--short", action="store_true", help="only show that every case runs; keeps no figures")
    arguments = parser.parse_args()
    outcomes = []
    for name in arguments.case or cases.CASES:
        for row in cases.CASES[name](arguments.short):
            outcome = runner.run(row, short=arguments.short)
            outcomes.append(outcome)
            print(report.text(outcome), flush=True)


if __name__ == "__main__":
    main()
