"""How long a call waits for a place, and for how long a request that timed out keeps its own."""

import asyncio
import random
from typing import Any

import pytest

from codat_middleware import Governor, GovernorEvent, Limits, RateLimit, Response, Retry, RetryPolicy, compose
from codat_middleware.errors import QueueTimeout, RequestTimeout
from tests.middleware.fakes import (
    Bench,
    FakeClock,
    Held,
    Script,
    get,
    ghosts,
    held,
    places,
    quota_headers,
    rate_limited,
    settle,
)

UNPACED = Limits(per_minute=None)


def timed_out(sent: bool = True) -> RequestTimeout:
    """A time-out at the client."""
    return RequestTimeout("no answer", method="GET", path="/companies/x", sent=sent, phase="total")


@pytest.mark.parametrize("changes", [{"max_place_wait": 0.0}, {"max_place_wait": -1.0}])
def test_durations_out_of_range(changes: dict[str, Any]) -> None:
    """Durations that make no sense are rejected."""
    with pytest.raises(ValueError, match="greater than 0"):
        Limits(**changes)


async def test_call_inside_its_companys_downloads() -> None:
    """A call that waits for downloads of its own company fails, and names what holds the places."""
    bench = Bench(UNPACED)
    await bench.queue(*["a"] * 11)
    for _ in range(10):
        bench.answer("a")
    assert bench.state.waiting_for == ("a place of company a: 10 of its requests and downloads are in flight")
    await bench.clock.advance(299)
    assert not bench.tasks[10].done()
    await bench.clock.advance(2)
    error = bench.tasks[10].exception()
    assert isinstance(error, QueueTimeout)
    assert str(error) == (
        "no place for 300 s, waiting for a place of company a: 10 of its requests and downloads are in flight"
    )
    assert (bench.state.waiting, bench.clock.armed) == (0, 0)


async def test_call_inside_the_only_connections_download() -> None:
    """With one connection, a call inside an open download of another company fails as well."""
    bench = Bench(UNPACED)
    bench.governor.bound_in_flight(1)
    await bench.queue("a", "b")
    bench.answer("a")
    assert bench.state.waiting_for == "a connection: all 1 are in use by requests and open downloads"
    await bench.clock.advance(301)
    assert isinstance(bench.tasks[1].exception(), QueueTimeout)


async def test_moving_queue_is_waited_for() -> None:
    """Only time without a released place counts: a queue that moves is waited for as long as it takes."""
    bench = Bench(Limits(per_minute=None, in_flight_per_company=1))
    await bench.queue(*["a"] * 5)
    for _ in range(4):
        await bench.clock.advance(250)
        bench.done("a")
        await settle()
    assert len(bench.order) == 5
    bench.done("a")
    bench.assert_idle()


async def test_queue_of_one_company_does_not_hide_anothers() -> None:
    """Places released in another company do not count for a full one."""
    bench = Bench(Limits(per_minute=None, in_flight_per_company=1))
    await bench.queue("a", "a", "b")
    for _ in range(2):
        await bench.clock.advance(200)
        bench.done("b")
        await bench.queue("b")
    assert isinstance(bench.tasks[1].exception(), QueueTimeout)
    bench.done("b")
    bench.done("a")
    bench.assert_idle()


async def test_waiting_for_the_pace_and_pauses_is_not_bounded() -> None:
    """Pace and pauses do not count: these calls wait for more than ten minutes, rightly."""
    bench = Bench(Limits(per_minute=1, in_flight_per_company=None))
    await bench.queue(*["a"] * 12)
    for _ in range(12):
        bench.done("a")
        await bench.clock.advance(61)
    assert len(bench.order) == 12
    assert not any(task.exception() for task in bench.tasks)
    await bench.clock.advance(60)
    bench.assert_idle()


async def test_waiting_for_ever() -> None:
    """Without a bound a call waits for a place as long as it takes."""
    bench = Bench(Limits(per_minute=None, in_flight=1, max_place_wait=None))
    await bench.queue("a", "b")
    await bench.clock.advance(100_000)
    bench.done("a")
    await settle()
    assert bench.order == ["a", "b"]


async def test_held_company_is_waited_for() -> None:
    """The hold of a company does not count as waiting for a place."""
    bench = Bench(Limits(per_minute=None, max_place_wait=5.0))
    await bench.send("b")
    for _ in range(2):
        await bench.send("a", rate_limited("30"))
        await bench.send("b")
    await bench.queue("a")
    assert bench.state.waiting_for == "the pause for company a after 429s, 30.0 s left"
    assert held(bench.governor) == ["a"]
    assert (bench.events[-1].kind, bench.events[-1].company_id) == ("held", "a")
    await bench.clock.advance(31)
    assert bench.order[-1] == "a"
    bench.done("a")
    bench.assert_idle()


