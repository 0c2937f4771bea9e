"""A local server that speaks Codat's API: for demos, tests, benchmarks, and users' own tests."""

from codat_async.sandbox.faults import Fault
from codat_async.sandbox.limits import Limits
from codat_async.sandbox.server import Sandbox
from codat_async.sandbox.serving import serve

__all__ = ["Fault", "Limits", "Sandbox", "serve"]
