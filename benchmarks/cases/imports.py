"""Import time and memory of a new process."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.measure import FLOOR, OURS, SDK, Goal, Measure, Round, Row, Sample, Setting, Side

_SECONDS, _MEMORY = "import", "memory"
_PROGRAM = """
import time
def memory():
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('VmRSS')) / 1024
before = memory()
started = time.perf_counter()
{statement}
print((time.perf_counter() - started) * 1000, memory() - before)
"""


def importing(statement: str) -> Side:
    """Starts a new interpreter in each round."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async def import_once() -> Sample:
            program = _PROGRAM.format(statement=statement)
            answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)  # noqa: ASYNC221
            milliseconds, megabytes = answer.stdout.split()
            return {_SECONDS: float(milliseconds), _MEMORY: float(megabytes)}

        yield import_once

    return side


def rows(short: bool) -> list[Row]:
    """The imports."""
    return [
        Row(
            case="imports",
            title="import",
            sides={
                OURS: importing("from codat_async import Codat"),
                SDK: importing("from codat_accounting import CodatAccounting"),
                FLOOR: importing("import aiohttp, msgspec"),
            },
            measures=(Measure(_SECONDS, "ms"), Measure(_MEMORY, "MB")),
            goals=(Goal(_SECONDS, 0.2, SDK),),
            rounds=11,
        )
    ]
