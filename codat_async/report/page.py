"""Collects what the page shows, from ``report.json`` and the checkpoint."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from codat_async.bulk import (
    CompanyTrouble,
    Counts,
    FailureGroup,
    Inventory,
    Pause,
    Report,
    Timeline,
    TypeInventory,
    status,
    troubled_companies,
)
from codat_async.bulk.report import merged_report
from codat_async.report.advice import advice
from codat_async.report.charts import draw_strip, draw_timeline
from codat_async.report.contents import Figure, Group, Page, PauseRow, Row, Strip, TypeRow
from codat_async.wording import format_age, format_seconds, pluralize
from codat_middleware.text import one_line

__all__ = ["collect"]

_COMPANIES_SIZE: Final = 1_800_000
"""Bytes of the companies' rows and strips, so that the page stays under 2 MB."""
_ROW_SIZE: Final = 32
_PICTURE_SIZE: Final = 28
"""Bytes of the markup of a row, and of a picture in it."""
_USUAL_ROW_SIZE: Final = 180
_LEAST_PICTURES: Final = 100_000
"""Bytes of pictures, whatever the number of companies; those beyond have letters."""
_MOST_PAUSES: Final = 10
_MOST_DAMAGED: Final = 50
_LONGEST: Final = timedelta(days=36_500)
_NAMED: Final = 2
"""Data types of a company that are named beside its strip, not only counted."""
_OWN_COLUMNS: Final = frozenset(
    {
        "units", "done", "skipped", "failed", "incremental", "rows", "expected", "pages", "requests",
        "retries", "waited", "received", "invalid", "repeats", "overlap", "missing",
    }
)  # fmt: skip
"""The counts with a place of their own; others get a column each."""


def collect(directory: Path, *, stale_after: timedelta, now: datetime | None = None) -> Page:
    """Collect what the page shows; raises DirectoryError if there is no pull."""
    now = now or datetime.now(UTC)
    found = status(directory)
    report = merged_report(directory)
    if report is not None and report.run != found.run:
        # The last pull was killed, or it is still running: the file is of an earlier one.
        report = None
    counts = {} if report is None else report.types
    total = Counts() if report is None else report.total
    others = [(name, _title(name)) for name in _other_counts(total)]
    rows = [
        _type_row(name, found.types.get(name, TypeInventory()), counts.get(name, Counts()), others, now)
        for name in sorted({*found.types, *(name for name, each in counts.items() if each.units)})
    ]
    troubled = troubled_companies(directory, now - min(stale_after, _LONGEST))
    columns = {name: index for index, name in enumerate(sorted(found.types))}
    strips, companies = _strips(troubled, columns, now)
    absent = found.absent[:100]
    timeline = None if report is None else report.timeline
    damaged = found.damaged if report is None else [*report.damaged, *found.damaged]
    return Page(
        outcome="running" if found.process is not None else found.outcome,
        sentence=_sentence(found, report),
        next_step=_next_step(found, report),
        directory=str(directory),
        made=_moment(now.isoformat()),
        run=found.run,
        mode="" if report is None else report.mode,
        began=_moment(found.began),
        ended=_moment(None if report is None else report.ended),
        figures=[] if report is None else _figures(report, others),
        notes=_notes(found, report),
        failures=_groups(found.failures if report is None else report.failures),
        damaged=damaged[:_MOST_DAMAGED],
        more_damaged=max(0, len(damaged) - _MOST_DAMAGED),
        absent=[(each, _link(each.link)) for each in absent],
        more_absent=len(found.absent) - len(absent),
        gate=_gate(total),
        other_counts=others,
        types=rows,
        total=_type_row("all", found.total, total, others, now),
        chart=None if timeline is None else draw_timeline(timeline),
        timeline=timeline,
        pause_sums=[] if timeline is None else _pause_sums(timeline),
        pauses=[] if timeline is None else _pauses(timeline),
        stale_after=_span(stale_after),
        strips=strips,
        strip_width=len(columns),
        troubled=len(troubled),
        rows=companies,
    )


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _moment(moment: str | None) -> str:
    return "" if moment is None else f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC"


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 72 else f"{hours:g} hours"


def _link(url: str | None) -> str | None:
    try:
        return url if url is not None and urlsplit(url).scheme in ("http", "https") else None
    except ValueError:
        return None


# --- in words ------------------------------------------------------------------------------


