"""Places are held while requests are in flight and released however they end."""

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from codat_middleware import Body, Governor, Limits, RateLimit, Request, Response, Retry, RetryPolicy, compose
from codat_middleware.errors import ApiPaused, ConnectError, QuotaExhausted, RateLimited
from tests.middleware.fakes import FakeClock, FakeStream, Held, Script, get, places, quota_headers, settle


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
        """Nothing in flight, nothing queued, no timer set."""
        state = self.governor.state()
        assert (state.in_flight, state.waiting, places(self.governor)) == (0, 0, {})
        assert self.clock.armed == 0


async def test_default_governor() -> None:
    """Without a governor it creates one with the documented limits."""
    rate_limit = RateLimit()
    assert (await rate_limit(get(), Script(200))).status == 200
    assert rate_limit.governor.limits == Limits()


async def test_place_is_held_while_under_way() -> None:
    """The place is taken before the request is sent and released after the response."""
    bench, held = Bench(), Held()
    task = asyncio.ensure_future(bench.rate_limit(get(), held))
    await settle()
    assert bench.in_flight == 1
    await held.answer(200)
    assert (await task).status == 200
    bench.assert_idle()


async def test_place_is_released_after_a_failure() -> None:
    """An exception releases the place."""
    bench = Bench()
    error = ConnectError("refused", method="GET", path="/", sent=False)
    with pytest.raises(ConnectError):
        await bench.rate_limit(get(), Script(error))
    bench.assert_idle()


async def test_place_is_released_if_the_response_cannot_be_read() -> None:
    """An exception while reading the headers releases the place."""

    class Broken(dict[str, str]):
        def get(self, *_: object) -> NoReturn:
            raise ArithmeticError

    bench = Bench()
    with pytest.raises(ArithmeticError):
        await bench.rate_limit(get(), Script(Response(status=200, headers=Broken())))
    bench.assert_idle()


async def test_cancelled_while_under_way() -> None:
    """Cancelling releases the place to the next request."""
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
    """Cancelling in the queue sends nothing and leaks nothing."""
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
    """A download holds its place until its stream is closed; closing twice is harmless."""
    bench, stream = Bench(), FakeStream()
    response = await bench.rate_limit(get(), Script(Response(status=200, stream=stream)))
    assert response.stream is not None
    assert [chunk async for chunk in response.stream] == [b"chunk"]
    assert bench.in_flight == 1
    await response.stream.aclose()
    await response.stream.aclose()
    assert stream.closed == 2
    bench.assert_idle()


async def test_place_is_released_if_closing_fails() -> None:
    """An exception from closing the stream releases the place."""

    class Broken(FakeStream):
        async def aclose(self) -> None:
            raise BrokenPipeError

    bench = Bench()
    response = await bench.rate_limit(get(), Script(Response(status=200, stream=Broken())))
    assert response.stream is not None
    with pytest.raises(BrokenPipeError):
        await response.stream.aclose()
    bench.assert_idle()


async def test_open_stream_is_not_unanswered() -> None:
    """An open download is not unanswered: with two requests left, one more may be sent."""
    bench = Bench()
    stream = Response(status=200, headers=quota_headers(1).headers, stream=FakeStream())
    held = Held()
    first = asyncio.ensure_future(bench.rate_limit(get(), held))
    await settle()
    await held.answer(quota_headers(2))
    await first
    opening = asyncio.ensure_future(bench.rate_limit(get(), held))
    second = asyncio.ensure_future(bench.rate_limit(get(), held))
    third = asyncio.ensure_future(bench.rate_limit(get(), held))
    await settle()
    assert held.active == 2
    await held.answer(stream)
    await held.answer(quota_headers(0))
    assert (await second).status == 200
    assert (await opening).stream is not None
    with pytest.raises(QuotaExhausted):
        await third


