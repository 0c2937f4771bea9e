"""The timeline of a run: bounded, exact in its sums, continued by the next process."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from bulk_server import COMPANY, Server, customer

from codat_async import Codat, RetryPolicy
from codat_async.bulk import Event, PullOptions, Report, Timeline, pull
from codat_async.bulk.report import read_report
from codat_async.bulk.store.timeline import Pause, PauseSum, Point
from codat_middleware import Governor
from tests.middleware.fakes import FastClock


def point(at: float, requests: int = 0) -> Point:
    """A point with only these two figures."""
    return Point(at, requests, 0, None, None)


def test_points_are_thinned_as_the_night_grows() -> None:
    """At most 500 are kept, evenly, with the first and the last; the sums are those of their moments."""
    timeline = Timeline()
    for second in range(40_000):
        if timeline.is_due(second):
            timeline.add(point(second, 3 * second))
    assert 250 <= len(timeline.points) <= 500
    assert timeline.points[0].at == 0
    assert 40_000 - timeline.points[-1].at <= timeline.interval
    assert all(each.requests == 3 * each.at for each in timeline.points)
    gaps = [
        later.at - earlier.at for earlier, later in zip(timeline.points, timeline.points[1:], strict=False)
    ]
    assert max(gaps) <= 2 * min(gaps)
    assert len(msgspec.json.encode(timeline)) < 20_000


def test_pauses_are_bounded_and_their_sums_are_exact() -> None:
    """The longest hundred are kept in order of time; the sums have all of them."""
    timeline = Timeline()
    for number in range(1000):
        assert timeline.pause("rate_limited", 10 * number, 1 + number % 7, f"company {number}")
    assert len(timeline.pauses) == 100
    assert {each.seconds for each in timeline.pauses} == {7}
    assert timeline.pauses == sorted(timeline.pauses, key=lambda each: each.at)
    assert timeline.sums == {"rate_limited": PauseSum(1000, sum(1 + number % 7 for number in range(1000)))}


def test_overlapping_pauses_are_one() -> None:
    """A pause that is seen twice, or grows, is not counted twice; another company's is another one."""
    timeline = Timeline()
    assert timeline.pause("rate_limited", 10, 5)
    assert not timeline.pause("rate_limited", 12, 3)
    assert not timeline.pause("rate_limited", 14, 4)
    assert timeline.pauses == [Pause(kind="rate_limited", at=10, seconds=8)]
    assert timeline.pause("rate_limited", 14, 4, "c")
    assert timeline.pause("rate_limited", 20, 1)
    assert timeline.sums == {"rate_limited": PauseSum(3, 13)}


def test_the_end_cuts_pauses_off() -> None:
    """A run that stops in a pause did not wait for the rest of it."""
    timeline = Timeline()
    timeline.pause("quota", 5, 3600)
    timeline.pause("rate_limited", 1, 2)
    timeline.end(65)
    assert [each.seconds for each in timeline.pauses] == [60, 2]
    assert timeline.sums["quota"] == PauseSum(1, 60)


def test_resuming_marks_the_gap() -> None:
    """Between two processes nothing was sent, which is a pause of its own kind."""
    timeline = Timeline()
    timeline.resume(0)
    assert timeline == Timeline(began=timeline.began)
    timeline.add(point(3, 7))
    timeline.resume(100)
    assert timeline.pauses == [Pause(kind="stopped", at=3, seconds=97)]
    assert [(each.at, each.requests) for each in timeline.points] == [(3, 7), (100, 7)]


async def make_report(codat: Codat, path: Path, events: list[Event] | None = None) -> Report:
    """Pull the customers."""
    options = PullOptions(types=["customers"], page_size=10)
    return await pull(codat, path, options=options, on_event=None if events is None else events.append)


