"""What is paid on the spot: direct costs, direct incomes, and transfers between own accounts."""

from decimal import Decimal
from random import Random

from codat_async.models import (
    AccountRef,
    Allocation,
    ContactRef,
    DataType,
    DirectCost,
    DirectCostLineItem,
    DirectIncome,
    DirectIncomeLineItem,
    Metadata,
    PaymentAllocation,
    PaymentAllocationPayment,
    Transfer,
    TransferAccount,
)
from codat_async.sandbox.books import names
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.goods import Good
from codat_async.sandbox.books.lines import Line, build, categories, count, money, price, total, tracking
from codat_async.sandbox.books.parties import Customers, Suppliers


def _line(description: str, cents: int, account: AccountRef, tax: int, chart: Chart, stream: Random) -> Line:
    good = Good(None, description, Decimal(cents).scaleb(-2), cents, 1, account, tax)
    trackings = len(chart.tracking_refs)
    category = int(stream.random() * trackings) if trackings and stream.random() < 0.25 else -1
    return price(good, 1, 0, tax, category, chart)


def _own_bank(chart: Chart, stream: Random) -> AccountRef:
    own = len(chart.banks) - (chart.foreign_bank is not None)
    return chart.roles("bank")[int(stream.random() * own) if stream.random() < 0.1 else 0]


def _paid(chart: Chart, bank: AccountRef, day: int, cents: int, reference: str) -> list[PaymentAllocation]:
    when = at(day)
    return [
        PaymentAllocation(
            payment=PaymentAllocationPayment(
                account_ref=bank,
                paid_on_date=when,
                reference=reference,
                currency=chart.currency,
                currency_rate=count(1),
                total_amount=money(cents),
            ),
            allocation=Allocation(
                allocated_on_date=when,
                currency=chart.currency,
                currency_rate=count(1),
                total_amount=money(cents),
            ),
        )
    ]


