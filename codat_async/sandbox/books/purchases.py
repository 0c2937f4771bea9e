"""The purchase side: bills, their credit notes and payments, purchase orders and item receipts."""

from datetime import datetime
from decimal import Decimal

from codat_async.models import (
    Allocation,
    Bill,
    BillCreditNote,
    BillCreditNoteLineItem,
    BillLineItem,
    BillPayment,
    BillPaymentLine,
    BillPaymentLineLink,
    BillPaymentLineLinkType,
    BillStatus,
    DataType,
    Metadata,
    PaymentAllocation,
    PaymentAllocationPayment,
    RecordLineReference,
    RecordReference,
)
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.goods import Goods
from codat_async.sandbox.books.lines import billing, build, categories, count, money
from codat_async.sandbox.books.orders import PurchaseOrders
from codat_async.sandbox.books.parties import Suppliers
from codat_async.sandbox.books.sales import note_status
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


class Purchases:
    """Everything that is owed to, credited by and paid to suppliers."""

    def __init__(self, chart: Chart, suppliers: Suppliers, goods: Goods) -> None:
        profile = chart.profile
        self._chart = chart
        self._suppliers = suppliers
        self._bill_id = profile.ids("bills")
        self._payment_id = profile.ids("bill_payments")
        self._note_id = profile.ids("bill_credit_notes")
        self._stream = profile.stream("purchase dates")
        sizes = profile.sizes
        stream = profile.stream("purchases")
        documents = plan_documents(
            sizes["bills"], suppliers.terms, goods.bought, chart, stream, discounted=False
        )
        credits = plan_credits(sizes["bill_credit_notes"], documents, chart, stream)
        settler = Settler(
            suppliers.terms, chart, stream, limit=sizes["bill_payments"], exact=sizes.is_set("bill_payments")
        )
        payments = settler.settle(documents, credits)
        orders = PurchaseOrders(chart, suppliers, goods, documents)
        self._order_refs = orders.refs
        self.bills = [self._bill(document) for document in documents]
        self.bill_credit_notes = [self._credit_note(credit) for credit in credits]
        self.bill_payments = [self._payment(payment) for payment in payments]
        self.purchase_orders = orders.records
        self.item_receipts = orders.receipts

    def _currency(self, party: int) -> tuple[str, Decimal]:
        if self._suppliers.terms[party].is_foreign:
            return self._chart.foreign_currency, self._chart.foreign_rate
        return self._chart.currency, count(1)

    def _bill(self, document: Document) -> Bill:
        chart, totals = self._chart, document.totals
        currency, rate = self._currency(document.party)
        last = max((share.payment.day for share in document.shares), default=document.day)
        if document.state is DRAFT:
            status = BillStatus.DRAFT
        elif document.state is VOID:
            status = BillStatus.VOID
        elif document.left == 0:
            status = BillStatus.PAID
        elif document.shares:
            status = BillStatus.PARTIALLY_PAID
        else:
            status = BillStatus.OPEN
        order = self._order_refs.get(document.number)
        source, modified = stamps(last, self._stream)
        lines = []
        for number, line in enumerate(document.lines, 1):
            ordered = None
            if order is not None:
                ordered = RecordLineReference(
                    id=order.id, line_number=str(number), data_type=DataType.PURCHASE_ORDERS
                )
            lines.append(
                build(
                    BillLineItem,
                    line,
                    chart,
                    line_number=str(number),
                    purchase_order_line_ref=ordered,
                    is_direct_cost=False,
                    tracking=billing(line, chart),
                    tracking_category_refs=categories(line, chart),
                )
            )
        return Bill(
            id=self._bill_id(document.number),
            reference=f"{7_000 + document.number * 3}/{document.party}",
            supplier_ref=self._suppliers.refs[document.party],
            purchase_order_refs=[order] if order is not None else None,
            issue_date=at(document.day),
            due_date=at(document.due),
            status=status,
            currency=currency,
            currency_rate=rate,
            line_items=lines,
            sub_total=money(totals.sub_total),
            tax_amount=money(totals.tax),
            total_amount=money(totals.total),
            amount_due=money(0 if document.state is VOID else document.left),
            payment_allocations=[self._allocation(share) for share in document.shares],
            note="Checked against the delivery note" if document.number % 8 == 5 else None,
            modified_date=modified,
            source_modified_date=source,
            metadata=Metadata(is_deleted=document.is_deleted),
        )

    def _credit_note(self, credit: Credit) -> BillCreditNote:
        chart, totals = self._chart, credit.totals
        currency, rate = self._currency(credit.party)
        last = max((share.payment.day for share in credit.shares), default=credit.day)
        source, modified = stamps(last, self._stream)
        bill_id = self._bill_id(credit.document.number)
        return BillCreditNote(
            id=self._note_id(credit.number),
            bill_credit_note_number=f"DN-{credit.number + 1:05}",
            supplier_ref=self._suppliers.refs[credit.party],
            created_from_refs=[RecordReference(id=bill_id, data_type=DataType.BILLS)],
            issue_date=at(credit.day),
            allocated_on_date=at(last) if credit.shares else None,
            status=note_status(credit),
            currency=currency,
            currency_rate=rate,
            line_items=[
                build(
                    BillCreditNoteLineItem,
                    line,
                    chart,
                    created_from_line_ref=RecordLineReference(
                        id=bill_id, line_number=str(number), data_type=DataType.BILLS
                    ),
                    tracking=billing(line, chart),
                    tracking_category_refs=categories(line, chart),
                )
                for number, line in enumerate(credit.lines, 1)
            ],
            discount_percentage=count(0),
            total_discount=money(totals.discount),
            sub_total=money(totals.sub_total),
            total_tax_amount=money(totals.tax),
            total_amount=money(totals.total),
            remaining_credit=money(0 if credit.state is VOID else credit.left),
            payment_allocations=[self._allocation(share) for share in credit.shares],
            modified_date=modified,
            source_modified_date=source,
            metadata=Metadata(is_deleted=credit.is_deleted),
        )

    def _payment(self, payment: Settlement) -> BillPayment:
        currency, rate = self._currency(payment.party)
        day = at(payment.day)
        source, modified = stamps(min(LAST_DAY, payment.day + int(self._stream.random() * 2)), self._stream)
        return BillPayment(
            id=self._payment_id(payment.number),
            date_=day,
            supplier_ref=self._suppliers.refs[payment.party],
            account_ref=self._chart.roles("bank")[payment.bank] if payment.credit is None else None,
            payment_method_ref=self._chart.method_refs[payment.method],
            reference=_reference(payment),
            note=None if payment.documents else "Paid in advance",
            currency=currency,
            currency_rate=rate,
            total_amount=money(payment.total),
            lines=self._lines(payment, day),
            modified_date=modified,
            source_modified_date=source,
            metadata=Metadata(is_deleted=False),
        )

    def _lines(self, payment: Settlement, day: datetime) -> list[BillPaymentLine]:
        if not payment.documents:
            link = BillPaymentLineLink(
                type=BillPaymentLineLinkType.PAYMENT_ON_ACCOUNT,
                id=self._suppliers.refs[payment.party].id,
                amount=money(-payment.total),
            )
            return [BillPaymentLine(amount=money(payment.total), allocated_on_date=day, links=[link])]
        lines: list[BillPaymentLine] = []
        for document, amount in payment.documents:
            bill_id = self._bill_id(document.number)
            links = [
                BillPaymentLineLink(type=BillPaymentLineLinkType.BILL, id=bill_id, amount=money(-amount))
            ]
            if payment.credit is not None:
                note_id = self._note_id(payment.credit.number)
                links.append(
                    BillPaymentLineLink(
                        type=BillPaymentLineLinkType.CREDIT_NOTE, id=note_id, amount=money(amount)
                    )
                )
            paid = 0 if payment.credit is not None else amount
            lines.append(BillPaymentLine(amount=money(paid), allocated_on_date=day, links=links))
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


def _reference(payment: Settlement) -> str:
    return f"Credit {payment.number + 1}" if payment.credit is not None else f"REM-{payment.number + 1:05}"
