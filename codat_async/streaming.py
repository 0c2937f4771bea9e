"""Downloads and uploads that are never held whole in memory."""

import asyncio
import contextlib
import errno
import io
import mimetypes
import os
import re
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Final, Self, TypeAlias, TypeVar, TypeVarTuple, Unpack
from urllib.parse import unquote

import anyio.to_thread

from codat_async.errors import ConnectionLost, DownloadError, RequestTimeout, StatusError
from codat_middleware.messages import Body, ByteStream, Request, Response

T = TypeVar("T")
_Arguments = TypeVarTuple("_Arguments")

UploadSource: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | BinaryIO | IO[bytes] | Callable[[], AsyncIterable[bytes]]"
)
"""A path, bytes, an open binary file, or a function that opens an async iterator of bytes."""

_PIECE: Final = 1 << 20
"""Bytes read from or written to disk at once, since each costs a change of thread."""
_PART: Final = "file"
"""The name of the one part of an upload, required by Codat's documents of 2026. The SDK of 2024 differs."""
_RESUMES: Final = 5
"""Breaks in a row, without a byte between them, after which a download fails."""
MAX_READ: Final = 256 << 20
"""Bytes that :meth:`Download.read` holds in memory at most, unless asked for more."""
_VALIDATORS: Final = ("ETag", "Last-Modified")
_NAME: Final = 200
"""Bytes of a file name in UTF-8; file systems take 255."""


class Download:
    """A file being downloaded; opened by ``async with``.

    ::

        async with codat.bills.download_attachment(...) as download:
            await download.save("bill.pdf")

    ``file_name``, ``content_type`` and ``size`` (in bytes) are set once it is open, if the
    server sent them. If the connection breaks, the server supports ranges and identifies the
    version of the file, the download continues from the byte it had reached.
    """

    def __init__(self, send: Callable[[Request], Awaitable[Response]], request: Request) -> None:
        self._send = send
        self._request = request
        self._stream: ByteStream | None = None
        self._started = False
        self.headers: Mapping[str, str] = {}
        """The headers of the answer."""
        self.file_name: str | None = None
        self.content_type: str | None = None
        self.size: int | None = None
        self.received = 0
        """Bytes yielded so far."""

    async def __aenter__(self) -> Self:
        response = await self._send(self._request)
        try:
            self._begin(response)
        except BaseException:
            await self._close()
            raise
        return self

    def _begin(self, response: Response) -> None:
        self._stream = response.stream
        if response.status == 206:
            raise DownloadError(
                f"{self._request.path}: the server sent a part of the file, which nobody asked for"
            )
        self.headers = response.headers
        self.content_type = response.headers.get("Content-Type")
        self.file_name = _file_name(response.headers.get("Content-Disposition", ""))
        length = response.headers.get("Content-Length", "")
        # The length of an encoded content is not that of the decoded bytes that arrive.
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        self.size = int(length) if re.fullmatch(r"[0-9]{1,18}", length) and not encoded else None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The content in pieces, as they arrive; can be iterated once.

        Raises :class:`~codat_async.errors.DownloadError` if it ends too early, and a
        :class:`~codat_async.errors.TransportError` if it breaks and cannot be resumed.
        """
        if self._stream is None:
            raise RuntimeError("this download is not open: use it inside `async with`")
        if self._started:
            raise RuntimeError("this download was read already; start a new one to read it again")
        self._started = True
        breaks = 0
        while True:
            reached = self.received
            try:
                async for chunk in self._stream:
                    self.received += len(chunk)
                    yield chunk
                break
            except (ConnectionLost, RequestTimeout) as lost:
                breaks = breaks + 1 if self.received == reached else 0
                closed = self._stream is None
                if closed or breaks >= _RESUMES or not self._resumable:
                    raise
                await self._resume(lost)
        if self.size is not None and self.received != self.size:
            raise DownloadError(f"{self._request.path}: received {self.received} of {self.size} bytes")

    async def read(self, *, max_size: int | None = MAX_READ) -> bytes:
        """The whole content as bytes; raises DownloadError if it is larger than ``max_size`` bytes."""
        pieces: list[bytes] = []
        async with aclosing(_gathered(self)) as gathered:
            async for piece in gathered:
                pieces.append(piece)
                if max_size is not None and self.received > max_size:
                    # The error's traceback would keep them.
                    pieces.clear()
                    reason = f"larger than {max_size:,} bytes; save it to a file, or pass max_size"
                    raise DownloadError(f"{self._request.path}: {reason}")
        return b"".join(pieces)

    async def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file, which appears under its name only when it is complete.

        Returns the path. Only its owner may read the file. An existing one is replaced at the
        end, and left unchanged if the download fails.
        """
        part = _PartFile(Path(path))
        try:
            await _in_thread(part.open)
            async with aclosing(_gathered(self)) as pieces:
                async for piece in pieces:
                    await _in_thread(part.write, piece)
            await _in_thread(part.finish)
        except BaseException:
            part.discard()
            raise
        return part.target

    @property
    def _resumable(self) -> bool:
        if self.received == 0:
            return True
        ranges = self.headers.get("Accept-Ranges", "").strip().lower() == "bytes"
        return ranges and self.size is not None and any(self.headers.get(name) for name in _VALIDATORS)

    async def _resume(self, lost: Exception) -> None:
        await self._close()
        request = self._request
        if not self.received:
            self._begin(await self._send(request))
            return
        request = request.with_header("Range", f"bytes={self.received}-")
        # Weak tags must not be sent in an If-Range (RFC 9110, section 13.1.5).
        validator = "ETag"
        if (self.headers.get("ETag") or "W/").startswith("W/") and "Last-Modified" in self.headers:
            validator = "Last-Modified"
        if not self.headers[validator].startswith("W/"):
            request = request.with_header("If-Range", self.headers[validator])
        failed = f"{request.path}: broke after {self.received} bytes and the server did not resume"
        try:
            response = await self._send(request)
        except StatusError as error:
            raise DownloadError(f"{failed} ({error.status})") from error
        self._stream = response.stream
        if response.status != 206 or not self._continues(response.headers):
            raise DownloadError(failed) from lost
        for name in _VALIDATORS:
            # Some servers ignore If-Range. In an answer to one the other validator may be missing.
            before, now = self.headers.get(name), response.headers.get(name)
            if before != now and (name == validator or None not in (before, now)):
                raise DownloadError(f"{request.path}: changed after {self.received} bytes") from lost

    def _continues(self, headers: Mapping[str, str]) -> bool:
        part = re.fullmatch(
            rf"bytes {self.received}-[0-9]+/({self.size}|\*)", headers.get("Content-Range", "").strip()
        )
        return part is not None and headers.get("Content-Encoding", "identity") == "identity"

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()


