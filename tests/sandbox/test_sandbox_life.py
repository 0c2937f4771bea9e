"""Starting and stopping: where it listens, that it leaves nothing behind, and the ways to run it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import aiohttp
import pytest
from small_books import credential, small_sandbox

from codat_async.sandbox import Sandbox, SandboxThread, run_in_background, serve

ROOT = Path(__file__).parents[2]


def get(base_url: str, api_key: str, path: str = "/companies") -> int:
    """The status of a GET without an event loop."""
    request = urllib.request.Request(base_url + path, headers=credential(api_key))
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def listening(port: int) -> bool:
    """Whether anything accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_it_listens_on_this_machine_alone() -> None:
    """By default it binds 127.0.0.1, on a free port, and is gone after the stop."""
    async with small_sandbox() as sandbox:
        assert sandbox.base_url == f"http://127.0.0.1:{sandbox.port}"
        addresses = {each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        for address in addresses - {"127.0.0.1", "127.0.1.1"}:
            with pytest.raises(OSError, match=r".*"):
                socket.create_connection((str(address), sandbox.port), timeout=0.5)
        assert listening(sandbox.port)
    assert not listening(sandbox.port)


async def test_the_key_is_random_unless_given() -> None:
    """Each sandbox has a key of its own, even with the same seed, unless one is given."""
    assert small_sandbox(api_key="mine").api_key == "mine"
    keys = {small_sandbox(seed=1).api_key for _ in range(3)}
    assert len(keys) == 3
    assert all(key.startswith("sandbox-") for key in keys)


async def test_a_taken_port_is_an_error() -> None:
    """A port that is taken raises, and nothing stays behind."""
    async with small_sandbox() as sandbox:
        with pytest.raises(OSError, match="address already in use"):
            await small_sandbox(port=sandbox.port).start()


async def test_it_can_be_started_again() -> None:
    """After a stop it starts again, on the same port, with what was written before."""
    sandbox = small_sandbox(warm=["invoices"])
    for _ in range(2):
        async with sandbox, aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session:
            url = f"{sandbox.base_url}/companies"
            async with session.post(url, json={"name": "New"}) as response:
                assert response.status == 200
            async with session.get(url, headers={"X-Sandbox-Fault": "latency=0.05"}) as response:
                assert response.status == 200
    assert len(sandbox.company_ids) == 4


async def test_a_thousand_companies_start_in_a_second() -> None:
    """Books are made only when they are asked for."""
    started = time.monotonic()
    async with (
        Sandbox(companies=1000) as sandbox,
        aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
        session.get(f"{sandbox.base_url}/companies?pageSize=5000") as response,
    ):
        assert len((await response.json())["results"]) == 1000
    assert time.monotonic() - started < 5


async def test_the_same_seed_serves_the_same_bytes() -> None:
    """Two sandboxes of one seed answer a list with the same bytes."""
    bodies = []
    for _ in range(2):
        async with (
            Sandbox(companies=1, size=20, seed=5) as sandbox,
            aiohttp.ClientSession(headers=credential(sandbox.api_key)) as session,
        ):
            url = f"{sandbox.base_url}/companies/{sandbox.company_ids[0]}/data/bills"
            async with session.get(url) as response:
                bodies.append(await response.read())
    assert bodies[0] == bodies[1]


def test_on_a_thread() -> None:
    """Synchronous code has a sandbox on a thread, and reaches into it."""
    before = threading.enumerate()
    with SandboxThread(companies=2, size=0) as sandbox:
        assert get(sandbox.base_url, sandbox.api_key) == 200
        sandbox.call(lambda running: running.set_faults("503"))
        assert get(sandbox.base_url, sandbox.api_key) == 503
        assert len(sandbox.company_ids) == 2
        port = sandbox.call(lambda running: running.port)
    assert not listening(port)
    assert all(thread in before for thread in threading.enumerate() if thread.name == "codat-sandbox")


def test_a_thread_that_cannot_start() -> None:
    """What keeps the sandbox from starting is raised where it was started."""
    with pytest.raises(ValueError, match="there is no fault"), SandboxThread(faults="nothing"):
        pass


def test_in_a_process() -> None:
    """A sandbox in a process of its own serves, and is gone with the block."""
    with run_in_background(companies=2, size=10, limits=True, faults="none") as sandbox:
        path = f"/companies/{sandbox.company_ids[1]}/data/invoices"
        assert get(sandbox.base_url, sandbox.api_key, path) == 200
        port = int(sandbox.base_url.rpartition(":")[2])
    assert not listening(port)


def test_a_process_that_cannot_start(capfd: pytest.CaptureFixture[str]) -> None:
    """A process that fails raises, and an unknown option does before one is started."""
    with pytest.raises(RuntimeError, match="did not start"), run_in_background(faults="nothing"):
        pass
    assert "there is no fault" in capfd.readouterr().err
    with pytest.raises(TypeError, match="colour"), run_in_background(colour="red"):
        pass


async def test_serving_until_cancelled() -> None:
    """It reports when it is ready, and serves until it is cancelled."""
    ready: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(on_ready=ready.set_result, companies=1, size=0))
    sandbox = await asyncio.wait_for(ready, 5)
    assert listening(sandbox.port)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not listening(sandbox.port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_until_a_signal(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it cleanly: no traceback, exit status 0."""
    code = (
        "import asyncio; from codat_async.sandbox import serve\n"
        "asyncio.run(serve(on_ready=lambda s: print(s.base_url, flush=True), companies=1, size=10))"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'middleware'}"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"http://127.0.0.1:")
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == b""
