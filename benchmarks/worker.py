"""The process that runs one side of one row.

Each line on standard input starts a round, whose figures are printed as a line of JSON.
"""

import asyncio
import json
import sys

import uvloop

from benchmarks import cases, machine
from benchmarks.measure import UVLOOP, Setting


async def _work(key: str, side: str, server: str, short: bool) -> None:
    prepare = cases.row(key, short).sides[side]
    loop = asyncio.get_running_loop()
    async with prepare(Setting(server=server, short=short)) as run_round:
        print("ready", flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await run_round()), flush=True)


def main(key: str, side: str, server: str, short: str) -> None:
    """Prepare the side, then run a round for each line of input."""
    machine.unpace_connections()
    if short != "short":
        machine.pin(machine.CLIENT)
    run = uvloop.run if side == UVLOOP else asyncio.run
    run(_work(key, side, server, short == "short"))


if __name__ == "__main__":
    main(*sys.argv[1:])
