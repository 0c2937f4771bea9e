"""Pulls into a real S3 server, killed with SIGKILL again and again on machines that are wiped then."""

import asyncio
import random
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from bulk_server import in_force
from remote_tools import current, download, duplicates, hurry
from s3_server import Proxy
from test_fleet_kill import served

from codat_async import Codat, Limits, bulk
from codat_async.bulk.store.remote.mirror import version_in
from codat_async.bulk.store.remote.place import RemoteDirectory

CHILD = """
import asyncio, sys
from importlib.util import find_spec
from pathlib import Path
from codat_async import Codat, Limits, bulk
from codat_async.bulk.store import keeper
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of

keeper._TICK, keeper._PAUSE, keeper._SHARE = 0.02, 0.05, 1
types = ("accounts", "bill_credit_notes", "bills", "credit_notes", "customers",
         "invoices", "items", "payments", "suppliers", "tax_rates")

async def main(port, into, seal_every):
    place = place_of(into)
    if isinstance(place, RemoteDirectory):
        place = RemoteDirectory(into, seal_every=float(seal_every))
    limits = Limits(per_minute=None, in_flight_per_company=2)
    async with Codat("key", base_url=f"http://127.0.0.1:{port}", limits=limits) as codat:
        options = bulk.PullOptions(types=types, source="fleet", units_at_once=4)
        report = await bulk.pull(codat, place, options=options)
    assert report.outcome == "done", report
    print("done", report.total.rows, report.total.requests, report.store)

asyncio.run(main(*sys.argv[1:]))
"""


def start(port: str, into: str, seal_every: float = 0.1) -> subprocess.Popen[str]:
    """Start a pull in a process of its own."""
    command = [sys.executable, "-c", CHILD, port, into, str(seal_every)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("companies", "kills"), [(20, 3), pytest.param(100, 20, marks=pytest.mark.soak)], ids=["short", "soak"]
)
def test_killed_and_wiped_machines_end_equal_to_an_undisturbed_one(
    proxy: Proxy, tmp_path: Path, companies: int, kills: int
) -> None:
    """Each start has an empty disk, and the bucket alone to go on from."""
    url, draw = f"s3://{proxy.bucket}/books", random.Random(companies)
    struck = rounds = requests = 0
    with served(companies) as port:
        out, error = start(port, str(tmp_path / "calm")).communicate(timeout=300)
        assert out.startswith("done"), error
        expected = in_force(tmp_path / "calm")
        assert len(expected) == 10 * companies
        began = time.monotonic()
        out, error = start(port, f"s3://{proxy.bucket}/calm").communicate(timeout=300)
        assert out.startswith("done"), error
        took = time.monotonic() - began
        assert in_force(download(f"s3://{proxy.bucket}/calm", tmp_path / "there")) == expected
        while struck < kills:
            rounds += 1
            into, done = f"{url}/{rounds}", False
            while not done:
                shutil.rmtree(tmp_path / "spools", ignore_errors=True)
                pull = start(port, into)
                try:
                    pull.wait(300 if struck >= kills else took * draw.uniform(0.3, 1.0))
                except subprocess.TimeoutExpired:
                    pull.send_signal(signal.SIGKILL)
                    struck += 1
                out, error = pull.communicate()
                done = out.startswith("done")
                assert done or pull.returncode == -signal.SIGKILL, error
            assert in_force(download(into, tmp_path / f"read-{rounds}")) == expected
            shutil.rmtree(tmp_path / "spools")
            found = bulk.status(into, verify=True)
            assert (found.outcome, found.damaged) == ("done", [])
            assert found.total.records == sum(map(len, expected.values()))
            requests += 1
    print(f"{struck} kills of {rounds} pulls, each on an empty machine; {dict(proxy.requests)} requests")


