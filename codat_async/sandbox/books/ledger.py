"""The journal: an entry for every posted record, in the base currency, debits positive; and its sums."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from codat_async.models import AccountRef, ContactRef, DataType, JournalEntry, JournalLine, RecordReference
from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY, OPENING_DAY, at, plain, stamps
from codat_async.sandbox.books.lines import money
from codat_async.sandbox.books.profile import uuid_of

_ZERO: Final = Decimal(0)
UNPOSTED: Final = frozenset({"Draft", "Void"})
"""The statuses of documents that are not in the ledger."""


class Rule(Struct, frozen=True):
    """How records of one type are posted."""

    data_type: DataType
    journal: int
    role: str
    """The account against which lines or payments are posted; the bank for what is paid on the spot."""
    sign: int
    """1 if the record debits that account."""
    default: str = "bank"
    """Where lines without an account go, or payments that name no bank account."""


RULES: Final = {
    "invoices": Rule(DataType.INVOICES, 1, "receivable", 1, "sales"),
    "credit_notes": Rule(DataType.CREDIT_NOTES, 1, "receivable", -1, "sales"),
    "payments": Rule(DataType.PAYMENTS, 3, "receivable", -1),
    "bills": Rule(DataType.BILLS, 2, "payable", -1, "purchases"),
    "bill_credit_notes": Rule(DataType.BILL_CREDIT_NOTES, 2, "payable", 1, "purchases"),
    "bill_payments": Rule(DataType.BILL_PAYMENTS, 4, "payable", 1),
    "direct_costs": Rule(DataType.DIRECT_COSTS, 4, "bank", -1, "purchases"),
    "direct_incomes": Rule(DataType.DIRECT_INCOMES, 3, "bank", 1, "sales"),
    "transfers": Rule(DataType.TRANSFERS, 5, "bank", 1),
}
"""By the resource whose records make entries."""
_NUMBERS: Final = (
    "invoice_number",
    "credit_note_number",
    "bill_credit_note_number",
    "reference",
    "description",
)


def month_of(moment: datetime) -> int:
    """Months are counted from year 0, so that they can be added to."""
    return moment.year * 12 + moment.month - 1


def posted_at(entry: JournalEntry) -> datetime:
    """When an entry counts; without a date of its own, when it was written."""
    return plain(entry.posted_on or entry.created_on or entry.modified_date or at(LAST_DAY))


class Journal:
    """The journal entries of a company.

    Those of records are made from the records; the others are manual ones, which may be
    added and deleted from outside like any record. ``records`` gives the list of a resource.
    """

    def __init__(self, chart: Chart, records: Callable[[str], list[Any]]) -> None:
        self._chart = chart
        self._records = records
        self._id_base = f"{chart.profile.seed}/{chart.profile.index}/entry"
        self._made: dict[tuple[str, str], tuple[Any, datetime | None, JournalEntry | None]] = {}
        self.refs: dict[str, AccountRef] = {ref.id or "": ref for ref in chart.refs}
        """Every account that was ever posted to, by its id."""
        self.entries = self._manual()
        self.update()

    def update(self) -> bool:
        """Brings the entries in step with the records; whether any changed."""
        made: dict[tuple[str, str], tuple[Any, datetime | None, JournalEntry | None]] = {}
        changed = False
        for resource, rule in RULES.items():
            for record in self._records(resource):
                key = (resource, record.id)
                held = self._made.get(key)
                if held is None or held[0] is not record or held[1] != record.modified_date:
                    changed = True
                    held = (record, record.modified_date, self._entry_of(resource, rule, record))
                made[key] = held
        if not changed and len(made) == len(self._made):
            return False
        before = {id(entry) for _, _, entry in self._made.values()}
        manual = [entry for entry in self.entries if id(entry) not in before]
        self.entries[:] = [entry for _, _, entry in made.values() if entry is not None] + manual
        self.entries.sort(key=posted_at)
        self._made = made
        return True

    def _entry_of(self, resource: str, rule: Rule, record: Any) -> JournalEntry | None:
        if record.is_deleted or getattr(record, "status", None) in UNPOSTED:
            return None
        if resource == "transfers":
            amounts = self._transfer(record)
        elif hasattr(record, "line_items"):
            amounts = self._document(rule, record)
        else:
            amounts = self._payment(rule, record)
        if not amounts:
            return None
        number = next((value for name in _NUMBERS if (value := getattr(record, name, None))), record.id)
        words = resource.removesuffix("s").replace("_", " ").capitalize()
        return self._entry(
            uuid_of(f"{self._id_base}/{resource}/{record.id}"),
            rule.journal,
            getattr(record, "issue_date", None) or getattr(record, "date_", None) or record.modified_date,
            f"{words} {number}",
            amounts,
            contact=_contact(record),
            record_ref=RecordReference(id=record.id, data_type=rule.data_type),
            source_modified_date=record.source_modified_date or record.modified_date,
            modified_date=record.modified_date,
        )

    def _document(self, rule: Rule, record: Any) -> dict[str, Decimal]:
        """The total on one side; tax, and each line's account, on the other."""
        rate = self._rate(record)
        tax = (getattr(record, "total_tax_amount", None) or getattr(record, "tax_amount", None)) or _ZERO
        allocations = record.payment_allocations if rule.role == "bank" else None
        bank = allocations[0].payment.account_ref if allocations else None
        amounts = {self._account(bank, rule.role): record.total_amount * rate * rule.sign}

        def post(account: str, amount: Decimal) -> None:
            if amount:
                amounts[account] = amounts.get(account, _ZERO) - amount * rate * rule.sign

        explained = tax
        for line in record.line_items or ():
            amount = line.sub_total
            if amount is None:
                amount = (line.quantity or 1) * (line.unit_amount or _ZERO) - (line.discount_amount or _ZERO)
            post(self._account(line.account_ref, rule.default), amount)
            explained += amount
        # A record that was written from outside may have a total that its lines do not explain.
        post(self._account(None, rule.default), record.total_amount - explained)
        post(self._account(None, "tax"), tax)
        return amounts

    def _payment(self, rule: Rule, record: Any) -> dict[str, Decimal]:
        paid = paid_in(record) * self._rate(record) * rule.sign
        bank = self._account(record.account_ref, "bank")
        return {self._account(None, rule.role): paid, bank: -paid} if paid else {}

    def _transfer(self, record: Any) -> dict[str, Decimal]:
        sides = [side for side in (record.from_, record.to) if side is not None and side.amount]
        if len(sides) < 2:
            return {}
        moved = sides[0].amount * (self._chart.rate(sides[0].currency) or 1)
        source, target = (self._account(side.account_ref, "bank") for side in sides)
        return {target: moved, source: -moved} if source != target else {}

    def _rate(self, record: Any) -> Decimal:
        if record.currency in (None, self._chart.currency):
            return Decimal(1)
        rate: Decimal | None = record.currency_rate
        return rate or self._chart.rate(record.currency) or Decimal(1)

    def _account(self, ref: AccountRef | None, role: str) -> str:
        if ref is None or not ref.id:
            return self._chart.role(role).id or ""
        self.refs.setdefault(ref.id, ref)
        return ref.id

    def _entry(
        self,
        entry_id: str,
        journal: int,
        moment: datetime | None,
        description: str | None,
        amounts: Mapping[str, Decimal],
        *,
        contact: ContactRef | None = None,
        **fields: Any,
    ) -> JournalEntry:
        day = plain(moment or at(LAST_DAY))
        return JournalEntry(
            id=entry_id,
            journal_ref=self._chart.journal_refs[journal],
            description=description,
            posted_on=day,
            created_on=day,
            updated_on=fields.get("source_modified_date"),
            journal_lines=[
                JournalLine(
                    account_ref=self.refs[account],
                    net_amount=amount,
                    currency=self._chart.currency,
                    contact_ref=contact,
                    description=description,
                )
                for account, amount in amounts.items()
            ],
            **fields,
        )

    def _manual(self) -> list[JournalEntry]:
        """Opening balances, and what is written off month by month."""
        chart, profile = self._chart, self._chart.profile
        stream = profile.stream("journal_entries")
        plans = [(OPENING_DAY, "Opening balances", _opening(chart))]
        written_off = money(50_000 + int(stream.random() * 60_000))
        for day in range(30, LAST_DAY, 30):
            debit, credit = chart.role("depreciation").id or "", chart.role("depreciated").id or ""
            plans.append((day, "Depreciation", {debit: written_off, credit: -written_off}))
        entries: list[JournalEntry] = []
        for number, (day, description, amounts) in enumerate(plans):
            entry_id = uuid_of(f"{self._id_base}/manual/{number}")
            ref = RecordReference(id=entry_id, data_type=DataType.JOURNAL_ENTRIES)
            stamped = stamps(day, stream)
            entries.append(self._entry(entry_id, 0, at(day), description, amounts, record_ref=ref, **stamped))
        return entries


