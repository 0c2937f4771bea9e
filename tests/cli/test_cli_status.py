"""``codat-async status``: after a pull, without its report, and while one is running."""

import json
import os
from pathlib import Path

import pytest
from cli_runner import NO_COMPANY, command, error_line

from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.sealed import sealed_files
from codat_async.sandbox import Address


def test_status_has_the_companies_that_were_not_found(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They have no lists, so they are kept with the run."""
    companies = f"{sandbox.company_ids[0]},{NO_COMPANY}"
    assert command("pull", "--into", tmp_path, "--types", "bills", "--companies", companies) == 3
    printed = capsys.readouterr().out
    assert f"no_company: there is no company {NO_COMPANY}" in printed
    assert printed.splitlines()[-2].endswith("no list left; see above for what is missing")
    assert command("status", tmp_path) == 3
    assert f"no_company: there is no company {NO_COMPANY}" in capsys.readouterr().out
    assert command("status", tmp_path, "--json") == 3
    found = json.loads(capsys.readouterr().out)
    report = json.loads((tmp_path / "report.json").read_text())
    assert found["failures"] == report["failures"]
    assert found["seconds"] == report["seconds"] > 0


def test_status_needs_no_report(sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is made from the checkpoint."""
    assert command("pull", "--into", tmp_path, "--types", "bills") == 0
    (tmp_path / "report.json").unlink()
    capsys.readouterr()
    assert command("status", tmp_path) == 0
    assert "40 records, no list left, in " in capsys.readouterr().out


def test_status_lists_units_and_verifies_files(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--units`` has a line for each list, ``--verify`` finds a flipped bit, and the next pull heals it."""
    arguments = ("pull", "--into", tmp_path, "--types", "bills,customers")
    assert command(*arguments) == 0
    capsys.readouterr()
    assert command("status", tmp_path, "--units", "--json") == 0
    units = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted((each["company"], each["type"], each["state"]) for each in units) == sorted(
        (company, kind, "done") for company in sandbox.company_ids for kind in ("bills", "customers")
    )
    assert command("status", tmp_path, "--units") == 0
    assert f"{sandbox.company_ids[0]}/bills  done  20 records" in capsys.readouterr().out
    (file,) = sealed_files(tmp_path, ["bills"])
    data = file.path.read_bytes()
    file.path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    assert command("status", tmp_path) == 0
    capsys.readouterr()
    assert command("status", tmp_path, "--verify") == 3
    assert f"{file.path} is damaged: its content is not what was written (CRC)" in capsys.readouterr().out
    assert command("status", tmp_path) == 3
    assert "2 lists damaged: the next pull reads them whole" in capsys.readouterr().out
    assert command(*arguments) == 0
    assert command("status", tmp_path, "--verify") == 0
    assert "80 records" in capsys.readouterr().out


def test_status_finds_a_file_of_another_size(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named in one line, and the next pull reads its lists again and says so."""
    arguments = ("pull", "--into", tmp_path, "--types", "bills")
    assert command(*arguments) == 0
    (file,) = sealed_files(tmp_path, ["bills"])
    file.path.write_bytes(file.path.read_bytes()[:100])
    capsys.readouterr()
    assert command("status", tmp_path) == 3
    assert f"{file.path} is damaged: it has 100 bytes instead of" in capsys.readouterr().out
    assert command(*arguments) == 0
    assert f"damaged, read again: {file.path}" in capsys.readouterr().out
    assert command("status", tmp_path, "--verify") == 0


def test_forget_removes_a_company(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status has one company less, says that it was forgotten, and an unknown one is bad input."""
    assert command("pull", "--into", tmp_path, "--types", "bills") == 0
    assert command("forget", tmp_path, NO_COMPANY) == 2
    assert f"has no company {NO_COMPANY}" in error_line(capsys)
    assert command("forget", tmp_path, sandbox.company_ids[0]) == 0
    assert "forgotten: 1 company; rewritten or removed: 3 raw files," in capsys.readouterr().out
    assert command("status", tmp_path) == 0
    out = capsys.readouterr().out
    assert "1 company forgotten: a pull reads them only if it names them" in out
    assert "1 company, 20 records" in out


def test_status_while_a_pull_is_running(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the process that holds the directory's lock, and the status is 3."""
    assert command("pull", "--into", tmp_path, "--types", "bills") == 0
    with Directory(tmp_path):
        capsys.readouterr()
        assert command("status", tmp_path) == 3
        assert f"a pull is running (process {os.getpid()}): run " in capsys.readouterr().out
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
