"""Pull the books of many companies from a sandbox, and query them in DuckDB.

Each query below answers a question that people ask first, and is checked against what the API itself
says: sums of invoices against those of their lines, ageing against the API's report, and balances of
accounts against the balance sheet. It needs the extras cli, duckdb and zstd::

    python examples/queries.py --companies 200
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from codat_async import Codat, Limits, bulk
from codat_async.sandbox import run_in_background

TYPES = [
    "accounts",
    "aged_debtors",
    "balance_sheet",
    "company_info",
    "credit_notes",
    "customers",
    "invoices",
    "payments",
]

DEBTORS = """
select c.name as company, t.customer_name as customer, sum(i.amount_due * coalesce(i.currency_rate, 1)) as due
from current_invoices i
join current_companies c using (company_id)
join current_customers t on t.company_id = i.company_id and t.id = i.customer_ref.id
where i.amount_due > 0 and i.status not in ('Draft', 'Void')
group by all order by due desc limit 5
"""
"""Who owes most, by the names of company and customer, in each company's own currency."""

UNEQUAL_INVOICES = """
select i.company_id, i.id, i.total_amount, sum(l.total_amount) as of_lines
from current_invoices i
join current_invoice_line_items l on l.company_id = i.company_id and l.invoice_id = i.id
group by all having i.total_amount <> of_lines
"""
"""Invoices whose total is not the sum of their lines."""

AGEING = """
with links as (
    select company_id, payment_id, type, id, amount
    from current_payment_line_links where type in ('Invoice', 'CreditNote')
), reports as (
    select r.company_id, r.report_date, b.base_currency
    from current_aged_debtors r join current_company_info b using (company_id)
), open as (
    -- An invoice, less what payments settled of it.
    select i.company_id, i.customer_ref.id as customer_id, i.currency,
        coalesce(i.due_date, i.issue_date) as due, i.issue_date as dated,
        i.total_amount + coalesce((
            select sum(amount) from links l
            where l.company_id = i.company_id and l.id = i.id and l.type = 'Invoice'
        ), 0) as amount
    from current_invoices i where i.status not in ('Draft', 'Void')
    union all
    -- Credit that is left.
    select n.company_id, n.customer_ref.id, n.currency, n.issue_date, n.issue_date,
        coalesce((
            select sum(amount) from links l
            where l.company_id = n.company_id and l.id = n.id and l.type = 'CreditNote'
        ), 0) - n.total_amount
    from current_credit_notes n where n.status not in ('Draft', 'Void')
    union all
    -- What was paid in advance.
    select p.company_id, p.customer_ref.id, p.currency, p.date, p.date,
        -p.total_amount - coalesce((
            select sum(amount) from links l where l.company_id = p.company_id and l.payment_id = p.id
        ), 0)
    from current_payments p
)
select o.company_id, customer_id, coalesce(currency, base_currency) as currency,
    -- 0 is not due yet; 1 to 4 are periods of thirty days; 5 is all that is older.
    least(greatest((date_diff('day', due, report_date) + 29) // 30, 0), 5) as period,
    sum(amount) as amount
from open o join reports r using (company_id)
where dated <= report_date and amount <> 0
group by all
"""
"""What customers owe, by age, computed from invoices, credit notes and payments alone."""

REPORTED_AGEING = """
select company_id, d.customer_id, c.currency, a.ordinal - 1 as period, a.amount
from current_aged_debtor_data_currency_outstanding_outstanding_amounts a
join current_aged_debtor_data_currency_outstanding c using (company_id, n, data_ordinal)
join current_aged_debtor_data d using (company_id, n)
where d.ordinal = a.data_ordinal and c.ordinal = a.aged_currency_outstanding_ordinal and a.amount <> 0
"""
"""The same as the API reports it."""

UNEQUAL_BALANCES = """
select l.company_id, l.path, l.value, a.current_balance
from current_statement_lines l
join current_accounts a on a.company_id = l.company_id and a.id = l.account_id
where l.statement = 'balance_sheet' and l.is_leaf and a.type in ('Asset', 'Liability')
    -- The balance of an account in another currency is in that currency.
    and a.currency = l.currency
    and l.period_to = (
        select max(period_to) from current_statement_lines m
        where m.company_id = l.company_id and m.statement = 'balance_sheet'
    )
    and abs(l.value) <> abs(a.current_balance)
"""
"""Accounts whose balance is not that of the latest balance sheet."""


async def pull(base_url: str, api_key: str, into: Path) -> bulk.Report:
    """Pull the records of all companies."""
    async with Codat(api_key, base_url=base_url, limits=Limits(per_minute=None)) as codat:
        return await bulk.pull(codat, into, options=bulk.PullOptions(types=TYPES, check=False))


def check(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Compare what the queries say with what the API says; returns the differences."""
    differences = [
        f"the total of invoice {row} is not the sum of its lines"
        for row in db.sql(UNEQUAL_INVOICES).fetchall()
    ]
    db.sql(f"create temp table ageing as {AGEING}")
    db.sql(f"create temp table reported as {REPORTED_AGEING}")
    for first, second, what in (("ageing", "reported", "computed"), ("reported", "ageing", "reported")):
        missing = db.sql(f"select * from {first} where amount <> 0 except select * from {second}").fetchall()
        differences += [f"ageing that is only {what}: {row}" for row in missing]
    differences += [
        f"another balance than in the balance sheet: {row}" for row in db.sql(UNEQUAL_BALANCES).fetchall()
    ]
    return differences


def main() -> int:
    """Run the queries on so many companies; returns 1 if any differs from what the API says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--companies", type=int, default=200)
    parser.add_argument("--size", type=int, default=None, help="Records of each type in each company.")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        into, books = Path(folder) / "pull", Path(folder) / "books.duckdb"
        with run_in_background(companies=options.companies, size=options.size) as sandbox:
            report = asyncio.run(pull(sandbox.base_url, sandbox.api_key, into))
        print(f"pulled {report.total.rows:,} records of {report.companies:,} companies: {report.outcome}")
        bulk.convert(into, parquet=False, duckdb=books)
        with duckdb.connect(str(books), read_only=True) as db:
            for company, customer, due in db.sql(DEBTORS).fetchall():
                print(f"{customer} owes {company} {due:,.2f}")
            differences = check(db)
            counts = {
                "invoices": "select count(*), sum(total_amount) from current_invoices",
                "their lines": "select count(*), sum(total_amount) from current_invoice_line_items",
                "open amounts by age": "select count(*), sum(amount) from ageing",
                "lines of balance sheets": "select count(*) filter (is_leaf), sum(value) filter (is_leaf)"
                " from current_statement_lines where statement = 'balance_sheet'",
            }
            for name, query in counts.items():
                number, total = db.sql(query).fetchall()[0]
                print(f"{number:,} {name}: {total:,.2f}")
    for difference in differences[:20]:
        print(difference, file=sys.stderr)
    print(f"{len(differences)} differences, in {time.monotonic() - began:.1f} s")
    return 1 if differences or report.outcome != "done" else 0


if __name__ == "__main__":
    raise SystemExit(main())
