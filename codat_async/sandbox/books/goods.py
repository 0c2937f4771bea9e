"""The goods and services a company trades in, as items and as what document lines are drawn from."""

from decimal import Decimal

from msgspec import Struct

from codat_async.models import AccountRef, Item, ItemPrice, ItemRef, ItemType, Metadata, RecordStatus
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
            if round_:
                name = f"{name}, version {round_ + 1}"
            cost = max(1, int(cents * (0.35 + 0.3 * stream.random())))
            scale = -5 if lot == METERED_UNITS else -2
            price, cost_price = Decimal(cents).scaleb(scale), Decimal(cost).scaleb(scale)
            is_sold = kind is ItemType.SERVICE or stream.random() < 0.9
            is_bought = not is_sold or stream.random() < 0.75
            tax = 0 if stream.random() < 0.8 else int(stream.random() * len(profile.region.taxes))
            ref = ItemRef(id=record_id(number), name=name)
            income = sales[1 if kind is ItemType.SERVICE and len(sales) > 1 else 0]
            outlay = purchases[number % len(purchases)]
            if is_sold:
                self.sold.append(Good(ref, name, price, cents, lot, income, tax))
            if is_bought:
                self.bought.append(Good(ref, name, cost_price, cost, lot, outlay, tax))
            source, modified = stamps(int(stream.random() * LAST_DAY), stream)
            self.records.append(
                Item(
                    id=ref.id,
                    name=name,
                    code=f"{name[:3].upper()}-{number:04}",
                    type=kind,
                    item_status=RecordStatus.ARCHIVED if stream.random() < 0.06 else RecordStatus.ACTIVE,
                    is_bill_item=is_bought,
                    is_invoice_item=is_sold,
                    bill_item=ItemPrice(
                        description=name,
                        unit_price=cost_price,
                        account_ref=outlay,
                        tax_rate_ref=chart.tax_refs[tax],
                    )
                    if is_bought
                    else None,
                    invoice_item=ItemPrice(
                        description=name,
                        unit_price=price,
                        account_ref=income,
                        tax_rate_ref=chart.tax_refs[tax],
                    )
                    if is_sold
                    else None,
                    modified_date=modified,
                    source_modified_date=source,
                    metadata=Metadata(is_deleted=False),
                )
            )
        self._add_untracked(chart)

    def _add_untracked(self, chart: Chart) -> None:
        """What is bought, or sold, without an item: overheads, and odd jobs."""
        stream = chart.profile.stream("overheads")
        for account in chart.roles("overhead"):
            cents = 3_000 + int(stream.random() ** 2 * 90_000)
            self.bought.append(
                Good(None, account.name or "", Decimal(cents).scaleb(-2), cents, 1, account, 0)
            )
        cents = 9_900
        self.sold.append(
            Good(None, "Work as agreed", Decimal(cents).scaleb(-2), cents, 1, chart.roles("sales")[-1], 0)
        )
