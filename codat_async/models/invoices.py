"""Invoices: what customers owe the company."""

from datetime import datetime
from decimal import Decimal

from codat_async.models.accounts import AccountRef
from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import Record, RecordReference, SupplementalData
from codat_async.models.items import ItemRef
from codat_async.models.parties import CustomerRef
from codat_async.models.payments import PaymentAllocation
from codat_async.models.tax import TaxRateRef, WithholdingTax
from codat_async.models.tracking import BillingTracking, TrackingCategoryRef


class InvoiceStatus(OpenEnum):
    """How far an invoice has come.

    A draft is not in the ledger yet; submitted, nothing has been paid; paid, nothing is left
    open, whether by money or by credit.
    """

    UNKNOWN = "Unknown"
    DRAFT = "Draft"
    SUBMITTED = "Submitted"
    PARTIALLY_PAID = "PartiallyPaid"
    PAID = "Paid"
    VOID = "Void"


class InvoiceLineItem(Model, kw_only=True):
    """A line of an invoice: one thing sold. Amounts are in the invoice's currency."""

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
    """True if the software has no other way to record a sale paid on the spot."""


class Invoice(Record, kw_only=True):
    """A sale that a customer owes the company for (accounts receivable).

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base currency.
    """

    invoice_number: str | None = None
    customer_ref: CustomerRef | None = None
    sales_order_refs: list[RecordReference] | None = None
    issue_date: FromDate[datetime]
    due_date: FromDate[datetime | None] = ABSENT
    paid_on_date: FromDate[datetime | None] = ABSENT
    """When it was paid in full; absent until then."""
    status: FromText[InvoiceStatus]
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[InvoiceLineItem] | None = None
    discount_percentage: Decimal | None = None
    """From 0 to 100, on the whole invoice."""
    total_discount: Decimal | None = None
    sub_total: Decimal | None = None
    """Before tax."""
    additional_tax_amount: Decimal | None = None
    additional_tax_percentage: Decimal | None = None
    total_tax_amount: Decimal
    total_amount: Decimal
    """With tax."""
    amount_due: Decimal
    """What is still open."""
    withholding_tax: list[WithholdingTax] | None = None
    payment_allocations: list[PaymentAllocation] | None = None
    note: str | None = None
    """Some software prints it on the invoice that the customer gets."""
    supplemental_data: SupplementalData | None = None
