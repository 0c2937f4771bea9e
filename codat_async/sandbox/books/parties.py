"""Customers and suppliers, and the company itself as its accounting software describes it."""

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any

from msgspec import Struct

from codat_async import models
from codat_async.models import AddressType, PhoneNumberType, RecordStatus
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


class Parties:
    """The customers or the suppliers of a company, and what documents need to know of them."""

    def __init__(
        self, chart: Chart, resource: str, model: Callable[..., Any], ref: Callable[..., Any]
    ) -> None:
        profile = chart.profile
        stream = profile.stream(resource)
        record_id = profile.ids(resource)
        sells = resource == "customers"
        name, ref_name = ("customer_name", "company_name") if sells else ("supplier_name", "supplier_name")
        self.resource = resource
        self.records: list[Any] = []
        self.terms: list[Terms] = []
        self.refs: list[Any] = []
        for number in range(profile.sizes[resource]):
            terms, fields = _party(chart, stream, record_id(number), private=0.25 if sells else 0.05)
            self.terms.append(terms)
            self.refs.append(ref(**{"id": terms.id, ref_name: terms.name}))
            self.records.append(model(**{"id": terms.id, name: terms.name}, **fields))


def customers(chart: Chart) -> Parties:
    """The customers of a company; most have contacts, which only customers can have."""
    parties = Parties(chart, "customers", models.Customer, models.CustomerRef)
    stream = chart.profile.stream("contacts")
    for customer in parties.records:
        if stream.random() < 0.6:
            customer.contacts = [_contact(chart.profile, stream, customer)]
    return parties


def _party(chart: Chart, stream: Random, party_id: str, *, private: float) -> tuple[Terms, dict[str, Any]]:
    region = chart.profile.region
    given, family = person(region, stream)
    is_private = stream.random() < private
    name = f"{given} {family}" if is_private else business(region, stream)
    is_foreign = chart.foreign_bank is not None and stream.random() < 0.15
    host = domain(family if is_private else name, region)
    addresses = [address(region, stream, AddressType.BILLING)]
    if stream.random() < 0.35:
        addresses.append(address(region, stream, AddressType.DELIVERY))
    has_tax_number = not is_private and stream.random() < 0.7
    days = (14, 30, 30, 30, 45, 60)[int(stream.random() * 6)]
    return Terms(party_id, name, is_foreign, days), {
        "contact_name": f"{given} {family}",
        "email_address": f"{given.lower() if given.isascii() else 'info'}@{host}",
        "phone": fill(region.phone, stream),
        "default_currency": chart.foreign_currency if is_foreign else chart.currency,
        "registration_number": None if is_private else fill("########", stream),
        "tax_number": fill(region.tax_number, stream) if has_tax_number else None,
        "addresses": addresses,
        "status": RecordStatus.ARCHIVED if stream.random() < 0.05 else RecordStatus.ACTIVE,
        **stamps(int(stream.random() * LAST_DAY), stream),
    }


def _contact(profile: Profile, stream: Random, customer: models.Customer) -> models.Contact:
    given, family = person(profile.region, stream)
    host = (customer.email_address or "").partition("@")[2]
    return models.Contact(
        name=f"{given} {family}",
        email=f"accounts@{host}",
        phone=[models.Phone(number=fill(profile.region.phone, stream), type=PhoneNumberType.PRIMARY)],
        status=RecordStatus.ACTIVE,
        modified_date=customer.modified_date,
    )


def company_info(profile: Profile) -> models.CompanyInfo:
    """The company in its own accounting software."""
    region = profile.region
    stream = profile.stream("info")
    host = domain(profile.name, region)
    start, this = region.year_start_month, REFERENCE_DATE
    return models.CompanyInfo(
        company_name=profile.name,
        company_legal_name=profile.name,
        accounting_platform_ref=profile.uuid("platform ref"),
        registration_number=fill("########", stream),
        tax_number=fill(region.tax_number, stream),
        base_currency=region.currency,
        financial_year_start_date=datetime(this.year - (start > this.month), start, 1),
        ledger_lock_date=datetime(FIRST_DATE.year - 1, 12, 31),
        created_date=datetime(FIRST_DATE.year - 1, 1 + int(stream.random() * 12), 14),
        addresses=[address(region, stream, kind) for kind in (AddressType.BILLING, AddressType.DELIVERY)],
        phone_numbers=[
            models.Phone(number=fill(region.phone, stream), type=kind)
            for kind in (PhoneNumberType.PRIMARY, PhoneNumberType.MOBILE)
        ],
        web_links=[models.Weblink(type=models.WeblinkType.WEBSITE, url=f"https://{host}")],
        source_urls={"home": f"https://{profile.platform_key}.example/{profile.id}"},
    )
