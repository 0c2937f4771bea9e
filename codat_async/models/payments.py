"""Money received from customers and paid to suppliers, and what it was set against."""

from datetime import datetime
from decimal import Decimal

from msgspec import field

from codat_async.models.accounts import AccountRef
from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import Record, RecordStatus, SupplementalData
from codat_async.models.parties import CustomerRef, SupplierRef


class PaymentMethodType(OpenEnum):
    """The kinds of ways to pay."""

    UNKNOWN = "Unknown"
    CASH = "Cash"
    CHECK = "Check"
    CREDIT_CARD = "CreditCard"
    DEBIT_CARD = "DebitCard"
    BANK_TRANSFER = "BankTransfer"
    OTHER = "Other"


class PaymentMethod(Record, kw_only=True):
    """A way to pay that is set up in the accounting software. Read-only."""

    name: str | None = None
    type: FromText[PaymentMethodType | None] = ABSENT
    status: FromText[RecordStatus | None] = ABSENT


class PaymentMethodRef(Model, kw_only=True):
    """A link to a payment method."""

    id: str
    name: str | None = None


class PaymentLinkType(OpenEnum):
    """What a payment from a customer was set against."""

    UNKNOWN = "Unknown"
    UNLINKED = "Unlinked"
    INVOICE = "Invoice"
    CREDIT_NOTE = "CreditNote"
    OTHER = "Other"
    REFUND = "Refund"
    PAYMENT = "Payment"
    PAYMENT_ON_ACCOUNT = "PaymentOnAccount"
    MANUAL_JOURNAL = "ManualJournal"
    DISCOUNT = "Discount"


class PaymentLineLink(Model, kw_only=True):
    """One record that part of a payment was set against."""

    type: FromText[PaymentLinkType | None] = ABSENT
    id: str | None = None
    """Of the invoice, credit note, payment… that :attr:`type` names."""
    amount: Decimal | None = None
    """The change of the open amount of that record, in that record's currency:
    negative if the customer then owes less."""
    currency_rate: Decimal | None = None


class PaymentLine(Model, kw_only=True):
    """A part of a payment from a customer."""

    amount: Decimal
    """In the payment's currency; negative for money returned."""
    allocated_on_date: FromDate[datetime | None] = ABSENT
    links: list[PaymentLineLink] | None = None


class Payment(Record, kw_only=True):
    """Money that a customer paid to the company, against what they owed, or got back from it.

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base currency.
    """

    date_: FromDate[datetime | None] = field(default=ABSENT, name="date")
    customer_ref: CustomerRef | None = None
    account_ref: AccountRef | None = None
    """The account that the money went to."""
    payment_method_ref: PaymentMethodRef | None = None
    reference: str | None = None
    note: str | None = None
    currency: str | None = None
    currency_rate: Decimal | None = None
    total_amount: Decimal | None = None
    """What went into the account; negative for a refund to the customer."""
    lines: list[PaymentLine] | None = None
    supplemental_data: SupplementalData | None = None


class BillPaymentLineLinkType(OpenEnum):
    """What a payment to a supplier was set against."""

    UNKNOWN = "Unknown"
    UNLINKED = "Unlinked"
    BILL = "Bill"
    OTHER = "Other"
    CREDIT_NOTE = "CreditNote"
    BILL_PAYMENT = "BillPayment"
    PAYMENT_ON_ACCOUNT = "PaymentOnAccount"
    REFUND = "Refund"
    MANUAL_JOURNAL = "ManualJournal"
    DISCOUNT = "Discount"


class BillPaymentLineLink(Model, kw_only=True):
    """One record that part of a bill payment was set against."""

    type: FromText[BillPaymentLineLinkType | None] = ABSENT
    id: str | None = None
    """Of the bill, credit note, payment… that :attr:`type` names."""
    amount: Decimal | None = None
    """The change of the open amount of that record, in that record's currency:
    negative if the company then owes less."""
    currency_rate: Decimal | None = None


class BillPaymentLine(Model, kw_only=True):
    """A part of a payment to a supplier."""

    amount: Decimal
    """In the payment's currency; negative for money received back."""
    allocated_on_date: FromDate[datetime | None] = ABSENT
    links: list[BillPaymentLineLink] | None = None


class BillPayment(Record, kw_only=True):
    """Money that the company paid to a supplier, against what it owed, or got back from them.

    Amounts are in :attr:`currency`; times :attr:`currency_rate` they are in the company's base currency.
    """

    date_: FromDate[datetime] = field(name="date")
    supplier_ref: SupplierRef | None = None
    account_ref: AccountRef | None = None
    """The account that the money came from."""
    payment_method_ref: PaymentMethodRef | None = None
    reference: str | None = None
    note: str | None = None
    currency: str | None = None
    currency_rate: Decimal | None = None
    total_amount: Decimal | None = None
    """What went out of the account; negative for a refund from the supplier."""
    lines: list[BillPaymentLine] | None = None
    supplemental_data: SupplementalData | None = None


class Allocation(Model, kw_only=True):
    """The part of a payment that was set against one record."""

    allocated_on_date: FromDate[datetime | None] = ABSENT
    currency: str | None = None
    currency_rate: Decimal | None = None
    total_amount: Decimal | None = None


class PaymentAllocationPayment(Model, kw_only=True):
    """The payment, in short, that a part was taken from."""

    id: str | None = None
    """Absent if the software keeps no payment of its own, as for direct costs and incomes."""
    account_ref: AccountRef | None = None
    paid_on_date: FromDate[datetime | None] = ABSENT
    reference: str | None = None
    note: str | None = None
    currency: str | None = None
    currency_rate: Decimal | None = None
    total_amount: Decimal | None = None
    """Of the whole payment, not only of the part."""


class PaymentAllocation(Model, kw_only=True):
    """A payment as the invoice, bill, credit note, direct cost or income sees it."""

    payment: PaymentAllocationPayment
    allocation: Allocation
