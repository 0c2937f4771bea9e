"""Small hand-made books, so that these tests know every record they ask for."""

from collections.abc import MutableSequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from codat_async import models
from codat_async.sandbox.replies import stable_uuid

START = datetime(2026, 1, 1, tzinfo=UTC)


class SmallCompany:
    """One company with a few invoices, bills and customers."""

    def __init__(self, number: int, size: int) -> None:
        self.company_id = stable_uuid("company", number)
        connection = models.Connection(
            id=stable_uuid("connection", number),
            integration_id=stable_uuid("integration"),
            integration_key="gbol",
            platform_name="Xero",
            source_id=stable_uuid("source"),
            source_type=models.SourceType.ACCOUNTING,
            link_url="https://link.codat.io/x",
            status=models.ConnectionStatus.LINKED,
            created=START,
        )
        self.connections = [connection]
        self.company = models.Company(
            id=self.company_id,
            name=f"Company {number}",
            redirect="https://link.codat.io/y",
            created=START,
            tags={"region": "north" if number % 2 else "south"},
            products=["bulk"],
            data_connections=[connection],
        )
        self.info = models.CompanyInfo(company_name=f"Company {number}", base_currency="GBP")
        self._records: dict[str, MutableSequence[Any]] = {
            "customers": [
                models.Customer(id=f"c/{n}", customer_name=f"Customer {n}", status=models.RecordStatus.ACTIVE)
                for n in range(5)
            ],
            "invoices": [invoice(n) for n in range(size)],
            "bank_accounts": [models.BankAccount(id="bank", account_name="Current")],
        }
        self._transactions = [
            models.BankTransaction(id=str(n), account_id="bank", amount=Decimal(n)) for n in range(3)
        ]
        self._attachments: dict[tuple[str, str], list[models.Attachment]] = {}

    def records(self, resource: str) -> MutableSequence[Any]:
        return self._records.setdefault(resource, [])

    def bank_transactions(self, account_id: str) -> MutableSequence[Any]:
        return {"bank": self._transactions}[account_id]

    def tracking_category_tree(self, category_id: str) -> models.TrackingCategoryTree:
        return models.TrackingCategoryTree(id=category_id)

    def attachments(self, resource: str, record_id: str) -> MutableSequence[models.Attachment]:
        return self._attachments.setdefault(
            (resource, record_id), [models.Attachment(id="a1", name="scan é.pdf", file_size=5)]
        )

    def attachment_content(self, attachment: models.Attachment) -> bytes:
        return b"hello"

    def refresh(self) -> frozenset[str]:
        return frozenset()

    def balance_sheet(self, **options: Any) -> models.BalanceSheets:
        return models.BalanceSheets(currency="GBP", reports=[])

    def profit_and_loss(self, **options: Any) -> models.ProfitAndLossReports:
        return models.ProfitAndLossReports(
            currency="GBP", report_basis=models.ReportBasis.ACCRUAL, reports=[]
        )

    def cash_flow_statement(self, **options: Any) -> models.CashFlowStatements:
        return models.CashFlowStatements(
            currency="GBP",
            report_basis=models.ReportBasis.ACCRUAL,
            report_input=models.ReportInput.DIRECT,
            reports=[],
        )

    def aged_debtors(self, **options: Any) -> models.AgedDebtorReport:
        return models.AgedDebtorReport(data=[])

    def aged_creditors(self, **options: Any) -> models.AgedCreditorReport:
        return models.AgedCreditorReport(data=[])


def invoice(number: int) -> models.Invoice:
    """An invoice whose amounts and dates follow from its number."""
    return models.Invoice(
        id=f"inv-{number}",
        invoice_number=f"INV-{number:04}",
        customer_ref=models.CustomerRef(id=f"c/{number % 5}", company_name=f"Customer {number % 5}"),
        issue_date=datetime(2026, 1, 1) + timedelta(days=number),
        modified_date=START + timedelta(hours=number),
        status=models.InvoiceStatus.PAID if number % 2 else models.InvoiceStatus.SUBMITTED,
        currency="GBP",
        sub_total=Decimal(number),
        total_tax_amount=Decimal("0.10"),
        total_amount=Decimal(number) + Decimal("0.10"),
        amount_due=Decimal(0) if number % 2 else Decimal(number) + Decimal("0.10"),
    )


class SmallBooks:
    """The books of a few companies."""

    def __init__(self, companies: int = 2, size: int = 25) -> None:
        made = [SmallCompany(number, size) for number in range(companies)]
        self._companies = {each.company_id: each for each in made}
        self.company_ids = list(self._companies)

    def company(self, company_id: str) -> SmallCompany:
        return self._companies[company_id]
