"""Orders before the invoice: sales orders, purchase orders, and the goods received for them."""

from collections.abc import Callable
from random import Random
from typing import Any

from codat_async import models
from codat_async.models import AddressType, DataType, ItemReceiptStatus, OrderStatus
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.goods import Goods
from codat_async.sandbox.books.lines import build, categories, count, money, tracking
from codat_async.sandbox.books.plans import DRAFT, POSTED, VOID, Document, plan_orders
from codat_async.sandbox.books.profile import Profile
from codat_async.sandbox.books.regions import address, person
from codat_async.sandbox.books.trade import Trade


class Orders:
    """The orders of one side, and by the number of a document the reference to the order it came from."""

    def __init__(self, trade: Trade, goods: Goods) -> None:
        chart, profile = trade.chart, trade.chart.profile
        resource = "sales_orders" if trade.sells else "purchase_orders"
        stream = profile.stream(resource)
        traded = goods.sold if trade.sells else goods.bought
        self._trade = trade
        self._stream = stream
        self._plans = plan_orders(
            profile.sizes[resource], trade.plans, trade.parties.terms, traded, chart, stream
        )
        order_id = profile.ids(resource)
        write: Callable[[str, Document], Any] = self._sale if trade.sells else self._purchase
        self.records: list[Any] = [write(order_id(plan.number), plan) for plan in self._plans]
        self.refs: dict[int, Any] = {}
        for plan, record in zip(self._plans, self.records, strict=True):
            if plan.origin is not None:
                self.refs[plan.origin.number] = _reference(record)

    def _shared(self, plan: Document) -> dict[str, Any]:
        """The fields that sales orders and purchase orders have in common."""
        trade, totals, chart = self._trade, plan.totals, self._trade.chart
        status = {DRAFT: OrderStatus.DRAFT, VOID: OrderStatus.VOID, POSTED: OrderStatus.CLOSED}[plan.state]
        return {
            trade.side.party: trade.parties.refs[plan.party],
            "issue_date": at(plan.day),
            "status": OrderStatus.OPEN if plan.state is POSTED and plan.origin is None else status,
            "total_discount": money(totals.discount),
            "sub_total": money(totals.sub_total),
            "total_tax_amount": money(totals.tax),
            "total_amount": money(totals.total),
            "ship_to": _ship_to(chart.profile, self._stream) if self._stream.random() < 0.5 else None,
            **chart.money_of(foreign=trade.parties.terms[plan.party].is_foreign),
            **stamps(plan.day, self._stream, is_deleted=plan.is_deleted),
        }

    def _sale(self, order_id: str, plan: Document) -> models.SalesOrder:
        chart, invoiced = self._trade.chart, models.SalesOrderInvoiceStatus
        return models.SalesOrder(
            id=order_id,
            sales_order_number=f"SO-{plan.number + 1:05}",
            customer_purchase_order_number=f"PO{4_000 + plan.number}" if plan.number % 3 else None,
            expected_delivery_date=at(plan.day + 14),
            invoicing_status=invoiced.INVOICED if plan.origin else invoiced.NOT_INVOICED,
            line_items=[
                build(models.SalesOrderLineItem, line, chart, tracking=tracking(line, chart))
                for line in plan.lines
            ],
            note="Deliver to the back gate" if plan.number % 6 == 2 else None,
            **self._shared(plan),
        )

    def _purchase(self, order_id: str, plan: Document) -> models.PurchaseOrder:
        chart = self._trade.chart
        given, family = person(chart.profile.region, self._stream)
        return models.PurchaseOrder(
            id=order_id,
            purchase_order_number=f"PO-{plan.number + 1:05}",
            created_by=models.User(first_name=given, last_name=family, email="buying@office.example"),
            expected_delivery_date=at(plan.day + 7),
            delivery_date=at(plan.origin.day) if plan.origin is not None else None,
            payment_due_date=at(plan.day + self._trade.parties.terms[plan.party].days),
            line_items=[
                build(
                    models.PurchaseOrderLineItem,
                    line,
                    chart,
                    line_number=str(number),
                    tracking_category_refs=categories(line, chart),
                )
                for number, line in enumerate(plan.lines, 1)
            ],
            note="Call before delivery" if plan.number % 6 == 2 else None,
            **self._shared(plan),
        )

    def receipts(self) -> list[models.ItemReceipt]:
        """What has arrived for the purchase orders."""
        profile = self._trade.chart.profile
        stream = profile.stream("item_receipts")
        receipt_id = profile.ids("item_receipts")
        posted = [plan for plan in self._plans if plan.state is POSTED]
        amount = profile.sizes["item_receipts"] if posted else 0
        return [
            self._receipt(receipt_id(number), number, posted[number * len(posted) // amount], stream)
            for number in range(amount)
        ]

    def _receipt(self, receipt_id: str, number: int, plan: Document, stream: Random) -> models.ItemReceipt:
        order, chart = self.records[plan.number], self._trade.chart
        day = min(LAST_DAY, max(0, plan.day + 3 + int(stream.random() * 12)))
        is_draft = stream.random() < 0.1
        return models.ItemReceipt(
            id=receipt_id,
            reference=f"GRN-{number + 1:05}",
            supplier_ref=order.supplier_ref,
            purchase_order_refs=[_reference(order)],
            received_date=at(day),
            status=ItemReceiptStatus.DRAFT if is_draft else ItemReceiptStatus.RECEIVED,
            currency=order.currency,
            currency_rate=order.currency_rate,
            line_items=[
                models.ItemReceiptLineItem(
                    line_number=str(line_number),
                    description=line.good.description,
                    item_ref=line.good.ref,
                    purchase_order_line_ref=models.RecordLineReference(
                        id=order.id, line_number=str(line_number), data_type=DataType.PURCHASE_ORDERS
                    ),
                    quantity=count(line.quantity),
                    unit_amount=line.good.unit_amount,
                    sub_total=money(line.sub_total),
                    total_amount=money(line.sub_total),
                    account_ref=line.good.account,
                    tracking=tracking(line, chart),
                )
                for line_number, line in enumerate(plan.lines, 1)
            ],
            sub_total=order.sub_total,
            total_amount=order.sub_total,
            note="One carton damaged" if number % 10 == 6 else None,
            **stamps(day, stream, is_deleted=is_draft and stream.random() < 0.3),
        )


def _reference(order: Any) -> Any:
    if isinstance(order, models.PurchaseOrder):
        return models.PurchaseOrderRef(id=order.id, purchase_order_number=order.purchase_order_number)
    return models.RecordReference(id=order.id, data_type=DataType.SALES_ORDERS)


def _ship_to(profile: Profile, stream: Random) -> models.ShipTo:
    contact = models.ShipToContact(name=" ".join(person(profile.region, stream)))
    return models.ShipTo(address=address(profile.region, stream, AddressType.DELIVERY), contact=contact)
