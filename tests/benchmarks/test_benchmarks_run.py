"""The benchmark command runs a small case; the figures are not checked."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("codat_accounting", reason="the published SDK is one of the sides")
pytest.importorskip("uvloop")

from benchmarks import machine, runner
from benchmarks.cases.imports import importing
from benchmarks.measure import OURS, Row, Sample

ROOT = Path(__file__).parents[2]


def test_short_run_of_one_case() -> None:
    """The command starts its server and its workers, and exits with status 0."""
    command = [sys.executable, "-m", "benchmarks", "--short", "--case", "fanout"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert "every case ran" in run.stdout


@pytest.mark.parametrize("processes", [1, 3])
def test_processes_share_the_rounds(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each set of processes ends before the next starts, and all the rounds are kept."""
    events: list[str] = []

    class Worker:
        def round(self) -> Sample:
            events.append("round")
            return {"time": 1.0}

    @contextmanager
    def workers(row: Row, server: str, short: bool) -> Iterator[dict[str, Worker]]:
        events.append("start")
        yield {OURS: Worker()}
        events.append("end")

    monkeypatch.setattr(runner, "_workers", workers)
    row = Row(
        case="none", title="none", sides={OURS: importing("")}, measures=(), rounds=6, processes=processes
    )
    outcome = runner.run(row, short=False)
    one = ["start", *["round"] * (6 // processes), "end"]
    assert events == one * processes
    assert len(outcome.figures[OURS].samples) == 6


@pytest.mark.skipif(not hasattr(socket, "TCP_CONGESTION"), reason="Linux chooses it by socket")
def test_accepted_connections_are_not_paced() -> None:
    """What a server accepts has the congestion control of the socket that it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        machine.unpace(listening)
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            found = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    assert found.rstrip(b"\0") == b"reno"
