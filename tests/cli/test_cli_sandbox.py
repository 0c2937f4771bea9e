"""``codat-async sandbox``, and the sandbox process behind ``--sandbox``."""

import os
import signal
import subprocess
import sys

import pytest
from cli_runner import command, error_line

from codat_async.sandbox import SandboxThread


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot signal a single process")
def test_sandbox_prints_export_lines() -> None:
    """Two lines to paste once it listens, and status 0 after Ctrl-C."""
    arguments = [sys.executable, "-m", "codat_async.cli", "sandbox", "--port", "0", "--companies", "1"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline(), server.stdout.readline()]
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=20)
    assert lines[0].startswith("export CODAT_BASE_URL=http://127.0.0.1:")
    assert lines[1].startswith("export CODAT_API_KEY=")
    assert (server.returncode, errors) == (0, "")


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """One line names the address, and the status is 2."""
    with SandboxThread(companies=1) as other:
        assert command("sandbox", "--port", other.port) == 2
        assert f"cannot listen on 127.0.0.1:{other.port}: " in error_line(capsys)


@pytest.mark.parametrize("options", [b"", b'{"companies":1}\n'])
def test_sandbox_process_ends_with_its_parent(options: bytes) -> None:
    """It ends with status 0 and prints no error if nobody sends its options, or nobody reads its address."""
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [sys.executable, "-m", "codat_async.sandbox"]
    done = subprocess.run(
        arguments, input=options, stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
