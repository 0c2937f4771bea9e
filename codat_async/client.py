"""The client: owns the session, assembles the pipeline, hands out the resources."""

import asyncio
import math
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Final, Self, TypeAlias

import aiohttp

from codat_async import errors
from codat_async.addresses import checked_base_url
from codat_async.resources import Resource, Resources
from codat_async.transport import AiohttpTransport, all_headers, merged
from codat_async.version import VERSION
from codat_middleware.auth import Auth, authorization
from codat_middleware.governor import Governor
from codat_middleware.idempotency import Idempotency
from codat_middleware.limits import Limits
from codat_middleware.logging import Logging
from codat_middleware.messages import Request, Response, Timeout
from codat_middleware.pipeline import Handler, Middleware, compose
from codat_middleware.rate_limit import RateLimit
from codat_middleware.retry import Retry, RetryPolicy

Credential: TypeAlias = str | Callable[[], Awaitable[str]]
"""The raw API key, a ready ``Basic …`` header, or an async function that returns either."""

DEFAULT_BASE_URL: Final = "https://api.codat.io"
DEFAULT_RESPONSE_SIZE: Final = 256 << 20
"""Bytes; the largest page, 5,000 records, is some 20 MB."""
DEFAULT_CONNECTIONS: Final = 100
"""Open connections at once; the rate limit allows 10 requests in flight for each company."""

_HEADERS: Final = {"Accept": "application/json", "User-Agent": f"codat-async/{VERSION}"}


