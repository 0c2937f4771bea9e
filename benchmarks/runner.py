"""Runs rows: a process for each side, one warm-up round, then a round of each side in turn.

A row whose figures differ from process to process starts them several times. One whose figures
differ by more than :data:`SETTLED` gets more rounds, as far as its case has time.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO, Final

from benchmarks.measure import SDK, STEP_MARK, Row, Sample
from benchmarks.peers import environments

SETTLED: Final = 0.15
"""The spread from which on a row gets more rounds."""
MORE_SECONDS: Final = 40.0
"""The time that the rows of a case have for more rounds."""
MORE_ROUNDS: Final = 4
"""A row gets at most so many times its rounds."""


@dataclass
class Figures:
    """The figures of one side of a row."""

    samples: list[Sample] = field(default_factory=list)

    def median(self, measure: str) -> float:
        """Return the median of all rounds."""
        return statistics.median(sample[measure] for sample in self.samples)

    def spread(self, measure: str) -> float:
        """Half the range of the middle half of the rounds, as a share of the median; of three, of all."""
        values = sorted(sample[measure] for sample in self.samples)
        median = statistics.median(values)
        outer = len(values) // 4
        middle = values[outer : len(values) - outer]
        return (middle[-1] - middle[0]) / 2 / median if median else 0.0


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
        variables = None
        if row.environment is not None:
            command[0] = environments.python(row.environment)
            variables = environments.variables(row.environment)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
        )

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


class Spare:
    """The time that is left for more rounds of a case."""

    def __init__(self, seconds: float = MORE_SECONDS) -> None:
        self.seconds = seconds

    def allows(self, seconds: float) -> bool:
        """Whether there is time for another round that should take so long."""
        return seconds <= self.seconds


def is_settled(row: Row, figures: Mapping[str, Figures]) -> bool:
    """Whether the figures of all rounds are near each other.

    Memory is left out, and the SDK unless a goal is a ratio to it: its rounds take most of the time.
    """
    compared = {goal.to for goal in row.goals}
    return all(
        each.spread(measure.name) <= SETTLED
        for side, each in figures.items()
        if side != SDK or SDK in compared
        for measure in row.measures
        if measure.unit not in ("MB", "B") and STEP_MARK not in measure.name
    )


@contextmanager
def _workers(row: Row, server: str, short: bool) -> Iterator[dict[str, _Worker]]:
    """Start a process for each side, all at once, and warm them up."""
    with ExitStack() as stack:
        workers = {side: _Worker(row, side, server, short) for side in row.sides}
        for worker in workers.values():
            stack.callback(worker.close)
        for worker in workers.values():
            worker.wait_until_ready()
            if row.warm_up and not short:
                worker.round()
        yield workers


def run(row: Row, *, short: bool, spare: Spare | None = None) -> Outcome:
    """Run all sides of a row; more rounds than it asks for are taken from the spare time."""
    began, load = time.perf_counter(), os.getloadavg()[0]
    spare = spare or Spare(0)
    figures = {side: Figures() for side in row.sides}
    seconds: list[float] = []
    with ExitStack() as stack:
        server = stack.enter_context(serving(*row.server)) if row.needs_server else ""
        started = stack.enter_context(ExitStack())
        workers: dict[str, _Worker] = {}

        def one_round() -> None:
            nonlocal workers
            round_began = time.perf_counter()
            if not workers or (row.processes > 1 and len(seconds) % (row.rounds // row.processes) == 0):
                started.close()
                workers = started.enter_context(_workers(row, server, short))
            for side, worker in workers.items():
                figures[side].samples.append(worker.round())
            seconds.append(time.perf_counter() - round_began)

        for _ in range(1 if short else row.rounds):
            one_round()
        if not short and row.rounds > 1:
            while (
                len(seconds) < MORE_ROUNDS * row.rounds
                and spare.allows(statistics.median(seconds))
                and not is_settled(row, figures)
            ):
                one_round()
                spare.seconds -= seconds[-1]
    return Outcome(row, figures, time.perf_counter() - began, load)
