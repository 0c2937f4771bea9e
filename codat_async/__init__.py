"""An async-first, minimal client for Codat's Accounting API.

The names are loaded when first used, so that a part (``codat_async.models``, say) can be imported
without the rest.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codat_async import errors, models
    from codat_async.client import Codat, default_middleware
    from codat_async.models import NULL, PushOperation
    from codat_async.paging import Page, Pager
    from codat_middleware import Limits, Request, Response, RetryPolicy, Timeout
else:
    from importlib import import_module as _import_module

    _HOMES = {
        "Codat": "codat_async.client",
        "Limits": "codat_middleware",
        "NULL": "codat_async.models",
        "Page": "codat_async.paging",
        "Pager": "codat_async.paging",
        "PushOperation": "codat_async.models",
        "Request": "codat_middleware",
        "Response": "codat_middleware",
        "RetryPolicy": "codat_middleware",
        "Timeout": "codat_middleware",
        "default_middleware": "codat_async.client",
    }

    def __getattr__(name):
        if name in _HOMES:
            value = getattr(_import_module(_HOMES[name]), name)
        elif name in __all__:
            value = _import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__():
        return __all__


__all__ = [
    "NULL",
    "Codat",
    "Limits",
    "Page",
    "Pager",
    "PushOperation",
    "Request",
    "Response",
    "RetryPolicy",
    "Timeout",
    "default_middleware",
    "errors",
    "models",
]
