"""The sandbox as a server of a row: ``python -m benchmarks.sandbox_server COMPANIES INVOICES``.

Prints its port once the books are made, and ends with its standard input.
"""

import asyncio
import sys
from typing import Final

from benchmarks import machine
from codat_async.sandbox import Sandbox

API_KEY: Final = "benchmark"


async def _serve(companies: int, invoices: int) -> None:
    machine.pin(machine.SERVER)
    sizes = {"invoices": invoices}
    async with Sandbox(companies=companies, sizes=sizes, warm=("invoices",), api_key=API_KEY) as sandbox:
        print(sandbox.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
