"""What is retried, after how long, and how a call ends when it gives up."""

import asyncio
import contextlib
import gc
import logging
import random
from datetime import UTC, datetime

import pytest

from codat_async.testing import InstantClock
from codat_middleware import (
    ON_RETRY,
    Body,
    Request,
    Response,
    Retry,
    RetryBudget,
    RetryEvent,
    RetryPolicy,
    TransportError,
)
from codat_middleware.clock import queued
from codat_middleware.errors import ConnectError, ConnectionLost, QuotaExhausted, ResponseTooLarge, TLSError
from tests.middleware.fakes import START, FakeClock, FakeStream, Script, get, post

KEYED = {"Idempotency-Key": "k"}
ONCE = Body(b"", replayable=False)


class Fixed(random.Random):
    """Always draws the same fraction of the range."""

    def __init__(self, part: float) -> None:
        super().__init__()
        self.part = part

    def random(self) -> float:
        return self.part


class Setup:
    """A Retry on a clock that records its sleeps."""

    def __init__(self, policy: RetryPolicy | None = None, **options: object) -> None:
        self.clock = SleepNoting()
        self.events: list[RetryEvent] = []
        self.retry = Retry(
            policy,
            clock=self.clock,
            rng=Fixed(0.5),
            on_retry=self.events.append,
            **options,  # type: ignore[arg-type]
        )


