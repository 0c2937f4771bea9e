"""Directories of nights as a pull leaves them, without the pull: any number of companies and failures."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from codat_async.bulk import Counts, Failure, Report, pull_types
from codat_async.bulk.report import make_report, write_report
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.layout import REPORT
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Run, State, UnitState
from codat_async.bulk.store.timeline import Point, Timeline
from codat_async.bulk.units.unit import Unit

LINK = "https://link.codat.io/company/1"
NOW = datetime.now(UTC).replace(microsecond=0)


def company_id(number: int) -> str:
    """A company's id, the same each time."""
    return str(UUID(int=random.Random(number).getrandbits(128), version=4))


def make_timeline(seconds: int = 3600, *, per_minute: float = 1000.0, points: int = 500) -> Timeline:
    """A timeline with a pause of everybody, one of a company, and a restart."""
    timeline = Timeline(began=NOW - timedelta(seconds=seconds), quota=1_000_000)
    chance = random.Random(7)
    requests, at = 0.0, 0.0
    step = seconds / points
    for _ in range(points):
        paused = 0.3 < at / seconds < 0.34 or 0.7 < at / seconds < 0.75
        pace = (
            per_minute if at < 0.3 * seconds else min(per_minute, 300 + (at / seconds - 0.3) * 2 * per_minute)
        )
        timeline.add(
            Point(
                round(at, 3),
                int(requests),
                int(requests * 97),
                round(pace, 1),
                max(0, 1_000_000 - int(requests)),
            )
        )
        requests += 0 if paused else step / 60 * pace * chance.uniform(0.7, 1)
        at += step
    timeline.pause("rate_limited", 0.3 * seconds, 0.04 * seconds)
    timeline.pause("rate_limited", 0.5 * seconds, 0.02 * seconds, company_id(3))
    timeline.pause("stopped", 0.7 * seconds, 0.05 * seconds)
    return timeline


def make_night(
    path: Path,
    *,
    companies: int = 6,
    types: tuple[str, ...] | None = None,
    names: Mapping[int, str] | None = None,
    failing: Mapping[int, Mapping[str, tuple[str, str]]] | None = None,
    stale: Mapping[int, timedelta] | None = None,
    unlinked: Mapping[int, str] | None = None,
    rows: int = 12,
    timeline: Timeline | None = None,
    stopped: str | None = None,
    **changes: Any,
) -> Report:
    """Write the checkpoint and ``report.json`` of a night.

    ``failing`` has by company and type the kind and the message of a failure, ``stale`` the age of a
    company's readings, ``unlinked`` the link of a company that is no longer linked.
    """
    chosen = types or tuple(pull_types())
    failing, stale, names = failing or {}, stale or {}, names or {}
    counts = {name: Counts() for name in chosen}
    with Directory(path) as directory, directory.checkpoint.transaction():
        checkpoint = directory.checkpoint
        began = (NOW - timedelta(hours=1)).isoformat(timespec="seconds")
        run = checkpoint.begin_run(
            Run(id="20260102T030405Z", mode="full", page_size=500, compression="gzip", began=began)
        )
        mask = checkpoint.keys.types(chosen)
        for number in range(companies):
            company = company_id(number)
            for name in chosen:
                unit = Unit(name, company, "", "")
                failure = failing.get(number, {}).get(name)
                state = UnitState(state=State.DONE, rows=rows, pages=1, requests=1, received=rows * 400, n=1)
                if failure is not None:
                    kind, text = failure
                    state = UnitState(state=State.FAILED, requests=3, retries=2, failure=kind, error=text)
                    checkpoint.lists.save(run, unit, state)
                else:
                    checkpoint.lists.finish(run, unit, state, Ending(watermark=None, overlap=None))
                counts[name].add(state)
        read_at = {company_id(number): int((NOW - age).timestamp()) for number, age in stale.items()}
        for company, moment in read_at.items():
            key = checkpoint.keys.company(company)
            checkpoint.db.execute("update lists set read_at = ? where company = ?", (moment, key))
        checkpoint.roster.name(
            (company_id(number), names.get(number, f"Company {number} Ltd")) for number in range(companies)
        )
        gone = unlinked or {}
        checkpoint.roster.note(
            [company_id(number) for number in range(companies) if number not in gone],
            [(company_id(number), names.get(number, ""), link) for number, link in gone.items()],
            complete=True,
        )
        want = [(company_id(number), ["connection"]) for number in range(companies)]
        checkpoint.work.want(want)
        report = make_report(
            checkpoint,
            run,
            types=chosen,
            companies=companies,
            counts=counts,
            missing_companies=changes.pop("missing", list[tuple[str, Failure]]()),
            seconds=3599.5,
            stopped=stopped,
            timeline=timeline,
            **changes,
        )
        checkpoint.stop_run(run, 3599.5, stopped, b"[]")
        write_report(path / REPORT, report)
    assert mask
    return report
