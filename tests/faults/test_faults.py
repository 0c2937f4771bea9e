"""Each fault on a real socket ends in a success or a typed error, in time, and leaves nothing behind."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from codat_async import Codat, errors
from codat_async.models import Account, Customer, PushOperation, RecordStatus
from codat_async.sandbox import Fault, Sandbox
from codat_middleware import Limits, Request, RetryPolicy, Timeout
from tests.faults import server as acts
from tests.faults.conftest import QUICK, SHORT, RawScene, Scene, arrivals, assert_nothing_left
from tests.faults.server import Act, answer, ok

COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"
HTML = b"<html><body>Bad Gateway</body></html>"


@contextmanager
def within(seconds: float, *, least: float = 0.0) -> Iterator[None]:
    """The block takes no longer than this, and no less."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert least <= took < seconds


async def fetch(codat: Codat, sandbox: Sandbox | None = None) -> str | None:
    """A GET, decoded: of the sandbox's first customer, or of a raw server's."""
    if sandbox is None:
        return (await codat.customers.get(COMPANY, "1")).id
    company = sandbox.company_ids[0]
    wanted = sandbox.books.company(company).records("customers")[0]
    found = await codat.customers.get(company, wanted.id)
    assert found.customer_name == wanted.customer_name
    return "1"


async def create(codat: Codat, sandbox: Sandbox) -> PushOperation[Customer]:
    """A POST."""
    company = sandbox.company_ids[0]
    record = Customer(customer_name="New", status=RecordStatus.ACTIVE)
    return await codat.customers.create(company, sandbox.connection_ids(company)[0], record)


async def writes(codat: Codat, sandbox: Sandbox) -> int:
    """How many writes the sandbox took."""
    sandbox.set_faults(None)
    return len(await codat.push_operations.list(sandbox.company_ids[0]).collect())


# The value of a stall is how long it lasts: with none at all the server hangs up at once.
LOST = ["reset", "reset-body", "stall=0", "truncate"]
SLOW = ["stall", "stall-body", "drip=2"]
RAW_LOST = [acts.truncated_chunks, acts.length_too_small, acts.length_not_a_number, acts.not_http]


@pytest.mark.parametrize("fault", LOST + SLOW)
async def test_one_fault_is_overcome(scene: Scene, fault: str) -> None:
    """After a single broken answer the second attempt succeeds."""
    async with scene(f"{fault};times=1") as (codat, sandbox):
        with within(1.5):
            assert await fetch(codat, sandbox) == "1"
        assert sandbox.stats["requests"] == 2


@pytest.mark.parametrize("act", [*RAW_LOST, acts.stall_in_headers])
async def test_one_broken_protocol_is_overcome(raw_scene: RawScene, act: Act) -> None:
    """After a single answer that breaks the protocol the second attempt succeeds."""
    async with raw_scene(act, ok) as (codat, server):
        with within(1.5):
            assert await fetch(codat) == "1"
        assert server.requests == 2


@pytest.mark.parametrize("fault", LOST)
async def test_connection_that_always_breaks(scene: Scene, fault: str) -> None:
    """When every answer breaks the error is ConnectionLost, after as many attempts as allowed."""
    async with scene(fault) as (codat, sandbox):
        with within(1.5), pytest.raises(errors.ConnectionLost) as caught:
            await fetch(codat, sandbox)
        assert caught.value.sent
        # aiohttp sends a GET once more by itself if the connection closed without an answer.
        assert sandbox.stats["requests"] in (3, 6)


@pytest.mark.parametrize("act", RAW_LOST)
async def test_protocol_that_always_breaks(raw_scene: RawScene, act: Act) -> None:
    """Answers that break the protocol are a ConnectionLost too."""
    async with raw_scene(act) as (codat, server):
        with within(1.5), pytest.raises(errors.ConnectionLost) as caught:
            await fetch(codat)
        assert caught.value.sent
        assert server.requests in (3, 6)


@pytest.mark.parametrize(("fault", "phase"), [("stall", "read"), ("stall-body", "read"), ("drip=2", "total")])
async def test_silence_that_lasts(scene: Scene, fault: str, phase: str) -> None:
    """A server that stalls or drips ends in RequestTimeout, which names what took too long."""
    # A busy machine may not read the drips within the usual limit for silence.
    timeout = Timeout(connect=0.5, read=5.0, total=0.5) if phase == "total" else SHORT
    async with scene(fault, timeout=timeout) as (codat, sandbox):
        with within(2.5), pytest.raises(errors.RequestTimeout) as caught:
            await fetch(codat, sandbox)
        assert caught.value.phase == phase
        assert sandbox.stats["requests"] == 3


