"""The three limits: counted on a clock of the test's own, and enforced over a real socket."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

import aiohttp
import pytest
from conftest import Api, credential
from stand_in import SmallBooks

from codat_async.sandbox import Limits, Sandbox
from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.limits import Governor, retry_after

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def governor(clock: Clock, limits: Limits | None) -> Governor:
    """The limits of an account with two companies."""
    return Governor(limits, lambda: 2, clock)


def refused(counted: Governor, company: str | None = "a", address: str = "1") -> str | None:
    """The Retry-After of a refusal, or None where the request got in."""
    try:
        counted.enter(address, company)
    except ApiError as error:
        return error.headers.get("Retry-After", "") if error.status == 429 else "not a refusal"
    return None


def test_in_flight_per_company() -> None:
    """One company's requests in flight are limited, another's are not, and a place given back is free."""
    counted = governor(Clock(), Limits(in_flight=2))
    first = counted.enter("1", "a")
    counted.enter("1", "a")
    assert refused(counted) == "1"
    assert refused(counted, "b") is None
    assert refused(counted, None) is None
    counted.leave(first)
    assert refused(counted) is None
    assert counted.most_in_flight == 2


def test_per_minute_and_address() -> None:
    """Within any minute an address has so many requests; the wait told is exact."""
    clock = Clock()
    counted = governor(clock, Limits(in_flight=None, per_minute=3))
    for _ in range(3):
        assert refused(counted) is None
        clock.now += 10
    assert refused(counted) == "30"
    assert refused(counted, address="2") is None
    clock.now += 29.9
    assert refused(counted) == "1"
    clock.now += 0.1
    assert refused(counted) is None
    assert refused(counted) == "10"


def test_refusals_do_not_count() -> None:
    """Asking while refused does not put the end of the wait further off."""
    clock = Clock()
    counted = governor(clock, Limits(per_minute=1))
    counted.leave(counted.enter("1", "a"))
    for _ in range(5):
        clock.now += 10
        refused(counted)
    clock.now += 10
    assert refused(counted) is None


def test_the_day() -> None:
    """The quota is 1,000 × (1 + companies), told on every answer, and begins anew at midnight UTC."""
    clock = Clock()
    counted = governor(clock, Limits(in_flight=None, per_minute=None))
    for _ in range(3000):
        assert refused(counted) is None
    assert counted.headers() == {
        "X-Rate-Limit-Limit": "3000",
        "X-Rate-Limit-Remaining": "0",
        "X-Rate-Limit-Reset": "2026-05-05T00:00:00Z",
    }
    assert refused(counted) == str(12 * 3600)
    clock.now += 12 * 3600
    assert refused(counted) is None
    assert counted.headers()["X-Rate-Limit-Remaining"] == "2999"
    assert counted.headers()["X-Rate-Limit-Reset"] == "2026-05-06T00:00:00Z"


def test_each_limit_can_be_left_out() -> None:
    """A limit that is None, or a quota that is switched off, refuses nothing."""
    limits = Limits(in_flight=None, per_minute=None, per_day=1, daily=False)
    counted = governor(Clock(), limits)
    assert all(refused(counted) is None for _ in range(2000))
    assert counted.headers()["X-Rate-Limit-Remaining"] == "1"


def test_without_limits_nothing_is_used_up() -> None:
    """With no limits in force the quota is told, and stays whole."""
    counted = governor(Clock(), None)
    for _ in range(50):
        assert refused(counted) is None
    assert counted.headers()["X-Rate-Limit-Remaining"] == "3000"


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_forms_of_retry_after(form: Literal["seconds", "date", "none"]) -> None:
    """The wait is told in seconds, as a date not earlier than its end, or not at all."""
    value = retry_after(form, 2.4, NOON + 0.5).get("Retry-After")
    if form == "seconds":
        assert value == "3"
    elif form == "date":
        assert value is not None
        assert parsedate_to_datetime(value) == datetime.fromtimestamp(NOON, UTC) + timedelta(seconds=3)
    else:
        assert value is None


async def test_over_a_socket() -> None:
    """More requests at once than a company may have are refused with 429; the rest are served."""
    async with (
        Sandbox(books=SmallBooks(), limits=True, faults="latency=0.2") as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
    ):
        api = Api(sandbox, session)
        answers = await asyncio.gather(*(api.send("GET", f"{api.data}/invoices") for _ in range(14)))
        statuses = sorted(status for status, _ in answers)
        assert statuses == [200] * 10 + [429] * 4
        assert (await api.send("GET", f"{api.data}/invoices"))[0] == 200
        assert sandbox.stats["mostInFlight"] == 10


async def test_limits_by_the_control_endpoint(api: Api) -> None:
    """Limits are set and taken away while the sandbox runs."""
    wanted = {"perMinute": 1, "minute": 3600, "retryAfter": "none"}
    status, limits = await api.send("PUT", "/_sandbox/limits", json=wanted)
    assert (status, limits["perMinute"], limits["inFlight"]) == (200, 1, 10)
    assert (await api.send("GET", "/companies"))[0] == 200
    async with api.session.get(f"{api.sandbox.base_url}/companies") as response:
        assert response.status == 429
        assert "Retry-After" not in response.headers
    await api.send("DELETE", "/_sandbox/limits")
    assert (await api.send("GET", "/companies"))[0] == 200
    assert (await api.send("PUT", "/_sandbox/limits", json={"nothing": 1}))[0] == 400
