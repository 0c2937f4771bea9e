"""The people and companies on the other side: customers, suppliers, and how to reach them."""

from datetime import datetime

from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import Record, RecordStatus, SupplementalData


class AddressType(OpenEnum):
    """What an address is for."""

    UNKNOWN = "Unknown"
    BILLING = "Billing"
    DELIVERY = "Delivery"
    INVENTORY = "Inventory"
    ORDER = "Order"


class Address(Model, kw_only=True):
    """A postal address."""

    type: FromText[AddressType | None] = ABSENT
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    region: str | None = None
    country: str | None = None
    postal_code: str | None = None


class PhoneNumberType(OpenEnum):
    """What kind of line a telephone number is."""

    PRIMARY = "Primary"
    LANDLINE = "Landline"
    MOBILE = "Mobile"
    FAX = "Fax"
    UNKNOWN = "Unknown"


class Phone(Model, kw_only=True):
    """A telephone number, as it was typed."""

    number: str | None = None
    type: FromText[PhoneNumberType | None] = ABSENT


class Contact(Model, kw_only=True):
    """A person to turn to at a customer."""

    name: str | None = None
    email: str | None = None
    phone: list[Phone] | None = None
    address: Address | None = None
    status: FromText[RecordStatus | None] = ABSENT
    modified_date: FromDate[datetime | None] = ABSENT
    """Read-only."""


class Customer(Record, kw_only=True):
    """Someone the company sells to, and who owes it the invoices made out to them."""

    customer_name: str | None = None
    contact_name: str | None = None
    """The main person to talk to; :attr:`contacts` lists all."""
    email_address: str | None = None
    phone: str | None = None
    default_currency: str | None = None
    registration_number: str | None = None
    """In the register of companies."""
    tax_number: str | None = None
    addresses: list[Address] | None = None
    contacts: list[Contact] | None = None
    status: FromText[RecordStatus | None] = ABSENT
    supplemental_data: SupplementalData | None = None


class Supplier(Record, kw_only=True):
    """Someone the company buys from, and to whom it owes the bills they sent."""

    supplier_name: str | None = None
    contact_name: str | None = None
    email_address: str | None = None
    phone: str | None = None
    default_currency: str | None = None
    registration_number: str | None = None
    """In the register of companies."""
    tax_number: str | None = None
    addresses: list[Address] | None = None
    status: FromText[RecordStatus | None] = ABSENT
    supplemental_data: SupplementalData | None = None


class CustomerRef(Model, kw_only=True):
    """A link to a customer."""

    id: str
    company_name: str | None = None


class SupplierRef(Model, kw_only=True):
    """A link to a supplier."""

    id: str
    supplier_name: str | None = None