class SleepNoting(FakeClock):
    """Sleeps are recorded and return at once."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def lost(method: str = "GET", *, sent: bool = True) -> TransportError:
    """A failure without a response."""
    kind = ConnectionLost if sent else ConnectError
    return kind("no answer", method=method, path="/companies/x", sent=sent)


def answer(status: int, retry_after: str) -> Response:
    """A response with a Retry-After."""
    return Response(status=status, headers={"Retry-After": retry_after})


async def attempts(request: Request, *outcomes: Response | Exception | int) -> int:
    """Return how many attempts a call makes; the last outcome is repeated."""
    script = Script(*outcomes)
    with contextlib.suppress(TransportError):
        await Setup().retry(request, script)
    return len(script.requests)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("outcome", [408, 429, 500, 502, 503, 504, lost(), lost(sent=False)])
async def test_idempotent_methods_are_retried(method: str, outcome: Response | Exception | int) -> None:
    """GET, PUT and DELETE are retried after every failure that may be temporary."""
    assert await attempts(get(method=method), outcome, 200) == 2


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 402, 403, 404, 409, 422, 501])
async def test_final_answers_are_not_retried(status: int) -> None:
    """Successes and permanent failures are returned without a retry."""
    assert await attempts(get(), status, 200) == 1


@pytest.mark.parametrize("outcome", [429, lost("POST"), lost("POST", sent=False)])
async def test_writes_retried_with_their_key(outcome: Response | Exception | int) -> None:
    """POST is retried after a 429 and after no response."""
    assert await attempts(post(headers=KEYED), outcome, 200) == 2


@pytest.mark.parametrize("outcome", [408, 409, 500, 502, 503, 504])
async def test_writes_not_retried(outcome: int) -> None:
    """POST is never retried after a 5xx, nor after a 409 about unsynced data."""
    assert await attempts(post(headers=KEYED), outcome, 200) == 1


async def test_write_without_a_key() -> None:
    """Without a key only a write that was certainly not processed is retried."""
    assert await attempts(post(), lost("POST"), 200) == 1
    assert await attempts(post(), lost("POST", sent=False), 200) == 2
    assert await attempts(post(), 429, 200) == 2


async def test_conflict_of_our_own_first_try() -> None:
    """A 409 after an attempt without a response means that the first one is still running."""
    assert await attempts(post(headers=KEYED), lost("POST"), 409, 409, 200) == 4
    assert await attempts(post(headers=KEYED), 429, 409, 200) == 2
    assert await attempts(get(method="PUT"), lost("PUT"), 409, 200) == 2


async def test_server_error_after_a_lost_write() -> None:
    """A 5xx ends a write even if an earlier attempt had no response."""
    assert await attempts(post(headers=KEYED), lost("POST"), 500, 200) == 2


PUSHED = "/companies/x/connections/y/push/bills/1"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_start_of_a_push_operation(method: str) -> None:
    """Each start is an operation of its own: it is sent again only if it was certainly not carried out."""
    request = get(method=method, path=PUSHED)
    for outcome in (408, 500, 502, 503, 504, lost(method)):
        assert await attempts(request, outcome, 200) == 1
    for outcome in (429, lost(method, sent=False)):
        assert await attempts(request, outcome, 200) == 2
    keyed = request.with_header("Idempotency-Key", "k")
    assert await attempts(keyed, lost(method), 200) == 1, "a key has no effect on these methods"
    assert await attempts(get(path=PUSHED), 503, 200) == 2, "reading one starts nothing"


@pytest.mark.parametrize("outcome", [503, lost("PUT")])
async def test_policy_that_sends_a_push_again(outcome: Response | Exception | int) -> None:
    """The policy may ask for it, if a second operation does no harm."""
    script = Script(outcome, 200)
    await Setup(RetryPolicy(resend_pushes=True)).retry(get(method="PUT", path=PUSHED), script)
    assert len(script.requests) == 2


@pytest.mark.parametrize("error", [TLSError, ResponseTooLarge])
async def test_errors_that_would_come_again(error: type[TransportError]) -> None:
    """A failed TLS handshake and a response that is too large are not retried."""
    failure = error("self-signed", method="GET", path="/", sent=error is ResponseTooLarge)
    assert await attempts(get(), failure, 200) == 1


async def test_body_that_can_be_read_once() -> None:
    """A body that can be read only once is resent only if nothing of it was sent."""
    request = get(method="PUT", body=ONCE)
    assert await attempts(request, lost("PUT"), 200) == 1
    assert await attempts(request, 503, 200) == 1
    assert await attempts(request, lost("PUT", sent=False), 200) == 2
    assert await attempts(get(method="PUT", body=Body(b"x")), 503, 200) == 2


async def test_attempts_are_numbered() -> None:
    """Attempts are numbered; the rest of the request is unchanged."""
    script, request = Script(500, 500, 200), get()
    await Setup().retry(request, script)
    assert script.requests == [request, request.copy(attempt=2), request.copy(attempt=3)]


async def test_attempts_are_bounded() -> None:
    """After the last attempt the last response is returned."""
    setup, script = Setup(RetryPolicy(attempts=3)), Script(500, 502, 503)
    assert (await setup.retry(get(), script)).status == 503
    assert len(script.requests) == 3


async def test_rate_limited_attempts_have_their_own_limit() -> None:
    """429s do not count against ``attempts`` and have a limit of their own."""
    setup = Setup(RetryPolicy(attempts=2, max_rate_limited=4))
    assert (await setup.retry(get(), Script(429, 429, 429, 500, 200))).status == 200
    script = Script(429)
    assert (await setup.retry(get(), script)).status == 429
    assert len(script.requests) == 4


async def test_backoff_doubles_up_to_wait_max() -> None:
    """Waits are drawn from 0 to a bound that doubles up to ``wait_max``."""
    setup = Setup(RetryPolicy(attempts=7, wait_initial=1.0, wait_max=8.0))
    await setup.retry(get(), Script(500))
    assert setup.clock.slept == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


async def test_jitter_at_wait_max() -> None:
    """Waits at ``wait_max`` are drawn from the whole range."""
    clock = SleepNoting()
    policy = RetryPolicy(attempts=400, wait_initial=1.0, wait_max=1.0, max_elapsed=1e9)
    await Retry(policy, clock=clock, rng=random.Random(7))(get(), Script(500))
    assert min(clock.slept) < 0.05
    assert max(clock.slept) > 0.95


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["7", "Fri, 15 Jan 2027 08:00:07 GMT"])
async def test_retry_after_is_waited_for_exactly(status: int, value: str) -> None:
    """Seconds and dates replace the backoff."""
    setup = Setup()
    assert setup.clock.time() == START
    await setup.retry(get(), Script(answer(status, value), 200))
    assert setup.clock.slept == [7.0]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0", "0.0", "Fri, 15 Jan 2027 07:00:00 GMT"])
async def test_retry_after_of_zero(status: int, value: str) -> None:
    """A Retry-After of zero or in the past leaves the backoff in place."""
    setup = Setup(RetryPolicy(attempts=3, max_rate_limited=3))
    await setup.retry(get(), Script(answer(status, value)))
    assert setup.clock.slept == [0.25, 0.5]


async def test_retry_after_by_the_server_clock() -> None:
    """A date is relative to the response's own Date."""
    setup = Setup()
    headers = {"Date": "Fri, 15 Jan 2027 09:00:00 GMT", "Retry-After": "Fri, 15 Jan 2027 09:00:07 GMT"}
    await setup.retry(get(), Script(Response(status=503, headers=headers), 200))
    assert setup.clock.slept == [7.0]


