"""Files down and up: whole or not at all, and never whole in memory."""

import asyncio
import io
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from codat_async import Codat, Request, Response, RetryPolicy, streaming
from codat_async.errors import ConnectionLost, DownloadError, NotFound
from codat_async.streaming import _file_name, multipart
from codat_middleware import Handler, Idempotency, Retry
from codat_middleware.messages import Body

CONTENT = os.urandom(300_000)
MONDAY = "Mon, 01 Jan 2024 00:00:00 GMT"
TUESDAY = "Tue, 02 Jan 2024 00:00:00 GMT"

Serve = Callable[..., Awaitable[Any]]
Connect = Callable[..., Codat]


def download(codat: Codat) -> Any:
    """The download that the tests ask for."""
    return codat.bills.download_attachment("c", "n", "b", "a")


class Breaking:
    """A server that breaks off after some bytes of each answer, and perhaps goes on from a byte."""

    def __init__(
        self,
        *cuts: int,
        ranges: bool = True,
        etag: str | None = '"v1"',
        modified: str | None = None,
        **changes: Any,
    ) -> None:
        self.cuts = list(cuts)
        self.ranges = ranges
        self.etag = etag
        self.modified = modified
        self.changes = changes
        self.asked: list[dict[str, str]] = []
        self._reader: Any = None

    def read_by(self, wanted: Any) -> Any:
        """Break only once this download has read what was sent, since a break may discard the rest."""
        self._reader = wanted
        return wanted

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.asked.append(headers)
        start = 0
        status = "200 OK"
        answer = {"Content-Length": str(len(CONTENT)), "Connection": "close"}
        if self.ranges:
            answer["Accept-Ranges"] = "bytes"
        if self.etag:
            answer["ETag"] = self.etag
        if self.modified:
            answer["Last-Modified"] = self.modified
        if self.ranges and "Range" in headers:
            start = int(headers["Range"].removeprefix("bytes=").removesuffix("-"))
            status = "206 Partial Content"
            answer["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
            answer["Content-Length"] = str(len(CONTENT) - start)
            answer |= self.changes
            status = answer.pop("status", status)
        cut = self.cuts.pop(0) if self.cuts else len(CONTENT)
        lines = "".join(f"{name}: {value}\r\n" for name, value in answer.items() if value is not None)
        content = CONTENT[start : start + cut] if status.startswith("20") else b""
        writer.write(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + content)
        await writer.drain()
        for _ in range(5000 if 0 < cut < len(CONTENT) else 0):
            if self._reader.received >= start + len(content):
                break
            await asyncio.sleep(0.001)


# --- down -------------------------------------------------------------------------------------------


async def test_saving_a_file(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """Name, type and size are known at once; the file is whole, and readable by its owner only."""

    async def answer(request: web.Request) -> web.Response:
        headers = {"Content-Disposition": 'attachment; filename="bill 7.pdf"'}
        return web.Response(body=CONTENT, content_type="application/pdf", headers=headers)

    server = await serve(answer)
    async with download(connect(server.url)) as opened:
        assert (opened.file_name, opened.content_type, opened.size) == (
            "bill 7.pdf",
            "application/pdf",
            len(CONTENT),
        )
        assert await opened.save(tmp_path / "bill.pdf") == tmp_path / "bill.pdf"
        assert opened.received == len(CONTENT)
    assert (tmp_path / "bill.pdf").read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["bill.pdf"]
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "bill.pdf").stat().st_mode) == 0o600
    assert server.seen[0].headers["Accept"] == "application/octet-stream"
    assert server.seen[0].headers["Accept-Encoding"] == "identity"


