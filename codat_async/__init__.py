"""An async-first, minimal client for Codat's Accounting API."""

from codat_async import errors, models
from codat_async.client import Codat, default_middleware
from codat_async.models import NULL, PushOperation
from codat_async.paging import Page, Pager
from codat_middleware import Limits, Request, Response, RetryPolicy, Timeout

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
