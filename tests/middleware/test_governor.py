"""Which requests are sent, when, and in which order."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_middleware import GovernorState, Limits, Response
from codat_middleware.errors import QuotaExhausted
from tests.middleware.fakes import START, Bench, places, quota_headers, rate_limited, settle

WIDE = Limits(in_flight_per_company=None, per_minute=None)
MIDNIGHT = datetime(2027, 1, 16, tzinfo=UTC)


async def test_fresh_state() -> None:
    """Before the first response only the limits are known."""
    assert Bench().state == GovernorState(
        in_flight=0,
        waiting=0,
        waiting_for=None,
        per_minute=1000.0,
        pace="the pace of 1000 requests a minute",
        paused_until=None,
        remaining=None,
        limit=None,
        resets_at=None,
    )


async def test_switched_off() -> None:
    """With every limit off no request waits."""
    bench = Bench(WIDE)
    places = [bench.governor.try_acquire("a") for _ in range(5000)]
    assert (bench.state.per_minute, bench.state.pace) == (None, "no pace: there is no limit per minute")
    for place in places:
        assert place is not None
        bench.governor.finished(place, Response(status=200))
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
    bench = Bench(Limits(per_minute=None))
    await bench.queue(*["a"] * 12, "b")
    assert bench.order == ["a"] * 10 + ["b"]
    assert places(bench.governor) == {"a": 10, "b": 1}
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
    bench = Bench(Limits(in_flight=1, per_minute=None))
    await bench.queue("z", *["big"] * 6, "b", "c", "b")
    for _ in range(9):
        bench.done(bench.order[-1])
        await settle()
    assert bench.order == ["z", "big", "b", "c", "big", "b", "big", "big", "big", "big"]


async def test_first_come_first_served() -> None:
    """Within a company requests are served in order, retried ones first."""
    bench = Bench(Limits(in_flight=1, per_minute=None))
    await bench.queue("x")
    order: list[str] = []

    async def ask(name: str, first: bool) -> None:
        place = await bench.governor.acquire("a", first=first)
        order.append(name)
        bench.governor.finished(place, Response(status=200))

    tasks = [asyncio.ensure_future(ask(name, name == "again")) for name in ("one", "two", "again")]
    await settle()
    bench.done("x")
    await asyncio.gather(*tasks)
    assert order == ["again", "one", "two"]


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


async def test_limit_per_minute_changes_while_requests_wait() -> None:
    """Those that were sent before count in the minute, and nothing is made up for at the change."""
    bench = Bench(Limits(in_flight_per_company=None, in_flight=None))
    await bench.queue(*["a"] * 400)
    await bench.clock.advance(6)
    sent = len(bench.order)
    assert 100 <= sent <= 106
    bench.governor.limit_per_minute(300)
    assert (bench.state.per_minute, bench.governor.limits.per_minute) == (300, 300)
    await bench.clock.advance(10.1)
    assert 50 <= len(bench.order) - sent <= 52
    # All are unanswered, so that the smaller limit is reached.
    await bench.clock.advance(100)
    assert len(bench.order) == 300
    bench.governor.limit_per_minute(600)
    await bench.clock.advance(1.05)
    assert 310 <= len(bench.order) <= 313
    with pytest.raises(ValueError, match="per_minute is 0; it must be at least 1"):
        bench.governor.limit_per_minute(0)
    await bench.cancel()


async def test_limit_per_minute_can_be_set_later() -> None:
    """Also if there was none."""
    bench = Bench(Limits(in_flight_per_company=None, in_flight=None, per_minute=None))
    bench.governor.limit_per_minute(60)
    await bench.queue("a", "a", "a", "a")
    await bench.clock.advance(2.5)
    assert len(bench.order) == 3
    await bench.cancel()


async def test_unanswered_fill_the_minute() -> None:
    """While a minute's requests are all unanswered, no more are sent."""
    bench = Bench(Limits(in_flight_per_company=None, per_minute=2))
    await bench.queue("a", "a", "a")
    await bench.clock.advance(600)
    assert len(bench.order) == 2
    bench.done("a")
    await bench.clock.advance(59)
    assert len(bench.order) == 2
    await bench.clock.advance(1.001)
    assert len(bench.order) == 3


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
        assert max(places(bench.governor).values(), default=0) <= per_company
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
    (event,) = bench.events
    assert (event.kind, event.company_id, event.seconds) == ("quota", None, pytest.approx(57_600))
    assert caplog.messages == [event.text]
    assert event.text == (
        "waiting for the daily quota, which is spent; it resets at 2027-01-16 00:00 UTC; 2 queued"
    )
    bench.assert_idle()


async def test_spent_quota_is_reported_once() -> None:
    """Several answers that say so are one event."""
    bench = Bench()
    await bench.queue("a", "b")
    bench.done("a", quota_headers(0))
    bench.done("b", quota_headers(0))
    assert [event.kind for event in bench.events] == ["quota"]


async def test_quota_renewed_before_its_time() -> None:
    """What responses reported of it is forgotten: who waits is sent on, and a quota spent again is news."""
    bench = Bench(Limits(in_flight=1, wait_for_quota=True))
    await bench.queue("a", "b")
    bench.done("a", quota_headers(0))
    await settle()
    assert bench.order == ["a"]
    bench.governor.renew_quota()
    await settle()
    assert bench.order == ["a", "b"]
    assert bench.state.remaining is None
    bench.done("b", quota_headers(0))
    assert [event.kind for event in bench.events] == ["quota", "quota"]


