"""The pictures of a page, as numbers and paths."""

import re
from datetime import UTC, datetime

import pytest
from night_tools import make_timeline

from codat_async.bulk import Point, Timeline
from codat_async.report.charts import Chart, _round_up, draw_strip, draw_timeline


def drawn(
    *points: Point, began: datetime = datetime(2026, 1, 2, 22, tzinfo=UTC), quota: int | None = None
) -> Chart:
    """The chart of a timeline with these points."""
    chart = draw_timeline(Timeline(began=began, points=list(points), quota=quota))
    assert chart is not None
    return chart


def test_rates_are_those_of_the_sums() -> None:
    """Sixty requests in the first of two equal halves, and none in the second, however points lie."""
    chart = drawn(
        Point(0, 0, 0, None, None),
        Point(2, 24, 12, None, None),
        Point(5, 60, 30, None, None),
        Point(10, 60, 30, None, None),
    )
    requests, rows = chart.panels
    assert (requests.top, requests.area) == (800, "M0 100V10H500V100H1000V100Z")
    assert requests.summary == "360 on average, 720 at most"
    assert (rows.top, rows.area) == (400, "M0 100V10H500V100H1000V100Z")
    assert requests.line == ""


def test_pace_and_quota_are_lines_of_steps() -> None:
    """A value holds until the next point; while it is unknown there is no line."""
    chart = drawn(
        Point(0, 0, 0, 100.0, 1000),
        Point(5, 1, 0, 50.0, None),
        Point(10, 2, 0, None, 900),
        Point(20, 3, 0, 50.0, 800),
        quota=1000,
    )
    assert chart.panels[0].line == "M0 0H250V50H500"
    assert chart.panels[2].line == "M0 0H250M500 10H1000"
    assert chart.panels[2].summary == "800 of 1,000 at the end"


def test_short_runs_have_no_chart() -> None:
    """With one point, or within a second, there is no rate."""
    assert draw_timeline(Timeline()) is None
    point = Point(0, 0, 0, None, None)
    assert draw_timeline(Timeline(points=[point])) is None
    assert draw_timeline(Timeline(points=[point, Point(0.5, 9, 9, None, None)])) is None


def test_pauses_are_bands() -> None:
    """A company's pause has a class of its own, a short one is wide enough to be seen, none sticks out."""
    timeline = Timeline(points=[Point(10, 0, 0, None, None), Point(110, 9, 9, None, None)])
    timeline.pause("rate_limited", 20, 10)
    timeline.pause("rate_limited", 40, 0.01, "c")
    timeline.pause("quota", 100, 900)
    timeline.pause("stopped", 0, 5)
    chart = draw_timeline(timeline)
    assert chart is not None
    assert [(each.kind, each.x, each.width) for each in chart.bands] == [
        ("rate_limited", 100, 100),
        ("company", 300, 2),
        ("quota", 900, 100),
    ]


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (12, ["21:59:50", "21:59:55", "22:00:00"]),
        (3600, ["22:00", "22:10", "22:20", "22:30"]),
        (6 * 3600, ["22:00", "23:00", "00:00"]),
        (5 * 86400, ["03 Jan", "04 Jan", "05 Jan", "06 Jan", "07 Jan"]),
    ],
)
def test_ticks_are_at_round_times(seconds: int, labels: list[str]) -> None:
    """At most seven of them, in UTC."""
    began = datetime(2026, 1, 2, 21, 59, 49, tzinfo=UTC)
    chart = drawn(Point(0, 0, 0, None, None), Point(seconds, 1, 1, None, None), began=began)
    assert [each.label for each in chart.ticks][: len(labels)] == labels
    assert len(chart.ticks) <= 7
    assert all(0 <= each.left <= 100 for each in chart.ticks)


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.2, 1), (1, 1), (1.1, 1.5), (101, 150), (999, 1000), (1000, 1000)]
)
def test_axes_end_at_round_numbers(value: float, top: float) -> None:
    """At the next one, and at 1 if there is nothing."""
    assert _round_up(value) == top


@pytest.mark.parametrize(
    ("top", "label"), [(1000, "1,000"), (1.5, "1.5"), (50_000, "50 k"), (4e6, "4 M"), (2e9, "2 G")]
)
def test_labels_are_short(top: float, label: str) -> None:
    """So that they fit beside a chart on a narrow screen."""
    requests = int(top * 10 / 60)
    assert len(label) <= 5
    panel = drawn(Point(0, 0, 0, top, None), Point(10, requests, 0, top, None)).panels[0]
    assert panel.top_label == label


def test_paths_have_numbers_only_and_are_bounded() -> None:
    """The longest night has no more bins than a chart can show."""
    chart = draw_timeline(make_timeline(14 * 3600))
    assert chart is not None
    for panel in chart.panels:
        assert re.fullmatch(r"[MVHZ0-9. ]*", panel.area + panel.line)
        assert panel.area.count("H") <= 160
        assert len(panel.line) < 20_000


def test_strips_have_a_height_for_each_trouble() -> None:
    """Neighbours of the same kind are one shape; they differ without their colours, too."""
    columns = {name: index for index, name in enumerate("abcdef")}
    troubles = {"a": "stale", "b": "failed", "c": "failed", "e": "open", "f": "damaged"}
    assert draw_strip(troubles, columns) == [
        ("failed", "M1 0h1.85V1h-1.85z"),
        ("damaged", "M5 0.2h0.85V1h-0.85z"),
        ("open", "M4 0.4h0.85V1h-0.85z"),
        ("stale", "M0 0.6h0.85V1h-0.85z"),
    ]