async def test_one_at_a_time_after_a_hold() -> None:
    """After its hold a company has one request in flight until one succeeds."""
    bench = Bench(UNPACED)
    await bench.send("b")
    for _ in range(2):
        await bench.send("a", rate_limited("1"))
        await bench.send("b")
    await bench.clock.advance(3)
    await bench.queue(*["a"] * 3)
    assert places(bench.governor) == {"a": 1}
    bench.done("a")
    await settle()
    assert places(bench.governor) == {"a": 2}
    bench.done("a")
    bench.done("a")
    bench.assert_idle()


# --- requests that timed out --------------------------------------------------------------------


async def test_timed_out_request_keeps_its_place() -> None:
    """The server may still work on it: for as long as the attempt took its company has a place less."""
    bench = Bench(Limits(per_minute=None, in_flight_per_company=2))
    first = bench.governor.try_acquire("a")
    assert first is not None
    await bench.clock.advance(10)
    bench.governor.finished(first, None, timed_out=True)
    assert (bench.state.in_flight, ghosts(bench.governor)) == (0, 1)
    await bench.queue("a", "a", "b")
    assert bench.order == ["a", "b"]
    assert bench.state.waiting_for == (
        "a place of company a: 1 of its requests and downloads are in flight, "
        "and 1 that timed out may still run there"
    )
    await bench.clock.advance(10.1)
    assert bench.order == ["a", "b", "a"]
    assert ghosts(bench.governor) == 0


async def test_no_ghost_is_longer_than_thirty_seconds() -> None:
    """After 30 seconds the place is free, however long the attempt took."""
    bench = Bench(Limits(per_minute=None, in_flight_per_company=1))
    first = bench.governor.try_acquire("a")
    assert first is not None
    await bench.clock.advance(100)
    bench.governor.finished(first, None, timed_out=True)
    await bench.queue("a")
    await bench.clock.advance(29.9)
    assert bench.order == []
    await bench.clock.advance(0.2)
    assert bench.order == ["a"]


async def test_ghost_of_a_company_that_is_rate_limited() -> None:
    """A company that sends one request at a time waits for its answer; the end of a ghost changes nothing."""
    bench = Bench(UNPACED)
    await bench.send("b")
    first = bench.governor.try_acquire("a")
    assert first is not None
    await bench.clock.advance(20)
    bench.governor.finished(first, None, timed_out=True)
    for _ in range(2):
        await bench.send("a", rate_limited("1"))
        await bench.send("b")
    await bench.clock.advance(5)
    await bench.queue("a", "a")
    assert (places(bench.governor), bench.state.waiting, bench.clock.armed) == ({"a": 1}, 1, 1)
    await bench.clock.advance(20)
    assert (places(bench.governor), bench.state.waiting, bench.clock.armed) == ({"a": 1}, 1, 1)
    bench.done("a")
    await settle()
    bench.done("a")
    bench.assert_idle()


async def run_timed_out(limits: Limits, *outcomes: Any) -> tuple[FakeClock, Governor, Script]:
    clock = FakeClock()
    governor = Governor(limits, clock=clock)
    script = Script(*outcomes)

    async def slow(request: Any) -> Response:
        await clock.sleep(20)
        return await script(request)

    handler = compose([Retry(RetryPolicy(), clock=clock), RateLimit(governor)], slow)
    task = asyncio.ensure_future(handler(get()))
    await clock.advance(45)
    assert task.done()
    assert (await task).status == 200
    return clock, governor, script


async def test_retry_takes_over_its_own_ghost() -> None:
    """The retry of a call that timed out does not wait behind itself, and the ghost stays with it."""
    clock, governor, script = await run_timed_out(
        Limits(per_minute=None, in_flight_per_company=1), timed_out(), 200
    )
    assert len(script.requests) == 2
    assert ghosts(governor) == 0
    await clock.advance(30)
    assert governor.state().in_flight == 0


async def test_nothing_sent_leaves_no_ghost() -> None:
    """A time-out before anything was sent leaves nothing at the server."""
    _, governor, script = await run_timed_out(UNPACED, timed_out(sent=False), 200)
    assert len(script.requests) == 2
    assert ghosts(governor) == 0


async def test_next_call_of_the_task_does_not_take_over_a_ghost() -> None:
    """A ghost belongs to its call: another call of the same task waits for it."""
    clock = FakeClock()
    governor = Governor(Limits(per_minute=None, in_flight_per_company=1), clock=clock)
    rate_limit, order = RateLimit(governor), []

    async def slow(request: Any) -> Response:
        await clock.sleep(10)
        raise timed_out()

    async def calls() -> None:
        with pytest.raises(RequestTimeout):
            await rate_limit(get(), slow)
        order.append(clock.now)
        await rate_limit(get(), Script(200))
        order.append(clock.now)

    task = asyncio.ensure_future(calls())
    await clock.advance(30)
    await task
    assert order == [1010.0, 1020.0]


