"""Raw files of many small lists to Parquet and DuckDB, beside one list, and beside Arrow alone."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from uuid import UUID

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

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
from benchmarks.records import PAGE_MARK, invoice
from codat_async import codec
from codat_async.bulk import convert, pull_types
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.journal import Block
from codat_async.bulk.store.lines import head_of, lines_of
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.sealed import read_line_blocks, sealed_files
from codat_async.bulk.store.state import Run, State, UnitState
from codat_async.bulk.store.writer import WriteBatch, Writer
from codat_async.bulk.units.unit import Unit

MEASURES = (Measure(PER_SECOND, "/s", more_is_better=True), Measure(CPU, "µs"), Measure(PEAK, "MB"))
ONE_LIST = "in one list"
TYPE = "invoices"
BLOCK_BYTES = 8 * 1024 * 1024
"""As large as the blocks that are converted."""

Work = Callable[[Path], Awaitable[object]]


def _lists(count: int, size: int) -> Iterator[tuple[Unit, list[bytes]]]:
    """Lists of different companies, with records of which no two have the same id."""
    draw = Random(7)
    texts = [codec.encode(invoice(number)) for number in range(2000)]
    for place in range(count):
        numbers = range(place * size, (place + 1) * size)
        records = [texts[n % 2000].replace(PAGE_MARK.encode(), b"%08x" % n) for n in numbers]
        yield Unit(TYPE, str(UUID(int=draw.getrandbits(128)))), records


async def _fill(root: Path, count: int, size: int) -> None:
    """Write lists as a pull does, and seal them."""
    with Directory(root) as directory:
        directory.recover()
        began = "2026-01-01T00:00:00"
        run = Run(id="20260101T000000Z", mode="full", page_size=500, compression="zstd", began=began)
        with directory.checkpoint.transaction():
            run = directory.checkpoint.begin_run(run)
        async with Writer(directory, run, lambda error: None) as writer:
            for unit, records in _lists(count, size):
                await writer.commit(_job(directory, run, unit, records))
            await writer.seal()


def _job(directory: Directory, run: Run, unit: Unit, records: list[bytes]) -> Callable[[WriteBatch], None]:
    n, rows = directory.draw(), len(records)
    lines = lines_of(head_of(unit, n, whole=True), records)

    def job(batch: WriteBatch) -> None:
        company = batch.checkpoint.keys.company(unit.company)
        batch.add(Block(unit.type, company, n, rows, rows, lines))
        state = UnitState(state=State.DONE, n=n, rows=rows)
        batch.checkpoint.lists.finish(run, unit, state, Ending(watermark=n, overlap=None))

    return job


async def _parquet(root: Path) -> None:
    await asyncio.to_thread(convert, root, types=[TYPE])


async def _duckdb(root: Path) -> None:
    await asyncio.to_thread(convert, root, parquet=False, duckdb=root / "books.duckdb", types=[TYPE])


async def _arrow(root: Path) -> None:
    """Decompress, read with the columns known, and write: what Arrow does at the least."""
    await asyncio.to_thread(_with_arrow_alone, root)


def _with_arrow_alone(root: Path) -> None:
    schema = _written(shape_of(pull_types()[TYPE]).parsed)
    columns = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    with pq.ParquetWriter(root / "floor.parquet", schema, compression="zstd") as writer:
        for text in _blocks(root):
            at_once = pa.json.ReadOptions(use_threads=False, block_size=len(text) + 1)
            # In the pool that ours uses, which is the faster one when the default gets huge pages.
            pool = pa.system_memory_pool()
            writer.write_table(pa.json.read_json(pa.BufferReader(text), at_once, columns, pool))


def _written(schema: pa.Schema) -> pa.Schema:
    """Without the fields of a record that are JSON, which are looked for as objects without fields."""
    place = schema.get_field_index("record")
    fields = [each for each in schema.field(place).type if each.type != pa.struct([])]
    return schema.set(place, pa.field("record", pa.struct(fields)))


def _blocks(root: Path) -> Iterator[bytes]:
    pieces: list[bytes] = []
    for file in sealed_files(root, [TYPE]):
        for piece in read_line_blocks(file, BLOCK_BYTES):
            pieces.append(piece)
            if sum(map(len, pieces)) >= BLOCK_BYTES:
                yield b"".join(pieces)
                pieces = []
    if pieces:
        yield b"".join(pieces)


def converting(count: int, size: int, work: Work) -> Side:
    """A directory that was filled before, without what was made of it."""

    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "pull"
            await _fill(root, count, size)

            async def go() -> Sample:
                sample = await timed_with_memory(count * size, work(root))
                shutil.rmtree(root / "parquet", ignore_errors=True)
                (root / "books.duckdb").unlink(missing_ok=True)
                return sample

            yield go

    return side


def rows(short: bool) -> list[Row]:
    """Parquet and DuckDB for more and more lists of five records."""
    found = []
    for count in (2,) if short else (100, 1000, 10_000):
        for target, work in (("Parquet", _parquet), ("DuckDB", _duckdb)):
            sides = {OURS: converting(count, 5, work), ONE_LIST: converting(1, count * 5, work)}
            goals: tuple[Goal, ...] = (Goal(CPU, 1.3, ONE_LIST),)
            if target == "Parquet":
                sides[FLOOR] = converting(count, 5, _arrow)
            if count == 10_000:
                goals += (Goal(CPU, 1.25, FLOOR),) if target == "Parquet" else (Goal(CPU, 42),)
            title = f"{count * 5:,} invoices in {count:,} lists to {target}"
            found.append(Row("conversion", title, sides, MEASURES, goals, rounds=3))
    return found
