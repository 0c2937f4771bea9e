"""What every test is held to: a clean environment, and nothing left open behind it."""

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Iterator
from unittest.mock import Mock

import aioresponses.core
import pytest
from aiohttp import ClientResponse

SETTLING = 10
"""Turns of the event loop that a closed generator or connection may take to be gone."""


def pytest_collection_finish() -> None:
    """Keep what is imported by now out of the collections that follow each test, so that they are quick."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no address of the developer's own reaches a test."""
    for name in ("CODAT_API_KEY", "CODAT_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _nothing_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a task running, or a session, connection or file unclosed.

    What is unclosed warns when it is collected, and warnings are errors; so it is collected
    while the test that left it can still be named.
    """
    asynchronous = inspect.iscoroutinefunction(getattr(request, "function", None))
    if asynchronous:
        request.getfixturevalue("_no_task_left")
    yield
    if asynchronous:
        gc.collect()


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


class _MockedResponse(ClientResponse):
    def __init__(self, *arguments: object, **named: object) -> None:
        named.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*arguments, **named)  # type: ignore[arg-type]


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses.aioresponses]:
    """Answers given in place of aiohttp's, with the argument that current aiohttp demands of a response."""
    monkeypatch.setattr(aioresponses.core, "ClientResponse", _MockedResponse)
    with aioresponses.aioresponses() as answers:
        yield answers
