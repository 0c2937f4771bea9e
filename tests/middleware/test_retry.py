"""What is tried again, after how long, and how a call ends when nothing helps."""

import asyncio
import contextlib
import gc
import logging
import random
from datetime import UTC, datetime

import pytest

from codat_middleware import (
    ON_RETRY,
    Body,
    ConnectError,
    ConnectionLost,
    InstantClock,
    QuotaExhausted,
    Request,
    Response,
    Retry,
    RetryBudget,
    RetryEvent,
    RetryPolicy,
    TLSError,
    TransportError,
)
from codat_middleware.clock import queued
from tests.middleware.fakes import START, FakeClock, FakeStream, Script, get, post

KEYED = {"Idempotency-Key": "k"}
ONCE = Body(b"", replayable=False)


class Fixed(random.Random):
    """Draws the same part of every range."""

    def __init__(self, part: float) -> None:
        super().__init__()
        self.part = part

    def random(self) -> float:
        return self.part


class Setup:
    """A Retry whose waits take no time, on a clock that notes them."""

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
    """Sleeping is noted and over at once."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def lost(method: str = "GET", *, sent: bool = True) -> TransportError:
    """A failure without an answer."""
    kind = ConnectionLost if sent else ConnectError
    return kind("no answer", method=method, path="/companies/x", sent=sent)


def answer(status: int, retry_after: str) -> Response:
    """An answer that says when to come back."""
    return Response(status=status, headers={"Retry-After": retry_after})


async def attempts(request: Request, *outcomes: Response | Exception | int) -> int:
    """How many attempts a call takes; the last outcome is repeated."""
    script = Script(*outcomes)
    with contextlib.suppress(TransportError):
        await Setup().retry(request, script)
    return len(script.requests)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("outcome", [408, 429, 500, 502, 503, 504, lost(), lost(sent=False)])
async def test_idempotent_methods_are_retried(method: str, outcome: Response | Exception | int) -> None:
    """GET, PUT and DELETE are sent again after each failure that may pass."""
    assert await attempts(get(method=method), outcome, 200) == 2


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 402, 403, 404, 409, 422, 501])
async def test_final_answers_are_not_retried(status: int) -> None:
    """Successes and answers that another try would not change are returned."""
    assert await attempts(get(), status, 200) == 1


@pytest.mark.parametrize("outcome", [429, lost("POST"), lost("POST", sent=False)])
async def test_writes_retried_with_their_key(outcome: Response | Exception | int) -> None:
    """POST is sent again after a 429 and after no answer."""
    assert await attempts(post(headers=KEYED), outcome, 200) == 2


@pytest.mark.parametrize("outcome", [408, 409, 500, 502, 503, 504])
async def test_writes_not_retried(outcome: int) -> None:
    """POST is never sent again after a 5xx, nor after a 409 that speaks of unsynced data."""
    assert await attempts(post(headers=KEYED), outcome, 200) == 1


async def test_write_without_a_key() -> None:
    """Without a key only what surely was not carried out is sent again."""
    assert await attempts(post(), lost("POST"), 200) == 1
    assert await attempts(post(), lost("POST", sent=False), 200) == 2
    assert await attempts(post(), 429, 200) == 2


async def test_conflict_of_our_own_first_try() -> None:
    """A 409 after an attempt without answer means that the first one still runs."""
    assert await attempts(post(headers=KEYED), lost("POST"), 409, 409, 200) == 4
    assert await attempts(post(headers=KEYED), 429, 409, 200) == 2
    assert await attempts(get(method="PUT"), lost("PUT"), 409, 200) == 2


async def test_server_error_after_a_lost_write() -> None:
    """A 5xx ends a write even when an attempt before had no answer."""
    assert await attempts(post(headers=KEYED), lost("POST"), 500, 200) == 2


async def test_tls_failure_is_final() -> None:
    """A certificate that is not accepted now will not be accepted in a second."""
    error = TLSError("self-signed", method="GET", path="/", sent=False)
    assert await attempts(get(), error, 200) == 1


async def test_body_that_can_be_read_once() -> None:
    """Such a body is sent again only when nothing of it can have been sent."""
    request = get(method="PUT", body=ONCE)
    assert await attempts(request, lost("PUT"), 200) == 1
    assert await attempts(request, 503, 200) == 1
    assert await attempts(request, lost("PUT", sent=False), 200) == 2
    assert await attempts(get(method="PUT", body=Body(b"x")), 503, 200) == 2


async def test_attempts_are_numbered() -> None:
    """Each attempt carries its number, and the rest of the request unchanged."""
    script, request = Script(500, 500, 200), get()
    await Setup().retry(request, script)
    assert script.requests == [request, request.copy(attempt=2), request.copy(attempt=3)]


async def test_attempts_are_bounded() -> None:
    """After the last attempt the last answer is returned."""
    setup, script = Setup(RetryPolicy(attempts=3)), Script(500, 502, 503)
    assert (await setup.retry(get(), script)).status == 503
    assert len(script.requests) == 3


async def test_refusals_have_a_bound_of_their_own() -> None:
    """A storm of 429 does not use up the attempts for failures, and is bounded all the same."""
    setup = Setup(RetryPolicy(attempts=2, refusals=4))
    assert (await setup.retry(get(), Script(429, 429, 429, 500, 200))).status == 200
    script = Script(429)
    assert (await setup.retry(get(), script)).status == 429
    assert len(script.requests) == 4


async def test_backoff_doubles_up_to_the_cap() -> None:
    """Waits are drawn from 0 to a bound that doubles, and from the whole range at the cap too."""
    setup = Setup(RetryPolicy(attempts=7, base=1.0, cap=8.0))
    await setup.retry(get(), Script(500))
    assert setup.clock.slept == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


async def test_jitter_keeps_at_the_cap() -> None:
    """Waits at the cap spread over all of it."""
    clock = SleepNoting()
    policy = RetryPolicy(attempts=400, base=1.0, cap=1.0, elapsed=1e9)
    await Retry(policy, clock=clock, rng=random.Random(7))(get(), Script(500))
    assert min(clock.slept) < 0.05
    assert max(clock.slept) > 0.95


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["7", "Fri, 15 Jan 2027 08:00:07 GMT"])
async def test_retry_after_is_waited_for_exactly(status: int, value: str) -> None:
    """Seconds and dates alike replace the backoff."""
    setup = Setup()
    assert setup.clock.time() == START
    await setup.retry(get(), Script(answer(status, value), 200))
    assert setup.clock.slept == [7.0]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0", "0.0", "Fri, 15 Jan 2027 07:00:00 GMT"])
async def test_retry_after_that_is_over(status: int, value: str) -> None:
    """One of nothing, or gone by, does not do away with the backoff."""
    setup = Setup(RetryPolicy(attempts=3, refusals=3))
    await setup.retry(get(), Script(answer(status, value)))
    assert setup.clock.slept == [0.25, 0.5]


async def test_retry_after_by_the_clock_of_the_server() -> None:
    """A date is waited for by the answer's own Date."""
    setup = Setup()
    headers = {"Date": "Fri, 15 Jan 2027 09:00:00 GMT", "Retry-After": "Fri, 15 Jan 2027 09:00:07 GMT"}
    await setup.retry(get(), Script(Response(status=503, headers=headers), 200))
    assert setup.clock.slept == [7.0]


