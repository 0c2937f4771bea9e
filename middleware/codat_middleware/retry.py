"""Retries a request if that is safe and can help, and waits between the attempts."""

import logging
import random
from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from codat_middleware.clock import Clock, queued
from codat_middleware.errors import ResponseTooLarge, TLSError, TransportError
from codat_middleware.messages import Request, Response, check_range, log_fields
from codat_middleware.pipeline import Handler
from codat_middleware.text import retry_after

ON_RETRY: Final = "codat_middleware.on_retry"
"""Key in ``Request.extensions`` for a retry hook of one call, set by an outer middleware."""

_log = logging.getLogger(__name__)


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How often, how long (in seconds) and after what to retry. Raises :class:`ValueError` out of range."""

    attempts: int = 5
    """Attempts per call, including the first; those answered with 429 are not counted."""
    max_rate_limited: int = 20
    """Attempts per call that may be answered with 429."""
    max_elapsed: float = 90.0
    """No attempt starts later than this after the call did, time in the governor's queue excluded."""
    wait_initial: float = 0.5
    """The first wait is drawn from 0 to this; the bound doubles with each wait."""
    wait_max: float = 20.0
    """Upper limit of that bound; waits there are still drawn from the whole range."""
    statuses: frozenset[int] = frozenset({408, 429, 500, 502, 503, 504})
    """Statuses to retry. Only 429 applies to POST, PATCH and the start of a push operation."""
    resend_pushes: bool = False
    """Whether a PUT or DELETE that starts a push operation is retried, which may start a second one."""
    waits: bool = True
    """False for tests: attempts follow without a wait; nothing else changes."""

    def __post_init__(self) -> None:
        check_range(self, "attempts", "max_rate_limited", least=1)
        check_range(self, "max_elapsed", "wait_initial", "wait_max", least=0)


class RetryEvent(Struct, frozen=True, kw_only=True):
    """A failed attempt; passed to hooks before the wait for the next one."""

    request: Request
    """The request that failed; its ``attempt`` is the attempt's number, from 1."""
    outcome: Response | Exception
    """The response or the error that it ended with."""
    elapsed: float
    """Seconds since the call started, time in the governor's queue excluded."""
    wait: float = 0.0
    """Seconds until the next attempt."""

    @property
    def status(self) -> int | None:
        """The response's status; ``None`` for an error."""
        return self.outcome.status if isinstance(self.outcome, Response) else None

    @property
    def reason(self) -> str:
        """The outcome in a word or two: ``status 503``, ``ConnectionLost``…"""
        return type(self.outcome).__name__ if self.status is None else f"status {self.status}"


class RetryBudget:
    """A token bucket for retries, shared by all calls, so that they do not overload a failing API.

    A retry takes one token, except after a 429. A success adds a tenth, a second one, up to ``capacity``.
    """

    def __init__(self, capacity: float = 500.0, *, clock: Clock | None = None) -> None:
        self._capacity = self.tokens = capacity
        self._now = (clock or Clock()).monotonic
        self._updated = self._now()
        self._exhausted = False

    def take(self) -> bool:
        """Take a token for a retry; false if there is none. Only the first time in a row is logged."""
        before, self._updated = self._updated, self._now()
        self.tokens = min(self._capacity, self.tokens + self._updated - before)
        exhausted, self._exhausted = self._exhausted, self.tokens < 1.0
        if not self._exhausted:
            self.tokens -= 1.0
        elif not exhausted:
            _log.warning("retry budget spent: failed requests are not retried until requests succeed again")
        return not self._exhausted

    def succeeded(self) -> None:
        """Add to the tokens after a success."""
        if self.tokens < self._capacity:
            self.tokens = min(self._capacity, self.tokens + 0.1)


