"""Parses ``Retry-After`` and the ``X-Rate-Limit-*`` headers of a response; pure functions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from msgspec import Struct

__all__ = ["RateLimitHeaders", "parse_rate_limit", "parse_reset", "parse_retry_after", "retry_after"]

_EPOCH_FROM: Final = 1_000_000_000
"""A bare number from here on is a Unix time; below it is seconds from now."""
_MILLISECONDS_FROM: Final = 100_000_000_000
"""A bare number from here on is a Unix time in milliseconds."""
_FARTHEST: Final = 3 * 86_400.0
"""Seconds from now; the quota is daily, so a later reset is treated as unreadable."""


class RateLimitHeaders(Struct, frozen=True, kw_only=True, gc=False):
    """The ``X-Rate-Limit-*`` headers of one response; ``None`` for each that is missing or unreadable.

    Source: "Rate limits" in Codat's documentation.
    """

    limit: int | None = None
    """Requests per day."""
    remaining: int | None = None
    """Requests left until the reset."""
    resets_at: float | None = None
    """Unix time, in seconds."""


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from a ``Retry-After`` header; ``now`` is the Unix time in seconds.

    Accepts seconds and HTTP dates (RFC 9110, section 10.2.3) and, since Codat documents no
    format, ISO dates too. A date in the past is 0; an unreadable value is ``None``.
    """
    if value is None:
        return None
    value = value.strip()
    seconds = _number(value)
    if seconds is not None:
        return seconds
    moment = _moment(value)
    return None if moment is None else max(0.0, moment - now)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, from a response's ``Retry-After``; ``None`` if missing or unreadable.

    A date is relative to the response's own ``Date``, since the server's clock may differ
    from ours; without one, to ``now`` (Unix time in seconds).
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    server_now = _moment(headers.get("Date", ""))
    return parse_retry_after(value, now if server_now is None else server_now)


def parse_reset(value: str | None, now: float) -> float | None:
    """The Unix time in seconds meant by ``X-Rate-Limit-Reset``; ``None`` if unreadable.

    Codat documents "a date"; ISO and HTTP dates, Unix times (also in milliseconds) and
    seconds from ``now`` are accepted. A reset more than three days ahead is unreadable.
    """
    if value is None:
        return None
    value = value.strip()
    moment = _number(value)
    if moment is None:
        moment = _moment(value)
    elif moment >= _MILLISECONDS_FROM:
        moment /= 1000.0
    elif moment < _EPOCH_FROM:
        moment += now
    return None if moment is None or moment - now > _FARTHEST else moment


def parse_rate_limit(headers: Mapping[str, str], now: float) -> RateLimitHeaders:
    """Parse a response's daily quota headers; ``now`` is the Unix time in seconds."""
    return RateLimitHeaders(
        limit=_count(headers.get("X-Rate-Limit-Limit")),
        remaining=_count(headers.get("X-Rate-Limit-Remaining")),
        resets_at=parse_reset(headers.get("X-Rate-Limit-Reset"), now),
    )


def _number(value: str) -> float | None:
    plain = value.isascii() and value.replace(".", "", 1).isdigit()
    return float(value) if plain and len(value) <= 20 else None


def _count(value: str | None) -> int | None:
    if value is None:
        return None
    value = value.strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 20 else None


@lru_cache(maxsize=64)
def _moment(value: str) -> float | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(value)
        except (ValueError, OverflowError):
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None
