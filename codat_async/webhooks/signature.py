"""The signature on a webhook: Standard Webhooks, as Codat sends them through Svix.

The signature is an HMAC-SHA256 over ``id.timestamp.body`` with the endpoint's secret, in base64
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import binascii
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from codat_async.webhooks.errors import (
    WebhookBodyInvalid,
    WebhookHeadersMissing,
    WebhookSecretInvalid,
    WebhookSignatureMismatch,
    WebhookStale,
)

__all__ = ["DEFAULT_TOLERANCE", "message_id", "sign", "verify"]

DEFAULT_TOLERANCE: Final = 300.0
"""Seconds that a message's time stamp may differ from now, either way (Standard Webhooks)."""

_SECRET_PREFIX: Final = "whsec_"
_VERSION: Final = "v1"
_PREFIXES: Final = ("webhook-", "svix-")
_LONGEST_STAMP: Final = 15
"""Digits; more than any time stamp in seconds or milliseconds will have."""


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    now: float | None = None,
) -> None:
    """Check that a message was sent by the holder of the secret, and recently.

    ``body`` is the raw body as received: JSON that was parsed and written again has another
    signature. ``headers`` are looked up without regard to case, as ``webhook-*`` or ``svix-*``.
    ``secret`` is the endpoint's secret (``whsec_…``), or several while it is being rotated; one
    valid signature by one of them is enough. ``tolerance`` is in seconds, and ``now`` in seconds
    since the epoch (the clock's time by default).

    Raises :class:`~codat_async.webhooks.errors.WebhookHeadersMissing`,
    :class:`~codat_async.webhooks.errors.WebhookStale`,
    :class:`~codat_async.webhooks.errors.WebhookSignatureMismatch`,
    :class:`~codat_async.webhooks.errors.WebhookSecretInvalid` or
    :class:`~codat_async.webhooks.errors.WebhookBodyInvalid` (the body is not bytes), and nothing else.
    """
    keys = [_key(each) for each in ([secret] if isinstance(secret, str) else secret)]
    if not keys:
        raise WebhookSecretInvalid("no webhook secret was given")
    if not isinstance(body, bytes | bytearray | memoryview):
        raise WebhookBodyInvalid(f"the body must be the raw bytes as received, not {type(body).__name__}")
    identifier, stamp, signatures = _required_headers(headers)
    _check_age(stamp, tolerance, time.time() if now is None else now)
    expected = [_signature(key, identifier, stamp, bytes(body)) for key in keys]
    # Every pair is compared, so that the time taken does not depend on which one matches.
    matches = [hmac.compare_digest(each, offered) for offered in _offered(signatures) for each in expected]
    if not any(matches):
        raise WebhookSignatureMismatch(
            f"no signature of message {identifier[:64]!r} matches; "
            "check that the secret is this endpoint's and that the body is the raw one"
        )


def sign(body: bytes, secret: str, *, message_id: str, timestamp: int) -> dict[str, str]:
    """The headers with which Codat would send a body; for tests of an endpoint.

    Raises :class:`~codat_async.webhooks.errors.WebhookSecretInvalid`.
    """
    signature = _signature(_key(secret), message_id, str(timestamp), body).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"{_VERSION},{signature}",
    }


def message_id(headers: Mapping[str, str]) -> str:
    """The id of a message, the same in each attempt to deliver it: repeats are dropped by it.

    Raises :class:`~codat_async.webhooks.errors.WebhookHeadersMissing`.
    """
    return _required_headers(headers)[0]


def _required_headers(headers: Mapping[str, str]) -> tuple[str, str, str]:
    lowered = {name.lower(): value for name, value in headers.items() if isinstance(name, str)}
    missing: list[str] = []
    found: list[str] = []
    for name in ("id", "timestamp", "signature"):
        values = (lowered.get(prefix + name) for prefix in _PREFIXES)
        value = next((each for each in values if isinstance(each, str) and each.strip()), None)
        if value is None:
            missing.append(f"webhook-{name}")
        else:
            found.append(value.strip())
    if missing:
        raise WebhookHeadersMissing(f"the message has no {' and no '.join(missing)} header")
    identifier, stamp, signatures = found
    return identifier, stamp, signatures


def _check_age(stamp: str, tolerance: float, now: float) -> None:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _LONGEST_STAMP):
        raise WebhookStale(f"the webhook-timestamp header is not a number of seconds: {stamp[:32]!r}")
    age = now - int(stamp)
    if abs(age) > tolerance:
        direction = "old" if age > 0 else "in the future"
        raise WebhookStale(f"the message is {abs(age):.0f} s {direction}; {tolerance:.0f} s are accepted")


def _offered(signatures: str) -> list[bytes]:
    """The signatures of the version that is known, of a header that may hold several."""
    parts = (each.partition(",") for each in signatures.split())
    return [text.encode("utf-8", "surrogatepass") for version, _, text in parts if version == _VERSION]


def _signature(key: bytes, identifier: str, stamp: str, body: bytes) -> bytes:
    signed = f"{identifier}.{stamp}.".encode("utf-8", "surrogatepass") + body
    return b64encode(hmac.digest(key, signed, sha256))


def _key(secret: str) -> bytes:
    try:
        key = b64decode(secret.strip().removeprefix(_SECRET_PREFIX), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        key = b""
    if not key:
        raise WebhookSecretInvalid("a webhook secret is 'whsec_' followed by base64")
    return key
