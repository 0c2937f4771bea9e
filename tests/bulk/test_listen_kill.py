"""'codat-async listen' killed with SIGKILL while companies sync: nothing that was answered is lost."""

import asyncio
import base64
import contextlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from bulk_server import raw_lines
from test_bulk_kill import finish, start

from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.events import read_events
from codat_async.bulk.store.sealed import find_damage, sealed_files
from codat_async.bulk.store.versions import current_lines
from codat_async.sandbox import Address, Sandbox
from codat_async.sandbox.webhooks import WebhookOptions

TYPES = ("customers", "suppliers", "invoices", "bills")
SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


def free_port() -> int:
    """A port that each process of a test listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listen(address: Address, into: Path, port: int, secret: Path, nightly: str) -> subprocess.Popen[str]:
    """Start the command."""
    command = [sys.executable, "-m", "codat_async.cli", "listen", "--into", str(into), "--per-minute", "0"]
    command += ["--types", ",".join(TYPES), "--port", str(port), "--secret-file", str(secret)]
    command += ["--nightly", nightly, "--gather", "1s", "--log-json"]
    environment = {**os.environ, "CODAT_API_KEY": address.api_key, "CODAT_BASE_URL": address.base_url}
    with (into.parent / "log").open("a") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True)


def current(root: Path) -> set[tuple[str, str, bytes]]:
    """The current records of all lists in a directory."""
    return {
        (kind, line.company_id, bytes(line.record))
        for kind in TYPES
        for line in current_lines([raw_lines(root, kind)])
    }


def events_of(log: Path, name: str) -> Iterable[dict[str, Any]]:
    """The events of the command's log with this name."""
    for line in log.read_text().splitlines():
        if line.startswith("{") and (found := json.loads(line)).get("event") == name:
            yield found


async def in_thread(*command: Any) -> Any:
    """Run something that blocks, so that the sandbox goes on."""
    return await asyncio.to_thread(*command)


async def full_pull(address: Address, into: Path) -> None:
    """Pull everything from the command line."""
    status, said = await in_thread(lambda: finish(start(address, into, *TYPES)))
    assert status == 0, said


def counts(address: Address) -> dict[str, Any]:
    """How many messages the sandbox has sent, how many were accepted, and how many are pending."""
    headers = {"Authorization": f"Basic {base64.b64encode(address.api_key.encode()).decode()}"}
    request = urllib.request.Request(f"{address.base_url}/_sandbox/webhooks", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return {"accepted": 0, **found}


async def sync_at_random(
    sandbox: Sandbox, draw: random.Random, pause: float, stopped: asyncio.Event
) -> list[tuple[str, str, datetime]]:
    """Change records of random companies, by a sync each; returns company, type and the end of each sync."""
    synced = []
    while not stopped.is_set():
        company, kind = draw.choice(sandbox.company_ids), draw.choice(TYPES)
        synced.append((company, kind, datetime.now(UTC)))
        sandbox.records.touch(0.3, company_id=company, resource=kind)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), draw.uniform(0, 2 * pause))
    return synced


async def kill_at_random(
    begin: Callable[[], "subprocess.Popen[str]"],
    address: Address,
    draw: random.Random,
    kills: int,
    seconds: float,
) -> "subprocess.Popen[str]":
    """Kill the command again and again, after it has answered something; returns one that goes on."""
    for _ in range(kills):
        process = await in_thread(begin)
        try:
            before = (await in_thread(counts, address))["accepted"]
            due = time.monotonic() + draw.uniform(0.5, 1.5) * seconds / (kills + 1)
            async with asyncio.timeout(60):
                while time.monotonic() < due or (await in_thread(counts, address))["accepted"] == before:
                    assert process.poll() is None
                    await asyncio.sleep(draw.uniform(0.01, 0.1))
        finally:
            process.send_signal(signal.SIGKILL)
            await in_thread(process.wait)
    process = await in_thread(begin)
    await asyncio.sleep(seconds / (kills + 1))
    return cast("subprocess.Popen[str]", process)


