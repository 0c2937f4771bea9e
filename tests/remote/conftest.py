"""A bucket of a real S3 server, for tests that need obstore and moto; without them they are skipped."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from s3_server import KEYS, Proxy, make_bucket, moto

MISSING = [name for name in ("obstore", "moto") if find_spec(name) is None]
if MISSING and os.environ.get("CODAT_ASYNC_REQUIRE_REMOTE"):
    raise RuntimeError(f"{' and '.join(MISSING)} must be installed for these tests")
if MISSING:
    collect_ignore = ["test_remote_s3.py", "test_remote_kill.py"]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of the server."""
    with moto() as url:
        yield url


@pytest.fixture
def proxy(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Proxy]:
    """What is between this process, or those that it starts, and the server; with a bucket of its own."""
    made = Proxy(server)
    made.bucket = f"lake-{abs(hash(request.node.nodeid)) % 10**10}"
    make_bucket(server, made.bucket)
    with made.running() as url:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CODAT_ASYNC_SPOOL", str(tmp_path / "spools"))
        yield made
