"""What is paid on the spot: direct costs, direct incomes, and transfers between own accounts."""

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from codat_async import models
from codat_async.models import AccountRef, ContactRef, DataType, TransferAccount
from codat_async.sandbox.books import names
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.goods import Good
from codat_async.sandbox.books.lines import Line, build, categories, money, price, total
from codat_async.sandbox.books.parties import Parties
from codat_async.sandbox.books.regions import pick


def direct_costs(chart: Chart, suppliers: Parties) -> list[models.DirectCost]:
    """Wages, bank charges, and what people buy with a card."""
    petty = chart.roles("petty")

    def lines(number: int, stream: Random) -> tuple[list[Line], bool]:
        lot = stream.random()
        regular = None
        if number % 4 == 0:
            regular = ("Wages", 160_000 + int(lot * 90_000), chart.role("wages"))
        elif number % 9 == 5:
            regular = ("Account fee", 800 + int(lot * 3_000), chart.role("bank fees"))
        elif number % 25 == 7:
            regular = ("Loan interest", 4_000 + int(lot * 9_000), chart.role("interest paid"))
        if regular is not None:
            return [_line(*regular, chart, None)], False
        return [
            _line(
                pick(names.COST_NOTES, stream),
                250 + int(stream.random() ** 2 * 18_000),
                petty[int(stream.random() * len(petty))],
                chart,
                stream,
            )
            for _ in range(2 if lot < 0.3 else 1)
        ], stream.random() < 0.7

    return _paid_at_once(
        chart, "direct_costs", models.DirectCost, models.DirectCostLineItem, lines, suppliers, "CARD"
    )


def direct_incomes(chart: Chart, customers: Parties) -> list[models.DirectIncome]:
    """Takings over the counter, and interest from the bank."""

    def lines(number: int, stream: Random) -> tuple[list[Line], bool]:
        if number % 8 == 6:
            cents = 100 + int(stream.random() * 4_000)
            return [_line("Interest", cents, chart.role("interest received"), chart, None)], False
        note, cents = pick(names.INCOME_NOTES, stream), 5_000 + int(stream.random() * 90_000)
        return [_line(note, cents, chart.role("takings"), chart, stream)], stream.random() < 0.3

    return _paid_at_once(
        chart, "direct_incomes", models.DirectIncome, models.DirectIncomeLineItem, lines, customers, "TILL"
    )


def transfers(chart: Chart) -> list[models.Transfer]:
    """Money moved between the accounts in the company's own currency; none if there is only one."""
    profile = chart.profile
    stream = profile.stream("transfers")
    record_id = profile.ids("transfers")
    banks = chart.roles("bank")
    own = len(banks) - (chart.foreign_bank is not None)
    amount = profile.sizes["transfers"] if own > 1 else 0
    moved: list[models.Transfer] = []
    for number in range(amount):
        day = min(LAST_DAY, number * LAST_DAY // amount + int(stream.random() * 6))
        there = 1 + int(stream.random() * (own - 1))
        # More is saved than is fetched back, or the savings would run dry.
        source, target = (banks[0], banks[there]) if number % 3 != 2 else (banks[there], banks[0])
        value = money(10_000 * (1 + int(stream.random() * 20)))
        moved.append(
            models.Transfer(
                id=record_id(number),
                date_=at(day),
                description=f"Transfer to {target.name}",
                from_=TransferAccount(account_ref=source, amount=value, currency=chart.currency),
                to=TransferAccount(account_ref=target, amount=value, currency=chart.currency),
                **stamps(day, stream, is_deleted=stream.random() < 0.02),
            )
        )
    return moved


def _paid_at_once(
    chart: Chart,
    resource: str,
    model: Callable[..., Any],
    item: Callable[..., Any],
    draw: Callable[[int, Random], tuple[list[Line], bool]],
    parties: Parties,
    prefix: str,
) -> list[Any]:
    """Records of one kind. ``draw`` gives the lines of one, and whether a customer or supplier is named."""
    profile = chart.profile
    stream = profile.stream(resource)
    record_id = profile.ids(resource)
    amount = profile.sizes[resource]
    records: list[Any] = []
    for number in range(amount):
        day = min(LAST_DAY, number * LAST_DAY // amount + int(stream.random() * 4))
        lines, is_named = draw(number, stream)
        totals = total(lines)
        reference = f"{prefix}-{number + 1:05}"
        party = parties.terms[int(stream.random() * len(parties.terms))] if parties.terms else None
        records.append(
            model(
                id=record_id(number),
                reference=reference,
                contact_ref=ContactRef(id=party.id, data_type=DataType(parties.resource))
                if party and is_named
                else None,
                issue_date=at(day),
                line_items=[
                    build(item, line, chart, tracking_category_refs=categories(line, chart)) for line in lines
                ],
                sub_total=money(totals.sub_total),
                tax_amount=money(totals.tax),
                total_amount=money(totals.total),
                payment_allocations=[_allocation(chart, day, totals.total, reference, stream)],
                note=lines[0].good.description if number % 5 == 3 else None,
                **chart.money_of(foreign=False),
                **stamps(day, stream, is_deleted=stream.random() < 0.02),
            )
        )
    return records


def _line(description: str, cents: int, account: AccountRef, chart: Chart, stream: Random | None) -> Line:
    """A line of one thing; without a stream it is not taxed, nor under a tracking category."""
    tax = 0 if stream is not None else len(chart.profile.region.taxes) - 1
    trackings = len(chart.tracking_refs)
    is_tracked = stream is not None and trackings > 0 and stream.random() < 0.25
    category = int(stream.random() * trackings) if stream is not None and is_tracked else -1
    good = Good(None, description, Decimal(cents).scaleb(-2), cents, 1, account, tax)
    return price(good, 1, 0, tax, category, chart)


def _allocation(
    chart: Chart, day: int, cents: int, reference: str, stream: Random
) -> models.PaymentAllocation:
    own = len(chart.banks) - (chart.foreign_bank is not None)
    bank = chart.roles("bank")[int(stream.random() * own) if stream.random() < 0.1 else 0]
    shared: dict[str, Any] = {"total_amount": money(cents), **chart.money_of(foreign=False)}
    return models.PaymentAllocation(
        payment=models.PaymentAllocationPayment(
            account_ref=bank, paid_on_date=at(day), reference=reference, **shared
        ),
        allocation=models.Allocation(allocated_on_date=at(day), **shared),
    )
