"""Which requests are sent, when, and in which order."""

import asyncio
import logging
import random
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_middleware import Governor, GovernorState, Limits, QuotaExhausted, Response
from codat_middleware.pace import Pace
from tests.middleware.fakes import START, FakeClock, settle

WIDE = Limits(in_flight=None, in_flight_per_company=None, per_minute=None)
MIDNIGHT = datetime(2027, 1, 16, tzinfo=UTC)


def quota_headers(
    remaining: int | str,
    *,
    limit: int = 5000,
    reset: str = "2027-01-16T00:00:00Z",
    status: int = 200,
    retry_after: str | None = None,
) -> Response:
    """A response with the quota headers."""
    headers = {"X-Rate-Limit-Limit": str(limit), "X-Rate-Limit-Remaining": str(remaining)}
    if reset:
        headers["X-Rate-Limit-Reset"] = reset
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return Response(status=status, headers=headers)


def rate_limited(retry_after: str | None = None) -> Response:
    """A 429."""
    return Response(status=429, headers={} if retry_after is None else {"Retry-After": retry_after})


class Bench:
    """A governor on a fake clock, and tasks that queue in it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = FakeClock()
        self.governor = Governor(limits, clock=self.clock)
        self.order: list[str | None] = []
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def state(self) -> GovernorState:
        return self.governor.state()

    async def queue(self, *companies: str | None, first: bool = False) -> None:
        """Request a place for each company, in this order."""

        async def ask(company: str | None) -> None:
            await self.governor.acquire(company, first=first)
            self.order.append(company)

        for company in companies:
            self.tasks.append(asyncio.ensure_future(ask(company)))
            await asyncio.sleep(0)
        await settle()

    def done(self, company: str | None, response: Response | None = None) -> None:
        """Answer a request of this company and release its place."""
        self.governor.answered(company, response or Response(status=200), self.governor.epoch)
        self.governor.release(company)

    async def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def assert_idle(self) -> None:
        """Nothing in flight, nothing queued, no timer set."""
        state = self.state
        assert (state.in_flight, state.waiting, state.companies) == (0, 0, {})
        assert self.clock.armed == 0


async def test_fresh_state() -> None:
    """Before the first response only the limits are known."""
    assert Bench().state == GovernorState(
        in_flight=0,
        waiting=0,
        remaining=None,
        limit=None,
        resets_at=None,
        closed_until=None,
        in_flight_per_company=10,
        per_minute=1000.0,
        companies={},
    )


async def test_switched_off() -> None:
    """With every limit off no request waits."""
    bench = Bench(WIDE)
    assert all(bench.governor.try_acquire("a") for _ in range(5000))
    assert bench.state.in_flight_per_company is None
    assert bench.state.per_minute is None
    for _ in range(5000):
        bench.done("a")
    bench.assert_idle()


@pytest.mark.parametrize("name", ["in_flight", "in_flight_per_company", "per_minute"])
@pytest.mark.parametrize("value", [0, -1])
def test_limits_below_one(name: str, value: int) -> None:
    """A limit below one would block for ever and is rejected."""
    with pytest.raises(ValueError, match=f"{name} is {value}; it must be at least 1"):
        Limits(**{name: value})


@pytest.mark.parametrize("max_quota_wait", [-1.0, float("nan")])
def test_negative_max_quota_wait(max_quota_wait: float) -> None:
    """``max_quota_wait`` may be zero but not negative."""
    with pytest.raises(ValueError, match="max_quota_wait is"):
        Limits(max_quota_wait=max_quota_wait)
    assert Limits(max_quota_wait=0).max_quota_wait == 0


async def test_places_per_company() -> None:
    """Ten per company are in flight, the rest wait; other companies are not blocked."""
    bench = Bench()
    await bench.queue(*["a"] * 12, "b")
    assert bench.order == ["a"] * 10 + ["b"]
    assert bench.state.companies == {"a": 10, "b": 1}
    assert (bench.state.in_flight, bench.state.waiting) == (11, 2)
    bench.done("a")
    await settle()
    assert (bench.state.in_flight, bench.state.waiting) == (11, 1)
    await bench.cancel()
    for company in ["a"] * 10 + ["b"]:
        bench.done(company)
    bench.assert_idle()


async def test_places_in_all() -> None:
    """The total is limited, including requests without a company."""
    bench = Bench(Limits(in_flight=3))
    await bench.queue("a", "b", None, None, "a")
    assert bench.order == ["a", "b", None]
    bench.done("a")
    await settle()
    assert bench.order == ["a", "b", None, None]
    await bench.cancel()


async def test_no_company_no_place() -> None:
    """Requests without a company are exempt from the limit per company."""
    bench = Bench(Limits(in_flight_per_company=1))
    await bench.queue(None, None, None)
    assert bench.order == [None] * 3


async def test_fair_between_companies() -> None:
    """Companies are served in turn, however many requests each has queued."""
    bench = Bench(Limits(in_flight=1))
    await bench.queue("z", *["big"] * 6, "b", "c", "b")
    for _ in range(9):
        bench.done(bench.order[-1])
        await settle()
    assert bench.order == ["z", "big", "b", "c", "big", "b", "big", "big", "big", "big"]


async def test_first_come_first_served() -> None:
    """Within a company requests are served in order, retried ones first."""
    bench = Bench(Limits(in_flight=1))
    await bench.queue("x")
    order: list[str] = []

    async def ask(name: str, first: bool) -> None:
        await bench.governor.acquire("a", first=first)
        order.append(name)

    tasks = [asyncio.ensure_future(ask(name, name == "again")) for name in ("one", "two", "again")]
    await settle()
    for company in "xaa":
        bench.done(company)
        await settle()
    assert order == ["again", "one", "two"]
    await asyncio.gather(*tasks)


async def test_newcomers_do_not_overtake() -> None:
    """A new request does not overtake a queued one."""
    bench = Bench(Limits(in_flight=1))
    await bench.queue("a", "b")
    bench.done("a")
    assert not bench.governor.try_acquire("c")
    await settle()
    assert bench.order == ["a", "b"]


async def test_cancelled_while_waiting() -> None:
    """Cancelled waiters leave the queue."""
    bench = Bench(Limits(in_flight=1))
    await bench.queue("a", "b", "b", "c")
    bench.tasks[1].cancel()
    bench.tasks[3].cancel()
    await settle()
    assert bench.state.waiting == 1
    bench.done("a")
    await settle()
    assert bench.order == ["a", "b"]
    bench.done("b")
    bench.assert_idle()


async def test_cancelled_when_granted() -> None:
    """A place granted to a task that was cancelled in the same moment goes to the next one."""
    bench = Bench(Limits(in_flight=1, per_minute=1000))
    await bench.queue("a", "b", "c")
    bench.done("a")
    bench.tasks[1].cancel()
    await settle()
    assert bench.order == ["a", "c"]
    bench.done("c")
    bench.assert_idle()


async def test_granted_after_cancelling() -> None:
    """A place is not granted to a task that is being cancelled."""
    bench = Bench(Limits(in_flight=1, per_minute=None))
    await bench.queue("a", "b", "c")
    bench.tasks[1].cancel()
    bench.done("a")
    await settle()
    assert bench.order == ["a", "c"]
    bench.done("c")
    bench.assert_idle()


async def test_last_of_a_company_granted_after_cancelling() -> None:
    """No place is lost if that task was the last of its company."""
    bench = Bench(Limits(in_flight=1, per_minute=None))
    await bench.queue("a", "b")
    bench.done("a")
    bench.tasks[1].cancel()
    await settle()
    bench.assert_idle()
    assert bench.governor.try_acquire("a")


async def test_cancelling_the_last_waiter_disarms_the_timer() -> None:
    """The timer is cancelled with the last waiter."""
    bench = Bench(Limits(per_minute=20))
    await bench.queue("a", "b")
    assert bench.clock.armed == 1
    await bench.cancel()
    assert bench.clock.armed == 0
    assert bench.state.waiting == 0


async def test_burst_then_even_spacing() -> None:
    """Fifty requests are sent at once, then one every 60 ms."""
    bench = Bench(Limits(in_flight=None, in_flight_per_company=None))
    await bench.queue(*["a"] * 60)
    assert len(bench.order) == 50
    await bench.clock.advance(0.0601)
    assert len(bench.order) == 51
    await bench.clock.advance(0.3)
    assert len(bench.order) == 56
    await bench.cancel()


async def test_unanswered_fill_the_minute() -> None:
    """While a minute's requests are all unanswered, no more are sent and no timer is set."""
    bench = Bench(Limits(in_flight=None, in_flight_per_company=None, per_minute=2))
    await bench.queue("a", "a", "a")
    await bench.clock.advance(600)
    assert len(bench.order) == 2
    assert bench.clock.armed == 0
    bench.done("a")
    await bench.clock.advance(59)
    assert len(bench.order) == 2
    await bench.clock.advance(1.001)
    assert len(bench.order) == 3


