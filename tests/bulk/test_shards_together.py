"""Status, conversion, forgetting and the report work over all shards as over one pull."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bulk_server import Server, client, customer, error_response
from sinks_tools import rows

from codat_async import Codat, bulk
from codat_async.bulk import PullOptions, Shard
from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks import convert as convert_module
from codat_async.bulk.sinks import duckdb as duckdb_module
from codat_async.bulk.sinks.duckdb import Database, Merge
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.events import EventStore, SyncTrouble
from codat_async.bulk.store.sealed import sealed_files
from codat_async.bulk.store.shards import pull_directories, shard_of

COMPANIES = [f"{number:08x}-1111-4111-8111-111111111111" for number in range(12)]
TYPES = ["customers", "suppliers"]
SHARDS = 4
FAILING = COMPANIES[5]


def fill(server: Server) -> None:
    """Twelve companies, of which the lists of one fail."""
    server.companies = list(COMPANIES)
    server.put("customers", [customer(1), customer(2)])
    server.put("suppliers", [{"id": "s1", "supplierName": "S", "modifiedDate": "2024-01-01T00:00:00Z"}])
    server.hook = lambda path, query: error_response(403) if f"{FAILING}/data/" in path else None


@pytest.fixture(scope="module")
def pulled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pulled as one, and in shards."""
    root = tmp_path_factory.mktemp("pulled")

    async def pull() -> None:
        async with Server() as server, client(server.base_url) as codat:
            fill(server)
            for name, shards in (("one", [None]), ("four", [f"{index}/{SHARDS}" for index in range(SHARDS)])):
                for shard in shards:
                    options = PullOptions(types=TYPES, source="test", shard=shard)
                    await bulk.pull(codat, root / name, options=options)

    asyncio.run(pull())
    return root


