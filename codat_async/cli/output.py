"""What is printed when a command has ended: reports, plans and conversions as text."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from codat_async.cli.terminal import format_table
from codat_async.wording import format_seconds, pluralize

if TYPE_CHECKING:
    from codat_async.bulk import Converted, Counts, Estimate, FailureGroup, Plan, Report
    from codat_async.bulk.store.roster import Absent
    from codat_async.bulk.store.state import StoreUse

__all__ = [
    "format_absent",
    "format_conversion",
    "format_failures",
    "format_plan",
    "format_report",
    "next_step",
]

_FAILURES_SHOWN: Final = 20


def format_report(report: "Report", into: str) -> str:
    """Format a report: a table with a line for each type, the failures, and the outcome in the last line."""
    titles = ["data type", "read", "unchanged", "records", "requests", "retries", "MB", "invalid", "drift"]
    titles.append("failed")
    rows = [titles]
    for name, counts in [*sorted(report.types.items()), ("total", report.total)]:
        rows.append(
            [
                name,
                f"{counts.done:,}",
                f"{counts.unchanged:,}",
                f"{counts.rows:,}",
                f"{counts.requests:,}",
                f"{counts.retries:,}",
                f"{counts.received / 1e6:,.1f}",
                f"{counts.invalid:,}",
                f"{abs(counts.missing):,}",
                f"{counts.failed:,}",
            ]
        )
    lines = [format_table(rows), ""]
    for name, count in sorted(report.skipped.items()):
        lines.append(f"{name}: not offered by the accounting platform for {pluralize(count, 'list')}")
    lines += _format_freshness(report.total)
    lines += format_failures(report.failures)
    lines += [f"damaged, read again: {each}" for each in report.damaged]
    lines += format_absent(report.absent, report.absent_companies)
    if report.total.invalid:
        invalid = pluralize(report.total.invalid, "invalid record")
        lines.append(f"{invalid}: kept in the raw files, and listed with the reason in {into}/invalid")
    if report.stopped:
        lines.append(f"stopped: {report.stopped}")
    if report.elsewhere:
        others = pluralize(report.elsewhere, "list")
        lines.append(
            f"{others} of other types or companies unfinished: pull those types or companies to finish"
        )
    if report.store is not None:
        lines.append(_store_line(report.store))
    lines.append(_outcome_line(report, into))
    return "\n".join(lines)


def _format_freshness(total: "Counts") -> list[str]:
    """Format what was not read, or only to verify that it is unchanged."""
    lines = []
    if total.syncing:
        lines.append(f"{pluralize(total.syncing, 'list')} not read, since a sync of them is running")
    if total.not_synced:
        lines.append(f"{pluralize(total.not_synced, 'list')} not read, since Codat never synced them")
    if total.rechecked:
        rechecked, found = pluralize(total.rechecked, "unchanged list"), f"{total.missed:,}"
        lines.append(f"{rechecked} read to verify that: {found} had a change that no sync accounts for")
    return lines


def format_failures(groups: "Sequence[FailureGroup]") -> list[str]:
    """Format failures: a few lines of each kind, and how many more there are."""
    lines = []
    for group in groups:
        for failure in group.examples:
            ids = (failure.type, failure.company, failure.connection, failure.parent)
            source = " ".join(part for part in ids if part)
            lines.append(f"failed: {source}: {failure.kind}: {failure.text}")
        if group.count > len(group.examples):
            more = pluralize(group.count - len(group.examples), "more failure")
            lines.append(f"… and {more}: {group.kind}")
    return lines


def format_absent(absent: "Sequence[Absent]", number: int) -> list[str]:
    """Format the companies that are no longer linked or listed, of whom there are ``number``."""
    lines = []
    for each in absent[:_FAILURES_SHOWN]:
        name = f"{each.company} ({each.name})" if each.name else each.company
        what = "no longer listed under this API key" if each.reason == "unlisted" else "no longer linked"
        link = f"; link it at {each.link}" if each.link else ""
        lines.append(f"company {name} is {what} since {each.since}{link}")
    if number > len(lines):
        lines.append(f"… and {pluralize(number - len(lines), 'more company', 'more companies')}")
    return lines


def _store_line(use: "StoreUse") -> str:
    calls = pluralize(use.reads + use.writes + use.deletes, "request")
    faults = f", {pluralize(use.faults, 'fault')}" if use.faults else ""
    return f"object storage: {calls}, {use.sent / 1e6:,.1f} MB sent{faults}"


def _outcome_line(report: "Report", into: str) -> str:
    run = f"{report.mode} run {report.run} of {pluralize(report.companies, 'company', 'companies')}"
    unfinished = report.open + report.total.failed
    remaining = f"{pluralize(unfinished, 'list')} left" if unfinished else "no list left"
    if report.outcome == "done":
        time = "" if report.seconds is None else f" in {format_seconds(report.seconds)}"
        return f"all done: {run}, {pluralize(report.total.rows, 'record')}{time}, in {into}"
    if report.outcome == "partial":
        advice = "run the same command again to continue" if unfinished else "see above for what is missing"
        return f"partly done: {run}, {remaining}; {advice}"
    return f"failed: {run}, nothing was pulled"


def next_step(report: "Report", into: str, *, converted: bool) -> str:
    """Return the line that says what to do after a pull."""
    directory = shlex.quote(into)
    if report.outcome == "failed":
        return f"next: run the same command again; 'codat-async status {directory}' shows what is there"
    if report.open or report.total.failed:
        return (
            f"next: run the same command again to continue, or 'codat-async status {directory} --units'"
            " to see what is left"
        )
    page = f"'codat-async report {directory}' for a page of this run"
    if report.absent_companies:
        return f"next: {page}; 'codat-async forget {directory} COMPANY' removes a company that left"
    if converted or not report.total.done:
        return f"next: {page}"
    return f"next: 'codat-async convert {directory}' for Parquet files or DuckDB, {page}"


def format_plan(plan: "Plan") -> str:
    """Format a plan: a table with a line for each type, then the sums and the share of the daily quota."""
    rows = [["data type", "lists", "records", "requests", "MB (estimate)"]]
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
    lines = [format_table(rows), ""]
    lines += [
        f"total unknown: {unit}: {failure.kind}: {failure.text}"
        for unit, failure in plan.failures[:_FAILURES_SHOWN]
    ]
    lines.append(
        f"{pluralize(plan.companies, 'company', 'companies')}, {pluralize(plan.records, 'record')}, "
        f"{pluralize(plan.requests, 'request')}, "
        f"about {plan.bytes / 1e6:,.0f} MB ({plan.bytes / 8e6:,.0f} MB compressed), "
        f"{format_seconds(plan.seconds)} at the configured limits"
    )
    if plan.sampled:
        what = "data status and totals" if plan.asked else "totals"
        lines.append(f"estimated from the {what} of {pluralize(plan.sampled, 'company', 'companies')}")
    if plan.ungated is not None:
        lines += _format_night(plan, plan.ungated)
    if plan.unlinked:
        companies = pluralize(plan.unlinked, "company", "companies")
        lines.append(f"{companies} not linked, and not read without --include-unlinked")
    if plan.quota is not None and plan.quota_left is not None:
        verdict = "fits" if plan.fits else "DOES NOT FIT"
        lines.append(
            f"{plan.share_of_quota or 0:.1%} of the daily quota of {plan.quota:,}; "
            f"{plan.quota_left:,} left today: {verdict}"
        )
    return "\n".join(lines)


def _format_night(plan: "Plan", ungated: "Estimate") -> list[str]:
    """Format what is particular to a night after others."""
    lines = []
    if plan.freshness:
        source = "if every list changed, since no night is known yet"
        if plan.asked:
            source = "as asked"
        elif plan.nights:
            source = f"from {pluralize(plan.nights, 'earlier night')}"
        lines.append(
            f"{pluralize(plan.status_requests, 'request')} about data status among them, estimated {source}; "
            f"without them {pluralize(ungated.requests, 'request')}, {format_seconds(ungated.seconds)}"
        )
    if plan.refresh_requests:
        lines.append(f"{pluralize(plan.refresh_requests, 'request')} to refresh among them")
    if plan.unknown:
        lines.append(
            f"{pluralize(plan.unknown, 'list')} of which nothing is known, counted as a request each"
        )
    return lines


def format_conversion(converted: "Sequence[Converted]", parquet: str | None, duckdb: Path | None) -> str:
    """Format the result of a conversion: a table with a line for each type, then the sum and the targets."""
    rows = [["data type", "files", "records", "slow path", "inexact", "invalid", "merged"]]
    for each in converted:
        counts = (each.files, each.records, each.slow, each.inexact, each.unreadable, each.merged)
        if any(counts):
            rows.append([each.type, *(f"{count:,}" for count in counts)])
    lines = [format_table(rows), ""] if len(rows) > 1 else []
    targets = [str(path) for path in (parquet, duckdb) if path is not None]
    records = pluralize(sum(each.records for each in converted), "record")
    lines.append(f"converted: {records}, in {' and '.join(targets)}")
    return "\n".join(lines)
