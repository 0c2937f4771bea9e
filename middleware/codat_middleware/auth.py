"""Puts the credential on every request, and asks for a fresh one when it is refused."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from codat_middleware.messages import Request, Response
from codat_middleware.pipeline import Handler

__all__ = ["AUTHORIZATION", "Auth", "CredentialProvider", "authorization"]

AUTHORIZATION: Final = "Authorization"

CredentialProvider: TypeAlias = Callable[[], Awaitable[str]]
"""Returns the current key, raw or as a ready header; called again when that one is refused."""


def authorization(key: str) -> str:
    """The ``Authorization`` header for a key: raw keys are encoded, a ready ``Basic …`` passes through.

    Raises :class:`ValueError`, which never shows the key, where it is empty or cannot
    stand in a header. Source: "Authentication" in Codat's documents.
    """
    key = key.strip()
    if not key:
        raise ValueError("the API key is empty")
    if not key.isprintable():
        raise ValueError("the API key holds control characters")
    scheme, _, rest = key.partition(" ")
    if scheme.lower() != "basic":
        return f"Basic {b64encode(key.encode()).decode()}"
    if not rest.strip() or not rest.isascii():
        raise ValueError("the API key begins as a ready header, but no base64 follows 'Basic'")
    return f"Basic {rest.strip()}"


class Auth:
    """Sets ``Authorization`` on every request, over any that is there.

    ``credential`` is a key (see :func:`authorization` for its forms and errors) or an async
    provider of one. A provider is asked when the first request needs it, and again after a
    401: once for all the requests refused meanwhile. A request refused with a credential
    that has been replaced since is only sent again. Each is sent again at most once, and a
    body that can be read only once is not sent again at all. What the provider raises
    reaches every call that waited for it.
    """

    __slots__ = ("_asked", "_failure", "_headers", "_lock", "_provider")

    def __init__(self, credential: str | CredentialProvider) -> None:
        self._provider: CredentialProvider | None = None
        self._headers: Mapping[str, str] | None = None
        self._failure: Exception | None = None
        self._asked = 0
        if isinstance(credential, str):
            self._headers = {AUTHORIZATION: authorization(credential)}
        else:
            self._provider = credential
            self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Auth({'<key>' if self._provider is None else '<provider>'})"

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        """Send the request with the credential."""
        if self._provider is None and self._headers is not None:
            return call_next(_authorized(request, self._headers))
        return self._provided(request, call_next)

    async def _provided(self, request: Request, call_next: Handler) -> Response:
        headers = self._headers or await self._ask(None)
        response = await call_next(_authorized(request, headers))
        if response.status != 401 or not (request.body is None or request.body.replayable):
            return response
        fresh = await self._ask(headers) if self._headers is headers else self._headers
        if fresh is None or fresh[AUTHORIZATION] == headers[AUTHORIZATION]:
            return response
        return await call_next(_authorized(request, fresh))

    async def _ask(self, refused: Mapping[str, str] | None) -> Mapping[str, str]:
        asked = self._asked
        # A lock, not a shared task: when the one who asks is cancelled, the next one asks.
        async with self._lock:
            if self._asked != asked and self._failure is not None:
                raise self._failure
            if self._headers is not None and self._headers is not refused:
                return self._headers
            assert self._provider is not None
            try:
                self._headers = {AUTHORIZATION: authorization(await self._provider())}
            except Exception as failure:
                self._failure = failure
                self._asked += 1
                raise
            self._failure = None
            self._asked += 1
            return self._headers


def _authorized(request: Request, headers: Mapping[str, str]) -> Request:
    if request.headers:
        return request.with_header(AUTHORIZATION, headers[AUTHORIZATION])
    return request.copy(headers=headers)
