"""The benchmark command runs a small case; the figures are not checked."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("codat_accounting", reason="the published SDK is one of the sides")
pytest.importorskip("uvloop")

ROOT = Path(__file__).parents[2]


def test_short_run_of_one_case() -> None:
    """The command starts its server and its workers, and exits with status 0."""
    command = [sys.executable, "-m", "benchmarks", "--short", "--case", "fanout"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert "every case ran" in run.stdout