def direct_costs(chart: Chart, suppliers: Suppliers) -> list[DirectCost]:
    """Wages, bank charges, and what people buy with a card."""
    profile = chart.profile
    stream = profile.stream("direct_costs")
    record_id = profile.ids("direct_costs")
    amount = profile.sizes["direct_costs"]
    untaxed = len(profile.region.taxes) - 1
    costs: list[DirectCost] = []
    for number in range(amount):
        day = min(LAST_DAY, number * LAST_DAY // amount + int(stream.random() * 4))
        regular = None
        if number % 4 == 0:
            regular = ("Wages", 160_000 + int(stream.random() * 90_000), chart.role("wages"))
        elif number % 9 == 5:
            regular = ("Account fee", 800 + int(stream.random() * 3_000), chart.role("bank fees"))
        elif number % 25 == 7:
            regular = ("Loan interest", 4_000 + int(stream.random() * 9_000), chart.role("interest paid"))
        if regular is not None:
            lines = [_line(*regular, untaxed, chart, stream)]
        else:
            petty = chart.roles("petty")
            lines = [
                _line(
                    names.COST_NOTES[int(stream.random() * len(names.COST_NOTES))],
                    250 + int(stream.random() ** 2 * 18_000),
                    petty[int(stream.random() * len(petty))],
                    0,
                    chart,
                    stream,
                )
                for _ in range(1 + (stream.random() < 0.3))
            ]
        totals = total(lines)
        bank = _own_bank(chart, stream)
        reference = f"CARD-{number + 1:05}"
        contact = None
        if suppliers.terms and regular is None and stream.random() < 0.7:
            supplier = suppliers.terms[int(stream.random() * len(suppliers.terms))]
            contact = ContactRef(id=supplier.id, data_type=DataType.SUPPLIERS)
        source, modified = stamps(day, stream)
        costs.append(
            DirectCost(
                id=record_id(number),
                reference=reference,
                contact_ref=contact,
                issue_date=at(day),
                currency=chart.currency,
                currency_rate=count(1),
                line_items=[
                    build(
                        DirectCostLineItem,
                        line,
                        chart,
                        tracking=tracking(line, chart),
                        tracking_category_refs=categories(line, chart),
                    )
                    for line in lines
                ],
                sub_total=money(totals.sub_total),
                tax_amount=money(totals.tax),
                total_amount=money(totals.total),
                payment_allocations=_paid(chart, bank, day, totals.total, reference),
                note=lines[0].good.description if number % 5 == 3 else None,
                modified_date=modified,
                source_modified_date=source,
                metadata=Metadata(is_deleted=stream.random() < 0.02),
            )
        )
    return costs


def direct_incomes(chart: Chart, customers: Customers) -> list[DirectIncome]:
    """Takings over the counter, and interest from the bank."""
    profile = chart.profile
    stream = profile.stream("direct_incomes")
    record_id = profile.ids("direct_incomes")
    amount = profile.sizes["direct_incomes"]
    untaxed = len(profile.region.taxes) - 1
    incomes: list[DirectIncome] = []
    for number in range(amount):
        day = min(LAST_DAY, number * LAST_DAY // amount + int(stream.random() * 4))
        if number % 8 == 6:
            cents = 100 + int(stream.random() * 4_000)
            lines = [_line("Interest", cents, chart.role("interest received"), untaxed, chart, stream)]
        else:
            note = names.INCOME_NOTES[int(stream.random() * len(names.INCOME_NOTES))]
            cents = 5_000 + int(stream.random() * 90_000)
            lines = [_line(note, cents, chart.role("takings"), 0, chart, stream)]
        totals = total(lines)
        bank = _own_bank(chart, stream)
        reference = f"TILL-{number + 1:05}"
        contact = None
        if customers.terms and stream.random() < 0.3:
            customer = customers.terms[int(stream.random() * len(customers.terms))]
            contact = ContactRef(id=customer.id, data_type=DataType.CUSTOMERS)
        source, modified = stamps(day, stream)
        incomes.append(
            DirectIncome(
                id=record_id(number),
                reference=reference,
                contact_ref=contact,
                issue_date=at(day),
                currency=chart.currency,
                currency_rate=count(1),
                line_items=[
                    build(DirectIncomeLineItem, line, chart, tracking_category_refs=categories(line, chart))
                    for line in lines
                ],
                sub_total=money(totals.sub_total),
                tax_amount=money(totals.tax),
                total_amount=money(totals.total),
                payment_allocations=_paid(chart, bank, day, totals.total, reference),
                note=lines[0].good.description if number % 5 == 3 else None,
                modified_date=modified,
                source_modified_date=source,
                metadata=Metadata(is_deleted=stream.random() < 0.02),
            )
        )
    return incomes


def transfers(chart: Chart) -> list[Transfer]:
    """Money moved between the accounts in the company's own currency; none where there is only one."""
    profile = chart.profile
    stream = profile.stream("transfers")
    record_id = profile.ids("transfers")
    own = len(chart.banks) - (chart.foreign_bank is not None)
    banks = chart.roles("bank")
    amount = profile.sizes["transfers"] if own > 1 else 0
    moved: list[Transfer] = []
    for number in range(amount):
        day = min(LAST_DAY, number * LAST_DAY // amount + int(stream.random() * 6))
        there = 1 + int(stream.random() * (own - 1))
        # More is saved than is fetched back, or the savings would run dry.
        source_bank, target_bank = (banks[0], banks[there]) if number % 3 != 2 else (banks[there], banks[0])
        value = money(10_000 * (1 + int(stream.random() * 20)))
        source, modified = stamps(day, stream)
        moved.append(
            Transfer(
                id=record_id(number),
                date_=at(day),
                description=f"Transfer to {target_bank.name}",
                from_=TransferAccount(account_ref=source_bank, amount=value, currency=chart.currency),
                to=TransferAccount(account_ref=target_bank, amount=value, currency=chart.currency),
                modified_date=modified,
                source_modified_date=source,
                metadata=Metadata(is_deleted=stream.random() < 0.02),
            )
        )
    return moved
