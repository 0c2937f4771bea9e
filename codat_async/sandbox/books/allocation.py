"""Sets payments that were written or deleted from outside against the documents that they are linked to."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from codat_async.models import (
    Allocation,
    PaymentAllocation,
    PaymentAllocationPayment,
)
from codat_async.sandbox.books.dates import plain
from codat_async.sandbox.books.postings import is_reasonable, paid_in

_ZERO: Final = Decimal(0)


class Allocations:
    """One side of the books: payments on the one hand, documents and credit notes on the other."""

    def __init__(
        self, payments: Sequence[Any], documents: Sequence[Any], notes: Sequence[Any], link_type: str
    ) -> None:
        self._payments = payments
        self._documents = documents
        self._notes = notes
        self._link_type = link_type
        self._applied = self._state()

    def _state(self) -> dict[str, bool]:
        return {payment.id: payment.is_deleted for payment in self._payments}

    def apply(self) -> bool:
        """Allocate new payments and take back those that are gone; whether there were any."""
        state = self._state()
        if state == self._applied:
            return False
        before = {key for key, is_deleted in self._applied.items() if not is_deleted}
        after = {key for key, is_deleted in state.items() if not is_deleted}
        self._applied = state
        self._take_back(before - after)
        new = after - before
        for payment in self._payments:
            if payment.id in new:
                self._allocate(payment)
        return True

    def _allocate(self, payment: Any) -> None:
        if not is_reasonable(paid_in(payment)):
            return
        for line in payment.lines or ():
            for link in line.links or ():
                if link.id is None or not link.amount or not is_reasonable(link.amount):
                    continue
                if link.type == self._link_type:
                    self._settle(_find(self._documents, link.id), payment, -link.amount)
                elif link.type == "CreditNote":
                    self._settle(_find(self._notes, link.id), payment, link.amount)

    def _settle(self, record: Any, payment: Any, amount: Decimal) -> None:
        if record is None:
            return
        allocation = PaymentAllocation(
            payment=PaymentAllocationPayment(
                id=payment.id,
                account_ref=payment.account_ref,
                paid_on_date=payment.date_,
                reference=payment.reference,
                note=payment.note,
                currency=payment.currency,
                currency_rate=payment.currency_rate,
                total_amount=payment.total_amount,
            ),
            allocation=Allocation(
                allocated_on_date=payment.date_,
                currency=payment.currency,
                currency_rate=payment.currency_rate,
                total_amount=amount,
            ),
        )
        record.payment_allocations = [*(record.payment_allocations or ()), allocation]
        _update(record, amount, payment.date_, payment.modified_date)

    def _take_back(self, payment_ids: set[str]) -> None:
        if not payment_ids:
            return
        for record in (*self._documents, *self._notes):
            allocations: list[PaymentAllocation] = record.payment_allocations or []
            kept = [each for each in allocations if each.payment.id not in payment_ids]
            if len(kept) < len(allocations):
                record.payment_allocations = kept
                before = sum((each.allocation.total_amount or _ZERO for each in allocations), _ZERO)
                now = sum((each.allocation.total_amount or _ZERO for each in kept), _ZERO)
                dates = (each.modified_date for each in self._payments if each.modified_date is not None)
                _update(record, now - before, None, max(dates, key=plain, default=None))


def _find(records: Iterable[Any], record_id: str) -> Any:
    return next((record for record in records if record.id == record_id), None)


def _update(record: Any, settled: Decimal, day: datetime | None, modified: datetime | None) -> None:
    """Lower what is open by an amount, and let the status say so."""
    is_note = hasattr(record, "remaining_credit")
    left = (record.remaining_credit if is_note else record.amount_due) or _ZERO
    if not is_reasonable(left):
        return
    left -= settled
    statuses = type(record.status)
    if left <= 0:
        record.status = statuses.PAID
    elif record.payment_allocations:
        record.status = statuses.PARTIALLY_PAID
    else:
        record.status = getattr(statuses, "OPEN", None) or statuses.SUBMITTED
    if is_note:
        record.remaining_credit = left
        record.allocated_on_date = day or record.allocated_on_date
    else:
        record.amount_due = left
    if hasattr(record, "paid_on_date"):
        record.paid_on_date = day if left <= 0 else None
    if modified is not None:
        record.modified_date = max(modified, record.modified_date or modified, key=plain)
