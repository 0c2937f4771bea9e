"""Applies to every test: no variables of the developer, and nothing left open or running."""

import asyncio
import gc
import inspect
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from aioresponses import aioresponses

SETTLING = 10
"""Iterations of the event loop until closed generators and connections must have ended."""


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what runs in the background so; tests send it, and wait for it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


_collected_with: set[int] = set()
"""How many modules were imported at each collection that was followed by a freeze."""


def pytest_collection_finish() -> None:
    """Exclude the imported modules from the collection after each test, which takes less time then."""
    _collect()


def _collect() -> None:
    gc.collect()
    # Tests import more: the published SDK alone makes each later collection take a fifth of a second.
    if len(sys.modules) not in _collected_with:
        _collected_with.add(len(sys.modules))
        gc.freeze()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the developer's API key, base URL and proxies from the environment."""
    for name in list(os.environ):
        if name in ("CODAT_API_KEY", "CODAT_BASE_URL") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _nothing_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a task running, or a session, connection or file unclosed.

    Unclosed objects warn when they are collected, and warnings are errors; collecting right
    after the test makes the error name it.
    """
    asynchronous = inspect.iscoroutinefunction(getattr(request, "function", None))
    if asynchronous:
        request.getfixturevalue("_no_task_left")
    yield
    if asynchronous:
        _collect()


@pytest.fixture
async def _no_task_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    for _ in range(SETTLING):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    assert not left, f"tasks left running: {[task.get_coro() for task in left]}"


@pytest.fixture
def mocked() -> "Iterator[aioresponses]":
    """aioresponses, with the argument that ClientResponse has required since aiohttp 3.14."""
    from codat_async.testing import mocked_responses

    with mocked_responses() as answers:
        yield answers
