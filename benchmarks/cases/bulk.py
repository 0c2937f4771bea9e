"""A bulk pull: raw files, then Parquet and DuckDB made of them."""

import asyncio
import gzip
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

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

COMPRESSED_FLOOR = "floor, compressed"
PAGE_SIZE = 500

REACH = (
    Reach(
        PER_SECOND,
        0.7,
        FLOOR,
        shortfall="the bare loop only copies bytes; ours compresses them, syncs them to the disk, tells "
        "every record by id and date, and tries each on its model, on the same one core",
    ),
)

Make = Callable[[Path], Awaitable[object]]


class _Next(msgspec.Struct):
    links: Links = msgspec.field(name="_links")


async def _parquet(directory: Path) -> None:
    await asyncio.to_thread(convert, directory)


async def _duckdb(directory: Path) -> None:
    await asyncio.to_thread(convert, directory, parquet=False, duckdb=directory / "books.duckdb")


@asynccontextmanager
async def _sandbox(companies: int, size: int) -> AsyncIterator[Address]:
    """A sandbox that runs where the server of the other cases does."""
    machine.pin(machine.SERVER)
    with run_in_background(companies=companies, sizes={"invoices": size}) as sandbox:
        machine.pin(machine.CLIENT)
        yield sandbox


@asynccontextmanager
async def _books(companies: int, size: int) -> AsyncIterator[Codat]:
    """A client of one."""
    async with (
        _sandbox(companies, size) as sandbox,
        Codat(sandbox.api_key, base_url=sandbox.base_url, limits=clients.NO_LIMITS) as codat,
    ):
        yield codat


async def _pull(codat: Codat, into: Path, expected: int) -> None:
    report = await pull(codat, into, options=PullOptions(types=TYPES, page_size=PAGE_SIZE))
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


async def _copy(sandbox: Address, into: Path, write: Callable[[bytes], bytes]) -> None:
    """The same pages by bare aiohttp, the companies side by side, into a file each, unread."""
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

        async with asyncio.TaskGroup() as group:
            for each in sandbox.company_ids:
                group.create_task(company(each))


def copying(companies: int, size: int, write: Callable[[bytes], bytes]) -> Side:
    """Into a new directory each round."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async with _sandbox(companies, size) as sandbox:
            with tempfile.TemporaryDirectory() as folder:

                async def go() -> Sample:
                    with tempfile.TemporaryDirectory(dir=folder) as into:
                        return await watched(companies * size, _copy(sandbox, Path(into), write))

                yield go

    return side


def _as_it_is(body: bytes) -> bytes:
    return body


def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, 1, mtime=0)


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
    note = "from the sandbox, with its books; the SDK has nothing like it"
    pull_sides = {
        OURS: pulling(companies, size),
        FLOOR: copying(companies, size, _as_it_is),
        COMPRESSED_FLOOR: copying(companies, size, _compressed),
    }
    conversions = {
        f"{total:,} pulled invoices to Parquet": converting(companies, size, _parquet),
        f"{total:,} pulled invoices to DuckDB": converting(companies, size, _duckdb),
    }
    title = f"pull {total:,} invoices of {companies} companies"
    return [
        Row(
            case="bulk",
            title=title,
            sides=pull_sides,
            measures=MEASURES,
            reach=REACH,
            rounds=3,
            note=f"{note}; the floors keep pages as they came, one of them compressed",
        ),
        *(
            Row(case="bulk", title=title, sides={OURS: side}, measures=MEASURES, rounds=3, note=note)
            for title, side in conversions.items()
        ),
    ]
