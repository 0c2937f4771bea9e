"""The goods and services that a company sells and buys."""

from decimal import Decimal

from codat_async.models.accounts import AccountRef
from codat_async.models.base import ABSENT, FromText, Model, OpenEnum
from codat_async.models.common import Record, RecordStatus, SupplementalData
from codat_async.models.tax import TaxRateRef


class ItemType(OpenEnum):
    """Whether an item is goods on stock, other goods, or a service."""

    UNKNOWN = "Unknown"
    INVENTORY = "Inventory"
    NON_INVENTORY = "NonInventory"
    SERVICE = "Service"


class ItemPrice(Model, kw_only=True):
    """How an item is sold, or how it is bought: price, account and tax."""

    description: str | None = None
    unit_price: Decimal | None = None
    """Of one unit, in the company's base currency."""
    account_ref: AccountRef | None = None
    tax_rate_ref: TaxRateRef | None = None


class Item(Record, kw_only=True):
    """A product or service that lines of invoices, bills and orders refer to."""

    name: str | None = None
    code: str | None = None
    type: FromText[ItemType | None] = ABSENT
    item_status: FromText[RecordStatus | None] = ABSENT
    is_bill_item: bool | None = None
    """Whether the company buys it, with :attr:`bill_item` for the details."""
    is_invoice_item: bool | None = None
    """Whether the company sells it, with :attr:`invoice_item` for the details."""
    bill_item: ItemPrice | None = None
    invoice_item: ItemPrice | None = None
    supplemental_data: SupplementalData | None = None


class ItemRef(Model, kw_only=True):
    """A link to an item."""

    id: str | None = None
    name: str | None = None
