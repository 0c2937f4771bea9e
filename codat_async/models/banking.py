"""Bank accounts of the company, and the lines of their statements."""

from datetime import datetime
from decimal import Decimal

from msgspec import field

from codat_async.models.accounts import AccountStatus
from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum, RecordId
from codat_async.models.common import Record, SupplementalData


class BankAccountType(OpenEnum):
    """Which way a balance counts: money on a debit account is owned, on a credit account owed."""

    UNKNOWN = "Unknown"
    CREDIT = "Credit"
    DEBIT = "Debit"


class BankAccount(Record, kw_only=True):
    """An account that the company holds at a bank or card issuer. Amounts are in :attr:`currency`."""

    account_name: str | None = None
    account_type: FromText[BankAccountType | None] = ABSENT
    account_number: str | None = None
    sort_code: str | None = None
    i_ban: str | None = None
    institution: str | None = None
    nominal_code: str | None = None
    """The ledger account it is posted to."""
    currency: str | None = None
    balance: Decimal | None = None
    """Positive is money owned on a debit account, and money owed on a credit account."""
    available_balance: Decimal | None = None
    """What can be drawn: the overdraft and transactions under way may be counted in."""
    overdraft_limit: Decimal | None = None
    """How far below zero the balance may go; a positive number."""
    status: FromText[AccountStatus | None] = ABSENT
    supplemental_data: SupplementalData | None = None


class BankTransactionType(OpenEnum):
    """What kind of movement a line of a bank statement is."""

    UNKNOWN = "Unknown"
    CREDIT = "Credit"
    DEBIT = "Debit"
    INT = "Int"
    DIV = "Div"
    FEE = "Fee"
    SER_CHG = "SerChg"
    DEP = "Dep"
    ATM = "Atm"
    POS = "Pos"
    XFER = "Xfer"
    CHECK = "Check"
    PAYMENT = "Payment"
    CASH = "Cash"
    DIRECT_DEP = "DirectDep"
    DIRECT_DEBIT = "DirectDebit"
    REPEAT_PMT = "RepeatPmt"
    OTHER = "Other"


class BankTransaction(Model, kw_only=True):
    """A line of a bank statement as the accounting software imported it. Read-only.

    Amounts are in the account's currency.
    """

    id: RecordId = ABSENT
    account_id: str | None = None
    """The bank account."""
    amount: Decimal | None = None
    balance: Decimal | None = None
    """What was left on the account afterwards."""
    cleared_on_date: FromDate[datetime | None] = ABSENT
    description: str | None = None
    reconciled: bool | None = None
    """Whether the ledger has been matched with it."""
    transaction_type: FromText[BankTransactionType | None] = ABSENT
    counterparty: str | None = None
    """Whoever paid or was paid."""
    modified_date: FromDate[datetime | None] = ABSENT
    source_modified_date: FromDate[datetime | None] = ABSENT


class CreateBankAccountTransaction(Model, kw_only=True):
    """A line of a bank statement to be imported. Amounts are in the account's currency."""

    id: str | None = None
    """Yours to choose, unique on the account: it keeps a line from being imported twice."""
    date_: FromDate[datetime | None] = field(default=ABSENT, name="date")
    """Codat ignores an offset."""
    amount: Decimal | None = None
    balance: Decimal | None = None
    """What was left on the account afterwards."""
    description: str | None = None
    counterparty: str | None = None
    """Whoever paid or was paid."""
    reference: str | None = None
    reconciled: bool | None = None
    """Whether the ledger has been matched with it."""
    transaction_type: FromText[BankTransactionType | None] = ABSENT


class CreateBankTransactions(Model, kw_only=True):
    """Lines of one bank account's statement to be imported, at most 1,000 at once."""

    account_id: str | None = None
    transactions: list[CreateBankAccountTransaction] | None = None