@pytest.mark.parametrize("count", [1, 4])
async def test_open_streams_after_a_rejection(count: int) -> None:
    """A call rate limited while downloads of its company are open succeeds before they are closed."""
    bench = Bench()
    download = Script(Response(status=200, stream=FakeStream()))
    opened = [(await bench.rate_limit(get(), download)).stream for _ in range(3)]
    rate_limited = Response(status=429, headers={"Retry-After": "1"})
    handler = compose([Retry(clock=bench.clock), bench.rate_limit], Script(*[rate_limited] * count, 200))
    task = asyncio.ensure_future(handler(get()))
    await bench.clock.advance(60)
    assert task.done()
    assert (await task).status == 200
    for stream in opened:
        assert stream is not None
        await stream.aclose()
    bench.assert_idle()


async def test_retry_and_gate_do_not_wait_twice() -> None:
    """A rate limited call is retried when the pause ends, without a second wait."""
    bench, rejection = Bench(), Response(status=429, headers={"Retry-After": "10"})
    script = Script(*[rejection] * 4, 200)
    handler = compose([Retry(clock=bench.clock), bench.rate_limit], script)
    tasks = [asyncio.ensure_future(handler(get(company))) for company in "abcd"]
    await bench.clock.advance(0.3)
    assert bench.governor.state().waiting_for == "the pause for all requests after 429s, 9.7 s left"
    await bench.clock.advance(9.6)
    assert len(script.requests) == 4
    await bench.clock.advance(1)
    assert bench.clock.now < 1011
    assert [(await task).status for task in tasks] == [200] * 4
    assert bench.clock.slept == [10.0] * 4
    bench.assert_idle()


async def test_429_for_the_quota() -> None:
    """A 429 for a spent quota raises QuotaExhausted."""
    bench = Bench()
    with pytest.raises(QuotaExhausted) as caught:
        await bench.rate_limit(get(), Script(quota_headers(0, status=429)))
    assert caught.value.resets_at == datetime(2027, 1, 16, tzinfo=UTC)
    bench.assert_idle()


async def test_429_for_hours() -> None:
    """A Retry-After beyond max_quota_wait raises at once, whatever is left of the quota."""
    bench = Bench()
    script = Script(quota_headers(5000, limit=9000, status=429, retry_after="7200"))
    handler = compose([Retry(clock=bench.clock), bench.rate_limit], script)
    scopes = []
    for _ in range(4):
        with pytest.raises(RateLimited) as caught:
            await handler(get())
        assert (caught.value.retry_after, caught.value.company_id) == (pytest.approx(7200, rel=0.01), "a")
        scopes.append(caught.value.scope)
        await bench.clock.advance(0.1)
    # The third call for the company is not sent.
    assert scopes == ["call", "company", "company", "company"]
    assert len(script.requests) == 2
    assert str(caught.value) == "rate limited (429): the API asks to retry in 7200 s, for company a"
    assert (await bench.rate_limit(get("b"), Script(200))).status == 200
    await bench.clock.advance(7200 - 60)
    task = asyncio.ensure_future(bench.rate_limit(get(), Script(200)))
    await bench.clock.advance(60)
    assert (await task).status == 200
    bench.assert_idle()


async def test_429_for_hours_without_a_company() -> None:
    """Calls that concern no company are not held together: each is sent and has its own error."""
    bench = Bench()
    script = Script(Response(status=429, headers={"Retry-After": "7200"}))
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            await bench.rate_limit(get(None), script)
        assert (caught.value.scope, caught.value.company_id) == ("call", None)
        await bench.clock.advance(0.1)
    assert len(script.requests) == 3
    bench.assert_idle()


class Overloaded:
    """A handler that answers all requests with a 429 for two hours until a time."""

    def __init__(self, clock: FakeClock, until: float) -> None:
        self.clock, self.until, self.requests = clock, until, 0

    async def __call__(self, request: Request) -> Response:
        self.requests += 1
        await self.clock.sleep(0.1)
        if self.clock.now < self.until:
            return Response(status=429, headers={"Retry-After": "7200"})
        return Response(status=200)


