"""The memory of a pull hardly depends on the number of records."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest
from aiohttp import web
from bulk_big_server import BigServer

from tests.faults.bombs import bomb

PULL = """
import asyncio, re, sys
from codat_async import Codat, Limits, bulk

async def main():
    async with Codat("key", base_url=sys.argv[1], limits=Limits(per_minute=None)) as codat:
        options = bulk.PullOptions(types=["customers"], page_size=1000, memory=int(sys.argv[3]) << 20)
        report = await bulk.pull(codat, sys.argv[2], options=options)
    # Not getrusage, which a process inherits from the larger one that started it.
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
    print(report.outcome, report.total.rows, round(report.seconds, 1), int(peak[1]) // 1024)

asyncio.run(main())
"""


@contextmanager
def serving(companies: int, size: int) -> Iterator[str]:
    """A server whose lists have ``size`` records."""
    command = [sys.executable, str(Path(__file__).with_name("bulk_big_server.py")), str(companies), str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


def pull(base_url: str, into: Path, memory: int = 64) -> str:
    """What a pull in a process of its own prints."""
    command = [sys.executable, "-c", PULL, base_url, str(into), str(memory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def peak(companies: int, size: int, into: Path) -> int:
    """The peak memory of a pull of ``companies`` lists of ``size`` records, in MB."""
    with serving(companies, size) as base_url:
        outcome, rows, seconds, megabytes = pull(base_url, into).split()
    print(f"{companies} x {size:,}: {outcome}, {rows} records in {seconds} s, peak {megabytes} MB")
    assert (outcome, int(rows)) == ("done", companies * size)
    return int(megabytes)


@pytest.mark.soak
@pytest.mark.parametrize("companies", [1, 20])
def test_ten_times_the_records_take_at_most_a_third_more_memory(companies: int, tmp_path: Path) -> None:
    """A million records instead of 100,000, in one list or in twenty."""
    # The peak of one run depends on which pages happen to arrive together.
    small = median(peak(companies, 100_000 // companies, tmp_path / f"small-{each}") for each in range(3))
    large = median(peak(companies, 1_000_000 // companies, tmp_path / f"large-{each}") for each in range(3))
    print(f"{large / small:.2f} times")
    assert large <= 1.3 * small


class BombServer(BigServer):
    """Lists whose pages are small, and inflate to 64 MiB each."""

    def _answer(self, path: str, query: dict[str, str]) -> web.Response:
        if "/data/" not in path:
            return super()._answer(path, query)
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return web.Response(body=bomb("gzip", 64 << 20), headers=headers)


async def test_pages_that_inflate_take_no_more_than_the_memory(tmp_path: Path) -> None:
    """Each list fails with a reason of its own, and all of them together stay within bounds."""
    peaks = []
    for kind in (BigServer, BombServer):
        async with kind(10, 1) as server:
            output = await asyncio.to_thread(pull, server.base_url, tmp_path / kind.__name__, 16)
        outcome, rows, _, megabytes = output.split()
        peaks.append(int(megabytes))
    assert (outcome, rows) == ("failed", "0")
    # Ten answers at once would take 160 MB if each could have all of the memory.
    assert peaks[1] - peaks[0] < 5 * 16
    report = json.loads((tmp_path / "BombServer" / "report.json").read_bytes())
    assert {failure["kind"] for failure in report["failures"]} == {"too_large"}
