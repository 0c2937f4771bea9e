"""Remembers the first answer to each ``Idempotency-Key``, as the API does for 90 minutes."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from codat_async.sandbox.replies import ApiError, Reply

KEY_HEADER: Final = "Idempotency-Key"
_REMEMBERED: Final = 90 * 60.0
"""Seconds for which an answer is replayed (the API's documentation on idempotency)."""

# What a fuzzer or a load test can send within 90 minutes must not fill the memory.
_MOST_KEYS: Final = 100_000


def request_digest(*parts: str | bytes) -> bytes:
    """A digest of the parts of a request, by which it is recognised when it comes again."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8))
        digest.update(data)
    return digest.digest()


class Claim:
    """The hold of one request on its key while it is carried out."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.reply: Reply | None = None
        self._digest: bytes | None = None

    def replay(self, digest: bytes) -> Reply | None:
        """The first answer, if there is one; raises 422 if it was to another request."""
        if self.reply is None:
            self._digest = digest
        elif self._digest != digest:
            raise ApiError(422, f"The {KEY_HEADER} was used before with another request.")
        return self.reply

    def keep(self, reply: Reply) -> None:
        """Remembers the answer, unless it only says to come again (409, 429)."""
        if reply.status not in (409, 429):
            self.reply = reply


class Replays:
    """The answers by key."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, Claim] = {}
        self._running: set[str] = set()

    @contextmanager
    def claim(self, key: str) -> Iterator[Claim]:
        """Holds a key; raises 409 while another request holds it.

        A request that ends without an answer, because its client went away or its body never
        came, leaves no trace: the key is free again.
        """
        if key in self._running:
            raise ApiError(409, f"A request with this {KEY_HEADER} is still in progress.")
        moment = self._clock()
        claim = self._kept.get(key)
        if claim is None or moment - claim.since >= _REMEMBERED:
            claim = Claim(moment)
        self._running.add(key)
        try:
            yield claim
        finally:
            self._running.discard(key)
        if claim.reply is not None:
            self._kept.pop(key, None)
            self._kept[key] = claim
            if len(self._kept) > _MOST_KEYS:
                del self._kept[next(iter(self._kept))]
