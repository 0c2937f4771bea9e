"""``codat-async pull`` and ``plan``: what they print, write and return."""

import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cli_runner import NO_COMPANY, command, error_line

from codat_async.bulk.store.sealed import sealed_files
from codat_async.sandbox import Address, SandboxThread


def test_summary_and_exit_status_of_a_complete_pull(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has a line for each type; the last lines have the outcome and what to do; the status is 0."""
    assert command("pull", "--into", tmp_path / "books", "--types", "bills,chartOfAccounts") == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[2:4]] == ["accounts", "bills"]
    assert "all done: full run" in out.splitlines()[-2]
    assert out.splitlines()[-1].startswith(f"next: 'codat-async convert {tmp_path / 'books'}' for ")
    (file,) = sealed_files(tmp_path / "books", ["bills"])
    assert file.rows == 40


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A proxy's address, and the request lines and credentials that reach it; it answers 401."""
    seen: list[tuple[str, str | None]] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.requestline, self.headers["Proxy-Authorization"]))
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("variable", [None, "HTTP_PROXY"])
def test_proxy(
    proxy: tuple[str, list[tuple[str, str | None]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
) -> None:
    """That of the environment is used, or the one that is passed, whose credentials are not printed."""
    address, seen = proxy
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CODAT_API_KEY", "key")
    arguments = ["pull", "--base-url", "http://api.codat.test", "--into", tmp_path / "books"]
    if variable is None:
        arguments += ["--proxy", f"http://user:pass@{address}"]
    else:
        monkeypatch.setenv(variable, f"http://user:pass@{address}")
    assert command(*arguments) == 2
    assert "pass@" not in error_line(capsys)
    line, credential = seen[0]
    assert line.startswith("GET http://api.codat.test/companies?")
    assert credential == "Basic dXNlcjpwYXNz"


def test_second_pull_is_incremental_unless_full(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command reads only changes; ``--full`` reads everything again."""
    arguments = ("pull", "--into", tmp_path, "--types", "bills")
    assert command(*arguments) == 0
    assert command(*arguments) == 0
    assert "incremental run" in capsys.readouterr().out
    assert command("status", tmp_path) == 0
    assert "done: run " in capsys.readouterr().out
    assert command(*arguments, "--full") == 0
    assert "full run" in capsys.readouterr().out
    assert command("status", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "done"


def test_missing_api_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names both sources of the key, and no directory is created."""
    assert command("pull", "--into", tmp_path / "books") == 2
    line = error_line(capsys)
    assert "CODAT_API_KEY" in line
    assert "--api-key-file" in line
    assert not (tmp_path / "books").exists()


def test_wrong_api_key_is_not_shown(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that the key was not accepted, and does not contain it."""
    monkeypatch.setenv("CODAT_API_KEY", "my-secret")
    assert command("pull", "--into", tmp_path / "books") == 2
    line = error_line(capsys)
    assert "API key was not accepted" in line
    assert "my-secret" not in line
    assert not (tmp_path / "books").exists()


def test_api_key_from_a_file(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--api-key-file`` works without the variable, and an unreadable file is an error."""
    monkeypatch.delenv("CODAT_API_KEY")
    key = tmp_path / "key"
    key.write_text(f"{sandbox.api_key}\n")
    assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--api-key-file", key) == 0
    capsys.readouterr()
    assert command("pull", "--into", tmp_path / "books", "--api-key-file", tmp_path / "none") == 2
    assert "cannot read the API key file" in error_line(capsys)


@pytest.mark.parametrize("from_file", [True, False])
def test_api_key_with_control_characters_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, from_file: bool
) -> None:
    """A key of two lines is an error that does not contain it."""
    key = tmp_path / "key"
    key.write_text("my-secret\nanother\n")
    if not from_file:
        monkeypatch.setenv("CODAT_API_KEY", key.read_text())
    assert command("plan", *(("--api-key-file", key) if from_file else ())) == 2
    line = error_line(capsys)
    assert "the API key" in line
    assert "control characters" in line
    assert "my-secret" not in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--types", "invoics"), "unknown data type 'invoics'; did you mean invoices?"),
        (("--types", ","), "the list ',' is empty"),
        (("--companies", "nowhere.txt"), "cannot read the company file nowhere.txt"),
        (("--companies", "@nowhere.txt"), "cannot read the company file nowhere.txt"),
        (("--companies", f"{NO_COMPANY},x"), "'x' is not a company id"),
        (("--page-size", "0"), "--page-size"),
        (("--overlap", "soon"), "'soon' is not a time span"),
        (("--nonsense",), "--nonsense"),
        (("--base-url", "ftp://x"), "not a base URL"),
        (("--proxy", "socks5://x"), "proxy is not the URL of a proxy"),
    ],
)
def test_invalid_arguments(
    sandbox: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    """One line names the argument, the status is 2, and no directory is created."""
    assert command("pull", "--into", tmp_path / "books", *arguments) == 2
    assert message in error_line(capsys)
    assert not (tmp_path / "books").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sandbox-faults", "flaky"), "--sandbox-faults can only be used with --sandbox"),
        (("--sandbox-companies", "5"), "--sandbox-companies can only be used with --sandbox"),
        (("--sandbox-seed", "7"), "--sandbox-seed can only be used with --sandbox"),
        (("--sandbox", "--base-url", "http://127.0.0.1:9"), "--base-url cannot be used with --sandbox"),
        (("--sandbox", "--api-key-file", "key"), "--api-key-file cannot be used with --sandbox"),
        (("--sandbox", "--proxy", "http://127.0.0.1:9"), "--proxy cannot be used with --sandbox"),
    ],
)
def test_options_of_the_sandbox_and_of_the_api_are_exclusive(
    sandbox: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    """A forgotten ``--sandbox`` sends nothing to the API, and no option is ignored."""
    for name in (("plan",), ("pull", "--into", tmp_path / "books")):
        assert command(*name, "--types", "bills", *arguments) == 2
        assert message in error_line(capsys)
    assert not (tmp_path / "books").exists()


def test_unusable_target_directories(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file, a directory of other files, one that cannot be written to, and a pull of another account."""
    letter = tmp_path / "letter.txt"
    letter.write_text("dear")
    assert command("pull", "--into", letter) == 2
    assert "is not a directory" in error_line(capsys)
    assert command("pull", "--into", tmp_path) == 2
    assert str(tmp_path) in error_line(capsys)
    assert os.listdir(tmp_path) == ["letter.txt"]
    assert letter.read_text() == "dear"
    assert command("pull", "--into", letter / "books") == 2
    assert f"cannot write to {letter / 'books'}" in error_line(capsys)
    assert command("pull", "--into", tmp_path / "books", "--types", "bills") == 0
    capsys.readouterr()
    with SandboxThread(companies=1, seed=8) as other:
        assert command("pull", "--into", tmp_path / "books", "--base-url", other.base_url) == 2
    assert "holds a pull of" in error_line(capsys)


def test_companies_from_a_file(sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file may have a header and comments; an unknown company is a failure and the others are pulled."""
    file = tmp_path / "companies.csv"
    file.write_text(f"id,name\n{sandbox.company_ids[0]},First # ours\n\n{NO_COMPANY}\n")
    assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--companies", file) == 3
    out = capsys.readouterr().out
    assert f"no_company: there is no company {NO_COMPANY}" in out
    assert len(list((tmp_path / "books" / "raw" / "bills").iterdir())) == 1
    assert command("pull", "--into", tmp_path / "none", "--companies", NO_COMPANY) == 4
    assert "nothing to pull" in error_line(capsys)
    assert not (tmp_path / "none").exists()


def test_unreachable_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is 4, for nothing pulled, and the error names the server."""

    async def no_sleep(*_: object) -> None:
        return None

    monkeypatch.setenv("CODAT_API_KEY", "key")
    monkeypatch.setattr("codat_middleware.clock.Clock.sleep", no_sleep)
    assert command("pull", "--into", tmp_path / "books", "--base-url", "http://127.0.0.1:9") == 4
    assert "127.0.0.1:9" in error_line(capsys)


def test_plan_and_dry_run_write_nothing(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both print the requests and the share of the quota; ``--json`` prints the plan as JSON."""
    assert command("plan", "--types", "bills,bankTransactions", "--page-size", "5") == 0
    out = capsys.readouterr().out
    assert "of the daily quota of 3,000" in out
    assert out.strip().endswith("fits")
    assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--dry-run") == 0
    capsys.readouterr()
    assert not (tmp_path / "books").exists()
    assert command("plan", "--types", "bills", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["types"]["bills"]["records"] == 40
    # The lists of two companies, and their data status before and after.
    assert plan["requests"] == 6


def test_log_json_prints_only_json(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line of stdout is an object: the start of the run, each list, and the end."""
    assert command("pull", "--into", tmp_path, "--types", "bills", "--log-json") == 0
    captured = capsys.readouterr()
    events: list[dict[str, Any]] = [json.loads(line) for line in captured.out.splitlines()]
    names = [each["event"] for each in events]
    assert (names[0], names[-1]) == ("run_started", "run_done")
    assert sorted(names[1:-1]) == ["company_checked", "company_checked", "unit_done", "unit_done"]
    assert {each["rows"] for each in events if each["event"] == "unit_done"} == {20}
    assert {each["read"] for each in events if each["event"] == "company_checked"} == {1}
    assert captured.err == ""


def test_log_json_reports_errors(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error on stderr is also an event, with the exit status; so is an unexpected exception."""
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


def test_singular_nouns(sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One company, request or list is printed in the singular."""
    one = ("--types", "bills", "--companies", sandbox.company_ids[0])
    assert command("plan", *one) == 0
    assert "\n1 company, 20 records, 3 requests, about" in capsys.readouterr().out
    assert command("pull", "--into", tmp_path, *one) == 0
    assert " of 1 company, 20 records in" in capsys.readouterr().out


def test_plan_of_a_directory_is_made_from_its_nights(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what tonight takes with the data status and without; --ask asks a few companies instead."""
    pulled = ("pull", "--into", tmp_path, "--types", "bills,invoices", "--recheck-after", "never")
    assert command(*pulled) == command(*pulled) == 0
    capsys.readouterr()
    assert command("plan", "--into", tmp_path, "--types", "bills,invoices", "--refresh", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["status_requests"], plan["refresh_requests"], plan["requests"]) == (2, 10, 12)
    assert plan["ungated"]["requests"] == 4
    assert command("plan", "--into", tmp_path, "--types", "bills,invoices") == 0
    out = capsys.readouterr().out
    assert "2 requests about data status among them, estimated from 1 earlier night; without them 4" in out
    assert command("plan", "--into", tmp_path, "--types", "bills,invoices", "--ask") == 0
    out = capsys.readouterr().out
    assert "2 requests about data status among them, estimated as asked; without them 4 requests" in out


@pytest.mark.parametrize(
    ("text", "message"), [("28h", "'28h' is not a number of days"), ("0", "'0' is not a number of days")]
)
def test_recheck_after_of_no_days_is_bad_input(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    """With examples of what it can be."""
    assert command("pull", "--into", tmp_path / "books", "--recheck-after", text) == 2
    assert message in capsys.readouterr().err
    assert command("pull", "--into", tmp_path / "books", "--refresh", "--no-freshness") == 2
    assert "--refresh cannot be used with --no-freshness" in capsys.readouterr().err


def test_refreshed_lists_are_read_in_the_same_night(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sync that the pull queued is seen by the data status, so the lists are read again."""
    pulled = ("pull", "--into", tmp_path, "--types", "bills")
    assert command(*pulled) == 0
    assert command(*pulled, "--refresh", "--log-json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {each["read"] for each in events if each["event"] == "company_checked"} == {1}


def test_companies_by_a_query(sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--company-query`` selects by Codat's query language, and not together with ``--companies``."""
    wanted = sandbox.company_ids[0]
    arguments = ("pull", "--into", tmp_path / "books", "--types", "bills", "--company-query")
    assert command(*arguments, f"id={wanted}") == 0
    assert "1 company" in capsys.readouterr().out
    lines = list((tmp_path / "books" / "raw" / "companies").iterdir())
    assert len(lines) == 1
    assert command(*arguments, "(((") in (2, 4)
    assert command(*arguments, "id=x", "--companies", wanted) == 2
    assert "--company-query cannot be used with --companies" in capsys.readouterr().err


def test_types_lists_what_can_be_pulled(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with what its records are; of one type, its columns; and the help of pull names them."""
    assert command("types") == 0
    printed = capsys.readouterr().out
    assert re.search(r"^companies +A business", printed, re.MULTILINE)
    assert re.search(r"^invoices +A sale that a customer owes the company for", printed, re.MULTILINE)
    assert command("types", "--json") == 0
    names = [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()]
    assert {"companies", "connections", "accounts", "balance_sheet"} <= set(names)
    assert command("types", "invoices") == 0
    assert re.search(
        r"^line_items\[\]\.unit_amount +decimal128\(38, 10\)$", capsys.readouterr().out, re.MULTILINE
    )
    assert command("types", "invoics") == 2
    assert "did you mean invoices?" in error_line(capsys)
    assert command("pull", "--help") == 0
    help_text = capsys.readouterr().out
    assert [name for name in names if name not in help_text] == []
