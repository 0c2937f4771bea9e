"""What one side of the books holds, in cents, before it is written out: documents, credit notes, payments."""

from collections.abc import Sequence
from random import Random
from typing import Final

from msgspec import Struct

from codat_async.sandbox.books.chart import Chart
from codat_async.sandbox.books.dates import LAST_DAY
from codat_async.sandbox.books.goods import Good
from codat_async.sandbox.books.lines import Line, Totals, draw, part_of, total
from codat_async.sandbox.books.parties import Terms

DRAFT: Final = "Draft"
POSTED: Final = "Posted"
VOID: Final = "Void"


class Document(Struct):
    """An invoice, bill, credit note or order."""

    number: int
    party: int
    day: int
    due: int
    state: str
    is_deleted: bool
    lines: list[Line]
    totals: Totals
    left: int
    """What is still to be paid, or of a credit note to be used."""
    origin: "Document | None" = None
    """What a credit note credits, or the document that was made from an order."""


class PlannedPayment(Struct):
    """A payment of a document, or on account; one that uses a credit note moves no money."""

    number: int
    party: int
    day: int
    cents: int
    bank: int
    method: int
    document: Document | None
    credit: Document | None


def _state(stream: Random, draft: float, void: float, deleted: float) -> tuple[str, bool]:
    lot = stream.random()
    state = DRAFT if lot < draft else VOID if lot < draft + void else POSTED
    return state, state is not POSTED and stream.random() < deleted


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
    random = stream.random
    documents: list[Document] = []
    for number in range(amount if terms else 0):
        party = int(random() ** 1.5 * len(terms))
        day = min(LAST_DAY, max(0, number * LAST_DAY // amount + int(random() * 5) - 2))
        lines = draw(goods, chart, stream, discounted=discounted)
        totals = total(lines)
        due = day + terms[party].days
        state = _state(stream, 0.03, 0.03, 0.4)
        documents.append(Document(number, party, day, due, *state, lines, totals, totals.total))
    return documents


def plan_credits(amount: int, documents: Sequence[Document], chart: Chart, stream: Random) -> list[Document]:
    """Credit notes for some of the documents."""
    credits: list[Document] = []
    for number in range(amount if documents else 0):
        origin = documents[number * len(documents) // amount]
        lines = part_of(origin.lines, chart, stream)
        totals = total(lines)
        day = min(LAST_DAY, origin.day + int(stream.random() * 25))
        state = _state(stream, 0.04, 0.04, 0.4)
        credits.append(Document(number, origin.party, day, day, *state, lines, totals, totals.total, origin))
    return credits


def plan_orders(
    amount: int,
    documents: Sequence[Document],
    terms: Sequence[Terms],
    goods: Sequence[Good],
    chart: Chart,
    stream: Random,
) -> list[Document]:
    """Orders: most have become one of the documents, the others still wait for one."""
    taken: set[int] = set()
    orders: list[Document] = []
    for number in range(amount if terms else 0):
        origin = None
        if documents and stream.random() < 0.65:
            origin = documents[number * len(documents) // amount]
        if origin is not None and origin.state is POSTED and origin.number not in taken:
            taken.add(origin.number)
            day = max(0, origin.day - 2 - int(stream.random() * 20))
            order = Document(
                number, origin.party, day, day, POSTED, False, origin.lines, origin.totals, 0, origin
            )
        else:
            party, day = int(stream.random() * len(terms)), int(stream.random() * (LAST_DAY + 1))
            lines = draw(goods, chart, stream, discounted=False)
            state = _state(stream, 0.1, 0.07, 0.3)
            order = Document(number, party, day, day, *state, lines, total(lines), 0)
        orders.append(order)
    return orders


def plan_payments(
    amount: int,
    documents: Sequence[Document],
    credits: Sequence[Document],
    terms: Sequence[Terms],
    chart: Chart,
    stream: Random,
) -> list[PlannedPayment]:
    """Payments for the documents in their order; one that finds nothing to pay is a payment on account."""
    random = stream.random
    unused = {note.origin.number: note for note in credits if note.origin and note.state is POSTED}
    payments: list[PlannedPayment] = []
    for number in range(amount if terms else 0):
        party, day, cents = (
            int(random() * len(terms)),
            int(random() * LAST_DAY),
            1_000 + int(random() * 50_000),
        )
        document = documents[number * len(documents) // amount] if documents else None
        credit = None
        if document is not None:
            due = max(document.due + int(random() * 40) - 10, document.day)
            if document.state is not POSTED or not document.left or due > LAST_DAY:
                document = None
            else:
                party, day = document.party, due
                cents = document.left // 2 or 1 if random() < 0.12 else document.left
                if document.number in unused and random() < 0.8:
                    credit = unused.pop(document.number)
                    day, cents = max(credit.day, document.day), min(cents, credit.left)
                document.left -= cents
        bank, method = _bank(party, terms, chart, stream), int(random() ** 2 * len(chart.method_refs))
        payments.append(PlannedPayment(number, party, day, cents, bank, method, document, credit))
    return payments


def _bank(party: int, terms: Sequence[Terms], chart: Chart, stream: Random) -> int:
    foreign = chart.foreign_bank
    if terms[party].is_foreign and foreign is not None:
        return foreign
    own = len(chart.banks) - (foreign is not None)
    return int(stream.random() * own) if stream.random() < 0.1 else 0
