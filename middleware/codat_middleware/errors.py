"""The errors raised inside the pipeline, and the root of all that ``codat_async`` raises."""

from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from codat_middleware.messages import SAFE_METHODS
from codat_middleware.text import PATH, one_line


class CodatError(Exception):
    """The root of every error this client raises on purpose."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        # Pickle would call the class with ``args``, which are not those of every constructor.
        return type(self).__new__, (type(self), *self.args), self.__dict__.copy()


@dataclass(eq=False, repr=False)
class TransportError(CodatError):
    """No complete response arrived to the request of ``method`` and ``path``.

    ``sent`` is true if any of it may have reached the server; the outcome of a write is then unknown.
    """

    reason: str
    _: KW_ONLY
    method: str
    path: str
    sent: bool

    @property
    def outcome_unknown(self) -> bool:
        """Whether a write may have happened although no response confirms it."""
        return self.sent and self.method not in SAFE_METHODS

    def __str__(self) -> str:
        note = "; the outcome of this write is unknown" if self.outcome_unknown else ""
        return f"{self.method} {one_line(self.path, PATH)}: {self.reason}{note}"


class ConnectError(TransportError):
    """No connection could be made: DNS failed, the port refused it, or the proxy failed."""


class TLSError(ConnectError):
    """The certificate was rejected or the handshake failed; not retried."""


class ConnectionLost(TransportError):
    """The connection broke before the response was complete."""


@dataclass(eq=False, repr=False, kw_only=True)
class RequestTimeout(TransportError):
    """An attempt took too long, or the whole call; ``phase`` is the part that did."""

    phase: Literal["connect", "read", "total", "deadline"]


class ResponseTooLarge(TransportError):
    """The response has more bytes, decompressed, than the client accepts; not retried."""


RateLimitScope: TypeAlias = Literal["call", "company", "everybody"]
"""Whom a rate limit concerns: one call, all calls for its company, or all calls."""


@dataclass(eq=False, repr=False)
class RateLimited(CodatError):
    """The API asks to wait ``retry_after`` seconds, longer than ``Limits.max_quota_wait``.

    ``scope`` is whom it concerns, ``company_id`` the call's company. Calls within the scope raise this
    without being sent until the rest of the wait is short enough.
    """

    scope: RateLimitScope
    retry_after: float | None
    company_id: str | None

    def __str__(self) -> str:
        whom = {"call": "this call", "company": f"company {self.company_id}", "everybody": "all requests"}
        wait = f"{self.retry_after or 0.0:.0f} s"
        return f"rate limited (429): the API asks to retry in {wait}, for {whom[self.scope]}"


class ApiPaused(RateLimited):
    """The API asks all requests to wait longer than that; ``scope`` is ``everybody``."""


class QueueTimeout(CodatError):
    """No place in the rate limit became free for ``Limits.max_place_wait`` seconds.

    The message names what holds the places: usually open downloads, inside which the call was made.
    """


@dataclass(eq=False, repr=False)
class QuotaExhausted(CodatError):
    """The daily quota of requests is spent; ``resets_at`` is when the next one starts, usually 00:00 UTC."""

    resets_at: datetime

    def __str__(self) -> str:
        return f"the daily quota is spent; it resets at {self.resets_at.isoformat(timespec='seconds')}"
