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
from codat_async.models import Account
from codat_middleware import Limits, Request, RetryPolicy, Timeout
from tests.faults import server as acts
from tests.faults.conftest import QUICK, Scene, assert_nothing_left
from tests.faults.server import Act, Exchange, ok, status

COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"
HTML = b"<html><body>Bad Gateway</body></html>"


@contextmanager
def within(seconds: float, *, least: float = 0.0) -> Iterator[None]:
    """The block takes no longer than this, and no less."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert least <= took < seconds


async def fetch(codat: Codat) -> str | None:
    """A GET, decoded."""
    return (await codat.customers.get(COMPANY, "1")).id


def write() -> Request:
    """A POST."""
    return Request(method="POST", path=f"/companies/{COMPANY}/x", company_id=COMPANY)


LOST = [
    acts.reset_before_answer,
    acts.reset_in_body,
    acts.hang_up,
    acts.truncated,
    acts.truncated_chunks,
    acts.length_too_small,
    acts.length_not_a_number,
    acts.not_http,
]
SLOW = [acts.stall_before_headers, acts.stall_in_headers, acts.stall_in_body, acts.drip]


@pytest.mark.parametrize("act", LOST + SLOW)
async def test_one_fault_is_overcome(scene: Scene, act: Act) -> None:
    """After a single broken answer the second attempt succeeds."""
    async with scene(act, ok) as (codat, server):
        with within(1.5):
            assert await fetch(codat) == "1"
        assert len(server.exchanges) == 2


@pytest.mark.parametrize("act", LOST)
async def test_connection_that_always_breaks(scene: Scene, act: Act) -> None:
    """When every answer breaks the error is ConnectionLost, after as many attempts as allowed."""
    async with scene(act) as (codat, server):
        with within(1.5), pytest.raises(errors.ConnectionLost) as caught:
            await fetch(codat)
        assert caught.value.sent
        # aiohttp sends a GET once more by itself where the connection closed without an answer.
        assert len(server.exchanges) in (3, 6)


@pytest.mark.parametrize(
    ("act", "phase"),
    [
        (acts.stall_before_headers, "read"),
        (acts.stall_in_headers, "read"),
        (acts.stall_in_body, "read"),
        (acts.drip, "total"),
    ],
)
async def test_silence_that_lasts(scene: Scene, act: Act, phase: str) -> None:
    """A server that stalls or drips ends in RequestTimeout, which tells what took too long."""
    async with scene(act) as (codat, server):
        with within(2.5), pytest.raises(errors.RequestTimeout) as caught:
            await fetch(codat)
        assert caught.value.phase == phase
        assert len(server.exchanges) == 3


async def test_refused(scene: Scene) -> None:
    """A port where nobody listens ends in ConnectError, with nothing sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with scene(ok, base_url=f"http://127.0.0.1:{port}") as (codat, _):
        with within(1.0), pytest.raises(errors.ConnectError) as caught:
            await fetch(codat)
        assert not caught.value.sent
        assert "gave up after 3 attempts" in caught.value.__notes__[0]


async def test_connecting_takes_too_long(scene: Scene) -> None:
    """A connection that is never made ends in RequestTimeout, with nothing sent."""
    timeout = Timeout(connect=0.1, read=1, total=5)
    async with scene(acts.stall_before_headers, max_connections=1, timeout=timeout) as (codat, server):
        holding = asyncio.ensure_future(fetch(codat))
        await server.arrivals(1)
        with within(1.5), pytest.raises(errors.RequestTimeout) as caught:
            await fetch(codat)
        holding.cancel()
        await asyncio.wait([holding])
        assert caught.value.phase == "connect"
        assert not caught.value.sent


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
    async with session, scene(ok, base_url="http://codat.invalid", session=session) as (codat, _):
        with within(1.0), pytest.raises(errors.ConnectError) as caught:
            await fetch(codat)
        assert not caught.value.sent