def drive_pace(per_minute: int, latency: float, seed: int, seconds: float) -> list[tuple[float, float]]:
    """Send as fast as the pace allows; return when each was sent and when the server received it."""
    rng, pace, now, unanswered = random.Random(seed), Pace(per_minute), 0.0, 0
    ends: list[float] = []
    seen: list[tuple[float, float]] = []
    while now < seconds:
        ends.sort()
        while ends and ends[0] <= now:
            pace.answered(ends.pop(0))
            unanswered -= 1
        wait = pace.delay(now, unanswered)
        if wait == 0.0:
            pace.sent(now)
            unanswered += 1
            there = now + rng.random() * latency
            seen.append((now, there))
            ends.append(there + rng.random() * latency)
        else:
            now = min(now + wait, ends[0] if ends else now + wait)
            now += 1e-9
    return seen


@settings(max_examples=25, deadline=None)
@given(
    per_minute=st.integers(1, 120),
    latency=st.floats(0.001, 20.0),
    seed=st.integers(0, 1 << 30),
)
def test_any_sixty_seconds_hold_the_limit(per_minute: int, latency: float, seed: int) -> None:
    """Whatever the latency, the server never receives more than the limit in any 60 seconds."""
    arrivals = sorted(there for _, there in drive_pace(per_minute, latency, seed, 400))
    for first, beyond in zip(arrivals, arrivals[per_minute:], strict=False):
        assert beyond - first > 60.0 - 1e-6