async def test_retry_after_beyond_the_budget() -> None:
    """A Retry-After beyond the remaining time is not waited: the response is returned at once."""
    setup, script = Setup(RetryPolicy(max_elapsed=60)), Script(answer(429, "61"), 200)
    response = await setup.retry(get(), script)
    assert response.headers["Retry-After"] == "61"
    assert setup.clock.slept == []
    assert len(script.requests) == 1


async def test_whole_minute_fits_the_default() -> None:
    """The default policy allows a Retry-After of a minute."""
    setup = Setup()
    assert (await setup.retry(get(), Script(answer(429, "60"), 200))).status == 200


async def test_elapsed_time_is_bounded() -> None:
    """No attempt starts after ``max_elapsed``, which includes the attempts' durations."""
    setup = Setup(RetryPolicy(attempts=100, max_elapsed=60))

    async def slow(request: Request) -> Response:
        setup.clock.now += 25
        return Response(status=503)

    assert (await setup.retry(get(), slow)).status == 503
    assert len(setup.clock.slept) == 2


async def test_queueing_is_not_counted() -> None:
    """Time in the governor's queue is not counted."""
    setup = Setup(RetryPolicy(max_elapsed=60))

    async def queueing(request: Request) -> Response:
        setup.clock.now += 300
        queued.set(queued.get() + 300)
        return Response(status=200 if request.attempt == 3 else 503)

    assert (await setup.retry(get(), queueing)).status == 200


async def test_test_mode() -> None:
    """With waits=False attempts follow at once, and the limits still apply."""
    setup = Setup(RetryPolicy(waits=False, max_elapsed=60))
    assert (await setup.retry(get(), Script(answer(429, "59"), 500, 200))).status == 200
    assert setup.clock.slept == []
    assert (await setup.retry(get(), Script(answer(429, "61"), 200))).status == 429


async def test_instant_clock() -> None:
    """On the instant clock an hour of retries takes no time and is limited as usual."""
    script = Script(503)
    await Retry(RetryPolicy(attempts=9, max_elapsed=3600, wait_initial=100), clock=InstantClock())(
        get(), script
    )
    assert len(script.requests) > 1


async def test_stream_is_closed_before_the_wait() -> None:
    """A streamed response is closed before the wait."""
    stream, closed = FakeStream(), list[int]()
    setup = Setup()
    setup.clock.sleep = lambda seconds: noting()  # type: ignore[method-assign]

    async def noting() -> None:
        closed.append(stream.closed)

    await setup.retry(get(), Script(Response(status=503, stream=stream), 200))
    assert closed == [1]


async def test_cancelling_passes_through() -> None:
    """Cancellation is not treated as a failure."""
    clock, script = FakeClock(), Script(503)
    task = asyncio.ensure_future(Retry(clock=clock)(get(), script))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(script.requests) == 1
    assert clock.armed == 0


