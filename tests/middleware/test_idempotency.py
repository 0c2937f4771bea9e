"""Which requests get a key, and that all attempts share it."""

from uuid import UUID

import pytest

from codat_middleware import Idempotency, Retry, RetryPolicy, compose
from codat_middleware.idempotency import IDEMPOTENCY_KEY
from tests.middleware.fakes import Script, get, post


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_writes_carry_a_key(method: str) -> None:
    """Each call gets a new UUID."""
    script = Script(200)
    await Idempotency()(get(method=method), script)
    await Idempotency()(get(method=method), script)
    first, second = (UUID(request.headers[IDEMPOTENCY_KEY]) for request in script.requests)
    assert first != second


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_others_do_not(method: str) -> None:
    """Only POST and PATCH get a key."""
    script = Script(200)
    request = get(method=method)
    await Idempotency()(request, script)
    assert script.requests[0] is request


async def test_key_of_the_caller_is_kept() -> None:
    """A key set by the caller is kept, whatever the header's case."""
    script = Script(200)
    request = post(headers={"idempotency-key": "mine"})
    await Idempotency()(request, script)
    assert script.requests[0] is request
    assert request.idempotency_key == "mine"


@pytest.mark.parametrize("blank", ["", " "])
async def test_blank_key_is_none(blank: str) -> None:
    """A blank key is replaced; without that a write counts as having no key."""
    script = Script(200)
    request = post(headers={"idempotency-key": blank})
    await Idempotency()(request, script)
    assert list(script.requests[0].headers) == [IDEMPOTENCY_KEY]
    assert UUID(script.requests[0].headers[IDEMPOTENCY_KEY])
    assert request.idempotency_key is None


async def test_key_survives_attempts() -> None:
    """All attempts of a call carry the same key."""
    script = Script(429, 200)
    await compose([Idempotency(), Retry(RetryPolicy(waits=False))], script)(post())
    first, second = (request.headers[IDEMPOTENCY_KEY] for request in script.requests)
    assert first == second
