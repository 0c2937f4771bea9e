"""Edge cases of pulls: lists that change while they are read, unusual records, and interrupted runs."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from bulk_server import Answer, Hook, Server, customer, error_response, files, parts, written_lines

from codat_async import Codat, bulk, dedup
from codat_async.bulk import Outcome, PullOptions, UnknownDataType
from codat_async.bulk.store.writer import WriteBatch


def options(*types: str, **more: object) -> PullOptions:
    """Options that read a list whether it was synced or not: what is tested here is how."""
    given = {"types": types or ("customers",), "source": "test", "freshness": False, **more}
    return PullOptions(**given)  # type: ignore[arg-type]


def day(number: int) -> str:
    return f"2024-01-{number:02d}T00:00:00Z"


def ids(root: Path, kind: str = "customers") -> list[str]:
    return [json.loads(line)["id"] for line in written_lines(root, kind)]


def at(page: int, do: Callable[[], Answer | None], kind: str = "customers", time: int = 1) -> Hook:
    """A hook that calls ``do`` when page ``page`` of a list is requested the ``time``-th time."""
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


async def test_a_row_hidden_by_a_deletion_is_found(server: Server, caller: Codat, tmp_path: Path) -> None:
    """A deletion shifts a row to a page already read while the total agrees; a second pass finds the row."""
    records = [customer(number, modified=day(number + 1)) for number in range(10)]
    server.put("customers", records)

    def delete_first() -> Answer | None:
        answer = server._answer("/companies/x/data/customers", {"page": "1", "pageSize": "3"})
        server.put("customers", records[1:])
        return answer

    server.hook = at(1, delete_first)
    events: list[bulk.Event] = []
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3), on_event=events.append)
    assert sorted(ids(tmp_path)) == [f"c{number}" for number in range(10)]
    assert report.total.missing == 0
    assert [each.event for each in events].count("unit_reread") == 1


async def test_rows_hidden_in_both_passes_are_reported_as_missing(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """The next run reads the whole list."""
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


@pytest.mark.parametrize("window", [10, 1000])
async def test_rows_that_shift_by_many_pages_are_written_once(
    server: Server, caller: Codat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """Also if they shift by more rows than versions are kept, so that the list is started over."""
    monkeypatch.setattr(dedup, "_EXACT", window)
    monkeypatch.setattr(dedup, "_KEPT", window // 2)
    records = [customer(number, modified=day(5)) for number in range(60)]
    server.put("customers", records)

    def insert() -> None:
        server.put("customers", [customer(1000 + each, modified=day(1)) for each in range(30)] + records)

    server.hook = at(9, insert)
    report = await bulk.pull(caller, tmp_path, options=options(page_size=5, units_at_once=1))
    assert len(ids(tmp_path)) == len(set(ids(tmp_path))) == 90
    assert report.total.missing == 0


async def test_unused_pages_release_their_memory(
    server: Server, caller: Codat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that ends before the pages requested ahead continues with its second pass."""
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


async def test_a_404_after_the_first_page_is_a_failure(server: Server, caller: Codat, tmp_path: Path) -> None:
    """Since a page was read, the list is not reported as unsupported."""
    server.put("customers", [customer(number) for number in range(10)])
    server.hook = lambda path, query: (
        error_response(404) if path.endswith("/customers") and query["page"] == "2" else None
    )
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3, units_at_once=1))
    assert (report.outcome, report.total.failed, report.total.skipped) == (Outcome.FAILED, 1, 0)
    server.hook = None
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3))
    assert report.outcome == Outcome.DONE
    assert len(ids(tmp_path)) == 10
    assert parts(tmp_path) == []


# --- unusual records ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.9999999-01:00"]
)
async def test_dates_at_the_limits_of_datetime(
    server: Server, caller: Codat, tmp_path: Path, moment: str
) -> None:
    """They fail neither this pull nor the next."""
    server.put("customers", [customer(1, modified=moment)])
    server.put("suppliers", [{**customer(1, modified="2024-01-01T00:00:00"), "supplierName": "S"}])
    for _ in range(2):
        report = await bulk.pull(caller, tmp_path, options=options("customers", "suppliers"))
        assert report.outcome == Outcome.DONE
    server.put("suppliers", [customer(1, modified=moment), customer(2, modified="2024-01-01T00:00:00")])
    report = await bulk.pull(caller, tmp_path, options=options("suppliers", full=True))
    assert report.outcome == Outcome.DONE


