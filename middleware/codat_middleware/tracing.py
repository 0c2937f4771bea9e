"""Records one OpenTelemetry span and its metrics per call; needs the extra ``otel``."""

import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from codat_middleware.clock import queued
from codat_middleware.messages import Request, Response
from codat_middleware.pipeline import Handler
from codat_middleware.retry import ON_RETRY, RetryEvent

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)


class Tracing:
    """Records a client span per call, following the HTTP semantic conventions.

    Placed outermost, so a span covers the whole call with its waits; each retry is an event on it. The
    metrics are ``http.client.request.duration`` (of the whole call) and ``codat.client.queue.duration``
    (in the governor), in seconds. Paths are recorded as templates, so that no record id leaves the process;
    the company's does, as ``codat.company_id``. Raises :class:`ImportError` without opentelemetry-api.
    """

    def __init__(
        self,
        base_url: str = "https://api.codat.io",
        *,
        tracer_provider: "TracerProvider | None" = None,
        meter_provider: "MeterProvider | None" = None,
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise ImportError("Tracing needs OpenTelemetry: pip install 'codat-async[otel]'") from error
        self._error = trace.Status(trace.StatusCode.ERROR)
        tracer = trace.get_tracer("codat_middleware", tracer_provider=tracer_provider)
        self._span = partial(
            tracer.start_as_current_span,
            kind=trace.SpanKind.CLIENT,
            record_exception=False,
            set_status_on_exception=False,
        )
        meter = metrics.get_meter("codat_middleware", meter_provider=meter_provider)
        histogram = partial(meter.create_histogram, unit="s", explicit_bucket_boundaries_advisory=_SECONDS)
        self._duration = histogram("http.client.request.duration", description="Calls, with their waits.")
        self._queue = histogram("codat.client.queue.duration", description="Waits in the rate limit's queue.")
        parts = urlsplit(base_url)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        self._server: dict[str, str | int] = {"server.address": parts.hostname or "", "server.port": port}
        self._server["url.scheme"] = parts.scheme

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        """Send the request within a span."""
        common: dict[str, str | int] = {"http.request.method": request.method, **self._server}
        if request.route:
            common["url.template"] = request.route
        about = {"codat.operation": request.operation or None, "codat.company_id": request.company_id}
        attributes = common | {name: value for name, value in about.items() if value is not None}
        begun, waited = time.monotonic(), queued.get()
        with self._span(f"{request.method} {request.route}".rstrip(), attributes=attributes) as span:
            try:
                response = await call_next(_observed(request, span))
                common["http.response.status_code"] = response.status
                if response.status >= 400:
                    common["error.type"] = str(response.status)
                return response
            except BaseException as error:
                common["error.type"] = type(error).__name__
                raise
            finally:
                span.set_attributes(common)
                if "error.type" in common:
                    span.set_status(self._error)
                self._duration.record(time.monotonic() - begun, common)
                self._queue.record(queued.get() - waited, self._server)


def _observed(request: Request, span: "Span") -> Request:
    earlier = request.extensions.get(ON_RETRY)

    def note(event: RetryEvent) -> None:
        attempt, times = event.request.attempt, {"wait": event.wait, "elapsed": event.elapsed}
        span.set_attribute("http.request.resend_count", attempt)
        span.add_event("retry", {"attempt": attempt, "reason": event.reason, **times})
        if callable(earlier):
            earlier(event)

    return request.copy(extensions={**request.extensions, ON_RETRY: note})
