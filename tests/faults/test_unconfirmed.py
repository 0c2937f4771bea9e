"""Writes of which an attempt was lost that may have been carried out."""

import pytest

from codat_async import errors
from codat_async.models import Customer
from codat_middleware import Request, RetryPolicy
from tests.faults import server as acts
from tests.faults.conftest import RawScene
from tests.faults.server import Act, answer

COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"
STARTED = answer(
    202,
    b'{"pushOperationKey":"k","companyId":"c","dataConnectionKey":"n","status":"Pending",'
    b'"statusCode":202,"requestedOnUtc":"2026-01-01T00:00:00Z"}',
)
LOST = [acts.truncated_chunks, acts.stall_in_headers, answer(503, b"{}")]


@pytest.mark.parametrize("act", LOST)
async def test_push_operation_is_not_started_twice(raw_scene: RawScene, act: Act) -> None:
    """A PUT or DELETE that may have started one is sent again only if the policy asks for that."""
    async with raw_scene(act, STARTED) as (codat, server):
        with pytest.raises(errors.CodatError) as caught:
            await codat.bills.delete(COMPANY, "c", "1")
        assert isinstance(caught.value, errors.TransportError | errors.StatusError)
        assert caught.value.outcome_unknown
        assert server.requests == 1
    async with raw_scene(act, STARTED) as (codat, server):
        again = codat.with_options(retry=RetryPolicy(resend_pushes=True, waits=False))
        customer = Customer(status="Active")
        assert (await again.customers.update(COMPANY, "c", "1", customer)).push_operation_key == "k"
        assert server.requests == 2


@pytest.mark.parametrize("act", LOST)
async def test_deletion_found_done(raw_scene: RawScene, act: Act) -> None:
    """A 404 after a lost DELETE is reported as what it most likely is."""
    async with raw_scene(act, answer(404, b"{}")) as (codat, server):
        with pytest.raises(errors.NotFound, match="the deletion was probably done") as caught:
            await codat.companies.delete(COMPANY)
        assert caught.value.outcome_unknown
        assert server.requests == 2


@pytest.mark.parametrize("code", [400, 409, 422])
@pytest.mark.parametrize("act", LOST)
async def test_change_that_failed_after_a_lost_attempt(raw_scene: RawScene, act: Act, code: int) -> None:
    """The lost attempt may have caused the failure, so the outcome of a PUT is unknown."""
    request = Request(method="PUT", path=f"/companies/{COMPANY}/products/x", company_id=COMPANY)
    async with raw_scene(act, answer(code, b'{"error":"no"}')) as (codat, server):
        with pytest.raises(errors.StatusError, match="attempt may have been carried out") as caught:
            await codat.send(request)
        assert (caught.value.status, caught.value.error) == (code, "no")
        assert caught.value.outcome_unknown
        assert server.requests == 2
