"""The books of one company: made on first use, kept, and open to change."""

from collections.abc import Iterator
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final

from codat_async.models import (
    AgedCreditor,
    AgedCreditorReport,
    AgedDebtor,
    AgedDebtorReport,
    Attachment,
    BalanceSheets,
    BankTransaction,
    CashFlowStatements,
    Company,
    CompanyInfo,
    Connection,
    ConnectionStatus,
    ProfitAndLossReports,
    SourceType,
    TrackingCategory,
    TrackingCategoryTree,
)
from codat_async.sandbox.books import direct
from codat_async.sandbox.books.ageing import by_age, by_party, outstanding
from codat_async.sandbox.books.allocation import Allocations
from codat_async.sandbox.books.attachments import attachments, content
from codat_async.sandbox.books.chart import Chart, tree
from codat_async.sandbox.books.dates import FIRST_DATE, LAST_SYNC, REFERENCE_DATE, plain, stamps
from codat_async.sandbox.books.goods import Goods
from codat_async.sandbox.books.ledger import Ledger
from codat_async.sandbox.books.parties import Customers, Suppliers, company_info
from codat_async.sandbox.books.profile import RESOURCES, Profile
from codat_async.sandbox.books.projections import Derived
from codat_async.sandbox.books.purchases import Purchases
from codat_async.sandbox.books.reports import Statements
from codat_async.sandbox.books.sales import Sales

_SALES: Final = frozenset({"invoices", "credit_notes", "payments", "sales_orders"})


