"""The errors that can be raised inside the pipeline, and the root of all this client's errors.

::

    CodatError
    ├── TransportError        no complete response arrived
    │   ├── ConnectError      no connection could be made: DNS, refused, proxy
    │   │   └── TLSError      the certificate was rejected or the handshake failed
    │   ├── ConnectionLost    the connection broke before the response was complete
    │   ├── RequestTimeout    connecting, reading or the whole attempt took too long
    │   └── ResponseTooLarge  the response has more bytes than the client accepts
    └── QuotaExhausted        the day's quota is spent

``codat_async.errors`` draws the whole tree, including the errors raised after the pipeline.
"""

from datetime import datetime
from typing import Literal

from codat_middleware.text import PATH, one_line

__all__ = [
    "CodatError",
    "ConnectError",
    "ConnectionLost",
    "QuotaExhausted",
    "RequestTimeout",
    "ResponseTooLarge",
    "TLSError",
    "TransportError",
]


class CodatError(Exception):
    """The root of every error this client raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        # Pickle would call the class with ``args``, which are not those of every constructor.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class TransportError(CodatError):
    """No complete response arrived.

    ``method`` and ``path`` name the request (no query, no credential). ``sent`` is true if
    any of it may have reached the server; the outcome of a write is then unknown.
    """

    def __init__(self, reason: str, *, method: str, path: str, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.method = method
        self.path = path
        self.sent = sent

    @property
    def outcome_unknown(self) -> bool:
        """Whether a write may have happened although no response confirms it."""
        return self.sent and self.method not in ("GET", "HEAD", "OPTIONS")

    def __str__(self) -> str:
        note = "; the outcome of this write is unknown" if self.outcome_unknown else ""
        return f"{self.method} {one_line(self.path, PATH)}: {self.reason}{note}"


class ConnectError(TransportError):
    """No connection could be made: DNS failed, the port refused it, or the proxy failed."""


class TLSError(ConnectError):
    """The certificate was rejected or the handshake failed; not retried."""


class ConnectionLost(TransportError):
    """The connection broke before the response was complete."""


class RequestTimeout(TransportError):
    """An attempt took too long; ``phase`` is the part that did."""

    def __init__(
        self,
        reason: str,
        *,
        method: str,
        path: str,
        sent: bool,
        phase: Literal["connect", "read", "total"],
    ) -> None:
        super().__init__(reason, method=method, path=path, sent=sent)
        self.phase = phase


class ResponseTooLarge(TransportError):
    """The response has more bytes, decompressed, than the client accepts; not retried."""


class QuotaExhausted(CodatError):
    """The daily quota of requests is spent; ``resets_at`` is when the next one starts.

    Source: "Rate limits" in Codat's documentation (a quota per day, reset at 00:00 UTC).
    """

    def __init__(self, resets_at: datetime) -> None:
        super().__init__(f"the daily quota is spent; it resets at {resets_at.isoformat(timespec='seconds')}")
        self.resets_at = resets_at


def _rebuild(kind: type[CodatError], args: tuple[object, ...], state: dict[str, object]) -> CodatError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