async def test_429_for_hours_for_everybody() -> None:
    """Once a few probes agree that it is everybody's, queued and new calls raise without being sent."""
    bench = Bench(Limits(per_minute=None))
    server = Overloaded(bench.clock, 1e9)
    tasks = [asyncio.ensure_future(bench.rate_limit(get(f"c{n}"), server)) for n in range(100)]
    await bench.clock.advance(60)
    scopes = [error.scope for error in [task.exception() for task in tasks] if isinstance(error, RateLimited)]
    sent = server.requests
    assert sent <= 10
    # The last probe's call is the one for which the pause was found to be everybody's.
    assert Counter(scopes) == {"call": sent - 1, "everybody": 101 - sent}
    with pytest.raises(ApiPaused, match="for all requests"):
        await bench.rate_limit(get("new"), server)
    assert server.requests == sent
    bench.assert_idle()


async def test_waiting_for_everybodys_pause() -> None:
    """With wait_for_quota the calls wait for a pause of hours, and are then sent."""
    bench = Bench(Limits(per_minute=None, wait_for_quota=True))
    server = Overloaded(bench.clock, 1060.0)
    tasks = [asyncio.ensure_future(bench.rate_limit(get(f"c{n}"), server)) for n in range(100)]
    await bench.clock.advance(7100)
    assert 0 < sum(task.done() for task in tasks) <= 10
    await bench.clock.advance(200)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result.status for result in results if isinstance(result, Response)] == [200] * (
        100 - sum(isinstance(result, RateLimited) for result in results)
    )
    bench.assert_idle()


async def test_long_hold_of_a_company_fails_its_queue() -> None:
    """A company's hold that is too long raises in its queued calls; other companies' are sent."""
    bench = Bench(Limits(per_minute=None, in_flight_per_company=1))
    held = Held()
    await bench.rate_limit(get("b"), Script(200))
    await bench.rate_limit(get("b"), Script(200))
    for _ in range(2):
        first = asyncio.ensure_future(bench.rate_limit(get("a"), held))
        queued_call = asyncio.ensure_future(bench.rate_limit(get("a"), held))
        await settle()
        await held.answer(Response(status=429, headers={"Retry-After": "61"}))
        with pytest.raises(RateLimited):
            await first
        if len(held.requests) == 2:
            await held.answer(200)
            assert (await queued_call).status == 200
            break
    held_again = Held()
    calls = [asyncio.ensure_future(bench.rate_limit(get("a"), held_again)) for _ in range(3)]
    await settle()
    await held_again.answer(Response(status=429, headers={"Retry-After": "61"}))
    await held_again.answer(Response(status=429, headers={"Retry-After": "61"}))
    await settle()
    scopes = [error.scope for error in [call.exception() for call in calls] if isinstance(error, RateLimited)]
    assert scopes == ["call", "company", "company"]
    assert (await bench.rate_limit(get("b"), Script(200))).status == 200
    bench.assert_idle()


async def test_waiting_for_the_quota() -> None:
    """With wait_for_quota a 429 for the quota is retried after the reset."""
    bench = Bench(Limits(wait_for_quota=True))
    script = Script(quota_headers(0, status=429), 200)
    task = asyncio.ensure_future(bench.rate_limit(get(), script))
    await bench.clock.advance(15 * 3600)
    assert len(script.requests) == 1
    await bench.clock.advance(3601)
    assert (await task).status == 200
    bench.assert_idle()


async def test_waiting_for_the_quota_with_a_body_for_once() -> None:
    """With wait_for_quota a body that can be read only once is not resent."""
    bench = Bench(Limits(wait_for_quota=True))
    request = get(method="POST", body=Body(b"", replayable=False))
    assert (await bench.rate_limit(request, Script(quota_headers(0, status=429)))).status == 429


