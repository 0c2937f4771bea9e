"""Incremental runs: changed records, the overlap, and rows that shift while a list is read."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from bulk_server import Server, client, customer, everything, raw_lines, written_lines

from codat_async import Codat, bulk
from codat_async.bulk import Outcome, PullOptions
from codat_async.bulk.store.lines import read_line
from codat_async.sandbox import Sandbox


def options(*types: str, **more: object) -> PullOptions:
    """Options that read a list whether it was synced or not: what is tested here is how."""
    given = {"types": types or ("customers",), "source": "test", "freshness": False, **more}
    return PullOptions(**given)  # type: ignore[arg-type]


def ids(lines: list[bytes]) -> list[str]:
    return [json.loads(line)["id"] for line in lines]


def day(number: int) -> str:
    return f"2024-01-{number:02d}T00:00:00Z"


async def test_an_incremental_run_requests_only_changed_records(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """It filters by modified date, writes the changed record, and keeps the deleted one marked as deleted."""
    records = [customer(number, modified=day(number)) for number in range(1, 21)]
    server.put("customers", records)
    await bulk.pull(caller, tmp_path, options=options(page_size=5))
    server.requests.clear()
    gone = customer(3, modified=day(25), metadata={"isDeleted": True})
    server.put("customers", [*(each for each in records if each["id"] != "c3"), gone])
    report = await bulk.pull(caller, tmp_path, options=options(page_size=5))
    assert report.mode == "incremental"
    assert report.total.rows == 1
    (query,) = [query for path, query in server.requests if path.endswith("/customers")]
    assert query["query"] == "modifiedDate>=2024-01-19T23:50:00Z"
    assert json.loads(written_lines(tmp_path, "customers")[-1])["metadata"] == {"isDeleted": True}
    assert [read_line(line).whole for line in raw_lines(tmp_path, "customers")] == [True] * 20 + [False]


@pytest.mark.parametrize("memory", [1, 1 << 26], ids=["in own files", "in memory"])
async def test_unchanged_records_in_the_overlap_are_dropped(
    server: Server, caller: Codat, tmp_path: Path, memory: int
) -> None:
    """A record in the overlap is written again only if its modified date changed."""
    server.put("customers", [customer(number, modified=day(number)) for number in range(1, 11)])
    await bulk.pull(caller, tmp_path, options=options(page_size=4, overlap=timedelta(days=5), memory=memory))
    server.put(
        "customers",
        [customer(number, modified=day(number)) for number in range(1, 10)]
        + [customer(10, modified="2024-01-10T00:00:01Z"), customer(11, modified=day(11))],
    )
    for overlap, rows in ((5, 2), (6, 0)):
        report = await bulk.pull(caller, tmp_path, options=options(overlap=timedelta(days=5), memory=memory))
        assert report.total.overlap == overlap
        assert report.total.rows == rows
    assert len(written_lines(tmp_path, "customers")) == 12


async def test_full_reads_everything_again(server: Server, caller: Codat, tmp_path: Path) -> None:
    """``full`` writes lines beside the old ones, and the next incremental run continues from it."""
    server.put("customers", [customer(number, modified=day(number)) for number in range(1, 11)])
    await bulk.pull(caller, tmp_path, options=options())
    report = await bulk.pull(caller, tmp_path, options=options(full=True))
    assert (report.mode, report.total.rows) == ("full", 10)
    report = await bulk.pull(caller, tmp_path, options=options())
    assert (report.mode, report.total.rows, report.total.overlap) == ("incremental", 0, 1)
    assert len({read_line(line).n for line in raw_lines(tmp_path, "customers")}) == 2


async def test_a_list_with_an_undated_record_is_always_read_whole(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A filter by modified date would miss a record without one, so there is no filter."""
    undated = {"id": "x", "status": "Active"}
    server.put("customers", [customer(1), undated])
    await bulk.pull(caller, tmp_path, options=options())
    report = await bulk.pull(caller, tmp_path, options=options())
    assert report.total.rows == 2