async def test_silence_within_headers(raw_scene: RawScene) -> None:
    """A server that stalls within the headers ends in RequestTimeout."""
    async with raw_scene(acts.stall_in_headers) as (codat, server):
        with within(2.5), pytest.raises(errors.RequestTimeout) as caught:
            await fetch(codat)
        assert caught.value.phase == "read"
        assert server.requests == 3


async def test_connection_refused(scene: Scene) -> None:
    """A port without a server ends in ConnectError, with nothing sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with scene("", base_url=f"http://127.0.0.1:{port}") as (codat, _):
        with within(1.0), pytest.raises(errors.ConnectError) as caught:
            await fetch(codat)
        assert not caught.value.sent
        assert "gave up after 3 attempts" in caught.value.__notes__[0]


async def test_waiting_for_the_only_connection(scene: Scene) -> None:
    """A call waits for a place and not for a connection, so waiting never counts as connecting."""
    timeout = Timeout(connect=0.1, read=20, total=20)
    async with scene("stall", max_connections=1, timeout=timeout) as (codat, sandbox):
        calls = [asyncio.ensure_future(fetch(codat, sandbox))]
        await arrivals(sandbox, 1)
        calls.append(asyncio.ensure_future(fetch(codat, sandbox)))
        await asyncio.sleep(0.5)
        assert codat.governor.state().waiting_for == (
            "a connection: all 1 are in use by requests and open downloads"
        )
        for call in calls:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)


class NoSuchName(AbstractResolver):
    """Resolves nothing."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError(None, f"no such name: {host}")

    async def close(self) -> None:
        """Nothing to close."""


async def test_name_does_not_resolve(scene: Scene) -> None:
    """A name that does not resolve ends in ConnectError."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=NoSuchName()))
    async with session, scene("", base_url="http://codat.invalid", session=session) as (codat, _):
        with within(1.0), pytest.raises(errors.ConnectError) as caught:
            await fetch(codat)
        assert not caught.value.sent


@pytest.fixture(scope="module")
def self_signed() -> ssl.SSLContext:
    """A server's certificate that nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_certificate_is_not_trusted(raw_scene: RawScene, self_signed: ssl.SSLContext) -> None:
    """A self-signed certificate ends in TLSError at once: trying again does not help."""
    async with raw_scene(ok, tls=self_signed) as (codat, server):
        with within(1.0), pytest.raises(errors.TLSError) as caught:
            await fetch(codat)
        assert not caught.value.sent
        assert not hasattr(caught.value, "__notes__")
        assert server.requests == 0


async def test_plain_server_behind_https(scene: Scene) -> None:
    """A server that does not speak TLS is an error of connecting."""
    async with scene("") as (_, sandbox):
        timeout = Timeout(connect=0.2, read=0.2, total=2)
        https = sandbox.base_url.replace("http:", "https:")
        async with Codat("key", base_url=https, retry=QUICK, timeout=timeout) as other:
            with within(2.0), pytest.raises(errors.TransportError) as caught:
                await fetch(other)
            assert not caught.value.sent
            await assert_nothing_left(other)


