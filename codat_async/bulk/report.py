"""The report of a run: how every unit ended, in sums for people and in full for programs."""

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from codat_async.bulk.failures import Failure
from codat_async.bulk.progress import Counts
from codat_async.bulk.store.checkpoint import Checkpoint, Run, State
from codat_async.bulk.store.directory import REPORT, DirectoryError, open_checkpoint, pull_process
from codat_async.bulk.units import Unit

__all__ = ["Outcome", "Report", "UnitFailure", "make_report", "status", "write_report"]

_MAX_FAILURES: Final = 1000


class Outcome(StrEnum):
    """How a pull ended."""

    DONE = "done"
    PARTIAL = "partial"
    """Some lists are left; the same command continues with them."""
    FAILED = "failed"
    """Nothing was pulled."""


class UnitFailure(Struct, frozen=True):
    """A unit, or a whole company, that could not be pulled."""

    type: str
    """Empty if the failure is of the company."""
    company: str
    connection: str | None
    parent: str | None
    kind: str
    text: str


class Report(Struct, kw_only=True):
    """The result of a run; ``report.json`` has the same and every unit."""

    outcome: Outcome
    run: str
    mode: str
    began: str
    ended: str
    seconds: float | None
    """How long the last process worked on it, if known."""
    stopped: str | None = None
    """Why the run ended early; None if it did not."""
    total: Counts
    types: dict[str, Counts]
    companies: int
    open: int
    """Units that are not done yet."""
    elsewhere: int
    """Unfinished or failed units of types or companies that this command did not ask for."""
    failures: list[UnitFailure]
    """The first thousand."""
    skipped: dict[str, int] = {}
    """The number of lists, by type, that the platform does not offer."""
    process: int | None = None
    """The id of the process that runs it now; None if none does."""


class _Written(Struct):
    """What is in ``report.json`` and not in the checkpoint."""

    run: str
    ended: str
    seconds: float
    stopped: str | None
    failures: list[UnitFailure]


def make_report(
    checkpoint: Checkpoint,
    run: Run,
    *,
    wanted: Callable[[Unit], bool] = lambda unit: True,
    missing_companies: list[tuple[str, Failure]],
    seconds: float | None = None,
    stopped: str | None = None,
) -> Report:
    """Add up the units of a run that are ``wanted``."""
    total, types, failures = Counts(), dict[str, Counts](), list[UnitFailure]()
    companies: set[str] = set()
    skipped: dict[str, int] = {}
    opened = 0
    for company, failure in missing_companies:
        failures.append(UnitFailure("", company, None, None, failure.kind, failure.text))
    for _, unit, state in checkpoint.units(run.id):
        if not wanted(unit):
            continue
        companies.add(unit.company)
        types.setdefault(unit.type, Counts()).add(state)
        total.add(state)
        if state.state in (State.WAITING, State.READING):
            opened += 1
        if state.state == State.SKIPPED:
            skipped[unit.type] = skipped.get(unit.type, 0) + 1
        if state.state == State.FAILED and len(failures) < _MAX_FAILURES:
            failures.append(
                UnitFailure(
                    unit.type,
                    unit.company,
                    unit.connection or None,
                    unit.parent or None,
                    state.failure or "",
                    state.error or "",
                )
            )
    if not (opened or total.failed or missing_companies or stopped):
        outcome = Outcome.DONE
    else:
        outcome = Outcome.PARTIAL if total.done or total.skipped or total.pages else Outcome.FAILED
    return Report(
        outcome=outcome,
        run=run.id,
        mode=run.mode,
        began=run.began,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=None if seconds is None else round(seconds, 3),
        stopped=stopped,
        total=total,
        types=types,
        companies=len(companies),
        open=opened,
        elsewhere=checkpoint.open_units() - opened - total.failed,
        failures=failures,
        skipped=skipped,
    )


def status(directory: Path | str) -> Report:
    """The report of the pull in a directory, also while it runs; raises DirectoryError if there is none."""
    path = Path(directory)
    checkpoint = open_checkpoint(path)
    try:
        run = checkpoint.current_run()
        if run is None:
            raise DirectoryError(f"{directory} has a pull that has not started yet; try again in a moment")
        process = pull_process(path)
        written = _written(path / REPORT, run) if process is None else None
        if written is None:
            report = make_report(checkpoint, run, missing_companies=[])
        else:
            report = make_report(
                checkpoint,
                run,
                missing_companies=[
                    (each.company, Failure(each.kind, each.text))
                    for each in written.failures
                    if not each.type
                ],
                seconds=written.seconds,
                stopped=written.stopped,
            )
            report.ended = written.ended
        if process is not None:
            report.process, report.outcome = process, Outcome.PARTIAL
        return report
    finally:
        checkpoint.close()


def _written(path: Path, run: Run) -> _Written | None:
    """What the run wrote when it ended, if it did."""
    try:
        written = msgspec.json.decode(path.read_bytes(), type=_Written)
    except (OSError, msgspec.MsgspecError):
        return None
    return written if written.run == run.id else None


def write_report(path: Path, report: Report, checkpoint: Checkpoint) -> None:
    """Write ``report.json``: the report, and a line for each unit."""
    fresh = path.with_name(f"{path.name}.part")
    try:
        with fresh.open("wb") as file:
            head = msgspec.json.format(msgspec.json.encode(report), indent=1)
            file.write(head.rstrip().removesuffix(b"}").rstrip() + b',\n "units": [')
            for number, line in enumerate(_unit_lines(checkpoint, report.run)):
                file.write((b",\n  " if number else b"\n  ") + line)
            file.write(b"\n ]\n}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def _unit_lines(checkpoint: Checkpoint, run: str) -> Iterator[bytes]:
    for _, unit, state in checkpoint.units(run):
        ended = state.state in (State.DONE, State.SKIPPED, State.FAILED)
        yield msgspec.json.encode(
            {
                "type": unit.type,
                "company": unit.company,
                "connection": unit.connection or None,
                "parent": unit.parent or None,
                "state": state.state,
                "since": state.since,
                "rows": state.rows,
                "pages": state.pages,
                "requests": state.requests,
                "retries": state.retries,
                "waited": round(state.waited, 3),
                "bytes": state.received,
                "bytes_written": state.bytes_written,
                "drift": {"repeats": state.repeats, "missing": state.missing, "passes": state.passes},
                "overlap": state.overlap,
                "invalid": state.invalid,
                "next_page": None if ended else state.next_page,
                "error": None if state.failure is None else {"kind": state.failure, "text": state.error},
            }
        )
