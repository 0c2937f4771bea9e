"""Orders before the invoice: purchase orders, the goods received for them, and sales orders."""

from datetime import datetime
from decimal import Decimal

from codat_async.models.accounts import AccountRef
from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import Record, RecordLineReference, SupplementalData
from codat_async.models.items import ItemRef
from codat_async.models.parties import Address, CustomerRef, SupplierRef
from codat_async.models.tax import TaxRateRef
from codat_async.models.tracking import Tracking, TrackingCategoryRef


class OrderStatus(OpenEnum):
    """How far an order, to a supplier or from a customer, has come."""

    UNKNOWN = "Unknown"
    DRAFT = "Draft"
    OPEN = "Open"
    CLOSED = "Closed"
    VOID = "Void"


class ShipToContact(Model, kw_only=True):
    """Whom to ask for at the place of delivery."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None


class ShipTo(Model, kw_only=True):
    """Where ordered goods go."""

    address: Address | None = None
    contact: ShipToContact | None = None


class User(Model, kw_only=True):
    """Someone who works in the accounting software."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None


class PurchaseOrderLineItem(Model, kw_only=True):
    """A line of a purchase order: one thing ordered. Amounts are in the order's currency."""

    line_number: str | None = None
    description: str | None = None
    item_ref: ItemRef | None = None
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
    tracking_category_refs: list[TrackingCategoryRef] | None = None


class PurchaseOrder(Record, kw_only=True):
    """An order that the company placed with a supplier. Nothing is owed until the bill comes.

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base currency.
    """

    purchase_order_number: str | None = None
    supplier_ref: SupplierRef | None = None
    created_by: User | None = None
    issue_date: FromDate[datetime | None] = ABSENT
    expected_delivery_date: FromDate[datetime | None] = ABSENT
    delivery_date: FromDate[datetime | None] = ABSENT
    payment_due_date: FromDate[datetime | None] = ABSENT
    status: FromText[OrderStatus | None] = ABSENT
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[PurchaseOrderLineItem] | None = None
    total_discount: Decimal | None = None
    sub_total: Decimal | None = None
    """After the discount, before tax."""
    total_tax_amount: Decimal | None = None
    total_amount: Decimal | None = None
    """After the discount, with tax."""
    ship_to: ShipTo | None = None
    note: str | None = None


class PurchaseOrderRef(Model, kw_only=True):
    """A link to a purchase order."""

    id: str | None = None
    purchase_order_number: str | None = None


class ItemReceiptStatus(OpenEnum):
    """How far the receipt of goods has come."""

    UNKNOWN = "Unknown"
    DRAFT = "Draft"
    RECEIVED = "Received"
    REJECTED = "Rejected"
    VOID = "Void"


class ItemReceiptLineItem(Model, kw_only=True):
    """A line of an item receipt: one thing received. Amounts are in the receipt's currency."""

    line_number: str | None = None
    description: str | None = None
    item_ref: ItemRef | None = None
    purchase_order_line_ref: RecordLineReference | None = None
    """The order line that this line fulfils."""
    quantity: Decimal | None = None
    unit_of_measurement: str | None = None
    unit_amount: Decimal | None = None
    sub_total: Decimal | None = None
    """After discounts, before tax."""
    total_amount: Decimal | None = None
    """With tax."""
    account_ref: AccountRef | None = None
    tracking: Tracking | None = None


class ItemReceipt(Record, kw_only=True):
    """Goods that arrived from a supplier, usually for a purchase order. Read-only.

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base currency.
    """

    reference: str | None = None
    supplier_ref: SupplierRef | None = None
    purchase_order_refs: list[PurchaseOrderRef] | None = None
    received_date: FromDate[datetime | None] = ABSENT
    status: FromText[ItemReceiptStatus | None] = ABSENT
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[ItemReceiptLineItem] | None = None
    sub_total: Decimal | None = None
    """Before tax."""
    total_amount: Decimal | None = None
    """With tax."""
    note: str | None = None
    supplemental_data: SupplementalData | None = None


class SalesOrderInvoiceStatus(OpenEnum):
    """How much of a sales order has been invoiced."""

    UNKNOWN = "Unknown"
    PARTIALLY_INVOICED = "PartiallyInvoiced"
    INVOICED = "Invoiced"
    NOT_INVOICED = "NotInvoiced"


class SalesOrderLineItem(Model, kw_only=True):
    """A line of a sales order: one thing ordered. Amounts are in the order's currency."""

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
    tracking: Tracking | None = None


class SalesOrder(Record, kw_only=True):
    """An order that a customer placed with the company. Nothing is owed until it is invoiced. Read-only.

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base currency.
    """

    sales_order_number: str | None = None
    customer_purchase_order_number: str | None = None
    """What the customer calls the order."""
    customer_ref: CustomerRef | None = None
    issue_date: FromDate[datetime | None] = ABSENT
    expected_delivery_date: FromDate[datetime | None] = ABSENT
    status: FromText[OrderStatus | None] = ABSENT
    invoicing_status: FromText[SalesOrderInvoiceStatus | None] = ABSENT
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[SalesOrderLineItem] | None = None
    total_discount: Decimal | None = None
    sub_total: Decimal | None = None
    """After the discount, before tax."""
    total_tax_amount: Decimal | None = None
    total_amount: Decimal | None = None
    """After the discount, with tax."""
    ship_to: ShipTo | None = None
    note: str | None = None
