"""The assumptions: for each, a function that decides it by what was read or by a request or two."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from codat_async.check.probe import Answer, Probe, tree_of
from codat_async.check.report import Line
from codat_async.check.sample import Sample, largest
from codat_async.check.survey import Survey
from codat_async.client import DEFAULT_RESPONSE_SIZE
from codat_async.models import DatasetStatus, DataType
from codat_async.paging import MAX_PAGE_SIZE
from codat_middleware import Timeout
from codat_middleware.text import parse_reset, whole_number

__all__ = [
    "answers",
    "changes",
    "data_status",
    "large_page",
    "pages",
    "query_case",
    "rate_limit_headers",
    "survey_lines",
]

_LISTED: Final = 12
"""Findings that a line names; the rest are counted."""
_DAY: Final = 86_400.0


def _some(found: Iterable[str]) -> str:
    names = sorted(found)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


# --- what every answer shows ---------------------------------------------------------------

_FORMS: Final = (
    ("an ISO date", re.compile(r"\d{4}-\d\d-\d\d.*")),
    ("an HTTP date", re.compile(r"\w{3}, \d\d \w{3} \d{4} .*")),
    ("a Unix time in milliseconds", re.compile(r"\d{12,}")),
    ("a Unix time in seconds", re.compile(r"\d{10,11}")),
    ("a number of seconds", re.compile(r"\d{1,9}(\.\d+)?")),
)


def rate_limit_headers(found: Sequence[Answer]) -> Line:
    """The quota's headers on each answer, in a form that can be read."""
    now = time.time()
    answered = [answer for answer in found if answer.status]
    problems: Counter[str] = Counter()
    forms: set[str] = set()
    for answer in answered:
        reset = answer.headers.get("X-Rate-Limit-Reset", "").strip()
        forms |= {next((form for form, pattern in _FORMS if pattern.fullmatch(reset)), "none of those")}
        for name in ("X-Rate-Limit-Limit", "X-Rate-Limit-Remaining"):
            problems[f"no whole number as {name}"] += whole_number(answer.headers.get(name)) is None
        resets_at = parse_reset(reset, now)
        late = resets_at is None or resets_at - now > _DAY + 60.0
        problems["an X-Rate-Limit-Reset that is not within a day"] += late
    wrong = [
        f"{problem} in {count} of {len(answered)} answers" for problem, count in problems.items() if count
    ]
    return Line(
        name="rate-limit headers",
        assumed="each answer has X-Rate-Limit-Limit and -Remaining, whole numbers, and -Reset, a date or a "
        "number of seconds within a day",
        seen=_some(wrong) or f"so in {len(answered)} answers; the reset is {_some(forms)}",
        affects="the governor's pause at the end of the daily quota, and the estimate of a pull",
        holds=not wrong,
    )


def answers(samples: Sequence[Sample]) -> Line:
    """The status and shape of the lists and reports."""
    statuses = Counter(sample.answer.status for sample in samples)
    wrong = [
        f"{sample.name}: {sample.answer.status or 'no answer'}"
        for sample in samples
        if sample.answer.status not in (200, 404, 409)
    ]
    wrong += [f"{each.name}: not a page" for each in samples if _is_no_page(each)]
    counts = ", ".join(f"{count} × {status or 'none'}" for status, count in sorted(statuses.items()))
    return Line(
        name="lists and reports",
        assumed="200 and a page or a document; 404 if the platform lacks the data type, 409 if it was "
        "never synced",
        seen=_some(wrong) or f"{counts} of {len(samples)} data types",
        affects="which failures a pull retries, reports or skips",
        holds=None if not samples else not wrong,
    )


def _is_no_page(sample: Sample) -> bool:
    return sample.listed and sample.answer.status == 200 and not sample.answer.page.page_number


# --- freshness -----------------------------------------------------------------------------


