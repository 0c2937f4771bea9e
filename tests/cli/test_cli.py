"""The command line as people meet it: exit status, one line for each mistake, and nothing spoiled."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from rich.console import Console

from codat_async.bulk import Counts, Progress
from codat_async.bulk.store.directory import Directory
from codat_async.cli import progress
from codat_async.cli.app import run
from codat_async.sandbox import Address, SandboxThread, run_in_background

NO_COMPANY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Address]:
    """A sandbox in a process of its own."""
    with run_in_background(companies=2, size=20) as address:
        yield address


@pytest.fixture
def account(sandbox: Address, monkeypatch: pytest.MonkeyPatch) -> Address:
    """Its address and key, where the command line looks for them."""
    monkeypatch.setenv("CODAT_API_KEY", sandbox.api_key)
    monkeypatch.setenv("CODAT_BASE_URL", sandbox.base_url)
    return sandbox


def command(*arguments: object) -> int:
    """Run a command in this process; gives its exit status."""
    return run([str(each) for each in arguments])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The single line on stderr."""
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("codat-async: ")
    return lines[0]


def test_pull_prints_a_summary_and_ends_with_0(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has a line a type, and the last line says that all is done and where."""
    assert command("pull", "--into", tmp_path / "books", "--types", "bills,chartOfAccounts") == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[2:4]] == ["accounts", "bills"]
    assert "all done: full run" in out.splitlines()[-1]
    files = list((tmp_path / "books" / "raw" / "bills").rglob("*.ndjson.*"))
    assert len(files) == 2


def test_the_same_command_again_is_incremental(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And with ``--full`` it starts over; status tells the last run in any case."""
    arguments = ("pull", "--into", tmp_path, "--types", "bills")
    assert command(*arguments) == 0
    assert command(*arguments) == 0
    assert "incremental run" in capsys.readouterr().out
    assert command("status", tmp_path) == 0
    assert "incremental run" in capsys.readouterr().out
    assert command(*arguments, "--full") == 0
    assert "full run" in capsys.readouterr().out
    assert command("status", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "done"


def test_without_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Says both ways to give one, and makes no directory."""
    assert command("pull", "--into", tmp_path / "books") == 2
    assert "--api-key-file" in one_line(capsys)
    assert not (tmp_path / "books").exists()


def test_with_a_wrong_key(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Says that it was not accepted, without showing it."""
    monkeypatch.setenv("CODAT_API_KEY", "my-secret")
    assert command("pull", "--into", tmp_path / "books") == 2
    line = one_line(capsys)
    assert "API key was not accepted" in line
    assert "my-secret" not in line
    assert not (tmp_path / "books").exists()


def test_key_from_a_file(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's content counts, and a file that cannot be read is told."""
    monkeypatch.delenv("CODAT_API_KEY")
    key = tmp_path / "key"
    key.write_text(f"{account.api_key}\n")
    assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--api-key-file", key) == 0
    capsys.readouterr()
    assert command("pull", "--into", tmp_path / "books", "--api-key-file", tmp_path / "none") == 2
    assert "cannot read the API key file" in one_line(capsys)


@pytest.mark.parametrize("from_file", [True, False])
def test_keys_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, from_file: bool
) -> None:
    """Such as two lines: one line says so without showing the key."""
    key = tmp_path / "key"
    key.write_text("my-secret\nanother\n")
    if not from_file:
        monkeypatch.setenv("CODAT_API_KEY", key.read_text())
    assert command("plan", *(("--api-key-file", key) if from_file else ())) == 2
    line = one_line(capsys)
    assert "the API key contains control characters" in line
    assert "my-secret" not in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--types", "invoics"), "unknown data type 'invoics'; did you mean invoices?"),
        (("--types", ","), "an empty list"),
        (("--companies", "nowhere.txt"), "cannot read the company file nowhere.txt"),
        (("--companies", "@nowhere.txt"), "cannot read the company file nowhere.txt"),
        (("--companies", f"{NO_COMPANY},x"), "'x' is not the id of a company"),
        (("--page-size", "0"), "--page-size"),
        (("--overlap", "soon"), "'soon' is not a time span"),
        (("--nonsense",), "--nonsense"),
        (("--base-url", "ftp://x"), "not a base URL"),
    ],
)
def test_bad_arguments(
    account: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    """One line says what is wrong, the status is 2, and nothing is made."""
    assert command("pull", "--into", tmp_path / "books", *arguments) == 2
    assert said in one_line(capsys)
    assert not (tmp_path / "books").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sandbox-faults", "flaky"), "--sandbox-faults goes with --sandbox only"),
        (("--sandbox-companies", "5"), "--sandbox-companies goes with --sandbox only"),
        (("--sandbox-seed", "7"), "--sandbox-seed goes with --sandbox only"),
        (("--sandbox", "--base-url", "http://127.0.0.1:9"), "--base-url does not go with --sandbox"),
        (("--sandbox", "--api-key-file", "key"), "--api-key-file does not go with --sandbox"),
    ],
)
def test_options_of_the_sandbox_and_of_the_api_do_not_mix(
    account: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    """A forgotten ``--sandbox`` reaches no real account, and nothing typed is ignored."""
    for name in (("plan",), ("pull", "--into", tmp_path / "books")):
        assert command(*name, "--types", "bills", *arguments) == 2
        assert said in one_line(capsys)
    assert not (tmp_path / "books").exists()


def test_directories_that_cannot_be_used(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file, a directory of something else, a pull of another account, and one that cannot be written to."""
    letter = tmp_path / "letter.txt"
    letter.write_text("dear")
    assert command("pull", "--into", letter) == 2
    assert "is not a directory" in one_line(capsys)
    assert command("pull", "--into", tmp_path) == 2
    assert "something else than a pull" in one_line(capsys)
    assert os.listdir(tmp_path) == ["letter.txt"]
    assert letter.read_text() == "dear"
    assert command("pull", "--into", "/proc/books") == 2
    assert "cannot write to /proc/books" in one_line(capsys)
    assert command("pull", "--into", tmp_path / "books", "--types", "bills") == 0
    capsys.readouterr()
    with SandboxThread(companies=1, seed=8) as other:
        assert command("pull", "--into", tmp_path / "books", "--base-url", other.base_url) == 2
    assert "holds a pull of" in one_line(capsys)


def test_companies_from_a_file(account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One id a line, comments and a head aside; a company that is not there is a failure of its own."""
    file = tmp_path / "companies.csv"
    file.write_text(f"id,name\n{account.company_ids[0]},First # ours\n\n{NO_COMPANY}\n")
    assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--companies", file) == 3
    out = capsys.readouterr().out
    assert f"no_company: there is no company {NO_COMPANY}" in out
    assert len(list((tmp_path / "books").rglob("*.ndjson.*"))) == 1
    assert command("pull", "--into", tmp_path / "none", "--companies", NO_COMPANY) == 4
    assert "nothing to pull" in one_line(capsys)
    assert not (tmp_path / "none").exists()


def test_status_says_what_the_pull_said(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Companies that were not found and the time it took are in the report alone."""
    companies = f"{account.company_ids[0]},{NO_COMPANY}"
    assert command("pull", "--into", tmp_path, "--types", "bills", "--companies", companies) == 3
    said = capsys.readouterr().out
    assert f"no_company: there is no company {NO_COMPANY}" in said
    assert said.splitlines()[-1].endswith("no list is left; what else is missing is told above")
    assert command("status", tmp_path) == 3
    assert capsys.readouterr().out == said
    assert command("status", tmp_path, "--json") == 3
    report = json.loads((tmp_path / "report.json").read_text())
    del report["units"]
    assert json.loads(capsys.readouterr().out) == report
    assert report["seconds"] > 0


def test_status_without_a_report_that_fits(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not known is not told: one of another run, none, and one that cannot be read."""
    assert command("pull", "--into", tmp_path, "--types", "bills") == 0
    report = tmp_path / "report.json"
    for text in (report.read_bytes().replace(b'"run": "2', b'"run": "1'), b"{", None):
        report.write_bytes(text) if text else report.unlink()
        capsys.readouterr()
        assert command("status", tmp_path) == 0
        assert "40 records, in " in capsys.readouterr().out
        assert command("status", tmp_path, "--json") == 0
        assert json.loads(capsys.readouterr().out)["seconds"] is None


def test_status_while_a_pull_is_at_work(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, with the process, and what a process left that has gone is none."""
    assert command("pull", "--into", tmp_path, "--types", "bills") == 0
    with Directory(tmp_path):
        capsys.readouterr()
        assert command("status", tmp_path) == 3
        assert f"a pull is at work (process {os.getpid()}): full run" in capsys.readouterr().out
        assert command("status", tmp_path, "--json") == 3
        assert json.loads(capsys.readouterr().out)["process"] == os.getpid()
        assert command("pull", "--into", tmp_path, "--types", "bills") == 2
    for left in (str(os.getpid()), "nobody", "999999999"):
        (tmp_path / "pull.lock").write_text(left)
        assert command("status", tmp_path) == 0


def test_a_server_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing done is a status of its own."""
    monkeypatch.setenv("CODAT_API_KEY", "key")
    monkeypatch.setattr("codat_middleware.retry.RetryPolicy.waits", False, raising=False)
    monkeypatch.setattr("codat_middleware.clock.SystemClock.sleep", _at_once)
    assert command("pull", "--into", tmp_path / "books", "--base-url", "http://127.0.0.1:9") == 4
    assert "127.0.0.1:9" in one_line(capsys)


async def _at_once(*_: object) -> None:
    return None


def test_plan_and_dry_run_write_nothing(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both tell the requests, the share of the quota and the time; JSON where it is wanted."""
    assert command("plan", "--types", "bills,bankTransactions", "--page-size", "5") == 0
    told = capsys.readouterr().out
    assert "of the day's quota of 3,000" in told
    assert "fits" in told
    assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--dry-run") == 0
    capsys.readouterr()
    assert not (tmp_path / "books").exists()
    assert command("plan", "--types", "bills", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["types"]["bills"]["records"] == 40
    assert plan["requests"] == 2


def test_log_json_is_json_alone(account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of stdout is an object; a run's begin and end and each list are among them."""
    assert command("pull", "--into", tmp_path, "--types", "bills", "--log-json") == 0
    captured = capsys.readouterr()
    events: list[dict[str, Any]] = [json.loads(line) for line in captured.out.splitlines()]
    assert [each["event"] for each in events] == ["run_started", "unit_done", "unit_done", "run_done"]
    assert events[1]["rows"] == 20
    assert captured.err == ""


def test_json_log_of_a_failure(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line on stderr is an event too, with the exit status; also of what nobody foresaw."""
    for arguments, status in ((("--types", "invoics"), 2), (("--companies", NO_COMPANY), 4)):
        assert command("pull", "--into", tmp_path / "books", "--log-json", *arguments) == status
        captured = capsys.readouterr()
        event = json.loads(captured.out.splitlines()[-1])
        assert (event["event"], event["status"]) == ("failed", status)
        assert captured.err == f"codat-async: {event['message']}\n"

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("codat_async.bulk.Pull", broken)
    with pytest.raises(RuntimeError):
        command("pull", "--into", tmp_path / "books", "--log-json")
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["status"], event["message"]) == ("failed", 1, "RuntimeError('broken')")


def test_convert_and_sinks(account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--parquet`` and ``--duckdb`` with the pull, and ``convert`` later, come to the same."""
    assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--parquet") == 0
    assert list((tmp_path / "books" / "parquet" / "bills").glob("*.parquet"))
    assert command("convert", tmp_path / "books", "--duckdb", tmp_path / "b.duckdb") == 0
    assert "40" in capsys.readouterr().out
    assert command("convert", tmp_path / "nothing") == 2
    assert "holds no pull" in one_line(capsys)
    assert command("status", tmp_path / "nothing") == 2
    one_line(capsys)


def test_a_duckdb_file_that_cannot_be_used_is_told_before_the_pull(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, be it of another kind, out of reach or in use."""
    (tmp_path / "letter.txt").write_text("dear")
    taken = tmp_path / "taken.duckdb"
    code = f"import duckdb; base = duckdb.connect({str(taken)!r}); print('taken', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        for file in (taken, tmp_path / "letter.txt", tmp_path, Path("/proc/books.duckdb")):
            assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--duckdb", file) == 2
            assert f"cannot write to the DuckDB file {file}: " in one_line(capsys)
        holder.communicate(b"\n")
    assert not (tmp_path / "books").exists()


def test_trying_a_duckdb_file_leaves_nothing(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the pull fails after it; the file may be in the directory of the pull itself."""
    file = tmp_path / "books" / "tables" / "books.duckdb"
    arguments = ("pull", "--into", tmp_path / "books", "--types", "bills", "--duckdb", file)
    with monkeypatch.context() as patch:
        patch.setenv("CODAT_API_KEY", "wrong")
        assert command(*arguments) == 2
    assert os.listdir(tmp_path) == []
    link = tmp_path / "link.duckdb"
    link.symlink_to(tmp_path / "far.duckdb")
    assert command(*arguments[:-1], link) == 0
    assert link.is_symlink()
    assert (tmp_path / "far.duckdb").exists()
    assert command(*arguments) == 0
    assert file.exists()


def test_json_log_of_a_conversion(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far it is, up to its end, then a line a type."""
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.0)
    types = ("--types", "bills,suppliers")
    assert command("pull", "--into", tmp_path, *types, "--log-json", "--parquet") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [each for each in events if each["event"] == "converting"]
    last = told[-1]
    assert (last["files"], last["bytes"]) == (last["of_files"], last["of_bytes"])
    done = {each["type"]: each["records"] for each in events if each["event"] == "converted"}
    assert set(done) == {"bills", "suppliers"}
    assert sum(done.values()) == last["records"] > 0
    moments = [each["at"] for each in events]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", each) for each in moments)
    assert moments == sorted(moments)
    files = list((tmp_path / "raw").rglob("*.ndjson.*"))
    assert last["of_bytes"] == sum(file.stat().st_size for file in files)


def test_lines_of_a_conversion(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away from a terminal, now and then a line on stderr; what was made before counts as done."""
    assert command("pull", "--into", tmp_path, "--types", "bills") == 0
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.0)
    for records in (40, 0):
        capsys.readouterr()
        assert command("convert", tmp_path) == 0
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == f"converting · 2 of 2 files · {records} records"
    for records in (40, 0):
        capsys.readouterr()
        assert command("convert", tmp_path, "--duckdb", tmp_path / "books.duckdb") == 0
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == f"converting · 2 of 2 files · {records} records"


@pytest.mark.parametrize(
    ("name", "statuses", "interrupted"),
    [
        ("pull", ["0", "1", "2", "3", "4", "130"], "interrupted; the same command goes on where it stopped"),
        ("plan", ["0", "1", "2", "3", "4", "130"], "interrupted; nothing was written"),
        ("status", ["0", "1", "2", "3", "4", "130"], "interrupted"),
        ("convert", ["0", "1", "2", "130"], "interrupted; the same command goes on with the rest"),
    ],
)
def test_help_tells_the_exit_status(
    capsys: pytest.CaptureFixture[str], name: str, statuses: list[str], interrupted: str
) -> None:
    """So that a night job can be written without reading the source."""
    assert command(name, "--help") == 0
    told = capsys.readouterr().out.partition("Exit status:\n")[2].splitlines()
    assert [line.split()[0] for line in told] == statuses
    assert told[-1].split(maxsplit=1)[1] == interrupted


def test_a_file_that_ends_short_is_no_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What click takes for the end of typing comes from a file here."""

    def convert(*_: object, **__: object) -> None:
        raise EOFError("Compressed file ended before the end-of-stream marker was reached")

    monkeypatch.setattr("codat_async.bulk.convert", convert)
    with pytest.raises(EOFError, match="end-of-stream"):
        command("convert", tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_half_file(tmp_path: Path, number: signal.Signals) -> None:
    """Interrupted, it says how to go on, ends with 130, and the same command ends the run.

    SIGTERM does so where SIGINT is ignored, as in what a shell script starts in the background.
    """
    arguments = [
        sys.executable,
        "-m",
        "codat_async.cli",
        "pull",
        "--sandbox",
        "--into",
        str(tmp_path / "books"),
    ]
    arguments += ["--types", "journal_entries,bills", "--page-size", "5"]
    slow = [*arguments, "--sandbox-faults", "latency=0.05"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if number == signal.SIGTERM else signal.SIG_DFL)
    try:
        pull = subprocess.Popen(slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    until = time.monotonic() + 30
    while not list((tmp_path / "books").rglob("*.part")):
        assert time.monotonic() < until
        time.sleep(0.02)
    pull.send_signal(number)
    _, said = pull.communicate(timeout=30)
    assert pull.returncode == 130
    assert said.strip().splitlines()[-1].startswith("codat-async: interrupted")
    assert "Traceback" not in said
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "all done" in done.stdout
    assert not list((tmp_path / "books").rglob("*.part"))


@pytest.mark.parametrize("name", ["convert", "pull"])
def test_sigterm_ends_a_conversion_cleanly(
    account: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """With 130, and nothing left of what was being made; also of that at the end of a pull."""
    assert command("pull", "--into", tmp_path / "books", "--types", "bills") == 0
    capsys.readouterr()
    signals = iter([signal.SIGTERM])
    monkeypatch.setattr(progress, "_converted", lambda _: [os.kill(os.getpid(), each) for each in signals])
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.0)
    arguments = (
        ("convert", tmp_path / "books") if name == "convert" else ("pull", "--into", tmp_path / "books")
    )
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert command(*arguments, "--types", "bills", "--duckdb", tmp_path / "b.duckdb") == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "codat-async: interrupted; the same command goes on" in capsys.readouterr().err
    assert not list((tmp_path / "books").glob(".convert-*"))


@pytest.mark.parametrize("interrupted", [True, False])
def test_what_an_interrupted_library_raises_is_no_error(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    interrupted: bool,
) -> None:
    """One line and 130 for Ctrl-C, in whatever the library clothes it; without one it is an error."""

    def convert(*_: object, **__: object) -> None:
        if interrupted:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr("codat_async.bulk.convert", convert)
    if interrupted:
        assert command("convert", tmp_path) == 130
        assert "interrupted; the same command goes on" in one_line(capsys)
    else:
        with pytest.raises(RuntimeError, match="Query interrupted"):
            command("convert", tmp_path)


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (100, ["data type", "lists", "records", "records/s", "requests", "retries", "waited"]),
        (60, ["data type", "lists", "records"]),
        (24, ["data type"]),
    ],
)
def test_a_narrow_terminal_shows_fewer_columns(width: int, titles: list[str]) -> None:
    """And no number that is cut."""
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
        console.print(progress._table(now, progress._Speeds(), console))
    head, row, *rest = shown.get().splitlines()
    assert re.split(r"\s\s+", head.strip()) == titles
    cells = ["bankAccountTransactions", "150/1,200", "1,234,567/9,876,543", "0", "24,691"]
    assert row.split() == cells[: len(titles)]
    assert " ".join(line.strip() for line in rest).startswith("pulling · 150 of 1,200 lists")


def test_one_of_a_thing_is_told_as_one(
    account: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Be it a company, a request or a list."""
    one = ("--types", "bills", "--companies", account.company_ids[0])
    assert command("plan", *one) == 0
    assert "\n1 company, 20 records, 1 request, about" in capsys.readouterr().out
    assert command("pull", "--into", tmp_path, *one) == 0
    assert " of 1 company, 20 records in" in capsys.readouterr().out


@pytest.mark.parametrize("log_json", [True, False])
def test_a_pull_whose_reader_has_gone(account: Address, tmp_path: Path, log_json: bool) -> None:
    """The books are there, so the status is the pull's own, and nothing is said."""
    reader, writer = os.pipe()
    os.close(reader)
    arguments = ["pull", "--into", str(tmp_path), "--types", "bills", *(["--log-json"] if log_json else [])]
    done = elsewhere(*arguments, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "report.json").read_text())["outcome"] == "done"


def test_output_that_cannot_be_written(account: Address, tmp_path: Path) -> None:
    """One line says so; the status is the pull's own, and an error for what was asked in order to be read."""
    with open("/dev/full", "wb") as full:
        pull = elsewhere("pull", "--into", str(tmp_path), "--types", "bills", stdout=full)
        status = elsewhere("status", str(tmp_path), "--json", stdout=full)
        plan = elsewhere("plan", "--types", "bills", stdout=full)
    said = "codat-async: the output could not be written: No space left on device\n"
    assert (pull.returncode, pull.stderr) == (0, said)
    assert (status.returncode, status.stderr) == (1, said)
    assert (plan.returncode, plan.stderr) == (1, said)


def elsewhere(*arguments: str, stdout: IO[bytes] | int) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "codat_async.cli", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("options", [b"", b'{"companies":1}\n'])
def test_a_sandbox_whose_command_has_gone_ends_quietly(options: bytes) -> None:
    """As with Ctrl-C before it listens: nobody sends the options, or nobody reads the address."""
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [sys.executable, "-m", "codat_async.sandbox"]
    done = subprocess.run(
        arguments, input=options, stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_sandbox_prints_what_to_export(tmp_path: Path) -> None:
    """Two lines to paste once it listens, and a clean end with Ctrl-C."""
    arguments = [sys.executable, "-m", "codat_async.cli", "sandbox", "--port", "0", "--companies", "1"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline(), server.stdout.readline()]
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=20)
    assert lines[0].startswith("export CODAT_BASE_URL=http://127.0.0.1:")
    assert lines[1].startswith("export CODAT_API_KEY=")
    assert (server.returncode, said) == (0, "")


def test_without_click_one_line_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The base install has the command, and it says what it needs."""
    from codat_async.cli import main

    monkeypatch.setitem(sys.modules, "click", None)
    with pytest.raises(SystemExit, match=r"pip install 'codat-async\[cli\]'"):
        main()


def test_the_package_imports_neither_bulk_nor_the_command_line() -> None:
    """``import codat_async`` stays quick."""
    heavy = ("codat_async.bulk", "codat_async.cli.", "rich", "click", "sqlite3", "pyarrow")
    code = f"import codat_async, sys; print([m for m in sys.modules if f'{{m}}.'.startswith({heavy})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
