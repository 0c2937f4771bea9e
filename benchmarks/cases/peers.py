"""What people would otherwise pick, on the same invoices, each in an environment of its own.

CPU is process time, of all threads, for the records alone: imports and a first run over ten invoices
are start-up.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.measure import CPU, OURS, PROCESS_PEAK, Goal, Measure, Round, Row, Sample, Setting, Side
from benchmarks.peers import environments
from benchmarks.sandbox_server import API_KEY
from codat_async.sandbox import run_in_background

CASE: Final = "peers"
START_UP = "start-up"
MEASURES = (Measure(CPU, "µs"), Measure(START_UP, "s"), Measure(PROCESS_PEAK, "MB"))
DLT, HTTPX = "dlt, nesting 0", "httpx + pydantic"
DLT_PARQUET = "dlt, nesting 0, through Parquet"
"""dlt loads DuckDB by ``INSERT`` unless it is configured to write Parquet."""

_SCRIPTS: Final = Path(__file__).parents[1] / "peers"


@dataclass(frozen=True)
class Peer:
    """A script, the environment that it runs in, and its options."""

    script: str
    environment: str | None
    """None for the one that runs the benchmarks."""
    options: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether it can run without anything being installed."""
        return self.environment is None or environments.is_made(self.environment)

    async def run(self, *urls: str) -> dict[str, float]:
        """Run the script in a folder of its own and return its figures."""
        python = sys.executable if self.environment is None else environments.python(self.environment)
        variables = None if self.environment is None else environments.variables(self.environment)
        with tempfile.TemporaryDirectory() as folder:
            process = await asyncio.create_subprocess_exec(
                python,
                _SCRIPTS / f"{self.script}.py",
                *urls,
                API_KEY,
                folder,
                *self.options,
                stdout=asyncio.subprocess.PIPE,
                env=variables,
            )
            printed, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{self.script} {self.options} ended with status {process.returncode}")
        figures: dict[str, float] = json.loads(printed.splitlines()[-1])
        return figures


def side(peer: Peer, records: int) -> Side:
    """A process of the peer in each round."""

    @asynccontextmanager
    async def prepared(setting: Setting) -> AsyncIterator[Round]:
        with run_in_background(companies=1, sizes={"invoices": 10}, api_key=API_KEY) as first:

            async def once() -> Sample:
                found = await peer.run(first.base_url, setting.server)
                if found["records"] != records:
                    raise RuntimeError(f"{peer.script}: {found['records']} of {records} records")
                cpu = 1e6 * found["CPU"] / records
                return {CPU: cpu, START_UP: found["start-up"], PROCESS_PEAK: found["peak MB"]}

            yield once

    return prepared


def _ours(sink: str) -> Peer:
    return Peer("ours", None, (sink,))


def _dlt(sink: str, nesting: str, file_format: str) -> Peer:
    return Peer("dlt_rest", "dlt", (sink, nesting, file_format))


_SHORTFALL: Final = (
    "of the 51 µs of a record in the profile of 10,000, the pull takes 16, 2 of them for the run itself;"
    " decompressing 2; looking for numbers that Arrow misreads 1.4; JSON into nested columns 14, Arrow's"
    " reader alone 12; inserting these into DuckDB 3, and its commit 7, of which 2 copy what is less than a"
    " row group from the transaction into the table; opening and closing it 2; tables and views of three"
    " types 2; which versions stay 1.5; locks and the checkpoint 1. Some 10 of it are spent once a run,"
    " whatever its size, which the rows of more records show. Nested values as JSON text, which dlt has at"
    " nesting 0, would take no less: 16 to cut them out and 13 in DuckDB, with a file twice as large"
)
_SIZES: Final = ((50, 2000, 5), (150, 2000, 3))
"""Companies, records of each, and rounds of the rows that show what is left of the cost of a run: a night
over a fleet has half a million records, for which dlt's ``INSERT`` would take minutes a round."""
_LESS: Final = (
    "ours also keeps each record as received, resumes after a kill, compares with the API's total, drops"
    " duplicates, and validates each record; dlt infers the columns and keeps what it extracted until it is"
    " loaded, at nesting 0 with nested values as JSON text instead of columns, by default in child tables"
)
_INSERTS: Final = (
    f"{_LESS}; dlt loads DuckDB by INSERT, unless it is configured to write Parquet, which is faster"
)


def rows(short: bool) -> list[Row]:
    """To Parquet, to DuckDB, and to objects; to DuckDB also of more records."""
    usual, more = ((1, 50, 5), ()) if short else ((5, 2000, 5), _SIZES)
    to_duckdb = {OURS: _ours("duckdb"), DLT_PARQUET: _dlt("duckdb", "0", "parquet")}
    through_parquet = Goal(CPU, 0.2, DLT_PARQUET, shortfall=_SHORTFALL)
    wanted: list[tuple[str, tuple[int, int, int], dict[str, Peer], tuple[Goal, ...], str]] = [
        (
            "to Parquet",
            usual,
            {
                OURS: _ours("parquet"),
                DLT: _dlt("parquet", "0", "parquet"),
                "dlt, default nesting": _dlt("parquet", "default", "parquet"),
                HTTPX: Peer("httpx_pydantic", "httpx"),
            },
            (Goal(CPU, 0.3, DLT), Goal(CPU, 0.35, HTTPX)),
            f"{_LESS}; the loop of httpx + pydantic validates the same fields and has the same nested"
            " columns, but keeps nothing if it is killed, and neither retries nor paces",
        ),
        (
            "to DuckDB",
            usual,
            {
                **to_duckdb,
                DLT: _dlt("duckdb", "0", "default"),
                "dlt, default nesting": _dlt("duckdb", "default", "default"),
                "dlt, default nesting, through Parquet": _dlt("duckdb", "default", "parquet"),
            },
            (Goal(CPU, 0.2, DLT), through_parquet),
            _INSERTS,
        ),
        (
            "to objects",
            usual,
            {
                OURS: _ours("objects"),
                "aiohttp + pydantic": Peer("aiohttp_pydantic", "aiohttp"),
                "codat-accounting": Peer("accounting_sdk", "codat-accounting"),
                "codat-lending": Peer("lending_sdk", "codat-lending"),
            },
            (),
            "all decode every field; only ours has a pager, retries on its own, and keeps to the rate limit;"
            " codat-lending keeps dates as text and runs its blocking client in a thread",
        ),
        *(("to DuckDB", each, to_duckdb, (through_parquet,), _INSERTS) for each in more),
    ]
    return [
        Row(
            case=CASE,
            title=f"{companies * size:,} invoices {sink}",
            # What is not installed would be downloaded.
            sides={
                name: side(peer, companies * size)
                for name, peer in peers.items()
                if peer.is_ready or not short
            },
            measures=MEASURES,
            goals=goals,
            rounds=rounds,
            needs_server=True,
            server=("benchmarks.sandbox_server", str(companies), str(size)),
            note=note,
        )
        for sink, (companies, size, rounds), peers, goals, note in wanted
    ]