async def test_chunks_and_read(serve: Serve, connect: Connect) -> None:
    """The same content in pieces, or at once."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=CONTENT)

    codat = connect((await serve(answer)).url)
    async with download(codat) as opened:
        assert b"".join([chunk async for chunk in opened]) == CONTENT
    async with codat.invoices.download_pdf("c", "i") as opened:
        assert await opened.read() == CONTENT


async def test_nothing_is_sent_before_it_is_opened(serve: Serve, connect: Connect) -> None:
    """Asking for a download opens nothing; using it unopened, twice or afterwards says so."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=CONTENT)

    server = await serve(answer)
    wanted = download(connect(server.url))
    with pytest.raises(RuntimeError, match="async with"):
        await wanted.read()
    assert server.seen == []
    async with wanted:
        await wanted.read()
        with pytest.raises(RuntimeError, match="read already"):
            await wanted.read()
    with pytest.raises(RuntimeError, match="async with"):
        await wanted.read()


async def test_leaving_early_and_going_on_later(serve: Serve, connect: Connect) -> None:
    """Leaving in the middle closes the connection; going on after that does not open another."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=os.urandom(5_000_000), headers={"Accept-Ranges": "bytes"})

    server = await serve(answer)
    async with download(connect(server.url, max_connections=1)) as opened:
        chunks = aiter(opened)
        await anext(chunks)
    with pytest.raises(ConnectionLost):
        await drained(chunks)
    assert len(server.seen) == 1


async def drained(chunks: AsyncIterator[bytes]) -> None:
    """Read to the end."""
    async for _ in chunks:
        pass


async def test_missing_file_is_the_typed_error(serve: Serve, connect: Connect) -> None:
    """A 404 is NotFound with Codat's words, not a download of its body."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": "no such file", "correlationId": "x1"}, status=404)

    wanted = download(connect((await serve(answer)).url))
    with pytest.raises(NotFound, match=r"no such file.*x1"):
        await wanted.__aenter__()


