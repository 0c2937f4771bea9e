"""The chart of accounts, and the short lists that documents refer to, from tax rates to journals."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

from msgspec import Struct

from codat_async import models
from codat_async.models import AccountRef, AccountType, PaymentMethodType, RecordStatus
from codat_async.sandbox.books.dates import stamps
from codat_async.sandbox.books.profile import Profile

R = TypeVar("R")

_ASSET, _LIABILITY, _EQUITY = AccountType.ASSET, AccountType.LIABILITY, AccountType.EQUITY
_INCOME, _EXPENSE = AccountType.INCOME, AccountType.EXPENSE


class Nominal(Struct, frozen=True):
    """An account of the chart before it has a balance."""

    role: str
    """What the postings know it by; accounts with the same role are alternatives."""
    code: str
    name: str
    type: AccountType
    category: str


_CHART: Final = (
    Nominal("receivable", "1100", "Accounts receivable", _ASSET, "Asset.Current.Receivable"),
    Nominal("payable", "2100", "Accounts payable", _LIABILITY, "Liability.Current.Payable"),
    Nominal("tax", "2200", "Sales tax control account", _LIABILITY, "Liability.Current.Tax"),
    Nominal("sales", "4000", "Sales of goods", _INCOME, "Income.Revenue"),
    Nominal("sales", "4010", "Sales of services", _INCOME, "Income.Revenue"),
    Nominal("purchases", "5000", "Materials purchased", _EXPENSE, "Expense.CostOfSales"),
    Nominal("overhead", "7000", "Rent", _EXPENSE, "Expense.Overhead"),
    Nominal("overhead", "7600", "Professional fees", _EXPENSE, "Expense.Overhead"),
    Nominal("petty", "7400", "Travel", _EXPENSE, "Expense.Overhead"),
    Nominal("bank fees", "7900", "Bank charges", _EXPENSE, "Expense.Overhead"),
    Nominal("takings", "4200", "Counter takings", _INCOME, "Income.Revenue"),
    Nominal("capital", "3000", "Share capital", _EQUITY, "Equity.Capital"),
    Nominal("retained", "3200", "Retained earnings", _EQUITY, "Equity.RetainedEarnings"),
    Nominal("equipment", "0030", "Plant and equipment", _ASSET, "Asset.Fixed.Equipment"),
    Nominal("depreciated", "0031", "Accumulated depreciation", _ASSET, "Asset.Fixed.Depreciation"),
    Nominal("depreciation", "8000", "Depreciation", _EXPENSE, "Expense.Depreciation"),
    Nominal("loan", "2300", "Bank loan", _LIABILITY, "Liability.NonCurrent.Loan"),
    Nominal("interest paid", "8200", "Interest paid", _EXPENSE, "Expense.Other"),
    Nominal("interest received", "4900", "Interest received", _INCOME, "Income.Other"),
    Nominal("accruals", "2109", "Accruals", _LIABILITY, "Liability.Current.Accruals"),
    Nominal("wages", "7001", "Wages and salaries", _EXPENSE, "Expense.Payroll"),
    Nominal("overhead", "7200", "Electricity and heating", _EXPENSE, "Expense.Overhead"),
    Nominal("overhead", "7550", "Telephone and internet", _EXPENSE, "Expense.Overhead"),
    Nominal("overhead", "8100", "Insurance", _EXPENSE, "Expense.Overhead"),
    Nominal("overhead", "6200", "Advertising", _EXPENSE, "Expense.Overhead"),
    Nominal("petty", "7500", "Printing and stationery", _EXPENSE, "Expense.Overhead"),
    Nominal("petty", "7300", "Vehicle fuel", _EXPENSE, "Expense.Overhead"),
    Nominal("purchases", "5100", "Carriage inwards", _EXPENSE, "Expense.CostOfSales"),
    Nominal("", "9998", "Suspense", AccountType.UNKNOWN, ""),
)  # fmt: skip
_METHODS: Final = [
    {"name": name, "type": kind, "status": RecordStatus.ACTIVE}
    for name, kind in (
        ("Bank transfer", PaymentMethodType.BANK_TRANSFER),
        ("Credit card", PaymentMethodType.CREDIT_CARD),
        ("Cheque", PaymentMethodType.CHECK),
        ("Cash", PaymentMethodType.CASH),
    )
]
_TRACKING: Final = (
    ("Department", None), ("Region", None), ("Sales", 0), ("Workshop", 0), ("North", 1), ("South", 1),
    ("Online", 2), ("Shop floor", 2), ("Abroad", 5),
)  # fmt: skip
"""Name, and the number of the parent."""
_JOURNALS: Final = [
    {"journal_code": f"J{number}", "name": name, "type": name, "status": RecordStatus.ACTIVE}
    for number, name in enumerate(
        ("General", "Sales", "Purchases", "Cash receipts", "Cash payments", "Bank transfers")
    )
]
"""The journals every company has, in the order that the ledger numbers them."""


class Chart:
    """A company's accounts and short lists: what every other part of its books refers to.

    The references are made once and shared between records, which must therefore replace
    a reference and never change it in place.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        region = profile.region
        self.currency = region.currency
        self.foreign_currency = region.foreign_currency
        self.foreign_rate = Decimal(region.foreign_rate)
        self.banks = _banks(profile)
        """The bank accounts; the last one is in the foreign currency if the company trades abroad."""
        nominals = [*self.banks, *_CHART]
        self.nominals = sorted(nominals, key=lambda nominal: nominal.code)
        account_id = profile.ids("accounts")
        self.refs = [
            AccountRef(id=account_id(number), name=nominal.name)
            for number, nominal in enumerate(self.nominals)
        ]
        self._by_role: dict[str, list[AccountRef]] = {}
        for nominal, ref in zip(self.nominals, self.refs, strict=True):
            self._by_role.setdefault(nominal.role, []).append(ref)
        self.tax_rates = _set_up(profile, "tax_rates", models.TaxRate, _taxes(profile))
        self.tax_refs = [
            models.TaxRateRef(id=rate.id or "", name=rate.name, effective_tax_rate=rate.effective_tax_rate)
            for rate in self.tax_rates
        ]
        self.tax_basis_points = [int((rate.effective_tax_rate or 0) * 100) for rate in self.tax_rates]
        self.payment_methods = _set_up(profile, "payment_methods", models.PaymentMethod, _METHODS)
        self.method_refs = [
            models.PaymentMethodRef(id=method.id or "", name=method.name) for method in self.payment_methods
        ]
        self.tracking_categories = _set_up(
            profile, "tracking_categories", models.TrackingCategory, _categories(profile)
        )
        self.tracking_refs = [
            models.TrackingCategoryRef(id=category.id or "", name=category.name)
            for category in self.tracking_categories
            if category.parent_id is not None
        ]
        self.journals = _set_up(profile, "journals", models.Journal, _JOURNALS)
        self.journal_refs = [
            models.JournalRef(id=journal.id or "", name=journal.name) for journal in self.journals
        ]

    def role(self, role: str) -> AccountRef:
        """The account that plays a role; the first if there are several."""
        return self._by_role[role][0]

    def roles(self, role: str) -> list[AccountRef]:
        """All the accounts that can play a role."""
        return self._by_role[role]

    @property
    def foreign_bank(self) -> int | None:
        """The number of the bank account in the foreign currency."""
        return len(self.banks) - 1 if self.profile.trades_abroad else None

    def rate(self, currency: str | None) -> Decimal | None:
        """What one unit of the foreign currency is worth here; ``None`` for any other currency."""
        return self.foreign_rate if currency == self.foreign_currency else None

    def money_of(self, *, foreign: bool) -> dict[str, Any]:
        """The currency of a document and its rate."""
        if foreign:
            return {"currency": self.foreign_currency, "currency_rate": self.foreign_rate}
        return {"currency": self.currency, "currency_rate": Decimal(1)}

    def accounts(self) -> list[models.Account]:
        """The chart as records, before balances."""
        stream = self.profile.stream("accounts")
        foreign = None if self.foreign_bank is None else self.roles("bank")[self.foreign_bank]
        return [
            models.Account(
                id=cast(str, ref.id),
                nominal_code=nominal.code,
                name=nominal.name,
                description=f"{nominal.name} of {self.profile.name}" if stream.random() < 0.2 else None,
                fully_qualified_category=nominal.category or None,
                fully_qualified_name=f"{nominal.category}.{nominal.name}" if nominal.category else None,
                type=nominal.type,
                status=models.AccountStatus.ACTIVE,
                is_bank_account=nominal.role == "bank",
                currency=self.foreign_currency if ref is foreign else self.currency,
                **stamps(-int(stream.random() * 300) - 2, stream),
            )
            for nominal, ref in zip(self.nominals, self.refs, strict=True)
        ]


