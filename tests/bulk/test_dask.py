"""Pulls on the workers of a Dask cluster: the same records, whoever dies, and the limits kept.

Runs in a session of its own, ``nox -s dask``, since Dask is in no other environment.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bulk_server import everything

from codat_async import Codat, Limits, bulk
from codat_async.bulk import PullOptions, Report
from codat_async.bulk.store.counts import Counts
from codat_async.bulk.store.shards import pull_directories
from codat_async.errors import Unauthorized
from codat_async.sandbox import Address, run_in_background

if os.environ.get("CODAT_ASYNC_REQUIRE_DASK") != "1":
    pytest.importorskip("distributed")

from codat_async.bulk import dask
from codat_async.cli.machines import connect

TYPES = ("invoices", "customers", "bills")
SHARDS = 12


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Address]:
    """A sandbox of small books with faults, in its own process."""
    with run_in_background(
        companies=16, size=40, faults=["latency=0.01;rate=0.3", "503;rate=0.02"]
    ) as address:
        yield address


@pytest.fixture(scope="module")
def calm(sandbox: Address, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[bytes]], Report]:
    """The records and the report of an undisturbed pull by one process."""
    into = tmp_path_factory.mktemp("calm") / "x"

    async def main() -> Report:
        arguments = {"base_url": sandbox.base_url, "limits": Limits(per_minute=None)}
        async with Codat(sandbox.api_key, **arguments) as codat:
            return await bulk.pull(codat, into, options=PullOptions(types=TYPES))

    report = asyncio.run(main())
    return everything(into), report


@asynccontextmanager
async def cluster(workers: int) -> AsyncIterator[Any]:
    """A client of so many worker processes."""
    async with connect(f"local:{workers}") as client:
        yield client


async def run(client: Any, address: Address, into: Path, **more: Any) -> Report:
    """Pull on the cluster, without a limit unless one is given."""
    arguments = {"api_key": address.api_key, "base_url": address.base_url}
    options = {"options": PullOptions(types=TYPES), "shards": SHARDS, "per_minute": None, **more}
    return await dask.pull(client, into, arguments, **options)


def together(into: Path) -> dict[str, list[bytes]]:
    """The records of all shards; none may be in two of them."""
    parts = [everything(path) for path in pull_directories(into)]
    found = {key: records for part in parts for key, records in part.items()}
    assert sum(map(len, parts)) == len(found)
    return found


def sums(counts: Counts) -> dict[str, int]:
    """What does not depend on faults and interruptions."""
    return {
        name: getattr(counts, name) for name in ("units", "done", "skipped", "failed", "rows", "expected")
    }


def assert_equal(into: Path, report: Report, calm: tuple[dict[str, list[bytes]], Report]) -> None:
    """The records and the sums of the report are those of one undisturbed process."""
    records, expected = calm
    assert together(into) == records
    assert report.outcome == "done", report
    assert sums(report.total) == sums(expected.total)
    assert {name: sums(each) for name, each in report.types.items()} == {
        name: sums(each) for name, each in expected.types.items()
    }
    assert report.companies == expected.companies


async def pids(client: Any) -> dict[str, int]:
    """The processes of the workers."""
    found: dict[str, int] = await client.run(os.getpid, on_error="ignore")
    return found


def test_a_cluster_pulls_what_one_process_does(
    sandbox: Address, calm: tuple[dict[str, list[bytes]], Report], tmp_path: Path
) -> None:
    """The companies are asked for once; progress and events of all workers arrive; the key is nowhere."""
    progress: list[bulk.Progress] = []
    events: list[bulk.Event] = []
    seen: list[str] = []

    async def main() -> Report:
        async with cluster(2) as client:
            report = await run(
                client, sandbox, tmp_path / "x", on_progress=progress.append, on_event=events.append
            )
            seen.append(str(await client.get_worker_logs()))
            seen.append(str(await client.get_scheduler_logs()))
            seen.append(str(await client.run_on_scheduler(tasks)))
            seen.append(str(await client.get_events()))
            # Nothing is left on the workers either.
            left = [name for names in (await client.run(plugins)).values() for name in names]
            assert not [name for name in left if name.startswith("codat-async-")]
            return report

    report = asyncio.run(main())
    assert_equal(tmp_path / "x", report, calm)
    assert len({event.details["shard"] for event in events if event.event == "run_done"}) == SHARDS
    assert sums(progress[-1].total)["units"] == report.total.units
    assert not (tmp_path / "x" / ".pull.json").exists()
    assert sandbox.api_key not in "".join(seen)
    assert "codat-async-" in seen[0]


def tasks(dask_scheduler: Any) -> str:
    """What the scheduler, and so its dashboard, shows of tasks and clients."""
    shown = [repr((task, task.run_spec, task.annotations)) for task in dask_scheduler.tasks.values()]
    return "".join([*shown, repr(dask_scheduler.plugins)])


def plugins(dask_worker: Any) -> list[str]:
    """The plugins of a worker."""
    return list(dask_worker.plugins)


def test_the_example_pulls_on_a_scheduler(sandbox: Address, tmp_path: Path) -> None:
    """As it is, by the address of the scheduler."""
    example = Path(__file__).parents[2] / "examples" / "dask_pull.py"
    environment = {**os.environ, "CODAT_API_KEY": sandbox.api_key, "CODAT_BASE_URL": sandbox.base_url}

    async def main() -> tuple[int, str]:
        async with cluster(2) as client:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(example), client.scheduler.address, str(tmp_path / "x")),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            said, _ = await process.communicate()
            return process.returncode or 0, said.decode()

    status, said = asyncio.run(main())
    assert status == 0, said
    assert said.splitlines()[-1].startswith("done: ")
    assert bulk.status(tmp_path / "x").total.lists == 32


def test_workers_of_one_address_divide_the_limit_again_when_one_comes(
    sandbox: Address, tmp_path: Path
) -> None:
    """And with source addresses of their own each has the whole."""
    shares: list[set[tuple[int, str | None]]] = []

    async def watch(client: Any, pulling: "asyncio.Task[Report]", wanted: int) -> None:
        while not pulling.done():
            found = await client.run(share, on_error="ignore")
            if len(found) == wanted and all(found.values()):
                shares.append(set(found.values()))
                return
            await asyncio.sleep(0.2)

    async def main() -> None:
        async with cluster(2) as client:
            pulling = asyncio.create_task(run(client, sandbox, tmp_path / "x", per_minute=30))
            await watch(client, pulling, 2)
            client.cluster.scale(3)
            await client.wait_for_workers(3)
            while shares[-1] != {(10, None)} and not pulling.done():
                await watch(client, pulling, 3)
                await asyncio.sleep(0.2)
            pulling.cancel()
            await asyncio.gather(pulling, return_exceptions=True)
            addresses = [f"127.0.0.{number}" for number in (2, 3, 4)]
            pulling = asyncio.create_task(
                run(client, sandbox, tmp_path / "y", per_minute=30, source_addresses=addresses)
            )
            await watch(client, pulling, 3)
            pulling.cancel()
            await asyncio.gather(pulling, return_exceptions=True)
            assert set((await client.run(share)).values()) == {None}

    asyncio.run(main())
    assert shares[0] == {(15, None)}
    assert shares[-2] == {(10, None)}
    assert shares[-1] == {(30, f"127.0.0.{number}") for number in (2, 3, 4)}


def share(dask_worker: Any) -> tuple[int, str | None] | None:
    """The limit a minute and the source address of a worker's client."""
    for name, plugin in dask_worker.plugins.items():
        if name.startswith("codat-async-") and plugin.shards._client is not None:
            client = plugin.shards._client
            source = client._transport._source
            return client.governor.limits.per_minute, source and source[0]
    return None


