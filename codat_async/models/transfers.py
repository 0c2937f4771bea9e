"""Money moved between accounts of the company itself."""

from datetime import datetime
from decimal import Decimal

from msgspec import field

from codat_async.models.accounts import AccountRef
from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import ContactRef, Record, RecordReference, SupplementalData
from codat_async.models.tracking import TrackingCategoryRef


class TransferAccount(Model, kw_only=True):
    """One end of a transfer. The two ends may be in different currencies."""

    account_ref: AccountRef | None = None
    amount: Decimal | None = None
    currency: str | None = None


class TransferStatus(OpenEnum):
    """Whether a transfer has been matched with the bank statement."""

    UNKNOWN = "Unknown"
    UNRECONCILED = "Unreconciled"
    RECONCILED = "Reconciled"
    VOID = "Void"


class Transfer(Record, kw_only=True):
    """Money moved from one account of the company to another; nobody owes or is owed anything."""

    date_: FromDate[datetime | None] = field(default=ABSENT, name="date")
    status: FromText[TransferStatus | None] = ABSENT
    description: str | None = None
    from_: TransferAccount | None = field(default=None, name="from")
    to: TransferAccount | None = None
    contact_ref: ContactRef | None = None
    deposited_record_refs: list[RecordReference] | None = None
    """Payments held in an account of undeposited funds that this transfer takes to the bank."""
    tracking_category_refs: list[TrackingCategoryRef] | None = None
    supplemental_data: SupplementalData | None = None
