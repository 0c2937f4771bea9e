"""Sends a request again when that is safe and of use, and waits between the attempts."""

import logging
import random
from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Struct

from codat_middleware.budget import RetryBudget
from codat_middleware.clock import Clock, SystemClock, queued
from codat_middleware.errors import TLSError, TransportError
from codat_middleware.headers import retry_after
from codat_middleware.idempotency import idempotency_key
from codat_middleware.messages import Request, Response
from codat_middleware.pipeline import Handler

__all__ = ["ON_RETRY", "Retry", "RetryEvent", "RetryPolicy"]

ON_RETRY: Final = "codat_middleware.on_retry"
"""Key in ``Request.extensions`` under which a middleware farther out leaves a hook for one call."""

_log = logging.getLogger(__name__)


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How often, how long and for what to try again. Durations are seconds.

    Raises :class:`ValueError` for fewer attempts than one, and for a negative duration.
    """

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

    def __post_init__(self) -> None:
        for name in ("attempts", "refusals"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("elapsed", "base", "cap"):
            # Put so that it refuses a NaN as well.
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative")


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


_Outcome: TypeAlias = Response | TransportError


class _Past:
    """What one call has been through; made only when its first attempt failed."""

    __slots__ = ("attempt", "lost", "refused")

    def __init__(self) -> None:
        self.attempt = 1
        self.refused = 0
        self.lost: TransportError | None = None
        """The first failure after which the server may have acted on the request."""

    def note(self, outcome: _Outcome) -> None:
        if isinstance(outcome, Response):
            self.refused += outcome.status == 429
        elif outcome.sent and self.lost is None:
            self.lost = outcome


class Retry:
    """Retries what is safe: GET, PUT and DELETE broadly, POST and PATCH by Codat's rules alone.

    - A wait is drawn from the whole range up to a bound that doubles ("full jitter"). A
      ``Retry-After`` is waited for exactly; if it does not fit in what is left of
      ``policy.elapsed``, the answer is returned at once, never retried too early. One of 0,
      or of a time gone by, says nothing of when the server will be well, and is not heard.
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
    ``sent`` is then true, and the error is raised even over a last answer of 401, 409 or
    429 and over whatever else was raised instead of an answer (it is then the
    ``__cause__``), since none of them tells what became of the write.
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
        past: _Past | None = None
        attempt = request
        while True:
            outcome: _Outcome
            try:
                outcome = await call_next(attempt)
            except TransportError as error:
                outcome = error
            except Exception as error:
                if past is None or past.lost is None or not past.lost.outcome_unknown:
                    raise
                past.lost.__cause__ = error
                try:
                    return _end(attempt, error, past, self._elapsed(begun))
                finally:
                    # As below.
                    del past
            else:
                if outcome.status < 400:
                    self.budget.succeeded()
                    return outcome
            past = past or _Past()
            past.note(outcome)
            elapsed = self._elapsed(begun)
            wait = self._wait(attempt, outcome, past, elapsed)
            if wait is None:
                try:
                    return _end(attempt, outcome, past, elapsed)
                finally:
                    # An error that its own traceback leads back to would wait for the collector.
                    del outcome, past
            if isinstance(outcome, Response) and outcome.stream is not None:
                await outcome.stream.aclose()
            self._report(attempt, outcome, wait, elapsed)
            del outcome
            if wait > 0.0:
                await self._clock.sleep(wait)
            past.attempt += 1
            attempt = request.copy(attempt=past.attempt)

    def _elapsed(self, begun: float) -> float:
        return self._clock.monotonic() - queued.get() - begun

    def _wait(self, request: Request, outcome: _Outcome, past: _Past, elapsed: float) -> float | None:
        policy = self.policy
        if not _safe(request, outcome, past, policy):
            return None
        if past.refused >= policy.refusals or past.attempt - past.refused >= policy.attempts:
            return None
        wait = None
        if isinstance(outcome, Response):
            wait = retry_after(outcome.headers, self._clock.time())
        if not wait:
            wait = self._random() * min(policy.cap, policy.base * 2.0 ** min(past.attempt - 1, 60))
        if elapsed + wait > policy.elapsed:
            return None
        if not _refused(outcome) and not self.budget.take():
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
            "%s %s: %s in attempt %d, next in %.3f s",
            request.method,
            request.path,
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


def _safe(request: Request, outcome: _Outcome, past: _Past, policy: RetryPolicy) -> bool:
    if isinstance(outcome, TransportError):
        if isinstance(outcome, TLSError):
            return False
        if not outcome.sent:
            return True
    if request.body is not None and not request.body.replayable:
        return False
    if isinstance(outcome, TransportError):
        return request.idempotent or idempotency_key(request) is not None
    if _in_progress(request, outcome, past):
        return True
    return outcome.status in policy.statuses and (request.idempotent or outcome.status == 429)


def _end(request: Request, outcome: Response | Exception, past: _Past, elapsed: float) -> Response:
    """Return the last answer, or raise what tells most truly how the call ended."""
    last = _reason(outcome)
    untold = (
        not isinstance(outcome, Response)
        or outcome.status in (401, 429)
        or _in_progress(request, outcome, past)
    )
    if past.lost is not None and past.lost is not outcome and past.lost.outcome_unknown and untold:
        outcome = past.lost
        outcome.add_note(f"the last attempt ended in {last}")
    if past.attempt > 1:
        _log.warning(
            "%s %s: ended in attempt %d with %s",
            request.method,
            request.path,
            past.attempt,
            last,
            extra=_extra(request, outcome, elapsed),
        )
    if isinstance(outcome, Response):
        return outcome
    if past.attempt > 1:
        outcome.add_note(f"gave up after {past.attempt} attempts in {elapsed:.1f} s")
    try:
        raise outcome
    finally:
        del outcome, past


def _refused(outcome: _Outcome) -> bool:
    return isinstance(outcome, Response) and outcome.status == 429


def _in_progress(request: Request, answer: Response, past: _Past) -> bool:
    """Whether a 409 means that the first try still runs, and not that data was never synced."""
    return answer.status == 409 and past.lost is not None and not request.idempotent


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