class Retry:
    """Retries what is safe: GET, PUT and DELETE broadly, POST and PATCH only by Codat's rules.

    - A wait is drawn from 0 to a bound that doubles ("full jitter"; source: Marc Brooker, "Exponential
      Backoff and Jitter", AWS Architecture Blog). A ``Retry-After`` above 0 is waited exactly; if it does
      not fit in the rest of ``policy.max_elapsed``, the response is returned at once.
    - What was not sent may be retried whatever the method. A failed TLS handshake, a response that is too
      large, and a sent body that can be read only once are never retried.
    - POST and PATCH are retried after a 429, and with an ``Idempotency-Key`` after no response and after a
      409 that follows it, whose first attempt is still running. Never after a 5xx: the same key would
      replay it, and a new one could write twice. (Source: "Idempotency" in Codat's documentation.)
    - A PUT or DELETE that starts a push operation is not sent again after a 5xx or no response, unless
      ``policy.resend_pushes``: it would start a second one. (Source: "Push data", likewise.)

    When it gives up it returns the last response or raises the last :class:`TransportError`. If an earlier
    attempt of a write may have reached the server, its error is raised instead of a last 401, 402, 403 or
    429, of that 409, and of any other exception (then its ``__cause__``): none of them shows whether the
    write happened. Another 4xx for a PUT or DELETE is returned with ``unconfirmed``: a 404 after a lost
    DELETE means that the deletion was probably done.
    """

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        *,
        budget: RetryBudget | None = None,
        on_retry: Callable[[RetryEvent], object] | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.policy = policy or RetryPolicy()
        self._clock: Clock = clock or Clock()
        self._random = rng or random.Random()
        self._on_retry = on_retry
        self.budget = budget or RetryBudget(clock=self._clock)

    def with_policy(self, policy: RetryPolicy) -> "Retry":
        """Return a Retry with another policy and the same budget, hook and clock."""
        return Retry(policy, budget=self.budget, on_retry=self._on_retry, clock=self._clock, rng=self._random)

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        """Send the request until it succeeds, cannot be retried, or the policy's limits are reached."""
        # Time in the queue is excluded, so only what is added to it from here on shifts the start.
        begun = self._clock.monotonic() - queued.get()
        rate_limited = 0
        lost: TransportError | None = None  # the first of a write that the server may have processed
        unconfirmed: str | None = None  # the first reason, no response or a 5xx, after which it may have
        while True:
            outcome: Response | Exception
            try:
                outcome = await call_next(request)
                if outcome.status < 400:
                    self.budget.succeeded()
                    return outcome
            except Exception as error:
                if lost is None and not isinstance(error, TransportError):
                    raise
                outcome = error
            elapsed = self._clock.monotonic() - queued.get() - begun
            event = RetryEvent(request=request, outcome=outcome, elapsed=elapsed)
            rate_limited += event.status == 429
            if isinstance(outcome, TransportError) and outcome.outcome_unknown:
                lost, unconfirmed = lost or outcome, unconfirmed or event.reason
            elif event.status is not None and event.status >= 500:
                unconfirmed = unconfirmed or event.reason
            wait = self._wait(event, rate_limited, lost)
            if wait is None:
                outcome = _final(event, lost, unconfirmed)
                if isinstance(outcome, Response):
                    return outcome
                try:
                    raise outcome
                finally:
                    # Without this the error's traceback refers to the error: a cycle for the collector.
                    del outcome, event, lost
            if isinstance(outcome, Response) and outcome.stream is not None:
                await outcome.stream.aclose()
            self._report(replace(event, wait=wait))
            del outcome, event
            if wait > 0.0:
                await self._clock.sleep(wait)
            request = request.copy(attempt=request.attempt + 1)

    def _wait(self, event: RetryEvent, rate_limited: int, lost: TransportError | None) -> float | None:
        """Seconds until the next attempt; ``None`` if there is to be none."""
        policy, attempt = self.policy, event.request.attempt
        spent = rate_limited >= policy.max_rate_limited or attempt - rate_limited >= policy.attempts
        if spent or not _repeatable(event, lost, policy):
            return None
        wait = None
        if isinstance(event.outcome, Response):
            wait = retry_after(event.outcome.headers, self._clock.time())
        if not wait:
            bound = min(policy.wait_max, policy.wait_initial * 2.0 ** min(attempt - 1, 60))
            wait = self._random.random() * bound
        if event.elapsed + wait > policy.max_elapsed or (event.status != 429 and not self.budget.take()):
            return None
        return wait if policy.waits else 0.0

    def _report(self, event: RetryEvent) -> None:
        request, wait = event.request, event.wait
        _write(logging.INFO, event, f"{event.reason} in attempt {request.attempt}, retrying in {wait:.3f} s")
        for hook in (self._on_retry, request.extensions.get(ON_RETRY)):
            if callable(hook):
                hook(event)


def _repeatable(event: RetryEvent, lost: TransportError | None, policy: RetryPolicy) -> bool:
    request, outcome, status = event.request, event.outcome, event.status
    if isinstance(outcome, TLSError | ResponseTooLarge):
        return False
    if isinstance(outcome, TransportError) and not outcome.sent:
        return True
    transient = isinstance(outcome, TransportError) or status in policy.statuses
    if status == 429 or not request.replayable:
        return transient and request.replayable
    if request.idempotent:
        return transient and (policy.resend_pushes or not request.starts_push)
    if status == 409:
        # The lost attempt is still running; without one the company's data was never synced.
        return lost is not None
    return transient and status is None and request.idempotency_key is not None


def _final(event: RetryEvent, lost: TransportError | None, unconfirmed: str | None) -> Response | Exception:
    """The last response, or the error that describes the outcome best."""
    request, outcome, status = event.request, event.outcome, event.status
    inconclusive = status in (None, 401, 402, 403, 429) or (status == 409 and not request.idempotent)
    if lost is not None and lost is not outcome and inconclusive:
        if not isinstance(outcome, Response | TransportError):
            lost.__cause__ = outcome
        outcome = lost
        outcome.add_note(f"the last attempt failed with {event.reason}")
    elif isinstance(outcome, Response) and outcome.status < 500 and request.method in ("PUT", "DELETE"):
        outcome = outcome.copy(unconfirmed=unconfirmed)
    if request.attempt > 1:
        _write(logging.WARNING, event, f"gave up after attempt {request.attempt}: {event.reason}")
        if isinstance(outcome, Exception):
            outcome.add_note(f"gave up after {request.attempt} attempts in {event.elapsed:.1f} s")
    return outcome


def _write(level: int, event: RetryEvent, text: str) -> None:
    about = {"status": event.status, "reason": event.reason, "elapsed": event.elapsed, "wait": event.wait}
    _log.log(level, "%s: %s", event.request, text, extra=log_fields(event.request) | about)