def _set_up(
    profile: Profile, resource: str, model: Callable[..., R], rows: Iterable[dict[str, Any]]
) -> list[R]:
    """Records that were set up before the books begin, with the given fields each."""
    stream = profile.stream(resource)
    record_id = profile.ids(resource)
    return [
        model(id=record_id(number), **fields, **stamps(-int(stream.random() * 500) - 2, stream))
        for number, fields in enumerate(rows)
    ]


def _banks(profile: Profile) -> list[Nominal]:
    own, foreign = profile.region.currency, profile.region.foreign_currency
    names = [f"{own} current account", f"{own} savings account"]
    names.append(f"{foreign} current account" if profile.trades_abroad else f"{own} deposit account")
    return [
        Nominal("bank", str(1200 + number * 5), name, _ASSET, "Asset.Current.Bank")
        for number, name in enumerate(names)
    ]


def _taxes(profile: Profile) -> Iterable[dict[str, Any]]:
    for tax in profile.region.taxes:
        rate = Decimal(tax.basis_points) / 100
        yield {
            "name": tax.name,
            "code": tax.code,
            "effective_tax_rate": rate,
            "total_tax_rate": rate,
            "components": [
                models.TaxRateComponent(name=part, rate=Decimal(points) / 100, is_compound=False)
                for part, points in tax.components or ((tax.name, tax.basis_points),)
            ],
            "status": RecordStatus.ACTIVE,
        }


def _categories(profile: Profile) -> Iterable[dict[str, Any]]:
    record_id = profile.ids("tracking_categories")
    parents = {parent for _, parent in _TRACKING}
    for number, (name, parent) in enumerate(_TRACKING):
        yield {
            "name": name,
            "parent_id": None if parent is None else record_id(parent),
            "has_children": number in parents,
            "status": RecordStatus.ACTIVE,
        }


def tree(
    category: models.TrackingCategory, categories: Sequence[models.TrackingCategory]
) -> models.TrackingCategoryTree:
    """A tracking category with everything below it."""
    fields = {name: getattr(category, name) for name in models.TrackingCategory.__struct_fields__}
    below = [tree(each, categories) for each in categories if each.parent_id == category.id]
    return models.TrackingCategoryTree(**fields, sub_categories=below)