class Codat(Resources):
    """A client for Codat's Accounting API.

    ::

        async with Codat() as codat:
            async for invoice in codat.invoices.list(company_id, query="status=Paid"):
                ...

    ``api_key``
        The raw key, a ready ``Basic …`` header, or an async function that returns either (for keys
        that rotate). Default: ``CODAT_API_KEY`` of the environment.
    ``base_url``
        Default: ``CODAT_BASE_URL`` of the environment, then ``https://api.codat.io``.
    ``retry``, ``limits``, ``governor``
        The policies of the default retry and rate limit; or a rate limit to share with other clients.
    ``extra_middleware``, ``middleware``
        Added outside the default middleware, the first outermost, where it sees each call once; or in place
        of all of it, authentication included (:func:`default_middleware`).
    ``session``
        An ``aiohttp.ClientSession`` of your own, which the client does not close. In it aiohttp sends a
        GET, PUT or DELETE again by itself if the connection breaks, outside retry policy and rate limit.
    ``timeout``
        For one attempt; a number is its total in seconds. Connecting may take four fifths of the total,
        so that the error shows whether a connection or an answer was missing.
    ``headers``
        Sent with every request.
    ``proxy``
        The URL of an HTTP proxy, perhaps with credentials; an empty string for none. Default: that of the
        environment (``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``), unless ``NO_PROXY`` names the host,
        the API is on this machine, or the ``session`` is your own. ``~/.netrc`` is never read.
        ``SSL_CERT_FILE`` names certificate authorities to trust, once aiohttp is imported.
    ``source_address``
        The IP address of this machine to send from. Default: the one that the system chooses.
    ``max_connections``
        Open connections at once, here or in ``session``, and with that requests in flight: waiting for a
        connection is not fair between companies.
    ``max_response_size``
        Bytes of an answer's body, decompressed, beyond which reading it ends with
        :class:`~codat_async.errors.ResponseTooLarge`; None for no limit. Downloads have none.
    ``transport``
        A handler of your own in place of aiohttp, of requests with ``base_url``, all headers and time-out.
        It returns an answer of any status, a stream to a request with ``stream``, or raises
        :class:`~codat_async.errors.TransportError`; the client does not close it.

    Raises :class:`~codat_async.errors.ConfigurationError` for a missing key or an unusable base URL.
    """

    base_url: str = DEFAULT_BASE_URL
    """The root of every request's URL, without a slash at its end."""

    def __init__(
        self,
        api_key: Credential | None = None,
        *,
        base_url: str | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        governor: Governor | None = None,
        extra_middleware: Sequence[Middleware] = (),
        middleware: Iterable[Middleware] | None = None,
        session: aiohttp.ClientSession | None = None,
        timeout: Timeout | float | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        source_address: str | None = None,
        max_connections: int | None = None,
        max_response_size: int | None = DEFAULT_RESPONSE_SIZE,
        transport: Handler | None = None,
    ) -> None:
        if transport is not None:
            connecting = {"session": session, "max_connections": max_connections, "proxy": proxy}
            _reject("a transport of your own", **connecting, source_address=source_address)
        _check_positive(max_connections=max_connections, max_response_size=max_response_size)
        if governor is not None:
            _reject("a governor, which has limits of its own", limits=limits)
        self.governor = Governor(limits) if governor is None else governor
        """The rate limit, with its current state."""
        if middleware is None:
            middleware = default_middleware(_credential(api_key), retry=retry, governor=self.governor)
        else:
            _reject("a middleware of your own: add Retry(policy) to it", retry=retry)
        self._middleware = (*extra_middleware, *middleware)
        self.base_url = checked_base_url(base_url or os.environ.get("CODAT_BASE_URL") or DEFAULT_BASE_URL)
        usual_headers = merged(_HEADERS, headers or {})
        usual = Timeout() if timeout is None else Timeout.of(timeout)
        if transport is None:
            transport = AiohttpTransport(
                self.base_url,
                headers=usual_headers,
                timeout=usual,
                max_connections=max_connections or DEFAULT_CONNECTIONS,
                max_response_size=max_response_size,
                proxy=proxy,
                source_address=source_address,
                session=session,
            )
            connections = transport.connections
        else:
            transport = _completing(transport, self.base_url, usual_headers, usual, max_response_size)
            connections = DEFAULT_CONNECTIONS if limits is None and governor is None else math.inf
        for layer in self._middleware:
            if isinstance(layer, RateLimit):
                layer.governor.bound_in_flight(connections)
        self._deadline: float | None = None
        self._transport: Handler = transport
        self._handler: Handler = compose(self._middleware, self._transport)

    def __repr__(self) -> str:
        return f"<Codat {self.base_url}>"

    async def send(self, request: Request) -> Response:
        """Send a request of your own through the pipeline, to an endpoint without a method here.

        Raises a :class:`~codat_async.errors.StatusError` for an answer that is not a success,
        and a :class:`~codat_async.errors.TransportError` if there is no complete answer.
        """
        until = request.deadline
        if self._deadline is not None:
            until = min(time.monotonic() + self._deadline, until or math.inf)
        response = await (self._handler(request) if until is None else self._send_until(until, request))
        if response.status >= 300:
            raise errors.from_response(request, response)
        return response

    async def _send_until(self, until: float, request: Request) -> Response:
        left = until - time.monotonic()
        where = {"method": request.method, "path": request.path}
        passed = errors.RequestTimeout("the deadline has passed", phase="deadline", sent=left > 0, **where)
        if left <= 0:
            raise passed
        deadline = asyncio.timeout(left)
        try:
            async with deadline:
                return await self._handler(request.copy(deadline=until))
        except TimeoutError:
            if not deadline.expired():
                raise
            raise passed from None

    def with_options(
        self,
        *,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        headers: Mapping[str, str] | None = None,
        retry: RetryPolicy | None = None,
        max_response_size: int | None = None,
        extra_middleware: Sequence[Middleware] = (),
    ) -> Self:
        """A cheap copy on the same session, rate limit and retry budget, for some calls.

        ``deadline`` is in how many seconds each call must have its answer, retries and waiting in the
        rate limit's queue included; otherwise it raises :class:`~codat_async.errors.RequestTimeout`.
        ``timeout``, ``headers`` and ``max_response_size`` (not above the client's) apply to requests that
        have none of their own, ``retry`` replaces the policy, ``extra_middleware`` is added outside the
        rest. Attributes of a subclass are copied as they are. Closing either closes the session of both.
        """
        _check_positive(deadline=deadline, max_response_size=max_response_size)
        layers: tuple[Middleware, ...] = self._middleware
        if retry is not None:
            if not any(isinstance(layer, Retry) for layer in layers):
                _reject("this client: there is no Retry in the middleware", retry=retry)
            layers = tuple(each.with_policy(retry) if isinstance(each, Retry) else each for each in layers)
        if timeout is not None or headers or max_response_size is not None:
            usual = None if timeout is None else Timeout.of(timeout)
            layers = (_defaults(usual, headers or {}, max_response_size), *layers)
        other = copy(self)
        other._deadline = self._deadline if deadline is None else deadline
        # The resources created so far are bound to the original.
        bound = {name: held for name, held in vars(self).items() if isinstance(held, Resource)}
        vars(other).update({name: type(held)(other) for name, held in bound.items()})
        other._middleware = (*extra_middleware, *layers)
        other._handler = compose(other._middleware, other._transport)
        return other

    async def aclose(self) -> None:
        """Close the session, unless it or the transport was passed in."""
        if isinstance(self._transport, AiohttpTransport):
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def default_middleware(
    credential: Credential, *, retry: RetryPolicy | None = None, governor: Governor | None = None
) -> list[Middleware]:
    """The default middleware, outermost first, as a list to change and pass as ``middleware``.

    The idempotency key is generated once a call and kept by its attempts. Retry is outside the rest, so
    that every attempt takes a place in the rate limit, has a fresh credential and is logged.
    """
    return [Idempotency(), Retry(retry), RateLimit(governor), Auth(credential), Logging()]