async def test_compressed_content_has_no_known_size(serve: Serve, connect: Connect) -> None:
    """Content-Length counts compressed bytes, so it says nothing of what arrives, and is not checked."""

    async def answer(request: web.Request) -> web.Response:
        response = web.Response(body=b"a" * 100_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with download(connect((await serve(answer)).url)) as opened:
        assert opened.size is None
        assert await opened.read() == b"a" * 100_000


@pytest.mark.parametrize(
    "cuts", [(100_000,), (100_000, 1, 150_000), (0, 0, 5)], ids=["once", "often", "at the start"]
)
async def test_resumes_where_it_broke(
    serve_bytes: Serve, connect: Connect, tmp_path: Path, cuts: tuple[int, ...]
) -> None:
    """A stream that breaks goes on from the byte it had reached, of the same version of the file."""
    breaking = Breaking(*cuts)
    codat = connect(await serve_bytes(breaking))
    async with breaking.read_by(download(codat)) as opened:
        await opened.save(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert len(breaking.asked) == len(cuts) + 1
    if cuts[0]:
        assert breaking.asked[1]["Range"] == "bytes=100000-"
        assert breaking.asked[1]["If-Range"] == '"v1"'


async def test_weak_tags_are_not_sent(serve_bytes: Serve, connect: Connect) -> None:
    """If-Range takes strong tags only."""
    breaking = Breaking(1000, etag='W/"v1"')
    async with breaking.read_by(download(connect(await serve_bytes(breaking)))) as opened:
        assert await opened.read() == CONTENT
    assert "If-Range" not in breaking.asked[1]


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
async def test_resuming_without_a_strong_tag(serve_bytes: Serve, connect: Connect, etag: str | None) -> None:
    """The date of the last change replaces a tag that cannot be sent."""
    breaking = Breaking(1000, etag=etag, modified=MONDAY)
    async with breaking.read_by(download(connect(await serve_bytes(breaking)))) as opened:
        assert await opened.read() == CONTENT
    assert breaking.asked[1]["If-Range"] == MONDAY


@pytest.mark.parametrize(
    ("etag", "modified", "changes"),
    [
        ('"v1"', None, {"ETag": '"v2"'}),
        ('W/"v1"', None, {"ETag": 'W/"v2"'}),
        (None, MONDAY, {"Last-Modified": TUESDAY}),
        ('"v1"', MONDAY, {"Last-Modified": TUESDAY}),
        ('"v1"', MONDAY, {"ETag": None}),
        ('W/"v1"', None, {"ETag": None}),
        (None, MONDAY, {"Last-Modified": None}),
    ],
    ids=["tag", "weak tag", "date", "date beside a tag", "tag gone", "weak tag gone", "date gone"],
)
async def test_resuming_into_another_version(
    serve_bytes: Serve,
    connect: Connect,
    etag: str | None,
    modified: str | None,
    changes: dict[str, str | None],
) -> None:
    """A server that goes on with another version of the file, whatever it was asked, is not believed."""
    breaking = Breaking(1000, etag=etag, modified=modified, **changes)
    async with breaking.read_by(download(connect(await serve_bytes(breaking)))) as opened:
        with pytest.raises(DownloadError, match="changed"):
            await opened.read()
        assert opened.received == 1000


async def test_date_may_be_missing_beside_a_tag(serve_bytes: Serve, connect: Connect) -> None:
    """An answer to If-Range repeats the tag only (RFC 9110, section 15.3.7)."""
    breaking = Breaking(1000, modified=MONDAY, **{"Last-Modified": None})
    async with breaking.read_by(download(connect(await serve_bytes(breaking)))) as opened:
        assert await opened.read() == CONTENT


async def test_no_resuming_without_a_version(serve_bytes: Serve, connect: Connect) -> None:
    """Without a tag and a date nothing shows that the rest would be of the same file."""
    breaking = Breaking(1000, etag=None)
    async with breaking.read_by(download(connect(await serve_bytes(breaking)))) as opened:
        with pytest.raises(ConnectionLost):
            await opened.read()
    assert len(breaking.asked) == 1


async def test_part_that_nobody_asked_for(serve: Serve, connect: Connect) -> None:
    """A 206 to a request for the whole file is refused."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=206, body=b"x", headers={"Content-Range": "bytes 5-5/10"})

    with pytest.raises(DownloadError, match="part of the file"):
        await download(connect((await serve(answer)).url)).__aenter__()


async def test_no_resuming_where_the_server_has_no_ranges(
    serve_bytes: Serve, connect: Connect, tmp_path: Path
) -> None:
    """Without ranges a break is the error that it is, and leaves nothing behind, old file untouched."""
    (tmp_path / "file").write_bytes(b"before")
    breaking = Breaking(1000, ranges=False)
    async with breaking.read_by(download(connect(await serve_bytes(breaking)))) as opened:
        with pytest.raises(ConnectionLost):
            await opened.save(tmp_path / "file")
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "200 OK"},
        {"Content-Range": "bytes 7-299999/300000"},
        {"Content-Range": "bytes 1000-299998/299999"},
        {"Content-Range": "nonsense"},
        {"Content-Range": f"bytes 1000-299999/{'9' * 5000}"},
        {"Content-Encoding": "unknown"},
        {"status": "416 Range Not Satisfiable", "Content-Length": "0"},
    ],
    ids=["whole again", "another byte", "another size", "unreadable", "long", "encoded", "416"],
)
async def test_resuming_into_something_else(
    serve_bytes: Serve, connect: Connect, changes: dict[str, str]
) -> None:
    """Where the server does not go on with the same file, the download fails instead of mixing two."""
    breaking = Breaking(1000, **changes)
    async with breaking.read_by(download(connect(await serve_bytes(breaking)))) as opened:
        with pytest.raises(DownloadError, match="broke after 1000 bytes"):
            await opened.read()


async def test_giving_up_in_the_end(serve_bytes: Serve, connect: Connect) -> None:
    """A server that breaks without ever sending a byte is left alone after some tries."""
    breaking = Breaking(*[0] * 50)
    async with breaking.read_by(download(connect(await serve_bytes(breaking)))) as opened:
        with pytest.raises(ConnectionLost):
            await opened.read()
    assert len(breaking.asked) == 5


async def test_cancelled_save_leaves_nothing(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """Cancelling takes the temporary file with it."""
    begun = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * 3_000_000)
        begun.set()
        await asyncio.sleep(60)
        return response

    async with download(connect((await serve(answer)).url)) as opened:
        task = asyncio.create_task(opened.save(tmp_path / "file"))
        await begun.wait()
        for _ in range(500):
            if os.listdir(tmp_path):
                break
            await asyncio.sleep(0.01)
        (part,) = os.listdir(tmp_path)
        if os.name == "posix":
            assert stat.S_IMODE((tmp_path / part).stat().st_mode) == 0o600
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert os.listdir(tmp_path) == []


async def test_reading_more_than_fits(serve: Serve, connect: Connect) -> None:
    """A file is not held in memory beyond a limit, however small its answer was."""

    async def answer(request: web.Request) -> web.Response:
        response = web.Response(body=bytes(3_000_000))
        response.enable_compression(web.ContentCoding.gzip)
        return response

    codat = connect((await serve(answer)).url)
    async with download(codat) as opened:
        with pytest.raises(DownloadError, match="larger than 2,000,000 bytes; save it"):
            await opened.read(max_size=2_000_000)
    async with download(codat) as opened:
        assert len(await opened.read(max_size=3_000_000)) == 3_000_000
    async with download(codat) as opened:
        assert len(await opened.read(max_size=None)) == 3_000_000


async def test_saving_where_it_cannot_be_written(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """A folder that is not there is the operating system's own error."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=CONTENT)

    codat = connect((await serve(answer)).url)
    for target, error in ((tmp_path / "none" / "file", FileNotFoundError), (tmp_path, IsADirectoryError)):
        async with download(codat) as opened:
            with pytest.raises(error):
                await opened.save(target)
            assert opened.received == 0


async def test_saving_under_the_longest_name(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """Whatever name the file system takes can be saved to."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=CONTENT)

    target = tmp_path / ("n" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    async with download(connect((await serve(answer)).url)) as opened:
        await opened.save(target)
    assert os.listdir(tmp_path) == [target.name]


async def test_cancelling_waits_for_the_thread(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that still writes is waited for, however often one cancels, before its file is taken away."""
    writing, go_on = threading.Event(), threading.Event()

    append = streaming._append

    def slowly(part: Path, piece: bytearray) -> None:
        writing.set()
        go_on.wait(10)
        append(part, piece)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=CONTENT)

    monkeypatch.setattr(streaming, "_append", slowly)
    async with download(connect((await serve(answer)).url)) as opened:
        task = asyncio.create_task(opened.save(tmp_path / "file"))
        await asyncio.to_thread(writing.wait, 10)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.01)
        assert not task.done()
        assert os.listdir(tmp_path)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert os.listdir(tmp_path) == []


class Short:
    """A stream of five bytes."""

    closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"12345"

    async def aclose(self) -> None:
        self.closed = True


async def test_answer_that_cannot_be_made_out() -> None:
    """Where opening fails after the answer came, nothing keeps its connection."""
    stream = Short()

    async def end(request: Request, handler: Handler) -> Response:
        return Response(status=206, stream=stream)

    with pytest.raises(DownloadError, match="part"):
        await download(Codat(middleware=[end])).__aenter__()
    assert stream.closed


async def test_content_shorter_than_announced() -> None:
    """A content that ends without an error but short of its length is not taken for whole."""

    async def end(request: Request, handler: Handler) -> Response:
        return Response(status=200, headers={"Content-Length": "10"}, stream=Short())

    async with download(Codat(middleware=[end])) as opened:
        with pytest.raises(DownloadError, match="5 of 10 bytes"):
            await opened.read()


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("", None),
        ("attachment", None),
        ('attachment; filename="a b.pdf"', "a b.pdf"),
        ("attachment; filename=plain.pdf; size=3", "plain.pdf"),
        ("attachment; filename=\"fallback\"; filename*=UTF-8''%e2%82%ac%20rates.pdf", "€ rates.pdf"),
        ("attachment; filename*=iso-8859-1'en'%A3.pdf", "£.pdf"),
        ("attachment; filename*=unheard-of''%41.pdf", None),
        ("attachment; filename*=unheard-of''%41.pdf; filename=b.pdf", "b.pdf"),
        ("attachment; filename*=undefined''%ff.pdf", None),
        ("attachment; filename*=utf-8''%ff.pdf; filename=fallback.pdf", "fallback.pdf"),
        ('attachment; filename="a\\"b.pdf"', 'a"b.pdf'),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename*=UTF-8''..%2F..%5Cevil.exe", "evil.exe"),
        ('attachment; filename=".."', None),
        ('attachment; filename="dir/"', None),
        ("attachment; filename*=UTF-8''a%00%0Ab", "ab"),
        ('attachment; old_filename="a"; filename="b"', "b"),
        ('attachment; filename="b"; old_filename="a"', "b"),
        ('attachment; xfilename="a"', None),
        ('attachment; name="; filename=a"', None),
        ("attachment; filename*=\"UTF-8''a%20b.pdf\"", "a b.pdf"),
        ("attachment; filename=Bill 7 of May.pdf; size=3", "Bill 7 of May.pdf"),
        ("filename=a.pdf", "a.pdf"),
        ("attachment; FileName=a.pdf;", "a.pdf"),
        ('attachment; filename="never closed', '"never closed'),
        ('attachment; filename="caf\udce9.pdf"', "café.pdf"),
        ('attachment; filename="a\ud800\x9b\u202eb.pdf"', "ab.pdf"),
        ("attachment; filename*=UTF-8''%ED%A0%80.pdf; filename=b.pdf", "b.pdf"),
        (f'attachment; filename="{"x" * 5000}.pdf"', "x" * 196 + ".pdf"),
        (f'attachment; filename="{"é" * 5000}.pdf"', "é" * 98 + ".pdf"),
        (f'attachment; filename="a.{"x" * 5000}"', "a." + "x" * 49),
    ],
)
def test_file_names(disposition: str, name: str | None) -> None:
    """Names as RFC 6266 has them, without folders or control characters."""
    assert _file_name(disposition) == name


