"""Spans and metrics follow the HTTP semantic conventions."""

import sys
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from codat_middleware import ON_RETRY, Request, Response, Retry, RetryEvent, RetryPolicy, Tracing, compose
from codat_middleware.clock import queued
from codat_middleware.errors import ConnectError
from tests.middleware.fakes import Script, get


class Bench:
    """A Tracing with in-memory exporters."""

    def __init__(self, base_url: str = "https://api.codat.io") -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(
            base_url, tracer_provider=tracers, meter_provider=MeterProvider(metric_readers=[self._reader])
        )

    @property
    def span(self) -> ReadableSpan:
        (span,) = self._exporter.get_finished_spans()
        return span

    def points(self, name: str) -> Sequence[HistogramDataPoint]:
        data = self._reader.get_metrics_data()
        assert data is not None
        return [
            point
            for metrics in data.resource_metrics
            for scope in metrics.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
            if isinstance(point, HistogramDataPoint)
        ]


async def test_span_of_a_success() -> None:
    """A span is named by method and template and contains no record's path."""
    bench = Bench()
    await bench.tracing(get(), Script(200))
    span = bench.span
    assert span.name == "GET /companies/{id}"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes == {
        "http.request.method": "GET",
        "server.address": "api.codat.io",
        "server.port": 443,
        "url.scheme": "https",
        "url.template": "/companies/{id}",
        "http.response.status_code": 200,
        "codat.operation": "things.list",
        "codat.company_id": "a",
    }


async def test_span_of_a_bare_request() -> None:
    """Unknown attributes are left out; an explicit port is used."""
    bench = Bench("http://localhost:8080/base")
    await bench.tracing(Request(method="GET", path="/x"), Script(200))
    assert bench.span.name == "GET"
    assert bench.span.attributes == {
        "http.request.method": "GET",
        "server.address": "localhost",
        "server.port": 8080,
        "url.scheme": "http",
        "http.response.status_code": 200,
    }


async def test_ports_by_scheme() -> None:
    """Without an explicit port the scheme's default is used."""
    bench = Bench("http://codat.test")
    await bench.tracing(get(), Script(200))
    assert bench.span.attributes is not None
    assert bench.span.attributes["server.port"] == 80


async def test_error_status() -> None:
    """A 4xx or 5xx sets the span's status and error type."""
    bench = Bench()
    await bench.tracing(get(), Script(404))
    assert bench.span.status.status_code is StatusCode.ERROR
    assert bench.span.attributes is not None
    assert bench.span.attributes["error.type"] == "404"


async def test_failure() -> None:
    """An exception sets the span's error type and is raised."""
    bench = Bench()
    with pytest.raises(ConnectError):
        await bench.tracing(get(), Script(ConnectError("no", method="GET", path="/", sent=False)))
    assert bench.span.status.status_code is StatusCode.ERROR
    assert bench.span.attributes is not None
    assert bench.span.attributes["error.type"] == "ConnectError"
    assert bench.span.events == ()


async def test_retries_are_events() -> None:
    """Each call has one span with an event per retry; existing hooks are still called."""
    bench, seen = Bench(), list[RetryEvent]()
    handler = compose([bench.tracing, Retry(RetryPolicy(waits=False))], Script(503, 429, 200))
    await handler(get(extensions={ON_RETRY: seen.append}))
    assert [event.name for event in bench.span.events] == ["retry", "retry"]
    attributes = bench.span.events[1].attributes
    assert attributes is not None
    assert (attributes["attempt"], attributes["reason"]) == (2, "status 429")
    assert bench.span.attributes is not None
    assert bench.span.attributes["http.request.resend_count"] == 2
    assert len(seen) == 2


async def test_retries_without_another_hook() -> None:
    """Retry events are recorded without another hook."""
    bench = Bench()
    await compose([bench.tracing, Retry(RetryPolicy(waits=False))], Script(503, 200))(get())
    assert [event.name for event in bench.span.events] == ["retry"]


async def test_metrics() -> None:
    """Durations are recorded by method, server, template and status; queueing separately."""
    bench = Bench()

    async def waiting(request: Request) -> Response:
        queued.set(queued.get() + 7.0)
        return Response(status=200)

    await bench.tracing(get(), waiting)
    (duration,) = bench.points("http.client.request.duration")
    assert duration.count == 1
    assert duration.attributes == {
        "http.request.method": "GET",
        "server.address": "api.codat.io",
        "server.port": 443,
        "url.scheme": "https",
        "url.template": "/companies/{id}",
        "http.response.status_code": 200,
    }
    (queue,) = bench.points("codat.client.queue.duration")
    assert queue.sum == 7.0


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenTelemetry the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"codat-async\[otel\]"):
        Tracing()
