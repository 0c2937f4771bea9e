"""The two types of the pipeline, and the function that composes middleware into a handler."""

from collections.abc import Awaitable, Callable, Iterable
from types import FunctionType
from typing import Any, TypeAlias, TypeVar, cast

from codat_middleware.messages import Request, Response

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Sends a request and returns its response; the transport is the innermost one."""

Middleware: TypeAlias = Callable[[Request, Handler], Awaitable[Response]]
"""Wraps a handler: a function, or an object with ``__call__``."""

F = TypeVar("F", bound=Callable[..., Any])


def compose(middleware: Iterable[Middleware], handler: Handler) -> Handler:
    """Wrap a handler in middleware, the first one outermost."""
    layers = tuple(middleware)
    if not layers:
        return _function(handler)
    outermost, inner = _function(layers[0]), compose(layers[1:], handler)
    return lambda request: outermost(request, inner)


def _function(called: F) -> F:
    """The method that a call of an object leads to, since to call it directly costs half as much."""
    if not isinstance(type(called).__call__, FunctionType):
        return called
    return cast(F, cast(Any, called).__call__)
