"""Ctrl-C and SIGTERM: exit status 130, one line, and nothing half written."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_runner import command, error_line

from codat_async.cli import progress
from codat_async.sandbox import Address

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot signal a single process")

_CPYTHON_109564 = r"(?s)Exception ignored in: <function _SelectorTransport.__del__.*?TypeError: [^\n]*\n"
"""What the sandbox's process may print when its server closes: https://github.com/python/cpython/issues/109564."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_pull_can_be_resumed(tmp_path: Path, number: signal.Signals) -> None:
    """The last line says how to continue, the status is 130, and the same command completes the run.

    SIGTERM is sent to a process that ignores SIGINT, as background jobs of a shell do.
    """
    arguments = [
        sys.executable,
        "-m",
        "codat_async.cli",
        "pull",
        "--sandbox",
        "--into",
        str(tmp_path / "books"),
    ]
    arguments += ["--types", "journal_entries,bills", "--page-size", "10"]
    slow = [*arguments, "--sandbox-faults", "latency=0.05"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if number == signal.SIGTERM else signal.SIG_DFL)
    try:
        pull = subprocess.Popen(slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    until = time.monotonic() + 30
    while not list((tmp_path / "books").rglob("*.part")):
        assert time.monotonic() < until
        time.sleep(0.02)
    pull.send_signal(number)
    _, errors = pull.communicate(timeout=30)
    assert pull.returncode == 130
    assert errors.strip().splitlines()[-1].startswith("codat-async: interrupted; run the same command again")
    assert "Traceback" not in re.sub(_CPYTHON_109564, "", errors)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "all done" in done.stdout
    assert not list((tmp_path / "books").rglob("*.part"))


@pytest.mark.parametrize("name", ["convert", "pull"])
def test_sigterm_during_a_conversion(
    sandbox: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """The status is 130 and no temporary file remains, in ``convert`` and at the end of ``pull``."""
    assert command("pull", "--into", tmp_path / "books", "--types", "bills") == 0
    capsys.readouterr()
    signals = iter([signal.SIGTERM])
    monkeypatch.setattr(progress, "_describe", lambda _: [os.kill(os.getpid(), each) for each in signals])
    monkeypatch.setattr(progress, "_LINE_INTERVAL", 0.0)
    arguments = (
        ("convert", tmp_path / "books") if name == "convert" else ("pull", "--into", tmp_path / "books")
    )
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert command(*arguments, "--types", "bills", "--duckdb", tmp_path / "b.duckdb") == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "codat-async: interrupted; run the same command again" in capsys.readouterr().err
    assert not list((tmp_path / "books").glob(".convert-*"))


@pytest.mark.parametrize("interrupted", [True, False])
def test_exception_of_an_interrupted_library(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    interrupted: bool,
) -> None:
    """After a signal, whatever a library raises is an interruption; without one it is an error."""

    def convert(*_: object, **__: object) -> None:
        if interrupted:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr("codat_async.bulk.convert", convert)
    if interrupted:
        assert command("convert", tmp_path) == 130
        assert "interrupted; run the same command again" in error_line(capsys)
    else:
        with pytest.raises(RuntimeError, match="Query interrupted"):
            command("convert", tmp_path)
