"""The metrics of pulls and of listening: their values, and the table of them in ``docs/metrics.md``."""

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from codat_async import Codat, bulk, webhooks
from codat_async.bulk import Event
from codat_async.bulk.following.listener import Listener
from codat_async.bulk.store.events import Backlog
from codat_async.errors import ConfigurationError
from codat_async.metrics import ListenMetrics, PullMetrics
from codat_async.sandbox import Sandbox
from codat_middleware import Governor, Limits

DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"
LIST = {"type": "bills", "company": "c", "connection": None, "parent": None, "failure": None}


@pytest.fixture
def reader() -> InMemoryMetricReader:
    """Collects what the provider of the metrics recorded."""
    return InMemoryMetricReader()


@pytest.fixture
def metrics(reader: InMemoryMetricReader) -> Iterator[PullMetrics]:
    """Metrics that end up in the reader."""
    provider = MeterProvider([reader])
    yield PullMetrics(provider)
    provider.shutdown()


def collected(reader: InMemoryMetricReader) -> dict[str, dict[tuple[object, ...], float]]:
    """The values by name, then by the values of the attributes."""
    data: Any = reader.get_metrics_data()
    if data is None:
        return {}
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    return {
        each.name: {tuple(point.attributes.values()): point.value for point in each.data.data_points}
        for each in scope.metrics
    }


def event(name: str, **details: object) -> Event:
    """An event of a pull."""
    return Event(event=name, at="2026-01-02T03:04:05Z", details=details)


def test_failed_list_that_succeeds_later_is_not_counted_twice(
    metrics: PullMetrics, reader: InMemoryMetricReader
) -> None:
    """Its sums go on growing after the failure, and only what is new is added."""
    heard: list[str] = []
    with metrics.recording(Governor(), lambda each: heard.append(each.event)) as listen:
        sums = {"requests": 3, "retries": 2, "waited": 1.5, "rows": 10}
        listen(event("unit_failed", **{**LIST, "failure": "timeout"}, **sums))
        listen(event("unit_reread", **LIST, requests=3, retries=2, waited=1.5, rows=0))
        listen(event("unit_done", **LIST, requests=5, retries=2, waited=2.0, rows=20))
        listen(event("unit_skipped", **{**LIST, "type": "items"}, requests=1, retries=0, waited=0.0, rows=0))
        listen(event("paused", kind="rate_limited", company=None, seconds=1.0))
        listen(event("paused", kind="rate_limited", company="c", seconds=1.0))
        listen(event("company_checked", company="c", read=1, rechecked=1, unchanged=7, syncing=0))
        listen(event("change_missed", type="bills", company="c"))
        listen(event("run_stopped", outcome="partial"))
    found = collected(reader)
    assert found["codat.pull.requests"] == {("bills",): 5, ("items",): 1}
    assert found["codat.pull.retries"] == {("bills",): 2, ("items",): 0}
    assert found["codat.pull.wait.time"] == {("bills",): 2.0, ("items",): 0.0}
    assert found["codat.pull.records"] == {("bills",): 20}
    assert found["codat.pull.lists"] == {
        ("bills", "failed", "timeout"): 1,
        ("bills", "done"): 1,
        ("items", "skipped"): 1,
        ("unchanged",): 7,
    }
    assert found["codat.pull.changes_missed"] == {("bills",): 1}
    assert found["codat.pull.pauses"] == {("rate_limited", "everybody"): 1, ("rate_limited", "company"): 1}
    assert found["codat.pull.runs"] == {("partial",): 1}
    assert heard[0] == "unit_failed"
    assert len(heard) == 9


def test_gauges_are_there_during_a_pull_only(metrics: PullMetrics, reader: InMemoryMetricReader) -> None:
    """They are the governor's state; what it does not know has no value."""
    governor = Governor(Limits(per_minute=300))
    assert not collected(reader)
    with metrics.recording(governor):
        found = collected(reader)
        assert found["codat.client.pace"] == {(): 300}
        assert found["codat.client.requests.in_flight"] == {(): 0}
        assert "codat.client.quota.remaining" not in found
    assert not collected(reader)


async def test_metrics_of_a_pull_equal_its_report(
    metrics: PullMetrics, reader: InMemoryMetricReader, tmp_path: Path
) -> None:
    """Each sum by type."""
    async with (
        Sandbox(companies=2, size=15) as sandbox,
        Codat(sandbox.api_key, base_url=sandbox.base_url) as codat,
    ):
        with metrics.recording(codat.governor) as listen:
            options = bulk.PullOptions(types=["bills", "bankAccounts", "bankTransactions"])
            report = await bulk.pull(codat, tmp_path, options=options, on_event=listen)
    found = collected(reader)
    for field, name in (("rows", "records"), ("requests", "requests"), ("retries", "retries")):
        expected = {(kind,): getattr(counts, field) for kind, counts in report.types.items() if counts.units}
        assert found[f"codat.pull.{name}"] == expected, name
    assert sum(found["codat.pull.lists"].values()) == report.total.done


def test_sums_of_a_failed_list_end_with_its_run(metrics: PullMetrics, reader: InMemoryMetricReader) -> None:
    """What it takes in a later run that records into the same counters is added whole."""
    with metrics.recording(Governor()) as listen:
        listen(event("unit_failed", **LIST, requests=10, retries=8, waited=1.0, rows=0))
        listen(event("run_stopped", outcome="failed"))
        listen(event("run_started", run="r"))
        listen(event("unit_done", **LIST, requests=5, retries=4, waited=1.0, rows=3))
    found = collected(reader)
    assert found["codat.pull.requests"] == {("bills",): 15}
    assert found["codat.pull.retries"] == {("bills",): 12}


