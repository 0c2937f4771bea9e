"""Figures as JSON, a file a day: the cases of a later run replace those of an earlier one."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.measure import Goal, Measure, Row, Sample
from benchmarks.runner import Figures, Outcome

RESULTS: Final = Path(__file__).parent / "results"


class StoredRow(Struct, kw_only=True, omit_defaults=True):
    """A row and the figures of each round of its sides."""

    case: str
    title: str
    note: str = ""
    point: tuple[str, int] | None = None
    measures: list[Measure]
    goals: list[Goal] = []
    load: float
    seconds: float
    sides: dict[str, list[Sample]]


class Stored(Struct, kw_only=True):
    """The rows of a day, and the machine that they were measured on."""

    day: date
    machine: dict[str, str]
    rows: list[StoredRow] = []

    def outcomes(self) -> list[Outcome]:
        """The rows as they were measured."""
        return [
            Outcome(
                Row(
                    case=row.case,
                    title=row.title,
                    sides={},
                    measures=tuple(row.measures),
                    goals=tuple(row.goals),
                    point=row.point,
                    note=row.note,
                ),
                {side: Figures(samples) for side, samples in row.sides.items()},
                row.seconds,
                row.load,
            )
            for row in self.rows
        ]


def path_of(day: date) -> Path:
    """The file of a day."""
    return RESULTS / f"{day.isoformat()}.json"


def known_seconds() -> dict[str, float]:
    """How long each row took when it was stored last, by its key."""
    found: dict[str, float] = {}
    for path in sorted(RESULTS.glob("*.json")):
        found |= {f"{row.case}/{row.title}": row.seconds for row in load(path).rows}
    return found


def load(path: Path) -> Stored:
    """Read a file."""
    return msgspec.json.decode(path.read_bytes(), type=Stored)


def add(outcomes: Iterable[Outcome], machine: dict[str, str], path: Path, order: Iterable[str]) -> Stored:
    """Store outcomes, in the order of their cases, in place of what the file has of the same cases."""
    added = [_stored(outcome) for outcome in outcomes]
    kept = load(path).rows if path.exists() else []
    rows = [row for row in kept if row.case not in {new.case for new in added}] + added
    places = {case: place for place, case in enumerate(order)}
    stored = Stored(
        day=date.fromisoformat(path.stem),
        machine=machine,
        rows=sorted(rows, key=lambda row: places.get(row.case, len(places))),
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(stored), indent=1) + b"\n")
    return stored


def _stored(outcome: Outcome) -> StoredRow:
    row = outcome.row
    return StoredRow(
        case=row.case,
        title=row.title,
        note=row.note,
        point=row.point,
        measures=list(row.measures),
        goals=list(row.goals),
        load=round(outcome.load, 1),
        seconds=round(outcome.seconds, 1),
        sides={
            side: [
                {name: float(f"{value:.5g}") for name, value in sample.items()} for sample in figures.samples
            ]
            for side, figures in outcome.figures.items()
        },
    )
