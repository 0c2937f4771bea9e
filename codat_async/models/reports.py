"""Financial reports: balance sheet, profit and loss, cash flow, and what is overdue. All are read-only."""

from datetime import datetime
from decimal import Decimal

from msgspec import field

from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum


class ReportBasis(OpenEnum):
    """Whether amounts count when they are owed (accrual) or when they are paid (cash)."""

    UNKNOWN = "Unknown"
    ACCRUAL = "Accrual"
    CASH = "Cash"


class ReportInput(OpenEnum):
    """How a cash flow statement is made: from receipts and payments (direct), or from profit (indirect)."""

    UNKNOWN = "Unknown"
    INDIRECT = "Indirect"
    DIRECT = "Direct"


class ReportLine(Model, kw_only=True):
    """A line of a report, and the lines that it adds up."""

    name: str | None = None
    account_id: str | None = None
    """Absent if the line is for more than one account."""
    value: Decimal
    """In the report's currency."""
    items: "list[ReportLine] | None" = None


class BalanceSheet(Model, kw_only=True):
    """What the company owned and owed on one day."""

    date_: FromDate[datetime | None] = field(default=ABSENT, name="date")
    assets: ReportLine | None = None
    liabilities: ReportLine | None = None
    equity: ReportLine | None = None
    net_assets: Decimal
    """Assets less liabilities."""


class BalanceSheets(Model, kw_only=True):
    """Balance sheets of consecutive periods, all in :attr:`currency`, the company's base currency."""

    currency: str | None = None
    reports: list[BalanceSheet]
    earliest_available_month: FromDate[datetime | None] = ABSENT
    """The first month that the data reaches back to."""
    most_recent_available_month: FromDate[datetime | None] = ABSENT


class ProfitAndLossReport(Model, kw_only=True):
    """What the company earned and spent in one period."""

    from_date: FromDate[datetime | None] = ABSENT
    to_date: FromDate[datetime | None] = ABSENT
    income: ReportLine | None = None
    cost_of_sales: ReportLine | None = None
    gross_profit: Decimal
    """Income less cost of sales."""
    expenses: ReportLine | None = None
    net_operating_profit: Decimal
    """Gross profit less expenses."""
    other_income: ReportLine | None = None
    other_expenses: ReportLine | None = None
    net_other_income: Decimal
    """Other income less other expenses."""
    net_profit: Decimal
    """What is left of everything."""


class ProfitAndLossReports(Model, kw_only=True):
    """Profit and loss of consecutive periods, all in :attr:`currency`, the company's base currency."""

    currency: str | None = None
    report_basis: FromText[ReportBasis | None] = ABSENT
    reports: list[ProfitAndLossReport]
    earliest_available_month: FromDate[datetime | None] = ABSENT
    """The first month that the data reaches back to."""
    most_recent_available_month: FromDate[datetime | None] = ABSENT


class CashFlowStatement(Model, kw_only=True):
    """What cash came in and went out in one period."""

    from_date: FromDate[datetime | None] = ABSENT
    to_date: FromDate[datetime | None] = ABSENT
    cash_receipts: ReportLine | None = None
    cash_payments: ReportLine | None = None


class CashFlowStatements(Model, kw_only=True):
    """Cash flow of consecutive periods, all in :attr:`currency`, the company's base currency."""

    currency: str | None = None
    report_basis: FromText[ReportBasis | None] = ABSENT
    report_input: FromText[ReportInput | None] = ABSENT
    reports: list[CashFlowStatement]
    earliest_available_month: FromDate[datetime | None] = ABSENT
    """The first month that the data reaches back to."""
    most_recent_available_month: FromDate[datetime | None] = ABSENT


class AgedOutstandingAmountDetail(Model, kw_only=True):
    """The share of an open amount that one kind of record makes up."""

    name: str | None = None
    """The data type, such as invoices or credit notes."""
    amount: Decimal | None = None
    """Credit is negative."""


class AgedOutstandingAmount(Model, kw_only=True):
    """What fell due between two dates and is still open."""

    from_date: FromDate[datetime | None] = ABSENT
    """Absent for the oldest period."""
    to_date: FromDate[datetime | None] = ABSENT
    """Absent for the newest period."""
    amount: Decimal | None = None
    details: list[AgedOutstandingAmountDetail] | None = None


class AgedCurrencyOutstanding(Model, kw_only=True):
    """What is open in one currency, by age."""

    currency: str | None = None
    aged_outstanding_amounts: list[AgedOutstandingAmount] | None = None


class AgedDebtor(Model, kw_only=True):
    """What one customer owes the company."""

    customer_id: str | None = None
    customer_name: str | None = None
    aged_currency_outstanding: list[AgedCurrencyOutstanding] | None = None


class AgedDebtorReport(Model, kw_only=True):
    """What customers owe the company, by how long it has been due."""

    generated: FromDate[datetime | None] = ABSENT
    """When the report was made."""
    report_date: FromDate[datetime | None] = ABSENT
    """The day that the ages are counted from."""
    data: list[AgedDebtor] | None = None


class AgedCreditor(Model, kw_only=True):
    """What the company owes one supplier."""

    supplier_id: str | None = None
    supplier_name: str | None = None
    aged_currency_outstanding: list[AgedCurrencyOutstanding] | None = None


class AgedCreditorReport(Model, kw_only=True):
    """What the company owes its suppliers, by how long it has been due."""

    generated: FromDate[datetime | None] = ABSENT
    """When the report was made."""
    report_date: FromDate[datetime | None] = ABSENT
    """The day that the ages are counted from."""
    data: list[AgedCreditor] | None = None
