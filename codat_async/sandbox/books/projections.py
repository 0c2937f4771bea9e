"""The lists that follow from the journal: balances of accounts, and the movements on bank accounts."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from codat_async.models import (
    Account,
    AccountStatus,
    AccountTransaction,
    AccountType,
    BankAccount,
    BankTransaction,
    Metadata,
)
from codat_async.sandbox.books.banking import (
    Movement,
    account_transactions,
    bank_accounts,
    movements,
    statement,
)
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import plain
from codat_async.sandbox.books.ledger import Balances, Ledger, fingerprint


class Derived:
    """Accounts with their balances, bank accounts, and what moved on them.

    The lists are made once and changed in place, so that whoever holds one sees the changes.
    """

    def __init__(self, chart: Chart, ledger: Ledger) -> None:
        self._chart = chart
        self._ledger = ledger
        self.accounts: list[Account] = chart.accounts()
        self.bank_accounts: list[BankAccount] = bank_accounts(chart)
        self._generated = {account.id for account in self.accounts}
        self._transactions: list[AccountTransaction] | None = None
        self._statements: dict[str, list[BankTransaction]] = {}
        self._from_journal: dict[str, set[str | None]] = {}
        self._state: object = None
        self._moved: list[Movement] | None = None
        self.update()

    @property
    def balances(self) -> Balances:
        """The sums of the ledger as it stands."""
        return self._ledger.balances([account.id or "" for account in self.bank_accounts])

    @property
    def transactions(self) -> list[AccountTransaction]:
        """The movements on all bank accounts as the ledger has them."""
        if self._transactions is None:
            self._transactions = account_transactions(self._movements(), self._banks(), self._rates())
        return self._transactions

    def statement(self, account_id: str) -> list[BankTransaction]:
        """The statement of one bank account; a :exc:`KeyError` for one that does not exist."""
        lines = self._statements.get(account_id)
        if lines is None:
            if account_id not in self._banks():
                raise KeyError(account_id)
            lines = self._statements[account_id] = statement(self._movements(), account_id)
            self._from_journal[account_id] = {line.id for line in lines}
        return lines

    def update(self) -> set[str]:
        """Bring the lists in step with the journal; the names of those that changed."""
        state = (
            fingerprint(self._ledger.entries),
            [(bank.id, bank.currency) for bank in self.bank_accounts],
            len(self.accounts),
        )
        if state == self._state:
            return set()
        is_first = self._state is None
        self._moved = None
        changed = self._open_ledger_accounts()
        changed |= self._set_balances(newest=None if is_first else _newest(self._ledger.entries))
        if self._transactions is not None:
            changed |= self._redo_transactions()
        for account_id in self._statements:
            changed |= self._redo_statement(account_id)
        self._state = (*state[:2], len(self.accounts))
        return changed

    def _banks(self) -> dict[str, BankAccount]:
        return {account.id or "": account for account in self.bank_accounts}

    def _rates(self) -> dict[str, Decimal | None]:
        return {account.id or "": self._chart.rate(account.currency) for account in self.bank_accounts}

    def _movements(self) -> list[Movement]:
        if self._moved is None:
            self._moved = movements(self._ledger.entries, self._rates())
        return self._moved

    def _open_ledger_accounts(self) -> set[str]:
        """A bank account that was written from outside gets its account in the chart."""
        known = {account.id for account in self.accounts}
        new = [bank for bank in self.bank_accounts if bank.id not in known]
        self.accounts += [
            Account(
                id=bank.id,
                nominal_code=bank.nominal_code,
                name=bank.account_name,
                fully_qualified_category="Asset.Current.Bank",
                fully_qualified_name=f"Asset.Current.Bank.{bank.account_name}",
                type=AccountType.ASSET,
                status=AccountStatus.ACTIVE,
                is_bank_account=True,
                currency=bank.currency,
                modified_date=bank.modified_date,
                source_modified_date=bank.source_modified_date,
                metadata=Metadata(is_deleted=False),
            )
            for bank in new
        ]
        return {"accounts"} if new else set()

    def _set_balances(self, newest: datetime | None) -> set[str]:
        balances, rates, banks = self.balances, self._rates(), self._banks()
        changed: set[str] = set()
        for account in self.accounts:
            # What was written from outside keeps the balance it came with until something is posted.
            if account.id not in self._generated and account.id not in balances.by_account:
                continue
            balance = balances.balance(account.id or "")
            rate = rates.get(account.id or "")
            if rate is not None:
                balance /= rate
            if account.current_balance != balance:
                account.current_balance = balance
                changed.add("accounts")
                if newest is not None:
                    account.modified_date = newest
            bank = banks.get(account.id or "")
            if bank is not None and bank.balance != balance:
                bank.balance = balance
                bank.available_balance = balance + (bank.overdraft_limit or 0)
                changed.add("bank_accounts")
                if newest is not None:
                    bank.modified_date = newest
        return changed

    def _redo_transactions(self) -> set[str]:
        assert self._transactions is not None
        self._transactions[:] = account_transactions(self._movements(), self._banks(), self._rates())
        return {"account_transactions"}

    def _redo_statement(self, account_id: str) -> set[str]:
        lines = self._statements[account_id]
        # Lines that a bank feed delivered are not in the journal, and stay.
        delivered = [line for line in lines if line.id not in self._from_journal[account_id]]
        fresh = statement(self._movements(), account_id)
        self._from_journal[account_id] = {line.id for line in fresh}
        lines[:] = fresh + delivered
        return {"bank_account_transactions"}


def _newest(records: list[Any]) -> datetime | None:
    dates = (record.modified_date for record in records if record.modified_date is not None)
    return max(dates, key=plain, default=None)
