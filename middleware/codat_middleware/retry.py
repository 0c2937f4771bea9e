"""Sends a request again when that is safe and of use, and waits between the attempts."""

import logging
import random
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from codat_middleware.clock import Clock, SystemClock, queued
from codat_middleware.errors import TLSError, TransportError
from codat_middleware.headers import parse_retry_after
from codat_middleware.idempotency import idempotency_key
from codat_middleware.messages import Request, Response
from codat_middleware.pipeline import Handler

__all__ = ["ON_RETRY", "Retry", "RetryBudget", "RetryEvent", "RetryPolicy"]

ON_RETRY: Final = "codat_middleware.on_retry"
"""Key in ``Request.extensions`` under which a middleware farther out leaves a hook for one call."""

_log = logging.getLogger(__name__)


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How often, how long and for what to try again. Durations are seconds."""

    attempts: int = 5
    """Most attempts a call, the first included; those answered by 429 are not counted here."""
    refusals: int = 20
    """Most attempts a call that may be answered by 429."""
    elapsed: float = 90.0
    """No attempt begins later than this after the call began, time queued in the governor apart.

    The default lets one whole minute's ``Retry-After`` pass, since the limit on requests
    is one a minute.
    """
    base: float = 0.5
    """The first wait is drawn from 0 to this; the range doubles from wait to wait…"""
    cap: float = 20.0
    """…up to this. Waits at the cap are still drawn from the whole range."""
    statuses: frozenset[int] = frozenset({408, 429, 500, 502, 503, 504})
    """Answers that are worth another try. For POST and PATCH only 429 is ever taken from here."""
    waits: bool = True
    """False for tests: attempts follow at once, and all else stays as it is."""


class RetryBudget:
    """Tokens for retries, shared by all calls, so that a fan-out does not hammer an API that fails.

    Each retry takes one token, each success gives ``refund`` back, and ``per_second`` more
    come with time, up to ``capacity``. With none left failures are reported at once.
    Retries after a 429 take none: the governor is there for those.
    """

    __slots__ = ("_capacity", "_clock", "_per_second", "_refund", "_seen", "tokens")

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
        self._clock: Clock = clock or SystemClock()
        self._seen = self._clock.monotonic()
        self.tokens = capacity
        """How many are left, as of the last retry or success."""

    def take(self) -> bool:
        """Take a token for a retry; False when there is none."""
        now = self._clock.monotonic()
        self.tokens = min(self._capacity, self.tokens + (now - self._seen) * self._per_second)
        self._seen = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def succeeded(self) -> None:
        """Note a success."""
        if self.tokens < self._capacity:
            self.tokens = min(self._capacity, self.tokens + self._refund)


class RetryEvent(Struct, frozen=True, kw_only=True):
    """A retry that is about to be waited for; handed to hooks."""

    request: Request
    """As it was sent in the attempt that failed."""
    attempt: int
    """The attempt that failed, from 1."""
    wait: float
    """Seconds until the next attempt."""
    reason: str
    """Why, in a few words: ``status 503``, ``ConnectionLost``…"""
    status: int | None
    """Of the answer; ``None`` where none came."""
    error: TransportError | None
    """What happened instead of an answer."""
    elapsed: float
    """Seconds since the call began, time queued in the governor apart."""


RetryHook = Callable[[RetryEvent], object]


class _Attempts:
    """What one call has been through; made only when its first attempt failed."""

    __slots__ = ("attempt", "lost", "refused")

    def __init__(self) -> None:
        self.attempt = 1
        self.refused = 0
        self.lost: TransportError | None = None
        """The first failure after which the server may have acted on the request."""


class Retry:
    """Retries what is safe: GET, PUT and DELETE broadly, POST and PATCH by Codat's rules alone.

    - A wait is drawn from the whole range up to a bound that doubles ("full jitter"). A
      ``Retry-After`` is waited for exactly; if it does not fit in what is left of
      ``policy.elapsed``, the answer is returned at once, never retried too early.
    - An attempt of which nothing was sent may be repeated whatever the method, a failed TLS
      handshake never.
    - POST and PATCH are repeated only with an ``Idempotency-Key``, after a 429, after no
      answer, and after a 409 that follows an attempt without answer, for that one means
      that the first try still runs. Never after a 5xx: the same key would replay it, and
      another may write twice. (Source: "Idempotency" in Codat's documents.)
    - A body that can be read only once is not sent again once any of it may have been.
    - A streamed answer is closed before any wait, lest the wait hold its connection.

    When it gives up it returns the last answer or raises the last :class:`TransportError`.
    Where an earlier attempt of a write may have reached the server, the error says so:
    ``sent`` is then true, and the error is raised even over a last answer of 429 or 409,
    since neither tells what became of the write.
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
        """Another policy on the same budget, hook and clock: for one call, or one kind of call."""
        other = Retry(policy, budget=self.budget, on_retry=self._on_retry, clock=self._clock)
        other._random = self._random
        return other

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        """Send the request until it succeeds, is beyond help, or the policy's bounds are met."""
        # Time queued does not count, so the call begins later by what is queued from now on.
        begun = self._clock.monotonic() - queued.get()
        past: _Attempts | None = None
        attempt = request
        while True:
            response: Response | None = None
            error: TransportError | None = None
            try:
                response = await call_next(attempt)
            except TransportError as failure:
                error = failure
            else:
                if response.status < 400:
                    self.budget.succeeded()
                    return response
            if past is None:
                past = _Attempts()
            elapsed = self._clock.monotonic() - queued.get() - begun
            wait = self._wait(attempt, response, error, past, elapsed)
            if wait is None:
                try:
                    return _give_up(attempt, response, error, past, elapsed)
                finally:
                    # An error that its own traceback leads back to would wait for the collector.
                    del error, past
            if response is not None and response.stream is not None:
                await response.stream.aclose()
            self._report(attempt, response, error, past.attempt, wait, elapsed)
            response = error = None
            if wait > 0:
                await self._clock.sleep(wait)
            past.attempt += 1
            attempt = request.copy(attempt=past.attempt)

    def _wait(
        self,
        request: Request,
        response: Response | None,
        error: TransportError | None,
        past: _Attempts,
        elapsed: float,
    ) -> float | None:
        policy = self.policy
        refused = response is not None and response.status == 429
        past.refused += refused
        if error is not None and error.sent and past.lost is None:
            past.lost = error
        if not _safe(request, response, error, past, policy):
            return None
        if past.refused >= policy.refusals or past.attempt - past.refused >= policy.attempts:
            return None
        asked = None
        if response is not None:
            asked = parse_retry_after(response.headers.get("Retry-After"), self._clock.time())
        wait = asked
        if wait is None:
            wait = self._random() * min(policy.cap, policy.base * 2.0 ** min(past.attempt - 1, 60))
        if elapsed + wait > policy.elapsed:
            return None
        if not refused and not self.budget.take():
            _log.warning(
                "the retry budget is spent: %s is not tried again", request.operation or request.path
            )
            return None
        return wait if policy.waits else 0.0

    def _report(
        self,
        request: Request,
        response: Response | None,
        error: TransportError | None,
        attempt: int,
        wait: float,
        elapsed: float,
    ) -> None:
        event = RetryEvent(
            request=request,
            attempt=attempt,
            wait=wait,
            reason=_reason(response, error),
            status=None if response is None else response.status,
            error=error,
            elapsed=elapsed,
        )
        _log.info(
            "%s %s: %s in attempt %d, next in %.3f s",
            request.method,
            request.path,
            event.reason,
            attempt,
            wait,
            extra={
                "operation": request.operation,
                "company_id": request.company_id,
                "attempt": attempt,
                "status": event.status,
                "wait": wait,
                "reason": event.reason,
                "elapsed": elapsed,
            },
        )
        if self._on_retry is not None:
            self._on_retry(event)
        hook = request.extensions.get(ON_RETRY)
        if callable(hook):
            hook(event)


def _safe(
    request: Request,
    response: Response | None,
    error: TransportError | None,
    past: _Attempts,
    policy: RetryPolicy,
) -> bool:
    if isinstance(error, TLSError):
        return False
    if error is not None and not error.sent:
        return True
    if request.body is not None and not request.body.replayable:
        return False
    if response is None:
        return request.idempotent or idempotency_key(request) is not None
    if _in_progress(request, response, past):
        return True
    if response.status not in policy.statuses:
        return False
    return request.idempotent or response.status == 429


def _give_up(
    request: Request,
    response: Response | None,
    error: TransportError | None,
    past: _Attempts,
    elapsed: float,
) -> Response:
    last = error
    untold = error is not None or response is None or response.status == 429
    if (
        past.lost is not None
        and past.lost.outcome_unknown
        and (untold or _in_progress(request, response, past))
    ):
        error = past.lost
        if last is not error:
            error.add_note(f"then, in attempt {past.attempt}: {last or _reason(response, None)}")
    if error is None:
        assert response is not None
        return response
    if past.attempt > 1:
        error.add_note(f"gave up after {past.attempt} attempts in {elapsed:.1f} s")
    try:
        raise error
    finally:
        del error, last, past


def _in_progress(request: Request, response: Response | None, past: _Attempts) -> bool:
    """Whether a 409 means that the first try still runs, and not that data was never synced."""
    return (
        response is not None and response.status == 409 and not request.idempotent and past.lost is not None
    )


def _reason(response: Response | None, error: TransportError | None) -> str:
    return type(error).__name__ if response is None else f"status {response.status}"
