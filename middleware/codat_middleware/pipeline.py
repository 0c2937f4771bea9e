"""How middleware stacks: the two types, and the function that makes a handler of a stack."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from codat_middleware.messages import Request, Response

__all__ = ["Handler", "Middleware", "compose"]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Takes a request to its answer; the transport is the last one."""

Middleware: TypeAlias = Callable[[Request, Handler], Awaitable[Response]]
"""Stands around a handler: a function, or an object with ``__call__``."""


def compose(middleware: Iterable[Middleware], handler: Handler) -> Handler:
    """Stack middleware around a handler, the first one outermost."""
    for layer in reversed(tuple(middleware)):
        handler = _around(layer, handler)
    return handler


def _around(layer: Middleware, handler: Handler) -> Handler:
    def call(request: Request) -> Awaitable[Response]:
        return layer(request, handler)

    return call
