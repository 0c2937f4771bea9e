"""Balance sheet, profit and loss, and cash flow, computed from the ledger's balances."""

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from msgspec import Struct

from codat_async.models import (
    Account,
    AccountRef,
    AccountType,
    BalanceSheet,
    BalanceSheets,
    CashFlowStatement,
    CashFlowStatements,
    ProfitAndLossReport,
    ProfitAndLossReports,
    ReportBasis,
    ReportInput,
    ReportLine,
)
from codat_async.sandbox.books.dates import FIRST_DATE, REFERENCE_DATE
from codat_async.sandbox.books.ledger import Balances, month_of

_ZERO: Final = Decimal(0)
_TYPES: Final = frozenset(set(AccountType) - {AccountType.UNKNOWN})
_EARNING: Final = (AccountType.INCOME, AccountType.EXPENSE)
_GROUPS: Final = {
    "Asset.Current": "Current assets",
    "Asset.Fixed": "Fixed assets",
    "Asset.NonCurrent": "Other non-current assets",
    "Liability.Current": "Current liabilities",
    "Liability.NonCurrent": "Long-term liabilities",
}


class Period(Struct, frozen=True):
    """Whole months, both ends included, counted as :func:`month_of` does."""

    first: int
    last: int

    @property
    def start(self) -> datetime:
        """The first day."""
        return datetime(self.first // 12, self.first % 12 + 1, 1)

    @property
    def end(self) -> datetime:
        """The last day."""
        year, month = self.last // 12, self.last % 12 + 1
        return datetime(year, month, monthrange(year, month)[1])


class Statements:
    """The financial statements of one company at one moment."""

    def __init__(
        self,
        balances: Balances,
        accounts: Iterable[Account],
        refs: Mapping[str, AccountRef],
        *,
        currency: str,
        retained_id: str | None,
        year_start_month: int,
    ) -> None:
        self._balances = balances
        self._accounts = {account.id or "": account for account in accounts}
        self._refs = refs
        self._currency = currency
        self._retained_id = retained_id
        self._year_start = year_start_month - 1
        last = datetime.combine(REFERENCE_DATE, datetime.min.time())
        if balances.last is not None:
            last = max(last, balances.last)
        first = balances.first or datetime.combine(FIRST_DATE, datetime.min.time())
        self.earliest = datetime(first.year, first.month, 1)
        self.latest = datetime(last.year, last.month, 1)

    def balance_sheets(self, length: int, number: int, start: date | None) -> BalanceSheets:
        """The balance sheet at the end of each period, the newest first."""
        return BalanceSheets(
            currency=self._currency,
            reports=[self._balance_sheet(period) for period in self._periods(length, number, start)],
            earliest_available_month=self.earliest,
            most_recent_available_month=self.latest,
        )

    def profit_and_loss(self, length: int, number: int, start: date | None) -> ProfitAndLossReports:
        """The profit and loss of each period, the newest first."""
        return ProfitAndLossReports(
            currency=self._currency,
            report_basis=ReportBasis.ACCRUAL,
            reports=[self._profit_and_loss(period) for period in self._periods(length, number, start)],
            earliest_available_month=self.earliest,
            most_recent_available_month=self.latest,
        )

    def cash_flow(self, length: int, number: int, start: date | None) -> CashFlowStatements:
        """The receipts and payments of each period, the newest first."""
        return CashFlowStatements(
            currency=self._currency,
            report_basis=ReportBasis.CASH,
            report_input=ReportInput.DIRECT,
            reports=[
                CashFlowStatement(
                    from_date=period.start,
                    to_date=period.end,
                    cash_receipts=self._cash("Cash receipts", self._balances.receipts, period),
                    cash_payments=self._cash("Cash payments", self._balances.payments, period),
                )
                for period in self._periods(length, number, start)
            ],
            earliest_available_month=self.earliest,
            most_recent_available_month=self.latest,
        )

    def _periods(self, length: int, number: int, start: date | None) -> Iterator[Period]:
        """Back in time from the month given, or from the latest there is."""
        last = month_of(self.latest) if start is None else start.year * 12 + start.month - 1
        for _ in range(max(1, number)):
            if last - length < 12:
                return
            yield Period(last - length + 1, last)
            last -= length

    def _type(self, account_id: str) -> AccountType:
        account = self._accounts.get(account_id)
        known = (account.type if account is not None else None) or AccountType.UNKNOWN
        # An account of no known type has to stand somewhere for the sheet to balance.
        return known if known in _TYPES else AccountType.ASSET

    def _name(self, account_id: str) -> str:
        account = self._accounts.get(account_id)
        if account is not None and account.name:
            return account.name
        ref = self._refs.get(account_id)
        return (ref.name if ref is not None else None) or "Unallocated"

    def _category(self, account_id: str) -> str:
        account = self._accounts.get(account_id)
        return (account.fully_qualified_category if account is not None else None) or ""

    def _balance_sheet(self, period: Period) -> BalanceSheet:
        groups: dict[AccountType, dict[str, list[ReportLine]]] = {
            AccountType.ASSET: {},
            AccountType.LIABILITY: {},
            AccountType.EQUITY: {},
        }
        year_start = period.last - (period.last - self._year_start) % 12
        earned_before = earned_now = retained = _ZERO
        for account_id, months in self._balances.by_account.items():
            kind = self._type(account_id)
            if kind in _EARNING:
                earned_before -= _sum(months, 0, year_start - 1)
                earned_now -= _sum(months, year_start, period.last)
                continue
            value = _sum(months, 0, period.last)
            if kind is not AccountType.ASSET:
                value = -value
            if account_id == self._retained_id:
                retained = value
            elif value:
                group = _group(self._category(account_id)) if kind is not AccountType.EQUITY else ""
                line = ReportLine(name=self._name(account_id), account_id=account_id, value=value)
                groups[kind].setdefault(group, []).append(line)
        equity = groups[AccountType.EQUITY].setdefault("", [])
        equity.append(
            ReportLine(
                name=self._name(self._retained_id) if self._retained_id else "Retained earnings",
                account_id=self._retained_id,
                value=retained + earned_before,
            )
        )
        equity.append(ReportLine(name="Current year earnings", value=earned_now))
        assets = _tree("Assets", groups[AccountType.ASSET])
        liabilities = _tree("Liabilities", groups[AccountType.LIABILITY])
        return BalanceSheet(
            date_=period.end,
            assets=assets,
            liabilities=liabilities,
            equity=_tree("Equity", groups[AccountType.EQUITY]),
            net_assets=assets.value - liabilities.value,
        )

    def _profit_and_loss(self, period: Period) -> ProfitAndLossReport:
        sections: dict[str, list[ReportLine]] = {}
        for account_id, months in self._balances.by_account.items():
            kind = self._type(account_id)
            if kind not in _EARNING:
                continue
            value = _sum(months, period.first, period.last)
            if value:
                value = -value if kind is AccountType.INCOME else value
                line = ReportLine(name=self._name(account_id), account_id=account_id, value=value)
                sections.setdefault(_section(kind, self._category(account_id)), []).append(line)
        income = _line("Income", sections.get("income", ()))
        cost_of_sales = _line("Cost of sales", sections.get("cost of sales", ()))
        expenses = _line("Expenses", sections.get("expenses", ()))
        other_income = _line("Other income", sections.get("other income", ()))
        other_expenses = _line("Other expenses", sections.get("other expenses", ()))
        gross = income.value - cost_of_sales.value
        operating = gross - expenses.value
        other = other_income.value - other_expenses.value
        return ProfitAndLossReport(
            from_date=period.start,
            to_date=period.end,
            income=income,
            cost_of_sales=cost_of_sales,
            gross_profit=gross,
            expenses=expenses,
            net_operating_profit=operating,
            other_income=other_income,
            other_expenses=other_expenses,
            net_other_income=other,
            net_profit=operating + other,
        )

    def _cash(self, name: str, sums: Mapping[str, Mapping[int, Decimal]], period: Period) -> ReportLine:
        lines = []
        for account_id, months in sums.items():
            value = _sum(months, period.first, period.last)
            if value:
                lines.append(ReportLine(name=self._name(account_id), account_id=account_id, value=value))
        return _line(name, lines)


def _sum(months: Mapping[int, Decimal], first: int, last: int) -> Decimal:
    return sum((amount for month, amount in months.items() if first <= month <= last), _ZERO)


def _group(category: str) -> str:
    return _GROUPS.get(".".join(category.split(".")[:2]), "Other")


def _section(kind: AccountType, category: str) -> str:
    parts = category.split(".")
    detail = parts[1] if len(parts) > 1 else ""
    if kind is AccountType.INCOME:
        return "other income" if detail == "Other" else "income"
    if detail == "CostOfSales":
        return "cost of sales"
    return "other expenses" if detail == "Other" else "expenses"


def _line(name: str, items: Sequence[ReportLine]) -> ReportLine:
    return ReportLine(name=name, value=sum((item.value for item in items), _ZERO), items=list(items))


def _tree(name: str, groups: Mapping[str, Sequence[ReportLine]]) -> ReportLine:
    items: list[ReportLine] = []
    for group, lines in sorted(groups.items()):
        items += lines if group == "" else [_line(group, lines)]
    return _line(name, items)