async def test_retry_after_beyond_the_budget() -> None:
    """One that does not fit in the time left is the caller's to see, at once and unshortened."""
    setup, script = Setup(RetryPolicy(elapsed=60)), Script(answer(429, "61"), 200)
    response = await setup.retry(get(), script)
    assert response.headers["Retry-After"] == "61"
    assert setup.clock.slept == []
    assert len(script.requests) == 1


async def test_whole_minute_fits_the_default() -> None:
    """The default lets the limit's own period pass."""
    setup = Setup()
    assert (await setup.retry(get(), Script(answer(429, "60"), 200))).status == 200


async def test_elapsed_time_is_bounded() -> None:
    """No attempt begins after the budget, attempts' own durations included."""
    setup = Setup(RetryPolicy(attempts=100, elapsed=60))

    async def slow(request: Request) -> Response:
        setup.clock.now += 25
        return Response(status=503)

    assert (await setup.retry(get(), slow)).status == 503
    assert len(setup.clock.slept) == 2


async def test_queueing_is_not_counted() -> None:
    """Time in the governor's queue leaves the budget whole."""
    setup = Setup(RetryPolicy(elapsed=60))

    async def queueing(request: Request) -> Response:
        setup.clock.now += 300
        queued.set(queued.get() + 300)
        return Response(status=200 if request.attempt == 3 else 503)

    assert (await setup.retry(get(), queueing)).status == 200