def requests_per_list(log: Path, units: int) -> list[float]:
    """Of each pull that events asked for and that read a list, the requests for each of its lists.

    Without the one request of each company in it whose lists had been read meanwhile.
    """
    found, begun, lists, idle = list[float](), 0, 0, 0
    for line in log.read_text().splitlines():
        each = json.loads(line) if line.startswith("{") else {}
        match each.get("event"):
            case "run_started":
                begun, lists, idle = each["units"], 0, 0
            case "company_checked":
                idle += not each["read"]
            case "unit_done":
                lists += 1
            case "run_done" if lists and begun < units:
                found.append((each["requests"] - idle) / lists)
    return found


def delays(log: Path, synced: Sequence[tuple[str, str, datetime]]) -> list[float]:
    """Seconds from the end of each sync to the end of the first reading of its list after that."""
    done: dict[tuple[str, str], list[datetime]] = {}
    for each in events_of(log, "unit_done"):
        done.setdefault((each["company"], each["type"]), []).append(datetime.fromisoformat(each["at"]))
    found = []
    for company, kind, moment in synced:
        later = [at for at in done.get((company, kind), ()) if at >= moment]
        if later:
            found.append((min(later) - moment).total_seconds())
    return found


@pytest.mark.parametrize(
    ("companies", "kills", "seconds", "scale"),
    [
        (4, 1, 0.0, 0.001),
        pytest.param(50, 10, 120.0, 0.03, marks=pytest.mark.soak),
        pytest.param(50, 0, 90.0, 0.03, marks=pytest.mark.soak),
    ],
    ids=["short", "soak", "undisturbed"],
)
async def test_killed_listener_equals_a_full_pull(
    tmp_path: Path, companies: int, kills: int, seconds: float, scale: float
) -> None:
    """Events come twice and in another order, and a nightly pull is in the middle."""
    draw, port, books = random.Random(companies), free_port(), tmp_path / "books"
    secret, log, units = tmp_path / "secret", tmp_path / "log", companies * len(TYPES)
    secret.write_text(f"{SECRET}\n")
    # In the soak in the middle of it; else one that was missed, so that it is run at once.
    night = datetime.now(UTC) + timedelta(minutes=1 if seconds else -1)
    webhooks = WebhookOptions(
        urls=(f"http://127.0.0.1:{port}/codat",), secret=SECRET, retry_scale=scale, repeats=0.3, shuffle=0.5
    )
    async with Sandbox(companies=companies, size=20, webhooks=webhooks) as sandbox:
        address = Address(base_url=sandbox.base_url, api_key=sandbox.api_key, company_ids=sandbox.company_ids)
        await full_pull(address, books)
        with Directory(books) as directory, directory.checkpoint.transaction():
            last = night - timedelta(hours=23)
            directory.checkpoint.note("nightly", last.isoformat())

        def begin() -> "subprocess.Popen[str]":
            return listen(address, books, port, secret, f"{night:%H:%M}")

        stopped = asyncio.Event()
        changing = asyncio.create_task(sync_at_random(sandbox, draw, 0.25, stopped))
        process = await kill_at_random(begin, address, draw, kills, seconds)
        try:
            stopped.set()
            synced = await changing
            async with asyncio.timeout(240):
                # Until all were delivered, and what was answered was followed.
                while (await in_thread(counts, address))["pending"] or (await in_thread(read_events, books))[
                    0
                ]:
                    assert process.poll() is None, log.read_text()
                    await asyncio.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert await in_thread(process.wait) == 0, log.read_text()
        finally:
            process.kill()
        await full_pull(address, tmp_path / "full")
    assert current(books) == current(tmp_path / "full")
    assert not find_damage(sealed_files(books), verify=True)
    assert any(each["units"] == units for each in events_of(log, "run_started"))
    took, asked = delays(log, synced), requests_per_list(log, units)
    # In the short form the nightly pull may have read all before the events were.
    assert max(asked, default=0) <= 3
    if not seconds:
        return
    print(
        f"{len(synced)} syncs, {kills} kills; seconds to the record on disk: "
        f"median {statistics.median(took):.2f}, worst {max(took):.2f}; "
        f"requests a changed list: mean {statistics.mean(asked):.2f}, most {max(asked):.2f}"
    )
