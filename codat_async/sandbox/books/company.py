"""The books of one company: made on first use, kept, and open to change."""

from collections.abc import Callable
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final

from codat_async import models
from codat_async.models import ConnectionStatus, SourceType
from codat_async.sandbox.books import direct
from codat_async.sandbox.books.ageing import by_age, outstanding
from codat_async.sandbox.books.attachments import attachments
from codat_async.sandbox.books.chart import Chart, tree
from codat_async.sandbox.books.dates import FIRST_DATE, LAST_SYNC, REFERENCE_DATE, plain, stamps
from codat_async.sandbox.books.goods import Goods
from codat_async.sandbox.books.ledger import Journal
from codat_async.sandbox.books.orders import Orders
from codat_async.sandbox.books.parties import Parties, company_info, customers
from codat_async.sandbox.books.profile import RESOURCES, Profile
from codat_async.sandbox.books.projections import Projections
from codat_async.sandbox.books.reports import Statements
from codat_async.sandbox.books.settlement import Settlement
from codat_async.sandbox.books.trade import PURCHASES, SALES, Side, Trade

_SALES: Final = frozenset({"invoices", "credit_notes", "payments", "sales_orders"})
_PURCHASES: Final = frozenset(
    {"bills", "bill_credit_notes", "bill_payments", "purchase_orders", "item_receipts"}
)


