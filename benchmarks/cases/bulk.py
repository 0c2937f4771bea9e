"""A bulk pull: raw files, then Parquet and DuckDB made of them."""

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
    Measure,
    Reach,
    Round,
    Row,
    Sample,
    Setting,
    Side,
    watched,
)
from codat_async import Codat
from codat_async.bulk import PullOptions, convert, pull
from codat_async.models import Links
from codat_async.sandbox import run_in_background
from codat_async.sandbox.background import Address
from codat_middleware import authorization

TYPES = ("invoices",)
MEASURES = (Measure(PER_SECOND, "/s", more_is_better=True), Measure(CPU, "µs"), Measure(PEAK, "MB"))

SIDE_BY_SIDE = "floor, side by side"
COMPRESSED = "floor, side by side, compressed"
PAGE_SIZE = 500

_SHORTFALL = (
    "of a record of 2.4 kB, a loop that only copies takes 3 µs, and ours 11 on the same one core: reading it "
    "2.6, finding where it begins and ends 1.3, trying it on its model and taking its id and date 3.7, "
    "compressing it 2, landing it with the checkpoint 1.5; so it shows where the server gives more than "
    "90,000 records a second"
)
REACH = tuple(Reach(PER_SECOND, 0.7, floor, shortfall=_SHORTFALL) for floor in (FLOOR, SIDE_BY_SIDE))

Make = Callable[[Path], Awaitable[object]]
Copy = Callable[[Address, Path], Awaitable[object]]


@dataclass(frozen=True)
class Books:
    """What there is to pull, and how it is served."""

    companies: int
    size: int
    fresh: bool = False
    """Whether each round has a sandbox of its own, which renders the pages as they are asked for."""
    faults: str | None = None

    @property
    def records(self) -> int:
        """Of all companies."""
        return self.companies * self.size


class _Next(msgspec.Struct):
    links: Links = msgspec.field(name="_links")


async def _parquet(directory: Path) -> None:
    await asyncio.to_thread(convert, directory)


async def _duckdb(directory: Path) -> None:
    await asyncio.to_thread(convert, directory, parquet=False, duckdb=directory / "books.duckdb")


@asynccontextmanager
async def _sandbox(books: Books) -> AsyncIterator[Address]:
    """A sandbox that runs where the server of the other cases does."""
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
        raise RuntimeError(f"{report.total.rows} of {expected} records were pulled")


def landing(books: Books, work: Copy) -> Side:
    """Pages into a new directory each round."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        with tempfile.TemporaryDirectory() as folder:

            async def once(sandbox: Address) -> Sample:
                with tempfile.TemporaryDirectory(dir=folder) as into:
                    return await watched(books.records, work(sandbox, Path(into)))

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
    sandbox: Address, into: Path, *, side_by_side: bool, write: Callable[[bytes], bytes] = bytes
) -> None:
    """The same pages by bare aiohttp, a file for each company, unread."""
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

        if side_by_side:
            async with asyncio.TaskGroup() as group:
                for each in sandbox.company_ids:
                    group.create_task(company(each))
        else:
            for each in sandbox.company_ids:
                await company(each)


def _compressed(body: bytes) -> bytes:
    return ZstdCompressor(level=1).compress(body)


def converting(books: Books, make: Make) -> Side:
    """Of a directory that was pulled before, copied for each round."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        with tempfile.TemporaryDirectory() as folder:
            pulled = Path(folder) / "pulled"
            async with _sandbox(books) as sandbox:
                await _pull(sandbox, pulled, books.records)

            async def go() -> Sample:
                into = Path(folder) / "books"
                shutil.copytree(pulled, into)
                sample = await watched(books.records, make(into))
                shutil.rmtree(into)
                return sample

            yield go

    return side


def _pulls(books: Books, served: str, floors: Mapping[str, Copy]) -> Row:
    pulled: Copy = partial(_pull, expected=books.records)
    return Row(
        case="bulk",
        title=f"pull {books.records:,} invoices of {books.companies} companies, {served}",
        sides={OURS: landing(books, pulled)} | {side: landing(books, work) for side, work in floors.items()},
        measures=MEASURES,
        reach=tuple(reach for reach in REACH if reach.to in floors),
        rounds=3,
        note="the floors keep pages as they came: one page after another, or a loop for each company; "
        "the SDK has nothing like it",
    )


def rows(short: bool) -> list[Row]:
    """The pull as pages come, and each of the two conversions."""

    def books(size: int, *, fresh: bool = False, faults: str | None = None) -> Books:
        return Books(2, 50, fresh, faults) if short else Books(10, size, fresh, faults)

    floors: Mapping[str, Copy] = {
        FLOOR: partial(_copy, side_by_side=False),
        SIDE_BY_SIDE: partial(_copy, side_by_side=True),
    }
    compressed: Mapping[str, Copy] = {COMPRESSED: partial(_copy, side_by_side=True, write=_compressed)}
    converted = books(2000)
    conversions = {
        f"{converted.records:,} pulled invoices to Parquet": converting(converted, _parquet),
        f"{converted.records:,} pulled invoices to DuckDB": converting(converted, _duckdb),
    }
    return [
        _pulls(books(10_000), "served from memory", {**floors, **compressed}),
        _pulls(books(5000, fresh=True), "rendered when asked for", floors),
        _pulls(books(5000, faults="latency=0.05"), "50 ms away", floors),
        *(
            Row(case="bulk", title=title, sides={OURS: side}, measures=MEASURES, rounds=3)
            for title, side in conversions.items()
        ),
    ]
