"""Journals, and the double entries posted to them."""

from datetime import datetime
from decimal import Decimal

from codat_async.models.accounts import AccountRef
from codat_async.models.base import ABSENT, FromDate, FromText, Model
from codat_async.models.common import ContactRef, Record, RecordReference, RecordStatus, SupplementalData
from codat_async.models.tracking import Tracking


class Journal(Record, kw_only=True):
    """A book that journal entries are kept in, in software that has several."""

    journal_code: str | None = None
    name: str | None = None
    """Cut off after 256 characters."""
    type: str | None = None
    parent_id: str | None = None
    """Absent on a journal at the top."""
    has_children: bool | None = None
    created_on: FromDate[datetime | None] = ABSENT
    status: FromText[RecordStatus | None] = ABSENT


class JournalRef(Model, kw_only=True):
    """A link to a journal."""

    id: str
    name: str | None = None


class JournalLine(Model, kw_only=True):
    """One side of a journal entry: what is posted to one account."""

    account_ref: AccountRef | None = None
    contact_ref: ContactRef | None = None
    description: str | None = None
    net_amount: Decimal
    """Positive debits the account, negative credits it; an entry's lines add up to zero."""
    currency: str | None = None
    transaction_amount: Decimal | None = None
    """The same amount in :attr:`transaction_currency`."""
    transaction_currency: str | None = None
    """The currency of the original transaction."""
    tracking: Tracking | None = None


class JournalEntry(Record, kw_only=True):
    """A transaction as the ledger has it: debits and credits that balance."""

    journal_ref: JournalRef | None = None
    description: str | None = None
    posted_on: FromDate[datetime | None] = ABSENT
    """The date it counts for in the books."""
    created_on: FromDate[datetime | None] = ABSENT
    """When it was entered. Read-only."""
    updated_on: FromDate[datetime | None] = ABSENT
    """When it was last edited. Read-only."""
    record_ref: RecordReference | None = None
    """The invoice, payment, transfer… that was posted; absent for a manual entry."""
    journal_lines: list[JournalLine] | None = None
    supplemental_data: SupplementalData | None = None
