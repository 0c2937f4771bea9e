"""The ledger: a journal entry for every posted document, kept in step with it, and the balances."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from codat_async.models import (
    AccountRef,
    DataType,
    JournalEntry,
    JournalLine,
    Metadata,
    RecordReference,
)
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, OPENING_DAY, at, plain, stamps
from codat_async.sandbox.books.lines import money
from codat_async.sandbox.books.postings import Poster, Posting, is_reasonable
from codat_async.sandbox.books.profile import uuid_of

_ZERO: Final = Decimal(0)
_DATA_TYPES: Final = {
    "invoices": DataType.INVOICES,
    "credit_notes": DataType.CREDIT_NOTES,
    "payments": DataType.PAYMENTS,
    "bills": DataType.BILLS,
    "bill_credit_notes": DataType.BILL_CREDIT_NOTES,
    "bill_payments": DataType.BILL_PAYMENTS,
    "direct_costs": DataType.DIRECT_COSTS,
    "direct_incomes": DataType.DIRECT_INCOMES,
    "transfers": DataType.TRANSFERS,
}


def fingerprint(records: Iterable[Any]) -> list[datetime | None]:
    """What differs once records were added, taken away, or changed: a change moves the modified date."""
    return [record.modified_date for record in records]


def month_of(moment: datetime) -> int:
    """Months are counted from year 0, so that they can be added to."""
    return moment.year * 12 + moment.month - 1


def posted_at(entry: JournalEntry) -> datetime:
    """When an entry counts; one that does not say counts from when it was written."""
    return plain(entry.posted_on or entry.created_on or entry.modified_date or at(LAST_DAY))


def is_posted(entry: JournalEntry) -> bool:
    """Whether an entry counts: not when it is deleted, nor when it does not balance."""
    if entry.is_deleted:
        return False
    amounts = [line.net_amount for line in entry.journal_lines or ()]
    return all(is_reasonable(amount) for amount in amounts) and not sum(amounts)


class _Posted(Struct):
    record: Any
    modified: datetime | None
    entry: JournalEntry | None


class Ledger:
    """The journal entries of a company.

    Those of documents follow the documents; the others are manual ones, which may be added
    and deleted from outside like any record.
    """

    def __init__(self, chart: Chart, records: Callable[[str], list[Any]]) -> None:
        self._chart = chart
        self._records = records
        self._poster = Poster(chart)
        self._id_base = f"{chart.profile.seed}/{chart.profile.index}/entry"
        self._seen: dict[str, list[datetime | None]] = {}
        self._posted: dict[str, dict[str, _Posted]] = {}
        made: list[JournalEntry] = []
        for resource in self._poster.resources:
            posted = self._posted[resource] = {}
            documents = records(resource)
            self._seen[resource] = fingerprint(documents)
            for record in documents:
                kept = self._enter(resource, record)
                posted[kept.record.id] = kept
                if kept.entry is not None:
                    made.append(kept.entry)
        made += self._manual(len(made))
        made.sort(key=posted_at)
        self.entries = made
        self._balances: Balances | None = None
        self._balanced: object = None

    @property
    def refs(self) -> dict[str, AccountRef]:
        """Every account that was ever posted to, by its id."""
        return self._poster.refs

    def refresh(self) -> bool:
        """Bring the entries in step with the documents; whether any document had changed."""
        changed = False
        for resource in self._poster.resources:
            documents = self._records(resource)
            seen = fingerprint(documents)
            if seen != self._seen[resource]:
                self._seen[resource] = seen
                self._repost(resource, documents)
                changed = True
        return changed

    def balances(self, banks: Sequence[str]) -> "Balances":
        """What the entries add up to, as they stand now."""
        state = (fingerprint(self.entries), tuple(banks))
        if self._balances is None or state != self._balanced:
            self._balances = Balances(self.entries, frozenset(banks))
            self._balanced = state
        return self._balances

    def _repost(self, resource: str, documents: list[Any]) -> None:
        before = self._posted[resource]
        after = self._posted[resource] = {}
        gone: set[int] = set()
        for record in documents:
            record_id: str = record.id or ""
            old = before.pop(record_id, None)
            if old is not None and old.record is record and old.modified == record.modified_date:
                after[record_id] = old
                continue
            new = self._enter(resource, record)
            if old is not None and old.entry is not None:
                if new.entry is None:
                    gone.add(id(old.entry))
                else:
                    _overwrite(old.entry, new.entry)
                    new.entry = old.entry
            elif new.entry is not None:
                self.entries.append(new.entry)
            after[record_id] = new
        gone.update(id(old.entry) for old in before.values() if old.entry is not None)
        if gone:
            self.entries[:] = [entry for entry in self.entries if id(entry) not in gone]

    def _enter(self, resource: str, record: Any) -> _Posted:
        posting = self._poster.post(resource, record)
        entry = None
        if posting is not None:
            entry = self._entry(
                posting,
                uuid_of(f"{self._id_base}/{resource}/{record.id}"),
                RecordReference(id=record.id, data_type=_DATA_TYPES[resource]),
                record.source_modified_date or record.modified_date,
                record.modified_date,
            )
        return _Posted(record, record.modified_date, entry)

    def _entry(
        self,
        posting: Posting,
        entry_id: str,
        record_ref: RecordReference,
        source: datetime | None,
        modified: datetime | None,
    ) -> JournalEntry:
        refs, currency = self._poster.refs, self._chart.currency
        date = plain(posting.date or modified or at(LAST_DAY))
        return JournalEntry(
            id=entry_id,
            journal_ref=self._chart.journal_refs[posting.journal],
            description=posting.description,
            posted_on=date,
            created_on=date,
            updated_on=source,
            record_ref=record_ref,
            journal_lines=[
                JournalLine(
                    account_ref=refs[account],
                    net_amount=amount,
                    currency=currency,
                    contact_ref=posting.contact,
                    description=posting.description,
                )
                for account, amount in posting.amounts.items()
            ],
            modified_date=modified,
            source_modified_date=source,
            metadata=Metadata(is_deleted=False),
        )

    def _manual(self, posted: int) -> list[JournalEntry]:
        """Opening balances, and what is written off and accrued month by month."""
        chart, profile = self._chart, self._chart.profile
        stream = profile.stream("journal_entries")
        wanted = profile.sizes["journal_entries"]
        if profile.sizes.is_overridden("journal_entries"):
            wanted -= posted
        plans = [(OPENING_DAY, "Opening balances", _opening(chart))]
        written_off = money(50_000 + int(stream.random() * 60_000))
        for number in range(wanted - 1):
            day = min(LAST_DAY, 30 + (number * 30) % (LAST_DAY - 30))
            if number % 3 != 2:
                pair = (chart.role("depreciation"), chart.role("depreciated"))
                plans.append((day, "Depreciation", _move(pair, written_off)))
                continue
            pair = (chart.role("overhead"), chart.role("accruals"))
            amount = money(20_000 + number // 6 % 12 * 1_000)
            if number % 6 == 5:
                plans.append((day, "Accrual reversed", _move(pair, -amount)))
            else:
                plans.append((day, "Accrual of costs not billed yet", _move(pair, amount)))
        entries: list[JournalEntry] = []
        for number, (day, description, amounts) in enumerate(plans):
            entry_id = uuid_of(f"{self._id_base}/manual/{number}")
            reference = RecordReference(id=entry_id, data_type=DataType.JOURNAL_ENTRIES)
            posting = Posting(0, at(day), description, None, amounts)
            entries.append(self._entry(posting, entry_id, reference, *stamps(day, stream)))
        return entries


def _overwrite(entry: JournalEntry, new: JournalEntry) -> None:
    for name in JournalEntry.__struct_fields__:
        setattr(entry, name, getattr(new, name))


def _move(pair: tuple[AccountRef, AccountRef], amount: Decimal) -> dict[str, Decimal]:
    debit, credit = pair
    return {debit.id or "": amount, credit.id or "": -amount}


def _opening(chart: Chart) -> dict[str, Decimal]:
    stream = chart.profile.stream("opening")
    amounts: dict[str, Decimal] = {}
    for number, bank in enumerate(chart.roles("bank")):
        amount = money(1_500_000 + int(stream.random() * 6_000_000) // (number + 1))
        amounts[bank.id or ""] = amount * chart.foreign_rate if number == chart.foreign_bank else amount
    amounts[chart.role("equipment").id or ""] = money(4_800_000 + int(stream.random() * 4_000_000))
    amounts[chart.role("loan").id or ""] = money(-2_500_000)
    amounts[chart.role("capital").id or ""] = money(-100_000)
    amounts[chart.role("retained").id or ""] = -sum(amounts.values(), _ZERO)
    return amounts


class Balances:
    """Sums of the journal lines by account and month, and of the cash that came in and went out."""

    def __init__(self, entries: Iterable[JournalEntry], banks: frozenset[str]) -> None:
        self.by_account: dict[str, dict[int, Decimal]] = {}
        """By account and month, debits less credits."""
        self.receipts: dict[str, dict[int, Decimal]] = {}
        """Cash that came in, by month and the account that it was booked against."""
        self.payments: dict[str, dict[int, Decimal]] = {}
        """Cash that went out, likewise; positive."""
        self.last: datetime | None = None
        """When the latest entry was posted."""
        self.first: datetime | None = None
        for entry in entries:
            if not is_posted(entry):
                continue
            posted_on = posted_at(entry)
            # An entry dated ahead does not make the present later than it is.
            known = posted_on if entry.modified_date is None else min(posted_on, plain(entry.modified_date))
            if self.last is None or known > self.last:
                self.last = known
            if self.first is None or posted_on < self.first:
                self.first = posted_on
            month = month_of(posted_on)
            moves_cash = False
            for line in entry.journal_lines or ():
                account = (line.account_ref.id or "") if line.account_ref is not None else ""
                moves_cash = moves_cash or account in banks
                _add(self.by_account, account, month, line.net_amount)
            if moves_cash:
                self._count_cash(entry.journal_lines or (), month, banks)

    def _count_cash(self, lines: Iterable[JournalLine], month: int, banks: frozenset[str]) -> None:
        for line in lines:
            account = (line.account_ref.id or "") if line.account_ref is not None else ""
            if account not in banks:
                if line.net_amount < 0:
                    _add(self.receipts, account, month, -line.net_amount)
                else:
                    _add(self.payments, account, month, line.net_amount)

    def balance(self, account_id: str) -> Decimal:
        """The balance of an account, debits positive."""
        return sum(self.by_account.get(account_id, {}).values(), _ZERO)


def _add(sums: dict[str, dict[int, Decimal]], account: str, month: int, amount: Decimal) -> None:
    months = sums.get(account)
    if months is None:
        months = sums[account] = {}
    months[month] = months.get(month, _ZERO) + amount