def test_pace_wastes_little() -> None:
    """With answers in a tenth of a second at least 99 % of the limit is used, and spread out."""
    sent = [at for at, _ in drive_pace(1000, 0.1, 1, 600)]
    assert len(sent) >= 9_900
    late = [at for at in sent if at > 120]
    assert max(Counter(int(at) for at in late).values()) <= 18


def test_pace_eases() -> None:
    """A limit factor of one half halves the rate."""
    pace = Pace(60)
    pace.ease(0.5)
    assert pace.per_minute == 30.0


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=8),
    in_flight=st.integers(1, 6),
    per_company=st.integers(1, 4),
    seed=st.integers(0, 1 << 30),
    even=st.booleans(),
)
async def test_turns_are_even(
    sizes: list[int], in_flight: int, per_company: int, seed: int, even: bool
) -> None:
    """All requests are served within the limits, in turn if the total limit is the bottleneck."""
    per_company = max(per_company, in_flight if even else 1)
    bench = Bench(Limits(in_flight=in_flight, in_flight_per_company=per_company, per_minute=None))
    rng = random.Random(seed)
    under_way: list[str | None] = [f"first{n}" for n in range(in_flight)]
    await bench.queue(*under_way)
    asked = Counter({str(n): size for n, size in enumerate(sizes)})
    arrivals = list(asked.elements())
    rng.shuffle(arrivals)
    await bench.queue(*arrivals)
    served: Counter[str | None] = Counter()
    while under_way:
        before = len(bench.order)
        bench.done(under_way.pop(rng.randrange(len(under_way))))
        await settle()
        under_way += bench.order[before:]
        served.update(bench.order[before:])
        state = bench.state
        assert state.in_flight == len(under_way) <= in_flight
        assert max(state.companies.values(), default=0) <= per_company
        turns = [served[name] for name in asked if served[name] < asked[name]]
        if even and turns:
            assert max(turns) - min(turns) <= 1
    assert served == asked
    bench.assert_idle()


async def test_quota_from_headers() -> None:
    """Requests in flight are deducted from the server's number."""
    bench = Bench()
    await bench.queue("a", "a", "a")
    bench.done("a", quota_headers(100))
    state = bench.state
    assert (state.remaining, state.limit, state.resets_at) == (98, 5000, MIDNIGHT)
    bench.done("a", quota_headers(99))
    bench.done("a", quota_headers(98))
    assert bench.state.remaining == 98


