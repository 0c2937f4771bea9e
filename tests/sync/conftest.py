"""A sandbox on a thread of its own, for clients that block."""

from collections.abc import Iterator

import pytest

from codat_async.sandbox import SandboxThread
from codat_async.sync import Codat


@pytest.fixture(scope="package")
def sandbox() -> Iterator[SandboxThread]:
    """One for all tests; none of them writes to it."""
    with SandboxThread(companies=1, seed=11, sizes={"invoices": 60}) as running:
        yield running


@pytest.fixture
def codat(sandbox: SandboxThread) -> Iterator[Codat]:
    """A blocking client of it."""
    with Codat(sandbox.api_key, base_url=sandbox.base_url) as client:
        yield client


@pytest.fixture
def company_id(sandbox: SandboxThread) -> str:
    """The id of its company."""
    return sandbox.company_ids[0]
