"""The ledger: nominal accounts, and the transactions posted to bank accounts in it."""

from datetime import datetime
from decimal import Decimal

from msgspec import field

from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import (
    DataType,
    Record,
    RecordReference,
    SupplementalData,
    ValidDataTypeLinks,
)


class AccountStatus(OpenEnum):
    """Whether an account, of the ledger or at a bank, is in use."""

    UNKNOWN = "Unknown"
    ACTIVE = "Active"
    ARCHIVED = "Archived"
    PENDING = "Pending"


class AccountType(OpenEnum):
    """The five kinds of nominal account."""

    UNKNOWN = "Unknown"
    ASSET = "Asset"
    EXPENSE = "Expense"
    INCOME = "Income"
    LIABILITY = "Liability"
    EQUITY = "Equity"


class Account(Record, kw_only=True):
    """An account of the ledger (the chart of accounts), to which every transaction is posted."""

    nominal_code: str | None = None
    """The code accountants know it by; not necessarily unique."""
    name: str | None = None
    description: str | None = None
    fully_qualified_category: str | None = None
    """The path through the categories above it, joined by dots, as in ``Asset.Current``."""
    fully_qualified_name: str | None = None
    type: FromText[AccountType | None] = ABSENT
    status: FromText[AccountStatus | None] = ABSENT
    is_bank_account: bool | None = None
    currency: str | None = None
    current_balance: Decimal | None = None
    """In :attr:`currency`."""
    valid_datatype_links: list[ValidDataTypeLinks] | None = None
    supplemental_data: SupplementalData | None = None


class AccountRef(Model, kw_only=True):
    """A link to an account: of the ledger, or at a bank."""

    id: str | None = None
    name: str | None = None
    data_type: FromText[DataType | None] = ABSENT
    """Whether it is in the ledger (``chartOfAccounts``) or at a bank (``bankAccounts``)."""


class AccountTransactionStatus(OpenEnum):
    """Whether a posted transaction has been matched with the bank statement."""

    UNKNOWN = "Unknown"
    UNRECONCILED = "Unreconciled"
    RECONCILED = "Reconciled"
    VOID = "Void"


class AccountTransactionLine(Model, kw_only=True):
    """The share of an account transaction that one record accounts for."""

    amount: Decimal | None = None
    """In the transaction's currency."""
    description: str | None = None
    record_ref: RecordReference | None = None
    """The payment, transfer, journal entry… behind it."""


class AccountTransaction(Record, kw_only=True):
    """A movement on a bank account as the ledger has it (not as the bank has it). Read-only.

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base currency.
    """

    transaction_id: str | None = None
    date_: FromDate[datetime | None] = field(default=ABSENT, name="date")
    bank_account_ref: AccountRef | None = None
    note: str | None = None
    status: FromText[AccountTransactionStatus | None] = ABSENT
    currency: str | None = None
    currency_rate: Decimal | None = None
    total_amount: Decimal | None = None
    """Tax included."""
    lines: list[AccountTransactionLine] | None = None
