"""Who owes what since when: open invoices and bills by age, less the payments set against them."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from codat_async.models import AgedCurrencyOutstanding, AgedOutstandingAmount, AgedOutstandingAmountDetail
from codat_async.sandbox.books.ledger import RULES, UNPOSTED, paid_in
from codat_async.sandbox.books.settlement import Key, links_of
from codat_async.sandbox.books.trade import Side

_ZERO: Final = Decimal(0)

Open = tuple[date, str, Decimal]
"""When it fell due, what kind of record it is, and the amount still open."""


def outstanding(
    side: Side, records: Mapping[str, list[Any]], on: date, base: str
) -> list[tuple[str, dict[str, list[Open]]]]:
    """What was open at the end of a day, by party and currency. ``base`` is the company's currency."""
    settled: dict[Key, Decimal] = {}
    found: dict[str, dict[str, list[Open]]] = {}

    def add(record: Any, due: datetime, resource: str, amount: Decimal) -> None:
        if amount:
            ref = getattr(record, side.party)
            currencies = found.setdefault(ref.id if ref is not None else "", {})
            of_currency = currencies.setdefault(record.currency or base, [])
            of_currency.append((due.date(), str(RULES[resource].data_type), amount))

    for payment in records[side.payments]:
        if payment.date_.date() <= on and not payment.is_deleted:
            # A part of a payment that settles nothing was paid in advance.
            free = paid_in(payment)
            for key, amount in links_of(side, payment):
                settled[key] = settled.get(key, _ZERO) + amount
                free += amount if key[0] else -amount
            add(payment, payment.date_, side.payments, -free)
    for is_note, resource in ((False, side.documents), (True, side.notes)):
        for record in _posted(records[resource], on):
            left = record.total_amount - settled.get((is_note, record.id), _ZERO)
            due = record.issue_date if is_note else record.due_date or record.issue_date
            add(record, due, resource, -left if is_note else left)
    return sorted(found.items())


def _posted(records: list[Any], on: date) -> Iterator[Any]:
    for record in records:
        issued = record.issue_date
        if record.status not in UNPOSTED and not record.is_deleted and issued and issued.date() <= on:
            yield record


def by_age(
    amounts: Mapping[str, list[Open]], on: date, periods: int, days: int
) -> list[AgedCurrencyOutstanding]:
    """What one party owes, by currency: not yet due, then by periods back in time, then all that is older."""
    bounds: list[tuple[date | None, date | None]] = [(on, None)]
    last = on
    for _ in range(periods):
        first = last - timedelta(days=days)
        bounds.append((first, last - timedelta(days=1)))
        last = first
    bounds.append((None, last - timedelta(days=1)))
    aged: list[AgedCurrencyOutstanding] = []
    for currency, items in sorted(amounts.items()):
        details: list[dict[str, Decimal]] = [{} for _ in bounds]
        for due, name, amount in items:
            late = (on - due).days
            number = 0 if late <= 0 else min(periods + 1, (late - 1) // days + 1)
            details[number][name] = details[number].get(name, _ZERO) + amount
        outstanding_amounts = [
            AgedOutstandingAmount(
                from_date=_midnight(first),
                to_date=_midnight(until),
                amount=sum(detail.values(), _ZERO),
                details=[
                    AgedOutstandingAmountDetail(name=name, amount=amount) for name, amount in detail.items()
                ],
            )
            for (first, until), detail in zip(bounds, details, strict=True)
        ]
        aged.append(AgedCurrencyOutstanding(currency=currency, aged_outstanding_amounts=outstanding_amounts))
    return aged


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, datetime.min.time())
