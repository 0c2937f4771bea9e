"""Realistic records and pages of them, built from the models; the same in every run."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Final

from codat_async import codec, models
from codat_async.models import Record

PAGE_MARK: Final = "0PAGE-NR"
"""A placeholder for the page number in every id, so that one rendered page serves as all pages."""

RESETS: Final = (datetime.now(UTC) + timedelta(hours=12)).isoformat(timespec="seconds")
"""The reset time in the responses' quota headers; the client ignores one that is days ahead."""

_EPOCH: Final = datetime(2023, 1, 1, tzinfo=UTC)
_GOODS: Final = (
    "Oak board, planed",
    "Steel bracket 40 mm",
    "Consulting, per hour",
    "Delivery",
    "Licence, yearly",
)
_TAX: Final = Decimal("0.20")
_CENT: Final = Decimal("0.01")


def _identifier(number: int) -> str:
    return f"{PAGE_MARK}-4d10-8a5c-{number:012d}"


def _moment(number: int) -> datetime:
    return _EPOCH + timedelta(minutes=37 * number, seconds=number % 60)


def _local_midnight(number: int) -> datetime:
    return _moment(number).replace(hour=0, minute=0, second=0, tzinfo=None)


def invoice(number: int) -> models.Invoice:
    """An invoice with one to five lines; every second one is paid and has a payment."""
    random = Random(number)
    lines = [_line(random) for _ in range(1 + number % 5)]
    sub_total = sum((line.sub_total or Decimal() for line in lines), Decimal())
    tax = sum((line.tax_amount or Decimal() for line in lines), Decimal())
    paid = number % 2 == 0
    return models.Invoice(
        id=_identifier(number),
        invoice_number=f"INV-{number:06d}",
        customer_ref=models.CustomerRef(
            id=f"{number % 400:08x}", company_name=f"Customer {number % 400} Ltd"
        ),
        issue_date=_local_midnight(number),
        due_date=_local_midnight(number + 1000),
        paid_on_date=_local_midnight(number + 500) if paid else None,
        modified_date=_moment(number),
        source_modified_date=_moment(number - 1),
        status=models.InvoiceStatus.PAID if paid else models.InvoiceStatus.SUBMITTED,
        currency="GBP",
        currency_rate=Decimal(1),
        line_items=lines,
        discount_percentage=Decimal(0),
        total_discount=Decimal(0),
        sub_total=sub_total,
        total_tax_amount=tax,
        total_amount=sub_total + tax,
        amount_due=Decimal(0) if paid else sub_total + tax,
        payment_allocations=[_allocation(number, sub_total + tax)] if paid else None,
        metadata=models.Metadata(is_deleted=False),
    )


def _line(random: Random) -> models.InvoiceLineItem:
    quantity = Decimal(random.randint(1, 40))
    unit = Decimal(random.randint(100, 90_000)) / 100
    sub_total = quantity * unit
    tax = (sub_total * _TAX).quantize(_CENT)
    category = models.TrackingCategoryRef(id=f"DEPARTMENT_{random.randint(1, 9)}", name="Sales, North")
    return models.InvoiceLineItem(
        description=random.choice(_GOODS),
        item_ref=models.ItemRef(id=f"item-{random.randint(1, 200)}", name="Stock"),
        quantity=quantity,
        unit_amount=unit,
        discount_amount=Decimal(0),
        sub_total=sub_total,
        tax_amount=tax,
        total_amount=sub_total + tax,
        account_ref=models.AccountRef(id=f"acc-{random.randint(1, 60)}", name="Sales"),
        tax_rate_ref=models.TaxRateRef(id="20_vat", name="20% VAT", effective_tax_rate=Decimal(20)),
        tracking_category_refs=[category],
        is_direct_income=False,
    )


def _allocation(number: int, amount: Decimal) -> models.PaymentAllocation:
    return models.PaymentAllocation(
        payment=models.PaymentAllocationPayment(
            id=f"payment-{number}",
            account_ref=models.AccountRef(id="acc-1", name="Current account"),
            paid_on_date=_local_midnight(number + 500),
            reference=f"PAY-{number}",
            currency="GBP",
            currency_rate=Decimal(1),
            total_amount=amount,
        ),
        allocation=models.Allocation(
            currency="GBP",
            currency_rate=Decimal(1),
            allocated_on_date=_local_midnight(number + 500),
            total_amount=amount,
        ),
    )


def customer(number: int) -> models.Customer:
    """A customer with an address."""
    address = models.Address(
        type=models.AddressType.BILLING,
        line1=f"{number} High Street",
        city="Leeds",
        country="GB",
        postal_code="LS1",
    )
    return models.Customer(
        id=_identifier(number),
        customer_name=f"Customer {number} Ltd",
        contact_name="Sam Example",
        email_address=f"accounts{number}@example.com",
        default_currency="GBP",
        addresses=[address],
        status=models.RecordStatus.ACTIVE,
        modified_date=_moment(number),
        source_modified_date=_moment(number - 1),
    )


def supplier(number: int) -> models.Supplier:
    """A supplier without an address."""
    return models.Supplier(
        id=_identifier(number),
        supplier_name=f"Supplier {number} Ltd",
        contact_name="Kim Example",
        email_address=f"sales{number}@example.com",
        default_currency="GBP",
        status=models.RecordStatus.ACTIVE,
        modified_date=_moment(number),
    )


def account(number: int) -> models.Account:
    """A nominal account."""
    return models.Account(
        id=_identifier(number),
        nominal_code=f"{4000 + number}",
        name=f"Sales, region {number}",
        fully_qualified_category="Income.Revenue",
        fully_qualified_name=f"Income.Revenue.Sales {number}",
        type=models.AccountType.INCOME,
        status=models.AccountStatus.ACTIVE,
        is_bank_account=False,
        currency="GBP",
        current_balance=Decimal(number * 1017) / 100,
        modified_date=_moment(number),
        source_modified_date=_moment(number - 1),
    )


MAKERS: Final[dict[str, Callable[[int], Record]]] = {
    "invoices": invoice,
    "customers": customer,
    "suppliers": supplier,
    "accounts": account,
}
"""Functions that make a record, by the data type's name in paths."""


@cache
def rendered(kind: str, number: int) -> bytes:
    """Return one record as JSON."""
    return codec.encode(MAKERS[kind](number))


def page(kind: str, number: int, size: int, total: int) -> bytes:
    """Return one page of a list of ``total`` records as the API renders it."""
    count = max(0, min(size, total - (number - 1) * size))
    records = b",".join(rendered(kind, index) for index in range(count))
    return records.replace(PAGE_MARK.encode(), page_number(number)).join(envelope(kind, number, size, total))


def page_number(number: int) -> bytes:
    """Return the text that replaces the placeholder in the ids of a page."""
    return b"%08d" % number


def envelope(kind: str, number: int, size: int, total: int) -> tuple[bytes, bytes]:
    """Return the text before and after the records of a page."""

    def link(to: int) -> str:
        return f'{{"href":"/companies/c/data/{kind}?page={to}&pageSize={size}"}}'

    links = [f'"self":{{"href":"/companies/c/data/{kind}"}}', f'"current":{link(number)}']
    if number * size < total:
        links.append(f'"next":{link(number + 1)}')
    if number > 1:
        links.append(f'"previous":{link(number - 1)}')
    tail = (
        f'],"pageNumber":{number},"pageSize":{size},"totalResults":{total},"_links":{{{",".join(links)}}}}}'
    )
    return b'{"results":[', tail.encode()
