"""A local server that speaks Codat's API: for demos, tests, benchmarks, and users' own tests."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codat_async.sandbox.background import Address, SandboxThread, run_in_background
    from codat_async.sandbox.faults import KINDS, PROFILES, Fault, FaultError
    from codat_async.sandbox.limits import RateLimits
    from codat_async.sandbox.server import Sandbox
    from codat_async.sandbox.serving import serve
    from codat_async.sandbox.webhooks import WebhookOptions

__all__ = [
    "KINDS",
    "PROFILES",
    "Address",
    "Fault",
    "FaultError",
    "RateLimits",
    "Sandbox",
    "SandboxThread",
    "WebhookOptions",
    "run_in_background",
    "serve",
]

_MODULES = {
    "background": ("Address", "SandboxThread", "run_in_background"),
    "faults": ("KINDS", "PROFILES", "Fault", "FaultError"),
    "limits": ("RateLimits",),
    "server": ("Sandbox",),
    "serving": ("serve",),
    "webhooks": ("WebhookOptions",),
}


def __getattr__(name: str) -> Any:
    # Pytest imports this package with the plugin in it, in every run: the server behind
    # these names is loaded only once one of them is used.
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