async def test_test_mode() -> None:
    """With waits=False attempts follow at once, and the bounds still hold."""
    setup = Setup(RetryPolicy(waits=False, elapsed=60))
    assert (await setup.retry(get(), Script(answer(429, "59"), 500, 200))).status == 200
    assert setup.clock.slept == []
    assert (await setup.retry(get(), Script(answer(429, "61"), 200))).status == 429


async def test_instant_clock() -> None:
    """On the instant clock an hour's outage takes no time and is bounded as ever."""
    script = Script(503)
    await Retry(RetryPolicy(attempts=9, elapsed=3600, base=100), clock=InstantClock())(get(), script)
    assert len(script.requests) > 1


async def test_stream_is_closed_before_the_wait() -> None:
    """A streamed answer gives its connection back before anybody sleeps."""
    stream, closed = FakeStream(), list[int]()
    setup = Setup()
    setup.clock.sleep = lambda seconds: noting()  # type: ignore[method-assign]

    async def noting() -> None:
        closed.append(stream.closed)

    await setup.retry(get(), Script(Response(status=503, stream=stream), 200))
    assert closed == [1]


async def test_cancelling_passes_through() -> None:
    """A cancelled call is not taken for a failure."""
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
    """Only failures of the transport are retried, not mistakes in a middleware."""
    script = Script(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await Setup().retry(get(), script)
    assert len(script.requests) == 1


async def test_last_error_is_raised_with_its_history() -> None:
    """The error says after how many attempts and how long it was given up."""
    setup = Setup(RetryPolicy(attempts=2))
    with pytest.raises(ConnectError) as caught:
        await setup.retry(get(), Script(lost(), lost(sent=False)))
    assert caught.value.__notes__ == ["gave up after 2 attempts in 0.2 s"]


async def test_unknown_outcome_is_not_hidden() -> None:
    """A write that may have happened is reported so, whatever its last attempt met."""
    for last in (lost("POST", sent=False), 401, 429, 409):
        first = lost("POST")
        with pytest.raises(ConnectionLost) as caught:
            await Setup(RetryPolicy(attempts=2, refusals=1)).retry(post(headers=KEYED), Script(first, last))
        assert caught.value is first
        assert caught.value.outcome_unknown
        assert caught.value.__notes__[0].startswith("the last attempt ended in ")


async def test_unknown_outcome_is_not_hidden_by_other_errors() -> None:
    """Nor by an error that is none of the transport's: it becomes the cause."""
    first, last = lost("POST"), QuotaExhausted(datetime(2027, 1, 16, tzinfo=UTC))
    with pytest.raises(ConnectionLost) as caught:
        await Setup().retry(post(headers=KEYED), Script(first, last))
    assert caught.value is first
    assert caught.value.__cause__ is last
    assert caught.value.__notes__ == [
        "the last attempt ended in QuotaExhausted",
        "gave up after 2 attempts in 0.2 s",
    ]


@pytest.mark.parametrize("failure", [lost("GET"), lost("GET", sent=False)])
async def test_other_errors_after_a_failure_that_changed_nothing(failure: TransportError) -> None:
    """Where nothing can have happened, what was raised last is raised as it is."""
    last = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError) as caught:
        await Setup().retry(get(), Script(failure, last))
    assert caught.value is last
    assert not hasattr(last, "__notes__")


async def test_reads_report_their_last_answer() -> None:
    """A GET has no outcome to be unsure of."""
    setup = Setup(RetryPolicy(refusals=1))
    assert (await setup.retry(get(), Script(lost(), 429))).status == 429


@pytest.mark.parametrize("last", [None, ZeroDivisionError])
async def test_failed_call_leaves_no_cycle(last: type[Exception] | None) -> None:
    """An error that is raised is freed with its last reference, without the collector."""

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
    """An error that no other test makes."""

    def __init__(self) -> None:
        super().__init__("gone", method="POST", path="/", sent=True)