@pytest.fixture
def pulled(pulled_once: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(pulled_once, tmp_path / "copy")


def figures(found: bulk.Inventory) -> object:
    """What must be equal, without times."""
    types = {
        name: (each.companies, each.lists, each.records, each.open, each.failed)
        for name, each in [*found.types.items(), ("total", found.total)]
    }
    groups = [(group.kind, group.count, group.types) for group in found.failures]
    return found.outcome, types, groups, found.forgotten, len(found.absent)


def test_events_of_all_shards_are_in_the_status(pulled: Path) -> None:
    """Those that wait, and the troubles that others named."""
    for number, path in enumerate(pull_directories(pulled / "four")):
        store = EventStore(path)
        store.put(f"m{number}", b"{}")
        store.note([SyncTrouble(COMPANIES[number], "bills", "MapError", "", "2026-01-01T00:00:00+00:00")])
        store.close()
    found = bulk.status(pulled / "four")
    assert (found.events, [each.company for each in found.troubles]) == (SHARDS, COMPANIES[:SHARDS])


def test_status_is_that_of_one_pull(pulled: Path) -> None:
    """The sums, the failures and the lists."""
    one, four = bulk.status(pulled / "one"), bulk.status(pulled / "four", verify=True)
    assert figures(four) == figures(one)
    assert (one.shards, four.shards, four.missing_shards) == (None, 4, [])
    assert four.total.newest is not None

    def listed(name: str) -> list[tuple[str, str, str, int]]:
        found = bulk.unit_statuses(pulled / name)
        return sorted((each.company, each.type, each.state, each.records) for each in found)

    assert listed("four") == listed("one")


def test_report_is_that_of_one_pull(pulled: Path) -> None:
    """All sums, and the failures by kind."""
    one, four = bulk.merged_report(pulled / "one"), bulk.merged_report(pulled / "four")
    assert one is not None
    assert four is not None
    one.total.waited = four.total.waited = 0.0
    assert (four.total, four.outcome, four.companies) == (one.total, one.outcome, one.companies)
    assert {name: each.rows for name, each in four.types.items() if each.rows} == {
        "customers": 22,
        "suppliers": 11,
    }
    assert [(group.kind, group.count) for group in four.failures] == [("forbidden", 2)]
    (pull_directories(pulled / "four")[0] / "report.json").unlink()
    assert bulk.merged_report(pulled / "four") is None


@pytest.mark.parametrize("made", [False, True])
def test_shards_that_have_not_begun_are_named(pulled: Path, made: bool) -> None:
    """What is there is shown, and the outcome is not done."""
    for path in pull_directories(pulled / "four"):
        if path.name != f"shard-{shard_of(FAILING, 4):03}-of-004":
            others = path
    others.rename(pulled / "elsewhere")
    if made:
        # Its first pull is looking for companies.
        others.mkdir()
    found = bulk.status(pulled / "four")
    index = int(others.name.split("-")[1])
    assert (found.outcome, found.shards, found.missing_shards, found.ended) == ("partial", 4, [index], None)
    with Directory(others):
        assert bulk.status(pulled / "four").missing_shards == [index]
    bulk.convert(pulled / "four", types=TYPES)


def test_shards_of_two_numbers_are_refused(pulled: Path) -> None:
    """They would have companies twice."""
    Shard(0, 8).directory(pulled / "four").joinpath("raw").mkdir(parents=True)
    calls: list[Callable[[Path], object]] = [bulk.status, bulk.convert, lambda root: bulk.forget(root, ["x"])]
    for call in calls:
        with pytest.raises(bulk.DirectoryError, match="has shards of 4 and 8: move those of one number"):
            call(pulled / "four")


def test_conversion_is_that_of_one_pull(pulled: Path) -> None:
    """One DuckDB file has all; a second conversion has nothing to do."""
    progress: list[bulk.ConversionProgress] = []
    for name in ("one", "four"):
        done = bulk.convert(
            pulled / name, duckdb=pulled / f"{name}.duckdb", types=TYPES, on_progress=progress.append
        )
        assert {each.type: each.merged for each in done} == {"customers": 22, "suppliers": 11}
    last = progress[-1]
    assert (last.files, last.bytes, last.records) == (last.of_files, last.of_bytes, 33)
    assert len({each.of_files for each in progress[-20:]}) == 1
    for kind in TYPES:
        query = f"select company_id, id from {kind} order by all"
        assert rows(pulled / "four.duckdb", query) == rows(pulled / "one.duckdb", query)
        tables = list(bulk.current(pulled / "four", kind))
        ids = sorted((row["company_id"], row["id"]) for table in tables for row in table.to_pylist())
        assert ids == [tuple(row) for row in rows(pulled / "one.duckdb", query)]
    again = bulk.convert(pulled / "four", duckdb=pulled / "four.duckdb", types=TYPES)
    assert sum(each.files for each in again) == 0
    with pytest.raises(bulk.SinkError, match="four has no Parquet files of invoices"):
        list(bulk.current(pulled / "four", "invoices"))


def test_damage_in_one_shard_does_not_keep_others_from_being_converted(pulled: Path) -> None:
    """It is named at the end."""
    damaged = next(file for path in pull_directories(pulled / "four") for file in sealed_files(path))
    damaged.path.write_bytes(b"")
    with pytest.raises(bulk.DirectoryError, match=rf"{damaged.path.name} is damaged"):
        bulk.convert(pulled / "four", duckdb=pulled / "four.duckdb", types=TYPES)
    query = "select (select count(*) from customers) + (select count(*) from suppliers)"
    assert rows(pulled / "four.duckdb", query) == [(33 - damaged.rows,)]


@pytest.mark.parametrize("at_once", [64, 3])
def test_shards_are_merged_into_duckdb_in_one_transaction_a_type(
    pulled: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Of as many shards as are locked at once; what is merged is not merged again."""
    begun: list[str] = []

    class Counted(Database):
        def merge(self, kind: PullType) -> Merge:
            begun.append(kind.name)
            return super().merge(kind)

    monkeypatch.setattr(duckdb_module, "Database", Counted)
    monkeypatch.setattr(convert_module, "_AT_ONCE", at_once)
    seen: list[bulk.ConversionProgress] = []
    four, books = pulled / "four", pulled / "four.duckdb"
    bulk.convert(four, parquet=False, types=TYPES, duckdb=books, on_progress=seen.append)
    assert sorted(begun) == sorted(TYPES * -(-SHARDS // at_once))
    assert len(rows(books, "from customers")) == 2 * (len(COMPANIES) - 1)
    assert (seen[-1].files, seen[-1].bytes) == (seen[-1].of_files, seen[-1].of_bytes)
    assert {each.of_files for each in seen} == {SHARDS * len(TYPES)}
    bulk.convert(four, parquet=False, types=TYPES, duckdb=books)
    assert len(begun) == len(TYPES) * -(-SHARDS // at_once)


def test_a_shard_that_cannot_be_written_does_not_keep_others_from_being_merged(pulled: Path) -> None:
    """Its Parquet files are written on the way, and a failure undoes the transaction of all."""
    four, books = pulled / "four", pulled / "four.duckdb"
    part = pull_directories(four)[1]
    (part / "parquet").mkdir()
    (part / "parquet" / "customers").write_text("not a folder")
    with pytest.raises(bulk.SinkError, match=part.name):
        bulk.convert(four, types=TYPES, duckdb=books)
    others = {each for each in COMPANIES if each != FAILING and shard_of(each, SHARDS) != 1}
    assert {company for (company,) in rows(books, "select company_id from customers")} == others
    suppliers = rows(books, "select distinct company_id from suppliers")
    assert len(suppliers) == len(COMPANIES) - 1


def test_the_state_of_a_moment_is_that_of_all_shards(pulled: Path) -> None:
    """They ended at different times, and are in one DuckDB file all the same."""
    four, books = pulled / "four", pulled / "then.duckdb"
    for _ in range(2):
        bulk.convert(four, parquet=False, duckdb=books, as_of="2999-01-01")
    assert len(rows(books, "from customers")) == 2 * (len(COMPANIES) - 1)
    with pytest.raises(bulk.SinkError, match="name another DuckDB file"):
        bulk.convert(four, parquet=False, duckdb=books)


def test_companies_are_forgotten_in_their_shards(pulled: Path) -> None:
    """And in the DuckDB file; an unknown one is named before anything is changed."""
    gone = [company for company in COMPANIES if company != FAILING][:3]
    assert len({shard_of(company, SHARDS) for company in gone}) > 1
    root, database = pulled / "four", pulled / "four.duckdb"
    bulk.convert(root, duckdb=database, types=TYPES)
    unknown = "ffffffff-1111-4111-8111-111111111111"
    with pytest.raises(bulk.DirectoryError, match=f"has no company {unknown}; nothing was changed"):
        bulk.forget(root, [*gone, unknown], duckdb=[database])
    assert bulk.status(root).forgotten == 0
    done = bulk.forget(root, gone, duckdb=[database])
    assert (done.companies, done.duckdb) == (gone, 1)
    assert done.files >= 3
    assert bulk.status(root).forgotten == 3
    left = {each.company for each in bulk.unit_statuses(root)}
    assert left == set(COMPANIES) - set(gone)
    held = {company for (company,) in rows(database, "select distinct company_id from customers")}
    assert held == left - {FAILING}


async def test_a_forgotten_company_is_not_read_again(pulled: Path, server: Server, caller: Codat) -> None:
    """Unless a pull of its shard names it."""
    fill(server)
    gone = COMPANIES[0]
    await asyncio.to_thread(bulk.forget, pulled / "four", [gone])
    shard = Shard(shard_of(gone, SHARDS), SHARDS)
    server.requests.clear()
    await bulk.pull(caller, pulled / "four", options=PullOptions(types=TYPES, source="test", shard=shard))
    assert server.requests
    assert not [path for path, _ in server.requests if gone in path]
