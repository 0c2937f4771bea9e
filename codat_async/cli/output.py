"""What is printed when a command is done: reports, plans and conversions as text."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from codat_async.bulk import Converted, Plan, Report

__all__ = ["conversion_text", "many", "out", "plan_text", "report_text", "span"]

_FAILURES_SHOWN: Final = 20


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the first to the left and the others to the right; under a head."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def report_text(report: Report, into: str) -> str:
    """A report for people: sums by type, then one line for each failure."""
    titles = ["data type", "lists", "records", "requests", "retries", "MB", "invalid", "drift", "failed"]
    rows = [titles]
    for name, counts in [*sorted(report.types.items()), ("total", report.total)]:
        rows.append(
            [
                name,
                f"{counts.done:,}",
                f"{counts.rows:,}",
                f"{counts.requests:,}",
                f"{counts.retries:,}",
                f"{counts.received / 1e6:,.1f}",
                f"{counts.invalid:,}",
                f"{abs(counts.missing):,}",
                f"{counts.failed:,}",
            ]
        )
    lines = [columns(rows), ""]
    for name, count in sorted(report.skipped.items()):
        lines.append(f"{name}: not offered by the platform for {count:,} of the lists")
    for failure in report.failures[:_FAILURES_SHOWN]:
        where = " ".join(
            part for part in (failure.type, failure.company, failure.connection, failure.parent) if part
        )
        lines.append(f"failed: {where}: {failure.kind}: {failure.text}")
    if len(report.failures) > _FAILURES_SHOWN:
        lines.append(f"… and {len(report.failures) - _FAILURES_SHOWN:,} more; see report.json")
    if report.total.invalid:
        invalid = many(report.total.invalid, "record")
        lines.append(f"{invalid} that no model accepts: kept, and listed in {into}/invalid")
    if report.stopped:
        lines.append(f"stopped: {report.stopped}")
    if report.elsewhere:
        lists = many(report.elsewhere, "list")
        lines.append(f"{lists} of other types or companies are open: a command that asks for them goes on")
    lines.append(_verdict(report, into))
    return "\n".join(lines)


def _verdict(report: Report, into: str) -> str:
    what = f"{report.mode} run {report.run} of {many(report.companies, 'company', 'companies')}"
    left = report.open + report.total.failed
    lists = f"{many(left, 'list is', 'lists are')} left" if left else "no list is left"
    if report.process is not None:
        return f"a pull is at work (process {report.process}): {what}, {lists}"
    if report.outcome == "done":
        time = "" if report.seconds is None else f" in {span(report.seconds)}"
        return f"all done: {what}, {many(report.total.rows, 'record')}{time}, in {into}"
    if report.outcome == "partial":
        goes_on = "the same command goes on" if left else "what else is missing is told above"
        return f"partly done: {what}, {lists}; {goes_on}"
    return f"nothing done: {what}"


def many(number: int, one: str, more: str | None = None) -> str:
    """A number of things, in the singular where it is one."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def plan_text(plan: Plan) -> str:
    """A plan for people."""
    rows = [["data type", "lists", "records", "requests", "MB about"]]
    for name, each in sorted(plan.types.items()):
        rows.append(
            [name, f"{each.lists:,}", f"{each.records:,}", f"{each.requests:,}", f"{each.bytes / 1e6:,.1f}"]
        )
    rows.append(
        [
            "total",
            f"{sum(each.lists for each in plan.types.values()):,}",
            f"{plan.records:,}",
            f"{plan.requests:,}",
            f"{plan.bytes / 1e6:,.1f}",
        ]
    )
    lines = [columns(rows), ""]
    lines += [
        f"no total: {unit}: {failure.kind}: {failure.text}"
        for unit, failure in plan.failures[:_FAILURES_SHOWN]
    ]
    lines.append(
        f"{many(plan.companies, 'company', 'companies')}, {many(plan.records, 'record')}, "
        f"{many(plan.requests, 'request')}, "
        f"about {plan.bytes / 1e6:,.0f} MB ({plan.bytes / 8e6:,.0f} MB compressed), "
        f"{span(plan.seconds)} at the configured limits"
    )
    if plan.quota is not None and plan.quota_left is not None:
        verdict = "fits" if plan.fits else "DOES NOT FIT"
        lines.append(
            f"{plan.share_of_quota or 0:.1%} of the day's quota of {plan.quota:,}; "
            f"{plan.quota_left:,} are left today: {verdict}"
        )
    return "\n".join(lines)


def conversion_text(done: Sequence[Converted], parquet: Path | None, duckdb: Path | None) -> str:
    """What a conversion made, for people."""
    rows = [["data type", "files", "records", "record by record", "inexact", "unreadable", "merged"]]
    for each in done:
        counts = (each.files, each.records, each.slow, each.inexact, each.unreadable, each.merged)
        if any(counts):
            rows.append([each.type, *(f"{count:,}" for count in counts)])
    lines = [columns(rows), ""] if len(rows) > 1 else []
    where = [str(path) for path in (parquet, duckdb) if path is not None]
    records = many(sum(each.records for each in done), "record")
    lines.append(f"converted: {records}, in {' and '.join(where)}")
    return "\n".join(lines)


def span(seconds: float) -> str:
    """A time span for people."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def out(text: str, stream: IO[str] | None = None) -> bool:
    """Print, whatever characters the terminal has; gives whether that was possible."""
    stream = stream or sys.stdout
    if stream is None:
        # Closed by whoever started the command.
        return False
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            print(text.encode("ascii", "replace").decode(), file=stream, flush=True)
    except OSError as error:
        # What is buffered would fail once more when Python exits, and what follows each time.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        if not isinstance(error, BrokenPipeError) and stream is not sys.stderr:
            out(f"codat-async: the output could not be written: {error.strerror}", sys.stderr)
        return False
    return True