async def test_event() -> None:
    """A hook sees each retry before its wait."""
    setup = Setup()
    failure = lost()
    await setup.retry(get(), Script(failure, answer(503, "9"), 200))
    first, second = setup.events
    assert first.request == get()
    assert (first.attempt, first.wait, first.reason, first.status) == (1, 0.25, "ConnectionLost", None)
    assert first.error is failure
    assert (second.attempt, second.wait, second.reason, second.status) == (2, 9.0, "status 503", 503)
    assert second.error is None
    assert second.elapsed == 0.25


async def test_hook_for_one_call() -> None:
    """A middleware farther out can leave a hook with the request."""
    seen: list[RetryEvent] = []
    retry = Retry(RetryPolicy(waits=False))
    await retry(get(extensions={ON_RETRY: seen.append}), Script(503, 200))
    await retry(get(extensions={ON_RETRY: "not a hook"}), Script(503, 200))
    assert [event.status for event in seen] == [503]


async def test_policy_for_one_call() -> None:
    """Another policy shares budget and hook."""
    setup = Setup(RetryPolicy(attempts=9))
    other = setup.retry.with_policy(RetryPolicy(attempts=1))
    script = Script(500)
    await other(get(), script)
    assert len(script.requests) == 1
    assert other.budget is setup.retry.budget
    await setup.retry.with_policy(RetryPolicy(attempts=2))(get(), Script(500))
    assert len(setup.events) == 1


async def test_budget_stops_a_fan_out() -> None:
    """Calls that fail together retry as often as the budget allows in all."""
    clock = SleepNoting()
    budget = RetryBudget(10, per_second=0, clock=clock)
    script = Script(500)
    retries = [Retry(budget=budget, clock=clock) for _ in range(2)]
    await asyncio.gather(*(retries[n % 2](get(), script) for n in range(100)))
    assert len(script.requests) == 110
    assert budget.tokens < 1


async def test_budget_is_not_for_refusals() -> None:
    """A 429 is retried even when the budget is spent."""
    clock = SleepNoting()
    budget = RetryBudget(0, per_second=0, clock=clock)
    assert (await Retry(budget=budget, clock=clock)(get(), Script(429, 429, 200))).status == 200


async def test_budget_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    """Successes and time refill it up to its capacity; running dry is logged once each time."""
    clock = FakeClock()
    budget = RetryBudget(2, refund=0.5, per_second=0.1, clock=clock)
    assert [budget.take() for _ in range(4)] == [True, True, False, False]
    assert len(caplog.records) == 1
    budget.succeeded()
    budget.succeeded()
    assert budget.take()
    assert not budget.take()
    assert len(caplog.records) == 2
    clock.now += 10
    assert budget.take()
    clock.now += 1000
    assert budget.take()
    for _ in range(9):
        budget.succeeded()
    assert budget.tokens == 2


async def test_successes_refund_the_budget() -> None:
    """A call that succeeds gives back to the budget, one that fails does not."""
    clock = SleepNoting()
    budget = RetryBudget(10, refund=0.5, per_second=0, clock=clock)
    budget.tokens = 5
    await Retry(budget=budget, clock=clock)(get(), Script(200))
    await Retry(budget=budget, clock=clock)(get(), Script(404))
    assert budget.tokens == 5.5


async def test_retries_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A retry is a line at INFO, the end of a call that needed one and failed a WARNING."""
    caplog.set_level(logging.INFO, "codat_middleware.retry")
    await Setup(RetryPolicy(attempts=2)).retry(get(), Script(503))
    retried, ended = caplog.records
    assert (retried.levelname, ended.levelname) == ("INFO", "WARNING")
    assert retried.getMessage() == "GET /companies/x: status 503 in attempt 1, next in 0.250 s"
    extra = {key: retried.__dict__[key] for key in ("operation", "company_id", "attempt", "status", "wait")}
    assert extra == {"operation": "things.list", "company_id": "a", "attempt": 1, "status": 503, "wait": 0.25}
    assert ended.getMessage() == "GET /companies/x: ended in attempt 2 with status 503"


@pytest.mark.parametrize("name", ["attempts", "refusals", "elapsed", "base", "cap"])
def test_a_policy_that_makes_no_sense(name: str) -> None:
    """Is refused where it is made."""
    with pytest.raises(ValueError, match=f"{name} is -1"):
        RetryPolicy(**{name: -1})
