"""The request pipeline of codat-async and the middleware it ships with; the errors are in ``errors``."""

from codat_middleware import errors as errors
from codat_middleware.auth import Auth as Auth
from codat_middleware.auth import authorization as authorization
from codat_middleware.clock import Clock as Clock
from codat_middleware.errors import CodatError as CodatError
from codat_middleware.errors import TransportError as TransportError
from codat_middleware.governor import Governor as Governor
from codat_middleware.idempotency import Idempotency as Idempotency
from codat_middleware.limits import GovernorEvent as GovernorEvent
from codat_middleware.limits import GovernorState as GovernorState
from codat_middleware.limits import Limits as Limits
from codat_middleware.logging import Logging as Logging
from codat_middleware.messages import Body as Body
from codat_middleware.messages import Request as Request
from codat_middleware.messages import Response as Response
from codat_middleware.messages import Timeout as Timeout
from codat_middleware.pipeline import Handler as Handler
from codat_middleware.pipeline import Middleware as Middleware
from codat_middleware.pipeline import compose as compose
from codat_middleware.rate_limit import RateLimit as RateLimit
from codat_middleware.retry import ON_RETRY as ON_RETRY
from codat_middleware.retry import Retry as Retry
from codat_middleware.retry import RetryBudget as RetryBudget
from codat_middleware.retry import RetryEvent as RetryEvent
from codat_middleware.retry import RetryPolicy as RetryPolicy
from codat_middleware.tracing import Tracing as Tracing
