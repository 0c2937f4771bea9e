"""A local server that speaks Codat's API: for demos, tests, benchmarks, and users' own tests."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codat_async.sandbox.background import Address, SandboxThread, run_in_background
    from codat_async.sandbox.faults import KINDS, PROFILES, Fault, FaultError
    from codat_async.sandbox.limits import Limits
    from codat_async.sandbox.server import Sandbox
    from codat_async.sandbox.serving import serve

__all__ = [
    "KINDS",
    "PROFILES",
    "Address",
    "Fault",
    "FaultError",
    "Limits",
    "Sandbox",
    "SandboxThread",
    "run_in_background",
    "serve",
]

_HOMES = {
    "Address": "background",
    "SandboxThread": "background",
    "run_in_background": "background",
    "KINDS": "faults",
    "PROFILES": "faults",
    "Fault": "faults",
    "FaultError": "faults",
    "Limits": "limits",
    "Sandbox": "server",
    "serve": "serving",
}


def __getattr__(name: str) -> Any:
    # Pytest imports this package with the plugin in it, in every run: the server behind
    # these names is loaded only once one of them is used.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
