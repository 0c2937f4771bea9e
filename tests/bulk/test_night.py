"""What a night costs in requests, over all data types: when nothing changed, and when a few lists did."""

import random
from pathlib import Path
from typing import Any

import pytest
from bulk_server import client, everything, raw_lines

from codat_async import Codat, bulk
from codat_async.bulk import PullOptions
from codat_async.bulk.plan.freshness import status_keys
from codat_async.bulk.store.versions import current_lines
from codat_async.models import DataStatus
from codat_async.sandbox import Sandbox
from codat_async.sandbox.syncs import ACCOUNTING_TYPES

_ACCOUNTS = "bank_account_transactions"


def current(root: Path) -> set[tuple[str, str, str, bytes]]:
    """The current records of all lists in a directory; reports without the time at which they were made."""
    found = set()
    for kind in bulk.pull_types():
        for line in current_lines([raw_lines(root, kind)]):
            place = (kind, line.company_id or "", line.account_id or "")
            found.add((*place, bytes(line.record)))
    return found


async def statuses(codat: Codat, companies: list[str]) -> dict[str, dict[str, DataStatus]]:
    """The data status of companies."""
    return {company: await codat.refresh_data.get(company) for company in companies}


def cost(before: Any, after: Any, accounts: int) -> tuple[int, list[str]]:
    """The most requests that a company may take, with the lists that changed by their data status."""
    changed = {key for key in ACCOUNTING_TYPES if before[key].latest_sync_id != after[key].latest_sync_id}
    lists = [name for name in bulk.pull_types() if changed & {*status_keys(name)}]
    pages = sum(accounts if name == _ACCOUNTS else 1 for name in lists)
    if "bankAccounts" in changed:
        # The accounts are listed, for their transactions.
        pages += 1
    return (2 + pages if lists or pages else 1), lists


@pytest.mark.parametrize(
    ("companies", "size"), [(30, 3), pytest.param(1_000, 2, marks=pytest.mark.soak)], ids=["short", "soak"]
)
async def test_requests_of_a_quiet_night_and_of_one_with_changes(
    tmp_path: Path, companies: int, size: int
) -> None:
    """One a company, and on a night on which 5 % of the lists changed: two and a page for each of them.

    Beside the pages of the list of companies. Each night ends equal to a full pull.
    """
    into, draw = tmp_path / "books", random.Random(companies)
    options = PullOptions(source="sandbox", check=False)
    async with (
        Sandbox(companies=companies, size=size) as sandbox,
        client(sandbox.base_url, sandbox.api_key) as codat,
    ):
        pages = -(-companies // 500)
        first = await bulk.pull(codat, into, options=options)
        assert first.outcome == "done"
        sandbox.reset_stats()
        quiet = await bulk.pull(codat, into, options=options)
        assert quiet.outcome == "done"
        assert sandbox.stats["requests"] == companies + pages
        assert quiet.total.requests == companies
        assert quiet.total.not_read == quiet.total.units

        before = await statuses(codat, sandbox.company_ids)
        names = [kind.name for kind in bulk.pull_types().values() if kind.scope in ("company", "connection")]
        pairs = [(company, name) for company in sandbox.company_ids for name in names]
        for company, name in draw.sample(pairs, len(pairs) // 20):
            sandbox.records.touch(1.0, company_id=company, resource=name)
        after = await statuses(codat, sandbox.company_ids)
        most, lists = 0, 0
        for company in sandbox.company_ids:
            accounts = len(sandbox.books.company(company).records("bank_accounts"))
            requests, changed = cost(before[company], after[company], accounts)
            most, lists = most + requests, lists + len(changed)
        sandbox.reset_stats()
        changed_night = await bulk.pull(codat, into, options=options)
        assert changed_night.outcome == "done"
        asked = sandbox.stats["requests"]
        assert asked <= most + pages
        await bulk.pull(codat, tmp_path / "full", options=options)
        assert current(into) == current(tmp_path / "full")
        assert len(everything(into)) >= companies
    print(
        f"{companies} companies, first night {first.total.requests} requests in {first.seconds} s; quiet"
        f" {quiet.total.requests} in {quiet.seconds} s; {lists} lists changed: {asked} requests, at most"
        f" {most + pages}, in {changed_night.seconds} s"
    )
