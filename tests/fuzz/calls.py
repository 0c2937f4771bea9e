"""What the fuzzing calls: reads, lists, pulls, downloads and writes, each with random options."""

import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from codat_async import Codat, Request, bulk, check
from codat_async.models import Account, CompanyRequest, Customer
from codat_async.sandbox import Sandbox

__all__ = ["CALLS", "Known"]

_LISTS = ("bills", "invoices", "accounts", "customers", "suppliers", "payments", "journal_entries", "items")
_TYPES = ("bills", "customers", "chartOfAccounts", "bankTransactions", "balanceSheet", "company")


@dataclass
class Known:
    """Ids of the sandbox, and a way to end the hostility."""

    company: str
    connection: str
    records: dict[str, list[str]]
    attachments: list[tuple[str, str]]
    """Ids of bills and of their attachments."""
    calm: Callable[[], None] = lambda: None
    """Lets all answers be proper from now on."""


async def learn(sandbox: Sandbox) -> Known:
    """Read the ids that the calls need."""
    async with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        company = sandbox.company_ids[0]
        connection = sandbox.connection_ids(company)[0]
        records = {
            name: [record.id async for record in getattr(codat, name).list(company)] for name in _LISTS
        }
        attachments = [
            (bill, each.id)
            for bill in records["bills"][:20]
            for each in await codat.bills.list_attachments(company, connection, bill)
            if each.id
        ]
    return Known(company, connection, records, attachments)


async def get(codat: Codat, known: Known, rng: random.Random, place: Path) -> None:
    """One record, report or status."""
    name = rng.choice(_LISTS)
    await rng.choice(
        (
            lambda: getattr(codat, name).get(known.company, rng.choice(known.records[name])),
            lambda: codat.company_info.get(known.company),
            lambda: codat.companies.get(known.company),
            lambda: codat.reports.get_balance_sheet(known.company, period_length=1, periods_to_compare=2),
            lambda: codat.send(Request(method="GET", path=f"/companies/{known.company}/dataStatus")),
        )
    )()


async def listing(codat: Codat, known: Known, rng: random.Random, place: Path) -> None:
    """A list, in one of the ways that it can be read."""
    pager = getattr(codat, rng.choice(_LISTS)).list(
        known.company,
        page_size=rng.choice((1, 3, 10, 100, 5000)),
        prefetch=rng.choice((0, 0, 2, 8)),
        limit=rng.choice((None, None, 0, 1, 7, 1000)),
        on_invalid=rng.choice(("raise", "skip", lambda invalid: str(invalid))),
    )
    match rng.randrange(4):
        case 0:
            await pager.collect()
        case 1:
            await pager.first()
        case 2:
            async for page in pager.pages():
                page.results.clear()
        case _:
            async for record in pager:
                repr(record)


async def download(codat: Codat, known: Known, rng: random.Random, place: Path) -> None:
    """A file: saved whole or not at all."""
    bill, attachment = rng.choice(known.attachments)
    target = place / "file"
    opened = (
        codat.bills.download_attachment(known.company, known.connection, bill, attachment)
        if rng.random() < 0.7
        else codat.invoices.download_pdf(known.company, rng.choice(known.records["invoices"]))
    )
    try:
        async with opened as file:
            if rng.random() < 0.5:
                await file.save(target)
                assert target.stat().st_size == file.received
            else:
                await file.read(max_size=4 << 20)
            if file.file_name is not None:
                (place / file.file_name).touch()
                (place / file.file_name).unlink()
    finally:
        left = os.listdir(place)
        assert left in ([], ["file"]), f"left behind: {left}"


async def write(codat: Codat, known: Known, rng: random.Random, place: Path) -> None:
    """A write, an upload, a sync, or following one of them to its end."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 100

    ids = known.company, known.connection
    bill = rng.choice(known.records["bills"])
    made = await rng.choice(
        (
            lambda: codat.accounts.create(*ids, Account(name="x")),
            lambda: codat.customers.update(*ids, known.records["customers"][0], Customer(status="Active")),
            lambda: codat.bills.delete(*ids, bill),
            lambda: codat.bills.upload_attachment(*ids, bill, pieces, name="x.pdf"),
            lambda: codat.companies.replace(known.company, CompanyRequest(name="x")),
            lambda: codat.push_operations.list(known.company).collect(),
            lambda: codat.refresh_data.wait(
                known.company, ["bills", "customers"], refresh=rng.random() < 0.5, timeout=30
            ),
        )
    )()
    if hasattr(made, "push_operation_key"):
        await codat.push_operations.wait(made, timeout=30)


async def pull(codat: Codat, known: Known, rng: random.Random, place: Path) -> None:
    """A pull, its inventory, and sometimes its conversion; a proper pull then completes it."""
    options = bulk.PullOptions(
        types=rng.sample(_TYPES, rng.choice((1, 2, 3))),
        page_size=rng.choice((2, 10, 500)),
        units_at_once=rng.choice((1, 4)),
        memory=rng.choice((1, 16)) << 20,
        allow_partial=True,
        source="fuzz",
    )
    try:
        await bulk.pull(codat, place / "books", options=options)
    finally:
        if rng.random() < 0.3:
            known.calm()
            report = await bulk.pull(codat, place / "books", options=options)
            assert report.outcome == "done", f"a proper pull after a hostile one: {report}"
    bulk.status(place / "books", verify=rng.random() < 0.2)
    if rng.random() < 0.5:
        bulk.convert(place / "books", duckdb=place / "books.duckdb" if rng.random() < 0.3 else None)


async def records(codat: Codat, known: Known, rng: random.Random, place: Path) -> None:
    """The stream of typed batches."""
    stream = bulk.records(
        codat, types=rng.sample(_TYPES, 2), page_size=rng.choice((2, 10, 500)), memory=1 << 20
    )
    async for batch in stream:
        repr(batch)


async def sync(codat: Codat, known: Known, rng: random.Random, place: Path) -> None:
    """Wait for syncs, some of them queued here."""
    names = rng.sample(("bills", "customers", "invoices", "accounts"), 2)
    await codat.refresh_data.wait(known.company, names, refresh=rng.random() < 0.7, timeout=30)


async def plan(codat: Codat, known: Known, rng: random.Random, place: Path) -> None:
    """The companies, and an estimate from a sample of their lists and data status."""
    kinds = bulk.resolve_types(rng.sample(_TYPES, 3))
    found = await bulk.find_companies(codat, include_unlinked=rng.random() < 0.3)
    with bulk.StatusSample(codat, kinds, bulk.PullOptions()) as ask:
        planned = await bulk.make_plan(codat, found.subjects, kinds, ask=rng.choice((ask, None)))
    repr(planned)


async def checked(codat: Codat, known: Known, rng: random.Random, place: Path) -> None:
    """The check of the API, of a company that is named or not."""
    check.format_report(await check.run(codat, rng.choice((known.company, None))))


Call = Callable[[Codat, Known, random.Random, Path], Awaitable[None]]
CALLS: dict[str, tuple[Call, int]] = {
    "get": (get, 30),
    "list": (listing, 40),
    "download": (download, 15),
    "write": (write, 10),
    "records": (records, 5),
    "pull": (pull, 10),
    "sync": (sync, 5),
    "plan": (plan, 5),
    "check": (checked, 3),
}
"""The calls, with their weights."""