@pytest.fixture(scope="module")
def self_signed() -> ssl.SSLContext:
    """A server's certificate that nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_certificate_is_not_trusted(scene: Scene, self_signed: ssl.SSLContext) -> None:
    """A self-signed certificate ends in TLSError at once: trying again does not help."""
    async with scene(ok, tls=self_signed) as (codat, server):
        with within(1.0), pytest.raises(errors.TLSError) as caught:
            await fetch(codat)
        assert not caught.value.sent
        assert not hasattr(caught.value, "__notes__")
        assert server.exchanges == []


async def test_plain_server_behind_https(scene: Scene) -> None:
    """A server that does not speak TLS is an error of connecting."""
    async with scene(ok) as (_, server):
        timeout = Timeout(connect=0.2, read=0.2, total=2)
        other = Codat("key", base_url=server.url.replace("http:", "https:"), retry=QUICK, timeout=timeout)
        async with other:
            with within(2.0), pytest.raises(errors.TransportError) as caught:
                await fetch(other)
            assert not caught.value.sent
            await assert_nothing_left(other)


def refuse_for(seconds: float, retry_after: Callable[[], str | None]) -> Act:
    """Answers 429 until so long after the first request."""
    first: list[float] = []

    async def act(exchange: Exchange) -> None:
        now = time.monotonic()
        first.append(now)
        told = retry_after()
        if now - first[0] >= seconds:
            await exchange.answer()
        else:
            await exchange.answer(429, b"{}", **({} if told is None else {"Retry_After": told}))

    return act


def in_two_seconds() -> str:
    """An HTTP date one to two seconds away."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


@pytest.mark.parametrize(
    "retry_after", [lambda: "1", in_two_seconds, lambda: None], ids=["seconds", "date", "without"]
)
async def test_storm_of_refusals(scene: Scene, retry_after: Callable[[], str | None]) -> None:
    """Forty calls in a storm of a second wait as long as told, and all succeed."""
    async with scene(refuse_for(0.9, retry_after), limits=Limits(per_minute=60_000)) as (codat, server):
        with within(3.0, least=0.9):
            assert await asyncio.gather(*(fetch(codat) for _ in range(40))) == ["1"] * 40
        assert len(server.exchanges) <= 50


async def test_refused_for_hours(scene: Scene) -> None:
    """A Retry-After of hours raises at once, with the time; the next call is not even sent."""
    async with scene(status(429, Retry_After="7200")) as (codat, server):
        with within(1.0), pytest.raises(errors.RateLimited) as caught:
            await fetch(codat)
        assert caught.value.retry_after == 7200
        with within(1.0), pytest.raises(errors.QuotaExhausted):
            await fetch(codat)
        assert len(server.exchanges) == 1


