"""Endpoints that a user declares, called and pulled in bulk from a small server."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from bulk_server import COMPANY, CONNECTION, Server, customer, written_lines

from codat_async import Codat, Limits, RetryPolicy, bulk
from codat_async.bulk.plan.data_types import known_types, pull_types
from codat_async.errors import ConfigurationError, NotFound
from codat_async.models import Model
from codat_async.operations import CompanyCall, CompanyList, ConnectionList, Group, Resource


class EnhancedInvoice(Model):
    """A record of a list of a company."""

    id: str
    amount_due: Decimal | None = None
    modified_date: datetime | None = None


class SourceAccount(Model):
    """A record of a list of a connection."""

    id: str
    account_name: str | None = None


class Loans(Model):
    """One document."""

    total: Decimal


class EnhancedInvoices(Resource):
    """Invoices with the payments that settled them."""

    list = CompanyList(EnhancedInvoice, "/data/reports/enhancedInvoices")


class SourceAccounts(Resource):
    """Accounts of a bank feed."""

    list = ConnectionList(SourceAccount, "/data/bankFeedAccounts")


class LoanReports(Resource):
    """Loans, under another root than the company."""

    get = CompanyCall(Loans, "/lending/companies/{companyId}/loans")


class OwnCodat(Codat):
    """A client with three endpoints of its own."""

    enhanced = Group(EnhancedInvoices)
    source_accounts = Group(SourceAccounts)
    loan_reports = Group(LoanReports)


def client(url: str, kind: type[Codat] = OwnCodat) -> Codat:
    """A client that does not wait."""
    return kind("key", base_url=url, limits=Limits(per_minute=None), retry=RetryPolicy(waits=False))


def fill(server: Server) -> None:
    """Three invoices, two accounts, a customer, and the loans."""
    server.put("reports/enhancedInvoices", [{"id": str(number), "amountDue": 1.10} for number in range(3)])
    server.put("bankFeedAccounts", [{"id": "a", "accountName": "Current"}, {"id": "b"}])
    server.put("customers", [customer(1)])

    def loans(path: str, query: dict[str, str]) -> web.Response | None:
        return web.json_response({"total": 5.5}) if path == f"/lending/companies/{COMPANY}/loans" else None

    server.hook = loans


async def test_own_endpoints_are_called() -> None:
    """They are typed, paged, and named in errors; the same beside a client, and on a copy of it."""
    async with Server() as server:
        fill(server)
        async with client(server.base_url) as codat:
            assert isinstance(codat, OwnCodat)
            invoices = await codat.enhanced.list(COMPANY, page_size=2).collect()
            assert [(each.id, each.amount_due) for each in invoices] == [
                (str(number), Decimal("1.1")) for number in range(3)
            ]
            accounts = [each.account_name async for each in codat.source_accounts.list(COMPANY, CONNECTION)]
            assert accounts == ["Current", None]
            assert (await codat.loan_reports.get(COMPANY)).total == Decimal("5.5")
            assert await EnhancedInvoices(codat).list(COMPANY).collect() == invoices
            copied = codat.with_options(timeout=5)
            assert await copied.enhanced.list(COMPANY).collect() == invoices
            del server.lists["reports/enhancedInvoices"]
            with pytest.raises(NotFound) as caught:
                await codat.enhanced.list(COMPANY).collect()
            assert caught.value.operation == "enhanced_invoices.list"


async def test_own_lists_are_pulled(tmp_path: Path) -> None:
    """A declared list is pulled under its name, converted, read as a stream, and forgotten."""
    pytest.importorskip("pyarrow")
    import duckdb

    kinds = ["enhanced", "source_accounts", "customers"]
    books = tmp_path / "books.duckdb"
    async with Server() as server:
        fill(server)
        async with client(server.base_url) as codat:
            # The data status has no entry for the declared lists, so that they are read again.
            for rows in (6, 5):
                report = await bulk.pull(codat, tmp_path, options=bulk.PullOptions(types=kinds))
                assert (report.outcome, report.total.rows) == ("done", rows)
            batches = [each async for each in bulk.records(codat, types=["enhanced"])]
            assert [type(record) for batch in batches for record in batch.records] == [EnhancedInvoice] * 3
    written = [json.loads(each)["id"] for each in written_lines(tmp_path, "enhanced")]
    assert sorted(set(written)) == ["0", "1", "2"]
    bulk.convert(tmp_path, types=kinds, duckdb=books)
    with duckdb.connect(str(books)) as database:
        rows = database.execute("select id, amount_due from current_enhanced order by id").fetchall()
        assert rows == [(str(number), Decimal("1.1")) for number in range(3)]
    bulk.forget(tmp_path, [COMPANY], duckdb=[books])
    with duckdb.connect(str(books)) as database:
        assert database.execute("select count(*) from enhanced").fetchall() == [(0,)]
    tables = [*bulk.current(tmp_path, "enhanced")] if any((tmp_path / "parquet").rglob("*.parquet")) else []
    assert sum(table.num_rows for table in tables) == 0


async def test_client_without_the_endpoint(tmp_path: Path) -> None:
    """A client that does not declare the list is named, and what to use instead."""
    assert "enhanced" not in pull_types()
    assert msgspec.structs.asdict(known_types()["enhanced"])["scope"] == "company"
    async with Server() as server:
        fill(server)
        async with client(server.base_url, Codat) as codat:
            with pytest.raises(ConfigurationError, match=r"Codat has no enhanced\.list"):
                await bulk.pull(codat, tmp_path, options=bulk.PullOptions(types=["enhanced"]))
