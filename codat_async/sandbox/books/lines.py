"""Lines of documents: drawn in whole cents, which add up exactly, and turned into Decimals at the end."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Final, TypeVar

from msgspec import Struct

from codat_async import models
from codat_async.models import TrackingCategoryRef
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.goods import Good

LineModel = TypeVar("LineModel")

_CENT: Final = Decimal("0.01")
_NOTHING: Final = Decimal("0.00")
_SMALL: Final = tuple(Decimal(number) for number in range(1001))
_LINE_COUNTS: Final = (1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6)
_DISCOUNTS: Final = (0, 0, 0, 0, 0, 0, 0, 5, 10, 15)


def money(cents: int) -> Decimal:
    """An amount with two decimal places."""
    return cents * _CENT if cents else _NOTHING


def count(number: int) -> Decimal:
    """A quantity or percentage."""
    return _SMALL[number] if 0 <= number <= 1000 else Decimal(number)


class Line(Struct, gc=False):
    """One line in cents: quantity × unit amount − discount = sub-total, + tax = total."""

    good: Good
    lots: int
    discount_percentage: int
    discount: int
    sub_total: int
    tax_amount: int
    tax: int
    tracking: int
    """Number of a tracking category; -1 for none."""

    @property
    def quantity(self) -> int:
        """Units."""
        return self.lots * self.good.lot


class Totals(Struct, gc=False):
    """What lines add up to."""

    sub_total: int
    tax: int
    total: int
    discount: int


def price(good: Good, lots: int, percentage: int, tax: int, tracking: int, chart: Chart) -> Line:
    """A line of so many lots of something."""
    gross = good.cents * lots
    discount = (gross * percentage + 50) // 100
    sub_total = gross - discount
    tax_amount = (sub_total * chart.tax_basis_points[tax] + 5_000) // 10_000
    return Line(good, lots, percentage, discount, sub_total, tax_amount, tax, tracking)


def draw(goods: Sequence[Good], chart: Chart, stream: Random, *, discounted: bool) -> list[Line]:
    """One to six lines of what is on offer; what is sold comes ``discounted``, and in larger lots."""
    random = stream.random
    most = 12 if discounted else 8
    trackings = len(chart.tracking_refs)
    lines: list[Line] = []
    for _ in range(_LINE_COUNTS[int(random() * 11)]):
        good = goods[int(random() * len(goods))]
        lots = 1 + int(random() ** 2 * most)
        percentage = _DISCOUNTS[int(random() * 10)] if discounted else 0
        # A draw below zero leaves the line without a category.
        tracking = int(random() * trackings * 3) - trackings * 2 if trackings else -1
        lines.append(price(good, lots, percentage, good.tax, max(tracking, -1), chart))
    return lines


def total(lines: Sequence[Line]) -> Totals:
    """The sums of the lines."""
    sub_total = tax = discount = 0
    for line in lines:
        sub_total += line.sub_total
        tax += line.tax_amount
        discount += line.discount
    return Totals(sub_total, tax, sub_total + tax, discount)


def part_of(lines: Sequence[Line], chart: Chart, stream: Random) -> list[Line]:
    """Some of the lines, with some of their quantities: what is sent back and credited."""
    return [
        price(
            line.good,
            1 + int(stream.random() * line.lots),
            line.discount_percentage,
            line.tax,
            line.tracking,
            chart,
        )
        for line in lines[: 1 + int(stream.random() * len(lines))]
    ]


def build(model: Callable[..., LineModel], line: Line, chart: Chart, **more: Any) -> LineModel:
    """The line as a record of the given kind, with the fields that all kinds share."""
    good = line.good
    return model(
        description=good.description,
        item_ref=good.ref,
        quantity=count(line.quantity),
        unit_amount=good.unit_amount,
        discount_amount=money(line.discount),
        discount_percentage=count(line.discount_percentage),
        sub_total=money(line.sub_total),
        tax_amount=money(line.tax_amount),
        total_amount=money(line.sub_total + line.tax_amount),
        account_ref=good.account,
        tax_rate_ref=chart.tax_refs[line.tax],
        **more,
    )


def categories(line: Line, chart: Chart) -> list[TrackingCategoryRef] | None:
    """What the line is tracked under."""
    return [chart.tracking_refs[line.tracking]] if line.tracking >= 0 else None


def billing(line: Line, chart: Chart) -> dict[str, Any]:
    """The fields for the category of a line of an invoice, a bill or a credit note."""
    refs = categories(line, chart)
    if refs is None:
        return {}
    nobody = models.BilledToType.NOT_APPLICABLE
    tracking = models.BillingTracking(category_refs=refs, is_billed_to=nobody, is_rebilled_to=nobody)
    return {"tracking": tracking, "tracking_category_refs": refs}


def tracking(line: Line, chart: Chart) -> models.Tracking | None:
    """The same category for a line of a direct cost, a sales order or an item receipt."""
    refs = categories(line, chart)
    if refs is None:
        return None
    return models.Tracking(
        record_refs=[models.RecordReference(id=refs[0].id, data_type=models.DataType.TRACKING_CATEGORIES)]
    )
