"""Help texts, the live table, and output that cannot be written."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runner import command, command_in_process
from rich.console import Console

from codat_async.bulk import Counts, Progress
from codat_async.cli import progress
from codat_async.cli.output import print_text
from codat_async.sandbox import Address


@pytest.mark.parametrize(
    ("name", "statuses", "interrupted"),
    [
        (
            "pull",
            ["0", "1", "2", "3", "4", "130"],
            "interrupted; run the same command again to continue where it stopped",
        ),
        ("plan", ["0", "1", "2", "3", "4", "130"], "interrupted; nothing was written"),
        ("status", ["0", "1", "2", "3", "4", "130"], "interrupted"),
        (
            "forget",
            ["0", "1", "2", "130"],
            "interrupted; run the same command again to continue where it stopped",
        ),
        ("convert", ["0", "1", "2", "130"], "interrupted; run the same command again to convert the rest"),
    ],
)
def test_help_lists_the_exit_statuses(
    capsys: pytest.CaptureFixture[str], name: str, statuses: list[str], interrupted: str
) -> None:
    """A script that runs the command can be written from its help."""
    assert command(name, "--help") == 0
    lines = capsys.readouterr().out.partition("Exit status:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == statuses
    assert lines[-1].split(maxsplit=1)[1] == interrupted


OBEYED = "\x1b[2J\x07\x00\x9b1m\x7f\u202e\udce9\r"


@pytest.mark.parametrize("text", [f"a{OBEYED}\nb", json.dumps({"name": OBEYED}, ensure_ascii=False)])
def test_what_a_terminal_obeys_is_escaped(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Names and messages of others cannot rewrite the screen, and JSON stays the same JSON."""
    assert print_text(text)
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    if text.startswith("{"):
        assert json.loads(printed) == json.loads(text)
    else:
        assert printed == "a\\u001b[2J\\u0007\\u0000\\u009b1m\\u007f\\u202e\\udce9\\r\nb\n"


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (100, ["data type", "lists", "records", "records/s", "requests", "retries", "waited"]),
        (60, ["data type", "lists", "records"]),
        (24, ["data type"]),
    ],
)
def test_live_table_drops_columns_that_do_not_fit(width: int, titles: list[str]) -> None:
    """No number is cut off."""
    counts = Counts(units=1200, done=150, rows=1_234_567, expected=9_876_543, requests=24_691)
    now = Progress(
        phase="pulling",
        types={"bankAccountTransactions": counts},
        total=counts,
        records_per_second=0.0,
        requests_per_second=0.0,
        in_flight=0,
        waiting=0,
        waiting_for=None,
        quota_left=None,
        seconds_left=None,
        elapsed=0.0,
    )
    console = Console(width=width, height=20, file=io.StringIO())
    with console.capture() as shown:
        console.print(progress._make_table(now, progress._RecordRates(), console))
    header, row, *rest = shown.get().splitlines()
    assert re.split(r"\s\s+", header.strip()) == titles
    cells = ["bankAccountTransactions", "150/1,200", "1,234,567/9,876,543", "0", "24,691"]
    assert row.split() == cells[: len(titles)]
    assert " ".join(line.strip() for line in rest).startswith("pulling · 150 of 1,200 lists")


@pytest.mark.parametrize("log_json", [True, False])
def test_closed_stdout_does_not_stop_a_pull(sandbox: Address, tmp_path: Path, log_json: bool) -> None:
    """The pull completes with its own status, and nothing is printed to stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    arguments = ["pull", "--into", str(tmp_path), "--types", "bills", *(["--log-json"] if log_json else [])]
    done = command_in_process(*arguments, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "report.json").read_text())["outcome"] == "done"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_behind_stdout(sandbox: Address, tmp_path: Path) -> None:
    """One line on stderr; a pull keeps its own status, a command whose purpose is the output fails."""
    with open("/dev/full", "wb") as full:
        pull = command_in_process("pull", "--into", str(tmp_path), "--types", "bills", stdout=full)
        status = command_in_process("status", str(tmp_path), "--json", stdout=full)
    message = "codat-async: the output could not be written: No space left on device\n"
    assert (pull.returncode, pull.stderr) == (0, message)
    assert (status.returncode, status.stderr) == (1, message)


def test_missing_click_is_reported_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base install has the command too, which then names the extra to install."""
    from codat_async.cli import main

    monkeypatch.setitem(sys.modules, "click", None)
    with pytest.raises(SystemExit, match=r"pip install 'codat-async\[cli\]'"):
        main()


def test_package_imports_neither_bulk_nor_the_command_line() -> None:
    """``import codat_async`` stays fast."""
    heavy = ("codat_async.bulk", "codat_async.cli.", "rich", "click", "sqlite3", "pyarrow")
    code = f"import codat_async, sys; print([m for m in sys.modules if f'{{m}}.'.startswith({heavy})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