async def test_cancelled_retry_gives_its_ghost_back() -> None:
    """A retry that is cancelled in the queue leaves its ghost in force."""
    bench = Bench(Limits(per_minute=None, in_flight=1))
    first = bench.governor.try_acquire("a")
    assert first is not None
    await bench.clock.advance(20)
    bench.governor.finished(first, None, timed_out=True)
    await bench.queue("b")
    task = asyncio.ensure_future(bench.governor.acquire("a", first=True, ghost=first))
    await settle()
    assert ghosts(bench.governor) == 0
    task.cancel()
    await settle()
    assert ghosts(bench.governor) == 1
    bench.done("b")
    assert bench.state.in_flight == 0


async def test_in_flight_is_at_the_server() -> None:
    """Clients that give up after a second keep at most ten requests of a company at a slow server."""
    clock, at_server, most = FakeClock(), 0, 0

    async def slow(request: Any) -> Response:
        nonlocal at_server, most
        at_server += 1
        most = max(most, at_server)

        def leave() -> None:
            nonlocal at_server
            at_server -= 1

        clock.call_later(1.9, leave)
        await clock.sleep(1.0)
        raise timed_out()

    governor = Governor(UNPACED, clock=clock)
    governor._gate.allowance = float("inf")
    handler = compose([Retry(RetryPolicy(attempts=3), clock=clock), RateLimit(governor)], slow)
    tasks = [asyncio.ensure_future(handler(get())) for _ in range(40)]
    await clock.advance(300)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, RequestTimeout) for result in results)
    # A retry takes over the place of the attempt before it, which may still run.
    print(most)
    assert 10 <= most <= 20
    assert governor.state().in_flight == 0


# --- the rest -----------------------------------------------------------------------------------


async def test_connections_bound_what_is_in_flight() -> None:
    """More requests than connections are never in flight, whatever the limits say."""
    bench = Bench(Limits(per_minute=None, in_flight=50))
    bench.governor.bound_in_flight(3)
    bench.governor.bound_in_flight(float("inf"))
    await bench.queue(*"abcde")
    assert bench.state.in_flight == 3
    await bench.cancel()


async def test_idle_companies_are_forgotten() -> None:
    """Companies with nothing in flight and no recent 429 take no memory."""
    bench = Bench(UNPACED)
    await bench.queue("busy")
    for _ in range(2):
        await bench.send("held", rate_limited("1000000"))
    for number in range(5000):
        await bench.send(str(number))
    assert len(bench.governor._queue.companies) <= 2000
    assert {"busy", "held"} <= bench.governor._queue.companies.keys()


async def test_listener_that_fails() -> None:
    """Its error is that of the request it was called in, whose place the next one has."""

    def fail(event: GovernorEvent) -> None:
        raise RuntimeError(event.kind)

    bench = Bench(Limits(in_flight=1, per_minute=None))
    await bench.send("a", rate_limited("1"))
    await bench.queue("a", "b")
    bench.governor.listeners.append(fail)
    with pytest.raises(RuntimeError, match="held"):
        bench.done("a", rate_limited("1"))
    await settle()
    assert (bench.order, places(bench.governor)) == (["a", "a", "b"], {"b": 1})


async def test_listener_that_fails_for_a_stream() -> None:
    """The stream is never handed on, so that it would hold its place for ever."""

    async def send(_: object) -> Response:
        return quota_headers(0).copy(stream=object())

    def fail(event: GovernorEvent) -> None:
        raise RuntimeError(event.kind)

    governor = Governor(Limits(per_minute=None), clock=FakeClock())
    governor.listeners.append(fail)
    with pytest.raises(RuntimeError, match="quota"):
        await RateLimit(governor)(get(), send)
    assert governor.state().in_flight == 0


async def test_listener_is_removed() -> None:
    """A removed listener hears nothing more."""
    bench = Bench(UNPACED)
    bench.governor.listeners.remove(bench.events.append)
    await bench.send("b")
    for _ in range(2):
        await bench.send("a", rate_limited("1"))
        await bench.send("b")
    assert held(bench.governor) == ["a"]
    assert bench.events == []


async def test_cancelled_calls_leave_no_place_taken() -> None:
    """300 calls cancelled at random moments leave no place, no waiter and no timer."""
    rng = random.Random(7)
    clock, held = FakeClock(), Held()
    governor = Governor(Limits(in_flight=20, in_flight_per_company=3), clock=clock)
    handler = compose([Retry(clock=clock), RateLimit(governor)], held)
    tasks = [asyncio.ensure_future(handler(get(str(number % 30)))) for number in range(300)]
    while any(not task.done() for task in tasks):
        for task in rng.sample(tasks, 12):
            task.cancel()
        await clock.advance(rng.random())
        waiting = len(held._waiting)
        await held.answer(*[rng.choice([200, 200, 429, 503]) for _ in range(min(3, waiting))])
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(result, Response) for result in results)
    state = governor.state()
    assert (state.in_flight, state.waiting, places(governor), clock.armed) == (0, 0, {}, 0)
