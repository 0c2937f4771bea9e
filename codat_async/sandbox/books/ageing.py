"""Who owes what since when: open invoices and bills by age, less the payments set against them."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from codat_async.models import AgedCurrencyOutstanding, AgedOutstandingAmount, AgedOutstandingAmountDetail
from codat_async.sandbox.books.postings import is_reasonable, paid_in

_ZERO: Final = Decimal(0)
_UNPOSTED: Final = frozenset({"Draft", "Void"})

Outstanding = dict[tuple[str, str], list[tuple[date, str, Decimal]]]
"""By party and currency: when it fell due, what kind of record it is, and the amount still open."""


def outstanding(
    documents: Iterable[Any],
    notes: Iterable[Any],
    payments: Iterable[Any],
    on: date,
    *,
    party: str,
    link_type: str,
    names: tuple[str, str, str],
    base: str,
) -> Outstanding:
    """What was open at the end of a day.

    :param party: the attribute that refers to the customer or supplier.
    :param link_type: what a payment's link calls the documents.
    :param names: of documents, notes and payments, for the details of the report.
    """
    settled, used, advance = _allocations(payments, on, link_type)
    found: Outstanding = {}

    def add(record: Any, due: date, name: str, amount: Decimal) -> None:
        if amount:
            ref = getattr(record, party)
            key = (ref.id if ref is not None else "", record.currency or base)
            found.setdefault(key, []).append((due, name, amount))

    for record in documents:
        if record.status in _UNPOSTED or record.is_deleted or not is_reasonable(record.total_amount):
            continue
        if record.issue_date.date() <= on:
            due = record.due_date or record.issue_date
            add(record, due.date(), names[0], record.total_amount + settled.get(record.id, _ZERO))
    for record in notes:
        if record.status in _UNPOSTED or record.is_deleted or not is_reasonable(record.total_amount):
            continue
        if record.issue_date is not None and record.issue_date.date() <= on:
            left = record.total_amount - used.get(record.id, _ZERO)
            add(record, record.issue_date.date(), names[1], -left)
    for record, amount in advance:
        add(record, record.date_.date(), names[2], -amount)
    return found


def _allocations(
    payments: Iterable[Any], on: date, link_type: str
) -> tuple[dict[str, Decimal], dict[str, Decimal], list[tuple[Any, Decimal]]]:
    """By document, by what payments changed it; by note, what was used; and what was paid in advance."""
    settled: dict[str, Decimal] = {}
    used: dict[str, Decimal] = {}
    advance: list[tuple[Any, Decimal]] = []
    for payment in payments:
        if payment.date_.date() > on or payment.is_deleted:
            continue
        free = paid_in(payment)
        if not is_reasonable(free):
            continue
        for line in payment.lines or ():
            for link in line.links or ():
                amount = link.amount
                if amount is None or link.id is None or not is_reasonable(amount):
                    continue
                if link.type == link_type:
                    settled[link.id] = settled.get(link.id, _ZERO) + amount
                    free += amount
                elif link.type == "CreditNote":
                    used[link.id] = used.get(link.id, _ZERO) + amount
                    free += amount
        advance.append((payment, free))
    return settled, used, advance


def by_age(
    amounts: Mapping[str, list[tuple[date, str, Decimal]]], on: date, periods: int, days: int
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
        aged.append(
            AgedCurrencyOutstanding(
                currency=currency,
                aged_outstanding_amounts=[
                    AgedOutstandingAmount(
                        from_date=_midnight(first),
                        to_date=_midnight(until),
                        amount=sum(detail.values(), _ZERO),
                        details=[
                            AgedOutstandingAmountDetail(name=name, amount=amount)
                            for name, amount in detail.items()
                        ],
                    )
                    for (first, until), detail in zip(bounds, details, strict=True)
                ],
            )
        )
    return aged


def by_party(
    found: Outstanding,
) -> list[tuple[str, dict[str, list[tuple[date, str, Decimal]]]]]:
    """What was open, by party and then by currency."""
    parties: dict[str, dict[str, list[tuple[date, str, Decimal]]]] = {}
    for (party, currency), items in found.items():
        parties.setdefault(party, {})[currency] = items
    return sorted(parties.items())


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, datetime.min.time())