async def test_report_has_the_timeline(server: Server, caller: Codat, tmp_path: Path) -> None:
    """It ends with the report's own sums, and is read back as it was."""
    server.put("customers", [customer(number) for number in range(25)])
    server.headers = {"X-Rate-Limit-Limit": "3000", "X-Rate-Limit-Remaining": "2990"}
    report = await make_report(caller, tmp_path)
    assert report.timeline is not None
    last = report.timeline.points[-1]
    assert report.total.rows == 25
    assert (last.requests, last.rows) == (report.total.requests, report.total.rows)
    assert datetime.now(UTC) - report.timeline.began < timedelta(minutes=1)
    assert read_report(tmp_path / "report.json") == report


async def test_resumed_run_continues_the_timeline(server: Server, caller: Codat, tmp_path: Path) -> None:
    """The second process adds to the points of the first, after a pause in which nothing ran."""
    server.put("customers", [customer(number) for number in range(25)])
    server.hook = lambda path, query: web.Response(status=500) if query.get("page") == "3" else None
    first = await make_report(caller, tmp_path)
    assert first.total.failed == 1
    server.hook = None
    second = await make_report(caller, tmp_path)
    assert second.run == first.run
    assert first.timeline is not None
    assert second.timeline is not None
    count = len(first.timeline.points)
    assert second.timeline.points[:count] == first.timeline.points
    assert second.timeline.pauses[0].kind == "stopped"
    assert second.timeline.points[-1].requests == second.total.requests > first.total.requests
    third = await make_report(caller, tmp_path)
    assert third.run != first.run
    assert third.timeline is not None
    assert third.timeline.began > second.timeline.began


async def test_report_of_another_run_is_not_continued(server: Server, caller: Codat, tmp_path: Path) -> None:
    """A run that was killed before it wrote its report leaves the one before in its place."""
    server.put("customers", [customer(1)])
    server.hook = lambda path, query: web.Response(status=500) if path.endswith("customers") else None
    first = await make_report(caller, tmp_path)
    other = msgspec.structs.replace(first, run="20250101T000000Z")
    (tmp_path / "report.json").write_bytes(msgspec.json.encode(other))
    server.hook = None
    report = await make_report(caller, tmp_path)
    assert report.run == first.run
    assert report.timeline is not None
    assert not report.timeline.pauses


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"timeline": {"began": "soon"}}'])
async def test_unusable_report_starts_a_new_timeline(
    server: Server, caller: Codat, tmp_path: Path, content: bytes
) -> None:
    """A report that was edited or is of another version does not stop a pull."""
    server.put("customers", [customer(1)])
    server.hook = lambda path, query: web.Response(status=500) if path.endswith("customers") else None
    await make_report(caller, tmp_path)
    (tmp_path / "report.json").write_bytes(content)
    assert read_report(tmp_path / "report.json") is None
    server.hook = None
    report = await make_report(caller, tmp_path)
    assert report.timeline is not None
    assert not report.timeline.pauses


async def test_pause_after_429s_is_recorded(server: Server, tmp_path: Path) -> None:
    """A company that is rate limited twice in a row is held: in the timeline and an event, with its id."""
    server.put("customers", [customer(1)])
    answers = iter([web.Response(status=429) for _ in range(3)])
    server.hook = lambda path, query: next(answers, None) if path.endswith("customers") else None
    events: list[Event] = []
    governor, retry = Governor(clock=FastClock()), RetryPolicy(waits=False)
    async with Codat("key", base_url=server.base_url, governor=governor, retry=retry) as codat:
        report = await make_report(codat, tmp_path, events)
    assert report.outcome == "done"
    assert report.timeline is not None
    assert report.timeline.sums["rate_limited"].count >= 1
    paused = [each.details for each in events if each.event == "paused"]
    assert (paused[0]["kind"], paused[0]["company"]) == ("rate_limited", COMPANY)
    assert paused[0]["seconds"] > 0
    assert COMPANY in paused[0]["reason"]
    assert codat.governor.listeners == []