class CompanyBooks:
    """The accounting data of one company. Every list is made when it is first asked for."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._records: dict[str, list[Any]] = {}
        self._generated: dict[str, frozenset[str]] = {}
        self._attachments: dict[tuple[str, str], list[models.Attachment]] = {}
        self._settlements: list[Settlement] = []

    @cached_property
    def _chart(self) -> Chart:
        return Chart(self._profile)

    @cached_property
    def _customers(self) -> Parties:
        return customers(self._chart)

    @cached_property
    def _suppliers(self) -> Parties:
        return Parties(self._chart, "suppliers", models.Supplier, models.SupplierRef)

    @cached_property
    def _goods(self) -> Goods:
        return Goods(self._chart)

    @cached_property
    def connections(self) -> list[models.Connection]:
        """The company's connections; the first is linked, to its accounting software."""
        profile = self._profile
        linked = self._connection("", profile.platform, profile.platform_key, ConnectionStatus.LINKED)
        linked.last_sync = LAST_SYNC
        if profile.index % 4 != 1:
            return [linked]
        return [linked, self._connection("second ", "Sandbox", "mqjo", ConnectionStatus.UNLINKED)]

    def _connection(self, which: str, platform: str, key: str, status: ConnectionStatus) -> models.Connection:
        profile = self._profile
        connection_id = profile.uuid(f"{which}connection")
        return models.Connection(
            id=connection_id,
            integration_id=profile.uuid(f"{which}integration"),
            integration_key=key,
            platform_name=platform,
            source_id=profile.uuid(f"{which}source"),
            source_type=SourceType.ACCOUNTING,
            link_url=f"https://link.codat.io/company/{profile.id}/connections/{connection_id}/start",
            status=status,
            created=stamps(-3, profile.stream("connections"))["source_modified_date"],
        )

    @cached_property
    def company(self) -> models.Company:
        """The company as Codat keeps it."""
        profile = self._profile
        return models.Company(
            id=profile.id,
            name=profile.name,
            description=f"{profile.region.country}, since {FIRST_DATE.year}",
            redirect=f"https://link.codat.io/company/{profile.id}",
            created=self.connections[0].created,
            created_by_user_name="Sandbox",
            last_sync=LAST_SYNC,
            products=[],
            tags={"region": profile.region.country},
            data_connections=list(self.connections),
        )

    @cached_property
    def info(self) -> models.CompanyInfo:
        """The company as its accounting software describes it."""
        return company_info(self._profile)

    def records(self, resource: str) -> list[Any]:
        """All the records of a type, by its name in the catalogue; an unknown one raises :exc:`KeyError`.

        The list is the caller's to change, and always the same one; :meth:`refresh` must be
        called afterwards. A record that is changed in place must get a later
        ``modified_date``: that is what changes are recognised by.
        """
        match resource:
            case "accounts":
                return self._projections.accounts
            case "bank_accounts":
                return self._projections.bank_accounts
            case "account_transactions":
                return self._projections.transactions
            case "journal_entries":
                return self._journal.entries
        if resource not in self._records:
            if resource not in RESOURCES:
                raise KeyError(resource)
            self._make(resource)
        return self._records[resource]

    def bank_transactions(self, account_id: str) -> list[models.BankTransaction]:
        """The statement of a bank account; a :exc:`KeyError` if there is no such account."""
        return self._projections.statement(account_id)

    def tracking_category_tree(self, record_id: str) -> models.TrackingCategoryTree:
        """A tracking category with all below it; a :exc:`KeyError` if there is none with that id."""
        categories: list[models.TrackingCategory] = self.records("tracking_categories")
        for category in categories:
            if category.id == record_id:
                return tree(category, categories)
        raise KeyError(record_id)

    def attachments(self, resource: str, record_id: str) -> list[models.Attachment]:
        """The files of a record; some generated ones have any. The list is the caller's to change."""
        key = (resource, record_id)
        if key not in self._attachments:
            self.records(resource)
            is_generated = record_id in self._generated.get(resource, ())
            self._attachments[key] = attachments(self._profile, *key) if is_generated else []
        return self._attachments[key]

    def refresh(self) -> frozenset[str]:
        """Brings everything that follows from the records in step with them, after any were written.

        Payments are set against the documents they link to, documents are posted, and
        balances and bank movements follow the postings. Returns the resources whose records
        changed (``bank_account_transactions`` for bank statements).
        """
        changed: set[str] = set()
        for settlement in self._settlements:
            changed |= settlement.apply()
        if "_journal" in self.__dict__ and self._journal.update():
            changed.add("journal_entries")
        if "_projections" in self.__dict__:
            changed |= self._projections.update()
        return frozenset(changed)

    def aged_debtors(
        self, on: date | None = None, periods: int = 4, days: int = 30
    ) -> models.AgedDebtorReport:
        """What each customer owes at the end of a day, by how long it has been due."""
        day, rows = self._aged(SALES, "customer", on, periods, days)
        data = [models.AgedDebtor(**row) for row in rows]
        return models.AgedDebtorReport(generated=LAST_SYNC, report_date=day, data=data)

    def aged_creditors(
        self, on: date | None = None, periods: int = 4, days: int = 30
    ) -> models.AgedCreditorReport:
        """What the company owes each supplier at the end of a day, by how long it has been due."""
        day, rows = self._aged(PURCHASES, "supplier", on, periods, days)
        data = [models.AgedCreditor(**row) for row in rows]
        return models.AgedCreditorReport(generated=LAST_SYNC, report_date=day, data=data)

    def _aged(
        self, side: Side, party: str, on: date | None, periods: int, days: int
    ) -> tuple[datetime, list[dict[str, Any]]]:
        """What is open by party; unless a day is given, after the latest document that is not dated ahead."""
        records = {name: self.records(name) for name in (side.documents, side.notes, side.payments)}
        day = on or REFERENCE_DATE
        for record in records[side.documents] if on is None else ():
            written = plain(record.modified_date or record.issue_date).date()
            day = max(day, min(record.issue_date.date(), written))
        names = {each.id: getattr(each, f"{party}_name") for each in self.records(f"{party}s")}
        rows = [
            {
                f"{party}_id": party_id,
                f"{party}_name": names.get(party_id),
                "aged_currency_outstanding": by_age(amounts, day, periods, days),
            }
            for party_id, amounts in outstanding(side, records, day, self._chart.currency)
        ]
        return datetime.combine(day, datetime.min.time()), rows

    @cached_property
    def _journal(self) -> Journal:
        return Journal(self._chart, self.records)

    @cached_property
    def _projections(self) -> Projections:
        return Projections(self._chart, self._journal)

    @property
    def statements(self) -> Statements:
        """The financial statements, as the ledger has them now."""
        projections = self._projections
        return Statements(
            projections.balances,
            projections.accounts,
            self._journal.refs,
            currency=self._chart.currency,
            retained_id=self._chart.role("retained").id,
            year_start_month=self._profile.region.year_start_month,
        )

    def _make(self, resource: str) -> None:
        made: dict[str, list[Any]]
        if resource in _SALES:
            made = self._trade(SALES, self._customers)
        elif resource in _PURCHASES:
            made = self._trade(PURCHASES, self._suppliers)
        else:
            make: dict[str, Callable[[], list[Any]]] = {
                "customers": lambda: self._customers.records,
                "suppliers": lambda: self._suppliers.records,
                "items": lambda: self._goods.records,
                "direct_costs": lambda: direct.direct_costs(self._chart, self._suppliers),
                "direct_incomes": lambda: direct.direct_incomes(self._chart, self._customers),
                "transfers": lambda: direct.transfers(self._chart),
            }
            made = {resource: make[resource]() if resource in make else list(getattr(self._chart, resource))}
        self._records |= made
        for name, records in made.items():
            self._generated[name] = frozenset(record.id for record in records)

    def _trade(self, side: Side, parties: Parties) -> dict[str, list[Any]]:
        trade = Trade(side, self._chart, parties, self._goods)
        orders = Orders(trade, self._goods)
        made = trade.records(orders.refs)
        settlement = Settlement(side, made)
        settlement.apply()
        self._settlements.append(settlement)
        if trade.sells:
            return made | {"sales_orders": orders.records}
        return made | {"purchase_orders": orders.records, "item_receipts": orders.receipts()}
