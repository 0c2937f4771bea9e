"""``codat-async check``: its report and exit status."""

import json

import pytest
from cli_runner import command, error_line

from codat_async.sandbox import Address


def test_all_holds(sandbox: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0 and a report that ends with the count."""
    assert command("check") == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("12 of 12 assumptions hold")
    assert not [each for each in sandbox.company_ids if each in printed]


def test_json(sandbox: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """The company can be named, and the report is one JSON object."""
    assert command("check", "--company", sandbox.company_ids[1], "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["lines"]) == 12
    assert report["requests"] <= 50


def test_difference(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 3 if a line does not hold."""
    arguments = ("--sandbox", "--sandbox-companies", 1, "--sandbox-faults", "html;only=bills")
    assert command("check", *arguments) == 3
    assert "lists and reports: DIFFERS" in capsys.readouterr().out


def test_unknown_company(sandbox: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and the status of bad input."""
    assert command("check", "--company", "nobody") == 2
    assert "there is no company nobody" in error_line(capsys)
