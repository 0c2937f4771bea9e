"""Bank accounts and their movements, which follow the journal lines that touch them."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Final

from msgspec import Struct

from codat_async.models import (
    AccountRef,
    AccountStatus,
    AccountTransaction,
    AccountTransactionLine,
    AccountTransactionStatus,
    BankAccount,
    BankAccountType,
    BankTransaction,
    BankTransactionType,
    DataType,
    JournalEntry,
    Metadata,
    RecordReference,
)
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.ledger import is_posted, posted_at
from codat_async.sandbox.books.lines import count, money
from codat_async.sandbox.books.profile import uuid_of
from codat_async.sandbox.books.regions import fill

_ZERO: Final = Decimal(0)
_RECONCILED_UNTIL: Final = at(LAST_DAY) - timedelta(days=25)
"""The statements after that day have not been matched with the ledger yet."""
_INSTITUTIONS: Final = ("Harbour Bank", "First Meridian", "Linden Savings", "Union of Mills Bank")
_TYPES: Final = {
    DataType.PAYMENTS: BankTransactionType.CREDIT,
    DataType.BILL_PAYMENTS: BankTransactionType.PAYMENT,
    DataType.DIRECT_COSTS: BankTransactionType.DEBIT,
    DataType.DIRECT_INCOMES: BankTransactionType.DEP,
    DataType.TRANSFERS: BankTransactionType.XFER,
}
_TYPES_BY_WORD: Final = {
    "Account fee": BankTransactionType.FEE,
    "Interest": BankTransactionType.INT,
    "Loan interest": BankTransactionType.INT,
    "Wages": BankTransactionType.REPEAT_PMT,
}


def bank_accounts(chart: Chart) -> list[BankAccount]:
    """The company's bank accounts, before balances; each has the id of its ledger account."""
    profile = chart.profile
    stream = profile.stream("bank_accounts")
    accounts: list[BankAccount] = []
    for number, (nominal, ref) in enumerate(zip(chart.banks, chart.roles("bank"), strict=True)):
        is_foreign = number == chart.foreign_bank
        source, modified = stamps(-int(stream.random() * 300) - 2, stream)
        accounts.append(
            BankAccount(
                id=ref.id,
                account_name=nominal.name,
                account_type=BankAccountType.DEBIT,
                account_number=fill("########", stream),
                sort_code=fill("##-##-##", stream),
                i_ban=_iban(stream) if number % 2 == 0 else None,
                institution=_INSTITUTIONS[int(stream.random() * len(_INSTITUTIONS))],
                nominal_code=nominal.code,
                currency=chart.foreign_currency if is_foreign else chart.currency,
                overdraft_limit=money(500_000) if number == 0 else money(0),
                status=AccountStatus.ACTIVE,
                modified_date=modified,
                source_modified_date=source,
                metadata=Metadata(is_deleted=False),
            )
        )
    return accounts


def _iban(stream: Random) -> str:
    # XX is no country, so that the number can never be somebody's.
    return "XX" + fill("## #### #### #### ####", stream)


class Movement(Struct, gc=False):
    """What one journal entry does to one bank account."""

    entry: JournalEntry
    account_id: str
    amount: Decimal
    """In the account's currency."""


def movements(entries: Iterable[JournalEntry], rates: dict[str, Decimal | None]) -> list[Movement]:
    """Every movement on the bank accounts, by date.

    :param rates: by bank account, what its currency is worth; ``None`` for the base currency.
    """
    found: list[Movement] = []
    for entry in entries:
        if not is_posted(entry):
            continue
        amounts: dict[str, Decimal] = {}
        for line in entry.journal_lines or ():
            account = line.account_ref.id if line.account_ref is not None else None
            if account is not None and account in rates:
                amounts[account] = amounts.get(account, _ZERO) + line.net_amount
        for account, amount in amounts.items():
            rate = rates[account]
            if amount:
                found.append(Movement(entry, account, amount if rate is None else amount / rate))
    found.sort(key=lambda movement: posted_at(movement.entry))
    return found


def account_transactions(
    moved: Iterable[Movement], accounts: dict[str, BankAccount], rates: dict[str, Decimal | None]
) -> list[AccountTransaction]:
    """The movements as the ledger shows them, of all bank accounts."""
    transactions: list[AccountTransaction] = []
    refs = {key: AccountRef(id=key, name=account.account_name) for key, account in accounts.items()}
    for movement in moved:
        entry = movement.entry
        record_ref = entry.record_ref or RecordReference(id=entry.id, data_type=DataType.JOURNAL_ENTRIES)
        day = posted_at(movement.entry)
        transactions.append(
            AccountTransaction(
                id=uuid_of(f"{entry.id}/{movement.account_id}"),
                transaction_id=record_ref.id,
                date_=day,
                bank_account_ref=refs[movement.account_id],
                note=entry.description,
                status=AccountTransactionStatus.RECONCILED
                if day <= _RECONCILED_UNTIL
                else AccountTransactionStatus.UNRECONCILED,
                currency=accounts[movement.account_id].currency,
                currency_rate=rates[movement.account_id] or count(1),
                total_amount=movement.amount,
                lines=[
                    AccountTransactionLine(
                        amount=movement.amount, description=entry.description, record_ref=record_ref
                    )
                ],
                modified_date=entry.modified_date,
                source_modified_date=entry.source_modified_date,
                metadata=Metadata(is_deleted=False),
            )
        )
    return transactions


def statement(moved: Iterable[Movement], account_id: str) -> list[BankTransaction]:
    """The movements of one account as its bank shows them, with the balance after each."""
    balance = _ZERO
    lines: list[BankTransaction] = []
    for movement in moved:
        if movement.account_id != account_id:
            continue
        balance += movement.amount
        entry = movement.entry
        day = posted_at(movement.entry)
        data_type = entry.record_ref.data_type if entry.record_ref is not None else None
        kind = _TYPES_BY_WORD.get(entry.description or "")
        if kind is None:
            kind = (
                _TYPES.get(data_type, BankTransactionType.OTHER) if data_type else BankTransactionType.OTHER
            )
        lines.append(
            BankTransaction(
                id=uuid_of(f"{entry.id}/{account_id}/statement"),
                account_id=account_id,
                amount=movement.amount,
                balance=balance,
                cleared_on_date=day,
                description=(entry.description or "").upper(),
                reconciled=day <= _RECONCILED_UNTIL,
                transaction_type=kind,
                modified_date=entry.modified_date,
                source_modified_date=entry.source_modified_date,
            )
        )
    return lines
