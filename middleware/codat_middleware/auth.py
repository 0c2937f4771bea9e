"""Sets the credential on every request, and asks the provider for a new one after a 401."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from msgspec.structs import replace

from codat_middleware.messages import Request, Response
from codat_middleware.pipeline import Handler

AUTHORIZATION: Final = "Authorization"

CredentialProvider: TypeAlias = Callable[[], Awaitable[str]]
"""Returns the current key, raw or as a complete header; called again after a 401."""


def authorization(key: str) -> str:
    """Return the ``Authorization`` header for a key: raw keys are encoded, ``Basic …`` is kept.

    Raises :class:`ValueError`, whose message never contains the key, if it is empty or not
    valid in a header. Source: "Authentication" in Codat's documentation.
    """
    key = key.strip()
    if not key:
        raise ValueError("the API key is empty")
    if not key.isprintable():
        raise ValueError("the API key contains control characters")
    scheme, _, rest = key.partition(" ")
    if scheme.lower() != "basic":
        return f"Basic {b64encode(key.encode()).decode()}"
    if not rest.strip() or not rest.isascii():
        raise ValueError("the API key starts with 'Basic' but no base64 follows")
    return f"Basic {rest.strip()}"


class Auth:
    """Sets ``Authorization`` on every request, replacing any that is there.

    ``credential`` is a key (see :func:`authorization` for its forms and errors) or an async function that
    returns the current one. The function is called when a key is first needed, and again after a 401: once
    for all requests rejected with the same key. A request rejected with a key that has been replaced since
    is resent without asking. Each request is resent at most once, and never if its body can be read only
    once. An exception of the function is raised in every call that waited for it.
    """

    def __init__(self, credential: str | CredentialProvider) -> None:
        key = authorization(credential) if isinstance(credential, str) else None
        self._headers: Mapping[str, str] | None = None if key is None else {AUTHORIZATION: key}
        self._provider = None if isinstance(credential, str) else credential
        self._lock = asyncio.Lock()
        self._failure: Exception | None = None

    def __repr__(self) -> str:
        return f"Auth({'<key>' if self._provider is None else '<provider>'})"

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        """Send the request with the credential set."""
        if self._provider is None and self._headers is not None:
            return call_next(_authorized(request, self._headers))
        return self._provided(request, call_next)

    async def _provided(self, request: Request, call_next: Handler) -> Response:
        headers = self._headers or await self._ask(None)
        response = await call_next(_authorized(request, headers))
        if response.status != 401 or not request.replayable:
            return response
        fresh = await self._ask(headers)
        return response if fresh == headers else await call_next(_authorized(request, fresh))

    async def _ask(self, rejected: Mapping[str, str] | None) -> Mapping[str, str]:
        """The current key's header, from the provider if it is still the rejected one."""
        earlier = self._failure
        # A lock and not a shared task: if the caller that holds it is cancelled, the next one asks.
        async with self._lock:
            if self._headers is not None and self._headers is not rejected:
                return self._headers
            if self._failure is not None and self._failure is not earlier:
                # The call that was waited for failed.
                raise self._failure
            assert self._provider is not None
            try:
                fresh = {AUTHORIZATION: authorization(await self._provider())}
            except Exception as failure:
                self._failure = failure
                raise
            self._headers, self._failure = fresh, None
            return fresh


def _authorized(request: Request, headers: Mapping[str, str]) -> Request:
    if request.headers:
        return request.with_header(AUTHORIZATION, headers[AUTHORIZATION])
    return replace(request, headers=headers)
