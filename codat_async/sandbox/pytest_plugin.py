"""Fixtures for users' tests: ``codat_sandbox``, a running sandbox, and ``codat``, a client for it.

pytest loads this plugin once the package is installed. The fixtures are for asynchronous
tests, by pytest-asyncio in any mode and loop scope, or by anyio. A marker sets the
sandbox's options::

    @pytest.mark.codat_sandbox(companies=1, faults="flaky")
    async def test_totals(codat, codat_sandbox):
        ...

Since every pytest run loads it, it imports the sandbox and the client only in the fixtures.
"""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import pytest

if TYPE_CHECKING:
    from codat_async import Codat
    from codat_async.sandbox.server import Sandbox
    from codat_middleware import Handler, Request, Response

_LoopScope = Literal["function", "class", "module", "package", "session"]
_Decorate = Callable[..., Callable[[Callable[..., Any]], Any]]

_ANYIO: Final = "anyio"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "codat_sandbox(**options): the options of the sandbox that the test's fixtures start"
    )


@pytest.fixture
def codat_sandbox(request: pytest.FixtureRequest) -> "Sandbox":
    """A sandbox that runs during the test, on the test's event loop."""
    sandbox: Sandbox = request.getfixturevalue(f"_codat_sandbox_{_runner(request)}")
    return sandbox


@pytest.fixture
def codat(request: pytest.FixtureRequest) -> "Codat":
    """A client that sends its requests to the test's sandbox."""
    client: Codat = request.getfixturevalue(f"_codat_{_runner(request)}")
    return client


def _runner(request: pytest.FixtureRequest) -> str:
    """Return what runs the test: a loop scope of pytest-asyncio, or anyio.

    pytest-asyncio runs a fixture on the loop that its declaration names. The server must run
    on the loop that runs the test, so there is one fixture for each.
    """
    marker = request.node.get_closest_marker("asyncio")
    if marker is not None and _has_pytest_asyncio:
        scope = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
        return str(scope or _default_loop_scope(request.config))
    if "anyio_backend" in request.fixturenames:
        return _ANYIO
    pytest.fail(
        f"the fixture {request.fixturename} needs an asynchronous test that anyio or pytest-asyncio (0.24 or "
        "newer) runs: mark it with @pytest.mark.asyncio; in a synchronous test, use "
        "codat_async.sandbox.SandboxThread",
        pytrace=False,
    )


def _default_loop_scope(config: pytest.Config) -> str:
    try:
        return str(config.getini("asyncio_default_test_loop_scope"))
    except ValueError:
        # pytest-asyncio before 0.26 has no such option.
        return "function"


def _define_fixtures(runner: str, decorate: _Decorate) -> None:
    """Define the two fixtures that run on one kind of event loop."""

    @decorate(name=f"_codat_sandbox_{runner}")
    async def run_sandbox(request: pytest.FixtureRequest) -> "AsyncIterator[Sandbox]":
        from codat_async.sandbox.server import Sandbox

        marker = request.node.get_closest_marker("codat_sandbox")
        async with Sandbox(**(marker.kwargs if marker else {})) as sandbox:
            yield sandbox

    @decorate(name=f"_codat_{runner}")
    async def run_client(codat_sandbox: "Sandbox") -> "AsyncIterator[Codat]":
        from codat_async import Codat

        async with Codat(
            codat_sandbox.api_key, base_url=codat_sandbox.base_url, extra_middleware=[_check_loop()]
        ) as client:
            yield client

    # pytest finds fixtures among a module's names.
    globals()[f"_codat_sandbox_{runner}"] = run_sandbox
    globals()[f"_codat_{runner}"] = run_client


def _check_loop() -> "Callable[[Request, Handler], Any]":
    """Return a middleware that fails on another event loop, on which a request would never end."""
    import asyncio

    loop = asyncio.get_running_loop()

    async def check_loop(request: "Request", call_next: "Handler") -> "Response":
        if asyncio.get_running_loop() is not loop:
            raise RuntimeError(
                "the fixture codat runs on the event loop of the test, and this request on another one: give "
                "the test and its fixtures the same loop_scope"
            )
        return await call_next(request)

    return check_loop


def _define_asyncio_fixtures() -> bool:
    """Define the fixtures for each loop scope; return False without a pytest-asyncio that has loop scopes."""
    try:
        import pytest_asyncio
    except ImportError:
        return False

    def decorator(loop_scope: _LoopScope) -> _Decorate:
        return lambda name: pytest_asyncio.fixture(name=name, loop_scope=loop_scope)

    scopes: tuple[_LoopScope, ...] = get_args(_LoopScope)
    try:
        for scope in scopes:
            _define_fixtures(scope, decorator(scope))
    except TypeError:
        return False
    return True


_define_fixtures(_ANYIO, pytest.fixture)
_has_pytest_asyncio = _define_asyncio_fixtures()