def _sentence(found: Inventory, report: Report | None) -> str:
    if found.process is not None:
        return f"A pull is running (process {found.process})."
    if report is None:
        return "The last pull ended without a report: it was killed, or the disk was full."
    time = "" if report.seconds is None else f" in {format_seconds(report.seconds)}"
    companies = pluralize(report.companies, "company", "companies")
    records = pluralize(report.total.rows, "record")
    if report.outcome == "done":
        same = report.total.unchanged
        rest = f"{pluralize(same, 'list')} had not changed, and none" if same else "and no list"
        return f"All done: {records} of {companies} were read{time}, {rest} is left."
    parts = [pluralize(report.total.failed, "list") + " failed"] if report.total.failed else []
    parts += [pluralize(report.open, "list") + " not read yet"] if report.open else []
    if report.outcome == "failed":
        left = f": {' and '.join(parts)}" if parts else ""
        return f"Failed: nothing of {companies} was pulled{time}{left}."
    left = " and ".join(parts) or "some companies were not found"
    return f"Partly done: {records} of {companies} were read{time}; {left}."


def _next_step(found: Inventory, report: Report | None) -> str:
    if found.process is not None:
        return "What follows is the state of the moment; make the page again when the pull has ended."
    if report is None or report.open or report.total.failed or found.total.lost:
        return "Run the same pull again: it continues where it stopped and reads only what is left."
    if report.outcome == "done":
        return "Convert the records with 'codat-async convert', or run the pull again tomorrow."
    return "See below for what is missing."


def _notes(found: Inventory, report: Report | None) -> list[str]:
    notes = []
    if report is None:
        if found.stopped:
            notes.append(f"The pull before stopped early: {found.stopped}.")
    else:
        if report.stopped:
            notes.append(f"The pull stopped early: {report.stopped}.")
        if report.total.invalid:
            notes.append(
                f"{pluralize(report.total.invalid, 'record')} did not fit the data model: kept in the raw"
                " files, and listed with the reason in the folder 'invalid'."
            )
        if report.total.missing:
            notes.append(
                f"Lists changed while they were read: {pluralize(abs(report.total.missing), 'record')} may"
                " be missing or double."
            )
        if report.elsewhere:
            notes.append(
                f"{pluralize(report.elsewhere, 'list')} of types or companies that this pull did not ask for"
                " unfinished: pull those to finish them."
            )
        if report.skipped:
            skipped = sum(report.skipped.values())
            notes.append(
                f"{pluralize(skipped, 'list')} not offered by the company's accounting platform: nothing is"
                " missing."
            )
    if found.total.lost:
        notes.append(f"{pluralize(found.total.lost, 'list')} damaged: the next pull reads them whole.")
    if found.forgotten:
        notes.append(
            f"{pluralize(found.forgotten, 'company', 'companies')} forgotten: a pull reads them only if it"
            " names them."
        )
    return notes


def _groups(failures: Iterable[FailureGroup]) -> list[Group]:
    return [
        Group(
            each.kind,
            each.count,
            sorted(each.types.items(), key=lambda pair: (-pair[1], pair[0])),
            advice(each.kind),
            each.examples,
        )
        for each in failures
    ]


# --- sums ----------------------------------------------------------------------------------


def _other_counts(total: Counts) -> list[str]:
    names = [name for name in total.__struct_fields__ if name not in _OWN_COLUMNS]
    return [name for name in names if getattr(total, name)]


def _figures(report: Report, others: list[tuple[str, str]]) -> list[Figure]:
    total, timeline = report.total, report.timeline
    figures = [
        Figure("companies", "Companies", report.companies, f"{report.companies:,}"),
        Figure("done", "Lists read", total.done, f"{total.done:,}"),
        Figure("rows", "Records read", total.rows, f"{total.rows:,}"),
        *(Figure(name, title, value := getattr(total, name), f"{value:,}") for name, title in others),
        Figure("failed", "Lists failed", total.failed, f"{total.failed:,}"),
        Figure("open", "Lists left", report.open, f"{report.open:,}"),
        Figure("requests", "Requests", total.requests, f"{total.requests:,}"),
        Figure("retries", "Retries", total.retries, f"{total.retries:,}"),
        Figure("received", "Received", total.received, _size(total.received)),
    ]
    if report.seconds is not None:
        figures.append(Figure("seconds", "Time", report.seconds, format_seconds(report.seconds)))
    left = next((each.quota_left for each in reversed(timeline.points)), None) if timeline else None
    if left is not None:
        figures.append(Figure("quota_left", "Quota left", left, f"{left:,}"))
    return figures


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def _type_row(
    name: str, held: TypeInventory, counts: Counts, others: list[tuple[str, str]], now: datetime
) -> TypeRow:
    return TypeRow(
        name=name,
        held=held,
        counts=counts,
        others=[(other, getattr(counts, other)) for other, _ in others],
        oldest=format_age(held.oldest, now).removesuffix(" ago"),
        newest=format_age(held.newest, now).removesuffix(" ago"),
    )