# --- up -----------------------------------------------------------------------------------------------


async def sent(body: Body) -> bytes:
    """A body as it would go out."""
    assert callable(body.content)
    data = b"".join([piece async for piece in body.content()])
    assert body.length in (None, len(data))
    return data


def sources(tmp_path: Path) -> dict[str, Any]:
    """The same content in every form that can be uploaded."""
    path = tmp_path / "scan.pdf"
    path.write_bytes(CONTENT)

    async def pieces() -> AsyncIterator[bytes]:
        yield CONTENT[:1000]
        yield CONTENT[1000:]

    moved = io.BytesIO(b"skipped" + CONTENT)
    moved.seek(7)
    return {"path": path, "text path": str(path), "bytes": CONTENT, "bytearray": bytearray(CONTENT),
            "file": io.BytesIO(CONTENT), "file from its position": moved, "factory": pieces}  # fmt: skip


KINDS = ["path", "text path", "bytes", "bytearray", "file", "file from its position", "factory"]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_source_can_be_sent_and_sent_again(kind: str, tmp_path: Path) -> None:
    """Each kind of source makes the same form, and makes it again for a second attempt."""
    body = await multipart(sources(tmp_path)[kind], name="scan.pdf", content_type=None)
    first, second = await sent(body), await sent(body)
    assert first == second
    assert body.replayable
    head = b'name="file"; filename="scan.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
    assert head + CONTENT + b"\r\n--" in first
    assert (body.length is None) == (kind == "factory")