async def test_responses_overtake_each_other() -> None:
    """The lowest number of a day counts; unreadable ones are ignored."""
    bench = Bench()
    await bench.queue(*"aaaaa")
    bench.done("a", quota_headers(90))
    bench.done("a", quota_headers("few"))
    bench.done("a", quota_headers(95))
    bench.done("a", quota_headers(92, reset="57599"))
    bench.done("a", quota_headers("few"))
    assert bench.state.remaining == 90


async def test_quota_grows_with_the_account() -> None:
    """A new limit starts a new count."""
    bench = Bench()
    await bench.queue("a", "a")
    bench.done("a", quota_headers(10))
    bench.done("a", quota_headers(1009, limit=6000))
    assert (bench.state.remaining, bench.state.limit) == (1009, 6000)


async def test_next_day() -> None:
    """The count is forgotten at the reset, and late responses from before it are ignored."""
    bench = Bench()
    await bench.queue("a", "a", "a")
    bench.done("a", quota_headers(7))
    await bench.clock.advance(16 * 3600)
    assert bench.state.remaining is None
    assert bench.state.resets_at is None
    bench.done("a", quota_headers(6, reset="2027-01-15T23:59:59Z"))
    assert bench.state.remaining is None
    bench.done("a", quota_headers(4999, reset="2027-01-17T00:00:00Z"))
    assert bench.state.remaining == 4999


async def test_in_flight_is_deducted() -> None:
    """With as many in flight as are left, the next one waits for a response."""
    bench = Bench()
    await bench.queue("a", "a")
    bench.done("a", quota_headers(2))
    await bench.queue("b", "c")
    assert bench.order == ["a", "a", "b"]
    bench.done("a", quota_headers(2))
    await settle()
    assert bench.order == ["a", "a", "b", "c"]


@pytest.mark.parametrize("reset", ["2027-01-16T00:00:00Z", ""])
async def test_spent_quota_fails_all(reset: str, caplog: pytest.LogCaptureFixture) -> None:
    """A spent quota fails queued and new requests with the reset's time, by default midnight."""
    bench = Bench(Limits(in_flight=1))
    await bench.queue("a", "b", "c")
    bench.tasks[2].cancel()
    bench.done("a", quota_headers(0, reset=reset))
    await settle()
    error = bench.tasks[1].exception()
    assert isinstance(error, QuotaExhausted)
    assert error.resets_at == MIDNIGHT
    assert bench.tasks[2].cancelled()
    with pytest.raises(QuotaExhausted):
        await bench.governor.acquire("d")
    assert "failing 1 queued" in caplog.text or "failing 2 queued" in caplog.text
    bench.assert_idle()


async def test_failed_while_being_cancelled() -> None:
    """A task cancelled as its wait fails ends cancelled, and nothing leaks."""
    bench = Bench(Limits(in_flight=1))
    await bench.queue("a", "b")
    bench.done("a", quota_headers(0))
    bench.tasks[1].cancel()
    await settle()
    assert bench.tasks[1].cancelled()
    bench.assert_idle()


async def test_waiting_for_the_quota() -> None:
    """With wait_for_quota queued requests are sent after the reset."""
    bench = Bench(Limits(in_flight=1, wait_for_quota=True))
    await bench.queue("a", "b")
    bench.done("a", quota_headers(0))
    await bench.clock.advance(15 * 3600)
    assert bench.order == ["a"]
    await bench.clock.advance(3601)
    assert bench.order == ["a", "b"]


async def test_near_reset_is_waited_for() -> None:
    """A reset within max_quota_wait is waited for."""
    bench = Bench()
    await bench.queue("a")
    bench.done("a", quota_headers(0, reset="30"))
    await bench.queue("b")
    assert bench.order == ["a"]
    await bench.clock.advance(30)
    assert bench.order == ["a", "b"]


async def test_429_closes_the_gate(caplog: pytest.LogCaptureFixture) -> None:
    """A 429 pauses all requests until its Retry-After and is logged once."""
    bench = Bench()
    await bench.queue("a", "a", "a")
    epoch = bench.governor.epoch
    for _ in range(2):
        bench.governor.answered("a", rate_limited("20"), epoch)
        bench.governor.release("a")
    assert bench.state.closed_until == datetime.fromtimestamp(START + 20, UTC)
    await bench.queue("b", "c")
    await bench.clock.advance(19.9)
    assert bench.order == ["a", "a", "a"]
    await bench.clock.advance(0.2)
    assert bench.order == ["a", "a", "a", "b"]
    assert bench.state.closed_until is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await bench.cancel()


