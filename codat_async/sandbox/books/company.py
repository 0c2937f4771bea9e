"""The books of one company: made on first use, kept, and open to change."""

from functools import cached_property
from typing import cast

from codat_async.models import Company, CompanyInfo, Connection, ConnectionStatus, Model, SourceType
from codat_async.sandbox.books import direct
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.clock import FIRST_DATE, LAST_SYNC, stamps
from codat_async.sandbox.books.goods import Goods
from codat_async.sandbox.books.parties import Customers, Suppliers, company_info
from codat_async.sandbox.books.profile import RESOURCES, Profile
from codat_async.sandbox.books.purchases import Purchases
from codat_async.sandbox.books.sales import Sales


class CompanyBooks:
    """The accounting data of one company. Every list is made when it is first asked for."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._records: dict[str, list[Model]] = {}

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
        return Sales(self._chart, self._customers, self._goods)

    @cached_property
    def _purchases(self) -> Purchases:
        return Purchases(self._chart, self._suppliers, self._goods)

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

    def records(self, resource: str) -> list[Model]:
        """All the records of a type, by its name in the catalogue; the list is the caller's to change."""
        records = self._records.get(resource)
        if records is None:
            if resource not in RESOURCES:
                raise KeyError(resource)
            records = self._records[resource] = cast("list[Model]", self._make(resource))
        return records

    def _make(self, resource: str) -> object:
        match resource:
            case "accounts":
                return self._chart.accounts()
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
            case "invoices" | "credit_notes" | "payments" | "sales_orders":
                return getattr(self._sales, resource)
            case "bills" | "bill_credit_notes" | "bill_payments" | "purchase_orders" | "item_receipts":
                return getattr(self._purchases, resource)
            case _:
                return []
