"""Balance sheet, profit and loss, and cash flow, computed from the ledger's balances."""

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from codat_async import models
from codat_async.models import AccountType, ReportLine
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


class Period(NamedTuple):
    """Whole months, both ends included, counted as :func:`month_of` does."""

    first: int
    last: int

    @property
    def days(self) -> tuple[datetime, datetime]:
        """The first and the last day."""
        year, month = self.last // 12, self.last % 12 + 1
        end = datetime(year, month, monthrange(year, month)[1])
        return datetime(self.first // 12, self.first % 12 + 1, 1), end


class Statements:
    """The financial statements of one company at one moment.

    Each takes how many months a period has, how many periods there are, and the month of the
    newest one (or ``None`` for the latest month there is); the newest comes first.
    """

    def __init__(
        self,
        balances: Balances,
        accounts: Iterable[models.Account],
        refs: Mapping[str, models.AccountRef],
        *,
        currency: str,
        retained_id: str | None,
        year_start_month: int,
    ) -> None:
        self._balances = balances
        self._accounts = {account.id or "": account for account in accounts}
        self._refs = refs
        self._retained_id = retained_id
        self._year_start = year_start_month - 1
        self._months: dict[str, Any] = {
            "currency": currency,
            "earliest_available_month": datetime(balances.first.year, balances.first.month, 1),
            "most_recent_available_month": datetime(balances.last.year, balances.last.month, 1),
        }

    def balance_sheet(self, length: int, number: int, start: date | None = None) -> models.BalanceSheets:
        """The balance sheet at the end of each period."""
        reports = [self._balance_sheet(period) for period in self._periods(length, number, start)]
        return models.BalanceSheets(reports=reports, **self._months)

    def profit_and_loss(
        self, length: int, number: int, start: date | None = None
    ) -> models.ProfitAndLossReports:
        """The profit and loss of each period."""
        reports = [self._profit_and_loss(period) for period in self._periods(length, number, start)]
        return models.ProfitAndLossReports(
            report_basis=models.ReportBasis.ACCRUAL, reports=reports, **self._months
        )

    def cash_flow_statement(
        self, length: int, number: int, start: date | None = None
    ) -> models.CashFlowStatements:
        """The receipts and payments of each period."""
        return models.CashFlowStatements(
            report_basis=models.ReportBasis.CASH,
            report_input=models.ReportInput.DIRECT,
            reports=[
                models.CashFlowStatement(
                    from_date=period.days[0],
                    to_date=period.days[1],
                    cash_receipts=self._cash("Cash receipts", self._balances.receipts, period),
                    cash_payments=self._cash("Cash payments", self._balances.payments, period),
                )
                for period in self._periods(length, number, start)
            ],
            **self._months,
        )

    def _periods(self, length: int, number: int, start: date | None) -> Iterator[Period]:
        last = month_of(self._balances.last) if start is None else start.year * 12 + start.month - 1
        for _ in range(max(1, number)):
            # Year 1 is the first that a date can have.
            if last - length < 12:
                return
            yield Period(last - length + 1, last)
            last -= length

    def _type(self, account_id: str) -> AccountType:
        account = self._accounts.get(account_id)
        known = (account.type if account is not None else None) or AccountType.UNKNOWN
        # An account of unknown type has to be somewhere for the sheet to balance.
        return known if known in _TYPES else AccountType.ASSET

    def _line_of(self, account_id: str | None, value: Decimal) -> ReportLine:
        account = self._accounts.get(account_id or "")
        ref = self._refs.get(account_id or "")
        name = (account.name if account is not None else None) or (ref.name if ref is not None else None)
        return ReportLine(name=name or "Unallocated", account_id=account_id, value=value)

    def _category(self, account_id: str) -> str:
        account = self._accounts.get(account_id)
        return (account.fully_qualified_category if account is not None else None) or ""

    def _balance_sheet(self, period: Period) -> models.BalanceSheet:
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
                groups[kind].setdefault(group, []).append(self._line_of(account_id, value))
        groups[AccountType.EQUITY].setdefault("", []).extend(
            [
                self._line_of(self._retained_id, retained + earned_before),
                ReportLine(name="Current year earnings", value=earned_now),
            ]
        )
        assets = _tree("Assets", groups[AccountType.ASSET])
        liabilities = _tree("Liabilities", groups[AccountType.LIABILITY])
        return models.BalanceSheet(
            date_=period.days[1],
            assets=assets,
            liabilities=liabilities,
            equity=_tree("Equity", groups[AccountType.EQUITY]),
            net_assets=assets.value - liabilities.value,
        )

    def _profit_and_loss(self, period: Period) -> models.ProfitAndLossReport:
        sections: dict[str, list[ReportLine]] = {}
        for account_id, months in self._balances.by_account.items():
            kind = self._type(account_id)
            value = _sum(months, period.first, period.last) if kind in _EARNING else _ZERO
            if value:
                line = self._line_of(account_id, -value if kind is AccountType.INCOME else value)
                sections.setdefault(_section(kind, self._category(account_id)), []).append(line)
        income, cost_of_sales, expenses, other_income, other_expenses = (
            _line(name, sections.get(name, ()))
            for name in ("Income", "Cost of sales", "Expenses", "Other income", "Other expenses")
        )
        gross = income.value - cost_of_sales.value
        operating = gross - expenses.value
        other = other_income.value - other_expenses.value
        return models.ProfitAndLossReport(
            from_date=period.days[0],
            to_date=period.days[1],
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
        values = {account: _sum(months, period.first, period.last) for account, months in sums.items()}
        return _line(name, [self._line_of(account, value) for account, value in values.items() if value])


def _sum(months: Mapping[int, Decimal], first: int, last: int) -> Decimal:
    return sum((amount for month, amount in months.items() if first <= month <= last), _ZERO)


def _group(category: str) -> str:
    return _GROUPS.get(".".join(category.split(".")[:2]), "Other")


def _section(kind: AccountType, category: str) -> str:
    parts = category.split(".")
    detail = parts[1] if len(parts) > 1 else ""
    if kind is AccountType.INCOME:
        return "Other income" if detail == "Other" else "Income"
    if detail == "CostOfSales":
        return "Cost of sales"
    return "Other expenses" if detail == "Other" else "Expenses"


def _line(name: str, items: Sequence[ReportLine]) -> ReportLine:
    return ReportLine(name=name, value=sum((item.value for item in items), _ZERO), items=list(items))


def _tree(name: str, groups: Mapping[str, Sequence[ReportLine]]) -> ReportLine:
    items: list[ReportLine] = []
    for group, lines in sorted(groups.items()):
        items += lines if group == "" else [_line(group, lines)]
    return _line(name, items)
