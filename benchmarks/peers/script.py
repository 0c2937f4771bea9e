"""What every script shares; it needs nothing but the standard library.

A script is run as ``python SCRIPT FIRST_URL BASE_URL API_KEY FOLDER [OPTION …]``. It does its work on
the few records of the first URL, which loads what is imported late and counts as start-up, then on
those of the second, and prints the figures as a line of JSON.
"""

import base64
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

PAGE_SIZE = 500


class Work:
    """The arguments of a script."""

    def __init__(self, base_url: str, api_key: str, folder: str, *options: str) -> None:
        self.base_url = base_url
        self.api_key = api_key
        self.headers = {"Authorization": f"Basic {base64.b64encode(api_key.encode()).decode()}"}
        self.folder = Path(folder)
        self.options = options


def run(work: Callable[[Work], int]) -> None:
    """Do the work, which returns the number of records, and print what it cost."""
    first_url, base_url, api_key, folder, *options = sys.argv[1:]
    for name in ("first", "measured"):
        (Path(folder) / name).mkdir()
    work(Work(first_url, api_key, f"{folder}/first", *options))
    start_up, began = time.process_time(), time.perf_counter()
    records = work(Work(base_url, api_key, f"{folder}/measured", *options))
    seconds, cpu = time.perf_counter() - began, time.process_time() - start_up
    figures = {"records": records, "start-up": start_up, "CPU": cpu, "seconds": seconds, "peak MB": _peak()}
    print(json.dumps(figures), flush=True)


def _peak() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmHWM")
