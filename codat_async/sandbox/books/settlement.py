"""Who has paid what: documents, credit notes and payments, planned in cents for either side of the books."""

from collections.abc import Sequence
from random import Random
from typing import Final

from msgspec import Struct, field

from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY
from codat_async.sandbox.books.goods import Good
from codat_async.sandbox.books.lines import Line, Totals, draw, part_of, total
from codat_async.sandbox.books.parties import Terms

DRAFT: Final = "Draft"
POSTED: Final = "Posted"
VOID: Final = "Void"


class Document(Struct):
    """An invoice or a bill before it is written out. Amounts are in cents."""

    number: int
    party: int
    day: int
    due: int
    state: str
    lines: list[Line]
    totals: Totals
    left: int
    shares: "list[Share]" = field(default_factory=list)
    is_deleted: bool = False


class Credit(Struct):
    """A credit note before it is written out."""

    number: int
    party: int
    day: int
    state: str
    lines: list[Line]
    totals: Totals
    left: int
    document: Document
    shares: "list[Share]" = field(default_factory=list)
    is_deleted: bool = False


class Share(Struct):
    """The part of a payment that settles one document, or uses up one credit note."""

    payment: "Settlement"
    amount: int


class Settlement(Struct):
    """A payment before it is written out; one that only sets credit against a document moves no money."""

    number: int
    party: int
    day: int
    total: int
    bank: int
    method: int
    documents: list[tuple[Document, int]]
    credit: Credit | None = None


def plan_documents(
    amount: int,
    terms: Sequence[Terms],
    goods: Sequence[Good],
    chart: Chart,
    stream: Random,
    *,
    discounted: bool,
) -> list[Document]:
    """Documents spread over the years, in the order of their dates."""
    if not terms:
        return []
    random = stream.random
    documents: list[Document] = []
    for number in range(amount):
        party = int(random() ** 1.5 * len(terms))
        day = min(LAST_DAY, max(0, number * LAST_DAY // amount + int(random() * 5) - 2))
        lines = draw(goods, chart, stream, discounted=discounted)
        totals = total(lines)
        lot = random()
        state = DRAFT if lot < 0.03 else VOID if lot < 0.06 else POSTED
        documents.append(
            Document(number, party, day, day + terms[party].days, state, lines, totals, totals.total)
        )
        if state is not POSTED:
            documents[-1].is_deleted = random() < 0.4
    return documents


def plan_credits(amount: int, documents: Sequence[Document], chart: Chart, stream: Random) -> list[Credit]:
    """Credit notes for some of the documents."""
    if not documents:
        return []
    credits: list[Credit] = []
    for number in range(amount):
        document = documents[number * len(documents) // amount]
        lines = part_of(document.lines, chart, stream)
        totals = total(lines)
        day = min(LAST_DAY, document.day + int(stream.random() * 25))
        lot = stream.random()
        state = DRAFT if lot < 0.04 else VOID if lot < 0.08 else POSTED
        credit = Credit(number, document.party, day, state, lines, totals, totals.total, document)
        credit.is_deleted = state is not POSTED and stream.random() < 0.4
        credits.append(credit)
    return credits


class Settler:
    """Settles documents in their order until the payments run out."""

    def __init__(
        self, terms: Sequence[Terms], chart: Chart, stream: Random, *, limit: int, exact: bool
    ) -> None:
        self.payments: list[Settlement] = []
        self._terms = terms
        self._chart = chart
        self._stream = stream
        self._limit = limit
        self._exact = exact
        self._waiting: dict[int, tuple[Document, int]] = {}

    def settle(self, documents: Sequence[Document], credits: Sequence[Credit]) -> list[Settlement]:
        """Plan every payment; exactly as many as the limit where that was asked for."""
        by_document: dict[int, list[Credit]] = {}
        for credit in credits:
            by_document.setdefault(credit.document.number, []).append(credit)
        for document in documents:
            if len(self.payments) >= self._limit:
                break
            if document.state is POSTED:
                for credit in by_document.get(document.number, ()):
                    self._use(credit, document)
                if len(self.payments) < self._limit:
                    self._pay(document, len(documents) - document.number)
        for party, (document, day) in self._waiting.items():
            if len(self.payments) < self._limit:
                self._record(party, day, [(document, document.left)])
        if self._exact and self._terms:
            while len(self.payments) < self._limit:
                self._pay_on_account()
        return self.payments

    def _use(self, credit: Credit, document: Document) -> None:
        amount = min(credit.left, document.left)
        if credit.state is not POSTED or amount <= 0 or self._stream.random() < 0.2:
            return
        if len(self.payments) >= self._limit:
            return
        if amount > 1 and self._stream.random() < 0.2:
            amount //= 2
        self._record(document.party, max(credit.day, document.day), [(document, amount)], credit)

    def _pay(self, document: Document, remaining: int) -> None:
        random = self._stream.random
        day = document.due + int(random() * 40) - 10
        lot = random()
        if document.left <= 0 or lot < 0.05 or day > LAST_DAY:
            return
        day = max(day, document.day)
        instalments = 2 if lot < 0.15 else 1
        if self._exact:
            # Short of payments for the documents that are left, so each has to take more of them.
            missing = self._limit - len(self.payments)
            instalments = max(instalments, min(6, -(-missing * 115 // (remaining * 100))))
        is_partial = lot > 0.94
        waiting = self._waiting.get(document.party)
        if instalments == 1 and not is_partial:
            if waiting is not None:
                del self._waiting[document.party]
                other, other_day = waiting
                self._record(
                    document.party, max(day, other_day), [(other, other.left), (document, document.left)]
                )
            elif lot > 0.84:
                self._waiting[document.party] = (document, day)
            else:
                self._record(document.party, day, [(document, document.left)])
            return
        payable = document.left // 2 if is_partial else document.left
        for instalment in range(instalments):
            if day > LAST_DAY or len(self.payments) >= self._limit or payable <= 0:
                break
            amount = payable if instalment == instalments - 1 else payable // (instalments - instalment)
            if amount > 0:
                self._record(document.party, day, [(document, amount)])
                payable -= amount
            day += 5 + int(random() * 20)

    def _record(
        self, party: int, day: int, documents: list[tuple[Document, int]], credit: Credit | None = None
    ) -> None:
        paid = 0 if credit else sum(amount for _, amount in documents)
        payment = Settlement(
            len(self.payments), party, day, paid, self._bank(party), self._method(), documents, credit
        )
        for document, amount in documents:
            document.left -= amount
            document.shares.append(Share(payment, amount))
            if credit is not None:
                credit.left -= amount
                credit.shares.append(Share(payment, amount))
        self.payments.append(payment)

    def _pay_on_account(self) -> None:
        random = self._stream.random
        party, day = int(random() * len(self._terms)), int(random() * LAST_DAY)
        cents = 1_000 + int(random() * 50_000)
        self.payments.append(
            Settlement(len(self.payments), party, day, cents, self._bank(party), self._method(), [])
        )

    def _bank(self, party: int) -> int:
        foreign = self._chart.foreign_bank
        if self._terms[party].is_foreign and foreign is not None:
            return foreign
        own = len(self._chart.banks) - (foreign is not None)
        return int(self._stream.random() * own) if self._stream.random() < 0.1 else 0

    def _method(self) -> int:
        return int(self._stream.random() ** 2 * len(self._chart.method_refs))
