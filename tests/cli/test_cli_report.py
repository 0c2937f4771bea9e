"""``codat-async report`` and ``pull --html``: when the page is written, and what goes wrong."""

import stat
import sys
from pathlib import Path

import pytest
from cli_runner import NO_COMPANY, command, error_line

from codat_async.sandbox import Address

BILLS = ("--types", "bills")


def test_report_writes_the_page(sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into the directory, or into a file; it is printed where it is."""
    assert command("pull", "--into", tmp_path / "books", *BILLS) == 0
    capsys.readouterr()
    assert command("report", tmp_path / "books") == 0
    assert capsys.readouterr().out == f"written: {tmp_path / 'books' / 'report.html'}\n"
    page = (tmp_path / "books" / "report.html").read_text()
    assert "All done: 40 records of 2 companies were read" in page
    assert "None: every list was read, or known to be unchanged, within 36 hours" in page
    assert (
        command("report", tmp_path / "books", "--html", tmp_path / "night.html", "--stale-after", "0s") == 0
    )
    assert stat.S_IMODE((tmp_path / "night.html").stat().st_mode) == 0o600
    assert command("status", tmp_path / "books") == 0


def test_report_with_bad_input(sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and the status is 2."""
    assert command("report", tmp_path / "missing") == 2
    assert str(tmp_path / "missing") in error_line(capsys)
    assert command("pull", "--into", tmp_path / "books", *BILLS) == 0
    capsys.readouterr()
    assert command("report", tmp_path / "books", "--stale-after", "soon") == 2
    assert "'soon' is not a time span" in error_line(capsys)
    assert command("report", tmp_path / "books", "--stale-after", "99999d") == 0
    capsys.readouterr()
    assert command("report", tmp_path / "books", "--html", tmp_path) == 2
    assert f"cannot write {tmp_path}" in error_line(capsys)


def test_pull_writes_the_page_at_its_end(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a complete pull and of one that is partly done; the exit status stays that of the pull."""
    html = tmp_path / "night.html"
    assert command("pull", "--into", tmp_path / "books", *BILLS, "--html", html) == 0
    assert "All done" in html.read_text()
    companies = f"{sandbox.company_ids[0]},{NO_COMPANY}"
    arguments = ("pull", "--into", tmp_path / "books", *BILLS, "--companies", companies)
    assert command(*arguments, "--html", html) == 3
    assert "Partly done" in html.read_text()
    assert "no_company" in html.read_text()
    html.unlink()
    assert command(*arguments, "--html", html, "--dry-run") == 3
    assert not html.exists()


def test_failed_and_interrupted_pulls_write_the_page(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night that fails needs the page most; the error stays what it is."""
    html = tmp_path / "night.html"
    arguments = ("pull", "--into", tmp_path / "books", *BILLS, "--html", html)

    async def failing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("codat_async.bulk.extract.worker.Worker._read", failing)
        assert command(*arguments) == 4
    assert "Failed: nothing of 2 companies was pulled" in html.read_text()
    html.unlink()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("codat_async.cli.output.format_report", interrupt)
        assert command(*arguments) == 130
    assert "All done" in html.read_text()


def test_page_that_cannot_be_written(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is known before the pull if the folder or the extra is missing; later it does not undo the pull."""
    books = tmp_path / "books"
    for html in (tmp_path / "none" / "night.html", tmp_path):
        assert command("pull", "--into", books, *BILLS, "--html", html) == 2
        assert f"cannot write {html}" in error_line(capsys)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "jinja2", None)
        assert command("pull", "--into", books, *BILLS, "--html", tmp_path / "night.html") == 2
        assert "pip install 'codat-async[report]'" in error_line(capsys)
    assert not books.exists()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("codat_async.report.write_private", full)
    assert command("pull", "--into", books, *BILLS, "--html", tmp_path / "night.html") == 2
    assert error_line(capsys).endswith("No space left on device; the pull itself is not affected")
    assert command("status", books) == 0


def test_pull_that_does_not_start_writes_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own error is the only one."""
    assert command("pull", "--into", tmp_path / "books", "--html", tmp_path / "night.html") == 2
    assert "CODAT_API_KEY" in error_line(capsys)
    assert not (tmp_path / "night.html").exists()


def test_metrics_option(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It records into the global meter provider, and names its extra if that is missing."""
    assert command("pull", "--into", tmp_path / "books", *BILLS, "--metrics") == 0
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert command("pull", "--into", tmp_path / "books", *BILLS, "--metrics") == 2
    assert "pip install 'codat-async[otel]'" in error_line(capsys)
