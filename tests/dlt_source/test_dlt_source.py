"""The source for dlt: equal to our own tables, incremental, exact, and safe to kill."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from aiohttp import web

dlt = pytest.importorskip("dlt")

from bulk_server import COMPANY, Server, customer, error_response  # noqa: E402
from sinks_tools import payment, rows  # noqa: E402
from test_bulk_sinks import corpus  # noqa: E402

from codat_async import Codat, Limits, bulk  # noqa: E402
from codat_async.bulk.sinks.schema import shape_of  # noqa: E402
from codat_async.dlt import codat_source  # noqa: E402
from codat_async.sandbox import run_in_background  # noqa: E402

FREE = Limits(per_minute=None)
Pipelines = Callable[..., Any]


def source(server: Server, *types: str, **options: Any) -> Any:
    """The source for a server."""
    names = types or ("customers",)
    return codat_source(types=names, api_key="key", base_url=server.base_url, limits=FREE, **options)


def loaded(pipeline: Any) -> dict[str, int]:
    """How many rows of each type the last run brought."""
    counts = pipeline.last_trace.last_normalize_info.row_counts
    return {name: count for name, count in counts.items() if not name.startswith("_dlt")}


def day(number: int) -> str:
    return f"2024-01-{number:02}T00:00:00Z"


def plain(value: Any) -> Any:
    """A value as both ways have it: instants in UTC, nested values without what is missing."""
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)).isoformat()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def from_json(text: str | None) -> Any:
    # Instants within JSON are written with their zone.
    text = None if text is None else re.sub(r'("\d{4}-\d\d-\d\dT[0-9:.]+)Z"', r'\1"', text)
    return None if text is None else plain(json.loads(text, parse_float=Decimal, parse_int=Decimal))


def test_every_type_is_as_our_own_tables_have_it(pipeline: Pipelines, tmp_path: Path) -> None:
    """All columns of all records of a sandbox; what is nested is JSON in DuckDB, with the same values."""
    with run_in_background(companies=2, size=12) as address:
        keys = {"api_key": address.api_key, "base_url": address.base_url}
        made = pipeline(dlt.destinations.duckdb(str(tmp_path / "dlt.duckdb")))
        made.run(codat_source(**keys, limits=FREE))

        async def pull() -> None:
            async with Codat(**keys, limits=FREE) as codat:
                await bulk.pull(codat, tmp_path / "pull")

        asyncio.run(pull())
    bulk.convert(tmp_path / "pull", duckdb=tmp_path / "own.duckdb")
    for kind in bulk.lake_types().values():
        shape = shape_of(kind)
        names = [name for name in shape.schema.names if name not in ("n", "whole", "read_at")]
        chosen = ", ".join(f'"{name}"' for name in names)
        order = ", ".join(shape.key)
        own = rows(tmp_path / "own.duckdb", f"select {chosen} from {kind.name} order by {order}")
        theirs = rows(tmp_path / "dlt.duckdb", f"select {chosen} from codat.{kind.name} order by {order}")
        assert len(own) == len(theirs), kind.name
        nested = {name for name in names if str(shape.schema.field(name).type).startswith(("struct", "list"))}
        for mine, other in zip(own, theirs, strict=True):
            for name, left, right in zip(names, mine, other, strict=True):
                assert plain(left) == (from_json(right) if name in nested else plain(right)), (
                    kind.name,
                    name,
                )


def test_a_second_run_brings_only_the_overlap(served: Server, pipeline: Pipelines, tmp_path: Path) -> None:
    """And what has changed since, which replaces what was there; a third brings the overlap alone."""
    served.put("customers", [customer(number, modified=day(number)) for number in range(1, 21)])
    database = tmp_path / "books.duckdb"
    made = pipeline(dlt.destinations.duckdb(str(database)))
    made.run(source(served))
    assert loaded(made) == {"customers": 20}
    changed = customer(3, modified=day(25), customerName="Changed")
    kept = [customer(number, modified=day(number)) for number in range(1, 21) if number != 3]
    served.put("customers", [*kept, changed, customer(30, modified=day(26))])
    made.run(source(served))
    # The last one of the first run, and two that are new.
    assert loaded(made) == {"customers": 3}
    made.run(source(served))
    assert loaded(made) == {"customers": 1}
    found = dict(rows(database, "select id, customer_name from codat.customers"))
    assert len(found) == 21
    assert found["c3"] == "Changed"
    queries = [query.get("query") for path, query in served.requests if path.endswith("/customers")]
    assert queries == [None, "modifiedDate>=2024-01-19T23:50:00Z", "modifiedDate>=2024-01-25T23:50:00Z"]


def test_another_machine_continues_from_the_destination(
    served: Server, pipeline: Pipelines, tmp_path: Path
) -> None:
    """The state is dlt's own, so that it is restored with the dataset."""
    served.put("customers", [customer(number, modified=day(number)) for number in range(1, 11)])
    database = str(tmp_path / "books.duckdb")
    made = pipeline(dlt.destinations.duckdb(database))
    made.run(source(served))
    made.drop()
    again = pipeline(dlt.destinations.duckdb(database))
    again.run(source(served))
    assert loaded(again) == {"customers": 1}


