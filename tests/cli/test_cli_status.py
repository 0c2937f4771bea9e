"""``codat-async status``: after a pull, without its report, and while one is running."""

import json
import os
from pathlib import Path

import pytest
from cli_runner import NO_COMPANY, command, error_line

from codat_async.bulk.store.directory import Directory
from codat_async.sandbox import Address


def test_status_prints_the_report_of_the_last_pull(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also what only the report holds: companies that were not found, and how long the pull took."""
    companies = f"{sandbox.company_ids[0]},{NO_COMPANY}"
    assert command("pull", "--into", tmp_path, "--types", "bills", "--companies", companies) == 3
    printed = capsys.readouterr().out
    assert f"no_company: there is no company {NO_COMPANY}" in printed
    assert printed.splitlines()[-1].endswith("no list left; see above for what is missing")
    assert command("status", tmp_path) == 3
    assert capsys.readouterr().out == printed
    assert command("status", tmp_path, "--json") == 3
    report = json.loads((tmp_path / "report.json").read_text())
    del report["units"]
    assert json.loads(capsys.readouterr().out) == report
    assert report["seconds"] > 0


def test_status_without_a_usable_report(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the report is of another run, damaged or missing, what only it holds is left out."""
    assert command("pull", "--into", tmp_path, "--types", "bills") == 0
    report = tmp_path / "report.json"
    for text in (report.read_bytes().replace(b'"run": "2', b'"run": "1'), b"{", None):
        report.write_bytes(text) if text else report.unlink()
        capsys.readouterr()
        assert command("status", tmp_path) == 0
        assert "40 records, in " in capsys.readouterr().out
        assert command("status", tmp_path, "--json") == 0
        assert json.loads(capsys.readouterr().out)["seconds"] is None


def test_status_while_a_pull_is_running(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the process that holds the directory's lock, and the status is 3."""
    assert command("pull", "--into", tmp_path, "--types", "bills") == 0
    with Directory(tmp_path):
        capsys.readouterr()
        assert command("status", tmp_path) == 3
        assert f"a pull is running (process {os.getpid()}): full run" in capsys.readouterr().out
        assert command("status", tmp_path, "--json") == 3
        assert json.loads(capsys.readouterr().out)["process"] == os.getpid()
        assert command("pull", "--into", tmp_path, "--types", "bills") == 2
    for left in (str(os.getpid()), "nobody", "999999999"):
        (tmp_path / "pull.lock").write_text(left)
        assert command("status", tmp_path) == 0


def test_status_without_a_pull(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing and an empty directory are bad input."""
    for directory in (tmp_path / "missing", tmp_path):
        assert command("status", directory) == 2
        assert str(directory) in error_line(capsys)