async def test_foreign_errors_pass_through() -> None:
    """Only transport errors are retried, not other exceptions."""
    script = Script(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await Setup().retry(get(), script)
    assert len(script.requests) == 1


async def test_last_error_is_raised_with_its_history() -> None:
    """The error has a note with the number of attempts and the time they took."""
    setup = Setup(RetryPolicy(attempts=2))
    with pytest.raises(ConnectError) as caught:
        await setup.retry(get(), Script(lost(), lost(sent=False)))
    assert caught.value.__notes__ == ["gave up after 2 attempts in 0.2 s"]


async def test_unknown_outcome_is_not_hidden() -> None:
    """A write that may have happened is reported as such, whatever its last attempt returned."""
    for last in (lost("POST", sent=False), 401, 402, 403, 429, 409):
        first = lost("POST")
        with pytest.raises(ConnectionLost) as caught:
            await Setup(RetryPolicy(attempts=2, max_rate_limited=1)).retry(
                post(headers=KEYED), Script(first, last)
            )
        assert caught.value is first
        assert caught.value.outcome_unknown
        assert caught.value.__notes__[0].startswith("the last attempt failed with ")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("status", [400, 404, 409, 422])
@pytest.mark.parametrize("first", [lost("PUT"), 503])
async def test_answer_that_the_first_attempt_may_have_caused(
    method: str, status: int, first: Response | Exception | int
) -> None:
    """It is returned, with the failure of the attempt that may have been carried out."""
    response = await Setup().retry(get(method=method), Script(first, status))
    assert response.status == status
    assert response.unconfirmed == ("status 503" if first == 503 else "ConnectionLost")
    for harmless in (429, 408, lost(method, sent=False)):
        assert (await Setup().retry(get(method=method), Script(harmless, status))).unconfirmed is None
    assert (await Setup().retry(get(), Script(first, status))).unconfirmed is None


async def test_unknown_outcome_is_not_hidden_by_other_errors() -> None:
    """Another exception becomes the cause of the error about the unknown outcome."""
    first, last = lost("POST"), QuotaExhausted(datetime(2027, 1, 16, tzinfo=UTC))
    with pytest.raises(ConnectionLost) as caught:
        await Setup().retry(post(headers=KEYED), Script(first, last))
    assert caught.value is first
    assert caught.value.__cause__ is last
    assert caught.value.__notes__ == [
        "the last attempt failed with QuotaExhausted",
        "gave up after 2 attempts in 0.2 s",
    ]


@pytest.mark.parametrize("failure", [lost("GET"), lost("GET", sent=False)])
async def test_other_errors_after_a_failure_that_changed_nothing(failure: TransportError) -> None:
    """If nothing can have happened, the last exception is raised unchanged."""
    last = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError) as caught:
        await Setup().retry(get(), Script(failure, last))
    assert caught.value is last
    assert not hasattr(last, "__notes__")


async def test_reads_report_their_last_answer() -> None:
    """A GET has no unknown outcome."""
    setup = Setup(RetryPolicy(max_rate_limited=1))
    assert (await setup.retry(get(), Script(lost(), 429))).status == 429


@pytest.mark.parametrize("last", [None, ZeroDivisionError])
async def test_failed_call_leaves_no_cycle(last: type[Exception] | None) -> None:
    """A raised error is freed by reference counting, without the garbage collector."""

    async def unreachable(request: Request) -> Response:
        raise last() if last is not None and request.attempt == 2 else Unreachable

    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(Unreachable):
            await Retry(RetryPolicy(attempts=2), clock=SleepNoting())(post(headers=KEYED), unreachable)
        assert not any(isinstance(held, Unreachable) for held in gc.get_objects())
    finally:
        gc.enable()


class Unreachable(ConnectError):
    """An error raised only in this test."""

    def __init__(self) -> None:
        super().__init__("gone", method="POST", path="/", sent=True)


async def test_event() -> None:
    """A hook sees each retry before its wait."""
    setup = Setup()
    failure = lost()
    await setup.retry(get(), Script(failure, answer(503, "9"), 200))
    first, second = setup.events
    assert first.request == get()
    assert (first.request.attempt, first.wait, first.reason) == (1, 0.25, "ConnectionLost")
    assert first.outcome is failure
    assert (second.request.attempt, second.wait, second.reason) == (2, 9.0, "status 503")
    assert isinstance(second.outcome, Response)
    assert second.elapsed == 0.25