async def test_quota_spent(scene: Scene) -> None:
    """A spent quota raises with its reset for all, those under way included."""
    resets_at = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    spent = status(
        429, X_Rate_Limit_Limit="5000", X_Rate_Limit_Remaining="0", X_Rate_Limit_Reset=resets_at.isoformat()
    )
    async with scene(spent) as (codat, server):
        with within(1.0):
            outcomes = await asyncio.gather(*(fetch(codat) for _ in range(30)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {errors.QuotaExhausted}
        assert {outcome.resets_at for outcome in outcomes if isinstance(outcome, errors.QuotaExhausted)} == {
            resets_at
        }
        assert len(server.exchanges) <= 10


@pytest.mark.parametrize("code", [500, 502, 503, 504])
async def test_flapping(scene: Scene, code: int) -> None:
    """Two failures and a success are a success."""
    async with scene(status(code), status(code, HTML), ok) as (codat, server):
        with within(1.0):
            assert await fetch(codat) == "1"
        assert len(server.exchanges) == 3


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
    """Failures without end are the error of their status, HTML or not."""
    async with scene(status(code, HTML, Content_Type="text/html")) as (codat, server):
        with within(1.0), pytest.raises(kind) as caught:
            await fetch(codat)
        assert caught.value.status == code
        assert len(server.exchanges) == 3


async def test_html_error(scene: Scene) -> None:
    """A proxy's HTML with a final status is the error of its status."""
    async with scene(status(403, HTML, Content_Type="text/html")) as (codat, server):
        with pytest.raises(errors.Forbidden):
            await fetch(codat)
        assert len(server.exchanges) == 1


@pytest.mark.parametrize("act", [status(200, b"{"), status(200, HTML), status(200, b"")])
async def test_success_that_is_none(scene: Scene, act: Act) -> None:
    """A 200 whose body is not JSON is a DecodingError, and is not asked for again."""
    async with scene(act, ok) as (codat, server):
        with within(1.0), pytest.raises(errors.DecodingError):
            await fetch(codat)
        assert len(server.exchanges) == 1


@pytest.mark.parametrize("act", [acts.reset_before_answer, acts.stall_before_headers, acts.truncated])
async def test_write_without_an_answer(scene: Scene, act: Act) -> None:
    """A POST that got no answer is sent again with its key; a 409 then means: still in progress."""
    async with scene(act, status(409), ok) as (codat, server):
        with within(1.5):
            assert (await codat.send(write())).status == 200
        keys = {exchange.headers["idempotency-key"] for exchange in server.exchanges}
        assert (len(server.exchanges), len(keys)) == (3, 1)


async def test_write_that_never_gets_an_answer(scene: Scene) -> None:
    """Its error says that the outcome is unknown."""
    async with scene(acts.reset_before_answer) as (codat, _):
        with within(1.0), pytest.raises(errors.ConnectionLost) as caught:
            await codat.send(write())
        assert caught.value.outcome_unknown


@pytest.mark.parametrize("code", [500, 503])
async def test_write_that_failed_is_not_repeated(scene: Scene, code: int) -> None:
    """A POST answered by 5xx is sent once, and its outcome said to be unknown."""
    async with scene(status(code), ok) as (codat, server):
        with within(1.0), pytest.raises(errors.ServerError) as caught:
            await codat.send(write())
        assert caught.value.outcome_unknown
        assert "it was not sent again" in str(caught.value)
        assert len(server.exchanges) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_idempotent_write_that_failed(scene: Scene, method: str) -> None:
    """A PUT or DELETE answered by 5xx is sent again, and its error does not say otherwise."""
    async with scene(status(503)) as (codat, server):
        with within(1.0), pytest.raises(errors.ServerError) as caught:
            await codat.send(write().copy(method=method))
        assert caught.value.outcome_unknown
        assert "the outcome of this write is unknown" in str(caught.value)
        assert "not sent again" not in str(caught.value)
        assert len(server.exchanges) == 3


@pytest.mark.parametrize("blank", ["", " "])
async def test_write_with_a_blank_key(scene: Scene, blank: str) -> None:
    """A blank key, by which no second try can be told from a second write, is refused before it is sent."""
    async with scene(acts.reset_before_answer) as (codat, server):
        with pytest.raises(ValueError, match="idempotency key is blank"):
            await codat.accounts.create(COMPANY, "c", Account(name="x"), idempotency_key=blank)
        with pytest.raises(ValueError, match="idempotency key is blank"):
            await codat.bills.upload_attachment(COMPANY, "c", "b", b"x", name="x.txt", idempotency_key=blank)
        assert server.exchanges == []


@pytest.mark.parametrize("act", [acts.reset_in_body, acts.truncated, acts.stall_in_body])
async def test_download_that_breaks(scene: Scene, act: Act) -> None:
    """A download that breaks off and cannot go on is an error in time, and holds nothing."""
    async with scene(act) as (codat, _):
        with within(2.0), pytest.raises((errors.TransportError, errors.DownloadError)):
            async with codat.customers.download_attachment(COMPANY, "c", "1", "a") as download:
                await download.read()


async def test_download_in_drips(scene: Scene) -> None:
    """A slow download is no fault: what is streamed has no time for the whole."""
    async with scene(acts.drip) as (codat, _):
        with within(2.0, least=0.5):
            async with codat.customers.download_attachment(COMPANY, "c", "1", "a") as download:
                assert await download.read() == acts.OK


async def test_download_that_is_abandoned(scene: Scene) -> None:
    """Leaving a download early gives place and connection back."""
    async with scene(acts.drip) as (codat, _):
        async with codat.customers.download_attachment(COMPANY, "c", "1", "a"):
            assert codat.governor.state().in_flight == 1
        await assert_nothing_left(codat)


@pytest.mark.parametrize(
    "act", [acts.stall_before_headers, acts.stall_in_body, status(503), status(429, Retry_After="3")]
)
async def test_cancelled(scene: Scene, act: Act) -> None:
    """Cancelling a call in any phase ends it at once: waiting for an answer, a body, or a retry."""
    slow = RetryPolicy(attempts=50, max_elapsed=60, wait_initial=1, wait_max=1)
    async with scene(act, retry=slow, timeout=Timeout()) as (codat, server):
        tasks = [asyncio.ensure_future(fetch(codat)) for _ in range(30)]
        await server.arrivals(10)
        with within(0.5):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)


async def test_one_connection_is_enough(scene: Scene) -> None:
    """With a pool of one, retries and errors never wait for a connection they hold themselves."""
    async with scene(
        status(503), acts.truncated, status(503, HTML), ok, max_connections=1, limits=Limits(in_flight=1)
    ) as (codat, _):
        with within(3.0):
            assert await asyncio.gather(*(fetch(codat) for _ in range(5))) == ["1"] * 5
