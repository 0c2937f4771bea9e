"""Sets payments against the documents that they link to: open amounts and statuses follow."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from codat_async.models import Allocation, PaymentAllocation, PaymentAllocationPayment
from codat_async.sandbox.books.dates import plain
from codat_async.sandbox.books.trade import Side

_ZERO: Final = Decimal(0)

Key = tuple[bool, str]
"""Whether it is a credit note, and the record's id."""


def links_of(side: Side, payment: Any) -> Sequence[tuple[Key, Decimal]]:
    """What a payment settles, and by how much."""
    found = []
    for line in payment.lines or ():
        for link in line.links or ():
            if link.id is None or link.amount is None:
                continue
            if link.type == side.link_type:
                found.append(((False, link.id), -link.amount))
            elif link.type == "CreditNote":
                found.append(((True, link.id), link.amount))
    return found


class Settlement:
    """The payments of one side and what they were set against so far."""

    def __init__(self, side: Side, records: dict[str, list[Any]]) -> None:
        self.side = side
        self._records = records
        self._applied: dict[Key, list[tuple[str, Decimal]]] = {}

    def apply(self) -> set[str]:
        """Brings documents and credit notes in step with the payments; returns the resources that changed."""
        shares: dict[Key, list[tuple[Any, Decimal]]] = {}
        changed_on: dict[Key, datetime] = {}
        for payment in self._records[self.side.payments]:
            for key, amount in links_of(self.side, payment):
                if not payment.is_deleted:
                    shares.setdefault(key, []).append((payment, amount))
                if payment.modified_date is not None:
                    changed_on[key] = max(
                        payment.modified_date, changed_on.get(key, payment.modified_date), key=plain
                    )
        applied = {key: [(payment.id, amount) for payment, amount in of] for key, of in shares.items()}
        changed = {
            key for key in applied.keys() | self._applied if applied.get(key) != self._applied.get(key)
        }
        self._applied = applied
        resources = set()
        for is_note, resource in ((False, self.side.documents), (True, self.side.notes)):
            for record in self._records[resource] if changed else ():
                key = (is_note, record.id)
                if key in changed:
                    self._update(record, shares.get(key, []), changed_on.get(key), is_note=is_note)
                    resources.add(resource)
        return resources

    def _update(
        self, record: Any, shares: list[tuple[Any, Decimal]], moment: datetime | None, *, is_note: bool
    ) -> None:
        left = record.total_amount - sum((amount for _, amount in shares), _ZERO)
        last = max((payment.date_ for payment, _ in shares), key=plain, default=None)
        status = "Paid" if left <= 0 else "PartiallyPaid" if shares else self.side.unpaid
        record.status = type(record.status)("Submitted" if is_note and status == "Open" else status)
        record.payment_allocations = [_allocation(payment, amount) for payment, amount in shares]
        if is_note:
            record.remaining_credit = left
            record.allocated_on_date = last
        else:
            record.amount_due = left
        if hasattr(record, "paid_on_date"):
            record.paid_on_date = last if left <= 0 else None
        if moment is not None:
            record.modified_date = max(record.modified_date or moment, moment, key=plain)


def _allocation(payment: Any, amount: Decimal) -> PaymentAllocation:
    money = {"currency": payment.currency, "currency_rate": payment.currency_rate}
    return PaymentAllocation(
        payment=PaymentAllocationPayment(
            id=payment.id,
            account_ref=payment.account_ref,
            paid_on_date=payment.date_,
            reference=payment.reference,
            total_amount=payment.total_amount,
            **money,
        ),
        allocation=Allocation(allocated_on_date=payment.date_, total_amount=amount, **money),
    )
