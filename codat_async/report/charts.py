"""Pictures as SVG paths: the pace of a run over time, and the data types of a company as a strip.

A chart is 1000 wide and 100 high whatever the page's width, and has no text in it: labels are HTML,
placed in percent, so they keep their size on a narrow screen and on paper.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from msgspec import Struct

from codat_async.bulk import Pause, Point, Timeline

__all__ = ["WIDTH", "Band", "Chart", "Panel", "Tick", "draw_strip", "draw_timeline"]

WIDTH: Final = 1000
_HEIGHT: Final = 100
_BINS: Final = 160
_LEAST_BIN: Final = 5.0
"""Seconds; over less, a rate is noise."""
_TICKS: Final = 6
_STEPS: Final = (
    1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
)  # fmt: skip
_HEIGHTS: Final = {"failed": 1.0, "damaged": 0.8, "open": 0.6, "stale": 0.4}
"""Of a cell of a strip, so that it can be read without its colour."""


class Tick(Struct, frozen=True):
    """A label of the time axis."""

    label: str
    left: float
    """In percent."""


class Band(Struct, frozen=True):
    """A pause in a chart."""

    kind: str
    x: float
    width: float


class Panel(Struct, frozen=True, kw_only=True):
    """One quantity over time."""

    title: str
    top: float
    """The value at the upper edge; the lower one is 0."""
    summary: str
    area: str = ""
    line: str = ""

    @property
    def top_label(self) -> str:
        """The value at the upper edge, in a few characters."""
        for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if self.top >= 10_000 and self.top >= size:
                return f"{self.top / size:g} {sign}"
        return f"{self.top:,g}"


class Chart(Struct, frozen=True):
    """Panels that share their time axis."""

    panels: list[Panel]
    bands: list[Band]
    ticks: list[Tick]


def draw_timeline(timeline: Timeline) -> Chart | None:
    """Draw a run's requests and records a minute and its quota; None if it was too short for that."""
    points = timeline.points
    if len(points) < 2 or points[-1].at - points[0].at < 1.0:
        return None
    start, end = points[0].at, points[-1].at
    scale = WIDTH / (end - start)
    requests = _rates([(each.at, each.requests) for each in points])
    rows = _rates([(each.at, each.rows) for each in points])
    paces = [each.per_minute for each in points if each.per_minute is not None]
    top = _round_up(max([*requests, *paces]))
    panels = [
        Panel(
            title="Requests a minute",
            top=top,
            summary=_summary(points[-1].requests - points[0].requests, end - start, requests),
            area=_steps(requests, top),
            line=_line([(each.at - start, each.per_minute) for each in points], scale, top),
        ),
        Panel(
            title="Records a minute",
            top=_round_up(max(rows)),
            summary=_summary(points[-1].rows - points[0].rows, end - start, rows),
            area=_steps(rows, _round_up(max(rows))),
        ),
    ]
    if (quota := _quota(timeline, points, start, scale)) is not None:
        panels.append(quota)
    return Chart(panels, _bands(timeline.pauses, start, end), _ticks(timeline.began, start, end))


def _quota(timeline: Timeline, points: Sequence[Point], start: float, scale: float) -> Panel | None:
    left = [each.quota_left for each in points if each.quota_left is not None]
    if not left:
        return None
    top = _round_up(max(timeline.quota or 0, *left))
    of = f" of {timeline.quota:,}" if timeline.quota else ""
    return Panel(
        title="Requests left of the day's quota",
        top=top,
        summary=f"{left[-1]:,}{of} at the end",
        line=_line([(each.at - start, each.quota_left) for each in points], scale, top),
    )


def _summary(total: int, seconds: float, rates: Sequence[float]) -> str:
    return f"{total / seconds * 60:,.0f} on average, {max(rates):,.0f} at most"


def _rates(sums: Sequence[tuple[float, int]]) -> list[float]:
    """The growth a minute of a sum, in intervals of equal length."""
    start, end = sums[0][0], sums[-1][0]
    count = max(1, min(_BINS, int((end - start) / _LEAST_BIN)))
    edges = [start + (end - start) * index / count for index in range(count + 1)]
    values = list(_interpolate(sums, edges))
    return [(after - before) * 60 * count / (end - start) for before, after in pairwise(values)]


def _interpolate(sums: Sequence[tuple[float, int]], moments: Sequence[float]) -> Iterable[float]:
    index = 0
    for moment in moments:
        while index < len(sums) - 2 and sums[index + 1][0] < moment:
            index += 1
        (then, before), (later, after) = sums[index], sums[index + 1]
        share = (moment - then) / (later - then) if later > then else 1.0
        yield before + (after - before) * min(1.0, max(0.0, share))


def _steps(values: Sequence[float], top: float) -> str:
    width = WIDTH / len(values)
    steps = "".join(f"V{_y(value, top)}H{_short((index + 1) * width)}" for index, value in enumerate(values))
    return f"M0 {_HEIGHT}{steps}V{_HEIGHT}Z"


def _line(values: Sequence[tuple[float, float | None]], scale: float, top: float) -> str:
    """Steps that begin at their moment; a missing value leaves a gap."""
    parts: list[str] = []
    for (at, value), (until, _) in pairwise(values):
        if value is None:
            parts.append("")
            continue
        y = _y(value, top)
        joined = parts and parts[-1]
        parts.append((f"V{y}" if joined else f"M{_short(at * scale)} {y}") + f"H{_short(until * scale)}")
    return "".join(parts)


def _y(value: float, top: float) -> str:
    return _short(_HEIGHT * (1 - min(value, top) / top))


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten; at least 1."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if value <= step * power)


def _bands(pauses: Iterable[Pause], start: float, end: float) -> list[Band]:
    scale = WIDTH / (end - start)
    bands = []
    for each in pauses:
        left, right = max(start, each.at), min(end, each.until)
        if left <= right:
            kind = "company" if each.company else each.kind
            # Narrower than a pixel it would not be seen.
            bands.append(
                Band(kind, round((left - start) * scale, 1), round(max(2, (right - left) * scale), 1))
            )
    return bands


def _ticks(began: datetime, start: float, end: float) -> list[Tick]:
    step = next((each for each in _STEPS if (end - start) / each <= _TICKS), _STEPS[-1])
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86400 else "%d %b"
    first = began + timedelta(seconds=start)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    at = -((first - midnight).total_seconds() % -step)
    ticks = []
    while at <= end - start:
        ticks.append(Tick(f"{first + timedelta(seconds=at):{form}}", round(100 * at / (end - start), 2)))
        at += step
    return ticks


def draw_strip(troubles: Mapping[str, str], columns: Mapping[str, int]) -> list[tuple[str, str]]:
    """Draw a company's troubles by data type as cells, one wide and at most one high: kinds and paths."""
    paths = []
    for kind, height in _HEIGHTS.items():
        cells = sorted(columns[name] for name, trouble in troubles.items() if trouble == kind)
        path = ""
        while cells:
            length = 1
            while length < len(cells) and cells[length] == cells[0] + length:
                length += 1
            width = length - 0.15
            path += f"M{cells[0]} {1 - height:g}h{width:g}V1h-{width:g}z"
            cells = cells[length:]
        if path:
            paths.append((kind, path))
    return paths
