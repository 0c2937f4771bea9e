"""Thousands of calls at once against a sandbox that enforces the limits."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from codat_async import Codat
from codat_async.sandbox import RateLimits, Sandbox
from codat_middleware import Limits, Request, RetryPolicy, Timeout
from tests.faults.conftest import arrivals, client

pytestmark = pytest.mark.usefixtures("_tasks_and_files")

PATIENT = Timeout(connect=10, read=30, total=60)
FAST = Limits(per_minute=60_000)
GUARD = 60
"""Seconds after which a test that hangs is given up."""


@asynccontextmanager
async def loaded(companies: int, *, latency: float = 0.02, per_minute: int = 60_000, **options: Any) -> Any:
    """A client of a sandbox that enforces in flight per company, requests per minute, and the day's quota."""
    in_flight = options.pop("in_flight", 10)
    limits = RateLimits(in_flight=in_flight, per_minute=per_minute, per_day=1_000_000)
    sandbox = Sandbox(companies=companies, limits=limits, faults=f"latency={latency}")
    async with (
        sandbox,
        client(sandbox.base_url, sandbox.api_key, **({"timeout": PATIENT} | options)) as codat,
    ):
        yield codat, sandbox


async def timed(codat: Codat, company: str, ends: dict[str, float]) -> int:
    """The status of a GET; ``ends`` gets when the company's last one was answered."""
    answer = await codat.send(Request(method="GET", path=f"/companies/{company}", company_id=company))
    ends[company] = time.monotonic()
    return answer.status


def calls(codat: Codat, sandbox: Sandbox, each: int, ends: dict[str, float]) -> list[asyncio.Task[int]]:
    """Starts ``each`` GETs for every company, all at once."""
    return [
        asyncio.create_task(timed(codat, company, ends))
        for company in sandbox.company_ids
        for _ in range(each)
    ]


def spread(ends: Mapping[str, float], begun: float) -> str:
    """When the first and the last company had their last answer, in seconds from the start."""
    return f"companies finished from {min(ends.values()) - begun:.2f} to {max(ends.values()) - begun:.2f} s"


async def test_five_thousand() -> None:
    """5,000 GETs over 200 companies: none is rate limited, all finish, and the companies together."""
    ends: dict[str, float] = {}
    async with asyncio.timeout(GUARD), loaded(200, limits=FAST) as (codat, sandbox):
        begun = time.monotonic()
        statuses = await asyncio.gather(*calls(codat, sandbox, 25, ends))
        took = time.monotonic() - begun
        assert Counter(statuses) == {200: 5000}
        assert sandbox.stats["statuses"] == {"200": 5000}
        assert sandbox.stats["mostInFlight"] <= 10
        assert codat.governor.state().remaining == 1_000_000 - 5000
        print(f"took {took:.2f} s; {spread(ends, begun)}")
        # The first ten companies fill all hundred places before anybody has to queue.
        last = max(ends.values()) - begun
        assert sorted(ends.values())[20] - begun > 0.8 * last


async def test_stricter_than_configured() -> None:
    """A server that allows 3 in flight, not 10, answers 429 a few times and loses nothing."""
    async with asyncio.timeout(GUARD):
        async with loaded(40, in_flight=3, limits=FAST, retry=RetryPolicy()) as (codat, sandbox):
            waves: list[int] = []
            for _ in range(3):
                statuses = await asyncio.gather(*calls(codat, sandbox, 15, {}))
                assert Counter(statuses) == {200: 600}
                waves.append(sandbox.stats["statuses"].get("429", 0))
            print(f"{waves} rate limited so far after each wave")
            # A company's own limit is not learnt: it is held back after its second 429 in a row.
            assert 0 < waves[2] <= 0.15 * 1800


async def test_cancelled_in_the_middle() -> None:
    """Cancelling a thousand calls, some waiting and some under way, leaves nothing."""
    async with asyncio.timeout(GUARD), loaded(100, latency=0.2, limits=FAST) as (codat, sandbox):
        tasks = calls(codat, sandbox, 10, {})
        await arrivals(sandbox, 150)
        state = codat.governor.state()
        assert state.in_flight > 0
        assert state.waiting > 0
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=2)
        assert all(task.done() for task in tasks)


@pytest.mark.soak
async def test_five_thousand_at_the_true_pace() -> None:
    """At 1,000 a minute 5,000 calls take near five minutes, and none is rate limited."""
    ends: dict[str, float] = {}
    async with asyncio.timeout(310), loaded(200, per_minute=1000) as (codat, sandbox):
        begun = time.monotonic()
        statuses = await asyncio.gather(*calls(codat, sandbox, 25, ends))
        print(f"took {time.monotonic() - begun:.1f} s; {spread(ends, begun)}")
        assert Counter(statuses) == {200: 5000}
        assert sandbox.stats["statuses"] == {"200": 5000}