def amounts_in(kind: str, where: str) -> dict[str, tuple[Any, Any, Any]]:
    """Amount, date and JSON of each payment, by its id."""
    query = "select id, total_amount, date, raw_json from {}"
    if kind == "postgres":
        psycopg = pytest.importorskip("psycopg2")
        with psycopg.connect(where) as connection, connection.cursor() as cursor:
            cursor.execute(query.format("codat.payments"))
            found = cursor.fetchall()
        connection.close()
    elif kind == "files":
        found = duckdb.sql(query.format(f"read_parquet('{where}/codat/payments/*.parquet')")).fetchall()
    else:
        found = rows(Path(where), query.format("codat.payments" if kind == "duckdb" else "payments"))
    return {row[0]: tuple(row[1:]) for row in found}


@pytest.mark.parametrize("kind", ["duckdb", "files", "postgres"])
def test_the_corpus_is_exact(
    served: Server, pipeline: Pipelines, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """Amounts to all digits, dates and zones as in our own Parquet and DuckDB, and nested amounts too."""
    texts = corpus()
    lines = (
        b'[{"amount":123456789012345678.0123456789,"links":[{"type":"Bill","amount":-999999999999999999}]}]'
    )
    records = [payment(name, amount, date=date) for name, (amount, date) in texts.items()]
    records.append(payment("nested", "1")[:-1] + b',"lines":' + lines + b"}")
    served.put("payments", records)
    if kind == "postgres":
        where = request.getfixturevalue("postgres")
        destination = dlt.destinations.postgres(where)
    elif kind == "files":
        where = str(tmp_path / "files")
        destination = dlt.destinations.filesystem(
            bucket_url=where, layout="{table_name}/{load_id}.{file_id}.{ext}"
        )
    else:
        where = str(tmp_path / "books.duckdb")
        destination = dlt.destinations.duckdb(where)
    made = pipeline(destination)
    made.run(source(served, "payments"), **({"loader_file_format": "parquet"} if kind == "files" else {}))

    async def pull() -> None:
        async with Codat("key", base_url=served.base_url, limits=FREE) as codat:
            await bulk.pull(codat, tmp_path / "pull", options=bulk.PullOptions(types=["payments"]))

    asyncio.run(pull())
    bulk.convert(tmp_path / "pull", duckdb=tmp_path / "own.duckdb")
    assert amounts_in(kind, where) == amounts_in("own", str(tmp_path / "own.duckdb"))
    amount, link = Decimal("123456789012345678.0123456789"), Decimal(-999999999999999999)
    if kind == "postgres":
        psycopg = pytest.importorskip("psycopg2")
        with psycopg.connect(where) as connection, connection.cursor() as cursor:
            cursor.execute(
                "select (lines->0->>'amount')::numeric, (lines->0->'links'->0->>'amount')::numeric"
                " from codat.payments where id = 'nested'"
            )
            assert cursor.fetchone() == (amount, link)
        connection.close()
    elif kind == "files":
        query = f"select lines from read_parquet('{where}/codat/payments/*.parquet') where id = 'nested'"
        (line,) = duckdb.sql(query).fetchall()[0][0]
        assert (line["amount"], line["links"][0]["amount"]) == (amount, link)
    else:
        (line,) = from_json(rows(Path(where), "select lines from codat.payments where id = 'nested'")[0][0])
        assert (line["amount"], line["links"][0]["amount"]) == (amount, link)


CHILD = """
import sys, dlt
from codat_async import Limits
from codat_async.dlt import codat_source

url, database, folder = sys.argv[1:]
where = dlt.destinations.duckdb(database)
made = dlt.pipeline("books", destination=where, dataset_name="codat", pipelines_dir=folder)
made.run(codat_source(types=["customers", "suppliers"], api_key="key", base_url=url, page_size=10,
                      limits=Limits(per_minute=None)))
print("done", flush=True)
"""


@pytest.mark.parametrize("after", [1, 4, 9])
def test_killed_in_extract_and_run_again(
    served: Server, pipeline: Pipelines, tmp_path: Path, after: int
) -> None:
    """The outcome is that of an undisturbed run, with no record twice, whatever was read before."""
    for name in ("customers", "suppliers"):
        records = [customer(number, modified=day(1 + number % 28)) for number in range(55)]
        served.put(name, sorted(records, key=lambda each: each["modifiedDate"]))
    seen = 0

    def hang(path: str, query: dict[str, str]) -> Any:
        nonlocal seen
        if "/data/" in path:
            seen += 1
            if seen > after:
                # For longer than the process lives; the server answers nobody else meanwhile.
                time.sleep(0.5)
        return None

    served.hook = hang
    database, folder = str(tmp_path / "books.duckdb"), str(tmp_path / "pipelines")
    command = [sys.executable, "-c", CHILD, served.base_url, database, folder]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while seen <= after and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.communicate()[0] == b""
    served.hook = None
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert done.stdout == "done\n", done.stderr
    expected = [(f"c{number}",) for number in range(55)]
    for name in ("customers", "suppliers"):
        query = f"select id from codat.{name} order by id[2:]::int"
        assert rows(Path(database), query) == expected


def test_a_list_that_fails_is_reported(served: Server, pipeline: Pipelines, tmp_path: Path) -> None:
    """Nothing is loaded then, unless a function takes the failures."""
    served.companies = [COMPANY, "another"]
    served.put("customers", [customer(1)])
    served.hook = lambda path, query: error_response(400) if "another/data" in path else None
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "books.duckdb")))
    with pytest.raises(Exception, match="1 lists could not be read, the first is another/customers"):
        made.run(source(served))
    failures: list[Any] = []
    made.run(source(served, on_failure=lambda unit, failure: failures.append((unit.company, failure.kind))))
    assert failures == [("another", "bad_request")]
    assert loaded(made) == {"customers": 1}