def _defaults(timeout: Timeout | None, headers: Mapping[str, str], max_size: int | None) -> Middleware:
    """A middleware that gives requests what they do not have of their own."""

    def complete(request: Request, handler: Handler) -> Awaitable[Response]:
        size = request.max_response_size or max_size
        wanted = {"timeout": request.timeout or timeout, "headers": merged(headers, request.headers)}
        return handler(request.copy(max_response_size=size, **wanted))

    return complete


def _completing(
    transport: Handler, base_url: str, headers: Mapping[str, str], timeout: Timeout, max_size: int | None
) -> Handler:
    """A transport of the user's own, whose requests get what the one over aiohttp knows by itself."""

    def complete(request: Request) -> Awaitable[Response]:
        size = min(filter(None, (request.max_response_size, max_size)), default=None)
        wanted = {"timeout": request.timeout or timeout, "headers": all_headers(headers, request)}
        return transport(request.copy(base_url=base_url, max_response_size=size, **wanted))

    return complete


def _reject(place: str, **settings: object) -> None:
    """Raise for a setting that is given and would be ignored."""
    for name, value in settings.items():
        if value is not None:
            raise errors.ConfigurationError(f"{name} has no effect on {place}")


def _check_positive(**options: float | None) -> None:
    for name, value in options.items():
        # Written so that NaN is rejected too.
        if value is not None and not value > 0:
            raise errors.ConfigurationError(f"{name} must be greater than 0, not {value}")


def _credential(api_key: Credential | None) -> Credential:
    found = os.environ.get("CODAT_API_KEY", "") if api_key is None else api_key
    if isinstance(found, str):
        if not found.strip():
            raise errors.ConfigurationError("no API key: set CODAT_API_KEY, or pass api_key")
        try:
            authorization(found)
        except ValueError as wrong:
            raise errors.ConfigurationError(str(wrong)) from None
    elif not callable(found):
        kind = type(found).__name__
        raise errors.ConfigurationError(f"api_key must be a str or an async function, not {kind}")
    return found