def data_status(answer: Answer) -> Line:
    """The keys of the data status, and its ids of syncs."""
    wrong: set[str] = set()
    synced = total = 0
    states: set[str] = set()
    tree = tree_of(answer.body)
    if answer.status != 200 or not isinstance(tree, dict):
        wrong.add(f"status {answer.status}, or not an object")
        tree = {}
    for key, status in tree.items():
        total += 1
        if not isinstance(status, dict) or status.get("dataType") != key:
            wrong.add("a key that is not the dataType of its value")
            continue
        if not DataType(key).is_known:
            wrong.add("a data type that is not listed")
        state = status.get("currentStatus")
        if state is not None and not (isinstance(state, str) and DatasetStatus(state).is_known):
            wrong.add("a currentStatus that is not listed")
        elif state is not None:
            states.add(state)
        if status.get("lastSuccessfulSync"):
            synced += 1
            for name in ("latestSyncId", "latestSuccessfulSyncId"):
                if not isinstance(status.get(name), str):
                    wrong.add(f"a synced data type without {name}")
    return Line(
        name="data status",
        assumed="an object by data type, each with its dataType; one that was synced has latestSyncId and "
        "latestSuccessfulSyncId, and a state that is listed",
        seen=_some(wrong)
        or f"so for {total} data types, {synced} of them synced; states: {_some(states) or 'none'}",
        affects="refresh_data.wait, and which lists a pull does not ask again",
        holds=not wrong,
    )


# --- records -------------------------------------------------------------------------------


def survey_lines(survey: Survey) -> list[Line]:
    """What the records have that the models do not describe."""
    read = f"{survey.records:,} records"
    odd = survey.coerced + survey.unreadable
    return [
        _about(
            survey.records,
            name="fields",
            assumed="each field has a place in its model",
            wrong=[f"unknown: {_some(survey.unknown_fields)}"] if survey.unknown_fields else [],
            seen=f"so in {read}",
            affects="lists drop fields without a name; single records keep them in unknown_fields",
        ),
        _about(
            survey.records,
            name="values",
            assumed="each value of an enumeration is listed",
            wrong=[f"unknown: {_some(survey.unknown_values)}"] if survey.unknown_values else [],
            seen=f"so in {read}",
            affects="comparisons with the members of enumerations; unknown values keep their text",
        ),
        _about(
            survey.records,
            name="types",
            assumed="no record needs the lenient reading, except for dates without a time",
            wrong=[f"{count} × {reason}" for reason, count in odd.most_common()],
            seen=f"so in {read}",
            affects="time to decode, and records that pulls list as invalid",
        ),
        _about(
            survey.date_forms.total() + len(survey.odd_dates),
            name="dates",
            assumed="ISO dates with or without a time, with Z, an offset or no zone, and up to 7 digits of "
            "a second",
            wrong=[f"another form in {_some(survey.odd_dates)}"] if survey.odd_dates else [],
            seen=_some(f"{count} × {form}" for form, count in survey.date_forms.items()),
            affects="datetimes of the models, cut to microseconds; the time columns of Parquet and DuckDB",
        ),
        _about(
            survey.decimals,
            name="decimals",
            assumed="at most 28 digits before the point and 10 after it",
            wrong=[f"more in {_some(survey.wide_decimals)}"] if survey.wide_decimals else [],
            seen=f"{survey.decimals:,} numbers with at most {survey.scale} digits after the point",
            affects="the decimal128(38, 10) columns of Parquet and DuckDB",
        ),
    ]


def _about(decided_by: int, *, name: str, assumed: str, wrong: list[str], seen: str, affects: str) -> Line:
    return Line(
        name=name,
        assumed=assumed,
        seen=_some(wrong) or (seen if decided_by else "none"),
        affects=affects,
        holds=not wrong if decided_by else None,
    )


# --- requests of their own -----------------------------------------------------------------


async def query_case(probe: Probe, samples: Sequence[Sample]) -> Line:
    """Whether a query finds text written in another case."""
    holds: bool | None = None
    seen = "no list with a status"
    for sample in samples:
        found = [each.get("status") for each in sample.trees] if sample.listed else []
        states = [each for each in found if isinstance(each, str) and each.isalpha()]
        if states:
            exact, other = [
                (await probe.get(sample.path, page=1, pageSize=1, query=f"status={text}")).page.total_results
                for text in (states[0], states[0].swapcase())
            ]
            holds = exact == other > 0
            seen = f"{sample.name} by status: {exact:,}, in another case {other:,}"
            break
    return Line(
        name="case in queries",
        assumed="text is compared without regard to case",
        seen=seen,
        affects="the sandbox answers queries so; the client passes them on unchanged",
        holds=holds,
    )


