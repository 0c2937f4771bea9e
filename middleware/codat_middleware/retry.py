"""Retries a request if that is safe and can help, and waits between the attempts."""

import logging
import random
from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Struct

from codat_middleware.budget import RetryBudget
from codat_middleware.clock import Clock, SystemClock, queued
from codat_middleware.errors import ResponseTooLarge, TLSError, TransportError
from codat_middleware.headers import retry_after
from codat_middleware.idempotency import idempotency_key
from codat_middleware.messages import Request, Response
from codat_middleware.pipeline import Handler

__all__ = ["ON_RETRY", "Retry", "RetryEvent", "RetryPolicy"]

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
    """No attempt starts later than this after the call did, time in the governor's queue excluded.

    The default leaves room for a ``Retry-After`` of a minute, since the API limits the
    requests per minute.
    """
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
        for name in ("attempts", "max_rate_limited"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("max_elapsed", "wait_initial", "wait_max"):
            # Written so that NaN is rejected too.
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative")


class RetryEvent(Struct, frozen=True, kw_only=True):
    """Passed to hooks before the wait for a retry."""

    request: Request
    """The request of the attempt that failed."""
    attempt: int
    """Number of the attempt that failed, from 1."""
    wait: float
    """Seconds until the next attempt."""
    reason: str
    """The failure: ``status 503``, ``ConnectionLost``…"""
    status: int | None
    """Of the response; ``None`` if there was none."""
    error: TransportError | None
    """The error, if there was no response."""
    elapsed: float
    """Seconds since the call started, time in the governor's queue excluded."""


RetryHook = Callable[[RetryEvent], object]


_Outcome: TypeAlias = Response | TransportError


class _History:
    """The failed attempts of one call; created after its first failure."""

    __slots__ = ("attempt", "lost", "rate_limited", "unconfirmed")

    def __init__(self) -> None:
        self.attempt = 1
        self.rate_limited = 0
        self.lost: TransportError | None = None
        """The first failure after which the server may have processed the request."""
        self.unconfirmed: str | None = None
        """The first outcome, no response or a 5xx, after which it may have."""

    def note(self, outcome: _Outcome) -> None:
        if isinstance(outcome, Response):
            self.rate_limited += outcome.status == 429
            unconfirmed = outcome.status >= 500
        else:
            unconfirmed = outcome.sent
            if unconfirmed and self.lost is None:
                self.lost = outcome
        if unconfirmed and self.unconfirmed is None:
            self.unconfirmed = _reason(outcome)


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

    __slots__ = ("_clock", "_on_retry", "_random", "budget", "policy")

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
        self._random = (rng or random.Random()).random
        self._on_retry = on_retry
        self.policy = policy or RetryPolicy()
        self.budget = budget or RetryBudget(clock=self._clock)

    def with_policy(self, policy: RetryPolicy) -> "Retry":
        """Return a Retry with another policy and the same budget, hook and clock."""
        other = Retry(policy, budget=self.budget, on_retry=self._on_retry, clock=self._clock)
        other._random = self._random
        return other

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        """Send the request until it succeeds, cannot be retried, or the policy's limits are reached."""
        # Time in the queue is excluded, so only what is added to it from here on shifts the start.
        begun = self._clock.monotonic() - queued.get()
        history: _History | None = None
        attempt = request
        while True:
            outcome: _Outcome
            try:
                outcome = await call_next(attempt)
            except TransportError as error:
                outcome = error
            except Exception as error:
                if history is None or history.lost is None or not history.lost.outcome_unknown:
                    raise
                history.lost.__cause__ = error
                try:
                    return _end(attempt, error, history, self._elapsed(begun))
                finally:
                    # Same reason as below.
                    del history
            else:
                if outcome.status < 400:
                    self.budget.succeeded()
                    return outcome
            history = history or _History()
            history.note(outcome)
            elapsed = self._elapsed(begun)
            wait = self._wait(attempt, outcome, history, elapsed)
            if wait is None:
                try:
                    return _end(attempt, outcome, history, elapsed)
                finally:
                    # Without this the error's traceback refers to the error: a cycle for the collector.
                    del outcome, history
            if isinstance(outcome, Response) and outcome.stream is not None:
                await outcome.stream.aclose()
            self._report(attempt, outcome, wait, elapsed)
            del outcome
            if wait > 0.0:
                await self._clock.sleep(wait)
            history.attempt += 1
            attempt = request.copy(attempt=history.attempt)

    def _elapsed(self, begun: float) -> float:
        return self._clock.monotonic() - queued.get() - begun

    def _wait(self, request: Request, outcome: _Outcome, history: _History, elapsed: float) -> float | None:
        policy = self.policy
        if not _safe(request, outcome, history, policy):
            return None
        if (
            history.rate_limited >= policy.max_rate_limited
            or history.attempt - history.rate_limited >= policy.attempts
        ):
            return None
        wait = None
        if isinstance(outcome, Response):
            wait = retry_after(outcome.headers, self._clock.time())
        if not wait:
            wait = self._random() * min(
                policy.wait_max, policy.wait_initial * 2.0 ** min(history.attempt - 1, 60)
            )
        if elapsed + wait > policy.max_elapsed:
            return None
        if not _is_rate_limited(outcome) and not self.budget.take():
            return None
        return wait if policy.waits else 0.0

    def _report(self, request: Request, outcome: _Outcome, wait: float, elapsed: float) -> None:
        event = RetryEvent(
            request=request,
            attempt=request.attempt,
            wait=wait,
            reason=_reason(outcome),
            status=outcome.status if isinstance(outcome, Response) else None,
            error=None if isinstance(outcome, Response) else outcome,
            elapsed=elapsed,
        )
        _log.info(
            "%s: %s in attempt %d, retrying in %.3f s",
            request,
            event.reason,
            event.attempt,
            wait,
            extra=_extra(request, outcome, elapsed) | {"wait": wait},
        )
        if self._on_retry is not None:
            self._on_retry(event)
        hook = request.extensions.get(ON_RETRY)
        if callable(hook):
            hook(event)


def _safe(request: Request, outcome: _Outcome, history: _History, policy: RetryPolicy) -> bool:
    if isinstance(outcome, TransportError):
        if isinstance(outcome, TLSError | ResponseTooLarge):
            return False
        if not outcome.sent:
            return True
    if request.body is not None and not request.body.replayable:
        return False
    repeatable = request.idempotent and (policy.resend_pushes or not request.starts_push)
    if isinstance(outcome, TransportError):
        return repeatable or (not request.idempotent and idempotency_key(request) is not None)
    if _in_progress(request, outcome, history):
        return True
    return outcome.status in policy.statuses and (repeatable or outcome.status == 429)


def _end(request: Request, outcome: Response | Exception, history: _History, elapsed: float) -> Response:
    """Return the last response, or raise the error that describes the outcome best."""
    last = _reason(outcome)
    inconclusive = (
        not isinstance(outcome, Response)
        or outcome.status in (401, 402, 403, 429)
        or _in_progress(request, outcome, history)
    )
    if (
        history.lost is not None
        and history.lost is not outcome
        and history.lost.outcome_unknown
        and inconclusive
    ):
        outcome = history.lost
        outcome.add_note(f"the last attempt failed with {last}")
    elif isinstance(outcome, Response) and request.idempotent and not request.safe and outcome.status < 500:
        outcome = outcome.copy(unconfirmed=history.unconfirmed)
    if history.attempt > 1:
        _log.warning(
            "%s: gave up after attempt %d: %s",
            request,
            history.attempt,
            last,
            extra=_extra(request, outcome, elapsed),
        )
    if isinstance(outcome, Response):
        return outcome
    if history.attempt > 1:
        outcome.add_note(f"gave up after {history.attempt} attempts in {elapsed:.1f} s")
    try:
        raise outcome
    finally:
        del outcome, history


def _is_rate_limited(outcome: _Outcome) -> bool:
    return isinstance(outcome, Response) and outcome.status == 429


def _in_progress(request: Request, response: Response, history: _History) -> bool:
    """Whether a 409 means that the first attempt is still running, and not that data was never synced."""
    return response.status == 409 and history.lost is not None and not request.idempotent


def _reason(outcome: Response | Exception) -> str:
    return f"status {outcome.status}" if isinstance(outcome, Response) else type(outcome).__name__


def _extra(request: Request, outcome: Response | Exception, elapsed: float) -> dict[str, object]:
    return {
        "operation": request.operation,
        "company_id": request.company_id,
        "attempt": request.attempt,
        "status": outcome.status if isinstance(outcome, Response) else None,
        "reason": _reason(outcome),
        "elapsed": elapsed,
    }
