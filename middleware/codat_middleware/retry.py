"""Retries a request if that is safe and can help, and waits between the attempts."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec import Struct

from codat_middleware.clock import Clock, SystemClock, queued
from codat_middleware.errors import ResponseTooLarge, TLSError, TransportError
from codat_middleware.headers import retry_after
from codat_middleware.idempotency import idempotency_key
from codat_middleware.messages import Request, Response, check_range, log_fields
from codat_middleware.pipeline import Handler

ON_RETRY: Final = "codat_middleware.on_retry"
"""Key in ``Request.extensions`` for a retry hook of one call, set by an outer middleware."""

_log = logging.getLogger(__name__)


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How often, how long and after what to retry. Durations are seconds.

    Raises :class:`ValueError` for fewer attempts than one and for a negative duration.
    """

    attempts: int = 5
    """Attempts per call, including the first; those answered with 429 are not counted."""
    max_rate_limited: int = 20
    """Attempts per call that may be answered with 429."""
    max_elapsed: float = 90.0
    """No attempt starts later than this after the call did, time in the governor's queue excluded. The
    default leaves room for a ``Retry-After`` of a minute, since the API limits requests per minute."""
    wait_initial: float = 0.5
    """The first wait is drawn from 0 to this; the bound doubles with each wait."""
    wait_max: float = 20.0
    """Upper limit of that bound; waits there are still drawn from the whole range."""
    statuses: frozenset[int] = frozenset({408, 429, 500, 502, 503, 504})
    """Statuses to retry. Only 429 applies to POST, PATCH and the start of a push operation."""
    resend_pushes: bool = False
    """Whether a PUT or DELETE that starts a push operation is sent again after a 5xx or without a
    response, although that may start a second operation."""
    waits: bool = True
    """False for tests: attempts follow without a wait; nothing else changes."""

    def __post_init__(self) -> None:
        check_range(self, "attempts", "max_rate_limited", least=1)
        check_range(self, "max_elapsed", "wait_initial", "wait_max", least=0)


class RetryEvent(Struct, frozen=True, kw_only=True):
    """Passed to hooks before the wait for a retry."""

    request: Request
    """The request that failed; its ``attempt`` is the attempt's number, from 1."""
    outcome: Response | Exception
    """The response or the error that it ended with."""
    reason: str
    """The same in a word or two: ``status 503``, ``ConnectionLost``…"""
    wait: float
    """Seconds until the next attempt."""
    elapsed: float
    """Seconds since the call started, time in the governor's queue excluded."""


RetryHook: TypeAlias = Callable[[RetryEvent], object]


