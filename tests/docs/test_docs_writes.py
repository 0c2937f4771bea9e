"""The recipe of docs/writes.md, with writes whose answer is lost or is an error."""

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codat_async import Codat, Request, Response, RetryPolicy, errors
from codat_async.models import Customer
from codat_async.sandbox import Sandbox

PAGE = Path(__file__).parents[2] / "docs" / "writes.md"
NUMBER = "08214937"
ONE_ATTEMPT = RetryPolicy(attempts=1)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again after milliseconds."""
    monkeypatch.setattr("codat_async.operations.polling._FIRST", 0.02)


@pytest.fixture
def recipe() -> dict[str, Any]:
    """The names that the page's program defines."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if "def create_once" in block)
    names: dict[str, Any] = {}
    exec(block.replace("asyncio.run(main())", ""), names)
    names["PAUSE"] = 0.0
    return names


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(companies=1, size=3, push_delay=0.01, sync_delay=0.01) as running:
        yield running


async def create(recipe: dict[str, Any], sandbox: Sandbox, codat: Codat, key: str) -> str:
    """Run the recipe."""
    (company,) = sandbox.company_ids
    customer = Customer(customer_name="Fig and Sons", registration_number=NUMBER, status="Active")
    created = await recipe["create_once"](codat, company, sandbox.connection_ids(company)[0], customer, key)
    return str(created)


async def written(sandbox: Sandbox) -> list[str | None]:
    """The ids of the customers that were written."""
    (company,) = sandbox.company_ids
    async with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        await codat.refresh_data.wait(company, ["customers"], refresh=True)
        return [each.id async for each in codat.customers.list(company, query=f"registrationNumber={NUMBER}")]


@pytest.mark.parametrize("fault", ["lost", "reset"])
async def test_a_lost_answer_is_asked_for_again(recipe: dict[str, Any], sandbox: Sandbox, fault: str) -> None:
    """Whether the first request was carried out or not, there is one customer."""
    sandbox.set_faults(f"{fault};times=1;only=push/customers")
    async with Codat(sandbox.api_key, base_url=sandbox.base_url, retry=ONE_ATTEMPT) as codat:
        created = await create(recipe, sandbox, codat, str(uuid.uuid4()))
    assert await written(sandbox) == [created]


async def test_another_process_goes_on_with_the_stored_key(recipe: dict[str, Any], sandbox: Sandbox) -> None:
    """A call that fails for good leaves a key, with which a later one gets the same record."""
    key = str(uuid.uuid4())
    sandbox.set_faults("lost;times=2;only=push/customers")
    async with Codat(sandbox.api_key, base_url=sandbox.base_url, retry=ONE_ATTEMPT) as codat:
        with pytest.raises(errors.ConnectionLost):
            await create(recipe, sandbox, codat, key)
    async with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        created = await create(recipe, sandbox, codat, key)
    assert await written(sandbox) == [created]


@pytest.mark.parametrize("status", [500, 503])
async def test_a_record_behind_a_server_error_is_found(
    recipe: dict[str, Any], sandbox: Sandbox, status: int
) -> None:
    """The write was carried out in spite of the error, and nothing is written twice."""

    async def fail(request: Request, handler: Any) -> Response:
        answer: Response = await handler(request)
        return answer.copy(status=status) if request.operation == "customers.create" else answer

    async with Codat(sandbox.api_key, base_url=sandbox.base_url, extra_middleware=[fail]) as codat:
        created = await create(recipe, sandbox, codat, str(uuid.uuid4()))
    assert await written(sandbox) == [created]
    assert sandbox.stats["operations"]["customers.create"] == {"200": 1}


async def test_a_server_error_before_the_write(recipe: dict[str, Any], sandbox: Sandbox) -> None:
    """The error is raised, since there is no such record, and a new key writes it."""
    sandbox.set_faults("500;only=push/customers")
    async with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        with pytest.raises(errors.InternalServerError):
            await create(recipe, sandbox, codat, str(uuid.uuid4()))
        assert await written(sandbox) == []
        sandbox.set_faults(None)
        created = await create(recipe, sandbox, codat, str(uuid.uuid4()))
    assert await written(sandbox) == [created]


async def test_the_first_request_is_still_being_carried_out(recipe: dict[str, Any], sandbox: Sandbox) -> None:
    """A 409 for the key is waited for."""
    conflicts = [409]

    async def busy(request: Request, handler: Any) -> Response:
        answer: Response = await handler(request)
        return answer.copy(status=conflicts.pop()) if request.body and conflicts else answer

    async with Codat(sandbox.api_key, base_url=sandbox.base_url, extra_middleware=[busy]) as codat:
        created = await create(recipe, sandbox, codat, str(uuid.uuid4()))
    assert conflicts == []
    assert await written(sandbox) == [created]
