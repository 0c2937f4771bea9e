"""One side of the books as records: sales with their customers, or purchases with their suppliers."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from codat_async import models
from codat_async.models import DataType
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.goods import Goods
from codat_async.sandbox.books.lines import billing, build, count, money
from codat_async.sandbox.books.parties import Parties
from codat_async.sandbox.books.plans import (
    DRAFT,
    VOID,
    Document,
    PlannedPayment,
    plan_credits,
    plan_documents,
    plan_payments,
)


class Side(Struct, frozen=True):
    """What differs between the two sides: the names of its resources and attributes, and its models."""

    documents: str
    notes: str
    payments: str
    party: str
    """The attribute that refers to the customer or supplier."""
    tax: str
    """The attribute of a document's tax."""
    link_type: str
    """What the link of a payment's line calls the documents."""
    unpaid: str
    """The status of a document that nothing was paid for."""
    document: Callable[..., Any]
    document_line: Callable[..., Any]
    status: type[models.InvoiceStatus] | type[models.BillStatus]
    note: Callable[..., Any]
    note_line: Callable[..., Any]
    payment: Callable[..., Any]
    payment_line: Callable[..., Any]
    payment_link: Callable[..., Any]
    remittance: str
    """What the references of payments begin with."""


SALES: Final = Side(
    "invoices", "credit_notes", "payments", "customer_ref", "total_tax_amount", "Invoice", "Submitted",
    models.Invoice, models.InvoiceLineItem, models.InvoiceStatus, models.CreditNote,
    models.CreditNoteLineItem, models.Payment, models.PaymentLine, models.PaymentLineLink, "RCPT",
)  # fmt: skip
PURCHASES: Final = Side(
    "bills", "bill_credit_notes", "bill_payments", "supplier_ref", "tax_amount", "Bill", "Open",
    models.Bill, models.BillLineItem, models.BillStatus, models.BillCreditNote,
    models.BillCreditNoteLineItem, models.BillPayment, models.BillPaymentLine, models.BillPaymentLineLink,
    "REM",
)  # fmt: skip


