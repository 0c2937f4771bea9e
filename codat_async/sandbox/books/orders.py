"""Orders before the invoice: sales orders, purchase orders, and the goods received for them."""

from collections.abc import Sequence
from decimal import Decimal
from random import Random

from codat_async.models import (
    AddressType,
    ItemReceipt,
    ItemReceiptLineItem,
    ItemReceiptStatus,
    Metadata,
    OrderStatus,
    PurchaseOrder,
    PurchaseOrderLineItem,
    PurchaseOrderRef,
    RecordLineReference,
    SalesOrder,
    SalesOrderInvoiceStatus,
    SalesOrderLineItem,
    ShipTo,
    ShipToContact,
    User,
)
from codat_async.models.common import DataType
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.goods import Good, Goods
from codat_async.sandbox.books.lines import build, categories, count, draw, money, total, tracking
from codat_async.sandbox.books.parties import Customers, Suppliers, Terms
from codat_async.sandbox.books.profile import Profile
from codat_async.sandbox.books.regions import address, fill, person
from codat_async.sandbox.books.settlement import DRAFT, POSTED, VOID, Document

_BULK_PRICE = Decimal("0.000123456789")
_BULK_QUANTITY = Decimal("1234567890.125")


class _Order:
    """An order before it is written out, made from a document or still waiting for one."""

    def __init__(
        self,
        number: int,
        document: Document | None,
        terms: Sequence[Terms],
        goods: Sequence[Good],
        chart: Chart,
        stream: Random,
    ) -> None:
        self.number = number
        self.document = document
        if document is not None:
            self.party, self.lines, self.state = document.party, document.lines, POSTED
            self.day = document.day - 2 - int(stream.random() * 20)
        else:
            self.party = int(stream.random() * len(terms))
            self.lines = draw(goods, chart, stream, discounted=False)
            self.day = int(stream.random() * (LAST_DAY + 1))
            lot = stream.random()
            self.state = DRAFT if lot < 0.1 else VOID if lot < 0.17 else POSTED
        self.is_deleted = self.state is not POSTED and stream.random() < 0.3
        self.totals = total(self.lines)

    @property
    def status(self) -> OrderStatus:
        if self.state is DRAFT:
            return OrderStatus.DRAFT
        if self.state is VOID:
            return OrderStatus.VOID
        return OrderStatus.OPEN if self.document is None else OrderStatus.CLOSED