async def test_waiting_for_the_pace() -> None:
    """What is waited for is the pace, and why it is what it is."""
    bench = Bench(Limits(per_minute=60, in_flight_per_company=None))
    await bench.queue(*"abcde")
    assert bench.state.waiting_for == "the pace of 60 requests a minute"
    await bench.cancel()
    bench.done("a")
    for company in "wxyz":
        await bench.clock.advance(2)
        await bench.send(company, rate_limited("0"))
    assert bench.state.pace == (
        "the pace of 42 requests a minute of 60: reduced after 429s, the server accepted 60"
    )
    assert [event.kind for event in bench.events] == ["slowed", "paused"]
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


@pytest.mark.parametrize(
    "far",
    [
        quota_headers(0, status=429, reset="", retry_after="1000000000000"),
        quota_headers(0, status=429, reset="30", retry_after="1000000000000"),
        quota_headers(0, reset="1900000000000"),
    ],
)
async def test_no_quota_is_spent_for_longer_than_a_day(far: Response) -> None:
    """A reset in the far future is capped at a day."""
    bench = Bench()
    await bench.send("a", far)
    assert bench.state.resets_at is not None
    assert bench.state.resets_at <= datetime.fromtimestamp(START + 86_400, UTC)
    await bench.clock.advance(86_400)
    assert bench.governor.try_acquire("a")


async def test_429_without_a_reset() -> None:
    """Without a reset header Retry-After is the reset."""
    bench = Bench()
    await bench.send("a", quota_headers(0, status=429, reset="", retry_after="7200"))
    with pytest.raises(QuotaExhausted) as caught:
        await bench.governor.acquire("a")
    assert caught.value.resets_at == datetime.fromtimestamp(START + 7200, UTC)


async def test_429_for_a_quota_that_resets_soon() -> None:
    """A 429 while the quota is spent is no evidence of another limit, and its reset is waited for."""
    bench = Bench()
    await bench.send("a", quota_headers(0, status=429, reset="30"))
    assert [event.kind for event in bench.events] == ["quota"]
    await bench.queue("b")
    assert bench.state.waiting_for == ("the daily quota, which is spent; it resets at 2027-01-15 08:00 UTC")
    await bench.clock.advance(31)
    assert bench.order == ["a", "b"]


async def test_only_one_timer() -> None:
    """One timer serves all waiters."""
    bench = Bench(Limits(per_minute=60))
    await bench.queue("a", "a", "b", "c")
    assert bench.clock.armed == 1
    bench.done("a")
    assert bench.clock.armed == 1
    await bench.clock.advance(1)
    assert (bench.order, bench.clock.armed) == (["a", "a"], 1)
    await bench.cancel()
    assert bench.clock.armed == 0


async def test_lost_requests_count_for_the_minute() -> None:
    """A request without a response counts, since it may have reached the server."""
    bench = Bench(Limits(per_minute=1))
    await bench.send("a", None)
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


async def test_response_of_an_open_stream_updates_the_quota() -> None:
    """A response whose stream is still open updates the quota."""
    bench = Bench()
    await bench.queue("a", "a")
    bench.done("a", quota_headers(2))
    await bench.queue("b", "c")
    assert bench.order == ["a", "a", "b"]
    bench.answer("a", quota_headers(2))
    await settle()
    assert bench.order == ["a", "a", "b", "c"]


async def test_yesterdays_answer_comes_late() -> None:
    """A response in transit over midnight does not change the new day's count."""
    bench = Bench()
    await bench.queue("a", "a")
    await bench.clock.advance(16 * 3600)
    bench.done("a", quota_headers(4999, reset="2027-01-17T00:00:00Z"))
    bench.done("a", quota_headers(0))
    assert bench.state.remaining == 4999


async def test_gentle_start() -> None:
    """At first two requests are unanswered, and one more with each success."""
    bench = Bench(WIDE, gentle=True)
    await bench.queue(*"abcdefgh")
    assert len(bench.order) == 2
    assert bench.state.waiting_for == "the responses to 2 requests: few are sent at once at the start"
    bench.done("a")
    await settle()
    assert len(bench.order) == 4
    bench.done("b", 500)
    bench.done("c", None)
    await settle()
    assert (bench.state.in_flight, len(bench.order)) == (3, 6)
    await bench.cancel()


async def test_gentle_start_ends() -> None:
    """After 200 successes any number of requests may be unanswered."""
    bench = Bench(WIDE, gentle=True)
    for _ in range(200):
        await bench.send("a")
    await bench.queue(*["a"] * 1000)
    assert bench.state.in_flight == 1000
    for _ in range(1000):
        bench.done("a")
    bench.assert_idle()


async def test_nearly_spent_quota_at_the_start() -> None:
    """Until the first response reports the remaining quota, only two requests can exceed it."""
    bench = Bench(gentle=True)
    await bench.queue(*[str(n) for n in range(100)])
    bench.done("0", quota_headers(1))
    bench.done("1", quota_headers(0))
    await settle()
    assert bench.order == ["0", "1"]
    assert all(isinstance(task.exception(), QuotaExhausted) for task in bench.tasks[2:])
