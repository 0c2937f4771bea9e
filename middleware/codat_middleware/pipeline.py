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
    layers = tuple(middleware)
    if not layers:
        return handler
    outermost, inner = layers[0], compose(layers[1:], handler)
    return lambda request: outermost(request, inner)
