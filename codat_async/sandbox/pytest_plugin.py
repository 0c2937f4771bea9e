"""Fixtures for users' tests: ``codat_sandbox``, a running sandbox, and ``codat``, a client bound to it.

The plugin is found by pytest once the package is installed. Both fixtures are async; they
work with pytest-asyncio in any mode, or with anyio's plugin. The sandbox's options are
given with a marker::

    @pytest.mark.codat_sandbox(companies=1, faults="flaky")
    async def test_totals(codat, codat_sandbox):
        ...
"""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from codat_async import Codat
    from codat_async.sandbox.server import Sandbox

F = TypeVar("F", bound=Callable[..., Any])


def _async_fixture(function: F) -> F:
    # In pytest-asyncio's strict mode only its own decorator makes an async fixture.
    try:
        from pytest_asyncio import fixture
    except ImportError:
        return cast(F, pytest.fixture(function))
    return cast(F, fixture(function))


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line(
        "markers", "codat_sandbox(**options): the options of the sandbox that the test runs against"
    )


@_async_fixture
async def codat_sandbox(request: pytest.FixtureRequest) -> "AsyncIterator[Sandbox]":
    """A sandbox that runs as long as the test, on its event loop."""
    # Imported here, so that test runs without this fixture do not pay for it.
    from codat_async.sandbox.server import Sandbox

    marker = request.node.get_closest_marker("codat_sandbox")
    async with Sandbox(**(marker.kwargs if marker else {})) as sandbox:
        yield sandbox


@_async_fixture
async def codat(codat_sandbox: "Sandbox") -> "AsyncIterator[Codat]":
    """A client that talks to the test's sandbox."""
    from codat_async import Codat

    async with Codat(codat_sandbox.api_key, base_url=codat_sandbox.base_url) as client:
        yield client