async def test_upload_reaches_the_server(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """A real server reads the form, by its length where that is known; a retry sends all of it again."""
    answers = [429, 200]

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=answers.pop(0), headers={"Retry-After": "0"})

    server = await serve(answer)
    codat = connect(server.url, middleware=[Idempotency(), Retry(RetryPolicy(waits=False))])
    for kind, source in sources(tmp_path).items():
        answers = [429, 200]
        server.seen.clear()
        done = await codat.bills.upload_attachment("c", "n", "b", source, name="scän.pdf")
        assert done is None
        first, second = server.seen
        assert first.body == second.body
        assert CONTENT in first.body
        assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
        assert ("Content-Length" in first.headers) == (kind != "factory")


async def test_a_read_that_outlives_its_attempt(serve_bytes: Serve, connect: Connect) -> None:
    """A second attempt reads the same file whole, though a thread of the first is still reading it."""
    reading, go_on = threading.Event(), threading.Event()
    whole = os.urandom(3 << 20)
    bodies: list[bytes] = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if reading.is_set():
                time.sleep(0.05)
            else:
                reading.set()
                assert go_on.wait(10)
            return super().read(size)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if not bodies:
            bodies.append(b"")
            await asyncio.to_thread(reading.wait, 10)
            writer.write(b"HTTP/1.1 429 Refused\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n")
        else:
            go_on.set()
            bodies.append(await reader.readexactly(int(head.split("Content-Length: ")[1].split("\r\n")[0])))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    codat = connect(await serve_bytes(talk), middleware=[Idempotency(), Retry(RetryPolicy(waits=False))])
    async with asyncio.timeout(10):
        await codat.bills.upload_attachment("c", "n", "b", Slow(whole), name="a")
    assert whole in bodies[1]


