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
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import IO, BinaryIO, Final, Self, TypeAlias
from urllib.parse import unquote

import anyio.to_thread

from codat_async.errors import ConnectionLost, DownloadError, RequestTimeout, StatusError
from codat_middleware.messages import Body, ByteStream, Request, Response
from codat_middleware.text import PATH, one_line, whole_number

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
        self._send, self._request = send, request
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
        await self._begin()
        return self

    async def _begin(self) -> None:
        response = await self._send(self._request)
        self._stream = response.stream
        if response.status == 206:
            await self._close()
            raise self._failure("the server sent a part of the file, which nobody asked for")
        self.headers = response.headers
        self.content_type = response.headers.get("Content-Type")
        self.file_name = _file_name(response.headers.get("Content-Disposition", ""))
        # The length of an encoded content is not that of the decoded bytes that arrive.
        plain = response.headers.get("Content-Encoding", "identity") == "identity"
        self.size = whole_number(response.headers.get("Content-Length")) if plain else None

    async def __aexit__(self, *_: object) -> None:
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
                if self._stream is None or breaks >= _RESUMES:
                    raise
                await self._resume(lost)
        if self.size is not None and self.received != self.size:
            raise self._failure(f"received {self.received} of {self.size} bytes")

    async def read(self, *, max_size: int | None = MAX_READ) -> bytes:
        """The whole content as bytes; raises DownloadError if it is larger than ``max_size`` bytes."""
        content = bytearray()
        async for piece in self:
            content += piece
            if max_size is not None and self.received > max_size:
                # The error's traceback would keep it.
                content.clear()
                raise self._failure(f"larger than {max_size:,} bytes; save it to a file, or pass max_size")
        return bytes(content)

    async def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file, which only its owner may read, and return the path.

        It appears under its name, or replaces the file of that name, only when it is complete.
        """
        target, held = Path(path), bytearray()
        # Does not contain the file's own name, which may be of the greatest length already.
        part = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            await _in_thread(_create, part, target)
            async for piece in self:
                held += piece
                if len(held) >= _PIECE:
                    await _in_thread(_append, part, held)
                    held.clear()
            await _in_thread(_append, part, held)
            await _in_thread(_finish, part, target)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        return target

    async def _resume(self, lost: Exception) -> None:
        """Request what is missing; raises ``lost`` if the server has no means to continue the same file."""
        known = [name for name in _VALIDATORS if self.headers.get(name)]
        ranges = self.headers.get("Accept-Ranges", "").strip().lower() == "bytes"
        if self.received and not (known and ranges and self.size is not None):
            raise lost
        await self._close()
        if not self.received:
            await self._begin()
            return
        request = self._request.with_header("Range", f"bytes={self.received}-")
        # Weak tags must not be sent in an If-Range (RFC 9110, section 13.1.5).
        strong = [name for name in known if not self.headers[name].startswith("W/")]
        if strong:
            request = request.with_header("If-Range", self.headers[strong[0]])
        failed = f"broke after {self.received} bytes and the server did not resume"
        try:
            response = await self._send(request)
        except StatusError as error:
            raise self._failure(f"{failed} ({error.status})") from error
        self._stream, headers = response.stream, response.headers
        part = rf"bytes {self.received}-[0-9]+/({self.size}|\*)"
        continues = re.fullmatch(part, headers.get("Content-Range", "").strip())
        plain = headers.get("Content-Encoding", "identity") == "identity"
        if response.status != 206 or not continues or not plain:
            raise self._failure(failed) from lost
        # Some servers ignore If-Range. In an answer to one the other validator may be missing.
        same = all(headers.get(name, self.headers[name]) == self.headers[name] for name in known)
        if not (same and (strong or known)[0] in headers):
            raise self._failure(f"changed after {self.received} bytes") from lost

    def _failure(self, reason: str) -> DownloadError:
        return DownloadError(f"{one_line(self._request.path, PATH)}: {reason}")

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()


def _create(part: Path, target: Path) -> None:
    """Create the file, for its owner alone, that becomes ``target`` once it is complete."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    part.touch(mode=0o600, exist_ok=False)


def _append(part: Path, piece: bytearray) -> None:
    # Opened for each piece, so that there is nothing to close after an error.
    with part.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(piece)


def _finish(part: Path, target: Path) -> None:
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    part.replace(target)


