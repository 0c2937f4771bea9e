"""The lists that follow from the journal: balances of accounts, and the movements on bank accounts."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, cast

from msgspec import Struct

from codat_async import models
from codat_async.models import JournalEntry
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, at, plain, stamps
from codat_async.sandbox.books.ledger import Balances, Journal, account_of, counts, posted_at
from codat_async.sandbox.books.lines import count, money
from codat_async.sandbox.books.profile import uuid_of
from codat_async.sandbox.books.regions import fill, pick

_ZERO: Final = Decimal(0)
_RECONCILED_UNTIL: Final = at(LAST_DAY) - timedelta(days=25)
"""The statements after that day have not been matched with the ledger yet."""
_INSTITUTIONS: Final = ("Harbour Bank", "First Meridian", "Linden Savings", "Union of Mills Bank")


class Movement(Struct, gc=False):
    """What one journal entry does to one bank account."""

    entry: JournalEntry
    account_id: str
    amount: Decimal
    """In the account's currency."""


class Projections:
    """Accounts with their balances, bank accounts, and what moved on them.

    The lists are made once and changed in place, so that whoever holds one sees the changes.
    """

    def __init__(self, chart: Chart, journal: Journal) -> None:
        self._chart = chart
        self._journal = journal
        self.accounts: list[models.Account] = chart.accounts()
        self.bank_accounts: list[models.BankAccount] = _bank_accounts(chart)
        self._generated = {account.id for account in self.accounts}
        self._transactions: list[models.AccountTransaction] | None = None
        self._statements: dict[str, list[models.BankTransaction]] = {}
        self._from_journal: dict[str, set[str | None]] = {}
        self.update(is_first=True)

    @property
    def transactions(self) -> list[models.AccountTransaction]:
        """The movements on all bank accounts as the ledger has them."""
        if self._transactions is None:
            self._transactions = list(self._ledger_side())
        return self._transactions

    def statement(self, account_id: str) -> list[models.BankTransaction]:
        """The statement of one bank account; a :exc:`KeyError` if there is no such account."""
        if account_id not in self._rates:
            raise KeyError(account_id)
        if account_id not in self._statements:
            self._statements[account_id] = []
            self._update_statement(account_id)
        return self._statements[account_id]

    def update(self, *, is_first: bool = False) -> set[str]:
        """Brings the lists in step with the journal; returns the resources that changed."""
        self._rates = {bank.id or "": self._chart.rate(bank.currency) for bank in self.bank_accounts}
        self.balances = Balances(self._journal.entries, frozenset(self._rates))
        self._moved = sorted(self._movements(), key=lambda movement: posted_at(movement.entry))
        changed = self._set_balances(is_first=is_first)
        if self._transactions is not None and _replace(self._transactions, list(self._ledger_side())):
            changed.add("account_transactions")
        for account_id in self._statements:
            if self._update_statement(account_id):
                changed.add("bank_account_transactions")
        return changed

    def _movements(self) -> Iterator[Movement]:
        for entry in self._journal.entries:
            if not counts(entry):
                continue
            amounts: dict[str, Decimal] = {}
            for line in entry.journal_lines or ():
                account = account_of(line)
                if account in self._rates:
                    amounts[account] = amounts.get(account, _ZERO) + line.net_amount
            for account, amount in amounts.items():
                if amount:
                    yield Movement(entry, account, amount / (self._rates[account] or 1))

    def _set_balances(self, *, is_first: bool) -> set[str]:
        changed = set()
        dates = (entry.modified_date for entry in self._journal.entries if entry.modified_date is not None)
        newest = None if is_first else max(dates, key=plain, default=None)
        banks = {bank.id: bank for bank in self.bank_accounts}
        for account in self.accounts:
            account_id = account.id or ""
            # An account that was written from outside keeps its balance until something is posted to it.
            if account_id not in self._generated and account_id not in self.balances.by_account:
                continue
            balance = self.balances.balance(account_id) / (self._rates.get(account_id) or 1)
            bank = banks.get(account_id)
            if bank is not None and bank.balance != balance:
                bank.balance = balance
                bank.available_balance = balance + (bank.overdraft_limit or 0)
                bank.modified_date = newest or bank.modified_date
                changed.add("bank_accounts")
            if account.current_balance != balance:
                account.current_balance = balance
                account.modified_date = newest or account.modified_date
                changed.add("accounts")
        return changed

    def _ledger_side(self) -> Iterator[models.AccountTransaction]:
        banks = {bank.id: bank for bank in self.bank_accounts}
        for moved in self._moved:
            entry, bank = moved.entry, banks[moved.account_id]
            ref = entry.record_ref or models.RecordReference(
                id=entry.id, data_type=models.DataType.JOURNAL_ENTRIES
            )
            line = models.AccountTransactionLine(
                amount=moved.amount, description=entry.description, record_ref=ref
            )
            is_reconciled, status = posted_at(entry) <= _RECONCILED_UNTIL, models.AccountTransactionStatus
            yield models.AccountTransaction(
                id=uuid_of(f"{entry.id}/{moved.account_id}"),
                transaction_id=ref.id,
                date_=posted_at(entry),
                bank_account_ref=models.AccountRef(id=bank.id, name=bank.account_name),
                note=entry.description,
                status=status.RECONCILED if is_reconciled else status.UNRECONCILED,
                currency=bank.currency,
                currency_rate=self._rates[moved.account_id] or count(1),
                total_amount=moved.amount,
                lines=[line],
                modified_date=entry.modified_date,
                source_modified_date=entry.source_modified_date,
                metadata=models.Metadata(is_deleted=False),
            )

    def _update_statement(self, account_id: str) -> bool:
        lines = self._statements[account_id]
        # Lines that a bank feed delivered are not in the journal, and stay.
        known = self._from_journal.get(account_id, set())
        delivered = [line for line in lines if line.id not in known]
        made = list(self._bank_side(account_id))
        self._from_journal[account_id] = {line.id for line in made}
        return _replace(lines, made + delivered)

    def _bank_side(self, account_id: str) -> Iterator[models.BankTransaction]:
        balance = _ZERO
        for moved in self._moved:
            if moved.account_id != account_id:
                continue
            balance += moved.amount
            entry = moved.entry
            yield models.BankTransaction(
                id=uuid_of(f"{entry.id}/{account_id}/statement"),
                account_id=account_id,
                amount=moved.amount,
                balance=balance,
                cleared_on_date=posted_at(entry),
                description=(entry.description or "").upper(),
                reconciled=posted_at(entry) <= _RECONCILED_UNTIL,
                transaction_type=models.BankTransactionType.CREDIT
                if moved.amount > 0
                else models.BankTransactionType.DEBIT,
                modified_date=entry.modified_date,
                source_modified_date=entry.source_modified_date,
            )


def _replace(held: list[Any], records: list[Any]) -> bool:
    """Puts records in the place of those held; whether any differ."""
    differs = held != records
    if differs:
        held[:] = records
    return differs


def _bank_accounts(chart: Chart) -> list[models.BankAccount]:
    """The company's bank accounts, before balances; each has the id of its ledger account."""
    stream = chart.profile.stream("bank_accounts")
    return [
        models.BankAccount(
            id=cast(str, ref.id),
            account_name=nominal.name,
            account_type=models.BankAccountType.DEBIT,
            account_number=fill("########", stream),
            sort_code=fill("##-##-##", stream),
            # XX is no country, so that the number can never be somebody's.
            i_ban="XX" + fill("## #### #### #### ####", stream) if number % 2 == 0 else None,
            institution=pick(_INSTITUTIONS, stream),
            nominal_code=nominal.code,
            currency=chart.foreign_currency if number == chart.foreign_bank else chart.currency,
            overdraft_limit=money(500_000 if number == 0 else 0),
            status=models.AccountStatus.ACTIVE,
            **stamps(-int(stream.random() * 300) - 2, stream),
        )
        for number, (nominal, ref) in enumerate(zip(chart.banks, chart.roles("bank"), strict=True))
    ]
