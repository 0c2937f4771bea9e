"""Faults: each does what its name says, by header, profile and control endpoint, and by seed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from small_books import Api, credential, eventually, small_sandbox

from codat_async.sandbox import KINDS, PROFILES, Fault, FaultError, Sandbox
from codat_async.sandbox.faults import FaultPlan, parse_fault, parse_faults


async def answer(api: Api, fault: str, path: str = "/invoices") -> tuple[int, bytes, str]:
    """Status, body and media type of a list under a fault."""
    url = f"{api.sandbox.base_url}{api.data}{path}"
    async with api.session.get(url, headers={"X-Sandbox-Fault": fault}) as response:
        return response.status, await response.read(), response.content_type


@pytest.mark.parametrize("status", ["400", "402", "403", "404", "409", "429", "500", "502", "503", "504"])
async def test_statuses(api: Api, status: str) -> None:
    """Any 4xx and 5xx can be asked for, in the API's shape."""
    got, body, _ = await answer(api, status)
    assert str(got) == status
    assert msgspec.json.decode(body)["statusCode"] == int(status)


async def test_retry_after(api: Api) -> None:
    """A status comes with the Retry-After that was asked for."""
    headers = {"X-Sandbox-Fault": "429;retryAfter=Fri, 01 Jan 2027 00:00:00 GMT".replace(",", "")}
    async with api.session.get(api.sandbox.base_url + "/companies", headers=headers) as response:
        assert response.headers["Retry-After"] == "Fri 01 Jan 2027 00:00:00 GMT"


async def test_errors_of_proxies(api: Api) -> None:
    """Errors come as HTML."""
    status, body, kind = await answer(api, "html")
    assert (status, kind) == (502, "text/html")
    assert b"<h1>Bad Gateway</h1>" in body


async def test_latency(api: Api) -> None:
    """The answer comes late, and whole."""
    started = time.monotonic()
    status, _, _ = await answer(api, "latency=0.2")
    assert status == 200
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("fault", ["reset", "lost", "stall=0.05"])
async def test_no_answer(api: Api, fault: str) -> None:
    """The connection ends before any answer."""
    with pytest.raises(aiohttp.ClientError) as caught:
        await answer(api, fault)
    assert isinstance(caught.value, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)


@pytest.mark.parametrize("fault", ["reset-body", "truncate", "stall-body=0.05"])
async def test_half_an_answer(api: Api, fault: str) -> None:
    """The connection ends within the body."""
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
        await answer(api, fault)


