"""The blocking client: the async one, run on the background loop, with nothing written twice."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from inspect import iscoroutine, iscoroutinefunction
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from codat_async.client import Codat as AsyncCodat
from codat_async.operations.base import Group as AsyncGroup
from codat_async.operations.base import Operation
from codat_async.operations.base import Resource as AsyncResource
from codat_async.paging import Drift, Page
from codat_async.paging import Pager as AsyncPager
from codat_async.streaming import MAX_READ
from codat_async.streaming import Download as AsyncDownload
from codat_async.sync.loop import BackgroundLoop, background_loop
from codat_middleware import Governor, Request, Response

T = TypeVar("T")


class Codat:
    """A client for Codat's Accounting API that blocks; the same resources as the async one.

    ::

        with Codat() as codat:
            for invoice in codat.invoices.list(company_id, query="status=Paid"):
                ...

    Takes what :class:`codat_async.Codat` takes; ``api_key`` may also be a plain function that
    returns the key. Its requests run on one background thread's event loop, so functions passed
    in (``api_key``, ``on_invalid``, middleware) are called there. One client serves any number of
    threads. After a fork the child makes a client of its own.

    Raises what the async client raises; an interruption (ctrl-C) cancels the request.
    """

    def __init__(self, api_key: Any = None, **options: Any) -> None:
        self._loop = background_loop()
        if callable(api_key) and not iscoroutinefunction(api_key):
            api_key = _in_thread(api_key)
        self._client = self._loop.run(_make(api_key, options))
        self._loop.adopt(self._client)

    def __getattr__(self, name: str) -> Any:
        # Only called for what is not found otherwise: the resources.
        if name.startswith("_"):
            raise AttributeError(name)
        resource = getattr(self._client, name)
        if not isinstance(resource, AsyncResource):
            return resource
        bound = Resource(self._loop, resource)
        self.__dict__[name] = bound
        return bound

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in dir(self._client) if not name.startswith("_"))})

    def __repr__(self) -> str:
        return f"<Codat {self._client.base_url} (blocking)>"

    @property
    def governor(self) -> Governor:
        """The rate limit; its state can be read at any time."""
        return self._client.governor

    @property
    def base_url(self) -> str:
        """Where requests go."""
        return self._client.base_url

    def call(self, operation: Operation, /, *arguments: Any, **named: Any) -> Any:
        """Call an operation that a class of resources declares: ``codat.call(Loans.get, company_id)``.

        To checkers the arguments are the operation's, and the answer is the blocking one of its types.
        """
        bound: Any = operation.__get__(AsyncResource(self._client), AsyncResource)
        return _Blocking(self._loop, bound)(*arguments, **named)

    def send(self, request: Request) -> Response:
        """Send a request through the pipeline; for what the client has no method for."""
        return self._loop.run(self._client.send(request))

    def with_options(self, **options: Any) -> Self:
        """A cheap copy on the same session, as :meth:`codat_async.Codat.with_options` makes it."""
        other = object.__new__(type(self))
        other.__dict__.update(
            {name: held for name, held in self.__dict__.items() if not isinstance(held, Resource)}
        )
        other._client = self._client.with_options(**options)
        return other

    def close(self) -> None:
        """Close the session, unless it was passed in."""
        self._loop.run(self._client.aclose())
        self._loop.release(self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _make(api_key: Any, options: dict[str, Any]) -> AsyncCodat:
    return AsyncCodat(api_key, **options)


def _in_thread(function: Callable[..., Any]) -> Callable[[], Coroutine[Any, Any, str]]:
    @wraps(function)
    async def credential() -> str:
        return await asyncio.to_thread(function)

    return credential


class Resource:
    """A group of operations, called without ``await``."""

    def __init__(self, loop: BackgroundLoop, resource: AsyncResource) -> None:
        self._loop = loop
        self._resource = resource
        self.__doc__ = type(resource).__doc__

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._resource, name)
        if not callable(operation):
            return operation
        bound = _Blocking(self._loop, operation)
        self.__dict__[name] = bound
        return bound

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(each.name for each in type(self._resource).operations())})

    def __repr__(self) -> str:
        return repr(self._resource)


class Group(AsyncGroup[AsyncResource]):
    """A resource of your own on a subclass of the client; its operations are called without ``await``."""

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return super().__get__(None, owner)
        bound = instance.__dict__[self._name] = Resource(instance._loop, self.kind(instance._client))
        return bound


class _Blocking:
    """One operation or method, whose coroutine, pager or download is made a blocking one."""

    def __init__(self, loop: BackgroundLoop, operation: Callable[..., Any]) -> None:
        self._loop = loop
        self._operation = operation
        self.__doc__ = operation.__doc__
        self.__wrapped__ = operation

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        answer = self._operation(*arguments, **named)
        if iscoroutine(answer):
            return self._loop.run(answer)
        if isinstance(answer, AsyncPager):
            return Pager(self._loop, answer)
        return Download(self._loop, answer) if isinstance(answer, AsyncDownload) else answer

    def __repr__(self) -> str:
        return repr(self._operation)


class Pager(Generic[T]):
    """A list of the API, not read before it is used; the event loop is asked once a page."""

    def __init__(self, loop: BackgroundLoop, pager: AsyncPager[T]) -> None:
        self._loop = loop
        self._pager = pager

    def __iter__(self) -> Iterator[T]:
        """The records, in order."""
        for page in self.pages():
            yield from page.results

    def pages(self) -> Iterator[Page[T]]:
        """The pages, in order."""
        return _iterate(self._loop, self._pager.pages())

    def first(self) -> T | None:
        """The first record, or ``None`` if the list is empty."""
        return self._loop.run(self._pager.first())

    def one(self) -> T:
        """The first record; raises :class:`~codat_async.errors.EmptyList` if there is none."""
        return self._loop.run(self._pager.one())

    def collect(self) -> list[T]:
        """All records in one list."""
        return self._loop.run(self._pager.collect())

    @property
    def total(self) -> int | None:
        """Records in the whole list after the filter, once a page said so."""
        return self._pager.total

    @property
    def drift(self) -> Drift | None:
        """Set if a list that was read whole differs from what the API counted."""
        return self._pager.drift

    def __repr__(self) -> str:
        return repr(self._pager)


def _iterate(loop: BackgroundLoop, items: Any) -> Iterator[Any]:
    """What an async generator yields, asked for one by one; it is closed however this ends."""
    loop.adopt(items)
    try:
        while (item := loop.run(_next(items))) is not None:
            yield item
    finally:
        if loop.usable:
            loop.run(items.aclose())
            loop.release(items)


async def _next(items: Any) -> Any:
    return await anext(items, None)


class Download:
    """A file on its way down; opened by ``with``."""

    def __init__(self, loop: BackgroundLoop, download: AsyncDownload) -> None:
        self._loop = loop
        self._download = download

    def __enter__(self) -> Self:
        self._loop.run(self._download.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run(self._download.__aexit__(kind, error, trace))

    def __getattr__(self, name: str) -> Any:
        # headers, file_name, content_type, size and received, as they are now.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._download, name)

    def __iter__(self) -> Iterator[bytes]:
        """The content, in pieces as they arrive; once."""
        return _iterate(self._loop, aiter(self._download))

    def read(self, *, max_size: int | None = MAX_READ) -> bytes:
        """The whole content as bytes; raises DownloadError if it is larger than ``max_size`` bytes."""
        return self._loop.run(self._download.read(max_size=max_size))

    def save(self, path: "str | os.PathLike[str]") -> Path:
        """Write it to a file, which appears under its name only when it is complete."""
        return self._loop.run(self._download.save(path))