async def test_long_waits_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Waits of a second or more are logged at INFO."""

    async def run(bench: Bench, level: int) -> None:
        caplog.set_level(level, "codat_middleware.rate_limit")
        tasks = [asyncio.ensure_future(bench.rate_limit(get(), Script(200))) for _ in range(2)]
        await bench.clock.advance(5)
        await asyncio.gather(*tasks)

    bench = Bench(Limits(per_minute=30))
    await run(bench, logging.INFO)
    assert [record.getMessage() for record in caplog.records] == [
        "GET /companies/x: waited 1.750 s for a place"
    ]
    assert caplog.records[0].__dict__["wait"] == 1.75
    await run(bench, logging.WARNING)
    await run(Bench(Limits(in_flight=1)), logging.INFO)
    assert len(caplog.records) == 1


class StrictServer:
    """A handler that enforces limits of its own on the fake clock."""

    def __init__(self, clock: FakeClock, in_flight: int, per_minute: int, latency: float) -> None:
        self.clock, self.most, self.per_minute, self.latency = clock, in_flight, per_minute, latency
        self.under_way: dict[str | None, int] = {}
        self.seen: list[float] = []
        self.rate_limited: list[float] = []
        self.served: dict[str | None, list[float]] = {}

    async def __call__(self, request: Request) -> Response:
        company, now = request.company_id, self.clock.now
        while self.seen and self.seen[0] <= now - 60:
            self.seen.pop(0)
        busy = self.under_way.get(company, 0) >= self.most
        if busy or len(self.seen) >= self.per_minute:
            self.rate_limited.append(now)
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
    """Send ``each`` GETs for every company at once and advance the clock until all have ended."""
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


async def test_no_429_within_known_limits() -> None:
    """Within the documented limits no request is rate limited, in close to the shortest time."""
    clock = FakeClock()
    server, governor = StrictServer(clock, 10, 1000, 0.3), Governor(clock=clock)
    results = await run_fleet(server, governor, 40, 50)
    assert [r.status for r in results if isinstance(r, Response)] == [200] * 2000
    assert server.rate_limited == []
    assert clock.now - 1000 < 2000 / 1000 * 60 + 2
    ends = [max(times) for times in server.served.values()]
    # Those who came first had a burst of ten each, which is a fifth of what each asked for.
    assert max(ends) - min(ends) < (clock.now - 1000) / 5


async def test_settles_below_a_stricter_server() -> None:
    """With a stricter server it settles after a few 429s and loses no request."""
    clock = FakeClock()
    server, governor = StrictServer(clock, 10, 200, 0.3), Governor(clock=clock)
    results = await run_fleet(server, governor, 20, 50)
    assert [r.status for r in results if isinstance(r, Response)] == [200] * 1000
    assert 0 < len(server.rate_limited) < 100
    last_half = [at for at in server.rate_limited if at > 1000 + (clock.now - 1000) / 2]
    assert len(last_half) < len(server.rate_limited) / 2
    assert governor.state().waiting == 0


async def test_test_policy_with_the_rate_limit() -> None:
    """Without waits in the policy a rate limited call is retried at once, if nothing is paused."""
    bench = Bench()
    handler = compose(
        [Retry(RetryPolicy(waits=False), clock=bench.clock), bench.rate_limit],
        script := Script(Response(status=429, headers={"Retry-After": "3"}), 200),
    )
    assert (await handler(get())).status == 200
    assert len(script.requests) == 2


async def test_later_attempts_go_first() -> None:
    """A retried request is sent before newer ones of the same company."""
    bench, held = Bench(Limits(in_flight=1, per_minute=None)), Held()
    requests = [get(), get(path="/new"), get(path="/again", attempt=2)]
    tasks = [asyncio.ensure_future(bench.rate_limit(request, held)) for request in requests]
    await settle()
    for _ in requests:
        await held.answer(200)
    await asyncio.gather(*tasks)
    assert [request.path for request in held.requests] == ["/companies/x", "/again", "/new"]