def _gate(total: Counts) -> str:
    """How many lists were read only to verify that they had not changed, and what that found."""
    if not total.not_read and not total.rechecked:
        return ""
    text = f"{pluralize(total.unchanged, 'list')} not read, since the data status had not changed."
    if not total.rechecked:
        return f"{text} None was read all the same to verify that."
    text += f" {pluralize(total.rechecked, 'list')} read all the same to verify that"
    if not total.missed:
        return f"{text}: none of them had changed."
    share = f"{total.missed / total.rechecked:.1%}"
    return f"{text}: {total.missed:,} of them ({share}) had changed without a sync, and so may others have."


# --- pauses --------------------------------------------------------------------------------

_KINDS: Final = {
    "rate_limited": "rate limited (429)",
    "quota": "the day's quota was spent",
    "stopped": "no process was running",
}


def _pause_sums(timeline: Timeline) -> list[str]:
    return [
        f"{_KINDS.get(kind, kind)}: {pluralize(each.count, 'pause')}, {format_seconds(each.seconds)} in all"
        for kind, each in timeline.sums.items()
    ]


def _pauses(timeline: Timeline) -> list[PauseRow]:
    longest = sorted(timeline.pauses, key=lambda each: -each.seconds)[:_MOST_PAUSES]
    return [
        PauseRow(
            f"{timeline.began + timedelta(seconds=each.at):%H:%M:%S}",
            format_seconds(each.seconds),
            _whose(each),
            _KINDS.get(each.kind, each.kind),
        )
        for each in sorted(longest, key=lambda each: each.at)
    ]


def _whose(pause: Pause) -> str:
    if pause.kind == "stopped":
        return "this program"
    return f"company {pause.company}" if pause.company else "all requests"


# --- companies -----------------------------------------------------------------------------


def _strips(
    troubled: Sequence[CompanyTrouble], columns: dict[str, int], now: datetime
) -> tuple[list[Strip], list[Row]]:
    """A row for each company, as far as the page's size allows, and the pictures that they share."""
    strips: list[Strip] = []
    indexes: dict[tuple[tuple[str, str], ...], int] = {}
    rows: list[Row] = []
    left = _COMPANIES_SIZE
    pictures = max(_LEAST_PICTURES, left - _USUAL_ROW_SIZE * len(troubled))
    for each in troubled:
        key = tuple(each.types.items())
        index = indexes.get(key)
        if index is None and pictures > 0:
            strip = Strip(_types_in_words(each.types), draw_strip(each.types, columns))
            size = 120 + len(strip.title) + sum(len(path) + 30 for _, path in strip.paths)
            pictures -= size
            left -= size
            index = indexes[key] = len(strips)
            strips.append(strip)
        letters = ""
        if index is None:
            letters = "".join(each.types.get(name, "-")[0] for name in columns)
        row = Row(one_line(each.name, 60), one_line(each.company, 60), index, letters, _summary(each, now))
        left -= _ROW_SIZE + (len(letters) or _PICTURE_SIZE)
        left -= len(escape(row.name + row.company).encode()) + len(row.summary)
        if left < 0:
            break
        rows.append(row)
    return strips, rows


def _types_in_words(types: dict[str, str]) -> str:
    by_trouble: dict[str, list[str]] = {}
    for name, trouble in types.items():
        by_trouble.setdefault(trouble, []).append(name)
    return "; ".join(f"{trouble}: {', '.join(names)}" for trouble, names in by_trouble.items())


def _summary(company: CompanyTrouble, now: datetime) -> str:
    if len(company.types) <= _NAMED:
        text = _types_in_words(company.types)
    else:
        troubles = list(company.types.values())
        text = ", ".join(f"{troubles.count(each)} {each}" for each in dict.fromkeys(sorted(troubles)))
    if company.oldest is None:
        return f"{text}; never read"
    oldest = datetime.fromtimestamp(company.oldest, UTC).isoformat()
    return f"{text}; {format_age(oldest, now)}"
