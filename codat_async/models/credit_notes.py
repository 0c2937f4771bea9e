"""Credit notes: what the company credits its customers, and what its suppliers credit it."""

from datetime import datetime
from decimal import Decimal

from codat_async.models.accounts import AccountRef
from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import Record, RecordLineReference, RecordReference, SupplementalData
from codat_async.models.items import ItemRef
from codat_async.models.parties import CustomerRef, SupplierRef
from codat_async.models.payments import PaymentAllocation
from codat_async.models.tax import TaxRateRef, WithholdingTax
from codat_async.models.tracking import BillingTracking, TrackingCategoryRef


class CreditNoteStatus(OpenEnum):
    """How far a credit note has come; paid means that no credit is left."""

    UNKNOWN = "Unknown"
    DRAFT = "Draft"
    SUBMITTED = "Submitted"
    PAID = "Paid"
    VOID = "Void"
    PARTIALLY_PAID = "PartiallyPaid"


class CreditNoteLineItem(Model, kw_only=True):
    """A line of a credit note to a customer. Amounts are credit, in the note's currency."""

    description: str | None = None
    item_ref: ItemRef | None = None
    quantity: Decimal | None = None
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
    is_direct_income: bool | None = None
    """True if it refunds a sale that was paid on the spot."""


class CreditNote(Record, kw_only=True):
    """Credit that the company gives a customer: it lowers what the customer owes.

    Amounts are positive credit in :attr:`currency`; times :attr:`currency_rate` they are in the
    company's base currency.
    """

    credit_note_number: str | None = None
    customer_ref: CustomerRef | None = None
    issue_date: FromDate[datetime | None] = ABSENT
    allocated_on_date: FromDate[datetime | None] = ABSENT
    """When the credit was last used."""
    status: FromText[CreditNoteStatus]
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[CreditNoteLineItem] | None = None
    discount_percentage: Decimal | None = None
    """From 0 to 100, on the whole note."""
    total_discount: Decimal | None = None
    sub_total: Decimal
    """After the discount, before tax."""
    additional_tax_amount: Decimal | None = None
    additional_tax_percentage: Decimal | None = None
    total_tax_amount: Decimal
    total_amount: Decimal
    """After the discount, with tax."""
    remaining_credit: Decimal
    """What has not been used yet."""
    withholding_tax: list[WithholdingTax] | None = None
    payment_allocations: list[PaymentAllocation] | None = None
    note: str | None = None
    supplemental_data: SupplementalData | None = None


class BillCreditNoteLineItem(Model, kw_only=True):
    """A line of a credit note from a supplier. Amounts are credit, in the note's currency."""

    description: str | None = None
    item_ref: ItemRef | None = None
    created_from_line_ref: RecordLineReference | None = None
    """The line, of a bill or an order, that is credited."""
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


class BillCreditNote(Record, kw_only=True):
    """Credit that a supplier gives the company: it lowers what the company owes.

    Amounts are positive credit in :attr:`currency`; times :attr:`currency_rate` they are in the
    company's base currency.
    """

    bill_credit_note_number: str | None = None
    supplier_ref: SupplierRef | None = None
    created_from_refs: list[RecordReference] | None = None
    """The records that are credited."""
    issue_date: FromDate[datetime | None] = ABSENT
    allocated_on_date: FromDate[datetime | None] = ABSENT
    """When the credit was last used."""
    status: FromText[CreditNoteStatus]
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[BillCreditNoteLineItem] | None = None
    discount_percentage: Decimal | None = None
    """From 0 to 100, on the whole note."""
    total_discount: Decimal | None = None
    sub_total: Decimal
    """After the discount, before tax."""
    total_tax_amount: Decimal
    total_amount: Decimal
    """After the discount, with tax."""
    remaining_credit: Decimal | None = None
    """What has not been used yet."""
    withholding_tax: list[WithholdingTax] | None = None
    payment_allocations: list[PaymentAllocation] | None = None
    note: str | None = None
    supplemental_data: SupplementalData | None = None