async def test_a_reset_is_one(api: Api) -> None:
    """The reset is the kernel's, not an orderly close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.sandbox.port)
    authorization = credential(api.sandbox.api_key)["Authorization"]
    headers = f"Host: 127.0.0.1\r\nAuthorization: {authorization}\r\nX-Sandbox-Fault: reset\r\n\r\n"
    writer.write(f"GET /companies HTTP/1.1\r\n{headers}".encode())
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with pytest.raises(ConnectionResetError):
        await writer.wait_closed()


async def test_drip(api: Api) -> None:
    """The body comes slowly, and whole."""
    started = time.monotonic()
    status, body, _ = await answer(api, "drip=0.2")
    assert time.monotonic() - started >= 0.2
    assert status == 200
    assert len(msgspec.json.decode(body)["results"]) == 25


async def test_broken_json(api: Api) -> None:
    """A success whose body is not JSON."""
    status, body, _ = await answer(api, "bad-json")
    assert status == 200
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body)


@pytest.mark.parametrize(
    "text",
    ["nothing", "503;rate=2", "503;rate=x", "latency=x", "503;only=(", "503;what=1", "503;rate", "600",
     "html=200", "latency=nan", "stall=1e9", "drip=-1"],
)  # fmt: skip
async def test_faults_that_there_are_not(api: Api, text: str) -> None:
    """A fault that cannot be read is answered 400 with the reason, by the parser and by the header."""
    with pytest.raises(FaultError):
        parse_faults(text)
    assert (await answer(api, text))[0] == 400


def test_reading_faults() -> None:
    """Text gives faults with their settings, names of profiles the faults in them."""
    assert parse_fault("429;retryAfter=2;rate=0.5;only=bills;times=3") == Fault(
        kind="429", retry_after="2", rate=0.5, only="bills", times=3
    )
    assert parse_faults("storm, latency=2") == (*PROFILES["storm"], Fault(kind="latency", value=2))
    assert parse_faults(None) == parse_faults("none") == parse_faults("") == ()


def test_plans_repeat() -> None:
    """With one seed the same requests are struck, in whatever order; another seed strikes others."""
    faults = [Fault(kind="503", rate=0.3)]
    requests = [f"GET /companies/x/data/invoices?page={number}" for number in range(200)]

    def struck(seed: int, order: list[str]) -> set[str]:
        plan = FaultPlan(faults, seed)
        return {request for request in order if plan.strikes(request)}

    assert struck(1, requests) == struck(1, requests[::-1])
    assert struck(1, requests) != struck(2, requests)
    assert 30 < len(struck(1, requests)) < 90


def test_bounded_faults_let_a_patient_client_through() -> None:
    """Faults with a bound strike a request that often together, not each."""
    plan = FaultPlan([Fault(kind=kind, times=2) for kind in ("503", "reset", "html")], 7)
    assert [len(plan.strikes("GET /x")) for _ in range(4)] == [3, 3, 0, 0]
    flaky = FaultPlan(PROFILES["flaky"], 7)
    for number in range(500):
        outcomes = [
            [fault for fault in flaky.strikes(f"GET /x?page={number}") if fault.kind != "latency"]
            for _ in range(3)
        ]
        assert not all(outcomes)


def test_times_and_only() -> None:
    """A fault strikes only the requests it is for, and each no more often than its bound."""
    plan = FaultPlan([Fault(kind="503", times=2, only="^GET .*/bills")], 7)
    assert [bool(plan.strikes("GET /x/bills?page=1")) for _ in range(4)] == [True, True, False, False]
    assert [bool(plan.strikes("GET /x/bills?page=2")) for _ in range(1)] == [True]
    assert not plan.strikes("GET /x/invoices")


@pytest.mark.parametrize("profile", sorted(PROFILES))
async def test_profiles_run(profile: str) -> None:
    """Every profile serves, or breaks, as it says; the sandbox stays alive and logs nothing."""
    async with (
        small_sandbox(faults=profile, seed=3) as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
    ):
        api = Api(sandbox, session)

        async def one(number: int) -> None:
            with contextlib.suppress(aiohttp.ClientError, ValueError):
                await api.send("GET", f"{api.data}/invoices?pageSize=5&page={number % 5 + 1}&n={number}")

        await asyncio.gather(*(one(number) for number in range(60)))
        assert sandbox.stats["requests"] >= 60 - 5
        sandbox.set_faults(None)
        assert (await api.send("GET", f"{api.data}/invoices"))[0] == 200


def test_kinds_are_documented() -> None:
    """Every fault of a profile has a description, or is a status."""
    for faults in PROFILES.values():
        assert all(fault.kind in KINDS or fault.status for fault in faults)


@pytest.fixture
async def stalled(api: Api) -> AsyncIterator[asyncio.Task[Any]]:
    """A request that hangs."""
    task = asyncio.create_task(answer(api, "stall"))
    await eventually(lambda: bool(api.sandbox.stats["inFlight"]))
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_stall_ends_with_the_client(api: Api, stalled: asyncio.Task[Any]) -> None:
    """When the client gives up, its place in the limits is free again."""
    assert api.sandbox.stats["inFlight"] == {api.company: 1}
    stalled.cancel()
    await eventually(lambda: not api.sandbox.stats["inFlight"])


async def test_a_stall_ends_with_the_sandbox(sandbox: Sandbox, api: Api, stalled: asyncio.Task[Any]) -> None:
    """A sandbox with hanging requests stops within a second or two."""
    started = time.monotonic()
    await sandbox.stop()
    assert time.monotonic() - started < 2
    with pytest.raises(aiohttp.ClientError):
        await stalled
