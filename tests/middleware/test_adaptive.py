"""The law of the rate: when 429s reduce it, by how much, and how it comes back."""

import pytest

from codat_middleware.fair_queue import Company
from codat_middleware.pace import AdaptiveRate, Gate


def refuse(rate: AdaptiveRate, now: float, times: int = 4, hint: float | None = None) -> float | None:
    """Record 429s until there is a verdict; return for how long all are to pause."""
    epoch = rate.epoch
    for _ in range(times):
        pause = rate.rate_limited(now, hint, probe=False)
    assert rate.epoch == epoch + 1
    return pause


def send(rate: AdaptiveRate, begin: float, seconds: float) -> float:
    """Send and succeed at the rate for so long; return when that ends."""
    now = begin
    while now < begin + seconds:
        rate.sent(now)
        rate.accepted(now)
        now += 1.0 / rate.rate
    return now


def test_single_429s_change_nothing() -> None:
    """One 429 in twenty leaves the rate alone for ever."""
    rate = AdaptiveRate(10.0)
    for _ in range(500):
        assert rate.rate_limited(0.0, None, probe=False) is None
        assert rate.score > 0.0
        for _ in range(19):
            rate.accepted(0.0)
        assert rate.score <= 0.0
    assert (rate.rate, rate.peak, rate.epoch) == (10.0, None, 0)


def test_first_cut() -> None:
    """Four 429s without a success cut to 0.7 of the limit, and all are to pause."""
    rate = AdaptiveRate(10.0)
    assert refuse(rate, 0.0, hint=3.0) == 3.0
    assert (rate.rate, rate.peak, rate.epoch) == (pytest.approx(7.0), 10.0, 1)


def test_cut_by_the_accepted_share() -> None:
    """With most accepted the factor is their share, and nobody pauses."""
    rate = AdaptiveRate(10.0)
    while rate.epoch == 0:
        for _ in range(2):
            rate.accepted(0.0)
        assert rate.rate_limited(0.0, None, probe=False) is None
    assert 7.0 <= rate.rate <= 9.0


def test_no_second_cut_without_a_success() -> None:
    """The same overload cuts once: as long as nothing is accepted the rate stays."""
    rate = AdaptiveRate(10.0)
    refuse(rate, 0.0)
    assert refuse(rate, 5.0) == 0.0
    assert rate.rate == pytest.approx(7.0)


def test_shortest_retry_after_counts() -> None:
    """Of several ``Retry-After`` the shortest counts, so that one of hours does not stop everybody."""
    rate = AdaptiveRate(10.0)
    for hint in (7200.0, None, 2.0):
        assert rate.rate_limited(0.0, hint, probe=False) is None
    assert rate.rate_limited(0.0, 600.0, probe=False) == 2.0


def test_peak_is_the_accepted_rate() -> None:
    """A second cut remembers what was accepted since the first, and not the rate before it."""
    rate = AdaptiveRate(10.0)
    refuse(rate, 0.0)
    now = 0.0
    while now < 30.0:
        # The server accepts two a second.
        rate.sent(now)
        rate.accepted(now)
        now += 0.5
    refuse(rate, now)
    assert rate.peak == pytest.approx(5.0 * 0.7 * 1.02, rel=0.05) or rate.peak == pytest.approx(2.0, rel=0.1)
    assert rate.rate < 2.1


def test_returns_to_the_peak_and_forgets() -> None:
    """It returns to the limit within two minutes, and a minute later the past is forgotten."""
    rate = AdaptiveRate(10.0)
    refuse(rate, 0.0)
    now = send(rate, 0.0, 120.0)
    assert rate.rate > 9.0
    assert rate.peak == 10.0
    send(rate, now, 120.0)
    assert (rate.rate, rate.peak) == (10.0, None)


def test_time_without_requests_does_not_count() -> None:
    """Idleness does not raise the rate."""
    rate = AdaptiveRate(10.0)
    refuse(rate, 0.0)
    rate.sent(10_000.0)
    assert rate.rate < 7.1


def test_old_successes_leave_the_window() -> None:
    """What was accepted more than a minute ago is no longer counted."""
    rate = AdaptiveRate()
    for at in (0.0, 1.0, 100.0):
        rate.accepted(at)
    assert list(rate._accepted) == [100.0]


def test_without_a_limit() -> None:
    """Without a limit the accepted rate becomes the scale at the first cut; before that none is known."""
    rate = AdaptiveRate()
    refuse(rate, 0.0)
    assert rate.rate == float("inf")
    for number in range(100):
        rate.accepted(number * 0.1)
    refuse(rate, 10.0)
    assert 5.0 < rate.rate < 10.0
    now = send(rate, 10.0, 300.0)
    assert rate.rate > 20.0
    assert now > 300.0


