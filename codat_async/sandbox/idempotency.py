"""Remembers the first answer to each ``Idempotency-Key``, as the API does for 90 minutes."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.replies import Reply

__all__ = ["KEY_HEADER", "Claim", "Replays", "fingerprint"]

KEY_HEADER: Final = "Idempotency-Key"
REMEMBERED: Final = 90 * 60.0
"""Seconds for which an answer is replayed (the API's documentation on idempotency)."""

# What a fuzzer or a load test can send within 90 minutes must not fill the memory.
_MOST_KEYS: Final = 100_000


def fingerprint(*parts: str | bytes) -> bytes:
    """A digest that tells one request from another."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8))
        digest.update(data)
    return digest.digest()


class _Entry:
    __slots__ = ("mark", "reply", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.mark: bytes | None = None
        self.reply: Reply | None = None


class Claim:
    """The hold of one request on its key while it is carried out."""

    def __init__(self, entry: _Entry) -> None:
        self._entry = entry
        self._mark: bytes | None = None

    def replay(self, mark: bytes) -> Reply | None:
        """The first answer, where there is one; raises 422 where it was to another request."""
        entry = self._entry
        self._mark = mark
        if entry.reply is None:
            return None
        if entry.mark != mark:
            raise ApiError(422, f"The {KEY_HEADER} was used before with another request.")
        return entry.reply

    def keep(self, reply: Reply) -> None:
        """Remembers the answer, but for 429: that one is not kept."""
        if reply.status != 429:
            self._entry.mark = self._mark
            self._entry.reply = reply


class Replays:
    """The answers by key."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._running: set[str] = set()

    @property
    def in_use(self) -> int:
        """How many keys are held by requests under way."""
        return len(self._running)

    @contextmanager
    def claim(self, key: str) -> Iterator[Claim]:
        """Holds a key; raises 409 while another request holds it.

        A request that ends without an answer, since its client went away or its body never
        came, leaves no trace: the key is free again.
        """
        if key in self._running:
            raise ApiError(409, f"A request with this {KEY_HEADER} is still in progress.")
        moment = self._clock()
        entry = self._entries.get(key)
        if entry is None or moment - entry.since >= REMEMBERED:
            entry = _Entry(moment)
        self._running.add(key)
        try:
            yield Claim(entry)
        finally:
            self._running.discard(key)
        if entry.reply is not None:
            self._entries.pop(key, None)
            self._entries[key] = entry
            if len(self._entries) > _MOST_KEYS:
                del self._entries[next(iter(self._entries))]
