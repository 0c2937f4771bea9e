"""What travels through the pipeline: requests, bodies and responses as plain values, no I/O."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["Body", "ByteStream", "Request", "Response", "Timeout"]

_NO_HEADERS: Final[Mapping[str, str]] = {}
_IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class Timeout(Struct, frozen=True, kw_only=True):
    """How long one attempt may take, in seconds; ``None`` is no limit.

    Waiting between attempts and for a place in the rate limit is not counted: those have
    limits of their own, in the retry policy and the governor. Raises :class:`ValueError` for
    a time that is not above zero.
    """

    connect: float | None = 10.0
    """To get a connection, from the pool or new, TLS included."""
    read: float | None = 60.0
    """Longest silence from the server while waiting for headers or more of the body."""
    total: float | None = 60.0
    """For the whole attempt. Streamed downloads and uploads do not count it: their size is unbounded."""

    def __post_init__(self) -> None:
        for name in ("connect", "read", "total"):
            seconds: float | None = getattr(self, name)
            # Put so that it refuses a NaN as well.
            if seconds is not None and not seconds > 0.0:
                raise ValueError(f"{name} is {seconds}; a time-out is above 0 seconds, or None for no limit")


class Body(Struct, frozen=True):
    """What a request sends: bytes, or a factory that opens a fresh stream for each attempt.

    An async generator itself would be spent after the first attempt and send nothing on
    the second, so a stream is always given as the function that opens it.
    """

    content: bytes | Callable[[], AsyncIterable[bytes]]
    content_type: str = "application/json"
    length: int | None = None
    """Size in bytes of a streamed content, where known; sent as ``Content-Length``."""
    replayable: bool = True
    """False where the content can be read only once: such a request is never sent twice."""


class Request(Struct, frozen=True, kw_only=True):
    """One call to the API, as middleware sees it. Change it with :meth:`copy`."""

    method: str
    path: str
    """From the origin on, percent-encoded, beginning with ``/``; no query."""
    query: tuple[tuple[str, str], ...] = ()
    """Names and values, not encoded: the transport encodes them exactly once."""
    headers: Mapping[str, str] = _NO_HEADERS
    body: Body | None = None
    operation: str = ""
    """What is called, such as ``invoices.list``; for logs, traces and hooks."""
    route: str = ""
    """The path's template, such as ``/companies/{companyId}/data/invoices``."""
    company_id: str | None = None
    """The company the request belongs to; the rate limit is fair between companies."""
    timeout: Timeout | None = None
    """Overrides the transport's."""
    stream: bool = False
    """Whether a successful answer's body is handed on as a stream instead of being read."""
    attempt: int = 1
    """Counts from 1; the retry middleware raises it."""
    extensions: Mapping[str, object] = _NO_HEADERS
    """Room for middleware of your own to be told things per call."""

    def __repr__(self) -> str:
        """Names the headers but never shows their values, since one of them is the credential."""
        parts = [f"{self.method} {self.path}", *(f"{name}=…" for name in self.headers)]
        if self.operation:
            parts.insert(1, self.operation)
        return f"<Request {', '.join(parts)}, attempt {self.attempt}>"

    def copy(self, **changes: object) -> "Request":
        """The same request with some fields replaced."""
        return replace(self, **changes)

    def with_header(self, name: str, value: str) -> "Request":
        """The same request with one header set, whatever its case before."""
        kept = {key: held for key, held in self.headers.items() if key.lower() != name.lower()}
        kept[name] = value
        return replace(self, headers=kept)

    @property
    def idempotent(self) -> bool:
        """Whether HTTP says that sending it twice is the same as once."""
        return self.method in _IDEMPOTENT_METHODS


class ByteStream(Protocol):
    """The body of a streamed answer: iterate it once, and close it in any case."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None:
        """Give the connection back; may be called twice."""


class Response(Struct, frozen=True, kw_only=True):
    """An answer of any status. Errors of 4xx and 5xx are values here; they are raised after the chain."""

    status: int
    headers: Mapping[str, str] = _NO_HEADERS
    """Looked up without regard to case."""
    body: bytes = b""
    stream: ByteStream | None = None
    """Only on a successful answer to a request with ``stream=True``; then ``body`` is empty."""

    def copy(self, **changes: object) -> "Response":
        """The same answer with some fields replaced."""
        return replace(self, **changes)
