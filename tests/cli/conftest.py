"""A sandbox for the commands, in a process of its own."""

from collections.abc import Iterator

import pytest

from codat_async.sandbox import Address, run_in_background


@pytest.fixture(scope="package")
def background_sandbox() -> Iterator[Address]:
    """The sandbox's address."""
    with run_in_background(companies=2, size=20) as address:
        yield address


@pytest.fixture
def sandbox(background_sandbox: Address, monkeypatch: pytest.MonkeyPatch) -> Address:
    """The sandbox's address, which the environment's variables hold too, as the commands expect."""
    monkeypatch.setenv("CODAT_API_KEY", background_sandbox.api_key)
    monkeypatch.setenv("CODAT_BASE_URL", background_sandbox.base_url)
    return background_sandbox
