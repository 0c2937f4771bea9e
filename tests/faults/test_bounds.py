"""Answers that are too large or never end: a typed error, in bounded memory and time."""

import asyncio
import json
import sys
import zlib
from typing import Any

import pytest

from codat_async import Codat, errors
from codat_async.client import DEFAULT_RESPONSE_SIZE
from codat_middleware import Request, RetryPolicy
from codat_middleware.messages import Timeout
from tests.faults.bombs import ENCODINGS, GIBIBYTE, bomb
from tests.faults.conftest import RawScene
from tests.faults.server import OK, Act, Server, answer, ok
from tests.faults.test_faults import COMPANY, fetch

PATIENT = Timeout(connect=5, read=30, total=60)
BRIEF = Timeout(connect=5, read=30, total=0.7)
MIB = 1 << 20
ONCE = RetryPolicy(attempts=1)

_READS_ANSWERS = """
import asyncio, json, resource, sys
from codat_async import Codat, errors

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

async def main():
    async with Codat("key", base_url=sys.argv[1], **json.loads(sys.argv[3])) as codat:
        await codat.accounts.get("c", "1")
        before = peak()
        for _ in range(int(sys.argv[2])):
            try:
                await codat.accounts.get("c", "2")
            except errors.CodatError as error:
                result = {"error": type(error).__name__, "text": str(error), "grown": peak() - before}
                print(json.dumps(result))

asyncio.run(main())
"""


async def results_of(bombs: dict[str, bytes], **options: object) -> list[dict[str, Any]]:
    """How a client in a process of its own ends with each of these bodies, by their encoding."""
    acts = [answer(200, body, Content_Encoding=encoding) for encoding, body in bombs.items()]
    async with Server(ok, *acts) as server:
        command = (sys.executable, "-c", _READS_ANSWERS, server.url, str(len(acts)), json.dumps(options))
        client = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await client.communicate()
        assert server.requests == 1 + len(acts)
    return [json.loads(line) for line in output.splitlines()]


def dripping(head: bytes, rest: bytes = b"x", pause: float = 0.02) -> Act:
    """An answer that never ends, in pieces that come before any time-out for silence."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(rest)
            await writer.drain()
            await asyncio.sleep(pause)

    return act


# --- bodies ---------------------------------------------------------------------------------


async def test_small_answer_that_inflates_to_a_gibibyte() -> None:
    """It ends in a typed error after one request, and no more is inflated than the usual limit."""
    (result,) = await results_of({"gzip": bomb("gzip")})
    assert result["error"] == "ResponseTooLarge"
    assert "268,435,456 bytes" in result["text"]
    assert result["grown"] < DEFAULT_RESPONSE_SIZE + 64 * MIB < GIBIBYTE // 2


async def test_no_encoding_inflates_beyond_the_limit() -> None:
    """Whatever an answer is compressed with, no more of it is inflated than a client allows."""
    bombs = {encoding: bomb(encoding, 160 * MIB) for encoding in ENCODINGS}
    results = await results_of(bombs, max_response_size=16 * MIB)
    assert [each["error"] for each in results] == ["ResponseTooLarge"] * len(ENCODINGS)
    assert results[-1]["grown"] < 80 * MIB


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
async def test_limit_of_a_client(raw_scene: RawScene, chunked: bool) -> None:
    """A body of the client's limit is read, and a byte more is too large; so without compression."""

    def reply(body: bytes) -> Act:
        async def act(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(body), 50_000):
                piece = body[start : start + 50_000]
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")

        return act if chunked else answer(200, body)

    fits = OK.ljust(2 * MIB)
    async with raw_scene(reply(fits), reply(fits + b" "), max_response_size=2 * MIB, timeout=PATIENT) as (
        codat,
        server,
    ):
        assert await fetch(codat) == "1"
        with pytest.raises(errors.ResponseTooLarge, match="2,097,152 bytes") as caught:
            await fetch(codat)
        assert not caught.value.outcome_unknown
        assert server.requests == 2


async def test_no_limit(raw_scene: RawScene) -> None:
    """Without a limit a body of any size is read, and a request may set one of its own."""
    body = OK.ljust(3 * MIB)
    async with raw_scene(answer(200, body), max_response_size=None, timeout=PATIENT) as (codat, _):
        assert await fetch(codat) == "1"
        with pytest.raises(errors.ResponseTooLarge):
            await codat.send(Request(method="GET", path="/x", max_response_size=MIB))


@pytest.mark.parametrize("size", [0, -1])
def test_impossible_limit(size: int) -> None:
    """A limit of nothing is an error at once."""
    with pytest.raises(errors.ConfigurationError, match="max_response_size"):
        Codat("key", max_response_size=size)


async def test_write_whose_answer_is_too_large(raw_scene: RawScene) -> None:
    """It is not sent again, and its outcome is unknown."""
    async with raw_scene(answer(200, b" " * MIB), max_response_size=1000) as (codat, server):
        with pytest.raises(errors.ResponseTooLarge) as caught:
            await codat.companies.update("c", {"name": "x"})  # type: ignore[arg-type]
        assert caught.value.outcome_unknown
        assert server.requests == 1


