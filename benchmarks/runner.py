"""Runs rows: a process for each side, one warm-up round, then a round of each side in turn."""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO

from benchmarks.measure import Row, Sample


@dataclass
class Figures:
    """The figures of one side of a row."""

    samples: list[Sample] = field(default_factory=list)

    def median(self, measure: str) -> float:
        """Return the median of all rounds."""
        return statistics.median(sample[measure] for sample in self.samples)

    def spread(self, measure: str) -> float:
        """Return half the range of all rounds, as a share of the median."""
        values = [sample[measure] for sample in self.samples]
        median = statistics.median(values)
        return (max(values) - min(values)) / 2 / median if median else 0.0


@dataclass
class Outcome:
    """A row and the figures of all its sides."""

    row: Row
    figures: dict[str, Figures]
    seconds: float
    load: float
    """The average load of the minute before it began."""

    def ratio(self, measure: str, side: str, to: str) -> float:
        """Return the median of the ratios of each round, whose sides ran at about the same time."""
        pairs = zip(self.figures[side].samples, self.figures[to].samples, strict=True)
        return statistics.median(
            mine[measure] / other[measure] if other[measure] else math.inf for mine, other in pairs
        )


class _Worker:
    def __init__(self, row: Row, side: str, server: str, short: bool) -> None:
        self._name = f"{row.key}: {side}"
        command = [
            sys.executable,
            "-m",
            "benchmarks.worker",
            row.key,
            side,
            server,
            "short" if short else "full",
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait_until_ready(self) -> None:
        self._line()

    def round(self) -> Sample:
        _pipe(self._process.stdin).write("\n")
        _pipe(self._process.stdin).flush()
        sample: Sample = json.loads(self._line())
        return sample

    def close(self) -> None:
        _pipe(self._process.stdin).close()
        self._process.wait(60)

    def _line(self) -> str:
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self._name} ended with status {self._process.wait()}")
        return line


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def serving(*server: str) -> Iterator[str]:
    """Start a server in a process of its own and yield its URL."""
    command = [sys.executable, "-m", *server]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = _pipe(process.stdout).readline().strip()
        if not port:
            raise RuntimeError(f"the server ended with status {process.wait()}")
        yield f"http://127.0.0.1:{port}"
    finally:
        _pipe(process.stdin).close()
        process.wait(10)


def run(row: Row, *, short: bool) -> Outcome:
    """Run all sides of a row."""
    started, load = time.perf_counter(), os.getloadavg()[0]
    figures = {side: Figures() for side in row.sides}
    with ExitStack() as stack:
        server = stack.enter_context(serving(*row.server)) if row.needs_server else ""
        workers = {side: _Worker(row, side, server, short) for side in row.sides}
        for worker in workers.values():
            stack.callback(worker.close)
        for worker in workers.values():
            worker.wait_until_ready()
            if row.warm_up and not short:
                worker.round()
        for _ in range(1 if short else row.rounds):
            for side, worker in workers.items():
                figures[side].samples.append(worker.round())
    return Outcome(row, figures, time.perf_counter() - started, load)