def in_two_seconds() -> str:
    """An HTTP date one to two seconds away."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


@pytest.mark.parametrize(
    "retry_after", [lambda: "1", in_two_seconds, lambda: None], ids=["seconds", "date", "without"]
)
async def test_storm_of_429(scene: Scene, retry_after: Callable[[], str | None]) -> None:
    """Forty calls in a storm of a second wait as long as asked, and all succeed."""
    storm = [Fault(kind="429", retry_after=retry_after())]
    async with scene(storm, limits=Limits(per_minute=60_000)) as (codat, sandbox):
        asyncio.get_running_loop().call_later(0.9, sandbox.set_faults, None)
        # The policy gives up after four seconds; the rest is the work of forty calls on a busy machine.
        with within(10.0, least=0.9):
            assert await asyncio.gather(*(fetch(codat, sandbox) for _ in range(40))) == ["1"] * 40
        assert sandbox.stats["requests"] <= 50


async def test_retry_after_of_hours(raw_scene: RawScene) -> None:
    """A Retry-After of hours without a word on the quota raises at once; the third call is not even sent."""
    async with raw_scene(answer(429, Retry_After="7200")) as (codat, server):
        with within(1.0), pytest.raises(errors.RateLimited) as caught:
            await fetch(codat)
        assert caught.value.retry_after == 7200
        for _ in range(3):
            with within(1.0), pytest.raises(errors.RateLimited):
                await fetch(codat)
        assert server.requests == 2


async def test_quota_spent(raw_scene: RawScene) -> None:
    """A spent quota raises with its reset for all, those under way included."""
    resets_at = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    spent = answer(
        429, X_Rate_Limit_Limit="5000", X_Rate_Limit_Remaining="0", X_Rate_Limit_Reset=resets_at.isoformat()
    )
    async with raw_scene(spent) as (codat, server):
        with within(1.0):
            outcomes = await asyncio.gather(*(fetch(codat) for _ in range(30)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {errors.QuotaExhausted}
        assert {outcome.resets_at for outcome in outcomes if isinstance(outcome, errors.QuotaExhausted)} == {
            resets_at
        }
        assert server.requests <= 10


@pytest.mark.parametrize("code", [500, 502, 503, 504])
async def test_flapping(scene: Scene, code: int) -> None:
    """Two failures, one of them a proxy's, and a success are a success."""
    async with scene(f"{code};times=1,html={code};times=2") as (codat, sandbox):
        with within(1.0):
            assert await fetch(codat, sandbox) == "1"
        assert sandbox.stats["requests"] == 3


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (500, errors.InternalServerError),
        (502, errors.ServerError),
        (503, errors.ServiceUnavailable),
        (504, errors.ServerError),
    ],
)
async def test_failing_for_good(scene: Scene, code: int, kind: type[errors.StatusError]) -> None:
    """Failures without end are the error of their status, though a proxy answers in HTML."""
    async with scene(f"html={code}") as (codat, sandbox):
        with within(1.0), pytest.raises(kind) as caught:
            await fetch(codat, sandbox)
        assert caught.value.status == code
        assert sandbox.stats["requests"] == 3


async def test_html_error(scene: Scene) -> None:
    """A proxy's HTML with a final status is the error of its status."""
    async with scene("html=403") as (codat, sandbox):
        with pytest.raises(errors.Forbidden):
            await fetch(codat, sandbox)
        assert sandbox.stats["requests"] == 1


async def test_success_that_is_not_json(scene: Scene) -> None:
    """A 200 whose body is not JSON is a DecodingError, and is not asked for again."""
    async with scene("bad-json;times=1") as (codat, sandbox):
        with within(1.0), pytest.raises(errors.DecodingError):
            await fetch(codat, sandbox)
        assert sandbox.stats["requests"] == 1


@pytest.mark.parametrize("body", [HTML, b""])
async def test_success_without_json(raw_scene: RawScene, body: bytes) -> None:
    """So is a 200 with HTML, or with no body at all."""
    async with raw_scene(answer(200, body), ok) as (codat, server):
        with within(1.0), pytest.raises(errors.DecodingError):
            await fetch(codat)
        assert server.requests == 1


@pytest.mark.parametrize("fault", ["reset", "stall", "lost"])
async def test_write_without_an_answer(scene: Scene, fault: str) -> None:
    """A POST that got no answer is sent again with its key, and done once.

    The 409 in between means: still in progress.
    """
    async with scene(f"{fault};times=1,409;times=2;only=POST") as (codat, sandbox):
        if fault == "lost":
            # The first attempt is carried out, so that the second is its replay.
            sandbox.set_faults("lost;times=1")
        with within(1.5):
            operation = await create(codat, sandbox)
        assert operation.status == "Pending"
        assert sandbox.stats["requests"] == (2 if fault == "lost" else 3)
        assert await writes(codat, sandbox) == 1


async def test_write_that_never_gets_an_answer(scene: Scene) -> None:
    """Its error says that the outcome is unknown."""
    async with scene("reset") as (codat, sandbox):
        with within(1.0), pytest.raises(errors.ConnectionLost) as caught:
            await create(codat, sandbox)
        assert caught.value.outcome_unknown