async def _gathered(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    held: list[bytes] = []
    size = 0
    async for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


class _PartFile:
    """A file that has a temporary name in the same folder until it is complete."""

    def __init__(self, target: Path) -> None:
        self.target = target
        # Does not contain the file's own name, which may be of the greatest length already.
        self._part = target.with_name(f".{uuid.uuid4().hex}.part")
        self._file: BinaryIO | None = None

    def open(self) -> None:
        if self.target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self.target))
        # The files of companies are private, under a temporary name too.
        self._part.touch(mode=0o600, exist_ok=False)
        self._file = self._part.open("wb")

    def write(self, piece: bytes) -> None:
        assert self._file is not None
        self._file.write(piece)

    def finish(self) -> None:
        """Flush the content to disk, then rename the file to its own name."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.target)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()


async def _in_thread(work: Callable[[Unpack[_Arguments]], T], *arguments: *_Arguments) -> T:
    """Run it in a thread; if cancelled, wait for its end, since the file is in use until then."""
    running = asyncio.ensure_future(anyio.to_thread.run_sync(work, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        with contextlib.suppress(Exception):
            running.result()
        raise


_PARAMETER: Final = re.compile(r""";\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)""")


def _file_name(disposition: str) -> str | None:
    """The file name in a Content-Disposition header, fit for a disk, without any folders in it (RFC 6266)."""
    values = {found[1].lower(): found[2].strip() for found in _PARAMETER.finditer(f";{disposition}")}
    name = _extended_name(_unquoted(values.get("filename*", "")))
    if name is None:
        name = _unquoted(values.get("filename", ""))
    base = _printable(re.split(r"[/\\]", name)[-1]).strip()
    if base in ("", ".", ".."):
        return None
    stem, suffix = os.path.splitext(base)
    suffix = suffix.encode()[: _NAME // 4].decode(errors="ignore")
    return stem.encode()[: _NAME - len(suffix.encode())].decode(errors="ignore") + suffix


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value


def _extended_name(value: str) -> str | None:
    charset, _, encoded = value.partition("'")
    _, quote, encoded = encoded.partition("'")
    if not quote:
        return None
    try:
        return unquote(encoded, encoding=charset, errors="strict")
    except LookupError:
        return unquote(encoded)
    except ValueError:
        return None


def _printable(name: str) -> str:
    """The name without control characters and lone surrogates.

    Bytes that are not UTF-8 have become surrogates (PEP 383), and are most likely Latin-1.
    """
    name = re.sub("[\udc80-\udcff]", lambda found: chr(ord(found[0]) - 0xDC00), name)
    return "".join(each for each in name if each.isprintable())


# --- uploads -----------------------------------------------------------------------------


async def multipart(source: UploadSource, *, name: str | None, content_type: str | None) -> Body:
    """A form of one part, whose source is opened again for each attempt (RFC 7578).

    Raises :class:`OSError` for a path that cannot be read, before anything is sent, and
    :class:`ValueError` for a source without a name and for an open file that was read to its end.
    """
    content, length, own_name, replayable = await _content(source)
    name = (name or own_name or "").replace("\r", "%0D").replace("\n", "%0A")
    name = _printable(name)
    if not name:
        raise ValueError("an upload needs a file name: pass name=…")
    content_type = content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if re.search(r"[\r\n]", content_type):
        raise ValueError(f"not a content type: {content_type!r}")
    boundary = uuid.uuid4().hex
    quoted = name.replace('"', "%22")
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{_PART}"; filename="{quoted}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    async def form() -> AsyncIterator[bytes]:
        yield head
        sent = 0
        async for piece in content():
            sent += len(piece)
            if length is not None and sent > length:
                break
            yield piece
        if length is not None and sent != length:
            raise OSError(f"{name}: the size of the file changed while it was sent")
        yield tail

    return Body(
        form,
        content_type=f"multipart/form-data; boundary={boundary}",
        length=None if length is None else len(head) + length + len(tail),
        replayable=replayable,
    )


_seeking = threading.Lock()
"""Held while the position of an open file is moved: other uploads and cancelled attempts may use it too."""
_Opened: TypeAlias = Callable[[], AsyncIterable[bytes]]


async def _content(source: UploadSource) -> tuple[_Opened, int | None, str | None, bool]:
    """A function that opens the source, its size and name if known, and whether it can be opened again."""
    if isinstance(source, bytes | bytearray):
        data = bytes(source)
        return (lambda: _pieces_of(data)), len(data), None, True
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        size = (await anyio.to_thread.run_sync(path.stat)).st_size
        with await anyio.to_thread.run_sync(path.open, "rb"):
            pass
        return (lambda: _pieces_of_path(path)), size, path.name, True
    if callable(source):
        return _opened_again(source), None, None, True
    if isinstance(source, io.TextIOBase) or not hasattr(source, "read"):
        raise TypeError(
            "file must be a path, bytes, a file opened in binary mode, or a function that opens "
            f"an async iterator of bytes, not {type(source).__name__}"
        )
    own_name = getattr(source, "name", None)
    name = Path(own_name).name if isinstance(own_name, str) else None
    if not source.seekable():
        return (lambda: _not_empty(_pieces_of_file(source))), None, name, False

    def measure() -> tuple[int, int]:
        with _seeking:
            start = source.tell()
            size = source.seek(0, os.SEEK_END) - start
            source.seek(start)
            return start, size

    def read_from(place: int) -> bytes:
        with _seeking:
            source.seek(place)
            piece = source.read(_PIECE)
            # So that another upload of the same file starts where this one did.
            source.seek(start)
            return piece

    start, size = await anyio.to_thread.run_sync(measure)
    if start and not size:
        raise ValueError(f"{name or 'file'} is at its end, so that nothing would be sent: seek(0) first")

    async def opened() -> AsyncIterator[bytes]:
        place = start
        while piece := await anyio.to_thread.run_sync(read_from, place):
            yield piece
            place += len(piece)

    return opened, size, name, True


def _opened_again(source: Callable[[], AsyncIterable[bytes]]) -> _Opened:
    used: AsyncIterator[bytes] | None = None

    def opened() -> AsyncIterable[bytes]:
        nonlocal used
        pieces = aiter(source())
        if pieces is used:
            raise TypeError("the function of an upload must open a new iterator each time it is called")
        used = pieces
        return _not_empty(pieces)

    return opened


async def _not_empty(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces; raises ValueError if there are none, as of an iterator that was used before."""
    empty = True
    async for piece in pieces:
        empty = False
        yield piece
    if empty:
        raise ValueError("the source of an upload has nothing, or nothing more, to read")


async def _pieces_of(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


async def _pieces_of_path(path: Path) -> AsyncIterator[bytes]:
    file = await anyio.to_thread.run_sync(path.open, "rb")
    try:
        async for piece in _pieces_of_file(file):
            yield piece
    finally:
        # Closed without an await, so that a generator dropped half way leaves nothing behind.
        file.close()


async def _pieces_of_file(file: BinaryIO | IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await anyio.to_thread.run_sync(file.read, _PIECE):
        yield piece
