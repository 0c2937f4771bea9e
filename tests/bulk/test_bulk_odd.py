"""Lists that change while they are read, dates at the edge of time, and runs broken off where it hurts."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from bulk_server import Answer, Hook, Server, customer, files, landed, parts, refusal

from codat_async import Codat, bulk
from codat_async.bulk import Outcome, PullOptions, UnknownDataType
from codat_async.bulk.store.writer import WriteBatch


def options(*types: str, **more: object) -> PullOptions:
    return PullOptions(types=types or ("customers",), source="test", **more)  # type: ignore[arg-type]


def day(number: int) -> str:
    return f"2024-01-{number:02d}T00:00:00Z"


def ids(root: Path, kind: str = "customers") -> list[str]:
    return [json.loads(line)["id"] for line in landed(root, kind)]


def units(root: Path) -> dict[str, Any]:
    return {each["type"]: each for each in json.loads((root / "report.json").read_bytes())["units"]}


def at(page: int, do: Callable[[], Answer | None], kind: str = "customers", time: int = 1) -> Hook:
    """A hook that does something when a page of a list is asked for that many times."""
    asked = 0

    def hook(path: str, query: dict[str, str]) -> Answer | None:
        nonlocal asked
        if path.endswith(f"/{kind}") and query["page"] == str(page):
            asked += 1
            if asked == time:
                return do()
        return None

    return hook


# --- lists that change while they are read ------------------------------------------------


async def test_a_row_that_goes_does_not_take_another_with_it(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Of a deleted row those behind it move up, one past the reader, and the total is right all the same."""
    records = [customer(number, modified=day(number + 1)) for number in range(10)]
    server.put("customers", records)

    def delete_first() -> Answer | None:
        answer = server._answer("/companies/x/data/customers", {"page": "1", "pageSize": "3"})
        server.put("customers", records[1:])
        return answer

    server.hook = at(1, delete_first)
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3))
    assert sorted(ids(tmp_path)) == [f"c{number}" for number in range(10)]
    assert report.total.missing == 0
    assert units(tmp_path)["customers"]["drift"]["passes"] == 2


async def test_rows_that_go_in_both_readings_are_told(server: Server, caller: Codat, tmp_path: Path) -> None:
    """What may be missing is counted, and the next run reads the list whole."""
    records = [customer(number, modified=day(number + 1)) for number in range(10)]
    lists = [records, records[1:], [customer(100, modified=day(1)), *records[1:]], records[1:]]
    changes = iter([("1", 0), ("2", 1), ("1", 2), ("2", 3)])
    page, which = next(changes)

    def hook(path: str, query: dict[str, str]) -> Answer | None:
        nonlocal page, which
        if path.endswith("/customers") and query["page"] == page:
            server.put("customers", lists[which])
            page, which = next(changes, ("", 0))
        return None

    server.hook = hook
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3, units_at_once=1))
    assert report.total.missing == 1
    server.requests.clear()
    await bulk.pull(caller, tmp_path, options=options(page_size=3))
    assert all("query" not in query for _, query in server.requests)


async def test_rows_that_shift_by_many_pages_do_not_land_twice(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """They are beyond what is remembered of pages, and the list is read anew."""
    records = [customer(number, modified=day(5)) for number in range(60)]
    server.put("customers", records)

    def insert() -> None:
        server.put("customers", [customer(1000 + each, modified=day(1)) for each in range(30)] + records)

    server.hook = at(9, insert)
    report = await bulk.pull(caller, tmp_path, options=options(page_size=5, units_at_once=1))
    assert len(ids(tmp_path)) == len(set(ids(tmp_path))) == 90
    assert report.total.missing == 0


async def test_pages_read_in_vain_do_not_hold_memory(
    server: Server, caller: Codat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that ends before the pages that were read ahead goes on to its second reading."""
    records = [customer(number, notes="x" * 2000) for number in range(200)]
    server.put("customers", records)
    moved = [*records[1:15], customer(0, modified=day(2), notes="x" * 2000)]
    server.hook = at(2, lambda: server.put("customers", moved))
    again = asyncio.Event()
    plain, firsts = server._handle, 0

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal firsts
        if request.path.endswith("/customers"):
            firsts += request.query["page"] == "1"
            if firsts == 2:
                again.set()
            if int(request.query["page"]) > 2:
                await again.wait()
        return await plain(request)

    monkeypatch.setattr(server._runner.server, "request_handler", handle)
    async with asyncio.timeout(20):
        report = await bulk.pull(caller, tmp_path, options=options(page_size=10, memory=100_000))
    assert report.outcome == Outcome.DONE
    assert {f"c{number}" for number in range(15)} <= set(ids(tmp_path))


async def test_a_list_that_vanishes_is_not_called_unsupported(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A page of it came: 404 is then no word about what the platform has."""
    server.put("customers", [customer(number) for number in range(10)])
    server.hook = lambda path, query: (
        refusal(404) if path.endswith("/customers") and query["page"] == "2" else None
    )
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3, units_at_once=1))
    assert (report.outcome, report.total.failed, report.total.skipped) == (Outcome.PARTIAL, 1, 0)
    server.hook = None
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3))
    assert report.outcome == Outcome.DONE
    assert len(ids(tmp_path)) == 10
    assert parts(tmp_path) == []


