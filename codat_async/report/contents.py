"""What the page shows, as the template reads it."""

from msgspec import Struct

from codat_async.bulk import Counts, Timeline, TypeInventory, UnitFailure
from codat_async.bulk.store.roster import Absent
from codat_async.report.charts import Chart

__all__ = ["Figure", "Group", "Page", "PauseRow", "Row", "Strip", "TypeRow"]


class Figure(Struct, frozen=True):
    """A sum over all data types."""

    name: str
    """That of the field in ``report.json``."""
    title: str
    value: int | float | None
    """As in ``report.json``; None if it is not known."""
    text: str


class TypeRow(Struct, frozen=True, kw_only=True):
    """A data type: what the directory has of it, and what the run did."""

    name: str
    held: TypeInventory
    counts: Counts
    others: list[tuple[str, int]]
    """Those of :attr:`Page.other_counts`."""
    oldest: str
    newest: str


class Group(Struct, frozen=True):
    """Failures of one kind."""

    kind: str
    count: int
    types: list[tuple[str, int]]
    advice: str
    examples: list[UnitFailure]


class Row(Struct, frozen=True):
    """A company with a strip."""

    name: str
    company: str
    strip: int | None
    """The index in :attr:`Page.strips`; None if the row has letters."""
    letters: str
    summary: str


class Strip(Struct, frozen=True):
    """A picture that companies with the same troubles share."""

    title: str
    paths: list[tuple[str, str]]


class PauseRow(Struct, frozen=True):
    """A pause, in words."""

    at: str
    time: str
    whose: str
    kind: str


class Page(Struct, kw_only=True):
    """Everything on the page."""

    outcome: str
    """``done``, ``partial``, ``failed`` or ``running``."""
    sentence: str
    next_step: str
    directory: str
    made: str
    run: str
    mode: str
    began: str
    ended: str
    figures: list[Figure]
    notes: list[str]
    failures: list[Group]
    damaged: list[str]
    more_damaged: int
    absent: list[tuple[Absent, str | None]]
    """With the link, if it is one that a browser may open."""
    more_absent: int
    gate: str
    """How far the freshness gate could be trusted; empty if it was not used."""
    other_counts: list[tuple[str, str]]
    """Names and titles of the counts without a place of their own that are not all 0."""
    types: list[TypeRow]
    total: TypeRow
    chart: Chart | None
    timeline: Timeline | None
    pause_sums: list[str]
    pauses: list[PauseRow]
    stale_after: str
    strips: list[Strip]
    strip_width: int
    troubled: int
    rows: list[Row]