class CompanyBooks:
    """The accounting data of one company. Every list is made when it is first asked for."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._records: dict[str, list[Any]] = {}
        self._generated: dict[str, frozenset[str]] = {}
        self._attachments: dict[tuple[str, str], list[Attachment]] = {}
        self._receipts: Allocations
        self._outlays: Allocations

    @cached_property
    def _chart(self) -> Chart:
        return Chart(self._profile)

    @cached_property
    def _customers(self) -> Customers:
        return Customers(self._chart)

    @cached_property
    def _suppliers(self) -> Suppliers:
        return Suppliers(self._chart)

    @cached_property
    def _goods(self) -> Goods:
        return Goods(self._chart)

    @cached_property
    def _sales(self) -> Sales:
        sales = Sales(self._chart, self._customers, self._goods)
        self._receipts = Allocations(sales.payments, sales.invoices, sales.credit_notes, "Invoice")
        return sales

    @cached_property
    def _purchases(self) -> Purchases:
        made = Purchases(self._chart, self._suppliers, self._goods)
        self._outlays = Allocations(made.bill_payments, made.bills, made.bill_credit_notes, "Bill")
        return made

    @cached_property
    def connections(self) -> list[Connection]:
        """The company's connections; the first is linked, to its accounting software."""
        profile = self._profile
        created, _ = stamps(-3, profile.stream("connections"))
        link = f"https://link.codat.io/company/{profile.id}"
        connection_id = profile.uuid("connection")
        linked = Connection(
            id=connection_id,
            integration_id=profile.uuid("integration"),
            integration_key=profile.platform.key,
            platform_name=profile.platform.name,
            source_id=profile.uuid("source"),
            source_type=SourceType.ACCOUNTING,
            link_url=f"{link}/connections/{connection_id}/start",
            status=ConnectionStatus.LINKED,
            created=created,
            last_sync=LAST_SYNC,
        )
        if profile.index % 4 != 1:
            return [linked]
        connection_id = profile.uuid("second connection")
        former = Connection(
            id=connection_id,
            integration_id=profile.uuid("second integration"),
            integration_key="mqjo",
            platform_name="Sandbox",
            source_id=profile.uuid("second source"),
            source_type=SourceType.ACCOUNTING,
            link_url=f"{link}/connections/{connection_id}/start",
            status=ConnectionStatus.UNLINKED,
            created=created,
        )
        return [linked, former]

    @cached_property
    def company(self) -> Company:
        """The company as Codat keeps it."""
        profile = self._profile
        created, _ = stamps(-3, profile.stream("connections"))
        return Company(
            id=profile.id,
            name=profile.name,
            description=f"{profile.region.country}, since {FIRST_DATE.year}",
            redirect=f"https://link.codat.io/company/{profile.id}",
            created=created,
            created_by_user_name="Sandbox",
            last_sync=LAST_SYNC,
            products=[],
            tags={"region": profile.region.country},
            data_connections=list(self.connections),
        )

    @cached_property
    def info(self) -> CompanyInfo:
        """The company as its accounting software describes it."""
        return company_info(self._profile)

    def records(self, resource: str) -> list[Any]:
        """All the records of a type, by its name in the catalogue; a :exc:`KeyError` for no such type.

        The list is the caller's to change, and always the same one. A record that is changed in
        place must get a later ``modified_date``: that is what changes are recognised by.
        """
        match resource:
            case "accounts":
                return self._up_to_date.accounts
            case "bank_accounts":
                return self._up_to_date.bank_accounts
            case "account_transactions":
                return self._up_to_date.transactions
            case "journal_entries":
                self.refresh()
                return self._ledger.entries
        records = self._records.get(resource)
        if records is None:
            if resource not in RESOURCES:
                raise KeyError(resource)
            records = self._records[resource] = self._make(resource)
            self._generated[resource] = frozenset(record.id for record in records)
        return records

    def bank_transactions(self, account_id: str) -> list[BankTransaction]:
        """The statement of a bank account; a :exc:`KeyError` for one that does not exist."""
        return self._up_to_date.statement(account_id)

    def tracking_category_tree(self, record_id: str) -> TrackingCategoryTree:
        """A tracking category with all below it; a :exc:`KeyError` for one that does not exist."""
        categories: list[TrackingCategory] = self.records("tracking_categories")
        for category in categories:
            if category.id == record_id:
                return tree(category, categories)
        raise KeyError(record_id)

    def attachments(self, resource: str, record_id: str) -> list[Attachment]:
        """The files of a record; some generated ones have any. The list is the caller's to change."""
        key = (resource, record_id)
        if key not in self._attachments:
            if resource not in self._generated:
                self.records(resource)
            is_generated = record_id in self._generated.get(resource, ())
            self._attachments[key] = attachments(self._profile, *key) if is_generated else []
        return self._attachments[key]

    def attachment_content(self, attachment: Attachment) -> bytes:
        """The bytes of a generated file."""
        return content(attachment)

    def refresh(self) -> frozenset[str]:
        """Let everything that follows from the records follow them, after any were written.

        Payments are set against the documents they are linked to, documents are posted, and
        balances and bank movements follow the postings, all in the lists handed out before.
        Returns the names of the types whose records changed (``bank_account_transactions``
        for bank statements).
        """
        changed: set[str] = set()
        for names, side in self._sides():
            if side.apply():
                changed.update(names)
        if "_ledger" in self.__dict__ and self._ledger.refresh():
            changed.add("journal_entries")
        if "_derived" in self.__dict__:
            changed |= self._derived.update()
        return frozenset(changed)

    def balance_sheet(
        self, *, period_length: int, periods_to_compare: int, start_month: date | None = None
    ) -> BalanceSheets:
        """The balance sheet at the end of each period, going back from the month given or the latest one."""
        return self._statements().balance_sheets(period_length, periods_to_compare, start_month)

    def profit_and_loss(
        self, *, period_length: int, periods_to_compare: int, start_month: date | None = None
    ) -> ProfitAndLossReports:
        """The profit and loss of each period, going back from the month given or the latest one."""
        return self._statements().profit_and_loss(period_length, periods_to_compare, start_month)

    def cash_flow_statement(
        self, *, period_length: int, periods_to_compare: int, start_month: date | None = None
    ) -> CashFlowStatements:
        """The cash flow of each period, going back from the month given or the latest one."""
        return self._statements().cash_flow(period_length, periods_to_compare, start_month)

    def aged_debtors(
        self, *, report_date: date | None = None, number_of_periods: int = 4, period_length_days: int = 30
    ) -> AgedDebtorReport:
        """What each customer owes at the end of a day, by how long it has been due."""
        on = report_date or self._last_day("invoices", "credit_notes")
        open_ = outstanding(
            self.records("invoices"),
            self.records("credit_notes"),
            self.records("payments"),
            on,
            party="customer_ref",
            link_type="Invoice",
            names=("invoices", "creditNotes", "payments"),
            base=self._chart.currency,
        )
        names = {customer.id: customer.customer_name for customer in self.records("customers")}
        return AgedDebtorReport(
            generated=LAST_SYNC,
            report_date=datetime.combine(on, datetime.min.time()),
            data=[
                AgedDebtor(
                    customer_id=party,
                    customer_name=names.get(party),
                    aged_currency_outstanding=by_age(amounts, on, number_of_periods, period_length_days),
                )
                for party, amounts in by_party(open_)
            ],
        )

    def aged_creditors(
        self, *, report_date: date | None = None, number_of_periods: int = 4, period_length_days: int = 30
    ) -> AgedCreditorReport:
        """What the company owes each supplier at the end of a day, by how long it has been due."""
        on = report_date or self._last_day("bills", "bill_credit_notes")
        open_ = outstanding(
            self.records("bills"),
            self.records("bill_credit_notes"),
            self.records("bill_payments"),
            on,
            party="supplier_ref",
            link_type="Bill",
            names=("bills", "billCreditNotes", "billPayments"),
            base=self._chart.currency,
        )
        names = {supplier.id: supplier.supplier_name for supplier in self.records("suppliers")}
        return AgedCreditorReport(
            generated=LAST_SYNC,
            report_date=datetime.combine(on, datetime.min.time()),
            data=[
                AgedCreditor(
                    supplier_id=party,
                    supplier_name=names.get(party),
                    aged_currency_outstanding=by_age(amounts, on, number_of_periods, period_length_days),
                )
                for party, amounts in by_party(open_)
            ],
        )

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger(self._chart, self.records)

    @cached_property
    def _derived(self) -> Derived:
        return Derived(self._chart, self._ledger)

    @property
    def _up_to_date(self) -> Derived:
        derived = self._derived
        self.refresh()
        return derived

    def _sides(self) -> Iterator[tuple[tuple[str, ...], Allocations]]:
        """The sides of the books that have been made, with the types that payments change."""
        if "_sales" in self.__dict__:
            yield ("invoices", "credit_notes"), self._receipts
        if "_purchases" in self.__dict__:
            yield ("bills", "bill_credit_notes"), self._outlays

    def _statements(self) -> Statements:
        derived = self._up_to_date
        return Statements(
            derived.balances,
            derived.accounts,
            self._ledger.refs,
            currency=self._chart.currency,
            retained_id=self._chart.role("retained").id,
            year_start_month=self._profile.region.year_start_month,
        )

    def _last_day(self, *resources: str) -> date:
        """The reference date, or the day of the latest document where one was written since."""
        days = (
            # A document dated ahead does not make the present later than it is.
            min(plain(record.issue_date), plain(record.modified_date or record.issue_date)).date()
            for resource in resources
            for record in self.records(resource)
            if record.issue_date is not None
        )
        return max(REFERENCE_DATE, max(days, default=REFERENCE_DATE))

    def _make(self, resource: str) -> list[Any]:
        match resource:
            case "tax_rates":
                return self._chart.taxes
            case "tracking_categories":
                return self._chart.tracking_categories
            case "payment_methods":
                return self._chart.payment_methods
            case "journals":
                return self._chart.journals
            case "customers":
                return self._customers.records
            case "suppliers":
                return self._suppliers.records
            case "items":
                return self._goods.records
            case "direct_costs":
                return direct.direct_costs(self._chart, self._suppliers)
            case "direct_incomes":
                return direct.direct_incomes(self._chart, self._customers)
            case "transfers":
                return direct.transfers(self._chart)
        side = self._sales if resource in _SALES else self._purchases
        records: list[Any] = getattr(side, resource)
        return records
