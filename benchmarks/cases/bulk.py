"""Bulk pulls to raw files, and their conversion to Parquet and DuckDB."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import msgspec
from zstandard import ZstdCompressor

from benchmarks import clients, machine
from benchmarks.measure import (
    CPU,
    FLOOR,
    OURS,
    PEAK,
    PER_SECOND,
    Goal,
    Measure,
    Round,
    Row,
    Sample,
    Setting,
    Side,
    timed_with_memory,
)
from codat_async import Codat
from codat_async.bulk import PullOptions, convert, pull
from codat_async.models import Links
from codat_async.sandbox import run_in_background
from codat_async.sandbox.background import Address
from codat_middleware import authorization

TYPES = ("invoices",)
MEASURES = (Measure(PER_SECOND, "/s", more_is_better=True), Measure(CPU, "µs"), Measure(PEAK, "MB"))

CONCURRENT = "floor, concurrent"
COMPRESSED = "floor, concurrent, compressed"
PAGE_SIZE = 500

_SHORTFALL = (
    "for a record of 2.4 kB, a loop that only copies takes 3 µs, and ours 11 on the same core: receiving it "
    "takes 2.6, splitting the page 1.3, validating it and reading its id and date 3.7, compressing it 2, "
    "writing it and the checkpoint 1.5; the difference shows if the server sends more than 90,000 records a "
    "second"
)
GOALS = tuple(Goal(PER_SECOND, 0.7, floor, shortfall=_SHORTFALL) for floor in (FLOOR, CONCURRENT))

Make = Callable[[Path], Awaitable[object]]
Copy = Callable[[Address, Path], Awaitable[object]]


@dataclass(frozen=True)
class Books:
    """The data to pull, and how it is served."""

    companies: int
    size: int
    fresh: bool = False
    """Whether each round starts a new sandbox, which renders pages when they are requested."""
    faults: str | None = None

    @property
    def records(self) -> int:
        """The number of records of all companies."""
        return self.companies * self.size


class _Next(msgspec.Struct):
    links: Links = msgspec.field(name="_links")


async def _parquet(directory: Path) -> None:
    await asyncio.to_thread(convert, directory)


async def _duckdb(directory: Path) -> None:
    await asyncio.to_thread(convert, directory, parquet=False, duckdb=directory / "books.duckdb")


@asynccontextmanager
async def _sandbox(books: Books) -> AsyncIterator[Address]:
    """Start a sandbox on the core that the server of the other cases uses."""
    machine.pin(machine.SERVER)
    with run_in_background(
        companies=books.companies, sizes={"invoices": books.size}, warm=TYPES, faults=books.faults
    ) as sandbox:
        machine.pin(machine.CLIENT)
        yield sandbox


async def _pull(sandbox: Address, into: Path, expected: int) -> None:
    async with Codat(sandbox.api_key, base_url=sandbox.base_url, limits=clients.NO_LIMITS) as codat:
        report = await pull(codat, into, options=PullOptions(types=TYPES, page_size=PAGE_SIZE))
    if report.total.rows != expected:
        raise RuntimeError(f"{report.total.rows} of {expected} records pulled")


def pulling(books: Books, work: Copy) -> Side:
    """Pull into a new directory in each round."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        with tempfile.TemporaryDirectory() as folder:

            async def once(sandbox: Address) -> Sample:
                with tempfile.TemporaryDirectory(dir=folder) as into:
                    return await timed_with_memory(books.records, work(sandbox, Path(into)))

            async def fresh() -> Sample:
                async with _sandbox(books) as sandbox:
                    return await once(sandbox)

            if books.fresh:
                yield fresh
            else:
                async with _sandbox(books) as sandbox:
                    yield lambda: once(sandbox)

    return side


async def _copy(
    sandbox: Address, into: Path, *, concurrent: bool, write: Callable[[bytes], bytes] = bytes
) -> None:
    """Fetch the same pages by aiohttp alone into a file for each company, without decoding the records."""
    decode = msgspec.json.Decoder(_Next).decode
    headers = {"Authorization": authorization(sandbox.api_key)}
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def company(company_id: str) -> None:
            url = f"{sandbox.base_url}/companies/{company_id}/data/invoices?orderBy=modifiedDate"
            with (into / company_id).open("wb") as file:
                number, more = 1, True
                while more:
                    async with session.get(f"{url}&page={number}&pageSize={PAGE_SIZE}") as response:
                        body = await response.read()
                    file.write(write(body))
                    number, more = number + 1, decode(body).links.next is not None

        if concurrent:
            async with asyncio.TaskGroup() as group:
                for each in sandbox.company_ids:
                    group.create_task(company(each))
        else:
            for each in sandbox.company_ids:
                await company(each)


def _compressed(body: bytes) -> bytes:
    return ZstdCompressor(level=1).compress(body)


def converting(books: Books, make: Make) -> Side:
    """Convert a copy of a pulled directory in each round."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        with tempfile.TemporaryDirectory() as folder:
            pulled = Path(folder) / "pulled"
            async with _sandbox(books) as sandbox:
                await _pull(sandbox, pulled, books.records)

            async def convert_copy() -> Sample:
                into = Path(folder) / "books"
                shutil.copytree(pulled, into)
                sample = await timed_with_memory(books.records, make(into))
                shutil.rmtree(into)
                return sample

            yield convert_copy

    return side


def _pulls(books: Books, served: str, floors: Mapping[str, Copy]) -> Row:
    pulled: Copy = partial(_pull, expected=books.records)
    return Row(
        case="bulk",
        title=f"pull {books.records:,} invoices of {books.companies} companies, {served}",
        sides={OURS: pulling(books, pulled)} | {side: pulling(books, work) for side, work in floors.items()},
        measures=MEASURES,
        goals=tuple(goal for goal in GOALS if goal.to in floors),
        rounds=3,
        note="the floors store pages as received, one after another or with a task for each company; "
        "the SDK has no bulk pull",
    )


def rows(short: bool) -> list[Row]:
    """Three pulls and the two conversions."""

    def books(size: int, *, fresh: bool = False, faults: str | None = None) -> Books:
        return Books(2, 50, fresh, faults) if short else Books(10, size, fresh, faults)

    floors: Mapping[str, Copy] = {
        FLOOR: partial(_copy, concurrent=False),
        CONCURRENT: partial(_copy, concurrent=True),
    }
    compressed: Mapping[str, Copy] = {COMPRESSED: partial(_copy, concurrent=True, write=_compressed)}
    converted = books(2000)
    conversions = {
        f"{converted.records:,} pulled invoices to Parquet": converting(converted, _parquet),
        f"{converted.records:,} pulled invoices to DuckDB": converting(converted, _duckdb),
    }
    return [
        _pulls(books(10_000), "served from memory", {**floors, **compressed}),
        _pulls(books(5000, fresh=True), "rendered on request", floors),
        _pulls(books(5000, faults="latency=0.05"), "50 ms latency", floors),
        *(
            Row(case="bulk", title=title, sides={OURS: side}, measures=MEASURES, rounds=3)
            for title, side in conversions.items()
        ),
    ]
