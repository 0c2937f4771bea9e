"""From a pull to Parquet and DuckDB: equal to what the API sent, and current after each run."""

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from bulk_server import COMPANY, CONNECTION, Server, customer, written_lines
from sinks_tools import parquet_rows, payment, rows

from codat_async import Codat, bulk
from codat_async.bulk import PullOptions


def options(*types: str, **more: object) -> PullOptions:
    return PullOptions(types=types, source="test", **more)  # type: ignore[arg-type]


def corpus() -> dict[str, tuple[str, str]]:
    """Amounts and dates as JSON texts: 18 to 38 digits, 10 decimals, odd dates, zones."""
    draw = random.Random(11)
    amounts = [str(draw.randrange(10 ** (digits - 1), 10**digits)) for digits in range(18, 39)]
    amounts += [f"-{digits[:18]}.{draw.randrange(10**10):010d}" for digits in amounts]
    dates = [
        "2021-11-15T06:00:00Z", "2021-11-15T01:00:00-05:00", "2021-11-15T01:00:00", "2022-10-23",
        "2023-02-28T23:59:59.9999999", "2024-02-29T00:00:00.0000001+13:00", "1899-12-30T00:00:00",
    ]  # fmt: skip
    pairs = [(amount, dates[place % len(dates)]) for place, amount in enumerate(amounts)]
    return {f"p{place}": pair for place, pair in enumerate(pairs)}


async def test_the_corpus_is_exact_in_raw_files_parquet_and_duckdb(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """What no column can hold is null there, and whole in ``raw_json`` and the raw files."""
    texts = corpus()
    server.put("payments", [payment(name, amount, date=date) for name, (amount, date) in texts.items()])
    await bulk.pull(caller, tmp_path / "pull", options=options("payments"))
    books = tmp_path / "books.duckdb"
    (done,) = bulk.convert(tmp_path / "pull", duckdb=books, types=["payments"])
    too_long = {name for name, (amount, _) in texts.items() if len(amount.lstrip("-").split(".")[0]) > 28}
    assert (done.records, done.slow, done.inexact) == (len(texts), len(too_long), len(too_long))
    raw = {json.loads(line)["id"]: line.decode() for line in written_lines(tmp_path / "pull", "payments")}
    query = "select id, total_amount, date, raw_json from current_payments"
    in_duckdb = {name: rest for name, *rest in rows(books, query)}
    in_parquet = {
        row["id"]: [row["total_amount"], row["date"], row["raw_json"]]
        for row in parquet_rows(tmp_path / "pull", "payments")
    }
    assert in_duckdb == in_parquet
    assert raw.keys() == in_duckdb.keys() == texts.keys()
    for name, (amount, date) in texts.items():
        held, moment, kept = in_duckdb[name]
        assert f'"totalAmount":{amount}}}' in raw[name]
        assert (held, kept) == ((None, raw[name]) if name in too_long else (Decimal(amount), None))
        written = f"{date}T00:00:00" if len(date) == 10 else date
        assert moment.isoformat().ljust(26, "0")[:19] == written[:19]
        assert moment.microsecond == int(f"{written[20:26]:0<6}" if written[19:20] == "." else "0")


async def test_instants_have_a_zone_in_duckdb(server: Server, caller: Codat, tmp_path: Path) -> None:
    """And are the same moment whatever the zone of the session; local times have none."""
    server.put("payments", [payment("p", "1", modifiedDate="2024-06-01T01:00:00+02:00")])
    await bulk.pull(caller, tmp_path / "pull", options=options("payments"))
    bulk.convert(tmp_path / "pull", duckdb=tmp_path / "books.duckdb")
    query = "select typeof(modified_date), epoch_us(modified_date), typeof(date), date::varchar from payments"
    expected = ("TIMESTAMP WITH TIME ZONE", 1717196400000000, "TIMESTAMP", "2024-01-01 00:00:00")
    assert rows(tmp_path / "books.duckdb", query) == [expected]


async def test_current_after_increments_equals_a_full_pull(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """The view is the same after a change, a deletion and an addition as after a full pull."""

    def day(number: int) -> str:
        return f"2024-01-{number:02d}T00:00:00Z"

    records = {number: customer(number, modified=day(number)) for number in range(1, 21)}
    server.put("customers", list(records.values()))
    chosen = options("customers", page_size=6)
    database = tmp_path / "a.duckdb"
    await bulk.pull(caller, tmp_path / "a", options=chosen)
    bulk.convert(tmp_path / "a", parquet=False, duckdb=database)
    assert not (tmp_path / "a" / "parquet").exists()
    records[5] = customer(5, modified=day(25), customerName="New name")
    records[6] = customer(6, modified=day(26), metadata={"isDeleted": True})
    records[21] = customer(21, modified=day(27))
    in_order = sorted(records.values(), key=lambda each: each["modifiedDate"])
    server.put("customers", in_order)
    await bulk.pull(caller, tmp_path / "a", options=chosen)
    (done,) = bulk.convert(tmp_path / "a", duckdb=database, types=["customers"])
    assert done.merged == 3
    await bulk.pull(caller, tmp_path / "b", options=chosen)
    bulk.convert(tmp_path / "b", parquet=False, duckdb=tmp_path / "b.duckdb")
    assert current(database) == current(tmp_path / "b.duckdb")
    assert len(current(database)) == 20
    server.put("customers", in_order[:3])
    await bulk.pull(caller, tmp_path / "a", options=options("customers", full=True))
    bulk.convert(tmp_path / "a", duckdb=database)
    assert len(current(database)) == 3
    assert len(parquet_rows(tmp_path / "a", "customers")) == 20 + 3 + 3


def current(database: Path) -> list[Any]:
    """The rows of the view, without the number of the reading."""
    return rows(database, "select * exclude (n, whole) from current_customers order by id")


async def test_a_list_that_became_empty_is_empty_when_converted(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """The whole reading has no records, and says so."""
    root, books = tmp_path / "pull", tmp_path / "books.duckdb"
    server.put("customers", [customer(1)])
    await bulk.pull(caller, root, options=options("customers"))
    bulk.convert(root, duckdb=books)
    assert len(current(books)) == 1
    server.put("customers", [])
    await bulk.pull(caller, root, options=options("customers", full=True))
    bulk.convert(root, duckdb=books)
    assert current(books) == []
    assert list(bulk.current(root, "customers")) == []


async def test_records_have_the_ids_of_their_list(server: Server, caller: Codat, tmp_path: Path) -> None:
    """The company's, and the connection's if the type has one."""
    server.put("transfers", [{"id": "t", "modifiedDate": "2024-01-01T00:00:00Z"}])
    await bulk.pull(caller, tmp_path, options=options("transfers"))
    bulk.convert(tmp_path)
    (row,) = parquet_rows(tmp_path, "transfers")
    assert (row["id"], row["company_id"], row["connection_id"]) == ("t", COMPANY, CONNECTION)
