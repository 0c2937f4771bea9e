"""Thousands of calls at once against a server that enforces the limits."""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import pytest

from codat_async import Codat
from codat_middleware import Limits, Request, Response, RetryPolicy, Timeout
from tests.faults.conftest import Scene
from tests.faults.server import Exchange

PATIENT = Timeout(connect=10, read=30, total=60)


@dataclass
class Strict:
    """Enforces the limits of the API: in flight per company, in any minute, and a day."""

    in_flight: int = 10
    per_minute: int = 1000
    quota: int = 1_000_000
    latency: float = 0.02
    refused: int = 0
    under_way: Counter[str] = field(default_factory=Counter)
    most: int = 0
    recent: deque[float] = field(default_factory=deque)
    finished: dict[str, float] = field(default_factory=dict)

    async def __call__(self, exchange: Exchange) -> None:
        company, now = exchange.path.split("/")[2], time.monotonic()
        while self.recent and self.recent[0] <= now - 60:
            self.recent.popleft()
        if self.under_way[company] >= self.in_flight or len(self.recent) >= self.per_minute:
            self.refused += 1
            await exchange.answer(429, b"{}", Retry_After="1")
            return
        self.quota -= 1
        self.recent.append(now)
        self.under_way[company] += 1
        self.most = max(self.most, self.under_way[company])
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.under_way[company] -= 1
        self.finished[company] = time.monotonic()
        await exchange.answer(
            X_Rate_Limit_Limit="1000000",
            X_Rate_Limit_Remaining=str(self.quota),
            X_Rate_Limit_Reset="86000",
        )


def calls(codat: Codat, companies: int, each: int) -> list[asyncio.Task[Response]]:
    """Start ``each`` GETs for every company, all at once."""
    return [
        asyncio.create_task(
            codat.send(Request(method="GET", path=f"/companies/c{number}/data", company_id=f"c{number}"))
        )
        for number in range(companies)
        for _ in range(each)
    ]


def spread(strict: Strict, begun: float) -> str:
    """When the first and the last company had their last answer, in seconds from the start."""
    ends = sorted(end - begun for end in strict.finished.values())
    return f"companies finished from {ends[0]:.2f} to {ends[-1]:.2f} s"


async def test_five_thousand(scene: Scene) -> None:
    """5,000 GETs over 200 companies: not one is refused, all finish, and the companies together."""
    strict = Strict(per_minute=60_000)
    async with scene(strict, limits=Limits(per_minute=60_000), timeout=PATIENT) as (codat, server):
        begun = time.monotonic()
        answers = await asyncio.gather(*calls(codat, 200, 25))
        took = time.monotonic() - begun
        assert Counter(answer.status for answer in answers) == {200: 5000}
        assert strict.refused == 0
        assert len(server.exchanges) == 5000
        assert strict.most <= 10
        assert codat.governor.state().remaining == strict.quota
        print(f"took {took:.2f} s; {spread(strict, begun)}")
        ends = [end - begun for end in strict.finished.values()]
        # The first ten companies fill all hundred places before anybody has to queue.
        assert sorted(ends)[20] > 0.8 * max(ends)
        assert took < 20


async def test_stricter_than_configured(scene: Scene) -> None:
    """A server that allows 3 in flight, not 10, refuses a few times and loses nothing."""
    strict = Strict(in_flight=3, per_minute=60_000)
    options = {"limits": Limits(per_minute=60_000), "timeout": PATIENT, "retry": RetryPolicy()}
    async with scene(strict, **options) as (codat, _):
        begun = time.monotonic()
        waves: list[int] = []
        for _ in range(3):
            answers = await asyncio.gather(*calls(codat, 40, 15))
            assert Counter(answer.status for answer in answers) == {200: 600}
            waves.append(strict.refused)
        print(f"{waves} refused so far after each wave; took {time.monotonic() - begun:.2f} s")
        assert 0 < waves[0] <= waves[1] <= 200
        assert waves[2] == waves[1]
        assert time.monotonic() - begun < 20


async def test_cancelled_in_the_middle(scene: Scene) -> None:
    """Cancelling a thousand calls, some waiting and some under way, leaves nothing."""
    strict = Strict(per_minute=60_000, latency=0.2)
    async with scene(strict, limits=Limits(per_minute=60_000), timeout=PATIENT) as (codat, server):
        tasks = calls(codat, 100, 10)
        await server.arrivals(150)
        state = codat.governor.state()
        assert state.in_flight > 0
        assert state.waiting > 0
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=2)
        assert all(task.done() for task in tasks)


@pytest.mark.soak
async def test_five_thousand_at_the_true_pace(scene: Scene) -> None:
    """At 1,000 a minute 5,000 calls take near five minutes, and none is refused."""
    strict = Strict()
    async with scene(strict, timeout=PATIENT) as (codat, server):
        begun = time.monotonic()
        answers = await asyncio.gather(*calls(codat, 200, 25))
        took = time.monotonic() - begun
        print(f"took {took:.1f} s; {spread(strict, begun)}")
        assert Counter(answer.status for answer in answers) == {200: 5000}
        assert strict.refused == 0
        assert len(server.exchanges) == 5000
        assert took < 310
