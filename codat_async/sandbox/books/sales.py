"""The sales side: invoices, credit notes, payments and sales orders, which agree with each other."""

from datetime import datetime
from decimal import Decimal

from codat_async.models import (
    Allocation,
    CreditNote,
    CreditNoteLineItem,
    CreditNoteStatus,
    DataType,
    Invoice,
    InvoiceLineItem,
    InvoiceStatus,
    Metadata,
    Payment,
    PaymentAllocation,
    PaymentAllocationPayment,
    PaymentLine,
    PaymentLineLink,
    PaymentLinkType,
    RecordReference,
)
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.goods import Goods
from codat_async.sandbox.books.lines import billing, build, categories, count, money
from codat_async.sandbox.books.orders import SalesOrders
from codat_async.sandbox.books.parties import Customers
from codat_async.sandbox.books.settlement import (
    DRAFT,
    VOID,
    Credit,
    Document,
    Settlement,
    Settler,
    Share,
    plan_credits,
    plan_documents,
)


class Sales:
    """Everything that is owed by, credited to and paid by customers."""

    def __init__(self, chart: Chart, customers: Customers, goods: Goods) -> None:
        profile = chart.profile
        self._chart = chart
        self._customers = customers
        self._invoice_id = profile.ids("invoices")
        self._payment_id = profile.ids("payments")
        self._note_id = profile.ids("credit_notes")
        self._stream = profile.stream("sales dates")
        sizes = profile.sizes
        stream = profile.stream("sales")
        documents = plan_documents(
            sizes["invoices"], customers.terms, goods.sold, chart, stream, discounted=True
        )
        credits = plan_credits(sizes["credit_notes"], documents, chart, stream)
        settler = Settler(
            customers.terms, chart, stream, limit=sizes["payments"], exact=sizes.is_set("payments")
        )
        payments = settler.settle(documents, credits)
        orders = SalesOrders(chart, customers, goods, documents)
        self._order_refs = orders.refs
        self.invoices = [self._invoice(document) for document in documents]
        self.credit_notes = [self._credit_note(credit) for credit in credits]
        self.payments = [self._payment(payment) for payment in payments]
        self.sales_orders = orders.records

    def _currency(self, party: int) -> tuple[str, Decimal]:
        if self._customers.terms[party].is_foreign:
            return self._chart.foreign_currency, self._chart.foreign_rate
        return self._chart.currency, count(1)

    def _invoice(self, document: Document) -> Invoice:
        chart, totals = self._chart, document.totals
        currency, rate = self._currency(document.party)
        last = max((share.payment.day for share in document.shares), default=document.day)
        if document.state is DRAFT:
            status = InvoiceStatus.DRAFT
        elif document.state is VOID:
            status = InvoiceStatus.VOID
        elif document.left == 0:
            status = InvoiceStatus.PAID
        elif document.shares:
            status = InvoiceStatus.PARTIALLY_PAID
        else:
            status = InvoiceStatus.SUBMITTED
        order = self._order_refs.get(document.number)
        source, modified = stamps(last, self._stream)
        return Invoice(
            id=self._invoice_id(document.number),
            invoice_number=f"INV-{document.number + 1:05}",
            customer_ref=self._customers.refs[document.party],
            sales_order_refs=[RecordReference(id=order, data_type=DataType.SALES_ORDERS)] if order else None,
            issue_date=at(document.day),
            due_date=at(document.due),
            paid_on_date=at(last) if status is InvoiceStatus.PAID else None,
            status=status,
            currency=currency,
            currency_rate=rate,
            line_items=[
                build(
                    InvoiceLineItem,
                    line,
                    chart,
                    is_direct_income=False,
                    tracking=billing(line, chart),
                    tracking_category_refs=categories(line, chart),
                )
                for line in document.lines
            ],
            discount_percentage=count(0),
            total_discount=money(totals.discount),
            sub_total=money(totals.sub_total),
            total_tax_amount=money(totals.tax),
            total_amount=money(totals.total),
            amount_due=money(0 if document.state is VOID else document.left),
            payment_allocations=[self._allocation(share) for share in document.shares],
            note=f"Thank you for your order, {self._customers.refs[document.party].company_name}."
            if document.number % 9 == 4
            else None,
            modified_date=modified,
            source_modified_date=source,
            metadata=Metadata(is_deleted=document.is_deleted),
        )

    def _credit_note(self, credit: Credit) -> CreditNote:
        chart, totals = self._chart, credit.totals
        currency, rate = self._currency(credit.party)
        last = max((share.payment.day for share in credit.shares), default=credit.day)
        source, modified = stamps(last, self._stream)
        return CreditNote(
            id=self._note_id(credit.number),
            credit_note_number=f"CN-{credit.number + 1:05}",
            customer_ref=self._customers.refs[credit.party],
            issue_date=at(credit.day),
            allocated_on_date=at(last) if credit.shares else None,
            status=note_status(credit),
            currency=currency,
            currency_rate=rate,
            line_items=[
                build(
                    CreditNoteLineItem,
                    line,
                    chart,
                    is_direct_income=False,
                    tracking=billing(line, chart),
                    tracking_category_refs=categories(line, chart),
                )
                for line in credit.lines
            ],
            discount_percentage=count(0),
            total_discount=money(totals.discount),
            sub_total=money(totals.sub_total),
            total_tax_amount=money(totals.tax),
            total_amount=money(totals.total),
            remaining_credit=money(0 if credit.state is VOID else credit.left),
            payment_allocations=[self._allocation(share) for share in credit.shares],
            note=f"For {self._invoice_id(credit.document.number)}",
            modified_date=modified,
            source_modified_date=source,
            metadata=Metadata(is_deleted=credit.is_deleted),
        )

    def _payment(self, payment: Settlement) -> Payment:
        currency, rate = self._currency(payment.party)
        day = at(payment.day)
        source, modified = stamps(min(LAST_DAY, payment.day + int(self._stream.random() * 2)), self._stream)
        return Payment(
            id=self._payment_id(payment.number),
            date_=day,
            customer_ref=self._customers.refs[payment.party],
            account_ref=self._chart.roles("bank")[payment.bank] if payment.credit is None else None,
            payment_method_ref=self._chart.method_refs[payment.method],
            reference=_reference(payment),
            note=None if payment.documents else "Received in advance",
            currency=currency,
            currency_rate=rate,
            total_amount=money(payment.total),
            lines=self._lines(payment, day),
            modified_date=modified,
            source_modified_date=source,
            metadata=Metadata(is_deleted=False),
        )

    def _lines(self, payment: Settlement, day: datetime) -> list[PaymentLine]:
        if not payment.documents:
            link = PaymentLineLink(
                type=PaymentLinkType.PAYMENT_ON_ACCOUNT,
                id=self._customers.refs[payment.party].id,
                amount=money(-payment.total),
            )
            return [PaymentLine(amount=money(payment.total), allocated_on_date=day, links=[link])]
        lines: list[PaymentLine] = []
        for document, amount in payment.documents:
            links = [
                PaymentLineLink(
                    type=PaymentLinkType.INVOICE, id=self._invoice_id(document.number), amount=money(-amount)
                )
            ]
            if payment.credit is not None:
                note_id = self._note_id(payment.credit.number)
                links.append(
                    PaymentLineLink(type=PaymentLinkType.CREDIT_NOTE, id=note_id, amount=money(amount))
                )
            paid = 0 if payment.credit is not None else amount
            lines.append(PaymentLine(amount=money(paid), allocated_on_date=day, links=links))
        return lines

    def _allocation(self, share: Share) -> PaymentAllocation:
        payment = share.payment
        currency, rate = self._currency(payment.party)
        day = at(payment.day)
        return PaymentAllocation(
            payment=PaymentAllocationPayment(
                id=self._payment_id(payment.number),
                account_ref=self._chart.roles("bank")[payment.bank] if payment.credit is None else None,
                paid_on_date=day,
                reference=_reference(payment),
                currency=currency,
                currency_rate=rate,
                total_amount=money(payment.total),
            ),
            allocation=Allocation(
                allocated_on_date=day, currency=currency, currency_rate=rate, total_amount=money(share.amount)
            ),
        )


def note_status(credit: Credit) -> CreditNoteStatus:
    """How far a credit note has come."""
    if credit.state is DRAFT:
        return CreditNoteStatus.DRAFT
    if credit.state is VOID:
        return CreditNoteStatus.VOID
    if credit.left == 0:
        return CreditNoteStatus.PAID
    return CreditNoteStatus.PARTIALLY_PAID if credit.shares else CreditNoteStatus.SUBMITTED


def _reference(payment: Settlement) -> str:
    return f"Credit {payment.number + 1}" if payment.credit is not None else f"RCPT-{payment.number + 1:05}"
