"""The chart of accounts, and the short lists that documents refer to, from tax rates to journals."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from codat_async.models import (
    Account,
    AccountRef,
    AccountStatus,
    AccountType,
    Journal,
    JournalRef,
    Metadata,
    PaymentMethod,
    PaymentMethodRef,
    PaymentMethodType,
    RecordStatus,
    TaxRate,
    TaxRateComponent,
    TaxRateRef,
    TrackingCategory,
    TrackingCategoryRef,
    TrackingCategoryTree,
    ValidDataTypeLinks,
)
from codat_async.sandbox.books.dates import stamps
from codat_async.sandbox.books.profile import Profile

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
    Nominal("bank", "1200", "Business current account", _ASSET, "Asset.Current.Bank"),
    Nominal("receivable", "1100", "Accounts receivable", _ASSET, "Asset.Current.Receivable"),
    Nominal("payable", "2100", "Accounts payable", _LIABILITY, "Liability.Current.Payable"),
    Nominal("tax", "2200", "control account", _LIABILITY, "Liability.Current.Tax"),
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
    Nominal("overhead", "7800", "Repairs and renewals", _EXPENSE, "Expense.Overhead"),
    Nominal("overhead", "7503", "Software subscriptions", _EXPENSE, "Expense.Overhead"),
    Nominal("petty", "7500", "Printing and stationery", _EXPENSE, "Expense.Overhead"),
    Nominal("petty", "7401", "Meals and entertainment", _EXPENSE, "Expense.Overhead"),
    Nominal("petty", "7300", "Vehicle fuel", _EXPENSE, "Expense.Overhead"),
    Nominal("purchases", "5100", "Carriage inwards", _EXPENSE, "Expense.CostOfSales"),
    Nominal("purchases", "5200", "Subcontractors", _EXPENSE, "Expense.CostOfSales"),
    Nominal("", "1001", "Inventory", _ASSET, "Asset.Current.Inventory"),
    Nominal("", "1103", "Prepayments", _ASSET, "Asset.Current.Prepayments"),
    Nominal("", "1104", "Rental deposits", _ASSET, "Asset.NonCurrent.Deposits"),
    Nominal("", "0010", "Freehold property", _ASSET, "Asset.Fixed.Property"),
    Nominal("", "0050", "Motor vehicles", _ASSET, "Asset.Fixed.Vehicles"),
    Nominal("", "2210", "Payroll taxes payable", _LIABILITY, "Liability.Current.Tax"),
    Nominal("", "2220", "Net wages payable", _LIABILITY, "Liability.Current.Payroll"),
    Nominal("", "2320", "Corporation tax payable", _LIABILITY, "Liability.Current.Tax"),
    Nominal("", "3100", "Dividends", _EQUITY, "Equity.Distributions"),
    Nominal("", "8400", "Bad debts", _EXPENSE, "Expense.Overhead"),
    Nominal("", "9998", "Suspense", AccountType.UNKNOWN, ""),
)  # fmt: skip
_ESSENTIAL: Final = 21
"""How many of them, after the bank account, the postings of any company need."""

_LINKS_BY_TYPE: Final = {
    AccountType.INCOME: ["Invoices.LineItems.AccountRef.Id", "DirectIncomes.LineItems.AccountRef.Id"],
    AccountType.EXPENSE: ["Bills.LineItems.AccountRef.Id", "DirectCosts.LineItems.AccountRef.Id"],
    AccountType.ASSET: ["JournalEntries.JournalLines.AccountRef.Id"],
}


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
        """The bank accounts; the last one is in the foreign currency where the company trades abroad."""
        self.nominals = _nominals(profile, self.banks)
        account_id = profile.ids("accounts")
        self.refs = [
            AccountRef(id=account_id(number), name=nominal.name)
            for number, nominal in enumerate(self.nominals)
        ]
        self._by_role: dict[str, list[AccountRef]] = {}
        for nominal, ref in zip(self.nominals, self.refs, strict=True):
            self._by_role.setdefault(nominal.role, []).append(ref)
        self.taxes = _taxes(profile)
        self.tax_refs = [
            TaxRateRef(id=rate.id or "", name=rate.name, effective_tax_rate=rate.effective_tax_rate)
            for rate in self.taxes
        ]
        self.tax_basis_points = [int((rate.effective_tax_rate or 0) * 100) for rate in self.taxes]
        self.payment_methods = _payment_methods(profile)
        self.method_refs = [
            PaymentMethodRef(id=method.id or "", name=method.name) for method in self.payment_methods
        ]
        self.tracking_categories = _tracking(profile)
        self.tracking_refs = [
            TrackingCategoryRef(id=category.id or "", name=category.name)
            for category in self.tracking_categories
            if category.parent_id is not None
        ]
        self.journals = _journals(profile)
        self.journal_refs = [JournalRef(id=journal.id or "", name=journal.name) for journal in self.journals]

    def role(self, role: str) -> AccountRef:
        """The account that plays a role; the first where there are several."""
        return self._by_role[role][0]

    def roles(self, role: str) -> list[AccountRef]:
        """All the accounts that can play a role."""
        return self._by_role[role]

    @property
    def foreign_bank(self) -> int | None:
        """The number of the bank account in the foreign currency."""
        return len(self.banks) - 1 if self.profile.trades_abroad and len(self.banks) > 1 else None

    def rate(self, currency: str | None) -> Decimal | None:
        """What one unit of a currency is worth here, where the company deals in it and it is not its own."""
        return self.foreign_rate if currency == self.foreign_currency else None

    def accounts(self) -> list[Account]:
        """The chart as records, before balances."""
        stream = self.profile.stream("accounts")
        accounts: list[Account] = []
        foreign = self.foreign_bank
        bank_number = 0
        for nominal, ref in zip(self.nominals, self.refs, strict=True):
            source, modified = stamps(-int(stream.random() * 300) - 2, stream)
            is_bank = nominal.role == "bank"
            links = _LINKS_BY_TYPE.get(nominal.type)
            accounts.append(
                Account(
                    id=ref.id,
                    nominal_code=nominal.code,
                    name=nominal.name,
                    description=f"{nominal.name} of {self.profile.name}" if stream.random() < 0.2 else None,
                    fully_qualified_category=nominal.category or None,
                    fully_qualified_name=f"{nominal.category}.{nominal.name}" if nominal.category else None,
                    type=nominal.type,
                    status=AccountStatus.ACTIVE,
                    is_bank_account=is_bank,
                    currency=self.foreign_currency if is_bank and bank_number == foreign else self.currency,
                    valid_datatype_links=[ValidDataTypeLinks(property="Id", links=list(links))]
                    if links
                    else None,
                    modified_date=modified,
                    source_modified_date=source,
                    metadata=Metadata(is_deleted=False),
                )
            )
            bank_number += is_bank
        return accounts


def _banks(profile: Profile) -> list[Nominal]:
    region = profile.region
    count = max(1, profile.sizes["bank_accounts"])
    names = [f"{region.currency} current account", f"{region.currency} savings account"]
    names += [f"{region.currency} deposit account {number}" for number in range(1, count)]
    names = names[:count]
    if profile.trades_abroad and count > 1:
        names[-1] = f"{region.foreign_currency} current account"
    return [
        Nominal("bank", str(1200 + number * 5), name, _ASSET, "Asset.Current.Bank")
        for number, name in enumerate(names)
    ]


def _nominals(profile: Profile, banks: list[Nominal]) -> list[Nominal]:
    rest = list(_CHART[1:])
    wanted = profile.sizes["accounts"] - len(banks)
    if not profile.sizes.is_overridden("accounts"):
        # A company of any size keeps the accounts that its postings need.
        wanted = min(max(wanted, _ESSENTIAL), len(rest))
    rest = rest[: max(wanted, _ESSENTIAL)]
    rest += [
        Nominal("", f"7{number:05}", f"Department cost {number}", _EXPENSE, "Expense.Overhead")
        for number in range(1, wanted - len(rest) + 1)
    ]
    tax = profile.region.tax_name
    named = [
        Nominal(n.role, n.code, f"{tax} {n.name}", n.type, n.category) if n.role == "tax" else n for n in rest
    ]
    return sorted(banks + named, key=lambda nominal: nominal.code)


def _taxes(profile: Profile) -> list[TaxRate]:
    stream = profile.stream("tax_rates")
    record_id = profile.ids("tax_rates")
    taxes = [(tax.name, tax.code, tax.basis_points, tax.components) for tax in profile.region.taxes]
    extra = profile.sizes["tax_rates"] - len(taxes)
    taxes += [
        (f"Former rate {number}", f"OLD{number}", 250 * (number % 80), ())
        for number in range(1, 1 + (extra if profile.sizes.is_overridden("tax_rates") else min(extra, 1)))
    ]
    rates: list[TaxRate] = []
    for number, (name, code, basis_points, components) in enumerate(taxes):
        source, modified = stamps(-int(stream.random() * 500) - 2, stream)
        rate = Decimal(basis_points) / 100
        rates.append(
            TaxRate(
                id=record_id(number),
                name=name,
                code=code,
                effective_tax_rate=rate,
                total_tax_rate=rate,
                components=[
                    TaxRateComponent(name=part, rate=Decimal(points) / 100, is_compound=False)
                    for part, points in components or ((name, basis_points),)
                ],
                status=RecordStatus.ARCHIVED if code.startswith("OLD") else RecordStatus.ACTIVE,
                modified_date=modified,
                source_modified_date=source,
                metadata=Metadata(is_deleted=False),
            )
        )
    return rates


_METHODS: Final = (
    ("Bank transfer", PaymentMethodType.BANK_TRANSFER), ("Credit card", PaymentMethodType.CREDIT_CARD),
    ("Debit card", PaymentMethodType.DEBIT_CARD), ("Cheque", PaymentMethodType.CHECK),
    ("Cash", PaymentMethodType.CASH), ("Voucher", PaymentMethodType.OTHER),
)  # fmt: skip


def _payment_methods(profile: Profile) -> list[PaymentMethod]:
    stream = profile.stream("payment_methods")
    record_id = profile.ids("payment_methods")
    methods: list[PaymentMethod] = []
    for number in range(max(1, profile.sizes["payment_methods"])):
        name, kind = _METHODS[number % len(_METHODS)]
        source, modified = stamps(-int(stream.random() * 500) - 2, stream)
        methods.append(
            PaymentMethod(
                id=record_id(number),
                name=name if number < len(_METHODS) else f"{name} {number // len(_METHODS) + 1}",
                type=kind,
                status=RecordStatus.ARCHIVED if kind is PaymentMethodType.OTHER else RecordStatus.ACTIVE,
                modified_date=modified,
                source_modified_date=source,
                metadata=Metadata(is_deleted=False),
            )
        )
    return methods


_TRACKING: Final = (
    ("Department", None), ("Region", None), ("Sales", 0), ("Workshop", 0), ("North", 1), ("South", 1),
    ("Online", 2), ("Shop floor", 2), ("Abroad", 5),
)  # fmt: skip


def _tracking(profile: Profile) -> list[TrackingCategory]:
    stream = profile.stream("tracking_categories")
    record_id = profile.ids("tracking_categories")
    plan: list[tuple[str, int | None]] = list(_TRACKING)
    count = profile.sizes["tracking_categories"]
    plan += [(f"Project {number}", 0) for number in range(1, count - len(plan) + 1)]
    plan = plan[:count]
    parents = {parent for _, parent in plan}
    categories: list[TrackingCategory] = []
    for number, (name, parent) in enumerate(plan):
        source, modified = stamps(-int(stream.random() * 500) - 2, stream)
        categories.append(
            TrackingCategory(
                id=record_id(number),
                name=name,
                parent_id=None if parent is None else record_id(parent),
                has_children=number in parents,
                status=RecordStatus.ACTIVE,
                modified_date=modified,
                source_modified_date=source,
                metadata=Metadata(is_deleted=False),
            )
        )
    return categories


def tree(category: TrackingCategory, categories: Sequence[TrackingCategory]) -> TrackingCategoryTree:
    """A tracking category with everything below it."""
    fields = {name: getattr(category, name) for name in TrackingCategory.__struct_fields__}
    below = [tree(each, categories) for each in categories if each.parent_id == category.id]
    return TrackingCategoryTree(**fields, sub_categories=below)


JOURNALS: Final = ("General", "Sales", "Purchases", "Cash receipts", "Cash payments", "Bank transfers")
"""The journals every company has, in the order that postings number them."""


def _journals(profile: Profile) -> list[Journal]:
    stream = profile.stream("journals")
    record_id = profile.ids("journals")
    journals: list[Journal] = []
    for number in range(max(len(JOURNALS), profile.sizes["journals"])):
        name = JOURNALS[number] if number < len(JOURNALS) else f"Journal {number + 1}"
        source, modified = stamps(-int(stream.random() * 500) - 2, stream)
        journals.append(
            Journal(
                id=record_id(number),
                journal_code=f"{''.join(word[0] for word in name.split())}J{number + 1}",
                name=name,
                type="General" if number == 0 else name,
                has_children=False,
                created_on=source,
                status=RecordStatus.ACTIVE,
                modified_date=modified,
                source_modified_date=source,
                metadata=Metadata(is_deleted=False),
            )
        )
    return journals