async def _in_thread(work: Callable[..., None], *arguments: object) -> None:
    """Run it in a thread; if cancelled, wait for its end, since the file is in use until then."""
    running = asyncio.ensure_future(anyio.to_thread.run_sync(work, *arguments))
    try:
        await asyncio.shield(running)
    finally:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        # After a cancellation its own error would otherwise be reported as never retrieved.
        running.exception()


_PARAMETER: Final = re.compile(r""";\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))""")


def _file_name(disposition: str) -> str | None:
    """The file name in a Content-Disposition header, fit for a disk, without any folders in it (RFC 6266)."""
    values = {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain.strip()
        for name, quoted, plain in _PARAMETER.findall(f";{disposition}")
    }
    name = values.get("filename", "")
    match values.get("filename*", "").split("'", 2):
        case [charset, _, text]:
            with contextlib.suppress(ValueError, LookupError):
                name = unquote(text, charset, errors="strict")
    base = _printable(re.split(r"[/\\]", name)[-1]).strip()
    if base in ("", ".", ".."):
        return None
    stem, suffix = os.path.splitext(base)
    suffix = suffix.encode()[: _NAME // 4].decode(errors="ignore")
    return stem.encode()[: _NAME - len(suffix.encode())].decode(errors="ignore") + suffix


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
    name = _printable((name or own_name or "").replace("\r", "%0D").replace("\n", "%0A"))
    if not name:
        raise ValueError("an upload needs a file name: pass name=…")
    content_type = content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if re.search(r"[\r\n]", content_type):
        raise ValueError(f"not a content type: {content_type!r}")
    boundary = uuid.uuid4().hex
    quoted = name.replace('"', "%22")
    disposition = f'Content-Disposition: form-data; name="{_PART}"; filename="{quoted}"'
    head = "\r\n".join((f"--{boundary}", disposition, f"Content-Type: {content_type}", "", "")).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    used: AsyncIterator[bytes] | None = None

    async def form() -> AsyncIterator[bytes]:
        nonlocal used
        pieces = aiter(content())
        if pieces is used:
            raise TypeError("the function of an upload must open a new iterator each time it is called")
        used = pieces
        yield head
        sent = 0
        async for piece in pieces:
            sent += len(piece)
            if length is not None and sent > length:
                break
            yield piece
        if length is None and not sent:
            # As of an iterator that was used before: better than an empty attachment in silence.
            raise ValueError("the source of an upload has nothing, or nothing more, to read")
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


async def _content(
    source: UploadSource,
) -> tuple[Callable[[], AsyncIterable[bytes]], int | None, str | None, bool]:
    """A function that opens the source, its size and name if known, and whether it can be opened again."""
    if isinstance(source, bytes | bytearray):
        source = io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        source = Path(source)
    elif callable(source):
        return source, None, None, True
    elif isinstance(source, io.TextIOBase) or not hasattr(source, "read"):
        kinds = "a path, bytes, a binary file, or a function that opens an async iterator of bytes"
        raise TypeError(f"file must be {kinds}, not {type(source).__name__}")
    own_name = getattr(source, "name", None)
    name = Path(own_name).name if isinstance(own_name, str) else None

    def measure() -> tuple[int | None, int | None]:
        with source.open("rb") if isinstance(source, Path) else contextlib.nullcontext(source) as file:
            if not file.seekable():
                return None, None
            with _seeking:
                start = file.tell()
                size = file.seek(0, os.SEEK_END) - start
                file.seek(start)
                return start, size

    start, size = await anyio.to_thread.run_sync(measure)
    if start and not size:
        raise ValueError(f"{name or 'file'} is at its end, so that nothing would be sent: seek(0) first")

    async def pieces() -> AsyncIterator[bytes]:
        file = await anyio.to_thread.run_sync(source.open, "rb") if isinstance(source, Path) else source
        place = start or 0

        def read() -> bytes:
            if file is not source or start is None:
                return file.read(_PIECE)
            with _seeking:
                file.seek(place)
                piece = file.read(_PIECE)
                # So that another upload of the same file starts where this one did.
                file.seek(start)
                return piece

        try:
            while piece := await anyio.to_thread.run_sync(read):
                yield piece
                place += len(piece)
        finally:
            if file is not source:
                # Closed without an await, so that a generator dropped half way leaves nothing behind.
                file.close()

    return pieces, size, name, start is not None
