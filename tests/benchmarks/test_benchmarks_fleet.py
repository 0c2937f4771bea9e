"""The nights of a small fleet: requests and sizes that do not depend on the machine."""

import pytest

pytest.importorskip("uvloop")
pytest.importorskip("codat_accounting", reason="the published SDK is one of the sides")

from benchmarks.fleet import fleet
from benchmarks.fleet_server import KEYS, changes

COMPANIES = 20


def test_nights_of_a_small_fleet() -> None:
    """A quiet night asks one data status a company; a night with changes reads only the changed lists."""
    by_company = [[kind for kind in KEYS.values() if changes(kind, n, 5)] for n in range(COMPANIES)]
    changed_lists = sum(map(len, by_company))
    changed_companies = sum(map(bool, by_company))
    with fleet(COMPANIES, 3, changed=5) as running:
        first, quiet, changed = running.night(1), running.night(1), running.night(2)
        assert (first["units"], first["records"]) == (200, 600)
        # The data status of a company is asked before its lists are read, and after.
        assert first["requests"] == COMPANIES + 200 + COMPANIES
        assert (quiet["records"], quiet["requests"]) == (0, COMPANIES)
        assert 0 < changed_lists == changed["records"]
        assert changed["requests"] == COMPANIES + changed_lists + changed_companies
        assert changed["files"] < 60


def test_steps_beside_the_nights() -> None:
    """Conversion, status and plan run, and nights that are only written grow the checkpoint by little."""
    with fleet(3, 3) as running:
        checkpoint = running.night(1)["checkpoint MB"]
        running.convert("parquet")
        running.convert("duckdb")
        for step in (running.status, running.plan):
            assert step()["peak MB"] > 0
        running.remove_converted()
        assert not (running.root / "parquet").exists()
        assert checkpoint < running.skip(5)["checkpoint MB"] < checkpoint + 0.1