class Instruments:
    """A meter that only notes the instruments: their kinds and units by name."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[str, str]] = {}

    def get_meter(self, *_: object, **__: object) -> "Instruments":
        """Every meter is this one."""
        return self

    def create_counter(self, name: str, unit: str, description: str) -> None:
        """Note a counter."""
        self.made[name] = ("counter", unit)

    def create_observable_gauge(self, name: str, callbacks: object, unit: str, description: str) -> None:
        """Note a gauge."""
        self.made[name] = ("gauge", unit)


def test_documentation_has_all_instruments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table has each with its kind and unit, and no others."""
    instruments = Instruments()
    monkeypatch.setattr("opentelemetry.metrics.get_meter", lambda name, meter_provider: instruments)
    ListenMetrics()
    rows = re.findall(r"^\| `(codat\.[\w.]+)` \| (counter|gauge), `([^`]+)`", DOCS.read_text(), re.MULTILINE)
    assert {name: (kind, unit) for name, kind, unit in rows} == instruments.made
    assert len(rows) == len(instruments.made)


# --- listening -------------------------------------------------------------------------------

SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


@pytest.fixture
def listen_metrics(reader: InMemoryMetricReader) -> Iterator[ListenMetrics]:
    """Metrics of listening that end up in the reader."""
    provider = MeterProvider([reader])
    yield ListenMetrics(provider)
    provider.shutdown()


def test_events_and_pauses_are_counted_by_what_they_are(
    listen_metrics: ListenMetrics, reader: InMemoryMetricReader
) -> None:
    """A refused message has no type; what a pull emits is counted as ever; the queue is there meanwhile."""
    with listen_metrics.recording(Governor(), backlog=lambda: Backlog(3, 1.5)) as listen:
        for kind, outcome, reason in (
            ("read.completed", "accepted", None),
            ("read.completed", "repeated", None),
            (None, "refused", "stale"),
            (None, "refused", "stale"),
            ("company.created", "failed", "OSError"),
        ):
            listen(event("webhook_received", type=kind, outcome=outcome, reason=reason))
        listen(event("burst_pulled", company="c", events=2, outcome="failed", attempts=1))
        listen(event("listening_paused", kind="event", until=None))
        listen(event("pull_failed", kind="ConnectError", error="refused"))
        listen(event("unit_skipped", **LIST, requests=1, retries=0, waited=0.0, rows=0))
        found = collected(reader)
        assert found["codat.listen.queue.events"] == {(): 3}
        assert found["codat.listen.queue.age"] == {(): 1.5}
    assert found["codat.listen.events"] == {
        ("read.completed", "accepted"): 1,
        ("read.completed", "repeated"): 1,
        ("refused", "stale"): 2,
        ("company.created", "failed", "OSError"): 1,
    }
    assert found["codat.listen.bursts"] == {("failed",): 1}
    assert found["codat.listen.pauses"] == {("event",): 1}
    assert found["codat.listen.errors"] == {("ConnectError",): 1}
    assert found["codat.pull.requests"] == {("bills",): 1}
    assert "codat.listen.queue.events" not in collected(reader)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_metrics_of_listening_equal_what_was_done(
    listen_metrics: ListenMetrics, reader: InMemoryMetricReader, tmp_path: Path
) -> None:
    """From the delivery over a socket to the list that it asks for; the queue is empty afterwards."""
    stopped, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    listener = Listener(
        tmp_path,
        SECRET,
        options=bulk.PullOptions(types=["bills"]),
        gather=0.0,
        on_ready=ready.set_result,
    )
    async with (
        Sandbox(companies=1, size=5) as sandbox,
        Codat(sandbox.api_key, base_url=sandbox.base_url) as codat,
        aiohttp.ClientSession() as session,
    ):
        body = b'{"eventType":"read.completed","payload":{"referenceCompany":{"id":"%s"}}}' % (
            sandbox.company_ids[0].encode()
        )
        with listen_metrics.recording(codat.governor, backlog=listener.backlog) as on_event:
            task = asyncio.create_task(listener.run(codat, stopped, on_event))
            url = await ready
            signed = webhooks.sign(body, SECRET, message_id="m", timestamp=int(time.time()))
            for headers, status in ((signed, 204), (signed, 204), ({}, 400)):
                async with session.post(url, data=body, headers=headers) as answer:
                    assert answer.status == status
            await until(lambda: "codat.listen.bursts" in collected(reader))
            await until(lambda: collected(reader)["codat.listen.queue.events"] == {(): 0})
            assert collected(reader)["codat.listen.queue.age"] == {(): 0}
            stopped.set()
            done = await task
    found = collected(reader)
    assert found["codat.listen.events"] == {
        ("read.completed", "accepted"): 1,
        ("read.completed", "repeated"): 1,
        ("refused", "headers_missing"): 1,
    }
    assert found["codat.listen.bursts"] == {("done",): 1}
    assert found["codat.pull.lists"] == {("bills", "done"): 1}
    assert found["codat.pull.records"] == {("bills",): 5}
    assert found["codat.pull.runs"] == {("done",): 1}
    # Those for the data status are not counted by list.
    assert found["codat.pull.requests"] == {("bills",): done.requests - 2}
    assert "codat.listen.queue.events" not in found


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names it."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'codat-async\[otel\]'"):
        PullMetrics()
