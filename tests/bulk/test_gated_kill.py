"""A gated night killed with SIGKILL at random moments: it ends equal to an undisturbed one."""

import base64
import json
import random
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from bulk_server import raw_lines
from test_bulk_kill import TYPES, finish, start

from codat_async.bulk.store.sealed import find_damage, sealed_files
from codat_async.bulk.store.versions import current_lines
from codat_async.sandbox import Address, run_in_background


def touch(address: Address, share: float, resource: str) -> None:
    """Change records of a type in every company, by a sync."""
    body = json.dumps({"share": share, "resource": resource}).encode()
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Basic {base64.b64encode(address.api_key.encode()).decode()}",
    }
    request = urllib.request.Request(f"{address.base_url}/_sandbox/touch", body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["touched"] > 0


def current(root: Path) -> set[tuple[str, str, str | None, bytes]]:
    """The current records of all lists in a directory."""
    return {
        (kind, line.company_id, line.account_id, bytes(line.record))
        for kind in TYPES
        for line in current_lines([raw_lines(root, kind)])
    }


@pytest.mark.parametrize(
    ("companies", "kills"), [(10, 3), pytest.param(80, 20, marks=pytest.mark.soak)], ids=["short", "soak"]
)
def test_a_killed_gated_night_equals_an_undisturbed_one(tmp_path: Path, companies: int, kills: int) -> None:
    """And equals a full pull; what a kill left unconfirmed is read by the next night, and then nothing is."""
    draw, struck, nights = random.Random(companies), 0, 0
    with run_in_background(companies=companies, size=20, faults=["latency=0.02;rate=0.3"]) as address:
        status, said = finish(start(address, tmp_path / "first", *TYPES))
        assert status == 0, said
        while struck < kills:
            nights += 1
            touch(address, 0.3, draw.choice(TYPES[:8]))
            killed, calm = tmp_path / f"killed-{nights}", tmp_path / f"calm-{nights}"
            shutil.copytree(tmp_path / "first", killed)
            shutil.copytree(tmp_path / "first", calm)
            begun = time.monotonic()
            status, said = finish(start(address, calm, *TYPES))
            assert status == 0, said
            took = time.monotonic() - begun
            done = False
            while not done:
                pull = start(address, killed, *TYPES)
                try:
                    pull.wait(300 if struck >= kills else took * draw.uniform(0.3, 1.0))
                except subprocess.TimeoutExpired:
                    pull.send_signal(signal.SIGKILL)
                    struck += 1
                status, said = finish(pull)
                done = status == 0
                assert done or status == -signal.SIGKILL, said
            assert current(killed) == current(calm)
            assert not find_damage(sealed_files(killed), verify=True)
            # The lists that a kill left unconfirmed are read by the next night.
            for _ in range(2):
                status, said = finish(start(address, killed, *TYPES))
                assert status == 0, said
            assert current(killed) == current(calm)
            read = json.loads((killed / "report.json").read_text())["total"]
            assert (read["done"], read["unchanged"]) == (0, read["units"])
        status, said = finish(start(address, tmp_path / "full", *TYPES))
        assert status == 0, said
        assert current(killed) == current(tmp_path / "full")
    print(f"{struck} kills in {nights} nights; {len(current(killed))} records")
