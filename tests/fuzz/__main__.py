"""``python -m tests.fuzz``: fuzz for ten minutes, or as long as asked, and print what was found."""

import argparse
import asyncio
import faulthandler
import secrets
import sys
from collections import defaultdict

from tests.fuzz.calls import CALLS
from tests.fuzz.run import Finding, Outcome, fuzz


def main() -> int:
    """Run what was asked for; the status is 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same cases")
    parser.add_argument("--call", choices=[*CALLS], default=None, help="calls of this kind only")
    parser.add_argument("--case", type=int, default=None, help="run this one case only")
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    faulthandler.enable()
    # A loop that never returns to its event loop can only be seen from outside.
    faulthandler.dump_traceback_later(arguments.minutes * 60 + 120, exit=True)
    cases = None if arguments.case is None else range(arguments.case, arguments.case + 1)
    outcome = asyncio.run(fuzz(seed, seconds=arguments.minutes * 60, cases=cases, only=arguments.call))
    report(outcome)
    return 1 if outcome.findings else 0


def report(outcome: Outcome) -> None:
    """Print how the calls ended, and each kind of finding once."""
    print(
        f"{outcome.cases} calls, {outcome.answers} hostile answers; the slowest call took "
        f"{outcome.slowest:.1f} s, and the process grew by {outcome.grown >> 20} MiB"
    )
    for name, count in outcome.errors.most_common():
        print(f"  {count:6}  {name}")
    kinds: dict[str, list[Finding]] = defaultdict(list)
    for finding in outcome.findings:
        kinds[f"{finding.what.partition(':')[0]}"].append(finding)
    print(f"{len(outcome.findings)} findings of {len(kinds)} kinds")
    for found in kinds.values():
        print(f"\n{len(found)} × {found[0]}")


if __name__ == "__main__":
    sys.exit(main())
