"""The page of results and its plots, from stored figures."""

from datetime import date
from pathlib import Path

import pytest

pytest.importorskip("uvloop")
pytest.importorskip("matplotlib")

from benchmarks import page, store
from benchmarks.cases import fleet, growth
from benchmarks.measure import OURS, PER_SECOND, Measure, Row
from benchmarks.runner import Figures, Outcome


def outcomes() -> list[Outcome]:
    """Some nights, and three points of growth."""
    (nights,) = fleet.rows(short=False)
    figures = {measure.name: 7.0 for measure in nights.measures}
    found = [Outcome(nights, {OURS: Figures([figures])}, 60.0, 1.5)]
    for size in (1000, 10_000, 100_000):
        row = Row("growth", f"a pull of {size}", {}, growth.MEASURES, point=(growth.LISTS, size))
        sample = {measure.name: 5.0 for measure in growth.MEASURES}
        found.append(Outcome(row, {OURS: Figures([sample])}, 60.0, 2.5))
    return found


def workers() -> Outcome:
    """Two numbers of workers."""
    row = Row("machines", "workers", {}, (Measure(PER_SECOND, "/s"),))
    sides = {name: Figures([{PER_SECOND: rate}]) for name, rate in (("1 worker", 8.0), ("2 workers", 16.0))}
    return Outcome(row, sides, 60.0, 1.0)


def test_page_and_plots(tmp_path: Path) -> None:
    """It quotes the fleet, shows its steps, exponents and goals, and names only plots that are there."""
    path = tmp_path / f"{date(2026, 1, 2)}.json"
    stored = store.add(outcomes(), {"cores": "2"}, path, ["growth", "fleet"])
    text = page.write(stored, path.with_suffix(".md")).read_text()
    assert "\n> 10,000 companies × 10 types × 5 records: the first night sends 7 requests" in text
    assert "4 minutes in all. The load of the machine was 1.5 to 2.5" in text
    assert "| quiet night | 7.00 |" in text
    assert "| lists of a pull | 1,000 | 100,000 | ours | CPU in all | 1.00 | 0.95 to 1.05: reached |" in text
    assert "| lists of a pull | 1,000 | 100,000 | ours | peak memory | 0.00 |" in text
    assert "first night: CPU a list ≤ 0.7: missed, 7.00 (with the data status" in text
    assert "- **fleet**: A fleet of companies" in text
    assert "- not measured that day: imports, decode" in text
    drawn = {plot.name for plot in tmp_path.glob("*.svg")}
    assert drawn == {"growth.svg", "fleet.svg"} == {name for name in page.PLOTS if f"({name})" in text}


def test_same_figures_give_the_same_plots(tmp_path: Path) -> None:
    """So a commit of a page changes only what was measured again."""
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        page.plots.draw_all([*outcomes(), workers()], folder)
    for plot in ("growth.svg", "fleet.svg", "machines.svg"):
        assert (tmp_path / "one" / plot).read_bytes() == (tmp_path / "two" / plot).read_bytes()
