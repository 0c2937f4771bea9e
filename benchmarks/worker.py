"""The process in which one side of one row does its rounds, each when it is told to.

Every line on standard input asks for a round; its figures are written as a line of JSON.
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
    async with prepare(Setting(server=server, short=short)) as go:
        print("ready", flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await go()), flush=True)


def main(key: str, side: str, server: str, short: str) -> None:
    """Prepare, then do a round for each line."""
    if short != "short":
        machine.pin(machine.CLIENT)
    run = uvloop.run if side == UVLOOP else asyncio.run
    run(_work(key, side, server, short == "short"))


if __name__ == "__main__":
    main(*sys.argv[1:])
