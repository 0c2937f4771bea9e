"""Direct costs and incomes: purchases and sales that are paid on the spot, so that nobody owes anything."""

from datetime import datetime
from decimal import Decimal

from codat_async.models.accounts import AccountRef
from codat_async.models.base import FromDate, Model
from codat_async.models.common import ContactRef, Record, SupplementalData
from codat_async.models.items import ItemRef
from codat_async.models.payments import PaymentAllocation
from codat_async.models.tax import TaxRateRef
from codat_async.models.tracking import Tracking, TrackingCategoryRef


class DirectIncomeLineItem(Model, kw_only=True):
    """A line of a direct income: one thing sold. Amounts are in the income's currency."""

    description: str | None = None
    item_ref: ItemRef | None = None
    quantity: Decimal | None = None
    """1 if the software keeps no quantity."""
    unit_amount: Decimal | None = None
    """The line's total if the software keeps no price."""
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
    tracking_category_refs: list[TrackingCategoryRef] | None = None


class DirectIncome(Record, kw_only=True):
    """Money received at the point of sale, such as takings or interest, without an invoice.

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base
    currency. Refunds are negative.
    """

    reference: str | None = None
    contact_ref: ContactRef | None = None
    issue_date: FromDate[datetime]
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[DirectIncomeLineItem] | None = None
    sub_total: Decimal
    """Before tax."""
    tax_amount: Decimal
    total_amount: Decimal
    """With tax."""
    payment_allocations: list[PaymentAllocation] | None = None
    note: str | None = None
    supplemental_data: SupplementalData | None = None


class DirectCostLineItem(Model, kw_only=True):
    """A line of a direct cost: one thing bought. Amounts are in the cost's currency."""

    description: str | None = None
    item_ref: ItemRef | None = None
    quantity: Decimal | None = None
    """1 if the software keeps no quantity."""
    unit_amount: Decimal | None = None
    """The line's total if the software keeps no price."""
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
    tracking: Tracking | None = None
    tracking_category_refs: list[TrackingCategoryRef] | None = None


class DirectCost(Record, kw_only=True):
    """Money spent at the point of purchase, such as fuel or a bank's fee, without a bill.

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base
    currency. Refunds are negative.
    """

    reference: str | None = None
    contact_ref: ContactRef | None = None
    issue_date: FromDate[datetime]
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[DirectCostLineItem] | None = None
    sub_total: Decimal
    """Before tax."""
    tax_amount: Decimal
    total_amount: Decimal
    """With tax."""
    payment_allocations: list[PaymentAllocation] | None = None
    note: str | None = None
    supplemental_data: SupplementalData | None = None
