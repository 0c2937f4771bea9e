"""The ledger of the sandbox's books: it balances, reports follow from it, and it follows what is written."""

from collections import defaultdict
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from codat_async.models import (
    Account,
    AccountRef,
    AccountType,
    AgedCreditorReport,
    AgedDebtorReport,
    BankTransaction,
    BillPayment,
    BillPaymentLine,
    BillPaymentLineLink,
    BillPaymentLineLinkType,
    CustomerRef,
    Invoice,
    InvoiceStatus,
    JournalEntry,
    JournalLine,
    Metadata,
    Payment,
    PaymentLine,
    PaymentLineLink,
    PaymentLinkType,
    ReportLine,
)
from codat_async.sandbox.books import REFERENCE_DATE, Books, CompanyBooks

COMPANIES = 6
LATER = datetime(2026, 7, 15, 12, tzinfo=UTC)
POSTED = (
    "invoices", "credit_notes", "payments", "bills", "bill_credit_notes", "bill_payments", "direct_costs",
    "direct_incomes", "transfers",
)  # fmt: skip


@pytest.fixture(scope="module")
def books() -> Books:
    return Books(companies=COMPANIES)


@pytest.fixture(scope="module", params=range(COMPANIES))
def company(books: Books, request: pytest.FixtureRequest) -> CompanyBooks:
    """Books that a test only reads."""
    return books.company(books.company_ids[request.param])


@pytest.fixture
def own() -> CompanyBooks:
    """Books that a test may write to."""
    books = Books(companies=1, size=40)
    return books.company(books.company_ids[0])


def ledger_balance(company: CompanyBooks, name: str, until: date = date.max) -> Decimal:
    return sum(
        (
            line.net_amount
            for entry in company.records("journal_entries")
            if not entry.is_deleted and entry.posted_on.date() <= until
            for line in entry.journal_lines
            if line.account_ref.name == name
        ),
        Decimal(0),
    )


def line_sums_agree(line: ReportLine) -> bool:
    if line.items is None:
        return True
    return line.value == sum(item.value for item in line.items) and all(map(line_sums_agree, line.items))


def account(company: CompanyBooks, name: str) -> Account:
    found: Account = next(each for each in company.records("accounts") if each.name == name)
    return found


# --- journal -----------------------------------------------------------------------------------


def test_every_entry_balances(company: CompanyBooks) -> None:
    for entry in company.records("journal_entries"):
        assert sum(line.net_amount for line in entry.journal_lines) == 0
        assert len(entry.journal_lines) >= 2


def test_every_posted_document_has_one_entry_and_no_other_has_any(company: CompanyBooks) -> None:
    entered = [
        (entry.record_ref.data_type, entry.record_ref.id) for entry in company.records("journal_entries")
    ]
    assert len(set(entered)) == len(entered)
    expected = set()
    for resource in POSTED:
        first, *rest = resource.split("_")
        data_type = first + "".join(word.title() for word in rest)
        for record in company.records(resource):
            is_empty = resource.endswith("payments") and not record.total_amount
            if (
                not record.is_deleted
                and getattr(record, "status", "") not in ("Draft", "Void")
                and not is_empty
            ):
                expected.add((data_type, record.id))
    assert {each for each in entered if each[0] != "journalEntries"} == expected


def test_accounts_show_the_balance_of_the_ledger(company: CompanyBooks) -> None:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for entry in company.records("journal_entries"):
        for line in entry.journal_lines:
            sums[line.account_ref.id] += line.net_amount
    foreign = {invoice.currency: invoice.currency_rate for invoice in company.records("invoices")}
    for each in company.records("accounts"):
        rate = 1 if each.currency == company.info.base_currency else foreign[each.currency]
        assert each.current_balance * rate == sums[each.id]
    assert sum(sums.values()) == 0


def test_control_accounts_agree_with_what_is_open(company: CompanyBooks) -> None:
    for documents, notes, payments, name, sign in (
        ("invoices", "credit_notes", "payments", "Accounts receivable", 1),
        ("bills", "bill_credit_notes", "bill_payments", "Accounts payable", -1),
    ):
        open_ = Decimal(0)
        for record in company.records(documents):
            if record.status not in ("Draft", "Void"):
                open_ += record.amount_due * record.currency_rate
        for note in company.records(notes):
            if note.status not in ("Draft", "Void"):
                open_ -= note.remaining_credit * note.currency_rate
        for payment in company.records(payments):
            linked = {link.type for line in payment.lines for link in line.links}
            if linked == {"PaymentOnAccount"}:
                open_ -= payment.total_amount * payment.currency_rate
        assert ledger_balance(company, name) == sign * open_


