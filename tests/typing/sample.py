"""Uses of the client for type checkers to read; never run. Lines marked as errors must be reported."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import assert_type

from codat_async import NULL, Codat, Pager, PushOperation
from codat_async.models import (
    AccountTransaction,
    AgedDebtorReport,
    Attachment,
    BalanceSheets,
    BankTransaction,
    Bill,
    Company,
    DataStatus,
    DirectCost,
    Invoice,
    InvoiceStatus,
    Journal,
    Payment,
    PushOption,
    RecordReference,
    TrackingCategoryTree,
    Validation,
    WebhookConsumer,
)
from codat_async.streaming import Download


async def right(codat: Codat, bill: Bill, invoice: Invoice) -> None:
    """What users write, and the types they get."""
    assert_type(await codat.bills.get("c", "b"), Bill)
    assert_type(await codat.direct_costs.get("c", "n", "d"), DirectCost)
    assert_type(codat.invoices.list("c", query="status=Paid", order_by="-issueDate", limit=3), Pager[Invoice])
    assert_type(codat.companies.list(prefetch=2), Pager[Company])
    assert_type(codat.account_transactions.list("c", "n"), Pager[AccountTransaction])
    assert_type(codat.bank_account_transactions.list("c", "n", "a"), Pager[BankTransaction])
    assert_type(codat.payments.list_by_link_type("c", "n", "Invoice"), Pager[Payment])
    async for listed in codat.invoices.list("c"):
        assert_type(listed, Invoice)
        assert_type(listed.total_amount, Decimal)
        assert_type(listed.id, str)
    assert_type(await codat.invoices.list("c").first(), Invoice | None)
    assert_type(await codat.invoices.list("c").collect(), list[Invoice])
    company = await codat.companies.list(timeout=1, deadline=2.0).one()
    assert_type(company.data_connections[0].id, str)
    assert_type(codat.with_options(deadline=2.0), Codat)
    (attachment,) = await codat.bills.list_attachments("c", "n", "b")
    assert_type(attachment.id, str)

    assert_type(await codat.invoices.create("c", "n", invoice, timeout_in_minutes=5), PushOperation[Invoice])
    assert_type(
        await codat.invoices.update("c", "n", "i", invoice, force_update=True), PushOperation[Invoice]
    )
    operation = await codat.bills.delete("c", "n", "b")
    assert_type(operation, PushOperation[Bill])
    assert_type(await codat.push_operations.wait(operation, timeout=60), PushOperation[Bill])
    assert_type(await codat.push_operations.wait("c", "k"), PushOperation[object])
    assert_type(await codat.push_operations.get("c", "k"), PushOperation[object])

    assert_type(await codat.bills.delete_attachment("c", "n", "b", "a"), PushOperation[Attachment])
    assert_type(operation.record_ref, RecordReference)
    assert_type(operation.record_id, str)
    assert_type(await codat.refresh_data.wait("c", ["bills"], refresh=True), dict[str, DataStatus])
    assert_type(await codat.refresh_data.all("c"), None)
    assert_type(await codat.read_data.get_validation_results("c", "d"), Validation)

    assert_type(await codat.bills.get_create_update_model("c", "n"), PushOption)
    assert_type(await codat.bills.list_attachments("c", "n", "b"), list[Attachment])
    assert_type(codat.bills.download_attachment("c", "n", "b", "a"), Download)
    assert_type(
        await codat.bills.upload_attachment("c", "n", "b", Path("scan.pdf")), PushOperation[Attachment] | None
    )
    assert_type(await codat.reports.is_aged_debtor_report_available("c"), bool)
    assert_type(await codat.reports.get_aged_debtors_report("c"), AgedDebtorReport)
    assert_type(
        await codat.reports.get_balance_sheet("c", period_length=1, periods_to_compare=2), BalanceSheets
    )
    assert_type(await codat.tracking_categories.get("c", "t"), TrackingCategoryTree)
    assert_type(await codat.refresh_data.get("c"), dict[str, DataStatus])
    assert_type((await codat.webhooks.list_consumers()).results, list[WebhookConsumer] | None)
    assert_type(await codat.webhooks.create_consumer(WebhookConsumer(url="u")), WebhookConsumer)
    assert_type(await codat.webhooks.delete_consumer("w"), None)
    assert_type(codat.with_options(timeout=5), Codat)
    bill.note = NULL
    bill.note = None


def made(day: date, text: str) -> None:
    """Records of one's own take a date and a text; what is read of them is what the API's records have."""
    zero = Decimal(0)
    invoice = Invoice(
        issue_date=day,
        status=text,
        total_tax_amount=zero,
        total_amount=zero,
        amount_due=zero,
        paid_on_date=day,
    )
    Invoice(
        issue_date=datetime(2026, 1, 1),
        due_date=None,
        status=InvoiceStatus.PAID,
        total_tax_amount=zero,
        total_amount=zero,
        amount_due=zero,
    )
    assert_type(invoice.issue_date, datetime)
    assert_type(invoice.due_date, datetime | None)
    assert_type(invoice.status, InvoiceStatus)
    invoice.due_date = day
    invoice.due_date = NULL
    invoice.status = "Draft"
    assert_type(Company(id="c", name="n").created, datetime | None)


async def wrong(codat: Codat, bill: Bill) -> None:
    """What a checker has to find."""
    await codat.sales_orders.create("c", "n", bill)  # error: the group has no such operation
    await codat.reports.list("c")  # error: no lists there
    codat.bils.list("c")  # error: no such group
    codat.bills.list("c", pagesize=5)  # error: no such option
    codat.bills.list("c", page_size="5")  # error: a number is expected
    codat.bills.list()  # error: a company is required
    codat.direct_costs.list("c")  # error: a connection is required
    await codat.bills.get("c")  # error: an id is required
    await codat.bills.get("c", "n", "b")  # error: one id too many
    await codat.bills.get("c", 7)  # error: ids are strings
    await codat.invoices.list("c")  # error: a pager is iterated
    for _ in codat.invoices.list("c"):  # error: async for
        pass
    await codat.invoices.create("c", "n", bill)  # error: another record
    await codat.bills.create("c", "n", bill, allow_sync_on_push_complete=True)  # error: not an option there
    await codat.bills.delete("c", "n", "b", timeout_in_minutes=5)  # error: no time-out there
    await codat.bills.create("c", "n", bill, 5)  # error: keyword-only
    await codat.reports.get_balance_sheet("c")  # error: the periods are required
    bill.total_amount = "1.10"  # error: money is a Decimal
    bill.totalAmount = Decimal(1)  # error: names are snake_case
    bill.issue_date = "2026-01-01"  # error: a date is expected
    bill.status = 5  # error: a member or its text
    Payment(date_=date.today(), total_amount=Decimal(1), currency=5)  # error: a string
    Journal(modified_date="2026-01-01")  # error: a date
    Codat("key", base="https://x")  # error: no such setting