class Trade:
    """Documents, credit notes and payments of one side; ``plans`` are the documents in cents.

    Nothing is set against anything yet: :class:`~codat_async.sandbox.books.settlement.Settlement`
    does that, for these payments as for any that are written later.
    """

    def __init__(self, side: Side, chart: Chart, parties: Parties, goods: Goods) -> None:
        self.side = side
        self.chart = chart
        self.parties = parties
        self.sells = side is SALES
        profile = chart.profile
        sizes, stream = profile.sizes, profile.stream(side.documents)
        self._ids = {name: profile.ids(name) for name in (side.documents, side.notes, side.payments)}
        self._dates = profile.stream(f"{side.documents} dates")
        traded = goods.sold if self.sells else goods.bought
        self.plans = plan_documents(
            sizes[side.documents], parties.terms, traded, chart, stream, discounted=self.sells
        )
        self._credits = plan_credits(sizes[side.notes], self.plans, chart, stream)
        self._payments = plan_payments(
            sizes[side.payments], self.plans, self._credits, parties.terms, chart, stream
        )

    def records(self, orders: dict[int, Any]) -> dict[str, list[Any]]:
        """The records by resource; ``orders`` holds, by a document's number, the reference to its order."""
        side = self.side
        return {
            side.documents: [self._document(plan, orders.get(plan.number)) for plan in self.plans],
            side.notes: [self._note(plan) for plan in self._credits],
            side.payments: [self._payment(plan) for plan in self._payments],
        }

    def _shared(self, plan: Document) -> dict[str, Any]:
        """The fields that documents and credit notes have in common."""
        return {
            self.side.party: self.parties.refs[plan.party],
            "issue_date": at(plan.day),
            "sub_total": money(plan.totals.sub_total),
            "total_amount": money(plan.totals.total),
            "payment_allocations": [],
            **self.chart.money_of(foreign=self.parties.terms[plan.party].is_foreign),
            **stamps(plan.day, self._dates, is_deleted=plan.is_deleted),
        }

    def _document(self, plan: Document, order: Any) -> Any:
        side, chart, totals = self.side, self.chart, plan.totals
        lines = [
            build(side.document_line, line, chart, **self._line(number, order), **billing(line, chart))
            for number, line in enumerate(plan.lines, 1)
        ]
        fields = self._shared(plan) | {
            "id": self._ids[side.documents](plan.number),
            "due_date": at(plan.due),
            "status": side.status(plan.state if plan.state in (DRAFT, VOID) else side.unpaid),
            "line_items": lines,
            side.tax: money(totals.tax),
            "amount_due": money(0 if plan.state is VOID else totals.total),
        }
        if self.sells:
            who = self.parties.refs[plan.party].company_name
            fields |= {
                "invoice_number": f"INV-{plan.number + 1:05}",
                "sales_order_refs": [order] if order is not None else None,
                "discount_percentage": count(0),
                "total_discount": money(totals.discount),
                "note": f"Thank you for your order, {who}." if plan.number % 9 == 4 else None,
            }
        else:
            fields |= {
                "reference": f"{7_000 + plan.number * 3}/{plan.party}",
                "purchase_order_refs": [order] if order is not None else None,
                "note": "Checked against the delivery note" if plan.number % 8 == 5 else None,
            }
        return side.document(**fields)

    def _line(self, number: int, order: Any) -> dict[str, Any]:
        if self.sells:
            return {"is_direct_income": False}
        fields: dict[str, Any] = {"line_number": str(number), "is_direct_cost": False}
        if order is not None:
            fields["purchase_order_line_ref"] = models.RecordLineReference(
                id=order.id, line_number=str(number), data_type=DataType.PURCHASE_ORDERS
            )
        return fields

    def _note(self, plan: Document) -> Any:
        side, totals = self.side, plan.totals
        fields = self._shared(plan) | {
            "id": self._ids[side.notes](plan.number),
            "status": models.CreditNoteStatus(plan.state if plan.state in (DRAFT, VOID) else "Submitted"),
            "line_items": [
                build(side.note_line, line, self.chart, **billing(line, self.chart)) for line in plan.lines
            ],
            "discount_percentage": count(0),
            "total_discount": money(totals.discount),
            "total_tax_amount": money(totals.tax),
            "remaining_credit": money(0 if plan.state is VOID else totals.total),
        }
        origin = self._ids[side.documents](plan.origin.number if plan.origin else 0)
        if self.sells:
            fields |= {"credit_note_number": f"CN-{plan.number + 1:05}", "note": f"For {origin}"}
        else:
            ref = models.RecordReference(id=origin, data_type=DataType.BILLS)
            fields |= {"bill_credit_note_number": f"DN-{plan.number + 1:05}", "created_from_refs": [ref]}
        return side.note(**fields)

    def _payment(self, plan: PlannedPayment) -> Any:
        side, chart, number, day = self.side, self.chart, plan.number + 1, at(plan.day)
        types = models.PaymentLinkType if self.sells else models.BillPaymentLineLinkType

        def link(kind: str, record_id: str, cents: int) -> Any:
            return side.payment_link(type=types(kind), id=record_id, amount=money(cents))

        party = self.parties.refs[plan.party]
        paid = money(0 if plan.credit is not None else plan.cents)
        if plan.document is None:
            links = [link("PaymentOnAccount", party.id, -plan.cents)]
        else:
            links = [link(side.link_type, self._ids[side.documents](plan.document.number), -plan.cents)]
        if plan.credit is not None:
            links.append(link("CreditNote", self._ids[side.notes](plan.credit.number), plan.cents))
        fields = {
            "id": self._ids[side.payments](plan.number),
            "date_": day,
            side.party: party,
            "account_ref": chart.roles("bank")[plan.bank] if plan.credit is None else None,
            "payment_method_ref": chart.method_refs[plan.method],
            "reference": f"Credit {number}" if plan.credit else f"{side.remittance}-{number:05}",
            "note": "Paid in advance" if plan.document is None else None,
            "total_amount": paid,
            "lines": [side.payment_line(amount=paid, allocated_on_date=day, links=links)],
            **chart.money_of(foreign=self.parties.terms[plan.party].is_foreign),
            **stamps(min(LAST_DAY, plan.day + int(self._dates.random() * 2)), self._dates),
        }
        return side.payment(**fields)
