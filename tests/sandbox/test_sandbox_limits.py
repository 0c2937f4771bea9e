"""The three limits: counted on a clock of the test's own, and enforced over a real socket."""

import asyncio
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import aiohttp
from small_books import Api, credential, small_sandbox

from codat_async.sandbox import RateLimits
from codat_async.sandbox.limits import RateLimiter
from codat_async.sandbox.replies import ApiError

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()


HELD: list[AbstractContextManager[None]] = []
"""Places that a test keeps: one that is collected is released."""


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def limiter(clock: Clock, limits: RateLimits | None) -> RateLimiter:
    """The limits of an account with two companies."""
    return RateLimiter(limits, lambda: 2, clock)


def rate_limited(counted: RateLimiter, company: str | None = "a", address: str = "1") -> str | None:
    """The Retry-After of a 429, or None if the request got in; it keeps its place."""
    place = counted.place(address, company)
    HELD.append(place)
    try:
        place.__enter__()
    except ApiError as error:
        return error.headers.get("Retry-After", "") if error.status == 429 else "not a 429"
    return None


def test_in_flight_per_company() -> None:
    """One company's requests in flight are limited, another's are not, and a released place is free."""
    counted = limiter(Clock(), RateLimits(in_flight=2))
    with counted.place("1", "a"):
        assert rate_limited(counted) is None
        assert rate_limited(counted) == "1"
        assert rate_limited(counted, "b") is None
        assert rate_limited(counted, None) is None
    assert rate_limited(counted) is None
    assert counted.most_in_flight == 2


def test_per_minute_and_address() -> None:
    """Within any minute each source address has so many requests; the wait announced is exact."""
    clock = Clock()
    counted = limiter(clock, RateLimits(in_flight=None, per_minute=3))
    for _ in range(3):
        assert rate_limited(counted) is None
        clock.now += 10
    assert rate_limited(counted) == "30"
    assert rate_limited(counted, address="2") is None
    clock.now += 29.9
    assert rate_limited(counted) == "1"
    clock.now += 0.1
    assert rate_limited(counted) is None
    assert rate_limited(counted) == "10"


def test_rate_limited_requests_do_not_count() -> None:
    """Asking again too early does not put the end of the wait further off."""
    clock = Clock()
    counted = limiter(clock, RateLimits(per_minute=1))
    with counted.place("1", "a"):
        pass
    for _ in range(5):
        clock.now += 10
        rate_limited(counted)
    clock.now += 10
    assert rate_limited(counted) is None


def test_the_day() -> None:
    """The quota is 1,000 × (1 + companies), announced on every answer, and full again at midnight UTC."""
    clock = Clock()
    counted = limiter(clock, RateLimits(in_flight=None, per_minute=None))
    for _ in range(3000):
        assert rate_limited(counted) is None
    assert counted.headers() == {
        "X-Rate-Limit-Limit": "3000",
        "X-Rate-Limit-Remaining": "0",
        "X-Rate-Limit-Reset": "2026-05-05T00:00:00Z",
    }
    assert rate_limited(counted) == str(12 * 3600)
    clock.now += 12 * 3600
    assert rate_limited(counted) is None
    assert counted.headers()["X-Rate-Limit-Remaining"] == "2999"
    assert counted.headers()["X-Rate-Limit-Reset"] == "2026-05-06T00:00:00Z"


def test_a_quota_that_is_spent_or_renewed_is_reported() -> None:
    """Once each: with the last request that it allows, at midnight, and when other limits are set."""
    clock, heard = Clock(), list[bool]()
    limits = RateLimits(in_flight=None, per_minute=None, per_day=2)
    counted = RateLimiter(limits, lambda: 2, clock, heard.append)
    assert rate_limited(counted) is None
    assert heard == []
    assert rate_limited(counted) is None
    assert heard == [True]
    assert counted.resets_in == 12 * 3600
    assert rate_limited(counted) == str(12 * 3600)
    counted.look()
    assert heard == [True]
    clock.now += 12 * 3600
    counted.look()
    assert heard == [True, False]
    counted.limits = RateLimits(per_day=0)
    counted.limits = None
    assert heard == [True, False, True, False]


def test_each_limit_can_be_left_out() -> None:
    """A limit that is None, or a quota that is switched off, limits nothing."""
    limits = RateLimits(in_flight=None, per_minute=None, per_day=1, daily=False)
    counted = limiter(Clock(), limits)
    assert all(rate_limited(counted) is None for _ in range(2000))
    assert counted.headers()["X-Rate-Limit-Remaining"] == "1"


def test_without_limits_nothing_is_used_up() -> None:
    """With no limits in force the quota is announced, and stays whole."""
    counted = limiter(Clock(), None)
    for _ in range(50):
        assert rate_limited(counted) is None
    assert counted.headers()["X-Rate-Limit-Remaining"] == "3000"


def test_a_limit_lowered_meanwhile() -> None:
    """With more requests within the minute than the new limit, the wait is until few enough are left."""
    clock = Clock()
    counted = limiter(clock, RateLimits(in_flight=None, per_minute=10))
    for _ in range(5):
        assert rate_limited(counted) is None
        clock.now += 1
    counted.limits = RateLimits(in_flight=None, per_minute=2)
    assert rate_limited(counted) == "58"


async def test_addresses_over_a_socket() -> None:
    """Two clients with source addresses of their own have a minute each."""
    async with small_sandbox(limits=RateLimits(per_minute=2)) as sandbox:
        for address in ("127.0.0.1", "127.0.0.2"):
            connector = aiohttp.TCPConnector(local_addr=(address, 0))
            headers = credential(sandbox.api_key)
            async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
                statuses = [(await Api(sandbox, session).send("GET", "/companies"))[0] for _ in range(3)]
                assert statuses == [200, 200, 429]


async def test_over_a_socket() -> None:
    """More requests at once than a company may have are answered 429; the rest are served."""
    async with (
        small_sandbox(limits=True, faults="latency=0.2") as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
    ):
        api = Api(sandbox, session)
        answers = await asyncio.gather(*(api.send("GET", f"{api.data}/invoices") for _ in range(14)))
        statuses = sorted(status for status, _ in answers)
        assert statuses == [200] * 10 + [429] * 4
        assert (await api.send("GET", f"{api.data}/invoices"))[0] == 200
        assert sandbox.stats["mostInFlight"] == 10


async def test_limits_by_the_admin_endpoint(api: Api) -> None:
    """Limits are set and taken away while the sandbox runs."""
    wanted = {"perMinute": 1, "minute": 3600}
    status, limits = await api.send("PUT", "/_sandbox/limits", json=wanted)
    assert (status, limits["perMinute"], limits["inFlight"]) == (200, 1, 10)
    assert (await api.send("GET", "/companies"))[0] == 200
    async with api.session.get(f"{api.sandbox.base_url}/companies") as response:
        assert response.status == 429
        assert int(response.headers["Retry-After"]) > 3500
    await api.send("DELETE", "/_sandbox/limits")
    assert (await api.send("GET", "/companies"))[0] == 200
    assert (await api.send("PUT", "/_sandbox/limits", json={"nothing": 1}))[0] == 400