# --- bank --------------------------------------------------------------------------------------


def test_statements_run_to_the_balance_of_the_account(company: CompanyBooks) -> None:
    by_id = {each.id: each for each in company.records("accounts")}
    total = 0
    for bank in company.records("bank_accounts"):
        assert by_id[bank.id].is_bank_account
        balance = Decimal(0)
        for line in company.bank_transactions(bank.id):
            assert line.amount is not None
            balance += line.amount
            assert line.balance == balance
        assert balance == bank.balance == by_id[bank.id].current_balance
        # What is in a bank account is in whole cents, whatever the rate it is kept at.
        assert balance == round(balance, 2)
        total += len(company.bank_transactions(bank.id))
    transactions = company.records("account_transactions")
    assert len(transactions) == total
    for each in transactions:
        assert each.total_amount == sum(line.amount for line in each.lines)


def test_statements_are_in_the_order_of_their_dates(company: CompanyBooks) -> None:
    for bank in company.records("bank_accounts"):
        dates = [line.cleared_on_date for line in company.bank_transactions(bank.id)]
        assert dates == sorted(dates)  # type: ignore[type-var]


# --- statements --------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "number"), [(1, 40), (3, 4), (12, 3), (5, 2), (1, 0)])
def test_the_balance_sheet_balances_in_every_period(company: CompanyBooks, length: int, number: int) -> None:
    sheets = company.statements.balance_sheet(length, number)
    assert len(sheets.reports) == max(1, number)
    assert sheets.currency == company.info.base_currency
    for sheet in sheets.reports:
        assert sheet.assets is not None
        assert sheet.liabilities is not None
        assert sheet.equity is not None
        assert sheet.net_assets == sheet.assets.value - sheet.liabilities.value == sheet.equity.value
        assert line_sums_agree(sheet.assets)
        assert line_sums_agree(sheet.liabilities)
        assert line_sums_agree(sheet.equity)


def test_profit_is_what_earnings_move_by(company: CompanyBooks) -> None:
    sheets = company.statements.balance_sheet(1, 13).reports
    reports = company.statements.profit_and_loss(1, 12).reports
    for report, sheet, before in zip(reports, sheets, sheets[1:], strict=False):
        assert report.to_date == sheet.date_
        assert report.net_profit == sheet.net_assets - before.net_assets
        assert report.gross_profit == report.income.value - report.cost_of_sales.value  # type: ignore[union-attr]
        assert report.net_profit == report.net_operating_profit + report.net_other_income


def test_profit_of_a_year_is_that_of_its_months(company: CompanyBooks) -> None:
    year = company.statements.profit_and_loss(12, 1, date(2025, 12, 1))
    months = company.statements.profit_and_loss(1, 12, date(2025, 12, 1))
    assert year.reports[0].from_date == datetime(2025, 1, 1)
    assert year.reports[0].to_date == datetime(2025, 12, 31)
    assert months.reports[0].to_date == year.reports[0].to_date
    assert months.reports[-1].from_date == year.reports[0].from_date
    assert year.reports[0].net_profit == sum(report.net_profit for report in months.reports)
    assert year.reports[0].net_profit != 0


def test_cash_flow_is_what_the_bank_accounts_move_by(company: CompanyBooks) -> None:
    banks = {each.id for each in company.records("bank_accounts")}

    def cash(sheet: Any) -> Decimal:
        current = next(group for group in sheet.assets.items if group.name == "Current assets")
        return sum((line.value for line in current.items if line.account_id in banks), Decimal(0))

    sheets = company.statements.balance_sheet(2, 7).reports
    flows = company.statements.cash_flow_statement(2, 6).reports
    for flow, sheet, before in zip(flows, sheets, sheets[1:], strict=False):
        assert flow.cash_receipts is not None
        assert flow.cash_payments is not None
        assert flow.cash_receipts.value - flow.cash_payments.value == cash(sheet) - cash(before)