def test_two_writers(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever began last goes on; the other one ends with one line and status 2."""
    into = f"s3://{proxy.bucket}/books"
    program = [sys.executable, "-m", "codat_async.cli", "pull", "--into", into, "--per-minute", "0"]
    with served(300) as port:
        monkeypatch.setenv("CODAT_API_KEY", "key")
        chosen = ["--base-url", f"http://127.0.0.1:{port}", "--types", "invoices,bills,customers,items"]
        first = subprocess.Popen(
            [*program, *chosen, "--spool", str(tmp_path / "first"), "--seal-every", "1s", "--in-flight", "1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # Once it is the writer, and has noted so.
        while version_in(tmp_path / "first") is None:
            time.sleep(0.02)
            assert first.poll() is None, first.communicate()
        second = subprocess.run(
            [*program, *chosen, "--spool", str(tmp_path / "second")],
            capture_output=True,
            text=True,
            check=False,
        )
        out, error = first.communicate(timeout=120)
        assert second.returncode == 0, second.stderr
        assert first.returncode == 2, (out, error)
        (line,) = [each for each in error.splitlines() if each.startswith("codat-async: ")]
        assert line.startswith(f"codat-async: another process writes to {into} now, and this one ends")
        local = subprocess.run(
            [*program[:4], "--into", str(tmp_path / "local"), *chosen, "--per-minute", "0"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert local.returncode == 0, local.stderr
    read = download(into, tmp_path / "read")
    assert in_force(read) == in_force(tmp_path / "local")
    assert duplicates(read) == 0


@pytest.mark.parametrize(
    ("seconds", "companies"), [(4, 60), pytest.param(60, 600, marks=pytest.mark.soak)], ids=["short", "soak"]
)
async def test_a_store_that_fails_for_a_while_loses_nothing(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, companies: int
) -> None:
    """It answers 503, resets connections and is slow in mid-pull."""
    hurry(monkeypatch)
    into, until, events = f"s3://{proxy.bucket}/books", 0.0, list[str]()

    def fault(method: str, path: str) -> int | float | None:
        if time.monotonic() >= until:
            return None
        return random.choice([503, 500, 0, 0.2])

    def note(event: bulk.Event) -> None:
        nonlocal until
        events.append(event.event)
        if event.event == "run_started":
            until = time.monotonic() + seconds
            proxy.fault = fault

    options = bulk.PullOptions(types=["invoices", "bills", "customers"], source="fleet", units_at_once=2)
    with served(companies) as port:
        async with Codat("key", base_url=f"http://127.0.0.1:{port}", limits=Limits(per_minute=None)) as codat:
            remote = RemoteDirectory(into, seal_every=0.2)
            report = await bulk.pull(codat, remote, options=options, on_event=note)
            assert report.outcome == "done"
            assert report.store is not None
            assert report.store.faults > 3
            assert "store_fault" in events
            await asyncio.sleep(max(0.0, until - time.monotonic()))
            await bulk.pull(codat, tmp_path / "local", options=options)
    shutil.rmtree(tmp_path / "spools")
    assert in_force(download(into, tmp_path / "read")) == in_force(tmp_path / "local")
    print(f"{seconds} s of faults: {report.store}; the pull took {report.seconds} s")


@pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra dask")
def test_shards_on_dask(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two worker processes pull four shards into the bucket; afterwards it is read as one pull."""
    into = f"s3://{proxy.bucket}/books"
    monkeypatch.setenv("CODAT_API_KEY", "key")
    with served(12) as port:
        chosen = ["--base-url", f"http://127.0.0.1:{port}", "--types", "invoices,bills", "--per-minute", "0"]
        for target, dask in (
            (into, ["--dask", "local:2", "--shards", "4"]),
            (str(tmp_path / "local"), []),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "codat_async.cli", "pull", "--into", target, *chosen, *dask],
                capture_output=True, text=True, check=False, timeout=200,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "spools")
    found = bulk.status(into, verify=True)
    assert (found.outcome, found.shards, found.total.companies) == ("done", 4, 12)
    assert current(download(into, tmp_path / "read")) == current(tmp_path / "local")
