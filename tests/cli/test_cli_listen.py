"""The listen command: its arguments, and a clean end at SIGTERM."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from cli_runner import command, error_line

from codat_async import webhooks
from codat_async.sandbox import Address, run_in_background

SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


@pytest.mark.parametrize(
    ("secret", "arguments", "message"),
    [
        (SECRET, ["--nightly", "25:00"], "'25:00' is not a time of day"),
        (SECRET, ["--gather", "soon"], "'soon' is not a time span"),
        (SECRET, ["--sandbox"], "--sandbox cannot be used"),
        (SECRET, ["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:0"),
        ("", [], "is empty"),
        ("secret", [], "secret"),
    ],
)
def test_unusable_arguments_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    secret: str,
    arguments: list[str],
    message: str,
) -> None:
    """In one line, and nothing is left in the directory."""
    monkeypatch.setenv("CODAT_API_KEY", "key")
    file = tmp_path / "webhook"
    file.write_text(secret)
    into = tmp_path / "books"
    assert command("listen", "--into", into, "--port", 0, "--secret-file", file, *arguments) == 2
    assert message in error_line(capsys)
    assert not (into / "raw").exists()


def test_metrics_need_their_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written, one line names it."""
    monkeypatch.setenv("CODAT_API_KEY", "key")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    (file := tmp_path / "webhook").write_text(SECRET)
    into = tmp_path / "books"
    assert command("listen", "--into", into, "--port", 0, "--secret-file", file, "--metrics") == 2
    assert "pip install 'codat-async[otel]'" in error_line(capsys)
    assert not into.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot signal a single process")
def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    """It prints where it listens, stores what it answers, and says at the end what is left."""
    file = tmp_path / "webhook"
    file.write_text(f"{SECRET}\n")
    with run_in_background(companies=1, size=5) as address:
        process = _start(address, tmp_path / "books", file)
        with process:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            body = b'{"eventType":"read.completed","payload":{"referenceCompany":{"id":"%s"}}}' % (
                address.company_ids[0].encode()
            )
            headers = webhooks.sign(body, SECRET, message_id="m", timestamp=int(time.time()))
            request = urllib.request.Request(f"{url}/codat", body, headers, method="POST")
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 204
            process.send_signal(signal.SIGTERM)
            out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    # Either the queue was not read any more, or the pull that it asked for was ended.
    assert out.startswith(
        ("ended: 0 events, 0 pulls", "ended: 1 event, 1 pull of 1 company, 3 requests, 0 left")
    ), out
    assert errors == ""


def _start(address: Address, into: Path, file: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "codat_async.cli", "listen", "--into", str(into), "--port", "0"]
    command += ["--secret-file", str(file), "--types", "customers", "--metrics"]
    environment = {**os.environ, "CODAT_API_KEY": address.api_key, "CODAT_BASE_URL": address.base_url}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