def test_a_wrong_key_is_not_an_error_of_dask(sandbox: Address, tmp_path: Path) -> None:
    """It is raised if the companies are asked for, and in the report if they are known already."""

    async def main() -> Report:
        async with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
            found = await bulk.find_companies(codat)
        arguments = {"api_key": "wrong", "base_url": sandbox.base_url}
        async with cluster(1) as client:
            with pytest.raises(Unauthorized):
                await dask.pull(client, tmp_path / "x", arguments, shards=2)
            return await dask.pull(client, tmp_path / "x", arguments, found=found, shards=2)

    report = asyncio.run(main())
    assert report.outcome == "failed"
    assert "401" in (report.stopped or "")


def command(address: Address, into: Path, *more: str) -> "subprocess.Popen[str]":
    """Start a pull on two local workers from the command line, in a process group of its own."""
    arguments = [sys.executable, "-m", "codat_async.cli", "pull", "--into", str(into), "--per-minute", "0"]
    arguments += ["--types", ",".join(TYPES), "--dask", "local:2", "--shards", str(SHARDS), *more]
    environment = {**os.environ, "CODAT_API_KEY": address.api_key, "CODAT_BASE_URL": address.base_url}
    return subprocess.Popen(
        arguments,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is true."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within a minute")


def test_ctrl_c_stops_all_and_the_next_command_continues(
    sandbox: Address, calm: tuple[dict[str, list[bytes]], Report], tmp_path: Path
) -> None:
    """The whole process group gets the signal, as from a terminal; one line, and no process is left."""
    slow = command(sandbox, tmp_path / "x", "--per-minute", "60")
    wait_for(lambda: list((tmp_path / "x").glob("shard-*/checkpoint.sqlite")))
    os.killpg(slow.pid, signal.SIGINT)
    said, _ = slow.communicate(timeout=60)
    assert slow.returncode == 130, said
    assert said.strip().splitlines()[-1].startswith("codat-async: interrupted; run the same command again")
    assert "Traceback" not in said
    assert sandbox.api_key not in said
    wait_for(lambda: not group_exists(slow.pid))
    again = command(sandbox, tmp_path / "x")
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert together(tmp_path / "x") == calm[0]