async def test_a_source_of_text_is_sent_once(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """A file that only turns out to be text when it is read is the caller's mistake, and sent once."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    arrived: list[str] = []

    async def count(request: Request, handler: Handler) -> Response:
        arrived.append(request.path)
        return await handler(request)

    url = (await serve(answer)).url
    codat = connect(url, middleware=[Idempotency(), Retry(RetryPolicy(waits=False)), count])
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("hello")
        file.seek(0)
        source: Any = file
        with pytest.raises(TypeError, match="must yield bytes, not str"):
            await codat.bills.upload_attachment("c", "n", "b", source, name="a")
    assert len(arrived) == 1


async def test_a_pipe_is_sent_once(serve: Serve, connect: Connect) -> None:
    """A body that can be read only once is not sent again after a lost connection; the error is raised."""

    class Pipe(io.BytesIO):
        name = "/dev/stdin"

        def seekable(self) -> bool:
            return False

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "0"})

    body = await multipart(Pipe(b"once"), name=None, content_type="text/plain")
    assert not body.replayable
    assert body.length is None
    assert b'filename="stdin"' in await sent(body)
    server = await serve(answer)
    with pytest.raises(Exception, match="429"):
        await connect(server.url).bills.upload_attachment("c", "n", "b", Pipe(b"once"))
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        (b"x", ValueError, "name"),
        ("no/such/file.pdf", FileNotFoundError, "no/such"),
        (io.StringIO("text"), TypeError, "binary"),
        (7, TypeError, "int"),
    ],
)
async def test_sources_that_cannot_be_sent(
    connect: Connect, source: Any, error: type[Exception], says: str
) -> None:
    """What cannot work is said before anything is sent."""
    with pytest.raises(error, match=says):
        await connect("http://127.0.0.1:9").bills.upload_attachment("c", "n", "b", source)


async def test_an_opened_generator_raises(connect: Connect) -> None:
    """A generator would be spent after one attempt, so the function that makes it is asked for."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    opened: Any = pieces()
    with pytest.raises(TypeError, match="function that opens"):
        await connect("http://127.0.0.1:9").bills.upload_attachment("c", "n", "b", opened, name="x")


async def test_names_cannot_break_out_of_their_header() -> None:
    """Quotes and line ends in a name are encoded; in a content type they raise."""
    form = await sent(await multipart(b"x", name='a"\r\nX: y.pdf', content_type="text/plain"))
    assert b'filename="a%22%0D%0AX: y.pdf"\r\nContent-Type: text/plain\r\n' in form
    with pytest.raises(ValueError, match="content type"):
        await multipart(b"x", name="a", content_type="text/plain\r\nX: y")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
async def test_file_whose_name_is_not_utf8(tmp_path: Path) -> None:
    """It is sent under a name that can be; most such names are Latin-1."""
    path = tmp_path / os.fsdecode(b"caf\xe9\x1b.pdf")
    path.write_bytes(b"x")
    form = await sent(await multipart(path, name=None, content_type=None))
    assert 'filename="café.pdf"\r\nContent-Type: application/pdf'.encode() in form


async def test_open_file_is_sent_twice(tmp_path: Path) -> None:
    """A second upload of an open file sends it whole again, also beside the first."""
    (tmp_path / "file").write_bytes(CONTENT)
    with (tmp_path / "file").open("rb") as file, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(CONTENT)
        spooled.seek(0)
        for source in (file, spooled, io.BytesIO(CONTENT)):
            for _ in range(2):
                assert CONTENT in await sent(await multipart(source, name="a", content_type=None))  # type: ignore[arg-type]
            bodies = [await multipart(source, name="a", content_type=None) for _ in range(3)]  # type: ignore[arg-type]
            assert all(CONTENT in form for form in await asyncio.gather(*map(sent, bodies)))


async def test_nothing_is_never_sent_in_silence(tmp_path: Path) -> None:
    """What was read to its end before is an error, and not an empty attachment; an empty file is one."""
    (tmp_path / "file").write_bytes(b"x")
    with (tmp_path / "file").open("rb") as file:
        file.read()
        with pytest.raises(ValueError, match="at its end"):
            await multipart(file, name=None, content_type=None)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    spent = pieces()
    body = await multipart(lambda: spent, name="a", content_type=None)
    assert b"onetwo" in await sent(body)
    with pytest.raises(TypeError, match="new iterator"):
        await sent(body)
    with pytest.raises(ValueError, match="nothing more"):
        await sent(await multipart(lambda: spent, name="a", content_type=None))

    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(ValueError, match="nothing more"):
        await sent(await multipart(pipe, name="a", content_type=None))
    (tmp_path / "file").write_bytes(b"")
    for empty in (tmp_path / "file", b"", io.BytesIO()):
        assert await sent(await multipart(empty, name="a", content_type=None))


@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_file_that_changes_while_it_is_sent(tmp_path: Path, size: int) -> None:
    """A file that grew or shrank after its length was sent is an error, not a broken request."""
    path = tmp_path / "growing"
    path.write_bytes(b"x" * 1000)
    body = await multipart(path, name=None, content_type=None)
    path.write_bytes(b"x" * size)
    with pytest.raises(OSError, match="growing: the size of the file changed"):
        await sent(body)


MEMORY = """
import asyncio, os, resource, sys
from pathlib import Path
from aiohttp import web
from codat_async import Codat

SIZE = 200 * 2**20
received = 0

async def answer(request):
    global received
    if request.method == "POST":
        async for piece in request.content.iter_chunked(1 << 16):
            received += len(piece)
        return web.Response()
    response = web.StreamResponse(headers={"Content-Length": str(SIZE)})
    await response.prepare(request)
    for _ in range(SIZE >> 16):
        await response.write(bytes(1 << 16))
    return response

async def main(folder):
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    async with Codat("key", base_url=f"http://127.0.0.1:{port}") as codat:
        async with codat.bills.download_attachment("c", "n", "b", "small") as opened:
            async for _ in opened:
                break
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with codat.bills.download_attachment("c", "n", "b", "a") as opened:
            path = await opened.save(folder / "big.bin")
        assert path.stat().st_size == SIZE
        await codat.bills.upload_attachment("c", "n", "b", path)
    assert received > SIZE
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) / 1024)
    await runner.cleanup()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="measures by getrusage")
def test_large_files_stay_out_of_memory(tmp_path: Path) -> None:
    """200 MB down and up, server and client in one process, add less than 20 MB to its peak."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 20
