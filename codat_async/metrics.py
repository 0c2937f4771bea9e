"""OpenTelemetry metrics of pulls and of listening; need the extra ``otel``.

``docs/metrics.md`` lists the instruments.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from codat_async.bulk import Event
from codat_async.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

    from codat_async.bulk.store.events import Backlog
    from codat_middleware.governor import Governor

__all__ = ["ListenMetrics", "PullMetrics"]

_OUTCOMES: Final = frozenset({"done", "failed", "skipped"})
_NOT_READ: Final = ("unchanged", "syncing", "not_synced", "not_supported")


class PullMetrics:
    """Records the metrics of pulls; one object serves all pulls of a process, one after the other.

    The counters are fed by the events of a pull, so a list's requests and records are added when it
    ends. The gauges are read from the governor whenever metrics are collected during a pull.

    Raises :class:`~codat_async.errors.ConfigurationError` if opentelemetry-api is not installed.
    """

    def __init__(self, meter_provider: "MeterProvider | None" = None) -> None:
        try:
            from opentelemetry import metrics
        except ImportError as error:
            raise ConfigurationError("metrics need an extra: pip install 'codat-async[otel]'") from error
        self._observation = metrics.Observation
        self._governor: Governor | None = None
        self._failed: dict[tuple[Any, ...], tuple[int, int, float]] = {}
        """What lists had taken when they failed: they are tried again, and their sums go on."""
        self._meter = meter = metrics.get_meter("codat_async", meter_provider=meter_provider)
        self._lists = meter.create_counter(
            "codat.pull.lists", unit="{list}", description="Lists that ended, by outcome."
        )
        self._records = meter.create_counter(
            "codat.pull.records", unit="{record}", description="Records of lists that were read completely."
        )
        self._requests = meter.create_counter(
            "codat.pull.requests",
            unit="{request}",
            description="Requests of lists that ended, retries included.",
        )
        self._retries = meter.create_counter(
            "codat.pull.retries", unit="{request}", description="Requests that repeated a failed one."
        )
        self._waited = meter.create_counter(
            "codat.pull.wait.time", unit="s", description="Time that requests waited before they were sent."
        )
        self._pauses = meter.create_counter(
            "codat.pull.pauses", unit="{pause}", description="Pauses after 429s and for the quota."
        )
        self._missed = meter.create_counter(
            "codat.pull.changes_missed",
            unit="{list}",
            description="Lists found changed although their data status had not changed.",
        )
        self._runs = meter.create_counter(
            "codat.pull.runs", unit="{run}", description="Pulls that ended, by outcome."
        )
        for name, unit, description in (
            ("in_flight", "{request}", "Requests in flight."),
            ("waiting", "{request}", "Requests that wait to be sent."),
            ("per_minute", "{request}", "The pace in force, in requests a minute."),
            ("remaining", "{request}", "Requests left of the day's quota."),
        ):
            meter.create_observable_gauge(
                _GAUGES[name], [self._observe(self._state, name)], unit=unit, description=description
            )

    def _state(self) -> object:
        return None if self._governor is None else self._governor.state()

    def _observe(
        self, state: Callable[[], object], name: str
    ) -> "Callable[[CallbackOptions], Iterable[Observation]]":
        """What yields a field of a state; nothing if there is no state, or the field is None."""

        def callback(_: "CallbackOptions") -> "Iterable[Observation]":
            value = getattr(state(), name, None)
            return [] if value is None else [self._observation(value)]

        return callback

    @contextlib.contextmanager
    def recording(
        self, governor: "Governor", on_event: Callable[[Event], None] | None = None
    ) -> Iterator[Callable[[Event], None]]:
        """Yield what to pass as ``on_event`` to a pull with this client's governor.

        Each event is passed on to ``on_event``, if that is given.
        """

        def listen(event: Event) -> None:
            self._record(event.event, event.details)
            if on_event is not None:
                on_event(event)

        self._governor = governor
        try:
            yield listen
        finally:
            self._governor = None
            self._failed.clear()

    def _record(self, event: str, details: Mapping[str, Any]) -> None:
        if event.startswith("unit_"):
            if (outcome := event.removeprefix("unit_")) in _OUTCOMES:
                self._record_list(outcome, details)
        elif event == "company_checked":
            for reason in _NOT_READ:
                if number := details.get(reason, 0):
                    self._lists.add(number, {"codat.outcome": reason})
        elif event == "change_missed":
            self._missed.add(1, {"codat.data_type": details["type"]})
        elif event == "run_started":
            # The sums of an earlier run do not go on in this one.
            self._failed.clear()
        elif event in ("run_done", "run_stopped"):
            self._runs.add(1, {"codat.outcome": str(details["outcome"])})
        elif event == "paused":
            scope = "everybody" if details.get("company") is None else "company"
            self._pauses.add(1, {"codat.pause.kind": details["kind"], "codat.pause.scope": scope})

    def _record_list(self, outcome: str, details: Mapping[str, Any]) -> None:
        kind = {"codat.data_type": details["type"]}
        key = tuple(details.get(each) for each in ("type", "company", "connection", "parent"))
        taken = details["requests"], details["retries"], details["waited"]
        before = self._failed.pop(key, (0, 0, 0.0))
        for counter, value, earlier in zip(
            (self._requests, self._retries, self._waited), taken, before, strict=True
        ):
            counter.add(max(0, value - earlier), kind)
        attributes = {**kind, "codat.outcome": outcome}
        if outcome == "failed":
            self._failed[key] = taken
            attributes["error.type"] = details["failure"] or "error"
        elif outcome == "done":
            self._records.add(details["rows"], kind)
        self._lists.add(1, attributes)


class ListenMetrics(PullMetrics):
    """Records the metrics of events that are followed, and of the pulls that they cause.

    For ``codat-async listen`` and :func:`~codat_async.bulk.following.follower.follow`. Raises
    :class:`~codat_async.errors.ConfigurationError` if opentelemetry-api is not installed.
    """

    def __init__(self, meter_provider: "MeterProvider | None" = None) -> None:
        super().__init__(meter_provider)
        self._read_backlog: Callable[[], Backlog] | None = None
        meter = self._meter
        self._events = meter.create_counter(
            "codat.listen.events", unit="{event}", description="Webhooks received, by outcome."
        )
        self._bursts = meter.create_counter(
            "codat.listen.bursts", unit="{burst}", description="Bursts of events pulled, by outcome."
        )
        self._closings = meter.create_counter(
            "codat.listen.pauses", unit="{pause}", description="Pauses of all pulls, by what asked for them."
        )
        self._errors = meter.create_counter(
            "codat.listen.errors", unit="{error}", description="Pulls that an error of the API ended."
        )
        for name, field, unit, description in (
            ("codat.listen.queue.events", "events", "{event}", "Events that are still to be followed."),
            ("codat.listen.queue.age", "age", "s", "Time since the oldest of them was received."),
        ):
            meter.create_observable_gauge(
                name, [self._observe(self._backlog, field)], unit=unit, description=description
            )

    def _backlog(self) -> object:
        return None if self._read_backlog is None else self._read_backlog()

    @contextlib.contextmanager
    def recording(
        self,
        governor: "Governor",
        on_event: Callable[[Event], None] | None = None,
        backlog: "Callable[[], Backlog] | None" = None,
    ) -> Iterator[Callable[[Event], None]]:
        """Yield what to pass as ``on_event`` to a listener, or to ``follow``, with this client's governor.

        ``backlog`` returns the state of the queue, such as
        :meth:`~codat_async.bulk.following.listener.Listener.backlog`; it may be called by another thread.
        """
        self._read_backlog = backlog
        try:
            with super().recording(governor, on_event) as listen:
                yield listen
        finally:
            self._read_backlog = None

    def _record(self, event: str, details: Mapping[str, Any]) -> None:
        if event == "webhook_received":
            attributes = {
                "codat.event.type": details["type"],
                "codat.outcome": details["outcome"],
                "error.type": details["reason"],
            }
            self._events.add(1, {name: value for name, value in attributes.items() if value is not None})
        elif event == "burst_pulled":
            self._bursts.add(1, {"codat.outcome": details["outcome"]})
        elif event == "listening_paused":
            self._closings.add(1, {"codat.pause.kind": details["kind"]})
        elif event == "pull_failed":
            self._errors.add(1, {"error.type": details["kind"]})
        else:
            super()._record(event, details)


_GAUGES: Final = {
    "in_flight": "codat.client.requests.in_flight",
    "waiting": "codat.client.requests.waiting",
    "per_minute": "codat.client.pace",
    "remaining": "codat.client.quota.remaining",
}
"""The instruments of the fields of :class:`~codat_middleware.limits.GovernorState`."""
