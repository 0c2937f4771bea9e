"""An invoice as one would write it for pydantic and Arrow by hand."""

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Fields in snake_case, camelCase in JSON."""

    model_config = ConfigDict(alias_generator=to_camel)


class Ref(Model):
    id: str | None = None
    name: str | None = None
    company_name: str | None = None
    data_type: str | None = None
    effective_tax_rate: Decimal | None = None


class Tracking(Model):
    category_refs: list[Ref] = []
    is_billed_to: str | None = None
    is_rebilled_to: str | None = None


class Line(Model):
    description: str | None = None
    item_ref: Ref | None = None
    quantity: Decimal
    unit_amount: Decimal
    discount_amount: Decimal | None = None
    discount_percentage: Decimal | None = None
    sub_total: Decimal | None = None
    tax_amount: Decimal | None = None
    total_amount: Decimal | None = None
    account_ref: Ref | None = None
    tax_rate_ref: Ref | None = None
    tracking: Tracking | None = None
    tracking_category_refs: list[Ref] = []
    is_direct_income: bool | None = None


class Payment(Model):
    id: str | None = None
    account_ref: Ref | None = None
    paid_on_date: datetime | None = None
    reference: str | None = None
    note: str | None = None
    currency: str | None = None
    currency_rate: Decimal | None = None
    total_amount: Decimal | None = None


class Allocation(Model):
    allocated_on_date: datetime | None = None
    currency: str | None = None
    currency_rate: Decimal | None = None
    total_amount: Decimal | None = None


class PaymentAllocation(Model):
    payment: Payment
    allocation: Allocation


class Metadata(Model):
    is_deleted: bool | None = None


class Invoice(Model):
    id: str
    modified_date: datetime | None = None
    source_modified_date: datetime | None = None
    metadata: Metadata | None = None
    invoice_number: str | None = None
    customer_ref: Ref | None = None
    sales_order_refs: list[Ref] = []
    issue_date: datetime
    due_date: datetime | None = None
    paid_on_date: datetime | None = None
    status: str
    note: str | None = None
    currency: str | None = None
    currency_rate: Decimal | None = None
    line_items: list[Line] = []
    discount_percentage: Decimal | None = None
    total_discount: Decimal | None = None
    sub_total: Decimal | None = None
    total_tax_amount: Decimal
    total_amount: Decimal
    amount_due: Decimal
    payment_allocations: list[PaymentAllocation] = []


class Page(Model):
    """A page of invoices; it is the last one if it is not full."""

    results: list[Invoice]
    total_results: int


class Company(Model):
    id: str


class Companies(Model):
    results: list[Company]


MONEY = pa.decimal128(38, 9)
# pydantic keeps the zone of an instant and leaves a local time without one; a column has to choose.
TIME = pa.timestamp("us")
REF = pa.struct(
    {"id": pa.string(), "name": pa.string(), "company_name": pa.string(), "data_type": pa.string(),
     "effective_tax_rate": MONEY}
)  # fmt: skip
LINE = pa.struct(
    {"description": pa.string(), "item_ref": REF, "quantity": MONEY, "unit_amount": MONEY,
     "discount_amount": MONEY, "discount_percentage": MONEY, "sub_total": MONEY, "tax_amount": MONEY,
     "total_amount": MONEY, "account_ref": REF, "tax_rate_ref": REF,
     "tracking": pa.struct({"category_refs": pa.list_(REF), "is_billed_to": pa.string(),
                            "is_rebilled_to": pa.string()}),
     "tracking_category_refs": pa.list_(REF), "is_direct_income": pa.bool_()}
)  # fmt: skip
PAYMENT_ALLOCATION = pa.struct(
    {"payment": pa.struct({"id": pa.string(), "account_ref": REF, "paid_on_date": TIME,
                           "reference": pa.string(), "note": pa.string(), "currency": pa.string(),
                           "currency_rate": MONEY, "total_amount": MONEY}),
     "allocation": pa.struct({"allocated_on_date": TIME, "currency": pa.string(), "currency_rate": MONEY,
                              "total_amount": MONEY})}
)  # fmt: skip
SCHEMA = pa.schema(
    {"company_id": pa.string(), "id": pa.string(), "modified_date": TIME, "source_modified_date": TIME,
     "metadata": pa.struct({"is_deleted": pa.bool_()}), "invoice_number": pa.string(), "customer_ref": REF,
     "sales_order_refs": pa.list_(REF), "issue_date": TIME, "due_date": TIME, "paid_on_date": TIME,
     "status": pa.string(), "note": pa.string(), "currency": pa.string(), "currency_rate": MONEY,
     "line_items": pa.list_(LINE), "discount_percentage": MONEY, "total_discount": MONEY,
     "sub_total": MONEY, "total_tax_amount": MONEY, "total_amount": MONEY, "amount_due": MONEY,
     "payment_allocations": pa.list_(PAYMENT_ALLOCATION)}
)  # fmt: skip