async def test_gate_opens_gently() -> None:
    """After a pause each success lets one more request through."""
    bench = Bench(Limits(per_minute=None, in_flight=None))
    await bench.queue(*[str(n) for n in range(40)])
    bench.done("0", rate_limited("5"))
    for n in range(1, 40):
        bench.governor.answered(str(n), Response(status=200), 0)
        bench.governor.release(str(n))
    await bench.queue(*[f"n{n}" for n in range(40)])
    await bench.clock.advance(5.1)
    seen = []
    for _ in range(12):
        seen.append(bench.state.in_flight)
        for company in list(bench.state.companies):
            bench.done(company)
        await settle()
    assert seen[:4] == [2, 4, 8, 16]
    assert bench.state.waiting == 0


async def test_failures_do_not_open_the_gate() -> None:
    """Errors, and responses to requests sent before the pause, do not widen the gate."""
    bench = Bench(Limits(per_minute=None))
    await bench.queue(*"abcdefgh")
    bench.done("a", rate_limited("1"))
    bench.governor.answered("b", Response(status=200), 0)
    bench.governor.release("b")
    await bench.clock.advance(2)
    for company in "cdefgh":
        bench.done(company, Response(status=500))
    await bench.queue(*"ijkl")
    assert bench.state.in_flight == 2
    await bench.cancel()


@pytest.mark.parametrize(("count", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (9, 60)])
async def test_pause_without_retry_after(count: int, seconds: float) -> None:
    """Without Retry-After the pause doubles with each 429, up to a minute."""
    bench = Bench(Limits(per_minute=None))
    for _ in range(count):
        assert bench.governor.try_acquire(None)
        bench.done(None, rate_limited())
        state = bench.state
        assert state.closed_until is not None
        closed = state.closed_until.timestamp() - bench.clock.time()
        await bench.clock.advance(closed)
    assert closed == pytest.approx(seconds, abs=1e-5)


async def test_429_reduces_the_limits() -> None:
    """Each new 429 halves the limits in use, down to a minimum."""
    bench = Bench()
    await bench.queue(*"aaaa")
    for _ in range(4):
        bench.governor.answered("a", rate_limited("0"), 0)
        bench.governor.release("a")
    assert (bench.state.in_flight_per_company, bench.state.per_minute) == (5, 500)
    for _ in range(12):
        await bench.clock.advance(20)
        await bench.queue("a")
        bench.done("a", rate_limited("0"))
    assert bench.state.in_flight_per_company == 1
    assert bench.state.per_minute == pytest.approx(1000 / 128)


async def test_429_with_every_limit_off() -> None:
    """A 429 pauses even if every limit is off."""
    bench = Bench(WIDE)
    await bench.queue("a")
    bench.done("a", rate_limited("5"))
    assert not bench.governor.try_acquire("a")
    assert (bench.state.in_flight_per_company, bench.state.per_minute) == (None, None)


async def test_limits_are_restored_gradually() -> None:
    """Each quiet period restores a tenth of the limits."""
    bench = Bench()
    await bench.queue("a")
    bench.done("a", rate_limited("0"))
    paces = []
    for _ in range(14):
        await bench.clock.advance(31)
        await bench.queue("a")
        bench.done("a")
        paces.append(bench.state.per_minute)
    assert paces[:3] == [pytest.approx(600), pytest.approx(700), pytest.approx(800)]
    assert paces[-1] == pytest.approx(1000)
    assert bench.state.in_flight_per_company == 10


async def test_restored_limit_serves_waiters() -> None:
    """When a company's limit is restored, its queued requests are sent."""
    bench = Bench(Limits(in_flight_per_company=2, per_minute=None))
    await bench.queue("a")
    bench.done("a", rate_limited("0"))
    await bench.clock.advance(1)
    for _ in range(6):
        await bench.queue("b")
        bench.done("b")
    await bench.queue("a", "a")
    assert bench.order[-1] == "a"
    assert bench.state.waiting == 1
    for _ in range(5):
        await bench.clock.advance(31)
        await bench.queue("c")
        bench.done("c")
    await settle()
    assert bench.state.waiting == 0
    assert bench.state.companies == {"a": 2}