@pytest.mark.parametrize("code", [500, 503])
async def test_write_that_failed_is_not_repeated(scene: Scene, code: int) -> None:
    """A POST answered by 5xx is sent once, and its outcome said to be unknown."""
    async with scene(f"{code};times=1") as (codat, sandbox):
        with within(1.0), pytest.raises(errors.ServerError) as caught:
            await create(codat, sandbox)
        assert caught.value.outcome_unknown
        assert "it was not sent again" in str(caught.value)
        assert sandbox.stats["requests"] == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_idempotent_write_that_failed(scene: Scene, method: str) -> None:
    """A PUT or DELETE answered by 5xx is sent again, and its error does not say otherwise."""
    async with scene("503") as (codat, sandbox):
        company = sandbox.company_ids[0]
        request = Request(method=method, path=f"/companies/{company}", company_id=company)
        with within(1.0), pytest.raises(errors.ServerError) as caught:
            await codat.send(request)
        assert caught.value.outcome_unknown
        assert "the outcome of this write is unknown" in str(caught.value)
        assert "not sent again" not in str(caught.value)
        assert sandbox.stats["requests"] == 3


@pytest.mark.parametrize("blank", ["", " "])
async def test_write_with_a_blank_key(scene: Scene, blank: str) -> None:
    """A blank key, which cannot identify a second try, is rejected before anything is sent."""
    async with scene("reset") as (codat, sandbox):
        with pytest.raises(ValueError, match="idempotency key is blank"):
            await codat.accounts.create(COMPANY, "c", Account(name="x"), idempotency_key=blank)
        with pytest.raises(ValueError, match="idempotency key is blank"):
            await codat.bills.upload_attachment(COMPANY, "c", "b", b"x", name="x.txt", idempotency_key=blank)
        assert sandbox.stats["requests"] == 0


def attached(sandbox: Sandbox) -> tuple[str, str, str, str]:
    """Where the first file of an invoice is: company, connection, invoice and attachment."""
    company = sandbox.company_ids[0]
    books = sandbox.books.company(company)
    for invoice in books.records("invoices"):
        for attachment in books.attachments("invoices", invoice.id):
            return company, sandbox.connection_ids(company)[0], invoice.id, attachment.id or ""
    raise AssertionError("no invoice has a file")


@pytest.mark.parametrize("fault", ["reset-body", "truncate", "stall-body"])
async def test_download_that_breaks(scene: Scene, fault: str) -> None:
    """A download that breaks off and cannot go on is an error in time, and holds nothing."""
    async with scene(fault) as (codat, sandbox):
        with within(3.0), pytest.raises((errors.TransportError, errors.DownloadError)):
            async with codat.invoices.download_attachment(*attached(sandbox)) as download:
                await download.read()


async def test_download_in_drips(scene: Scene) -> None:
    """A slow download is no fault: what is streamed has no time for the whole."""
    async with scene("drip=1") as (codat, sandbox):
        with within(3.0, least=0.6):
            async with codat.invoices.download_attachment(*attached(sandbox)) as download:
                body = await download.read()
        assert len(body) > 1000


async def test_download_that_is_abandoned(scene: Scene) -> None:
    """Leaving a download early releases its place and connection."""
    async with scene("drip=1") as (codat, sandbox):
        async with codat.invoices.download_attachment(*attached(sandbox)):
            assert codat.governor.state().in_flight == 1
        await assert_nothing_left(codat)


@pytest.mark.parametrize("fault", ["stall", "stall-body", "503", "429;retryAfter=3"])
async def test_cancelled(scene: Scene, fault: str) -> None:
    """Cancelling a call in any phase ends it at once: waiting for an answer, a body, or a retry."""
    slow = RetryPolicy(attempts=50, max_elapsed=60, wait_initial=1, wait_max=1)
    async with scene(fault, retry=slow, timeout=Timeout()) as (codat, sandbox):
        tasks = [asyncio.ensure_future(fetch(codat, sandbox)) for _ in range(30)]
        # Until the first success no more than two are sent.
        await arrivals(sandbox, 2)
        with within(0.5):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)


async def test_one_connection_is_enough(scene: Scene) -> None:
    """With a pool of one, retries and errors never wait for a connection they hold themselves."""
    faults = "503;times=1,html=503;times=2,truncate;times=3"
    async with scene(faults, max_connections=1, limits=Limits(in_flight=1)) as (codat, sandbox):
        with within(3.0):
            assert await asyncio.gather(*(fetch(codat, sandbox) for _ in range(5))) == ["1"] * 5
        assert sandbox.stats["requests"] == 8
