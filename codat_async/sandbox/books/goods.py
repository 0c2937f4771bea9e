"""The goods and services a company trades in, as items and as what document lines are drawn from."""

from decimal import Decimal
from random import Random
from typing import cast

from msgspec import Struct

from codat_async.models import AccountRef, Item, ItemPrice, ItemRef, ItemType, RecordStatus
from codat_async.sandbox.books import names
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, stamps

METERED_UNITS = 1000
"""Things priced in fractions of a cent are traded by the thousand, so that lines come out in cents."""


class Good(Struct, frozen=True):
    """One side of an item, sale or purchase, ready for a line."""

    ref: ItemRef | None
    description: str
    unit_amount: Decimal
    cents: int
    """What one lot costs."""
    lot: int
    """Units in one lot: quantities are multiples of it."""
    account: AccountRef
    tax: int


class Goods:
    """The items of a company, and what they are sold and bought for."""

    def __init__(self, chart: Chart) -> None:
        profile = chart.profile
        stream = profile.stream("items")
        record_id = profile.ids("items")
        sales, purchases = chart.roles("sales"), chart.roles("purchases")
        self.records: list[Item] = []
        self.sold: list[Good] = []
        self.bought: list[Good] = []
        for number in range(profile.sizes["items"]):
            name, kind, lot, cents = _draw(number, stream)
            cost = max(1, int(cents * (0.35 + 0.3 * stream.random())))
            is_sold = kind is ItemType.SERVICE or stream.random() < 0.9
            is_bought = not is_sold or stream.random() < 0.75
            tax = 0 if stream.random() < 0.8 else int(stream.random() * len(profile.region.taxes))
            ref = ItemRef(id=record_id(number), name=name)
            income = sales[1 if kind is ItemType.SERVICE and len(sales) > 1 else 0]
            outlay = purchases[number % len(purchases)]
            scale = -5 if lot == METERED_UNITS else -2
            sale = Good(ref, name, Decimal(cents).scaleb(scale), cents, lot, income, tax)
            purchase = Good(ref, name, Decimal(cost).scaleb(scale), cost, lot, outlay, tax)
            if is_sold:
                self.sold.append(sale)
            if is_bought:
                self.bought.append(purchase)
            self.records.append(
                Item(
                    id=cast(str, ref.id),
                    name=name,
                    code=f"{name[:3].upper()}-{number:04}",
                    type=kind,
                    item_status=RecordStatus.ARCHIVED if stream.random() < 0.06 else RecordStatus.ACTIVE,
                    is_bill_item=is_bought,
                    is_invoice_item=is_sold,
                    bill_item=_price(purchase, chart) if is_bought else None,
                    invoice_item=_price(sale, chart) if is_sold else None,
                    **stamps(int(stream.random() * LAST_DAY), stream),
                )
            )
        # Overheads are bought, and odd jobs sold, without an item.
        for account in chart.roles("overhead"):
            cents = 3_000 + int(stream.random() ** 2 * 90_000)
            self.bought.append(
                Good(None, account.name or "", Decimal(cents).scaleb(-2), cents, 1, account, 0)
            )
        self.sold.append(Good(None, "Work as agreed", Decimal("99.00"), 9_900, 1, sales[-1], 0))


def _draw(number: int, stream: Random) -> tuple[str, ItemType, int, int]:
    """Name, kind, units in a lot, and price of a lot in cents."""
    round_, place = divmod(number, len(names.GOODS) + len(names.SERVICES))
    kind = ItemType.INVENTORY if stream.random() < 0.6 else ItemType.NON_INVENTORY
    lot = 1
    if number % 11 == 7:
        name, kind, lot = names.METERED[number % len(names.METERED)], ItemType.SERVICE, METERED_UNITS
        cents = 1_000 + int(stream.random() * 20_000)
    elif place < len(names.GOODS):
        name = names.GOODS[place]
        cents = 400 + int(stream.random() ** 2 * 60_000)
    else:
        name, kind = names.SERVICES[place - len(names.GOODS)], ItemType.SERVICE
        cents = 4_500 + int(stream.random() * 60_000)
    return f"{name}, version {round_ + 1}" if round_ else name, kind, lot, cents


def _price(good: Good, chart: Chart) -> ItemPrice:
    return ItemPrice(
        description=good.description,
        unit_price=good.unit_amount,
        account_ref=good.account,
        tax_rate_ref=chart.tax_refs[good.tax],
    )