async def test_reduced_limit_of_a_queued_company() -> None:
    """A queued company gets no place above its reduced limit."""
    bench = Bench(Limits(in_flight=2, in_flight_per_company=2, per_minute=None))
    await bench.queue("a", "b", "a", "a")
    bench.done("b", rate_limited("1"))
    await bench.clock.advance(1.5)
    assert bench.state.companies == {"a": 1}
    assert bench.state.waiting == 2
    bench.done("a")
    await settle()
    assert bench.state.companies == {"a": 1}
    await bench.cancel()


async def test_open_streams_do_not_count_against_the_gate() -> None:
    """Open streams do not block the requests whose success widens the gate."""
    bench = Bench(Limits(per_minute=None))
    await bench.queue("a", "a", "b", "b", "c")
    for company in "aabb":
        bench.governor.answered(company, Response(status=200), 0)
    bench.done("c", rate_limited("1"))
    await bench.clock.advance(1.1)
    await bench.queue("c", "c", "c")
    assert bench.state.companies == {"a": 2, "b": 2, "c": 2}
    bench.done("c")
    assert bench.state.waiting == 0
    for company in "aabb":
        bench.governor.release(company)
    bench.done("c")
    bench.done("c")
    bench.assert_idle()


async def test_open_streams_and_a_reduced_limit() -> None:
    """With a reduced limit a company still sends beside its open streams."""
    bench = Bench(Limits(in_flight_per_company=3, per_minute=None))
    await bench.queue("a", "b", "b")
    bench.governor.answered("a", Response(status=200), 0)
    bench.done("b", rate_limited("0"))
    bench.done("b", rate_limited("0"))
    assert bench.state.in_flight_per_company == 1
    await bench.queue("a", "a", "a")
    assert bench.state.companies == {"a": 2}
    bench.governor.answered("a", Response(status=200), 1)
    await settle()
    assert bench.state.companies == {"a": 3}
    bench.governor.answered("a", Response(status=200), 1)
    await settle()
    assert (bench.state.companies, bench.state.waiting) == ({"a": 3}, 1)
    bench.governor.release("a")
    await settle()
    assert bench.state.waiting == 0
    await bench.cancel()


async def test_hours_of_retry_after_mean_the_quota() -> None:
    """A Retry-After of hours counts as a spent quota, with or without headers."""
    bench = Bench(Limits(in_flight=1))
    await bench.queue("a", "b")
    bench.done("a", rate_limited("7200"))
    await settle()
    error = bench.tasks[1].exception()
    assert isinstance(error, QuotaExhausted)
    assert error.resets_at == datetime.fromtimestamp(START + 7200, UTC)
    assert bench.state.closed_until is None
    await bench.clock.advance(7200)
    assert bench.governor.try_acquire("a")


@pytest.mark.parametrize(
    "far",
    [
        rate_limited("1000000000000"),
        quota_headers(0, status=429, reset="", retry_after="1000000000000"),
        quota_headers(0, status=429, reset="30", retry_after="1000000000000"),
        quota_headers(0, reset="1900000000000"),
    ],
)
async def test_no_wait_is_longer_than_a_day(far: Response) -> None:
    """A reset in the far future is capped at a day."""
    bench = Bench()
    await bench.queue("a")
    bench.done("a", far)
    state = bench.state
    until = state.closed_until or state.resets_at
    assert until is not None
    assert until <= datetime.fromtimestamp(START + 86_400, UTC)
    await bench.clock.advance(86_400)
    assert bench.governor.try_acquire("a")


async def test_long_retry_after_with_quota_left() -> None:
    """With quota left, a long Retry-After pauses all requests and fails none."""
    bench = Bench(Limits(in_flight=1))
    await bench.queue("a", "b")
    bench.done("a", quota_headers(5000, limit=9000, status=429, retry_after="90"))
    assert bench.governor.spent() is None
    assert bench.state.closed_until == datetime.fromtimestamp(START + 90, UTC)
    await bench.clock.advance(89.9)
    assert bench.order == ["a"]
    await bench.clock.advance(0.2)
    assert bench.order == ["a", "b"]


async def test_429_without_a_reset() -> None:
    """Without a reset header Retry-After is the reset."""
    bench = Bench()
    await bench.queue("a")
    bench.done("a", quota_headers(0, status=429, reset="", retry_after="7200"))
    assert bench.governor.spent() == datetime.fromtimestamp(START + 7200, UTC)