def test_reports_name_the_months_there_are(company: CompanyBooks) -> None:
    sheets = company.statements.balance_sheet(1, 1)
    assert sheets.earliest_available_month == datetime(2023, 6, 1)
    assert sheets.most_recent_available_month == datetime(2026, 6, 1)
    assert sheets.reports[0].date_ == datetime(2026, 6, 30)


def test_reports_before_the_first_and_after_the_last_month_are_empty_or_still(company: CompanyBooks) -> None:
    early = company.statements.balance_sheet(1, 2, date(1901, 1, 1))
    assert [sheet.net_assets for sheet in early.reports] == [0, 0]
    late = company.statements.profit_and_loss(1, 1, date(2199, 12, 1))
    assert late.reports[0].net_profit == 0
    ancient = company.statements.balance_sheet(240, 240, date(1900, 1, 1))
    assert 0 < len(ancient.reports) < 240


def test_the_books_look_like_those_of_a_going_concern(books: Books) -> None:
    for company_id in books.company_ids:
        company = books.company(company_id)
        for bank in company.records("bank_accounts"):
            assert min(line.balance or 0 for line in company.bank_transactions(bank.id)) > -5000
        report = company.statements.profit_and_loss(36, 1).reports[0]
        assert report.income is not None
        assert Decimal("0.2") < report.gross_profit / report.income.value < Decimal("0.9")


# --- ageing ------------------------------------------------------------------------------------


def aged_total(report: AgedDebtorReport | AgedCreditorReport, rates: dict[str, Decimal]) -> Decimal:
    total = Decimal(0)
    for party in report.data or ():
        for outstanding in party.aged_currency_outstanding or ():
            for bucket in outstanding.aged_outstanding_amounts or ():
                amounts = [detail.amount or Decimal(0) for detail in bucket.details or ()]
                assert bucket.amount == sum(amounts)
                total += sum(amounts) * rates[outstanding.currency or ""]
    return total


@pytest.mark.parametrize("day", [REFERENCE_DATE, date(2025, 12, 31), date(2024, 2, 29), date(2020, 1, 1)])
def test_what_is_owed_on_any_day_is_the_balance_of_the_control_account(
    company: CompanyBooks, day: date
) -> None:
    rates = {each.currency: each.currency_rate for each in company.records("invoices")}
    rates |= {each.currency: each.currency_rate for each in company.records("bills")}
    debtors = company.aged_debtors(day)
    assert aged_total(debtors, rates) == ledger_balance(company, "Accounts receivable", day)
    creditors = company.aged_creditors(day, 3, 7)
    assert aged_total(creditors, rates) == -ledger_balance(company, "Accounts payable", day)


def test_open_invoices_are_all_there(company: CompanyBooks) -> None:
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for invoice in company.records("invoices"):
        if invoice.status in ("Submitted", "PartiallyPaid"):
            expected[invoice.customer_ref.id] += invoice.amount_due
    shown: dict[str, Decimal] = defaultdict(Decimal)
    names = {each.id: each.customer_name for each in company.records("customers")}
    for debtor in company.aged_debtors().data or ():
        assert debtor.customer_name == names[debtor.customer_id]
        for outstanding in debtor.aged_currency_outstanding or ():
            for bucket in outstanding.aged_outstanding_amounts or ():
                for detail in bucket.details or ():
                    if detail.name == "invoices":
                        shown[debtor.customer_id or ""] += detail.amount or 0
    assert {key: value for key, value in shown.items() if value} == expected


def test_open_amounts_stand_in_the_period_they_fell_due(own: CompanyBooks) -> None:
    own.records("payments").clear()
    own.records("credit_notes").clear()
    template = deepcopy(own.records("invoices")[0])
    template.status, template.metadata = InvoiceStatus.SUBMITTED, None
    own.records("invoices").clear()
    for number, late in enumerate((-5, 0, 1, 30, 31, 60, 61, 400)):
        invoice = deepcopy(template)
        invoice.id = str(number)
        invoice.issue_date = datetime(2024, 1, 1)
        invoice.due_date = datetime(2026, 6, 30) - timedelta(days=late)
        invoice.total_amount = Decimal(10**number)
        own.records("invoices").append(invoice)
    report = own.aged_debtors(None, 2, 30)
    (debtor,) = report.data or []
    (outstanding,) = debtor.aged_currency_outstanding or []
    buckets = outstanding.aged_outstanding_amounts or ()
    assert [bucket.amount for bucket in buckets] == [11, 1100, 110000, 11000000]
    assert [bucket.from_date and bucket.from_date.date() for bucket in buckets] == [
        date(2026, 6, 30), date(2026, 5, 31), date(2026, 5, 1), None,
    ]  # fmt: skip
    assert [bucket.to_date and bucket.to_date.date() for bucket in buckets] == [
        None, date(2026, 6, 29), date(2026, 5, 30), date(2026, 4, 30),
    ]  # fmt: skip