async def pages(probe: Probe, samples: Sequence[Sample]) -> Line:
    """What page sizes do, and that pages follow each other."""
    longest = largest([*samples])
    wrong: list[str] = []
    if longest is not None:
        size = min(3, max(1, longest.total - 1))
        first, second, beyond = [
            await probe.get(longest.path, page=number, pageSize=asked)
            for number, asked in ((1, size), (2, size), (1, MAX_PAGE_SIZE + 1))
        ]
        if len(first.records) != size or first.page.page_size != size:
            wrong.append(
                f"a page of {size} has {len(first.records)} records, and pageSize {first.page.page_size}"
            )
        follows = longest.total > size
        if follows != (first.page.links is not None and first.page.links.next is not None):
            wrong.append("_links.next does not show whether another page follows")
        if follows and (second.page.page_number != 2 or not set(first.ids).isdisjoint(second.ids)):
            wrong.append("page 2 does not follow page 1")
        if beyond.status != 400:
            wrong.append(f"pageSize {MAX_PAGE_SIZE + 1} is answered with {beyond.status}")
    return Line(
        name="page sizes",
        assumed="a page has pageSize records and a link to the next; a pageSize over "
        f"{MAX_PAGE_SIZE} is answered with 400",
        seen=_some(wrong) or ("no list with records" if longest is None else f"so for {longest.name}"),
        affects="paging, requests ahead, and the number of requests that a pull is estimated at",
        holds=None if longest is None else not wrong,
    )


async def changes(probe: Probe, samples: Sequence[Sample]) -> Line:
    """That a list can be asked for what changed, in order."""
    dated = [each for each in samples if each.listed and _modified(each.answer)]
    longest = largest(dated)
    wrong: list[str] = []
    count = 0
    if longest is not None:
        known = sorted(_modified(longest.answer))
        since = known[len(known) // 2]
        answer = await probe.get(
            longest.path, page=1, pageSize=100, query=f"modifiedDate>={since[1]}", orderBy="modifiedDate"
        )
        found = _modified(answer)
        count = len(found)
        if answer.status != 200 or not found:
            wrong.append(f"status {answer.status}, {count} records")
        if [each[0] for each in found] != sorted(each[0] for each in found):
            wrong.append("not in the order of modifiedDate")
        if any(each[0] < since[0] for each in found):
            wrong.append("records from before")
    return Line(
        name="changes",
        assumed="query=modifiedDate>=… with orderBy=modifiedDate finds what changed, in that order",
        seen=_some(wrong)
        or ("no record with a modifiedDate" if longest is None else f"so for {count} records"),
        affects="incremental pulls, and streams that resume",
        holds=None if longest is None else not wrong,
    )


async def large_page(probe: Probe, samples: Sequence[Sample]) -> Line:
    """What a page of 5,000 takes."""
    longest = largest([*samples])
    seconds = Timeout().total or 60.0
    seen, holds = "no list with records", None
    if longest is not None:
        answer = await probe.get(longest.path, page=1, pageSize=MAX_PAGE_SIZE)
        count, expected = len(answer.records), min(longest.total, MAX_PAGE_SIZE)
        seen = (
            f"status {answer.status}: {count:,} of {expected:,} records, "
            f"{len(answer.body) / 1e6:.1f} MB in {answer.seconds:.1f} s"
        )
        holds = count == expected and len(answer.body) < DEFAULT_RESPONSE_SIZE and answer.seconds < seconds
    return Line(
        name="large page",
        assumed=f"a page of {MAX_PAGE_SIZE:,} is complete, and takes less than {seconds:.0f} s "
        f"and {DEFAULT_RESPONSE_SIZE >> 20} MiB",
        seen=seen,
        affects="the default time-out and max_response_size, and --page-size",
        holds=holds,
    )


def _modified(answer: Answer) -> list[tuple[datetime, str]]:
    """When the records of a page were modified, and the text of it."""
    found: list[tuple[datetime, str]] = []
    for raw in answer.records:
        tree = tree_of(raw)
        try:
            text = tree["modifiedDate"]
            moment = datetime.fromisoformat(text)
        except (KeyError, TypeError, ValueError):
            continue
        found.append((moment if moment.tzinfo else moment.replace(tzinfo=UTC), text))
    return found
