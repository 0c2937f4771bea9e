"""The report of a run: sums by type and failures grouped by kind, whatever the number of companies."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.counts import DATA_STATUS, Counts, sum_of
from codat_async.bulk.store.disk import write_private
from codat_async.bulk.store.layout import REPORT
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.remote.view import open_view
from codat_async.bulk.store.roster import Absent
from codat_async.bulk.store.shards import pull_directories
from codat_async.bulk.store.state import Run, StoreUse
from codat_async.bulk.store.timeline import Timeline
from codat_async.bulk.units.failures import Failure

__all__ = [
    "MISSING",
    "FailureGroup",
    "Outcome",
    "Report",
    "UnitFailure",
    "company_failures",
    "decode_report",
    "group_failures",
    "make_report",
    "merge_groups",
    "merge_outcomes",
    "merge_reports",
    "merged_report",
    "read_report",
    "write_report",
]

_EXAMPLES: Final = 5
_MAX_ABSENT: Final = 100
MISSING: Final = 100
"""How many companies that were not found are kept with a run."""


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


class FailureGroup(Struct):
    """The failures of one kind."""

    kind: str
    count: int = 0
    types: dict[str, int] = {}
    """The number by data type; under an empty name, the companies."""
    examples: list[UnitFailure] = []
    """The first few."""


class Report(Struct, kw_only=True):
    """The result of a run; ``report.json`` has the same."""

    outcome: Outcome
    run: str
    mode: str
    """``incremental`` if of any list only the changes were read, else ``full``."""
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
    failures: list[FailureGroup]
    skipped: dict[str, int] = {}
    """The number of lists, by type, that the platform does not offer."""
    damaged: list[str] = []
    """The files that were found damaged; the lists in them were read again."""
    absent: list[Absent] = []
    """The companies that were pulled before and are no longer linked or listed; at most a hundred."""
    absent_companies: int = 0
    """How many there are."""
    timeline: Timeline | None = None
    """The pace, the pauses and the quota over time."""
    store: StoreUse | None = None
    """The calls to object storage; None for a local directory."""


def make_report(
    checkpoint: Checkpoint,
    run: Run,
    *,
    types: Sequence[str],
    companies: int,
    counts: dict[str, Counts],
    missing_companies: Iterable[tuple[str, Failure]],
    damaged: Sequence[str] = (),
    seconds: float | None = None,
    stopped: str | None = None,
    timeline: Timeline | None = None,
) -> Report:
    """Add up a run, for these types of the companies that are wanted in the checkpoint."""
    mask = checkpoint.keys.types(types)
    chosen = {name: counts[name] for name in (*types, DATA_STATUS) if name in counts}
    total = sum_of(chosen.values())
    opened, failed = checkpoint.work.open_count(mask)
    everywhere, _ = checkpoint.work.open_count()
    missing = list(missing_companies)
    groups = group_failures(checkpoint, company_failures(missing), types=mask)
    absent = checkpoint.roster.absent()
    if not (opened or missing or stopped):
        outcome = Outcome.DONE
    else:
        read = total.done or total.skipped or total.pages or total.not_read
        outcome = Outcome.PARTIAL if read else Outcome.FAILED
    return Report(
        outcome=outcome,
        run=run.id,
        mode="incremental" if total.incremental or total.unchanged else "full",
        began=run.began,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=None if seconds is None else round(seconds, 3),
        stopped=stopped,
        total=total,
        types=chosen,
        companies=companies,
        open=opened - failed,
        elsewhere=everywhere - opened,
        failures=groups,
        skipped={
            name: each.skipped + each.not_supported
            for name, each in chosen.items()
            if each.skipped or each.not_supported
        },
        damaged=list(damaged),
        absent=absent[:_MAX_ABSENT],
        absent_companies=len(absent),
        timeline=timeline,
    )


def company_failures(missing: Iterable[tuple[str, Failure]]) -> list[UnitFailure]:
    """The failures of whole companies."""
    return [UnitFailure("", company, None, None, failure.kind, failure.text) for company, failure in missing]


def group_failures(
    checkpoint: Checkpoint, failures: Iterable[UnitFailure] = (), *, types: int | None = None
) -> list[FailureGroup]:
    """Failures by kind, the most frequent first: those given, and the lists that failed.

    With ``types`` only those of the companies that are wanted in the checkpoint.
    """
    groups: dict[str, FailureGroup] = {}

    def add(failure: UnitFailure) -> None:
        group = groups.setdefault(failure.kind, FailureGroup(failure.kind))
        group.count += 1
        group.types[failure.type] = group.types.get(failure.type, 0) + 1
        if len(group.examples) < _EXAMPLES:
            group.examples.append(failure)

    for each in failures:
        add(each)
    for row in checkpoint.lists.failed(types):
        state, unit = row.progress, row.unit
        kind, text = (state.failure or "", state.error or "") if state is not None else ("", "")
        add(UnitFailure(unit.type, unit.company, unit.connection or None, unit.parent or None, kind, text))
    return sorted(groups.values(), key=lambda group: -group.count)


def merge_outcomes(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of several pulls as of one."""
    found = set(outcomes)
    return found.pop() if len(found) == 1 else Outcome.PARTIAL