def _opening(chart: Chart) -> dict[str, Decimal]:
    stream = chart.profile.stream("opening")
    amounts: dict[str, Decimal] = {}
    for number, bank in enumerate(chart.roles("bank")):
        amount = money(3_000_000 + int(stream.random() * 6_000_000) // (number + 1))
        amounts[bank.id or ""] = amount * chart.foreign_rate if number == chart.foreign_bank else amount
    amounts[chart.role("equipment").id or ""] = money(4_800_000 + int(stream.random() * 4_000_000))
    amounts[chart.role("loan").id or ""] = money(-2_500_000)
    amounts[chart.role("capital").id or ""] = money(-100_000)
    amounts[chart.role("retained").id or ""] = -sum(amounts.values(), _ZERO)
    return amounts


def paid_in(payment: Any) -> Decimal:
    """What a payment moved, in its own currency."""
    if payment.total_amount is not None:
        return Decimal(payment.total_amount)
    return sum((line.amount for line in payment.lines or ()), _ZERO)


def _contact(record: Any) -> ContactRef | None:
    for name, data_type in (("customer_ref", DataType.CUSTOMERS), ("supplier_ref", DataType.SUPPLIERS)):
        ref = getattr(record, name, None)
        if ref is not None:
            return ContactRef(id=ref.id, data_type=data_type)
    contact: ContactRef | None = getattr(record, "contact_ref", None)
    return contact


class Balances:
    """Sums of the journal lines by account and month, and of the cash that came in and went out.

    Entries that are deleted, or do not balance, do not count. ``banks`` are the ids of the
    bank accounts.
    """

    def __init__(self, entries: Iterable[JournalEntry], banks: frozenset[str]) -> None:
        self.by_account: dict[str, dict[int, Decimal]] = {}
        """By account and month, debits less credits."""
        self.receipts: dict[str, dict[int, Decimal]] = {}
        """Cash that came in, by the account that it was booked against and month."""
        self.payments: dict[str, dict[int, Decimal]] = {}
        """Cash that went out, likewise; positive."""
        self.first = self.last = at(LAST_DAY)
        """When the earliest and the latest entry were posted."""
        for entry in entries:
            lines = entry.journal_lines or ()
            if not counts(entry):
                continue
            moment = posted_at(entry)
            # An entry dated ahead does not make the present later than it is.
            known = moment if entry.modified_date is None else min(moment, plain(entry.modified_date))
            self.first, self.last = min(self.first, moment), max(self.last, known)
            month = month_of(moment)
            moves_cash = any(account_of(line) in banks for line in lines)
            for line in lines:
                account = account_of(line)
                _add(self.by_account, account, month, line.net_amount)
                if moves_cash and account not in banks:
                    if line.net_amount < 0:
                        _add(self.receipts, account, month, -line.net_amount)
                    else:
                        _add(self.payments, account, month, line.net_amount)

    def balance(self, account_id: str) -> Decimal:
        """The balance of an account, debits positive."""
        return sum(self.by_account.get(account_id, {}).values(), _ZERO)


def counts(entry: JournalEntry) -> bool:
    """Whether an entry is part of the balances: not if it is deleted, nor if it does not balance."""
    return not entry.is_deleted and not sum(line.net_amount for line in entry.journal_lines or ())


def account_of(line: JournalLine) -> str:
    """The id of the account that a journal line changes; empty if it names none."""
    return (line.account_ref.id or "") if line.account_ref is not None else ""


def _add(sums: dict[str, dict[int, Decimal]], account: str, month: int, amount: Decimal) -> None:
    months = sums.setdefault(account, {})
    months[month] = months.get(month, _ZERO) + amount