async def test_a_date_in_the_future_does_not_hide_later_changes(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """The next run reads from the start of this one at the latest."""
    server.put("customers", [customer(1), customer(2, modified="2099-12-31T00:00:00Z")])
    first = await bulk.pull(caller, tmp_path, options=options())
    server.requests.clear()
    await bulk.pull(caller, tmp_path, options=options())
    (query,) = [query for path, query in server.requests if path.endswith("/customers")]
    assert query["query"] < f"modifiedDate>={first.began}"


async def test_a_lone_surrogate_is_accepted(server: Server, caller: Codat, tmp_path: Path) -> None:
    """The record is written as received, its id and date are read, and it is not invalid."""
    cut = msgspec.json.encode(customer(2, notes="cut X")).replace(b"X", rb"\ud83d")
    server.put("customers", [customer(1), cut, customer(3)])
    body = server._answer("/companies/x/data/customers", {}).body
    assert isinstance(body, bytes)
    lines = web.Response(body=body.replace(b'},{"id"', b'},\n{"id"'), content_type="application/json")
    for into, hook in ((tmp_path / "plain", None), (tmp_path / "lines", at(1, lambda: lines))):
        server.hook = hook
        report = await bulk.pull(caller, into, options=options())
        assert (report.outcome, report.total.rows, report.total.invalid) == (Outcome.DONE, 3, 0)
        assert written_lines(into, "customers")[1] == cut
    report = await bulk.pull(caller, tmp_path / "plain", options=options())
    assert (report.mode, report.total.rows, report.total.overlap) == ("incremental", 0, 3)


async def test_a_list_with_records_without_ids_is_always_read_whole(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """In the overlap of an incremental run they would be written again each time."""
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
    """Its path would be that of the list of accounts."""

    def hook(path: str, query: dict[str, str]) -> Answer | None:
        return server._page(path, [b'{"id":""}'], query) if path.endswith("/bankAccounts") else None

    server.hook = hook
    async with asyncio.timeout(20):
        report = await bulk.pull(caller, tmp_path, options=options("bank_account_transactions"))
        assert [each async for each in bulk.records(caller, types=["bank_account_transactions"])] == []
    assert (report.outcome, report.total.units) == (Outcome.DONE, 1)


async def test_lists_found_during_the_pull_are_counted(server: Server, caller: Codat, tmp_path: Path) -> None:
    """The transactions of each bank account become a unit; all are counted as units and as done."""
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


# --- resumed runs -------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [1, 1 << 26], ids=["in an own file", "in memory"])
async def test_a_second_attempt_at_an_incremental_list_reports_no_drift(
    server: Server, caller: Codat, tmp_path: Path, memory: int
) -> None:
    """Rows of the overlap that the first attempt dropped are not counted twice."""
    records = [customer(number, modified=day(10)) for number in range(6)]
    server.put("customers", records)
    await bulk.pull(caller, tmp_path, options=options(page_size=4))
    server.put("customers", records + [customer(number, modified=day(11)) for number in range(10, 16)])
    server.hook = at(3, lambda: error_response(409))
    chosen = options(page_size=4, units_at_once=1, memory=memory)
    events: list[bulk.Event] = []
    report = await bulk.pull(caller, tmp_path, options=chosen, on_event=events.append)
    assert (report.outcome, report.total.rows, report.total.overlap) == (Outcome.DONE, 6, 6)
    assert (report.total.repeats, report.total.missing) == (0, 0)
    assert "unit_reread" not in [each.event for each in events]


async def test_an_interrupted_second_pass_is_repeated(server: Server, caller: Codat, tmp_path: Path) -> None:
    """Nothing is written twice or counted as missing."""
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


async def test_full_does_not_resume_a_run_because_of_a_failed_list(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A new full run starts although the last one has a list left."""
    server.put("customers", [customer(1)])
    server.hook = lambda path, _: web.Response(status=403) if path.endswith("/suppliers") else None
    both = ("customers", "suppliers")
    await bulk.pull(caller, tmp_path, options=options(*both))
    server.put("customers", [customer(1), customer(2)])
    report = await bulk.pull(caller, tmp_path, options=options(*both, full=True))
    assert (report.mode, report.total.rows) == ("full", 2)


async def test_a_command_for_fewer_types_leaves_the_rest_of_a_run_resumable(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A later command that asks for the other types resumes the run at the page where it stopped."""
    server.put("customers", [customer(number) for number in range(50)])
    server.put("suppliers", [customer(1)])
    both = ("suppliers", "customers")
    server.hook = lambda path, query: (
        error_response(409) if path.endswith("/customers") and query["page"] == "4" else None
    )
    chosen = options(*both, page_size=10, units_at_once=1, memory=1)
    broken = await bulk.pull(caller, tmp_path, options=chosen)
    assert broken.outcome == Outcome.PARTIAL
    report = await bulk.pull(caller, tmp_path, options=options("suppliers", page_size=10))
    assert (report.outcome, report.total.units, report.elsewhere) == (Outcome.DONE, 1, 1)
    assert bulk.status(tmp_path).total.failed == 1
    server.hook = None
    server.requests.clear()
    report = await bulk.pull(caller, tmp_path, options=options(*both, page_size=10))
    assert report.run == broken.run
    assert [query["page"] for path, query in server.requests if path.endswith("/customers")] == ["4", "5"]
    assert len(ids(tmp_path)) == len(set(ids(tmp_path))) == 50
    assert (await bulk.pull(caller, tmp_path, options=options(*both))).mode == "incremental"


async def test_a_command_for_fewer_types_is_done_with_its_own_lists(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """It resumes its part of a run; what else the run has left does not matter."""
    for kind in ("customers", "suppliers"):
        server.put(kind, [customer(number) for number in range(10)])
    server.hook = lambda path, query: error_response(409) if "/data/" in path else None
    await bulk.pull(caller, tmp_path, options=options("customers", "suppliers"))
    server.hook = None
    report = await bulk.pull(caller, tmp_path, options=options("suppliers"))
    assert (report.outcome, report.total.rows, report.elsewhere) == (Outcome.DONE, 10, 1)
    assert list(report.types) == ["suppliers"]
    report = await bulk.pull(caller, tmp_path, options=options("customers"))
    assert (report.outcome, report.mode, report.total.rows, report.elsewhere) == (Outcome.DONE, "full", 10, 0)


async def test_a_damaged_file_in_the_overlap_causes_a_full_read(
    server: Server, caller: Codat, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The earlier versions cannot be read, so the list is read whole; the log names the file."""
    server.put("customers", [customer(number) for number in range(10)])
    for compression in ("gzip", "zstd"):
        into = tmp_path / compression
        await bulk.pull(caller, into, options=options(compression=compression))
        (file,) = files(into)
        file.write_bytes(file.read_bytes()[:-20])
        report = await bulk.pull(caller, into, options=options())
        assert (report.outcome, report.total.rows) == (Outcome.DONE, 10)
        assert str(file) in caplog.text
        assert [each.startswith(f"{file} is damaged: ") for each in report.damaged] == [True]
        assert len(ids(into)) == 10
        assert (await bulk.pull(caller, into, options=options())).total.overlap == 10


async def test_a_full_disk_ends_the_pull_while_all_workers_wait(
    server: Server, caller: Codat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be waiting for the quota, until tomorrow."""
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
        chosen = options(page_size=10, units_at_once=1, memory=1)
        report = await bulk.pull(caller, tmp_path, options=chosen)
    assert report.stopped is not None
    assert "full" in report.stopped


async def test_typed_batches_go_on_after_a_reading_with_a_failure(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A list that always fails does not stop new records of the others from being read."""
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
        assert sum([len(batch.records) async for batch in batches]) == 1
    assert failures == ["forbidden"] * 2


async def test_a_404_after_the_first_typed_batch_is_a_failure(server: Server, caller: Codat) -> None:
    """Since a page was read, the list is not skipped as unsupported."""
    server.put("customers", [customer(number) for number in range(10)])
    server.hook = lambda path, query: (
        error_response(404) if path.endswith("/customers") and query["page"] == "2" else None
    )
    failures: list[str] = []
    batches = bulk.records(
        caller, types=["customers"], page_size=3, on_failure=lambda _, why: failures.append(why.kind)
    )
    assert sum([len(batch.records) async for batch in batches]) == 3
    assert failures == ["unsupported"]


# --- invalid arguments --------------------------------------------------------------------


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
def test_invalid_options_raise_value_error(wrong: dict[str, Any]) -> None:
    """The error is raised when the options are created, and names the option."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PullOptions(**wrong)


async def test_a_str_or_nothing_instead_of_names_raises(caller: Codat, tmp_path: Path) -> None:
    """A str is not taken for a sequence of one-letter names."""
    with pytest.raises(TypeError, match=r"\['customers'\]"):
        await bulk.pull(caller, tmp_path, options=PullOptions(types="customers"))
    with pytest.raises(TypeError, match="not a str"):
        await bulk.pull(caller, tmp_path, options=PullOptions(companies="11111111"))
    with pytest.raises(UnknownDataType, match="no data type"):
        await bulk.pull(caller, tmp_path, options=PullOptions(types=[]))
    with pytest.raises(bulk.NothingToPull, match="no company is named"):
        await bulk.pull(caller, tmp_path, options=PullOptions(companies=[]))


async def test_typed_batches_reject_a_path_that_is_not_a_checkpoint(caller: Codat, tmp_path: Path) -> None:
    """A directory, or a file of something else, raises DirectoryError."""
    other = tmp_path / "other"
    other.write_text("something else" * 100)
    for path in (tmp_path, other):
        with pytest.raises(bulk.DirectoryError, match=str(path)):
            await anext(bulk.records(caller, types=["customers"], checkpoint=path))
