"""A fleet of small lists, killed with SIGKILL again and again, some of the times in the middle of sealing."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from bulk_server import everything, in_force

from codat_async import bulk
from codat_async.bulk.store.sealed import find_damage, sealed_files

SERVER = Path(__file__).parents[2] / "benchmarks" / "fleet_server.py"
CHILD = """
import asyncio, sys
from codat_async import Codat, Limits, bulk
from codat_async.bulk.store.writer import Writer

# So that journals are sealed all the time.
Writer.__init__.__kwdefaults__["journal_bytes"] = 8_000
types = ("accounts", "bill_credit_notes", "bills", "credit_notes", "customers",
         "invoices", "items", "payments", "suppliers", "tax_rates")

async def main(port, into, compression):
    async with Codat("key", base_url=f"http://127.0.0.1:{port}", limits=Limits(per_minute=None)) as codat:
        options = bulk.PullOptions(types=types, source="fleet", compression=compression)
        report = await bulk.pull(codat, into, options=options)
    assert report.outcome == "done", report
    print("done")

asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def served(companies: int) -> Iterator[str]:
    """The port of a server of ten types of small lists, in a process of its own."""
    command = [sys.executable, str(SERVER), "--companies", str(companies), "--records", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def start(port: str, into: Path, compression: str) -> subprocess.Popen[str]:
    """Start a pull in a process of its own."""
    command = [sys.executable, "-c", CHILD, port, str(into), compression]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def sealing(into: Path) -> bool:
    """Whether the last process stopped in the middle of sealing."""
    if not (into / "checkpoint.sqlite").exists():
        return False
    with closing(sqlite3.connect(into / "checkpoint.sqlite")) as db:
        try:
            return bool(db.execute("select count(*) from journals where sealing = 1").fetchone()[0])
        except sqlite3.OperationalError:
            # Killed before there were tables.
            return False


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize(
    ("companies", "kills"), [(20, 4), pytest.param(200, 50, marks=pytest.mark.soak)], ids=["short", "soak"]
)
def test_a_killed_fleet_equals_an_undisturbed_one(
    tmp_path: Path, compression: str, companies: int, kills: int
) -> None:
    """Every record is there once, whatever was being written when the process was killed."""
    draw, struck, in_sealing, rounds = random.Random(companies), 0, 0, 0
    with served(companies) as port:
        begun = time.monotonic()
        out, error = start(port, tmp_path / "calm", compression).communicate(timeout=300)
        took = time.monotonic() - begun
        assert out == "done\n", error
        expected = everything(tmp_path / "calm")
        assert len(expected) == 10 * companies
        while struck < kills:
            rounds += 1
            into, done, before = tmp_path / str(rounds), False, struck
            while not done:
                begun = time.monotonic()
                pull = start(port, into, compression)
                try:
                    pull.wait(300 if struck >= kills else took * draw.uniform(0.3, 1.0))
                except subprocess.TimeoutExpired:
                    pull.send_signal(signal.SIGKILL)
                    struck += 1
                out, error = pull.communicate()
                in_sealing += sealing(into)
                done = out == "done\n"
                assert done or pull.returncode == -signal.SIGKILL, error
            if struck == before:
                # The machine is less busy than when the time was taken: most pulls would not be killed.
                took = time.monotonic() - begun
            assert in_force(into) == expected
            assert not find_damage(sealed_files(into), verify=True)
            assert bulk.status(into).total.records == sum(map(len, expected.values()))
            assert not list(into.rglob("*.part"))
    print(f"{struck} kills of {rounds} pulls, {in_sealing} in the middle of sealing")
