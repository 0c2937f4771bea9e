"""Requests are evenly spaced, and any minute stays within the limit."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_middleware.pace import Pace


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
    assert max(Counter(int(at) for at in late).values()) <= 22


def test_catches_up_a_quarter_of_a_second() -> None:
    """After idleness a quarter of a second's requests are sent at once, and the rest evenly."""
    pace, sent = Pace(1000), []
    now = 0.0
    for _ in range(10):
        now += pace.delay(now, 0)
        pace.sent(now)
        sent.append(now)
    assert sent[:5] == [0.0] * 5
    assert sent[9] == pytest.approx(0.29)


def test_without_a_limit() -> None:
    """Without a limit nothing is spaced, until an interval is set."""
    pace = Pace(float("inf"))
    for _ in range(3):
        assert pace.delay(0.0, 10**6) == 0.0
        pace.sent(0.0)
        pace.answered(0.0)
    pace.interval = 2.0
    pace.sent(0.0)
    assert pace.delay(0.0, 10**6) == pytest.approx(1.75)