class RetryBudget:
    """A token bucket for retries, shared by all calls, so that they do not overload a failing API.

    Each retry takes one token, but for those after a 429, which the governor limits. Each
    success adds ``refund`` and each second ``per_second``, up to ``capacity``.
    """

    def __init__(
        self,
        capacity: float = 500.0,
        *,
        refund: float = 0.1,
        per_second: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        self._capacity = capacity
        self._refund = refund
        self._per_second = per_second
        self._now = (clock or SystemClock()).monotonic
        self._updated = self._now()
        self._exhausted = False
        self.tokens = capacity
        """Tokens left as of the last retry or success."""

    def take(self) -> bool:
        """Take a token for a retry; false if there is none. Only the first time in a row is logged."""
        before, self._updated = self._updated, self._now()
        self.tokens = min(self._capacity, self.tokens + (self._updated - before) * self._per_second)
        exhausted, self._exhausted = self._exhausted, self.tokens < 1.0
        if not self._exhausted:
            self.tokens -= 1.0
        elif not exhausted:
            _log.warning("retry budget spent: failed requests are not retried until requests succeed again")
        return not self._exhausted

    def succeeded(self) -> None:
        """Add ``refund`` tokens after a success."""
        if self.tokens < self._capacity:
            self.tokens = min(self._capacity, self.tokens + self._refund)


_Outcome: TypeAlias = Response | Exception


@dataclass(slots=True)
class _Failures:
    """The failed attempts of one call; created after its first failure."""

    rate_limited: int = 0
    lost: TransportError | None = None
    """The first failure of a write without a response that the server may have processed."""
    unconfirmed: str | None = None
    """The first outcome of a write, no response or a 5xx, after which it may have."""

    def note(self, outcome: _Outcome) -> None:
        if isinstance(outcome, Response):
            self.rate_limited += outcome.status == 429
            if outcome.status < 500:
                return
        elif isinstance(outcome, TransportError) and outcome.outcome_unknown:
            self.lost = self.lost or outcome
        else:
            return
        self.unconfirmed = self.unconfirmed or _reason(outcome)

    def in_progress(self, request: Request, response: Response) -> bool:
        """Whether a 409 means that the first attempt is still running, and not that data was never synced."""
        return response.status == 409 and self.lost is not None and not request.idempotent


class Retry:
    """Retries what is safe: GET, PUT and DELETE broadly, POST and PATCH only by Codat's rules.

    - A wait is drawn from 0 to a bound that doubles ("full jitter"; source: Marc Brooker,
      "Exponential Backoff and Jitter", AWS Architecture Blog). A ``Retry-After`` is waited
      exactly; if it does not fit in the rest of ``policy.max_elapsed``, the response is
      returned at once. A ``Retry-After`` of 0 or in the past is ignored, since it gives no
      time at which the server will have recovered.
    - An attempt of which nothing was sent may be retried whatever the method; a failed TLS
      handshake and a response that is too large are never retried.
    - POST and PATCH are retried only with an ``Idempotency-Key``: after a 429, after no
      response, and after a 409 that follows an attempt without a response, which means that
      the first attempt is still running. Never after a 5xx: the same key would replay it,
      and a new key could write twice. (Source: "Idempotency" in Codat's documentation.)
    - A PUT or DELETE that starts a push operation is not sent again after a 5xx or without a
      response, unless ``policy.resend_pushes``: each request starts an operation of its own,
      and no key prevents that, since ``Idempotency-Key`` is for POST and PATCH. (Source: "Push
      data" and "Idempotency" in Codat's documentation.)
    - A body that can be read only once is not resent once any of it may have been sent.
    - A streamed response is closed before any wait, so that the wait holds no connection.

    When it gives up it returns the last response or raises the last :class:`TransportError`.
    If an earlier attempt of a write may have reached the server, that attempt's error is
    raised instead of a last 401, 402, 403 or 429, of a 409 for a first attempt that is still
    running, and of any other exception (which becomes its ``__cause__``), since none of them
    shows whether the write happened. Another 4xx for a PUT or DELETE is returned with
    ``unconfirmed``, since the earlier attempt may have caused it: a 404 after a lost DELETE
    means that the deletion was probably done.
    """

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        *,
        budget: RetryBudget | None = None,
        on_retry: RetryHook | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._random = rng or random.Random()
        self._on_retry = on_retry
        self.policy = policy or RetryPolicy()
        self.budget = budget or RetryBudget(clock=self._clock)

    def with_policy(self, policy: RetryPolicy) -> "Retry":
        """Return a Retry with another policy and the same budget, hook and clock."""
        return Retry(policy, budget=self.budget, on_retry=self._on_retry, clock=self._clock, rng=self._random)

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        """Send the request until it succeeds, cannot be retried, or the policy's limits are reached."""
        # Time in the queue is excluded, so only what is added to it from here on shifts the start.
        begun = self._clock.monotonic() - queued.get()
        failures: _Failures | None = None
        while True:
            outcome: _Outcome
            try:
                outcome = await call_next(request)
            except Exception as error:
                if not isinstance(error, TransportError) and (failures is None or failures.lost is None):
                    raise
                outcome = error
            else:
                if outcome.status < 400:
                    self.budget.succeeded()
                    return outcome
            failures = failures or _Failures()
            failures.note(outcome)
            elapsed = self._clock.monotonic() - queued.get() - begun
            wait = self._wait(request, outcome, failures, elapsed)
            if wait is None:
                final = _final(request, outcome, failures, elapsed)
                if isinstance(final, Response):
                    return final
                try:
                    raise final
                finally:
                    # Without this the error's traceback refers to the error: a cycle for the collector.
                    del outcome, failures, final
            if isinstance(outcome, Response) and outcome.stream is not None:
                await outcome.stream.aclose()
            self._report(request, outcome, wait, elapsed)
            del outcome
            if wait > 0.0:
                await self._clock.sleep(wait)
            request = request.copy(attempt=request.attempt + 1)

    def _wait(self, request: Request, outcome: _Outcome, failures: _Failures, elapsed: float) -> float | None:
        """Seconds until the next attempt; ``None`` if there is to be none."""
        policy, limited = self.policy, failures.rate_limited
        if limited >= policy.max_rate_limited or request.attempt - limited >= policy.attempts:
            return None
        if not _safe(request, outcome, failures, policy):
            return None
        wait = retry_after(outcome.headers, self._clock.time()) if isinstance(outcome, Response) else None
        if not wait:
            bound = min(policy.wait_max, policy.wait_initial * 2.0 ** min(request.attempt - 1, 60))
            wait = self._random.random() * bound
        if elapsed + wait > policy.max_elapsed:
            return None
        if not (isinstance(outcome, Response) and outcome.status == 429) and not self.budget.take():
            return None
        return wait if policy.waits else 0.0

    def _report(self, request: Request, outcome: _Outcome, wait: float, elapsed: float) -> None:
        reason = _reason(outcome)
        event = RetryEvent(request=request, outcome=outcome, reason=reason, wait=wait, elapsed=elapsed)
        extra = _extra(request, outcome, elapsed) | {"wait": wait}
        text = "%s: %s in attempt %d, retrying in %.3f s"
        _log.info(text, request, reason, request.attempt, wait, extra=extra)
        for hook in (self._on_retry, request.extensions.get(ON_RETRY)):
            if callable(hook):
                hook(event)


def _safe(request: Request, outcome: _Outcome, failures: _Failures, policy: RetryPolicy) -> bool:
    if isinstance(outcome, TLSError | ResponseTooLarge):
        return False
    if isinstance(outcome, TransportError) and not outcome.sent:
        return True
    if not request.replayable:
        return False
    repeatable = request.idempotent and (policy.resend_pushes or not request.starts_push)
    if isinstance(outcome, Response):
        return failures.in_progress(request, outcome) or (
            outcome.status in policy.statuses and (repeatable or outcome.status == 429)
        )
    keyed = not request.idempotent and idempotency_key(request) is not None
    return isinstance(outcome, TransportError) and (repeatable or keyed)


def _final(request: Request, outcome: _Outcome, failures: _Failures, elapsed: float) -> _Outcome:
    """The last response, or the error that describes the outcome best."""
    last, lost = _reason(outcome), failures.lost
    inconclusive = (
        not isinstance(outcome, Response)
        or outcome.status in (401, 402, 403, 429)
        or failures.in_progress(request, outcome)
    )
    if lost is not None and lost is not outcome and inconclusive:
        if not isinstance(outcome, Response | TransportError):
            lost.__cause__ = outcome
        outcome = lost
        outcome.add_note(f"the last attempt failed with {last}")
    elif isinstance(outcome, Response) and request.idempotent and not request.safe and outcome.status < 500:
        outcome = outcome.copy(unconfirmed=failures.unconfirmed)
    if request.attempt > 1:
        extra = _extra(request, outcome, elapsed)
        _log.warning("%s: gave up after attempt %d: %s", request, request.attempt, last, extra=extra)
        if isinstance(outcome, Exception):
            outcome.add_note(f"gave up after {request.attempt} attempts in {elapsed:.1f} s")
    return outcome


def _reason(outcome: _Outcome) -> str:
    return f"status {outcome.status}" if isinstance(outcome, Response) else type(outcome).__name__


def _extra(request: Request, outcome: _Outcome, elapsed: float) -> dict[str, object]:
    status = outcome.status if isinstance(outcome, Response) else None
    return log_fields(request) | {"status": status, "reason": _reason(outcome), "elapsed": elapsed}