def test_what_the_platform_does_not_offer_is_left_out(
    served: Server, pipeline: Pipelines, tmp_path: Path
) -> None:
    """It is no failure."""
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "books.duckdb")))
    made.run(source(served, "customers", "companies"))
    assert loaded(made) == {"companies": 1}


def test_the_key_is_a_secret_of_dlt(
    served: Server, pipeline: Pipelines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the base URL is configuration."""
    served.put("customers", [customer(1)])
    monkeypatch.setenv("SOURCES__CODAT__API_KEY", "key")
    monkeypatch.setenv("SOURCES__CODAT__BASE_URL", served.base_url)
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "books.duckdb")))
    made.run(codat_source(types=["customers"], limits=FREE))
    assert loaded(made) == {"customers": 1}


def test_records_without_an_id_are_kept(served: Server, pipeline: Pipelines, tmp_path: Path) -> None:
    """Each under a key of its own, which stays the same."""
    nameless = [{**customer(number), "id": None} for number in (1, 2)]
    served.put("customers", nameless)
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "books.duckdb")))
    made.run(source(served))
    made.run(source(served))
    found = rows(tmp_path / "books.duckdb", "select customer_name, id[:10] from codat.customers order by all")
    assert found == [("Customer 1", "without id"), ("Customer 2", "without id")]


ODD = (
    *("not a date", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "0000-00-00T00:00:00Z"),
    *("", "2024-13-45T00:00:00Z", "10000-01-01T00:00:00Z", None, 5),
)
INVALID = (
    b'{"id":5,"modifiedDate":"2024-01-01T00:00:00Z","totalAmount":1}',
    b'{"id":null,"totalAmount":1}',
    b'{"id":null,"totalAmount":1}',
    b'{"id":"","totalAmount":2}',
    b'{"id":["a"],"totalAmount":1}',
    b'{"id":"high\\ud800",\n"totalAmount":1}',
    b'{"id":"unknown","note":"\\ud800",\r\n"totalAmount":1}',
    b'{"id":"wrong","totalAmount":"x"}',
    b"[1]",
    b"7",
)


def test_odd_and_invalid_records_are_rows(served: Server, pipeline: Pipelines, tmp_path: Path) -> None:
    """Dates that are none, records that no model accepts, equal ones without an id."""
    dated = [payment(f"d{place}", "1", date=each) for place, each in enumerate(ODD)]
    modified = [payment(f"m{place}", "1", modifiedDate=each) for place, each in enumerate(ODD)]
    records = [*dated, *modified, *INVALID]
    served.hook = lambda path, query: page_of(records, query) if path.endswith("/payments") else None
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "dlt.duckdb")))
    for _ in range(2):
        made.run(source(served, "payments", page_size=7))

    async def pull() -> None:
        async with Codat("key", base_url=served.base_url, limits=FREE) as codat:
            await bulk.pull(codat, tmp_path / "pull", options=bulk.PullOptions(types=["payments"]))

    asyncio.run(pull())
    bulk.convert(tmp_path / "pull", duckdb=tmp_path / "own.duckdb")
    columns = "total_amount, date, modified_date, raw_json"
    query = f"select if(id like 'without id %', '', coalesce(id, '')), {columns} from {{}} order by all"
    own = rows(tmp_path / "own.duckdb", query.format("payments"))
    assert rows(tmp_path / "dlt.duckdb", query.format("codat.payments")) == own
    assert len(own) == len(records)


def page_of(records: list[bytes], query: dict[str, str], *, total: int | None = None) -> web.Response:
    """A page of a list whose records need not be JSON that can be read."""
    number, size = int(query["page"]), int(query["pageSize"])
    shown = records[(number - 1) * size : number * size]
    links = b'{"next":{"href":"/x?page=%d"}}' % (number + 1) if number * size < len(records) else b"{}"
    tail = b'],"pageNumber":%d,"pageSize":%d,"totalResults":%d,"_links":%s}' % (
        number, size, len(records) if total is None else total, links,
    )  # fmt: skip
    return web.Response(body=b'{"results":[' + b",".join(shown) + tail, content_type="application/json")


def test_a_record_that_is_removed_hides_no_other(served: Server, pipeline: Pipelines, tmp_path: Path) -> None:
    """While a list is read the rows behind it move up, so that one is between two pages."""
    records = [payment(f"p{number}", "1") for number in range(10)]
    asked: list[str] = []

    def shrink(path: str, query: dict[str, str]) -> web.Response | None:
        if not path.endswith("/payments"):
            return None
        asked.append(query["page"])
        answer = page_of(records, query)
        if len(asked) == 1:
            del records[0]
        return answer

    served.hook = shrink
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "dlt.duckdb")))
    made.run(source(served, "payments", page_size=5))
    assert len(rows(tmp_path / "dlt.duckdb", "select id from codat.payments")) == 10
    assert asked == ["1", "2", "1", "2"]


def test_a_list_that_was_not_read_to_its_end_is_read_whole_again(
    served: Server, pipeline: Pipelines, tmp_path: Path
) -> None:
    """The API counts a record that it does not send: the next run does not only ask for what changed."""
    queries: list[str | None] = []

    def short(path: str, query: dict[str, str]) -> web.Response | None:
        if not path.endswith("/payments"):
            return None
        queries.append(query.get("query"))
        return page_of([payment("p1", "1")], query, total=2)

    served.hook = short
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "books.duckdb")))
    for _ in range(2):
        made.run(source(served, "payments"))
    assert queries == [None] * 6


def test_the_case_of_a_company_does_not_matter(served: Server, pipeline: Pipelines, tmp_path: Path) -> None:
    """Neither of those that are named, nor of the id that the state has."""
    served.companies = [f"abcdef{number:02}" for number in range(21)]
    served.put("customers", [customer(1)])
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "books.duckdb")))
    made.run(source(served, companies=[each.upper() for each in served.companies]))
    assert loaded(made) == {"customers": 21}
    served.companies = [each.upper() for each in served.companies]
    served.requests.clear()
    made.run(source(served))
    assert {"query" in query for _, query in served.data_requests()} == {True}


def test_companies_and_reports_that_are_unreadable_stop_nothing(
    served: Server, pipeline: Pipelines, tmp_path: Path
) -> None:
    """Each is a failure, and the others are loaded."""
    good, broken = served._company(COMPANY), b'{"id":"z",\n"name":"\\ud800"}'

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        if path == "/companies":
            return page_of([good, b'{"id":5,"name":[1]}', broken, b"7"], query)
        return web.Response(body=b"<html>") if path.endswith("balanceSheet") else None

    served.hook = hook
    failed: list[str] = []
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "books.duckdb")))
    made.run(
        source(
            served, "companies", "balance_sheet", on_failure=lambda unit, failure: failed.append(str(unit))
        )
    )
    found = rows(tmp_path / "books.duckdb", "select id from codat.companies order by id")
    assert found == [(COMPANY,), ("5",), ("z",)]
    assert [each for each in failed if each.startswith(COMPANY)] == [f"{COMPANY}/balance_sheet"]


@pytest.mark.parametrize("answered", [True, False])
def test_a_record_that_becomes_visible_late_is_read(
    served: Server, pipeline: Pipelines, tmp_path: Path, *, answered: bool
) -> None:
    """What the next sync brings may be older than the newest record, but not than the last sync."""
    entry = {"dataType": "customers", "currentStatus": "Complete", "lastSuccessfulSync": day(5)}
    status = web.json_response({"customers": {**entry, "latestSyncId": "s", "latestSuccessfulSyncId": "s"}})

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        if not path.endswith("/dataStatus"):
            return None
        return (
            web.Response(body=status.body, content_type="application/json")
            if answered
            else error_response(403)
        )

    served.hook = hook
    served.put("customers", [customer(1, modified=day(1)), customer(9, modified=day(9))])
    made = pipeline(dlt.destinations.duckdb(str(tmp_path / "books.duckdb")))
    made.run(source(served))
    served.put(
        "customers",
        [customer(1, modified=day(1)), customer(6, modified=day(6)), customer(9, modified=day(9))],
    )
    made.run(source(served))
    found = rows(tmp_path / "books.duckdb", "select id from codat.customers order by id")
    assert found == [("c1",), ("c6",), ("c9",)]
    queries = [query.get("query") for path, query in served.data_requests()]
    assert queries == [None, "modifiedDate>=2024-01-04T23:50:00Z" if answered else None]
