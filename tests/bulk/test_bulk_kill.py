"""Pulls killed or out of disk space, then resumed: the files equal those of an undisturbed pull."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from bulk_server import everything, in_force, parts

from codat_async.sandbox import Address, run_in_background

TYPES = (
    "invoices", "bills", "customers", "suppliers", "items",
    "bill_payments", "payments", "journal_entries", "direct_costs", "bank_account_transactions",
)  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Address]:
    """A sandbox of small books with faults, in its own process."""
    faults = [
        "latency=0.01;rate=0.3",
        "503;rate=0.02;times=2",
        "reset;rate=0.01;times=2",
        "truncate;rate=0.01;times=2",
    ]
    with run_in_background(companies=12, size=60, faults=faults) as address:
        yield address


def start(
    address: Address,
    into: Path,
    *types: str,
    page_size: int = 20,
    compression: str = "zstd",
    limit: Callable[[], None] | None = None,
) -> subprocess.Popen[str]:
    """Start a pull from the command line."""
    command = [sys.executable, "-m", "codat_async.cli", "pull", "--into", str(into), "--per-minute", "0"]
    command += ["--types", ",".join(types), "--page-size", str(page_size)]
    command += ["--compression", compression]
    environment = {**os.environ, "CODAT_API_KEY": address.api_key, "CODAT_BASE_URL": address.base_url}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit
    )  # fmt: skip


def finish(pull: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the exit status and the output."""
    out, err = pull.communicate(timeout=600)
    return pull.returncode, out + err


def undisturbed(address: Address, into: Path, types: Sequence[str]) -> tuple[dict[str, list[bytes]], float]:
    """The lines that an undisturbed pull writes, and the seconds it takes."""
    begun = time.monotonic()
    status, said = finish(start(address, into, *types))
    assert status == 0, said
    return everything(into), time.monotonic() - begun


def kill_often(
    address: Address,
    into: Path,
    types: Sequence[str],
    *,
    kills: int,
    within: float,
    seed: int,
    compression: str = "zstd",
) -> int:
    """Run the same pull, killed at random moments, until it ends; returns the number of kills."""
    draw = random.Random(seed)
    for struck in range(kills):
        pull = start(address, into, *types, compression=compression)
        try:
            pull.wait(within * draw.uniform(0.3, 1.0))
        except subprocess.TimeoutExpired:
            pull.send_signal(signal.SIGKILL)
            pull.communicate()
        else:
            status, said = finish(pull)
            assert status == 0, said
            return struck
    status, said = finish(start(address, into, *types, compression=compression))
    assert status == 0, said
    return kills


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_killed_and_resumed_pull_equals_an_undisturbed_one(
    sandbox: Address, tmp_path: Path, compression: str
) -> None:
    """After six kills at random moments no record is lost or duplicated, and all bytes are equal."""
    expected, seconds = undisturbed(sandbox, tmp_path / "calm", TYPES[:5])
    within = 0.5 * seconds
    struck = kill_often(
        sandbox, tmp_path / "killed", TYPES[:5], kills=6, within=within, seed=7, compression=compression
    )
    assert struck >= 2
    assert in_force(tmp_path / "killed") == expected
    assert parts(tmp_path / "killed") == []


def test_a_pull_stopped_by_a_full_disk_can_be_resumed(sandbox: Address, tmp_path: Path) -> None:
    """The error says that the disk is full; with space free again, the result equals an undisturbed pull."""
    expected, _ = undisturbed(sandbox, tmp_path / "calm", TYPES[:3])

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))

    status, said = finish(start(sandbox, tmp_path / "full", *TYPES[:3], limit=small_files))
    assert status in (3, 4), said
    assert "the disk is full" in said
    assert "Traceback" not in said
    status, said = finish(start(sandbox, tmp_path / "full", *TYPES[:3]))
    assert status == 0, said
    assert everything(tmp_path / "full") == expected
    assert parts(tmp_path / "full") == []


def test_a_disk_that_is_full_from_the_start_is_a_one_line_error(sandbox: Address, tmp_path: Path) -> None:
    """There is no space for the checkpoint; the exit status says that nothing was pulled."""

    def no_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))

    status, said = finish(start(sandbox, tmp_path / "full", *TYPES[:1], limit=no_files))
    assert status in (2, 4), said
    assert len(said.strip().splitlines()) == 1, said


@pytest.mark.soak
def test_fifty_kills_of_two_hundred_companies(tmp_path: Path) -> None:
    """200 companies by 10 types, killed at 50 random moments: the lines equal an undisturbed pull's."""
    with run_in_background(companies=200, size=40, faults="flaky") as address:
        expected, seconds = undisturbed(address, tmp_path / "calm", TYPES)
        struck, directory = 0, 0
        while struck < 50:
            directory += 1
            into = tmp_path / f"killed-{directory}"
            within = max(1.0, seconds / 25)
            struck += kill_often(
                address,
                into,
                TYPES,
                kills=50 - struck,
                within=within,
                seed=directory,
                compression=("gzip", "zstd")[directory % 2],
            )
            assert in_force(into) == expected
            assert parts(into) == []
            print(f"{struck} kills so far, in {directory} directories")
        print(f"undisturbed {seconds:.1f} s; {sum(map(len, expected.values()))} records")