async def test_a_new_company_is_read_whole_in_an_incremental_run(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Each list has its own watermark; one that was never read is read from the beginning."""
    server.put("customers", [customer(number, modified=day(number)) for number in range(1, 11)])
    await bulk.pull(caller, tmp_path, options=options())
    server.companies.append("33333333-3333-4333-8333-333333333333")
    report = await bulk.pull(caller, tmp_path, options=options())
    assert report.mode == "incremental"
    assert report.total.rows == 10


async def test_changing_one_percent_requests_about_one_percent(tmp_path: Path) -> None:
    """After 1 % changed the next run gets about 1 % of the bytes; both runs together equal a full pull."""
    async with Sandbox(companies=2, size=400) as sandbox, client(sandbox.base_url, sandbox.api_key) as codat:
        chosen = options("invoices", "customers", "items", page_size=100)
        first = await bulk.pull(codat, tmp_path / "a", options=chosen)
        touched = sandbox_touch(sandbox, 0.01)
        second = await bulk.pull(codat, tmp_path / "a", options=chosen)
        whole = await bulk.pull(codat, tmp_path / "b", options=chosen)
    assert touched
    assert second.total.rows == touched
    # The overlap returns one record of each list again: the latest of the first run.
    assert second.total.received < 0.03 * first.total.received + 6 * 2000
    latest: dict[tuple[str, str], tuple[str, bytes]] = {}
    for key, lines in everything(tmp_path / "a").items():
        for line in lines:
            record = json.loads(line)
            version = (record["modifiedDate"], line)
            latest[key, record["id"]] = max(latest.get((key, record["id"]), ("", b"")), version)
    found = sorted(line for _, line in latest.values())
    assert found == sorted(line for lines in everything(tmp_path / "b").values() for line in lines)
    assert whole.outcome == Outcome.DONE


def sandbox_touch(sandbox: Sandbox, share: float) -> int:
    return sum(sandbox.records.touch(share, resource=each) for each in ("invoices", "customers", "items"))


# --- drift -------------------------------------------------------------------------------


def changes_after(server: Server, page: str, change: Callable[[], None]) -> None:
    """Call ``change`` after that page is answered."""
    done: list[bool] = []

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        if path.endswith("/customers") and query["page"] == page and not done:
            done.append(True)
            answer = server._answer(path, query)
            change()
            return answer
        return None

    server.hook = hook


async def test_a_row_read_twice_is_written_once(server: Server, caller: Codat, tmp_path: Path) -> None:
    """A new row before those already read shifts the others, and one of them is on two pages."""
    records = [customer(number) for number in range(10)]
    server.put("customers", records)
    changes_after(server, "2", lambda: server.put("customers", [customer(99), *records]))
    report = await bulk.pull(caller, tmp_path, options=options(page_size=4))
    # The new row is on a page that was read before it was added, so the list is read once more.
    assert report.outcome == Outcome.DONE
    assert sorted(ids(written_lines(tmp_path, "customers"))) == sorted(["c99", *(f"c{n}" for n in range(10))])


async def test_a_list_that_lost_a_row_is_read_again(server: Server, caller: Codat, tmp_path: Path) -> None:
    """A row that moves to the end shifts another one to a page already read; a second pass finds it."""
    records = [customer(number, modified=day(number + 1)) for number in range(10)]
    server.put("customers", records)
    moved = [*records[1:], customer(0, modified=day(20))]
    changes_after(server, "1", lambda: server.put("customers", moved))
    events: list[bulk.Event] = []
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3), on_event=events.append)
    # Both versions of the moved record were read; the row that was missed comes last.
    assert ids(written_lines(tmp_path, "customers")) == [
        "c0",
        "c1",
        "c2",
        *(f"c{n}" for n in range(4, 10)),
        "c0",
        "c3",
    ]
    assert report.total.missing == 0
    assert [each.event for each in events].count("unit_reread") == 1


async def test_the_records_of_both_passes_are_kept(server: Server, caller: Codat, tmp_path: Path) -> None:
    """A row that only one of two passes missed is written once."""
    server.put("customers", [customer(number) for number in range(12)])
    asked: dict[str, int] = {}

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        if not path.endswith("/customers"):
            return None
        page = query["page"]
        asked[page] = asked.get(page, 0) + 1
        if (page, asked[page]) in (("2", 1), ("3", 2)):
            hidden = msgspec.json.decode(server._answer(path, query).body)
            return web.json_response({**hidden, "results": hidden["results"][1:]})
        return None

    server.hook = hook
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3))
    assert report.total.missing == 0
    assert sorted(ids(written_lines(tmp_path, "customers"))) == sorted(f"c{number}" for number in range(12))


async def test_a_list_of_records_without_ids_is_started_over(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """The records of two passes cannot be matched, so the second pass replaces the first."""
    nameless = [customer(number) for number in range(12)]
    for each in nameless:
        del each["id"]
    server.put("customers", nameless)
    asked: dict[str, int] = {}

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        if not path.endswith("/customers"):
            return None
        page = query["page"]
        asked[page] = asked.get(page, 0) + 1
        if (page, asked[page]) == ("2", 1):
            hidden = msgspec.json.decode(server._answer(path, query).body)
            return web.json_response({**hidden, "results": hidden["results"][1:]})
        return None

    server.hook = hook
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3))
    assert (report.total.missing, report.total.rows) == (0, 12)
    names = [json.loads(line)["customerName"] for line in written_lines(tmp_path, "customers")]
    assert sorted(names) == sorted(f"Customer {number}" for number in range(12))


async def test_a_second_pass_can_be_interrupted(server: Server, caller: Codat, tmp_path: Path) -> None:
    """When it is resumed, it still knows what the first pass wrote."""
    server.put("customers", [customer(number) for number in range(12)])
    asked: dict[str, int] = {}
    task: asyncio.Task[bulk.Report] | None = None

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        if not path.endswith("/customers"):
            return None
        page = query["page"]
        asked[page] = asked.get(page, 0) + 1
        if (page, asked[page]) == ("2", 1):
            hidden = msgspec.json.decode(server._answer(path, query).body)
            return web.json_response({**hidden, "results": hidden["results"][1:]})
        if (page, asked[page]) == ("4", 2) and task is not None:
            task.cancel()
        return None

    server.hook = hook
    task = asyncio.create_task(bulk.pull(caller, tmp_path, options=options(page_size=3)))
    with pytest.raises(asyncio.CancelledError):
        await task
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3))
    assert (report.outcome, report.total.missing) == (Outcome.DONE, 0)
    assert sorted(ids(written_lines(tmp_path, "customers"))) == sorted(f"c{number}" for number in range(12))


async def test_a_total_that_never_agrees_is_reported_and_the_list_read_whole_next_time(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """The records are kept, the difference is reported as drift, and there is no watermark."""
    server.put("customers", [customer(number) for number in range(6)])

    def hook(path: str, query: dict[str, str]) -> web.Response | None:
        if not path.endswith("/customers"):
            return None
        page = msgspec.json.decode(server._answer(path, query).body)
        return web.json_response({**page, "totalResults": 7})

    server.hook = hook
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3))
    assert (report.outcome, report.total.missing, report.total.rows) == (Outcome.DONE, 1, 6)
    server.hook = None
    report = await bulk.pull(caller, tmp_path, options=options())
    assert report.total.rows == 6
    assert report.total.missing == 0


async def test_both_versions_of_a_record_that_changed_while_reading_are_written(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A record that is read, changed, and read again at the end of the list has two versions."""
    records = [customer(number, modified=day(number + 1)) for number in range(6)]
    server.put("customers", records)
    changed = [*records, customer(0, modified=day(20))]
    # The old version stays in the list, as if the API's total had not changed yet.
    changes_after(server, "1", lambda: server.put("customers", changed))
    report = await bulk.pull(caller, tmp_path, options=options(page_size=3))
    versions = [
        json.loads(line)["modifiedDate"] for line in written_lines(tmp_path, "customers") if b'"c0"' in line
    ]
    assert versions == [day(1), day(20)]
    assert report.total.repeats == 0


# --- runs --------------------------------------------------------------------------------


async def test_resuming_an_old_run_is_followed_by_an_incremental_run(
    server: Server, caller: Codat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that keeps failing does not stop the others from being updated every night."""
    server.put("customers", [customer(1, modified=day(1))])
    server.hook = lambda path, _: web.Response(status=403) if path.endswith("/suppliers") else None
    chosen = options("customers", "suppliers")
    assert (await bulk.pull(caller, tmp_path, options=chosen)).outcome == Outcome.PARTIAL
    server.put("customers", [customer(1, modified=day(1)), customer(2, modified=day(2))])
    report = await bulk.pull(caller, tmp_path, options=chosen)
    assert (report.mode, report.total.rows) == ("full", 1)
    monkeypatch.setattr("codat_async.bulk.runner.pull._STALE", timedelta(0))
    report = await bulk.pull(caller, tmp_path, options=chosen)
    assert (report.mode, report.total.rows) == ("incremental", 1)
    assert ids(written_lines(tmp_path, "customers")) != []
    assert sorted(ids(written_lines(tmp_path, "customers"))) == ["c1", "c2"]


async def test_other_types_start_a_run_of_their_own(server: Server, caller: Codat, tmp_path: Path) -> None:
    """An unfinished run of one type does not affect a command that asks for another."""
    server.put("customers", [customer(1)])
    server.put("suppliers", [customer(1)])
    await bulk.pull(caller, tmp_path, options=options("customers"))
    report = await bulk.pull(caller, tmp_path, options=options("suppliers"))
    assert report.total.rows == 1
    report = await bulk.pull(caller, tmp_path, options=options("customers", "suppliers"))
    assert (report.mode, report.total.rows) == ("incremental", 0)
