"""Places held while requests are under way, and given back however they end."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from codat_middleware import (
    Body,
    ConnectError,
    Governor,
    Limits,
    QuotaExhausted,
    RateLimit,
    Request,
    Response,
    Retry,
    RetryPolicy,
    compose,
)
from tests.middleware.fakes import FakeClock, FakeStream, Held, Script, get, settle
from tests.middleware.test_governor import told


class Bench:
    """A rate limit on a fake clock."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = FakeClock()
        self.governor = Governor(limits, clock=self.clock)
        self.rate_limit = RateLimit(self.governor)

    @property
    def in_flight(self) -> int:
        return self.governor.state().in_flight

    def assert_idle(self) -> None:
        """No place taken, nobody waiting, no timer armed."""
        state = self.governor.state()
        assert (state.in_flight, state.waiting, state.companies) == (0, 0, {})
        assert self.clock.armed == 0


async def test_default_governor() -> None:
    """Without a governor it makes one, with the documented limits."""
    rate_limit = RateLimit()
    assert (await rate_limit(get(), Script(200))).status == 200
    assert rate_limit.governor.limits == Limits()


async def test_place_is_held_while_under_way() -> None:
    """The place is taken before the request is sent and free after the answer."""
    bench, held = Bench(), Held()
    task = asyncio.ensure_future(bench.rate_limit(get(), held))
    await settle()
    assert bench.in_flight == 1
    await held.answer(200)
    assert (await task).status == 200
    bench.assert_idle()


async def test_place_comes_back_after_a_failure() -> None:
    """An exception gives the place back."""
    bench = Bench()
    error = ConnectError("refused", method="GET", path="/", sent=False)
    with pytest.raises(ConnectError):
        await bench.rate_limit(get(), Script(error))
    bench.assert_idle()


async def test_place_comes_back_from_an_answer_that_cannot_be_read() -> None:
    """Whatever goes wrong in learning from an answer, the place is free."""

    class Broken(dict[str, str]):
        def get(self, *_: object) -> NoReturn:
            raise ArithmeticError

    bench = Bench()
    with pytest.raises(ArithmeticError):
        await bench.rate_limit(get(), Script(Response(status=200, headers=Broken())))
    bench.assert_idle()


