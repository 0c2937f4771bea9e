"""A bulk pull: raw files, then Parquet and DuckDB made of them."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks import clients, machine
from benchmarks.measure import (
    CPU,
    OURS,
    PEAK,
    PER_SECOND,
    Measure,
    Round,
    Row,
    Sample,
    Setting,
    Side,
    watched,
)
from codat_async import Codat
from codat_async.bulk import PullOptions, convert, pull
from codat_async.sandbox import run_in_background

TYPES = ("invoices",)
MEASURES = (Measure(PER_SECOND, "/s", more_is_better=True), Measure(CPU, "µs"), Measure(PEAK, "MB"))

Make = Callable[[Path], Awaitable[object]]


async def _parquet(directory: Path) -> None:
    await asyncio.to_thread(convert, directory)


async def _duckdb(directory: Path) -> None:
    await asyncio.to_thread(convert, directory, parquet=False, duckdb=directory / "books.duckdb")


@asynccontextmanager
async def _books(companies: int, size: int) -> AsyncIterator[Codat]:
    """A client of a sandbox, which runs where the server of the other cases does."""
    machine.pin(machine.SERVER)
    with run_in_background(companies=companies, sizes={"invoices": size}) as sandbox:
        machine.pin(machine.CLIENT)
        async with Codat(sandbox.api_key, base_url=sandbox.base_url, limits=clients.NO_LIMITS) as codat:
            yield codat


async def _pull(codat: Codat, into: Path, expected: int) -> None:
    report = await pull(codat, into, options=PullOptions(types=TYPES, page_size=500))
    if report.total.rows != expected:
        raise RuntimeError(f"{report.total.rows} of {expected} records were pulled")


def pulling(companies: int, size: int) -> Side:
    """Into a new directory each round."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async with _books(companies, size) as codat:
            with tempfile.TemporaryDirectory() as folder:
                count = companies * size

                async def go() -> Sample:
                    into = Path(folder) / "books"
                    sample = await watched(count, _pull(codat, into, count))
                    shutil.rmtree(into)
                    return sample

                yield go

    return side


def converting(companies: int, size: int, make: Make) -> Side:
    """Of a directory that was pulled before, copied for each round."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        with tempfile.TemporaryDirectory() as folder:
            pulled = Path(folder) / "pulled"
            async with _books(companies, size) as codat:
                await _pull(codat, pulled, companies * size)

            async def go() -> Sample:
                into = Path(folder) / "books"
                shutil.copytree(pulled, into)
                sample = await watched(companies * size, make(into))
                shutil.rmtree(into)
                return sample

            yield go

    return side


def rows(short: bool) -> list[Row]:
    """The pull, and each of the two conversions."""
    companies, size = (2, 50) if short else (10, 2000)
    total = companies * size
    sides = {
        f"pull {total:,} invoices of {companies} companies": pulling(companies, size),
        f"{total:,} pulled invoices to Parquet": converting(companies, size, _parquet),
        f"{total:,} pulled invoices to DuckDB": converting(companies, size, _duckdb),
    }
    return [
        Row(
            case="bulk",
            title=title,
            sides={OURS: side},
            measures=MEASURES,
            rounds=3,
            note="from the sandbox, with its books; the SDK has nothing like it",
        )
        for title, side in sides.items()
    ]