# --- odd records --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.9999999-01:00"]
)
async def test_dates_at_the_edge_of_time(server: Server, caller: Codat, tmp_path: Path, moment: str) -> None:
    """None of them stops the pull, nor the next."""
    server.put("customers", [customer(1, modified=moment)])
    server.put("suppliers", [{**customer(1, modified="2024-01-01T00:00:00"), "supplierName": "S"}])
    for _ in range(2):
        report = await bulk.pull(caller, tmp_path, options=options("customers", "suppliers"))
        assert report.outcome == Outcome.DONE
    server.put("suppliers", [customer(1, modified=moment), customer(2, modified="2024-01-01T00:00:00")])
    report = await bulk.pull(caller, tmp_path, options=options("suppliers", full=True))
    assert report.outcome == Outcome.DONE


async def test_a_date_in_the_future_hides_nothing(server: Server, caller: Codat, tmp_path: Path) -> None:
    """The next run asks from the beginning of this one at the latest."""
    server.put("customers", [customer(1), customer(2, modified="2099-12-31T00:00:00Z")])
    first = await bulk.pull(caller, tmp_path, options=options())
    server.requests.clear()
    await bulk.pull(caller, tmp_path, options=options())
    (query,) = [query for path, query in server.requests if path.endswith("/customers")]
    assert query["query"] < f"modifiedDate>={first.began}"


async def test_half_a_character_spoils_nothing(server: Server, caller: Codat, tmp_path: Path) -> None:
    """A text that was cut within a surrogate pair lands as it came, with its key, and is no fault."""
    cut = msgspec.json.encode(customer(2, notes="cut X")).replace(b"X", rb"\ud83d")
    server.put("customers", [customer(1), cut, customer(3)])
    body = server._answer("/companies/x/data/customers", {}).body
    assert isinstance(body, bytes)
    lines = web.Response(body=body.replace(b'},{"id"', b'},\n{"id"'), content_type="application/json")
    for into, hook in ((tmp_path / "plain", None), (tmp_path / "lines", at(1, lambda: lines))):
        server.hook = hook
        report = await bulk.pull(caller, into, options=options())
        assert (report.outcome, report.total.rows, report.total.invalid) == (Outcome.DONE, 3, 0)
        assert landed(into, "customers")[1] == cut
    report = await bulk.pull(caller, tmp_path / "plain", options=options())
    assert (report.mode, report.total.rows, report.total.overlap) == ("incremental", 0, 3)


