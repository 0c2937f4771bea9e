"""The queue of the rate limit: whose request is sent next."""

import random
from typing import Any

from codat_middleware import Limits
from codat_middleware.fair_queue import FairQueue
from tests.middleware.fakes import Bench, rate_limited


def test_company_that_may_no_longer_send_leaves_the_ring() -> None:
    """Its request stays queued, and is next when the company may send again."""
    queue, waiter = FairQueue(1, random.Random(0)), object()
    company = queue.company("c", 0.0)
    sent: Any = waiter
    queue.add(company, sent, 0.0, first=False, urgent=False)
    assert list(queue.ring) == [company]
    company.streams = 1
    assert queue.take(0.0, mixed=False, probe=False) is None
    assert (list(queue.ring), list(company.queue)) == ([], [waiter])
    company.streams = 0
    queue.line_up(company, 1.0)
    assert queue.take(1.0, mixed=False, probe=False) == (company, waiter)


async def test_company_that_is_held_while_it_waits_for_the_pace() -> None:
    """Other companies go first, and its request is sent when the hold ends."""
    bench = Bench(Limits(per_minute=60))
    await bench.queue("a", "a")
    bench.done("a", rate_limited())
    await bench.clock.advance(1)
    await bench.queue("a", "b")
    bench.done("a", rate_limited())
    await bench.clock.advance(1)
    assert bench.order == ["a", "a", "b"]
    bench.done("b")
    await bench.clock.advance(5)
    assert bench.order == ["a", "a", "b", "a"]
    bench.done("a")
    bench.assert_idle()