async def test_hook_for_one_call() -> None:
    """An outer middleware can set a hook in the request's extensions."""
    seen: list[RetryEvent] = []
    retry = Retry(RetryPolicy(waits=False))
    await retry(get(extensions={ON_RETRY: seen.append}), Script(503, 200))
    await retry(get(extensions={ON_RETRY: "not a hook"}), Script(503, 200))
    assert [event.reason for event in seen] == ["status 503"]


async def test_policy_for_one_call() -> None:
    """A copy with another policy shares the budget and the hook."""
    setup = Setup(RetryPolicy(attempts=9))
    other = setup.retry.with_policy(RetryPolicy(attempts=1))
    script = Script(500)
    await other(get(), script)
    assert len(script.requests) == 1
    assert other.budget is setup.retry.budget
    await setup.retry.with_policy(RetryPolicy(attempts=2))(get(), Script(500))
    assert len(setup.events) == 1


async def test_budget_stops_a_fan_out() -> None:
    """Concurrent failing calls share the budget's retries."""
    clock = SleepNoting()
    budget = RetryBudget(10, clock=FakeClock())
    script = Script(500)
    retries = [Retry(budget=budget, clock=clock) for _ in range(2)]
    await asyncio.gather(*(retries[n % 2](get(), script) for n in range(100)))
    assert len(script.requests) == 110
    assert budget.tokens < 1


async def test_budget_does_not_apply_to_429() -> None:
    """A 429 is retried even when the budget is spent."""
    clock = SleepNoting()
    budget = RetryBudget(0, clock=FakeClock())
    assert (await Retry(budget=budget, clock=clock)(get(), Script(429, 429, 200))).status == 200


async def test_budget_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    """Successes and time refill the budget; exhaustion is logged once each time."""
    clock = FakeClock()
    budget = RetryBudget(2, clock=clock)
    assert [budget.take() for _ in range(4)] == [True, True, False, False]
    assert len(caplog.records) == 1
    for _ in range(11):
        budget.succeeded()
    assert budget.take()
    assert not budget.take()
    assert len(caplog.records) == 2
    clock.now += 1
    assert budget.take()
    clock.now += 1000
    assert budget.take()
    assert budget.tokens == 1
    for _ in range(99):
        budget.succeeded()
    assert budget.tokens == 2


async def test_successes_refund_the_budget() -> None:
    """A successful call refunds the budget, a failed one does not."""
    clock = SleepNoting()
    budget = RetryBudget(10, clock=clock)
    budget.tokens = 5
    await Retry(budget=budget, clock=clock)(get(), Script(200))
    await Retry(budget=budget, clock=clock)(get(), Script(404))
    assert budget.tokens == 5.1


async def test_retries_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A retry is logged at INFO, the failure of a retried call at WARNING."""
    caplog.set_level(logging.INFO, "codat_middleware.retry")
    await Setup(RetryPolicy(attempts=2)).retry(get(), Script(503))
    retried, ended = caplog.records
    assert (retried.levelname, ended.levelname) == ("INFO", "WARNING")
    assert retried.getMessage() == "GET /companies/x: status 503 in attempt 1, retrying in 0.250 s"
    extra = {key: retried.__dict__[key] for key in ("operation", "company_id", "attempt", "status", "wait")}
    assert extra == {"operation": "things.list", "company_id": "a", "attempt": 1, "status": 503, "wait": 0.25}
    assert ended.getMessage() == "GET /companies/x: gave up after attempt 2: status 503"


@pytest.mark.parametrize("name", ["attempts", "max_rate_limited", "max_elapsed", "wait_initial", "wait_max"])
def test_invalid_policy(name: str) -> None:
    """Invalid values are rejected when the policy is created."""
    with pytest.raises(ValueError, match=f"{name} is -1"):
        RetryPolicy(**{name: -1})