# --- what is written from outside ----------------------------------------------------------------


def new_invoice(company: CompanyBooks, **changes: Any) -> Invoice:
    customer = company.records("customers")[0]
    fields: dict[str, Any] = {
        "id": "new",
        "invoice_number": "NEW-1",
        "customer_ref": CustomerRef(id=customer.id),
        "issue_date": datetime(2026, 7, 10),
        "due_date": datetime(2026, 8, 10),
        "status": InvoiceStatus.SUBMITTED,
        "currency": company.info.base_currency,
        "total_amount": Decimal("1200.00"),
        "total_tax_amount": Decimal("200.00"),
        "amount_due": Decimal("1200.00"),
        "modified_date": LATER,
    }
    return Invoice(**(fields | changes))


def receivable(company: CompanyBooks) -> Decimal:
    balance = account(company, "Accounts receivable").current_balance
    assert balance is not None
    return balance


def test_a_written_invoice_shows_in_the_ledger_and_the_reports(own: CompanyBooks) -> None:
    before = receivable(own)
    profit = own.statements.profit_and_loss(1, 1).reports[0].net_profit
    assert profit is not None
    own.records("invoices").append(new_invoice(own))
    assert "journal_entries" in own.refresh()
    assert receivable(own) == before + 1200
    report = own.statements.profit_and_loss(1, 1)
    assert report.most_recent_available_month == datetime(2026, 7, 1)
    assert report.reports[0].net_profit == 1000
    own.refresh()
    sheet = own.statements.balance_sheet(1, 1).reports[0]
    assert sheet.equity is not None
    assert sheet.net_assets == sheet.equity.value
    assert own.aged_debtors().report_date == datetime(2026, 7, 10)
    assert own.records("journal_entries")[-1].record_ref.id == "new"


def test_a_draft_is_posted_once_it_is_submitted_and_taken_back_when_deleted(own: CompanyBooks) -> None:
    before = receivable(own)
    invoice = new_invoice(own, status=InvoiceStatus.DRAFT)
    own.records("invoices").append(invoice)
    own.refresh()
    assert receivable(own) == before
    invoice.status = InvoiceStatus.SUBMITTED
    invoice.modified_date = LATER + timedelta(minutes=1)
    own.refresh()
    assert receivable(own) == before + 1200
    own.records("invoices")[-1] = new_invoice(own, total_amount=Decimal(600), total_tax_amount=Decimal(100))
    own.refresh()
    assert receivable(own) == before + 600
    deleted = own.records("invoices")[-1]
    deleted.metadata = Metadata(is_deleted=True)
    deleted.modified_date = LATER + timedelta(minutes=2)
    own.refresh()
    assert receivable(own) == before
    assert all(entry.record_ref.id != "new" for entry in own.records("journal_entries"))


def test_a_removed_document_takes_its_entry_along(own: CompanyBooks) -> None:
    entries = len(own.records("journal_entries"))
    costs = own.records("direct_costs")
    costs.remove(next(cost for cost in costs if not cost.is_deleted))
    own.refresh()
    assert len(own.records("journal_entries")) == entries - 1


def test_a_payment_is_set_against_its_invoice_and_reaches_the_bank(own: CompanyBooks) -> None:
    bank = own.records("bank_accounts")[0]
    held = own.bank_transactions(bank.id)
    lines, balance = len(held), bank.balance
    own.records("account_transactions")
    invoice = new_invoice(own)
    own.records("invoices").append(invoice)
    link = PaymentLineLink(type=PaymentLinkType.INVOICE, id="new", amount=Decimal(-500))
    payment = Payment(
        id="paid",
        date_=datetime(2026, 7, 12),
        account_ref=AccountRef(id=bank.id),
        customer_ref=invoice.customer_ref,
        currency=invoice.currency,
        total_amount=Decimal(500),
        lines=[PaymentLine(amount=Decimal(500), links=[link])],
        modified_date=LATER + timedelta(hours=1),
    )
    own.records("payments").append(payment)
    changed = own.refresh()
    assert changed == {
        "invoices", "journal_entries", "accounts", "bank_accounts", "account_transactions",
        "bank_account_transactions",
    }  # fmt: skip
    assert invoice.amount_due == 700
    assert invoice.status == "PartiallyPaid"
    assert invoice.modified_date == payment.modified_date
    assert len(held) == lines + 1
    assert held[-1].amount == 500
    assert bank.balance == balance + 500
    payment.metadata = Metadata(is_deleted=True)
    payment.modified_date = LATER + timedelta(hours=2)
    own.refresh()
    assert invoice.amount_due == 1200
    assert invoice.status == "Submitted"
    assert len(held) == lines