def test_fewer_429s_are_needed_above_the_peak() -> None:
    """Above the rate last known to be accepted two 429s are enough; a probe needs one."""
    rate = AdaptiveRate(10.0)
    refuse(rate, 0.0)
    now = 0.0
    while now < 60.0:
        rate.sent(now)
        rate.accepted(now)
        now += 1.0
    refuse(rate, now)
    while not rate.probing:
        rate.sent(now)
        rate.accepted(now)
        now += 1.0 / rate.rate
    assert rate.rate_limited(now, None, probe=False) is None
    assert rate.rate_limited(now, None, probe=False) is not None
    assert rate.rate_limited(now, None, probe=True) is not None


def test_noise_below_the_peak_raises_what_is_needed() -> None:
    """429s well below the accepted rate say nothing about it: the more of them, the more are needed."""
    rate = AdaptiveRate(100.0)
    refuse(rate, 0.0)
    now = 0.0
    for number in range(600):
        rate.sent(now)
        if number % 20:
            rate.accepted(now)
        else:
            assert rate.rate_limited(now, None, probe=False) is None
        now += 0.01
    assert 0.01 < rate._noise < 0.05


def test_retracted() -> None:
    """A 429 that was only its company's is taken back, in advance too."""
    rate = AdaptiveRate(10.0)
    rate.rate_limited(0.0, None, probe=False)
    rate.rate_limited(0.0, None, probe=False)
    rate.retract()
    assert rate.score > 0.0
    rate.retract()
    assert rate.score <= 0.0
    rate.retract()
    for _ in range(4):
        assert rate.rate_limited(0.0, None, probe=False) is None
    assert rate.rate_limited(0.0, None, probe=False) is not None
    rate.retract()
    for _ in range(30):
        rate.accepted(0.0)
    assert rate.score >= 0.0


# --- one company, and everybody ------------------------------------------------------------------


def test_only_the_first_two_in_a_row_are_evidence() -> None:
    """The first 429 is evidence; the second, with others well, takes it back; later ones are neither."""
    company = Company("a")
    evidence = [company.rate_limited(now, now - 0.5, 0.0, now - 0.6, hold=2.0) for now in (10.0, 20.0, 30.0)]
    assert evidence == [1.0, -1.0, 0.0]
    assert company.held_until == 34.0
    assert company.opens_at(31.0, 10.0) == 34.0
    company.succeeded()
    assert company.opens_at(31.0, 10.0) == 31.0


def test_429s_of_requests_that_were_in_flight_together() -> None:
    """They are one in a row, and evidence only while nobody else succeeds."""
    company = Company("a")
    assert company.rate_limited(10.0, 9.0, 0.0, 0.0, hold=2.0) == 1.0
    assert company.rate_limited(10.1, 9.1, 0.0, 0.0, hold=2.0) == 1.0
    assert company.rate_limited(10.2, 9.2, 0.0, 10.15, hold=2.0) == 0.0
    assert company.in_a_row == 1
    assert company.rate_limited(12.0, 11.0, 0.0, 0.0, hold=2.0) == 1.0


def test_longest_hold() -> None:
    """A hold grows to a minute at most, unless the server asks for more."""
    company = Company("a")
    for number in range(100):
        company.rate_limited(100.0 * number + 1.0, 100.0 * number, 0.0, 0.0, hold=2.0)
    assert company.held_until == 9901.0 + 60.0
    company.rate_limited(10_001.0, 10_000.0, 600.0, 0.0, hold=2.0)
    assert company.held_until == company.requested_until == 10_601.0


def test_requests_without_a_company_are_never_full() -> None:
    """They share no limit."""
    company = Company(None)
    company.streams = 1000
    assert company.opens_at(0.0, 10.0) == 0.0


def test_one_at_a_time_after_a_hold() -> None:
    """Without a response it may not send again, whatever requests that timed out leave behind."""
    company = Company("a", unanswered=1, in_a_row=2, ghosts=(5.0, 15.0))
    assert company.opens_at(10.0, 10.0) == float("inf")
    company.unanswered = 0
    assert company.opens_at(10.0, 1.0) == 15.0
    assert company.opens_at(10.0, 2.0) == 10.0


def test_pauses_grow_until_a_probe_succeeds() -> None:
    """Without a ``Retry-After`` pauses last 2, 4, 8 and at most 15 seconds, then one request is sent."""
    gate, now, lasted = Gate(), 0.0, []
    for _ in range(5):
        gate.pause(now, 0.0)
        lasted.append(gate.delay(now, 0))
        now += lasted[-1]
        assert gate.delay(now, 0) == 0.0
        assert gate.delay(now, 1) == float("inf")
    assert lasted == [2.0, 4.0, 8.0, 15.0, 15.0]
    gate.succeeded()
    assert (gate.tries, gate.delay(now, 1)) == (0, 0.0)
    for _ in range(300):
        gate.succeeded()
    assert gate.allowance == float("inf")
    assert gate.delay(now, 10**6) == 0.0
