"""A server on a thread of its own, pipelines in a temporary folder, and a Postgres that tests start."""

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bulk_server import Server


@pytest.fixture
def served() -> Iterator[Server]:
    """A server of one company whose lists the test sets."""
    started, stop = threading.Event(), threading.Event()
    server = Server()

    async def serve() -> None:
        async with server:
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    yield server
    stop.set()
    thread.join(10)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes pipelines whose state is in the test's folder."""
    dlt = pytest.importorskip("dlt")
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "ERROR")
    # dlt looks for its configuration here.
    monkeypatch.chdir(tmp_path)

    def make(destination: Any, name: str = "books") -> Any:
        return dlt.pipeline(
            name, destination=destination, dataset_name="codat", pipelines_dir=str(tmp_path / "pipelines")
        )

    return make


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    known = shutil.which("initdb")
    return found[-1].parent if found else None if known is None else Path(known).parent


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Postgres that listens on loopback; the tests are skipped if it is not installed."""
    programs = _programs()
    if programs is None:
        assert not os.environ.get("CODAT_ASYNC_REQUIRE_POSTGRES"), "Postgres is not installed"
        pytest.skip("Postgres is not installed")
    folder = Path("/tmp") / f"codat-async-postgres-{os.getpid()}"
    folder.mkdir(mode=0o700)
    user: str | None = None
    if os.geteuid() == 0:
        # It does not run as root.
        import pwd

        user = "postgres"
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    port = 15432 + os.getpid() % 10000

    def run(*command: str) -> None:
        done = subprocess.run(
            command, user=user, cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    data = str(folder / "data")
    run(str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "tester", "-E", "UTF8", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -k {folder}"
    run(str(programs / "pg_ctl"), "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start")
    try:
        yield f"postgresql://tester:none@127.0.0.1:{port}/postgres"
    finally:
        run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