def group_exists(group: int) -> bool:
    """Whether a process group has a process left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


async def kill_workers(client: Any, draw: random.Random, pause: Callable[[], float], kills: int) -> None:
    """Kill random workers with SIGKILL; Dask starts others. Prints a line for each."""
    killed = 0
    while killed < kills:
        await asyncio.sleep(pause())
        found = list((await pids(client)).values())
        if found:
            os.kill(draw.choice(found), signal.SIGKILL)
            killed += 1
            print(f"killed a worker of {len(found)}")


def test_shards_of_a_killed_worker_are_pulled_by_others(
    sandbox: Address, calm: tuple[dict[str, list[bytes]], Report], tmp_path: Path
) -> None:
    """Records and sums equal those of one process that nobody disturbed."""

    async def main() -> Report:
        async with cluster(2) as client:
            # Slow enough that there is something to kill.
            pulling = asyncio.create_task(run(client, sandbox, tmp_path / "x", per_minute=600))
            await kill_workers(client, random.Random(7), lambda: 0.7, 2)
            assert not pulling.done()
            return await pulling

    assert_equal(tmp_path / "x", asyncio.run(main()), calm)


@pytest.mark.soak
def test_twenty_kills_of_workers_and_three_of_the_cluster(
    sandbox: Address, calm: tuple[dict[str, list[bytes]], Report], tmp_path: Path
) -> None:
    """At random moments; after each kill of the whole cluster the same pull runs again."""
    draw = random.Random(20)
    into = tmp_path / "x"
    for number in range(3):
        pulling = command(sandbox, into, "--per-minute", "120")
        wait_for(lambda: list(into.glob("shard-*/checkpoint.sqlite")))
        time.sleep(draw.uniform(0.5, 4.0))
        assert pulling.poll() is None, pulling.communicate()
        os.killpg(pulling.pid, signal.SIGKILL)
        pulling.communicate()
        wait_for(lambda group=pulling.pid: not group_exists(group))  # type: ignore[misc]
        print(f"cluster killed {number + 1} times, {len(list(into.glob('shard-*')))} shards begun")

    async def main(into: Path, kills: int, per_minute: int) -> Report:
        async with cluster(3) as client:
            pulling = asyncio.create_task(run(client, sandbox, into, per_minute=per_minute))
            await kill_workers(client, draw, lambda: draw.uniform(0.2, 2.0), kills)
            # Otherwise the last ones were killed with nothing to lose.
            assert not pulling.done()
            return await pulling

    # The directory of the killed clusters has only a part left to pull.
    for directory, kills, per_minute in ((into, 4, 60), (tmp_path / "y", 8, 90), (tmp_path / "z", 8, 90)):
        report = asyncio.run(main(directory, kills, per_minute))
        assert_equal(directory, report, calm)
        print(f"{kills} workers killed in {directory.name}: {report.total.rows} records, all equal")
