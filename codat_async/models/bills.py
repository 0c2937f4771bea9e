"""Bills: what the company owes its suppliers."""

from datetime import datetime
from decimal import Decimal

from codat_async.models.accounts import AccountRef
from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import Record, RecordLineReference, SupplementalData
from codat_async.models.items import ItemRef
from codat_async.models.orders import PurchaseOrderRef
from codat_async.models.parties import SupplierRef
from codat_async.models.payments import PaymentAllocation
from codat_async.models.tax import TaxRateRef, WithholdingTax
from codat_async.models.tracking import BillingTracking, TrackingCategoryRef


class BillStatus(OpenEnum):
    """How far a bill has come: a draft is not in the ledger yet, an open one has not been paid at all."""

    UNKNOWN = "Unknown"
    OPEN = "Open"
    PARTIALLY_PAID = "PartiallyPaid"
    PAID = "Paid"
    VOID = "Void"
    DRAFT = "Draft"


class BillLineItem(Model, kw_only=True):
    """A line of a bill: one thing bought. Amounts are in the bill's currency."""

    line_number: str | None = None
    description: str | None = None
    item_ref: ItemRef | None = None
    purchase_order_line_ref: RecordLineReference | None = None
    """The order line that this line bills."""
    quantity: Decimal | None = None
    unit_of_measurement: str | None = None
    unit_amount: Decimal | None = None
    discount_amount: Decimal | None = None
    discount_percentage: Decimal | None = None
    """From 0 to 100."""
    sub_total: Decimal | None = None
    """After the discount, before tax."""
    tax_amount: Decimal | None = None
    total_amount: Decimal | None = None
    """After the discount, with tax."""
    account_ref: AccountRef | None = None
    tax_rate_ref: TaxRateRef | None = None
    tracking: BillingTracking | None = None
    tracking_category_refs: list[TrackingCategoryRef] | None = None
    is_direct_cost: bool | None = None
    """True if the software has no other way to record a purchase paid on the spot."""


class Bill(Record, kw_only=True):
    """A purchase that the company owes a supplier for (accounts payable).

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base currency.
    """

    reference: str | None = None
    """The number that people know the bill by."""
    supplier_ref: SupplierRef | None = None
    purchase_order_refs: list[PurchaseOrderRef] | None = None
    issue_date: FromDate[datetime]
    due_date: FromDate[datetime | None] = ABSENT
    status: FromText[BillStatus]
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[BillLineItem] | None = None
    sub_total: Decimal
    """Before tax."""
    tax_amount: Decimal
    total_amount: Decimal
    """With tax."""
    amount_due: Decimal | None = None
    """What is still open."""
    withholding_tax: list[WithholdingTax] | None = None
    payment_allocations: list[PaymentAllocation] | None = None
    note: str | None = None
    """For the company's own use."""
    supplemental_data: SupplementalData | None = None