async def test_cancelled_while_under_way() -> None:
    """Cancelling gives the place back, and the next one goes."""
    bench, held = Bench(Limits(in_flight=1)), Held()
    first, second = (asyncio.ensure_future(bench.rate_limit(get(), held)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    assert first.cancelled()
    assert held.active == 1
    await held.answer(200, 200)
    await second
    bench.assert_idle()


async def test_cancelled_while_waiting() -> None:
    """Cancelling in the queue sends nothing and leaves nothing."""
    bench, held = Bench(Limits(in_flight=1)), Held()
    first, second = (asyncio.ensure_future(bench.rate_limit(get(), held)) for _ in range(2))
    await settle()
    second.cancel()
    await held.answer(200)
    await first
    assert second.cancelled()
    assert len(held.requests) == 1
    bench.assert_idle()


async def test_stream_holds_its_place() -> None:
    """A download is under way until its stream is closed, however often that is done."""
    bench, stream = Bench(), FakeStream()
    response = await bench.rate_limit(get(), Script(Response(status=200, stream=stream)))
    assert response.stream is not None
    assert [chunk async for chunk in response.stream] == [b"chunk"]
    assert bench.in_flight == 1
    await response.stream.aclose()
    await response.stream.aclose()
    assert stream.closed == 2
    bench.assert_idle()


async def test_place_comes_back_from_a_stream_that_fails_to_close() -> None:
    """Whatever closing raises, the place is free."""

    class Broken(FakeStream):
        async def aclose(self) -> None:
            raise BrokenPipeError

    bench = Bench()
    response = await bench.rate_limit(get(), Script(Response(status=200, stream=Broken())))
    assert response.stream is not None
    with pytest.raises(BrokenPipeError):
        await response.stream.aclose()
    bench.assert_idle()


async def test_stream_answered_lets_others_go() -> None:
    """An open download no longer counts as unanswered: with two left of the quota, one more may go."""
    bench = Bench()
    stream = Response(status=200, headers=told(1).headers, stream=FakeStream())
    held = Held()
    first = asyncio.ensure_future(bench.rate_limit(get(), held))
    await settle()
    await held.answer(told(2))
    await first
    opening = asyncio.ensure_future(bench.rate_limit(get(), held))
    second = asyncio.ensure_future(bench.rate_limit(get(), held))
    third = asyncio.ensure_future(bench.rate_limit(get(), held))
    await settle()
    assert held.active == 2
    await held.answer(stream)
    await held.answer(told(0))
    assert (await second).status == 200
    assert (await opening).stream is not None
    with pytest.raises(QuotaExhausted):
        await third


@pytest.mark.parametrize("refusals", [1, 4])
async def test_open_streams_after_a_refusal(refusals: int) -> None:
    """Refused while downloads are open, a call of their company still succeeds before they are closed."""
    bench = Bench()
    download = Script(Response(status=200, stream=FakeStream()))
    opened = [(await bench.rate_limit(get(), download)).stream for _ in range(3)]
    refused = Response(status=429, headers={"Retry-After": "1"})
    handler = compose([Retry(clock=bench.clock), bench.rate_limit], Script(*[refused] * refusals, 200))
    task = asyncio.ensure_future(handler(get()))
    await bench.clock.advance(60)
    assert task.done()
    assert (await task).status == 200
    for stream in opened:
        assert stream is not None
        await stream.aclose()
    bench.assert_idle()


async def test_retry_and_gate_do_not_wait_twice() -> None:
    """A refused call comes back when the gate opens for all, and not a wait later."""
    bench = Bench(Limits(in_flight=1, per_minute=None))
    held = Held()
    handler = compose([Retry(clock=bench.clock), bench.rate_limit], held)
    first = asyncio.ensure_future(handler(get()))
    second = asyncio.ensure_future(handler(get()))
    await settle()
    await held.answer(Response(status=429, headers={"Retry-After": "10"}))
    await bench.clock.advance(9.9)
    assert len(held.requests) == 1
    await bench.clock.advance(0.2)
    assert len(held.requests) == 2
    await held.answer(200)
    await held.answer(200)
    assert bench.clock.slept == [10.0]
    assert [(await first).status, (await second).status] == [200, 200]
    bench.assert_idle()


async def test_refused_for_the_quota() -> None:
    """A request refused because the quota is spent raises as those who wait do."""
    bench = Bench()
    with pytest.raises(QuotaExhausted) as caught:
        await bench.rate_limit(get(), Script(told(0, status=429)))
    assert caught.value.resets_at == datetime(2027, 1, 16, tzinfo=UTC)
    bench.assert_idle()


async def test_refused_for_hours_without_a_quota() -> None:
    """Where the answer tells no quota it is returned, with its Retry-After."""
    bench = Bench()
    refusal = Response(status=429, headers={"Retry-After": "7200"})
    assert await bench.rate_limit(get(), Script(refusal)) is refusal
    with pytest.raises(QuotaExhausted):
        await bench.rate_limit(get(), Script(200))


async def test_waiting_for_the_quota() -> None:
    """When told to wait, a refused request is sent again after the reset."""
    bench = Bench(Limits(wait_for_quota=True))
    script = Script(told(0, status=429), 200)
    task = asyncio.ensure_future(bench.rate_limit(get(), script))
    await bench.clock.advance(15 * 3600)
    assert len(script.requests) == 1
    await bench.clock.advance(3601)
    assert (await task).status == 200
    bench.assert_idle()


async def test_waiting_for_the_quota_with_a_body_for_once() -> None:
    """A body that can be read only once is not sent again, even then."""
    bench = Bench(Limits(wait_for_quota=True))
    request = get(method="POST", body=Body(b"", replayable=False))
    assert (await bench.rate_limit(request, Script(told(0, status=429)))).status == 429


async def test_long_waits_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A wait of a second or more is a line at INFO; the ordinary ones of pacing are none."""

    async def run(bench: Bench, level: int) -> None:
        caplog.set_level(level, "codat_middleware.rate_limit")
        tasks = [asyncio.ensure_future(bench.rate_limit(get(), Script(200))) for _ in range(2)]
        await bench.clock.advance(5)
        await asyncio.gather(*tasks)

    bench = Bench(Limits(per_minute=30))
    await run(bench, logging.INFO)
    assert [record.getMessage() for record in caplog.records] == [
        "GET /companies/x: waited 2.000 s for a place"
    ]
    assert caplog.records[0].__dict__["wait"] == 2.0
    await run(bench, logging.WARNING)
    await run(Bench(Limits(in_flight=1)), logging.INFO)
    assert len(caplog.records) == 1


class StrictServer:
    """A handler that refuses by limits of its own, on the fake clock."""

    def __init__(self, clock: FakeClock, in_flight: int, per_minute: int, latency: float) -> None:
        self.clock, self.most, self.per_minute, self.latency = clock, in_flight, per_minute, latency
        self.under_way: dict[str | None, int] = {}
        self.seen: list[float] = []
        self.refused: list[float] = []
        self.served: dict[str | None, list[float]] = {}

    async def __call__(self, request: Request) -> Response:
        company, now = request.company_id, self.clock.now
        while self.seen and self.seen[0] <= now - 60:
            self.seen.pop(0)
        busy = self.under_way.get(company, 0) >= self.most
        if busy or len(self.seen) >= self.per_minute:
            self.refused.append(now)
            wait = 1.0 if busy else self.seen[0] + 60 - now
            return Response(status=429, headers={"Retry-After": f"{wait:.3f}"})
        self.seen.append(now)
        self.under_way[company] = self.under_way.get(company, 0) + 1
        try:
            await self.clock.sleep(self.latency)
        finally:
            self.under_way[company] -= 1
        self.served.setdefault(company, []).append(self.clock.now)
        return Response(status=200)


async def run_fleet(
    server: StrictServer, governor: Governor, companies: int, each: int
) -> list[Response | BaseException]:
    """Send ``each`` GETs for every company at once, and let time pass until all have ended."""
    handler = compose([Retry(clock=server.clock), RateLimit(governor)], server)
    tasks = [
        asyncio.ensure_future(handler(get(f"c{company}")))
        for company in range(companies)
        for _ in range(each)
    ]
    while not all(task.done() for task in tasks):
        await server.clock.advance(1.0)
        assert server.clock.now < 100_000
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_never_refused_for_limits_it_knows() -> None:
    """Against a server with the documented limits not one request is refused, in near the best time."""
    clock = FakeClock()
    server, governor = StrictServer(clock, 10, 1000, 0.3), Governor(clock=clock)
    results = await run_fleet(server, governor, 40, 50)
    assert [r.status for r in results if isinstance(r, Response)] == [200] * 2000
    assert server.refused == []
    assert clock.now - 1000 < 2000 / 1000 * 60 + 2
    ends = [max(times) for times in server.served.values()]
    # Those who came first had a burst of ten each, which is a fifth of what each asked for.
    assert max(ends) - min(ends) < (clock.now - 1000) / 5


@pytest.mark.parametrize(("in_flight", "per_minute"), [(2, 1000), (10, 200)])
async def test_settles_below_a_stricter_server(in_flight: int, per_minute: int) -> None:
    """Against limits it does not know it settles after a few refusals and loses nothing."""
    clock = FakeClock()
    server, governor = StrictServer(clock, in_flight, per_minute, 0.3), Governor(clock=clock)
    results = await run_fleet(server, governor, 20, 50)
    assert [r.status for r in results if isinstance(r, Response)] == [200] * 1000
    assert len(server.refused) < 250
    last_half = [at for at in server.refused if at > 1000 + (clock.now - 1000) / 2]
    assert len(last_half) < len(server.refused) / 2
    assert governor.state().waiting == 0


async def test_test_policy_with_the_rate_limit() -> None:
    """A policy without waits leaves the waiting to the gate."""
    bench = Bench()
    handler = compose(
        [Retry(RetryPolicy(waits=False), clock=bench.clock), bench.rate_limit],
        script := Script(Response(status=429, headers={"Retry-After": "3"}), 200),
    )
    task = asyncio.ensure_future(handler(get()))
    await settle()
    assert len(script.requests) == 1
    await bench.clock.advance(3.01)
    assert (await task).status == 200


async def test_later_attempts_go_first() -> None:
    """Who was refused before goes before those of the same company who only came since."""
    bench, held = Bench(Limits(in_flight=1, per_minute=None)), Held()
    requests = [get(), get(path="/new"), get(path="/again", attempt=2)]
    tasks = [asyncio.ensure_future(bench.rate_limit(request, held)) for request in requests]
    await settle()
    for _ in requests:
        await held.answer(200)
    await asyncio.gather(*tasks)
    assert [request.path for request in held.requests] == ["/companies/x", "/again", "/new"]