def test_a_bill_payment_pays_a_bill_in_full(own: CompanyBooks) -> None:
    bill = next(each for each in own.records("bills") if each.status == "Open")
    link = BillPaymentLineLink(type=BillPaymentLineLinkType.BILL, id=bill.id, amount=-bill.total_amount)
    own.records("bill_payments").append(
        BillPayment(
            id="paid",
            date_=datetime(2026, 7, 12),
            supplier_ref=bill.supplier_ref,
            currency=bill.currency,
            lines=[BillPaymentLine(amount=bill.total_amount, links=[link])],
            modified_date=LATER,
        )
    )
    own.refresh()
    assert bill.amount_due == 0
    assert bill.status == "Paid"
    rates = {each.currency: each.currency_rate for each in own.records("bills")}
    day = date(2026, 7, 31)
    assert aged_total(own.aged_creditors(day), rates) == -ledger_balance(own, "Accounts payable")


def test_manual_journals_count_and_unbalanced_ones_do_not(own: CompanyBooks) -> None:
    bank = own.records("bank_accounts")[0]
    statement = own.bank_transactions(bank.id)
    lines = len(statement)
    other = account(own, "Bank loan")
    before = other.current_balance or 0
    for amount, against in ((Decimal(75), Decimal(-75)), (Decimal(75), Decimal(-70))):
        own.records("journal_entries").append(
            JournalEntry(
                id=f"manual {against}",
                posted_on=datetime(2026, 7, 1),
                modified_date=LATER,
                journal_lines=[
                    JournalLine(net_amount=amount, account_ref=AccountRef(id=bank.id)),
                    JournalLine(net_amount=against, account_ref=AccountRef(id=other.id)),
                ],
            )
        )
    own.refresh()
    assert other.current_balance == before - 75
    assert len(statement) == lines + 1
    own.refresh()
    sheet = own.statements.balance_sheet(1, 1).reports[0]
    assert sheet.equity is not None
    assert sheet.net_assets == sheet.equity.value


def test_a_delivered_statement_line_stays(own: CompanyBooks) -> None:
    bank = own.records("bank_accounts")[0]
    statement = own.bank_transactions(bank.id)
    statement.append(BankTransaction(id="feed", amount=Decimal(5)))
    own.records("transfers").pop()
    own.refresh()
    assert "feed" in {line.id for line in statement}


def test_dates_far_ahead_do_not_move_the_present(own: CompanyBooks) -> None:
    own.records("invoices").append(new_invoice(own, issue_date=datetime(9999, 12, 31, tzinfo=UTC)))
    own.refresh()
    sheets = own.statements.balance_sheet(1, 1)
    assert sheets.most_recent_available_month == datetime(2026, 7, 1)
    assert own.aged_debtors().report_date == datetime(2026, 7, 15)


def test_accounts_of_unknown_type_are_still_on_the_balance_sheet(own: CompanyBooks) -> None:
    own.records("accounts").append(
        Account(id="odd", name="Odd", type=AccountType("Contra"), modified_date=LATER)
    )
    for other in ("odd", "missing"):
        own.records("journal_entries").append(
            JournalEntry(
                id=f"to {other}",
                modified_date=LATER,
                journal_lines=[
                    JournalLine(net_amount=Decimal(9), account_ref=AccountRef(id=other)),
                    JournalLine(net_amount=Decimal(-9)),
                ],
            )
        )
    own.refresh()
    sheet = own.statements.balance_sheet(1, 1).reports[0]
    assert sheet.equity is not None
    assert sheet.net_assets == sheet.equity.value
