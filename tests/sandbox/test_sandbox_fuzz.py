"""Broken requests of every kind: the sandbox answers each in the API's shape, and logs no traceback."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_books import Api, credential, fill

from codat_async.resources import catalogue
from codat_async.sandbox import Sandbox, SandboxThread

# Without the company and the connection that all examples share, most would stop at 404.
OPERATIONS = [
    operation
    for operation in catalogue()
    if (operation.resource, operation.name) not in (("companies", "delete"), ("connections", "delete"))
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"]
PARAMETERS = [
    "page", "pageSize", "query", "orderBy", "timeoutInMinutes", "linkType", "periodLength", "startMonth",
    "periodsToCompare", "reportDate", "numberOfPeriods", "periodLengthDays", "connectionId", "tags", "",
]  # fmt: skip
HEADERS = [
    "Content-Type", "Content-Encoding", "Idempotency-Key", "Range", "If-Range", "If-Match", "Accept",
    "Authorization", "Cookie", "If-Modified-Since", "Transfer-Encoding", "Content-Length", "Host", "Expect",
]  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
words = st.text(max_size=12) | st.sampled_from(
    ["1", "0", "-1", "5000", "9" * 30, "2026-02-30", "2026-01-31", "0001-01-01T00:00:00-14:00", "9999-12-31",
     "status=Paid", "{{", "id~/", "-modifiedDate", "customerRef.id", "Invoice", "bytes=0-", "bytes=5-1",
     "gzip", "application/json", "multipart/form-data; boundary=b", "100-continue", "x" * 3000]
)  # fmt: skip
bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    json_values.map(lambda value: msgspec.json.encode(value)),
    st.just(b"[" * 5000),
    st.just(b'{"a":' * 5000),
    st.just(b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n'),
    st.binary(max_size=40).map(lambda noise: b"--b\r\n" + noise + b"\r\n--b--"),
)


@pytest.fixture(scope="module")
def running() -> Any:
    """One sandbox for all examples: each must leave it fit for the next."""
    with SandboxThread(companies=2, size=0, push_delay=0.001) as sandbox:
        sandbox.call(fill)
        yield sandbox


@st.composite
def requests(draw: st.DrawFn, ids: dict[str, list[str]]) -> tuple[str, str, dict[str, str], bytes]:
    """A request to an operation of the catalogue with some of it replaced by nonsense, or nonsense alone."""
    operation = draw(st.sampled_from(OPERATIONS))
    path = operation.path if draw(st.integers(0, 9)) else "/" + draw(words)
    segments = []
    for segment in path.split("/")[1:]:
        if segment.startswith("{"):
            known = ids.get(segment, ["inv-1", "c/1", "bank", "a1", "invoices"])
            segment = draw(st.sampled_from(known)) if draw(st.integers(0, 7)) else draw(words)
        segments.append(
            quote(segment, safe="") if draw(st.integers(0, 9)) else quote(segment, safe="/%:?#[]@!$&'()*+,;=")
        )
    query = "&".join(
        f"{name}={quote(value, safe='')}"
        for name, value in draw(st.dictionaries(st.sampled_from(PARAMETERS), words, max_size=4)).items()
    )
    method = operation.method if draw(st.integers(0, 5)) else draw(st.sampled_from(METHODS))
    headers = draw(st.dictionaries(st.sampled_from(HEADERS), words, max_size=3))
    target = "/" + "/".join(segments) + (f"?{query}" if query else "")
    return method, target, headers, draw(bodies)


def raw_request(
    method: str, target: str, headers: dict[str, str], body: bytes, authorization: dict[str, str]
) -> bytes:
    """The bytes of a request, as broken as its parts."""
    lines = [f"{method} {target} HTTP/1.1"]
    merged = {"Host": "x", "Content-Length": str(len(body)), "Connection": "close"} | authorization | headers
    lines += [f"{name}: {value}" for name, value in merged.items()]
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


async def exchange(port: int, request: bytes) -> bytes:
    """Everything that comes back for some bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        # Whatever the length that the request claims, nothing more is sent.
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_makes_it_fail(data: st.DataObject, running: SandboxThread, caplog: Any) -> None:
    """Random methods, paths, queries, headers and bodies never give a 500, nor anything in the log."""
    company = running.company_ids[0]
    port = running.call(lambda sandbox: sandbox.port)
    connection = running.call(lambda sandbox: sandbox.connection_ids(company)[0])
    ids = {"{companyId}": [company], "{connectionId}": [connection]}
    method, target, headers, body = data.draw(requests(ids))
    request = raw_request(method, target, headers, body, credential(running.api_key))
    with caplog.at_level(logging.WARNING):
        answer = asyncio.run(exchange(port, request))
    if answer:
        status = int(answer.split(b" ", 2)[1])
        assert status < 500, answer
        head, _, content = answer.partition(b"\r\n\r\n")
        if status >= 400 and b"application/json" in head and method != "HEAD":
            assert msgspec.json.decode(content)["statusCode"] == status
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text
    caplog.clear()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(noise=st.binary(max_size=200))
def test_noise_on_the_line(noise: bytes, running: SandboxThread, caplog: Any) -> None:
    """Bytes that are not HTTP at all end in a 400 or a closed connection."""
    port = running.call(lambda sandbox: sandbox.port)
    with caplog.at_level(logging.WARNING):
        answer = asyncio.run(exchange(port, noise))
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text
    caplog.clear()


async def test_it_still_serves_afterwards(running: SandboxThread) -> None:
    """After all of this the sandbox answers as ever."""
    async with (
        aiohttp.ClientSession(headers=credential(running.api_key)) as session,
        session.get(f"{running.base_url}/companies") as response,
    ):
        assert response.status == 200


@pytest.fixture
async def one_company() -> AsyncIterator[Api]:
    """A sandbox over the real books."""
    async with (
        Sandbox(companies=1, size=20) as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
    ):
        yield Api(sandbox, session)


async def test_odd_requests_over_the_real_books(one_company: Api) -> None:
    """Reports with periods out of the books' time, and orders by every property, are answered."""
    api = one_company
    for month in ("1900-01-01", "2199-12-31", "2026-02-28T00:00:00+14:00"):
        for name in ("balanceSheet", "profitAndLoss", "cashFlowStatement"):
            path = f"{api.data}/financials/{name}"
            parameters = {"periodLength": "12", "periodsToCompare": "3", "startMonth": month}
            status, body = await api.send("GET", path, params=parameters)
            assert status == 200, body
        for name in ("agedDebtor", "agedCreditor"):
            path = f"/companies/{api.company}/reports/{name}"
            status, body = await api.send("GET", path, params={"reportDate": month, "numberOfPeriods": "12"})
            assert status == 200, body
