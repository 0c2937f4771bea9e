"""The request pipeline of codat-async and the middleware it ships with."""

from codat_middleware.auth import AUTHORIZATION, Auth, CredentialProvider, authorization
from codat_middleware.clock import Clock
from codat_middleware.errors import (
    ApiPaused,
    CodatError,
    ConnectError,
    ConnectionLost,
    QueueTimeout,
    QuotaExhausted,
    RateLimited,
    RateLimitScope,
    RequestTimeout,
    ResponseTooLarge,
    TLSError,
    TransportError,
)
from codat_middleware.governor import Governor
from codat_middleware.idempotency import IDEMPOTENCY_KEY, Idempotency
from codat_middleware.limits import GovernorEvent, GovernorState, Limits
from codat_middleware.logging import Logging
from codat_middleware.messages import Body, ByteStream, Request, Response, Timeout
from codat_middleware.pipeline import Handler, Middleware, compose
from codat_middleware.rate_limit import RateLimit
from codat_middleware.retry import ON_RETRY, Retry, RetryBudget, RetryEvent, RetryPolicy
from codat_middleware.tracing import Tracing

__all__ = [
    "AUTHORIZATION",
    "IDEMPOTENCY_KEY",
    "ON_RETRY",
    "ApiPaused",
    "Auth",
    "Body",
    "ByteStream",
    "Clock",
    "CodatError",
    "ConnectError",
    "ConnectionLost",
    "CredentialProvider",
    "Governor",
    "GovernorEvent",
    "GovernorState",
    "Handler",
    "Idempotency",
    "Limits",
    "Logging",
    "Middleware",
    "QueueTimeout",
    "QuotaExhausted",
    "RateLimit",
    "RateLimitScope",
    "RateLimited",
    "Request",
    "RequestTimeout",
    "Response",
    "ResponseTooLarge",
    "Retry",
    "RetryBudget",
    "RetryEvent",
    "RetryPolicy",
    "TLSError",
    "Timeout",
    "Tracing",
    "TransportError",
    "authorization",
    "compose",
]
