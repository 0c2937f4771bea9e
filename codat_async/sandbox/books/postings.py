"""What each kind of document does to the accounts: double entries in the base currency, debits positive."""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal, DecimalException
from typing import Any, Final

from msgspec import Struct

from codat_async.models import (
    AccountRef,
    Bill,
    BillCreditNote,
    BillPayment,
    ContactRef,
    CreditNote,
    DataType,
    DirectCost,
    DirectIncome,
    Invoice,
    Payment,
    PaymentAllocation,
    Transfer,
    TransferAccount,
)
from codat_async.sandbox.books.chart import Chart

_ZERO: Final = Decimal(0)
_MOST_DIGITS: Final = 16
_UNPOSTED: Final = frozenset({"Draft", "Void"})


class Posting(Struct, gc=False):
    """The entry a document makes, before it is written into a journal."""

    journal: int
    date: datetime | None
    description: str | None
    contact: ContactRef | None
    amounts: dict[str, Decimal]
    """By account, in the order they are written; together they are zero."""


class Poster:
    """Turns documents into postings; none for drafts, and for what is void or deleted.

    Documents that were written from outside may leave much out: what a document's lines do
    not explain of its total goes to a default account, so that every posting balances.
    """

    def __init__(self, chart: Chart) -> None:
        self._receivable = _id(chart.role("receivable"))
        self._payable = _id(chart.role("payable"))
        self._tax = _id(chart.role("tax"))
        self._sales = _id(chart.role("sales"))
        self._purchases = _id(chart.role("purchases"))
        self._bank = _id(chart.role("bank"))
        self._base = chart.currency
        self._foreign_rate = chart.rate
        self.refs: dict[str, AccountRef] = {_id(ref): ref for ref in chart.refs}
        """Every account that was ever posted to, by its id."""
        self._rules: dict[str, Callable[[Any], Posting | None]] = {
            "invoices": self._invoice,
            "credit_notes": self._credit_note,
            "payments": self._payment,
            "bills": self._bill,
            "bill_credit_notes": self._bill_credit_note,
            "bill_payments": self._bill_payment,
            "direct_costs": self._direct_cost,
            "direct_incomes": self._direct_income,
            "transfers": self._transfer,
        }

    @property
    def resources(self) -> Iterable[str]:
        """The types of record that are posted."""
        return self._rules.keys()

    def post(self, resource: str, record: Any) -> Posting | None:
        """The posting of a record, or ``None`` where it makes none."""
        if record.is_deleted:
            return None
        try:
            posting = self._rules[resource](record)
        except DecimalException:
            return None
        # Amounts past all reason, or not numbers at all, cannot be added up exactly.
        if posting is None or not all(is_reasonable(amount) for amount in posting.amounts.values()):
            return None
        return posting if sum(posting.amounts.values()) == 0 else None

    def _invoice(self, invoice: Invoice) -> Posting | None:
        if invoice.status in _UNPOSTED:
            return None
        amounts = self._document(
            invoice, self._receivable, invoice.total_amount, invoice.total_tax_amount, self._sales, 1
        )
        contact = _customer(invoice.customer_ref)
        return Posting(1, invoice.issue_date, f"Invoice {invoice.invoice_number or ''}", contact, amounts)

    def _credit_note(self, note: CreditNote) -> Posting | None:
        if note.status in _UNPOSTED:
            return None
        amounts = self._document(
            note, self._receivable, note.total_amount, note.total_tax_amount, self._sales, -1
        )
        contact = _customer(note.customer_ref)
        return Posting(1, note.issue_date, f"Credit note {note.credit_note_number or ''}", contact, amounts)

    def _bill(self, bill: Bill) -> Posting | None:
        if bill.status in _UNPOSTED:
            return None
        amounts = self._document(bill, self._payable, bill.total_amount, bill.tax_amount, self._purchases, -1)
        return Posting(
            2, bill.issue_date, f"Bill {bill.reference or ''}", _supplier(bill.supplier_ref), amounts
        )

    def _bill_credit_note(self, note: BillCreditNote) -> Posting | None:
        if note.status in _UNPOSTED:
            return None
        amounts = self._document(
            note, self._payable, note.total_amount, note.total_tax_amount, self._purchases, 1
        )
        description = f"Bill credit note {note.bill_credit_note_number or ''}"
        return Posting(2, note.issue_date, description, _supplier(note.supplier_ref), amounts)

    def _payment(self, payment: Payment) -> Posting | None:
        paid = paid_in(payment) * self._rate(payment)
        if not paid:
            return None
        amounts = {self._account(payment.account_ref, self._bank): paid, self._receivable: -paid}
        contact = _customer(payment.customer_ref)
        return Posting(3, payment.date_, f"Payment {payment.reference or ''}", contact, amounts)

    def _bill_payment(self, payment: BillPayment) -> Posting | None:
        paid = paid_in(payment) * self._rate(payment)
        if not paid:
            return None
        amounts = {self._payable: paid, self._account(payment.account_ref, self._bank): -paid}
        contact = _supplier(payment.supplier_ref)
        return Posting(4, payment.date_, f"Bill payment {payment.reference or ''}", contact, amounts)

    def _direct_cost(self, cost: DirectCost) -> Posting:
        bank = self._bank_of(cost.payment_allocations)
        amounts = self._document(cost, bank, cost.total_amount, cost.tax_amount, self._purchases, -1)
        return Posting(4, cost.issue_date, _first_description(cost), cost.contact_ref, amounts)

    def _direct_income(self, income: DirectIncome) -> Posting:
        bank = self._bank_of(income.payment_allocations)
        amounts = self._document(income, bank, income.total_amount, income.tax_amount, self._sales, 1)
        return Posting(3, income.issue_date, _first_description(income), income.contact_ref, amounts)

    def _transfer(self, transfer: Transfer) -> Posting | None:
        side = transfer.from_ if transfer.from_ is not None and transfer.from_.amount else transfer.to
        if side is None or not side.amount:
            return None
        moved = side.amount * (self._foreign_rate(side.currency) or 1)
        source = self._account(_ref(transfer.from_), self._bank)
        target = self._account(_ref(transfer.to), self._bank)
        if source == target:
            return None
        amounts = {target: moved, source: -moved}
        return Posting(5, transfer.date_, transfer.description or "Transfer", transfer.contact_ref, amounts)

    def _document(
        self, record: Any, against: str, total: Decimal, tax: Decimal | None, default: str, sign: int
    ) -> dict[str, Decimal]:
        """Total on one side; tax, and each line's account, on the other. ``sign`` 1 debits the total."""
        rate = self._rate(record)
        tax = tax or _ZERO
        explained = tax
        by_account: dict[str, Decimal] = {}
        for line in record.line_items or ():
            amount = line.sub_total
            if amount is None:
                amount = line.quantity * line.unit_amount - (line.discount_amount or _ZERO)
            account = self._account(line.account_ref, default)
            by_account[account] = by_account.get(account, _ZERO) + amount
            explained += amount
        if explained != total:
            by_account[default] = by_account.get(default, _ZERO) + total - explained
        amounts = {against: total * rate * sign}
        for account, amount in by_account.items():
            amounts[account] = amounts.get(account, _ZERO) - amount * rate * sign
        if tax:
            amounts[self._tax] = amounts.get(self._tax, _ZERO) - tax * rate * sign
        return amounts

    def _rate(self, record: Any) -> Decimal:
        if record.currency in (None, self._base):
            return Decimal(1)
        rate: Decimal | None = record.currency_rate
        return rate or self._foreign_rate(record.currency) or Decimal(1)

    def _account(self, ref: AccountRef | None, default: str) -> str:
        if ref is None or not ref.id:
            return default
        if ref.id not in self.refs:
            self.refs[ref.id] = AccountRef(id=ref.id, name=ref.name)
        return ref.id

    def _bank_of(self, allocations: list[PaymentAllocation] | None) -> str:
        for allocation in allocations or ():
            return self._account(allocation.payment.account_ref, self._bank)
        return self._bank


def paid_in(payment: Payment | BillPayment) -> Decimal:
    """What a payment moved, in its own currency."""
    if payment.total_amount is not None:
        return payment.total_amount
    try:
        return sum((line.amount for line in payment.lines or ()), _ZERO)
    except DecimalException:
        return _ZERO


def is_reasonable(amount: Decimal) -> bool:
    """Whether an amount can be part of books at all."""
    return amount.is_finite() and amount.adjusted() < _MOST_DIGITS


def _id(ref: AccountRef) -> str:
    return ref.id or ""


def _ref(side: TransferAccount | None) -> AccountRef | None:
    return side.account_ref if side is not None else None


def _first_description(record: DirectCost | DirectIncome) -> str | None:
    return record.line_items[0].description if record.line_items else record.note


def _customer(ref: Any) -> ContactRef | None:
    return ContactRef(id=ref.id, data_type=DataType.CUSTOMERS) if ref is not None else None


def _supplier(ref: Any) -> ContactRef | None:
    return ContactRef(id=ref.id, data_type=DataType.SUPPLIERS) if ref is not None else None
