"""The two types of the pipeline, and the function that composes middleware into a handler."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from codat_middleware.messages import Request, Response

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Sends a request and returns its response; the transport is the innermost one."""

Middleware: TypeAlias = Callable[[Request, Handler], Awaitable[Response]]
"""Wraps a handler: a function, or an object with ``__call__``."""


def compose(middleware: Iterable[Middleware], handler: Handler) -> Handler:
    """Wrap a handler in middleware, the first one outermost."""
    for layer in reversed(tuple(middleware)):
        handler = _wrap(layer, handler)
    return handler


def _wrap(layer: Middleware, handler: Handler) -> Handler:
    return lambda request: layer(request, handler)