async def test_failure_that_inflates(raw_scene: RawScene) -> None:
    """The status and the beginning of the body are kept, and the retries are those of the status."""
    body = bomb("gzip", 64 * MIB)
    async with raw_scene(
        answer(503, body, Content_Encoding="gzip"),
        answer(404, body, Content_Encoding="gzip"),
        max_response_size=None,
        timeout=PATIENT,
    ) as (codat, server):
        with pytest.raises(errors.NotFound) as caught:
            await fetch(codat)
        assert MIB <= len(caught.value.body) <= 2 * MIB
        assert server.requests == 2


@pytest.mark.parametrize("encoding", [*ENCODINGS, "without its end"])
async def test_compressed_body_that_is_broken(raw_scene: RawScene, encoding: str) -> None:
    """It is a typed error, in a download too, which does not wait for ever."""
    if encoding in ENCODINGS:
        body = bomb(encoding, MIB)[:20] + b"[" * 500_000
    else:
        encoding, body = "deflate", zlib.compress(OK * 100)[:-6]
    async with raw_scene(answer(200, body, Content_Encoding=encoding), retry=ONCE) as (codat, _):
        with pytest.raises(errors.TransportError):
            await fetch(codat)
        with pytest.raises(errors.TransportError):
            async with asyncio.timeout(40), codat.bills.download_attachment(COMPANY, "n", "b", "a") as opened:
                await opened.read()


async def test_downloads_have_no_limit(raw_scene: RawScene) -> None:
    """A stream is not held in memory, so its size is nobody's concern."""
    compressed = zlib.compress(bytes(3 * MIB), wbits=31)
    act = answer(200, compressed, Content_Encoding="gzip")
    async with (
        raw_scene(act, max_response_size=1000, timeout=PATIENT) as (codat, _),
        codat.bills.download_attachment(COMPANY, "n", "b", "a") as opened,
    ):
        assert sum([len(chunk) async for chunk in opened]) == 3 * MIB


# --- headers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [b"X-Long: " + b"a" * 60_000, b"a" * 60_000 + b": x"],
    ids=["value", "name"],
)
async def test_long_header(raw_scene: RawScene, header: bytes) -> None:
    """Headers of up to 64 KiB are read."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (header, len(OK), OK))

    async with raw_scene(act) as (codat, _):
        assert await fetch(codat) == "1"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"a" * 70_000 + b": x",
        b"HTTP/1.1 200 " + b"a" * 70_000,
        b"HTTP/1.1 200 OK" + b"".join(b"\r\nX-%d: x" % number for number in range(200)),
    ],
    ids=["value", "name", "reason", "number"],
)
async def test_headers_that_are_too_large(raw_scene: RawScene, head: bytes) -> None:
    """They are a typed error after one attempt, which does not repeat them."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(head + b"\r\nContent-Length: 2\r\n\r\n{}")

    async with raw_scene(act) as (codat, server):
        with pytest.raises(errors.ResponseTooLarge) as caught:
            await fetch(codat)
        assert "headers" in str(caught.value)
        assert "aaa" not in str(caught.value)
        assert server.requests == 1


# --- answers that never end -----------------------------------------------------------------

_HEAD = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n"
_ENDLESS_HEADERS = dripping(_HEAD % b"200 OK" + b"X-Long: ")
_ENDLESS_FAILURE = dripping(_HEAD % b"404 Not Found" + b"Content-Length: 1000000\r\n\r\n")


@pytest.mark.parametrize("act", [_ENDLESS_HEADERS, _ENDLESS_FAILURE], ids=["headers", "failure"])
async def test_download_that_never_begins(raw_scene: RawScene, act: Act) -> None:
    """Headers and error bodies that come a byte at a time end by the total time-out."""
    async with raw_scene(act, retry=ONCE, timeout=BRIEF) as (codat, _):
        with pytest.raises(errors.RequestTimeout) as caught:
            async with asyncio.timeout(20), codat.bills.download_attachment(COMPANY, "n", "b", "a"):
                pass
        assert caught.value.phase == "total"


async def test_download_may_last_longer_than_the_total(raw_scene: RawScene) -> None:
    """A file that comes slowly is read to its end."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.1)
            writer.write(b"x")

    async with (
        raw_scene(act, timeout=BRIEF) as (codat, _),
        codat.bills.download_attachment(COMPANY, "n", "b", "a") as opened,
    ):
        assert await opened.read() == b"x" * 10


# --- texts ----------------------------------------------------------------------------------


async def test_texts_of_a_server(raw_scene: RawScene, caplog: pytest.LogCaptureFixture) -> None:
    """Neither errors nor logs, of a body or of headers, pass on what a terminal obeys."""
    caplog.set_level(0)
    obeyed = "\\u001b[31m\\u0007\\u0000\\u009b2J" + "x" * 5000
    body = f'{{"error":"{obeyed}","correlationId":"{obeyed}"}}'.encode()
    headers = {"Location": "https://login.test/?token=secret", "X_Correlation_Id": "\x1b[31m" + "x" * 5000}
    async with raw_scene(answer(302, body, **headers), answer(200, b'{"id":"\x1b"', **headers)) as (codat, _):
        for _ in range(2):
            with pytest.raises(errors.CodatError) as caught:
                await fetch(codat)
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 700
            assert "secret" not in f"{vars(caught.value)}"
    assert caplog.records
    for record in caplog.records:
        line = record.getMessage()
        assert line.isprintable()
        assert len(str(record.__dict__.get("correlation_id"))) <= 200
        assert str(record.__dict__.get("correlation_id")).isprintable()
