"""Runs each example of middleware/README.md."""

import re
from pathlib import Path
from typing import Any

import pytest

from codat_middleware import CodatError, Response
from codat_middleware.errors import ConnectError
from tests.middleware.fakes import FakeClock, FakeStream, Script, get, post

README = Path(__file__).parents[2] / "middleware" / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """All names the examples define, run from top to bottom; the first block only shows types."""
    namespace: dict[str, Any] = {}
    for block in BLOCKS[1:]:
        exec(compile(block, str(README), "exec"), namespace)
    return namespace


def test_all_examples_are_found() -> None:
    """All blocks are found, so that none stays untested."""
    assert len(BLOCKS) == 6


async def test_header(shown: dict[str, Any]) -> None:
    """The header is set on the request."""
    script = Script(200)
    await shown["mark_as_batch"](get(), script)
    assert script.requests[0].headers == {"X-Job": "batch"}


async def test_cache(shown: dict[str, Any]) -> None:
    """A GET is answered from memory for a while; others, errors and streams are not."""
    clock = FakeClock()
    cache = shown["Cache"](60, clock.monotonic)
    script = Script(500, Response(status=200, stream=FakeStream()), 200)
    for _ in range(5):
        await cache(get(), script)
    assert len(script.requests) == 3
    await cache(get(query=(("page", "2"),)), script)
    await cache(post(), script)
    await cache(post(), script)
    assert len(script.requests) == 6
    clock.now += 61
    await cache(get(), script)
    assert len(script.requests) == 7


async def test_circuit_breaker(shown: dict[str, Any]) -> None:
    """After enough failures nothing is sent for a while, then one request, then all."""
    clock = FakeClock()
    breaker = shown["CircuitBreaker"](2, 30.0, clock.monotonic)
    script = Script(500, ConnectError("no", method="GET", path="/", sent=False), 503, 200)
    assert (await breaker(get(), script)).status == 500
    with pytest.raises(ConnectError):
        await breaker(get(), script)
    with pytest.raises(shown["CircuitOpen"]) as caught:
        await breaker(get(), script)
    assert isinstance(caught.value, CodatError)
    clock.now += 31
    assert (await breaker(get(), script)).status == 503
    with pytest.raises(shown["CircuitOpen"]):
        await breaker(get(), script)
    clock.now += 31
    assert (await breaker(get(), script)).status == 200
    assert (await breaker(get(), script)).status == 200


async def test_pipeline(shown: dict[str, Any]) -> None:
    """The pipeline sends the request with the headers of all its middleware."""
    script = Script(200)
    assert (await shown["pipeline"]("abc", script)(post())).status == 200
    (sent,) = script.requests
    assert set(sent.headers) == {"X-Job", "Idempotency-Key", "Authorization"}


async def test_testing(shown: dict[str, Any]) -> None:
    """The example test passes without waiting."""
    assert await shown["example"]() == [1, 2]