async def test_records_without_an_id_are_read_whole_each_time(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """In the overlap of an increment they would land again and again."""
    nameless = customer(1)
    del nameless["id"]
    server.put("customers", [nameless, customer(2)])
    await bulk.pull(caller, tmp_path, options=options())
    report = await bulk.pull(caller, tmp_path, options=options())
    assert report.mode == "full"
    assert report.total.rows == 2


async def test_a_bank_account_without_an_id_has_no_transactions(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Its list would be that of the accounts, for ever."""

    def hook(path: str, query: dict[str, str]) -> Answer | None:
        return server._page(path, [b'{"id":""}'], query) if path.endswith("/bankAccounts") else None

    server.hook = hook
    async with asyncio.timeout(20):
        report = await bulk.pull(caller, tmp_path, options=options("bank_account_transactions"))
        assert [each async for each in bulk.records(caller, types=["bank_account_transactions"])] == []
    assert (report.outcome, report.total.units) == (Outcome.DONE, 1)


async def test_lists_found_on_the_way_are_counted(server: Server, caller: Codat, tmp_path: Path) -> None:
    """No more of them are done than there are."""
    transactions = [b'{"id":"t","modifiedDate":"2024-01-01T00:00:00Z"}']

    def hook(path: str, query: dict[str, str]) -> Answer | None:
        if path.endswith("/bankAccounts"):
            return server._page(path, [b'{"id":"a"}', b'{"id":"b"}'], query)
        return server._page(path, transactions, query) if path.endswith("ransactions") else None

    server.hook = hook
    job = bulk.Pull(caller, tmp_path, options("bank_account_transactions"))
    await job.run()
    total = job.monitor.total
    assert (total.units, total.done) == (3, 3)


# --- taken up again -----------------------------------------------------------------------


async def test_a_second_attempt_at_an_increment_sees_no_drift(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """What the first attempt dropped of the overlap does not count twice."""
    records = [customer(number, modified=day(10)) for number in range(6)]
    server.put("customers", records)
    await bulk.pull(caller, tmp_path, options=options(page_size=4))
    server.put("customers", records + [customer(number, modified=day(11)) for number in range(10, 16)])
    server.hook = at(3, lambda: refusal(409))
    report = await bulk.pull(caller, tmp_path, options=options(page_size=4, units_at_once=1))
    assert (report.outcome, report.total.rows, report.total.overlap) == (Outcome.DONE, 6, 6)
    assert units(tmp_path)["customers"]["drift"] == {"repeats": 0, "missing": 0, "passes": 1}


async def test_a_second_reading_that_is_broken_off(server: Server, caller: Codat, tmp_path: Path) -> None:
    """Is done once more when the run is taken up, and nothing lands twice or counts as missing."""
    records = [customer(number, modified=day(10)) for number in range(6)]
    server.put("customers", records)
    await bulk.pull(caller, tmp_path, options=options(page_size=4))
    records += [customer(number, modified=day(11)) for number in range(10, 20)]
    server.put("customers", records)
    asked: dict[str, int] = {}

    def hook(path: str, query: dict[str, str]) -> Answer | None:
        if path.endswith("/customers"):
            page = query["page"]
            asked[page] = asked.get(page, 0) + 1
            if (page, asked[page]) == ("3", 1):
                held = msgspec.json.decode(server._answer(path, query).body)  # type: ignore[arg-type]
                return web.json_response({**held, "results": held["results"][1:]})
            if (page, asked[page]) == ("4", 2):
                task.cancel()
        return None

    server.hook = hook
    task = asyncio.create_task(bulk.pull(caller, tmp_path, options=options(page_size=4)))
    with pytest.raises(asyncio.CancelledError):
        await task
    server.hook = None
    report = await bulk.pull(caller, tmp_path, options=options(page_size=4))
    assert (report.outcome, report.total.missing) == (Outcome.DONE, 0)
    assert sorted(ids(tmp_path)) == sorted(each["id"] for each in records)


async def test_full_does_not_go_on_for_a_list_that_failed(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Who asks for everything anew gets it, though the last full run left a list over."""
    server.put("customers", [customer(1)])
    server.hook = lambda path, _: web.Response(status=403) if path.endswith("/suppliers") else None
    both = ("customers", "suppliers")
    await bulk.pull(caller, tmp_path, options=options(*both))
    server.put("customers", [customer(1), customer(2)])
    report = await bulk.pull(caller, tmp_path, options=options(*both, full=True))
    assert (report.mode, report.total.rows) == ("full", 2)


async def test_a_narrower_command_leaves_the_rest_of_a_run_alone(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """What it does not ask for is gone on with by the command that does."""
    server.put("customers", [customer(number) for number in range(50)])
    server.put("suppliers", [customer(1)])
    both = ("suppliers", "customers")
    server.hook = lambda path, query: (
        refusal(409) if path.endswith("/customers") and query["page"] == "4" else None
    )
    broken = await bulk.pull(caller, tmp_path, options=options(*both, page_size=10, units_at_once=1))
    assert broken.outcome == Outcome.PARTIAL
    report = await bulk.pull(caller, tmp_path, options=options("suppliers", page_size=10))
    assert (report.outcome, report.total.units, report.elsewhere) == (Outcome.DONE, 1, 1)
    assert bulk.status(tmp_path).elsewhere == 1
    server.hook = None
    server.requests.clear()
    report = await bulk.pull(caller, tmp_path, options=options(*both, page_size=10))
    assert report.run == broken.run
    assert [query["page"] for path, query in server.requests if path.endswith("/customers")] == ["4", "5"]
    assert len(ids(tmp_path)) == len(set(ids(tmp_path))) == 50
    assert (await bulk.pull(caller, tmp_path, options=options(*both))).mode == "incremental"


async def test_a_narrower_command_ends_with_what_it_asked_for(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """It takes its own part of a run up, and is done when that is, whatever else the run has open."""
    for kind in ("customers", "suppliers"):
        server.put(kind, [customer(number) for number in range(10)])
    server.hook = lambda path, query: refusal(409) if "/data/" in path else None
    await bulk.pull(caller, tmp_path, options=options("customers", "suppliers"))
    server.hook = None
    report = await bulk.pull(caller, tmp_path, options=options("suppliers"))
    assert (report.outcome, report.total.rows, report.elsewhere) == (Outcome.DONE, 10, 1)
    assert list(report.types) == ["suppliers"]
    report = await bulk.pull(caller, tmp_path, options=options("customers"))
    assert (report.outcome, report.mode, report.total.rows, report.elsewhere) == (Outcome.DONE, "full", 10, 0)


async def test_a_damaged_file_in_the_overlap_is_no_hindrance(
    server: Server, caller: Codat, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What landed cannot be compared with it, so the list is read whole; the log names the file."""
    server.put("customers", [customer(number) for number in range(10)])
    for compression in ("gzip", "zstd"):
        into = tmp_path / compression
        await bulk.pull(caller, into, options=options(compression=compression))
        (file,) = files(into)
        file.write_bytes(file.read_bytes()[:-20])
        report = await bulk.pull(caller, into, options=options())
        assert (report.outcome, report.total.rows) == (Outcome.DONE, 10)
        assert str(file) in caplog.text
        assert (await bulk.pull(caller, into, options=options())).total.overlap == 10


async def test_a_full_disk_is_noticed_while_all_wait(
    server: Server, caller: Codat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those at work may wait for the quota until tomorrow."""
    server.put("customers", [customer(number) for number in range(20)])
    hanging = asyncio.Event()

    async def hang(_: web.BaseRequest) -> web.Response:
        hanging.set()
        await asyncio.Event().wait()
        raise AssertionError

    plain = server._handle

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        wanted = request.path.endswith("/customers") and request.query["page"] == "2"
        return await (hang(request) if wanted else plain(request))

    monkeypatch.setattr(server._runner.server, "request_handler", handle)

    def full(batch: WriteBatch, *_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WriteBatch, "write", full)
    async with asyncio.timeout(20):
        report = await bulk.pull(caller, tmp_path, options=options(page_size=10, units_at_once=1))
    assert report.stopped is not None
    assert "full" in report.stopped


async def test_typed_batches_begin_anew_after_a_reading_with_a_failure(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """One list that is always refused does not keep what is new of the others away."""
    server.hook = lambda path, _: web.Response(status=403) if path.endswith("/suppliers") else None
    failures: list[str] = []
    for count in (1, 2):
        server.put("customers", [customer(number) for number in range(count)])
        batches = bulk.records(
            caller,
            types=["customers", "suppliers"],
            checkpoint=tmp_path / "read.sqlite",
            on_failure=lambda _, why: failures.append(why.kind),
        )
        assert sum([len(batch.records) async for batch in batches]) == count
    assert failures == ["forbidden"] * 2


async def test_a_list_that_vanishes_from_typed_batches_is_a_failure(server: Server, caller: Codat) -> None:
    """As in a pull."""
    server.put("customers", [customer(number) for number in range(10)])
    server.hook = lambda path, query: (
        refusal(404) if path.endswith("/customers") and query["page"] == "2" else None
    )
    failures: list[str] = []
    batches = bulk.records(
        caller, types=["customers"], page_size=3, on_failure=lambda _, why: failures.append(why.kind)
    )
    assert sum([len(batch.records) async for batch in batches]) == 3
    assert failures == ["unsupported"]


# --- asked for wrongly --------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"page_size": 0},
        {"page_size": 5001},
        {"overlap": 600},
        {"units_at_once": 0},
        {"memory": 0},
    ],
)
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    """Are refused where they are written."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PullOptions(**wrong)


async def test_texts_and_nothing_in_the_place_of_names(caller: Codat, tmp_path: Path) -> None:
    """A text is not taken letter by letter."""
    with pytest.raises(TypeError, match=r"\['customers'\]"):
        await bulk.pull(caller, tmp_path, options=PullOptions(types="customers"))
    with pytest.raises(TypeError, match="not a str"):
        await bulk.pull(caller, tmp_path, options=PullOptions(companies="11111111"))
    with pytest.raises(UnknownDataType, match="no data type"):
        await bulk.pull(caller, tmp_path, options=PullOptions(types=[]))
    with pytest.raises(bulk.NothingToPull, match="no company is named"):
        await bulk.pull(caller, tmp_path, options=PullOptions(companies=[]))


async def test_typed_batches_refuse_a_checkpoint_that_is_none(caller: Codat, tmp_path: Path) -> None:
    """A directory, or a file of something else."""
    other = tmp_path / "other"
    other.write_text("something else" * 100)
    for path in (tmp_path, other):
        with pytest.raises(bulk.DirectoryError, match=str(path)):
            await anext(bulk.records(caller, types=["customers"], checkpoint=path))
