"""More machines: workers with a source address each, against a limit for each source address.

The limit is scaled: so many requests in any ten seconds. Workers are set to eight tenths of it, since
what the governor guarantees is for a minute: on a busy machine a pause of a second or two moves more
requests into ten seconds than were sent evenly.
"""

import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import msgspec

from benchmarks.measure import PER_SECOND, Goal, Measure, Round, Row, Sample, Setting, Side
from benchmarks.peers import environments
from codat_async import Codat, Limits
from codat_async.bulk import Found, PullOptions, find_companies
from codat_async.sandbox import run_in_background
from codat_async.sandbox.background import Address
from codat_middleware.messages import Body, Request

CASE = "machines"
REFUSED = "refused"
MEASURES = (Measure(PER_SECOND, "requests/s", more_is_better=True), Measure(REFUSED, "requests"))
WORKERS = (1, 2, 4)
TYPES = ("invoices", "bills", "customers", "suppliers", "items", "payments", "accounts", "tax_rates")
SECONDS = 10
ENFORCED = 60
"""Requests in any ten seconds from one address."""
PER_MINUTE = ENFORCED * 60 // SECONDS * 8 // 10


def name(workers: int) -> str:
    """The name of a side."""
    return f"{workers} worker{'s' if workers > 1 else ''}"


async def _enforce_limit(address: Address) -> None:
    limits = {"inFlight": None, "perMinute": ENFORCED, "minute": SECONDS, "daily": False}
    request = Request(method="PUT", path="/_sandbox/limits", body=Body(msgspec.json.encode(limits)))
    async with Codat(address.api_key, base_url=address.base_url) as codat:
        await codat.send(request)


async def _make_books(address: Address, folder: Path) -> Found:
    """Have the sandbox make its books, by pulling all of them once; returns the companies."""
    from codat_async.bulk import pull

    async with Codat(address.api_key, base_url=address.base_url, limits=Limits(per_minute=None)) as codat:
        await pull(codat, folder, options=PullOptions(types=TYPES))
        return await find_companies(codat)


def side(workers: int, companies: int) -> Side:
    """Pull by so many workers of a Dask cluster on this machine."""

    @asynccontextmanager
    async def prepared(setting: Setting) -> AsyncIterator[Round]:
        from codat_async.bulk import dask
        from codat_async.cli.machines import connect

        with (
            run_in_background(companies=companies, size=10) as address,
            tempfile.TemporaryDirectory() as folder,
        ):
            into = Path(folder) / "shards"
            found = await _make_books(address, Path(folder) / "books")
            await _enforce_limit(address)
            async with connect(f"local:{workers}") as client:

                async def pull_all() -> Sample:
                    began = time.perf_counter()
                    report = await dask.pull(
                        client,
                        into,
                        {"api_key": address.api_key, "base_url": address.base_url},
                        options=PullOptions(types=TYPES),
                        shards=8 if setting.short else 32,
                        per_minute=PER_MINUTE,
                        source_addresses=[f"127.0.0.{2 + number}" for number in range(workers)],
                        found=found,
                    )
                    seconds = time.perf_counter() - began
                    assert report.outcome == "done", report
                    shutil.rmtree(into)
                    return {PER_SECOND: report.total.requests / seconds, REFUSED: report.total.retries}

                yield pull_all

    return prepared


def rows(short: bool) -> list[Row]:
    """One row, with Dask in an environment of its own unless it is installed here."""
    environment = None if find_spec("distributed") else "dask"
    if short and environment and not environments.is_made(environment):
        # It would be downloaded.
        return []
    companies = 2 if short else 40
    goals = [Goal(PER_SECOND, bound, name(1), name(workers)) for workers, bound in ((2, 1.8), (4, 3.4))]
    goals += [Goal(REFUSED, 0, None, name(workers)) for workers in WORKERS]
    return [
        Row(
            case=CASE,
            title=f"pull {companies * len(TYPES)} lists by workers with a source address each",
            sides={name(workers): side(workers, companies) for workers in WORKERS},
            measures=MEASURES,
            goals=tuple(goals),
            rounds=2,
            warm_up=False,
            environment=environment,
            note=f"an address may send {ENFORCED} requests in any {SECONDS} s, and sends {PER_MINUTE} a"
            " minute; workers of a Dask cluster, from 127.0.0.2 on; starting the processes and making the"
            " books are not measured",
        )
    ]
