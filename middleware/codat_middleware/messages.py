"""Requests, bodies and responses as immutable values; no I/O."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from codat_middleware.text import PATH, one_line

_NO_HEADERS: Final[Mapping[str, str]] = {}
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def check_range(settings: Struct, *names: str, least: int | None = None) -> None:
    """Raise :class:`ValueError` for a field below ``least``, or not above 0, or NaN; ``None`` is in order."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not (value > 0 if least is None else value >= least):
            bound = "greater than 0" if least is None else f"at least {least}"
            raise ValueError(f"{name} is {value}; it must be {bound}")


class Timeout(Struct, frozen=True, kw_only=True):
    """Seconds that an attempt may take, waits before it aside; ``None`` for no limit, never 0 or less."""

    connect: float | None = 10.0
    """To get a connection from the pool or open one, TLS included."""
    read: float | None = 60.0
    """Between two reads, while waiting for the headers or for more of the body."""
    total: float | None = 60.0
    """For the whole attempt; of a streamed upload the answer, of a streamed download its headers."""

    @classmethod
    def of(cls, value: "Timeout | float") -> "Timeout":
        """A time-out, or one with a number of seconds as its total."""
        return value if isinstance(value, Timeout) else cls(total=float(value))

    def __post_init__(self) -> None:
        check_range(self, "connect", "read", "total")


class Body(Struct, frozen=True):
    """A request's payload: bytes, or a function that opens a stream for each attempt, which exhausts it."""

    content: bytes | Callable[[], AsyncIterable[bytes]]
    content_type: str = "application/json"
    length: int | None = None
    """Size in bytes of streamed content, if known; sent as ``Content-Length``."""
    replayable: bool = True
    """False if the content can be read only once; such a request is never sent twice."""


class Request(Struct, frozen=True, kw_only=True):
    """One call to the API, as middleware sees it. Change it with :meth:`copy`."""

    method: str
    path: str
    """Percent-encoded, relative to the base URL, starting with ``/``; without the query."""
    base_url: str = ""
    """Without a slash at its end; set only for a transport of your own."""
    query: tuple[tuple[str, str], ...] = ()
    """Names and values, not encoded; the transport encodes them."""
    headers: Mapping[str, str] = _NO_HEADERS
    body: Body | None = None
    operation: str = ""
    """The method called, such as ``invoices.list``; for logs, traces and hooks."""
    route: str = ""
    """The path's template, such as ``/companies/{companyId}/data/invoices``."""
    company_id: str | None = None
    """The company the request is for; the rate limit is fair between companies."""
    timeout: Timeout | None = None
    """Overrides the transport's time-out."""
    deadline: float | None = None
    """When the whole call is given up, waits and retries included, by ``time.monotonic()``."""
    max_response_size: int | None = None
    """Bytes of a decompressed body, if that may be smaller than the transport's own limit."""
    stream: bool = False
    """Whether to return a successful response's body as a stream instead of reading it."""
    attempt: int = 1
    """The attempt's number, from 1; set by the retry middleware."""
    extensions: Mapping[str, object] = _NO_HEADERS
    """Per-call data for middleware of your own."""

    def __repr__(self) -> str:
        """Show the headers' names only, since one of the values is the credential."""
        parts = [str(self), *(f"{name}=…" for name in self.headers)]
        if self.operation:
            parts.insert(1, self.operation)
        return f"<Request {', '.join(parts)}, attempt {self.attempt}>"

    def __str__(self) -> str:
        """Return the method and the path on one line, for a message."""
        return f"{self.method} {one_line(self.path, PATH)}"

    def copy(self, **changes: object) -> "Request":
        """Return a copy with some fields replaced."""
        return replace(self, **changes)

    def with_header(self, name: str, value: str) -> "Request":
        """Return a copy with one header set, replacing it whatever its case."""
        kept = {key: held for key, held in self.headers.items() if key.lower() != name.lower()}
        kept[name] = value
        return replace(self, headers=kept)

    @property
    def idempotent(self) -> bool:
        """Whether the method is idempotent (RFC 9110, section 9.2.2)."""
        return self.method in SAFE_METHODS or self.method in ("PUT", "DELETE")

    @property
    def idempotency_key(self) -> str | None:
        """Its ``Idempotency-Key``; ``None`` for a blank one too, which the API ignores."""
        keys = [value for name, value in self.headers.items() if name.lower() == "idempotency-key"]
        return keys[0] if keys and keys[0].strip() else None

    @property
    def starts_push(self) -> bool:
        """Whether it starts a push operation: only their paths have ``/push/`` (Codat's "Push data")."""
        return self.method not in SAFE_METHODS and "/push/" in self.path

    @property
    def replayable(self) -> bool:
        """Whether it can be sent again."""
        return self.body is None or self.body.replayable


def log_fields(request: Request) -> dict[str, object]:
    """What every log record of a request has in ``extra``."""
    return {"operation": request.operation, "company_id": request.company_id, "attempt": request.attempt}


class ByteStream(Protocol):
    """The body of a streamed response: iterate it once, and always close it."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None:
        """Release the connection; calling it twice is allowed."""


class Response(Struct, frozen=True, kw_only=True):
    """A response of any status: 4xx and 5xx are values here and become errors after the pipeline."""

    status: int
    headers: Mapping[str, str] = _NO_HEADERS
    """Lookup ignores case."""
    body: bytes = b""
    stream: ByteStream | None = None
    """Set only on a success of a request with ``stream=True``; ``body`` is then empty."""
    unconfirmed: str | None = None
    """How an earlier attempt of a write failed (``status 503``, say) that may have caused this response."""

    def copy(self, **changes: object) -> "Response":
        """Return a copy with some fields replaced."""
        return replace(self, **changes)