def merge_groups(groups: Iterable[FailureGroup]) -> list[FailureGroup]:
    """Groups of several pulls, those of one kind together; the most frequent first."""
    merged: dict[str, FailureGroup] = {}
    for each in groups:
        group = merged.setdefault(each.kind, FailureGroup(each.kind, types={}, examples=[]))
        group.count += each.count
        for name, count in each.types.items():
            group.types[name] = group.types.get(name, 0) + count
        group.examples = [*group.examples, *each.examples][:_EXAMPLES]
    return sorted(merged.values(), key=lambda group: -group.count)


def merge_reports(reports: Sequence[Report]) -> Report:
    """The reports of all shards as one: sums, and times from the first beginning to the last end."""
    names = dict.fromkeys(name for report in reports for name in report.types)
    types = {name: sum_of(report.types[name] for report in reports if name in report.types) for name in names}
    absent = [each for report in reports for each in report.absent]
    skipped = Counter[str]()
    for report in reports:
        skipped.update(report.skipped)
    began, ended = min(each.began for each in reports), max(each.ended for each in reports)
    return Report(
        outcome=merge_outcomes(report.outcome for report in reports),
        run=max(report.run for report in reports),
        mode="incremental" if any(report.mode == "incremental" for report in reports) else "full",
        began=began,
        ended=ended,
        seconds=(datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds(),
        stopped="; ".join(dict.fromkeys(filter(None, (report.stopped for report in reports)))) or None,
        total=sum_of(types.values()),
        types=types,
        companies=sum(report.companies for report in reports),
        open=sum(report.open for report in reports),
        elsewhere=sum(report.elsewhere for report in reports),
        failures=merge_groups(group for report in reports for group in report.failures),
        skipped=dict(skipped),
        damaged=[each for report in reports for each in report.damaged],
        absent=absent[:_MAX_ABSENT],
        absent_companies=sum(report.absent_companies for report in reports),
        store=_sum_of_use([report.store for report in reports if report.store is not None]),
    )


def _sum_of_use(parts: Sequence[StoreUse]) -> StoreUse | None:
    if not parts:
        return None
    return StoreUse(
        **{name: sum(getattr(each, name) for each in parts) for name in StoreUse.__struct_fields__}
    )


def merged_report(directory: Path | str | RemoteDirectory) -> Report | None:
    """What ``report.json`` has, for all shards together if there are some; None if any is missing."""
    found = list[Report]()
    with open_view(place_of(directory)) as (root, _):
        for path in pull_directories(root):
            if (report := read_report(path / REPORT)) is None:
                return None
            found.append(report)
    return found[0] if len(found) == 1 else merge_reports(found)


def write_report(path: Path, report: Report) -> None:
    """Write ``report.json``."""
    try:
        write_private(path, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    except OSError:
        with contextlib.suppress(OSError):
            path.with_name(f"{path.name}.part").unlink(missing_ok=True)
        raise


def read_report(path: Path) -> Report | None:
    """Read ``report.json``; None if it is missing, unreadable or not of this version."""
    try:
        return decode_report(path.read_bytes())
    except OSError:
        return None


def decode_report(data: bytes | None) -> Report | None:
    """A report from JSON; None if there is none, or it is unreadable or not of this version."""
    try:
        return None if data is None else msgspec.json.decode(data, type=Report)
    except (ValueError, msgspec.MsgspecError):
        return None
