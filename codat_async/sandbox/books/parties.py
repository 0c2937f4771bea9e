"""Customers and suppliers, and the company itself as its accounting software describes it."""

from datetime import datetime
from random import Random

from msgspec import Struct

from codat_async.models import (
    Address,
    AddressType,
    CompanyInfo,
    Contact,
    Customer,
    CustomerRef,
    Metadata,
    Phone,
    PhoneNumberType,
    RecordStatus,
    Supplier,
    SupplierRef,
    Weblink,
    WeblinkType,
)
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import FIRST_DATE, LAST_DAY, REFERENCE_DATE, stamps
from codat_async.sandbox.books.profile import Profile
from codat_async.sandbox.books.regions import address, business, domain, fill, person


class Terms(Struct, frozen=True):
    """How a customer or supplier deals with the company."""

    id: str
    name: str
    is_foreign: bool
    days: int
    """Until an invoice is due."""


class Customers:
    """The customers of a company, and what sales documents need to know of them."""

    def __init__(self, chart: Chart) -> None:
        profile = chart.profile
        stream = profile.stream("customers")
        record_id = profile.ids("customers")
        self.records: list[Customer] = []
        self.terms: list[Terms] = []
        self.refs: list[CustomerRef] = []
        for number in range(profile.sizes["customers"]):
            who = _Party(profile, chart, stream, record_id(number), private=0.25)
            self.terms.append(who.terms)
            self.refs.append(CustomerRef(id=who.terms.id, company_name=who.terms.name))
            contacts = [_contact(profile, stream, who)] if stream.random() < 0.6 else None
            if contacts and stream.random() < 0.3:
                contacts.append(_contact(profile, stream, who))
            self.records.append(
                Customer(
                    id=who.terms.id,
                    customer_name=who.terms.name,
                    contact_name=who.contact_name,
                    email_address=who.email,
                    phone=who.phone,
                    default_currency=who.currency,
                    registration_number=who.registration_number,
                    tax_number=who.tax_number,
                    addresses=who.addresses,
                    contacts=contacts,
                    status=who.status,
                    modified_date=who.modified,
                    source_modified_date=who.source,
                    metadata=Metadata(is_deleted=False),
                )
            )


class Suppliers:
    """The suppliers of a company, and what purchase documents need to know of them."""

    def __init__(self, chart: Chart) -> None:
        profile = chart.profile
        stream = profile.stream("suppliers")
        record_id = profile.ids("suppliers")
        self.records: list[Supplier] = []
        self.terms: list[Terms] = []
        self.refs: list[SupplierRef] = []
        for number in range(profile.sizes["suppliers"]):
            who = _Party(profile, chart, stream, record_id(number), private=0.05)
            self.terms.append(who.terms)
            self.refs.append(SupplierRef(id=who.terms.id, supplier_name=who.terms.name))
            self.records.append(
                Supplier(
                    id=who.terms.id,
                    supplier_name=who.terms.name,
                    contact_name=who.contact_name,
                    email_address=who.email,
                    phone=who.phone,
                    default_currency=who.currency,
                    registration_number=who.registration_number,
                    tax_number=who.tax_number,
                    addresses=who.addresses,
                    status=who.status,
                    modified_date=who.modified,
                    source_modified_date=who.source,
                    metadata=Metadata(is_deleted=False),
                )
            )


class _Party:
    def __init__(
        self, profile: Profile, chart: Chart, stream: Random, party_id: str, *, private: float
    ) -> None:
        region = profile.region
        given, family = person(region, stream)
        is_private = stream.random() < private
        name = f"{given} {family}" if is_private else business(region, stream)
        is_foreign = chart.foreign_bank is not None and stream.random() < 0.15
        self.terms = Terms(party_id, name, is_foreign, (14, 30, 30, 30, 45, 60)[int(stream.random() * 6)])
        self.contact_name = f"{given} {family}"
        self.host = domain(family if is_private else name, region)
        self.email = f"{'info' if not given.isascii() else given.lower()}@{self.host}"
        self.phone = fill(region.phone, stream)
        self.currency = chart.foreign_currency if is_foreign else chart.currency
        self.registration_number = None if is_private else fill("########", stream)
        self.tax_number = (
            fill(region.tax_number, stream) if not is_private and stream.random() < 0.7 else None
        )
        self.addresses: list[Address] = [address(region, stream, AddressType.BILLING)]
        if stream.random() < 0.35:
            self.addresses.append(address(region, stream, AddressType.DELIVERY))
        self.status = RecordStatus.ARCHIVED if stream.random() < 0.05 else RecordStatus.ACTIVE
        self.source, self.modified = stamps(int(stream.random() * LAST_DAY), stream)


def _contact(profile: Profile, stream: Random, who: _Party) -> Contact:
    given, family = person(profile.region, stream)
    return Contact(
        name=f"{given} {family}",
        email=f"accounts@{who.host}",
        phone=[Phone(number=fill(profile.region.phone, stream), type=PhoneNumberType.PRIMARY)],
        status=RecordStatus.ACTIVE,
        modified_date=who.modified,
    )


def company_info(profile: Profile) -> CompanyInfo:
    """The company in its own accounting software."""
    region = profile.region
    stream = profile.stream("info")
    host = domain(profile.name, region)
    year = REFERENCE_DATE.year if region.year_start_month <= REFERENCE_DATE.month else REFERENCE_DATE.year - 1
    return CompanyInfo(
        company_name=profile.name,
        company_legal_name=profile.name,
        accounting_platform_ref=profile.uuid("platform ref"),
        registration_number=fill("########", stream),
        tax_number=fill(region.tax_number, stream),
        base_currency=region.currency,
        financial_year_start_date=datetime(year, region.year_start_month, 1),
        ledger_lock_date=datetime(FIRST_DATE.year - 1, 12, 31),
        created_date=datetime(
            FIRST_DATE.year - 1, 1 + int(stream.random() * 12), 1 + int(stream.random() * 28)
        ),
        addresses=[
            address(region, stream, AddressType.BILLING),
            address(region, stream, AddressType.DELIVERY),
        ],
        phone_numbers=[
            Phone(number=fill(region.phone, stream), type=PhoneNumberType.PRIMARY),
            Phone(number=fill(region.phone, stream), type=PhoneNumberType.MOBILE),
        ],
        web_links=[Weblink(type=WeblinkType.WEBSITE, url=f"https://{host}")],
        source_urls={"home": f"https://{profile.platform.key}.example/{profile.id}"},
    )
