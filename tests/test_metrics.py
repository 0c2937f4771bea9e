"""The metrics of a pull: their values, and the table of their names in ``docs/metrics.md``."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from codat_async import Codat, bulk
from codat_async.bulk import Event
from codat_async.errors import ConfigurationError
from codat_async.metrics import PullMetrics
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
    """Each sum by type; and all instruments are in the table of the documentation, which has no others."""
    names = set[str]()
    async with (
        Sandbox(companies=2, size=15) as sandbox,
        Codat(sandbox.api_key, base_url=sandbox.base_url) as codat,
    ):
        with metrics.recording(codat.governor, lambda _: names.update(collected(reader))) as listen:
            options = bulk.PullOptions(types=["bills", "bankAccounts", "bankTransactions"])
            report = await bulk.pull(codat, tmp_path, options=options, on_event=listen)
            listen(event("paused", kind="quota", company=None, seconds=1.0))
            listen(event("change_missed", type="bills", company="c"))
    found = collected(reader)
    for field, name in (("rows", "records"), ("requests", "requests"), ("retries", "retries")):
        expected = {(kind,): getattr(counts, field) for kind, counts in report.types.items() if counts.units}
        assert found[f"codat.pull.{name}"] == expected, name
    assert sum(found["codat.pull.lists"].values()) == report.total.done
    documented = re.findall(r"^\| `(codat\.[a-z_.]+)` \| (?:counter|gauge)", DOCS.read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(names | set(found))


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names it."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'codat-async\[otel\]'"):
        PullMetrics()
