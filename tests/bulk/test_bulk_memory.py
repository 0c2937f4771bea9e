"""The memory of a pull hardly depends on the number of records."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

PULL = """
import asyncio, re, sys
from codat_async import Codat, Limits, bulk

async def main():
    async with Codat("key", base_url=sys.argv[1], limits=Limits(per_minute=None)) as codat:
        options = bulk.PullOptions(types=["customers"], page_size=1000)
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


def peak(companies: int, size: int, into: Path) -> int:
    """The peak memory of a pull of ``companies`` lists of ``size`` records, in MB."""
    with serving(companies, size) as base_url:
        command = [sys.executable, "-c", PULL, base_url, str(into)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcome, rows, seconds, megabytes = done.stdout.split()
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