def _plan(
    amount: int,
    documents: Sequence[Document],
    terms: Sequence[Terms],
    goods: Sequence[Good],
    chart: Chart,
    stream: Random,
) -> list[_Order]:
    if not terms:
        return []
    taken: set[int] = set()
    orders: list[_Order] = []
    for number in range(amount):
        document = None
        if documents and stream.random() < 0.65:
            candidate = documents[number * len(documents) // amount]
            if candidate.state is POSTED and candidate.number not in taken:
                document = candidate
                taken.add(candidate.number)
        orders.append(_Order(number, document, terms, goods, chart, stream))
    return orders


def _ship_to(profile: Profile, stream: Random) -> ShipTo:
    given, family = person(profile.region, stream)
    return ShipTo(
        address=address(profile.region, stream, AddressType.DELIVERY),
        contact=ShipToContact(
            name=f"{given} {family}", email="goods.in@depot.example", phone=fill(profile.region.phone, stream)
        ),
    )


class SalesOrders:
    """What customers have ordered, invoiced or not."""

    def __init__(
        self, chart: Chart, customers: Customers, goods: Goods, invoices: Sequence[Document]
    ) -> None:
        profile = chart.profile
        stream = profile.stream("sales_orders")
        order_id = profile.ids("sales_orders")
        orders = _plan(profile.sizes["sales_orders"], invoices, customers.terms, goods.sold, chart, stream)
        self.refs: dict[int, str] = {}
        """By the number of the invoice, the order it came from."""
        self.records: list[SalesOrder] = []
        for order in orders:
            if order.document is not None:
                self.refs[order.document.number] = order_id(order.number)
            is_foreign = customers.terms[order.party].is_foreign
            source, modified = stamps(max(0, order.day), stream)
            lines = [
                build(SalesOrderLineItem, line, chart, tracking=tracking(line, chart)) for line in order.lines
            ]
            totals = order.totals
            sub_total, amount = money(totals.sub_total), money(totals.total)
            if order.document is None and order.number % 13 == 5:
                # Nothing is posted for an order, so it may hold amounts that no cents can express.
                bulk = _BULK_PRICE * _BULK_QUANTITY
                sub_total, amount = sub_total + bulk, amount + bulk
                lines.append(
                    SalesOrderLineItem(
                        description="Metered use, as counted",
                        quantity=_BULK_QUANTITY,
                        unit_amount=_BULK_PRICE,
                        discount_amount=money(0),
                        discount_percentage=count(0),
                        sub_total=bulk,
                        tax_amount=money(0),
                        total_amount=bulk,
                        account_ref=chart.role("sales"),
                        tax_rate_ref=chart.tax_refs[-1],
                    )
                )
            self.records.append(
                SalesOrder(
                    id=order_id(order.number),
                    sales_order_number=f"SO-{order.number + 1:05}",
                    customer_purchase_order_number=f"PO{4_000 + order.number}" if order.number % 3 else None,
                    customer_ref=customers.refs[order.party],
                    issue_date=at(order.day),
                    expected_delivery_date=at(order.day + 14),
                    status=order.status,
                    invoicing_status=SalesOrderInvoiceStatus.NOT_INVOICED
                    if order.document is None
                    else SalesOrderInvoiceStatus.INVOICED,
                    currency=chart.foreign_currency if is_foreign else chart.currency,
                    currency_rate=chart.foreign_rate if is_foreign else count(1),
                    line_items=lines,
                    total_discount=money(totals.discount),
                    sub_total=sub_total,
                    total_tax_amount=money(totals.tax),
                    total_amount=amount,
                    ship_to=_ship_to(profile, stream) if stream.random() < 0.5 else None,
                    note="Deliver to the back gate" if order.number % 6 == 2 else None,
                    modified_date=modified,
                    source_modified_date=source,
                    metadata=Metadata(is_deleted=order.is_deleted),
                )
            )


class PurchaseOrders:
    """What has been ordered from suppliers, billed or not, and what of it has arrived."""

    def __init__(self, chart: Chart, suppliers: Suppliers, goods: Goods, bills: Sequence[Document]) -> None:
        profile = chart.profile
        stream = profile.stream("purchase_orders")
        order_id = profile.ids("purchase_orders")
        self._orders = _plan(
            profile.sizes["purchase_orders"], bills, suppliers.terms, goods.bought, chart, stream
        )
        self.refs: dict[int, PurchaseOrderRef] = {}
        """By the number of the bill, the order it came from."""
        self.records: list[PurchaseOrder] = []
        for order in self._orders:
            number = f"PO-{order.number + 1:05}"
            if order.document is not None:
                self.refs[order.document.number] = PurchaseOrderRef(
                    id=order_id(order.number), purchase_order_number=number
                )
            terms = suppliers.terms[order.party]
            source, modified = stamps(max(0, order.day), stream)
            given, family = person(profile.region, stream)
            totals = order.totals
            self.records.append(
                PurchaseOrder(
                    id=order_id(order.number),
                    purchase_order_number=number,
                    supplier_ref=suppliers.refs[order.party],
                    created_by=User(first_name=given, last_name=family, email="buying@office.example"),
                    issue_date=at(order.day),
                    expected_delivery_date=at(order.day + 7),
                    delivery_date=at(order.document.day) if order.document is not None else None,
                    payment_due_date=at(order.day + terms.days),
                    status=order.status,
                    currency=chart.foreign_currency if terms.is_foreign else chart.currency,
                    currency_rate=chart.foreign_rate if terms.is_foreign else count(1),
                    line_items=[
                        build(
                            PurchaseOrderLineItem,
                            line,
                            chart,
                            line_number=str(line_number),
                            tracking_category_refs=categories(line, chart),
                        )
                        for line_number, line in enumerate(order.lines, 1)
                    ],
                    total_discount=money(totals.discount),
                    sub_total=money(totals.sub_total),
                    total_tax_amount=money(totals.tax),
                    total_amount=money(totals.total),
                    ship_to=_ship_to(profile, stream) if stream.random() < 0.5 else None,
                    note="Call before delivery" if order.number % 6 == 2 else None,
                    modified_date=modified,
                    source_modified_date=source,
                    metadata=Metadata(is_deleted=order.is_deleted),
                )
            )
        self.receipts = self._receipts(chart)

    def _receipts(self, chart: Chart) -> list[ItemReceipt]:
        profile = chart.profile
        stream = profile.stream("item_receipts")
        receipt_id = profile.ids("item_receipts")
        posted = [order for order in self._orders if order.state is POSTED]
        amount = profile.sizes["item_receipts"] if posted else 0
        receipts: list[ItemReceipt] = []
        for number in range(amount):
            order = posted[number * len(posted) // amount]
            record = self.records[order.number]
            day = min(LAST_DAY, max(0, order.day + 3 + int(stream.random() * 12)))
            source, modified = stamps(day, stream)
            lot = stream.random()
            status = ItemReceiptStatus.RECEIVED if lot < 0.9 else ItemReceiptStatus.DRAFT
            receipts.append(
                ItemReceipt(
                    id=receipt_id(number),
                    reference=f"GRN-{number + 1:05}",
                    supplier_ref=record.supplier_ref,
                    purchase_order_refs=[
                        PurchaseOrderRef(id=record.id, purchase_order_number=record.purchase_order_number)
                    ],
                    received_date=at(day),
                    status=status,
                    currency=record.currency,
                    currency_rate=record.currency_rate,
                    line_items=[
                        ItemReceiptLineItem(
                            line_number=str(line_number),
                            description=line.good.description,
                            item_ref=line.good.ref,
                            purchase_order_line_ref=RecordLineReference(
                                id=record.id, line_number=str(line_number), data_type=DataType.PURCHASE_ORDERS
                            ),
                            quantity=count(line.quantity),
                            unit_amount=line.good.unit_amount,
                            sub_total=money(line.sub_total),
                            total_amount=money(line.sub_total),
                            account_ref=line.good.account,
                            tracking=tracking(line, chart),
                        )
                        for line_number, line in enumerate(order.lines, 1)
                    ],
                    sub_total=money(order.totals.sub_total),
                    total_amount=money(order.totals.sub_total),
                    note="One carton damaged" if number % 10 == 6 else None,
                    modified_date=modified,
                    source_modified_date=source,
                    metadata=Metadata(is_deleted=status is ItemReceiptStatus.DRAFT and lot > 0.97),
                )
            )
        return receipts