async def test_server_whose_clock_is_fast() -> None:
    """A Retry-After date is relative to the server's clock, which may be an hour ahead."""
    bench = Bench()
    await bench.queue("a")
    headers = {"Date": "Fri, 15 Jan 2027 09:00:00 GMT", "Retry-After": "Fri, 15 Jan 2027 09:00:05 GMT"}
    bench.done("a", Response(status=429, headers=headers))
    assert bench.state.closed_until == datetime.fromtimestamp(START + 5, UTC)


async def test_only_one_timer(caplog: pytest.LogCaptureFixture) -> None:
    """One timer serves all waiters."""
    caplog.set_level(logging.CRITICAL)
    bench = Bench()
    await bench.queue("a", "a")
    bench.done("a", rate_limited("50"))
    await bench.queue(*"bcdefg")
    assert bench.clock.armed == 1
    bench.done("a", Response(status=200))
    assert bench.clock.armed == 1
    await bench.cancel()
    assert bench.clock.armed == 0


async def test_lost_requests_count_for_the_minute() -> None:
    """A request without a response counts, since it may have reached the server."""
    bench = Bench(Limits(per_minute=1))
    await bench.queue("a")
    bench.governor.answered("a", None, 0)
    bench.governor.release("a")
    await bench.clock.advance(59)
    assert not bench.governor.try_acquire("a")
    await bench.clock.advance(1.1)
    assert bench.governor.try_acquire("a")


async def test_new_request_does_not_overtake_a_late_timer() -> None:
    """A new request queues even if a place is free and the timer late."""
    bench = Bench(Limits(per_minute=20))
    await bench.queue("a", "b")
    bench.clock.now += 10
    assert not bench.governor.try_acquire("c")
    await bench.cancel()


async def test_no_burst_after_a_pause() -> None:
    """A pause does not accumulate a burst."""
    bench = Bench(Limits(in_flight=None, in_flight_per_company=None))
    await bench.queue("a")
    bench.done("a", rate_limited("50"))
    await bench.queue("b", "c")
    await bench.clock.advance(50.01)
    assert bench.order == ["a", "b"]
    await bench.clock.advance(0.12)
    assert bench.order == ["a", "b", "c"]


async def test_response_of_an_open_stream_updates_the_quota() -> None:
    """A response whose stream is still open updates the quota."""
    bench = Bench()
    await bench.queue("a", "a")
    bench.done("a", quota_headers(2))
    await bench.queue("b", "c")
    assert bench.order == ["a", "a", "b"]
    bench.governor.answered("a", quota_headers(2), 0)
    await settle()
    assert bench.order == ["a", "a", "b", "c"]


async def test_withdrawn_place_in_the_minute() -> None:
    """A place that was not used does not delay the next request."""
    bench = Bench(Limits(in_flight=1, per_minute=20))
    await bench.queue("a", "b")
    bench.clock.now += 10
    bench.done("a")
    bench.tasks[1].cancel()
    await settle()
    assert bench.governor.try_acquire("c")


async def test_pause_is_short_again_after_success() -> None:
    """Once the gate is open again, the pause starts from one second."""
    bench = Bench(Limits(per_minute=None))
    for expected in (1, 2, 1):
        await bench.queue("a")
        bench.done("a", rate_limited())
        closed = bench.state.closed_until
        assert closed is not None
        assert closed.timestamp() - bench.clock.time() == pytest.approx(expected, abs=1e-5)
        await bench.clock.advance(expected + 0.1)
        for _ in range(4 if expected == 2 else 0):
            await bench.queue("a")
            bench.done("a")


async def test_shorter_retry_after_does_not_open_the_gate() -> None:
    """The longest of several Retry-Afters counts."""
    bench = Bench()
    await bench.queue("a", "a")
    for seconds in ("20", "5"):
        bench.governor.answered("a", rate_limited(seconds), 0)
        bench.governor.release("a")
    assert bench.state.closed_until == datetime.fromtimestamp(START + 20, UTC)


async def test_yesterdays_answer_comes_late() -> None:
    """A response in transit over midnight does not change the new day's count."""
    bench = Bench()
    await bench.queue("a", "a")
    await bench.clock.advance(16 * 3600)
    bench.done("a", quota_headers(4999, reset="2027-01-17T00:00:00Z"))
    bench.done("a", quota_headers(0))
    assert bench.state.remaining == 4999
