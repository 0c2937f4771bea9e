"""Runs commands, in this process or in one of their own, and reads what they print."""

import subprocess
import sys
from typing import IO

import pytest

from codat_async.cli.app import run

NO_COMPANY = "00000000-0000-0000-0000-000000000000"
"""A company id that no sandbox has."""


def command(*arguments: object) -> int:
    """Run a command in this process and return its exit status."""
    return run([str(each) for each in arguments])


def command_in_process(*arguments: str, stdout: IO[bytes] | int) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "codat_async.cli", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the text on stderr, which must be a single line."""
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("codat-async: ")
    return lines[0]
