"""Help texts, the live table, and output that cannot be written."""

import asyncio
import importlib.metadata
import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_runner import command, command_in_process
from msgspec.structs import replace
from rich.console import Console

from codat_async.bulk import Counts, Followed, Progress
from codat_async.cli import progress
from codat_async.cli.app import group
from codat_async.cli.options import DURATION
from codat_async.cli.parsing import InputError, parse_time_span
from codat_async.cli.terminal import format_list, format_table, print_text, wrap_lines
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


def snapshot(types: dict[str, Counts], *, seconds_left: float | None = None) -> Progress:
    """The progress of a pull with these counts."""
    return replace(Progress.of(types), phase="pulling", seconds_left=seconds_left)


def render(now: Progress, *, width: int = 80, height: int = 20, rates: progress._Rates | None = None) -> str:
    """What is on a terminal of this size."""
    console = Console(width=width, height=height, file=io.StringIO())
    with console.capture() as shown:
        console.print(progress._make_table(now, rates or progress._Rates(), console))
    return shown.get()


def test_progress_bar_has_the_share_and_the_time_to_go() -> None:
    """The share is rounded down, so that 100 % means that nothing is left; a bar fills the line."""
    counts = {"bills": Counts(units=3000, done=2000, skipped=998, failed=1)}
    bar = render(snapshot(counts, seconds_left=125.0), width=60).splitlines()[0]
    assert bar.endswith("99.9 % about 2:05 min left")
    assert len(bar) == 60
    bar, *rest = render(snapshot({})).splitlines()
    assert "%" not in bar
    assert rest == ["pulling"]


@pytest.mark.parametrize(("width", "height"), [(160, 45), (80, 20), (60, 24)])
def test_live_display_fits_the_terminal(width: int, height: int) -> None:
    """No line is longer than the terminal is wide, and no more lines than it is high."""
    types = {f"type_number_{number:02}": Counts(units=9, rows=10**number) for number in range(30)}
    lines = render(snapshot(types, seconds_left=1e5), width=width, height=height).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_live_table_leaves_out_empty_columns_first() -> None:
    """The time that requests waited is of more use than retries that there were not."""
    counts = Counts(units=12, done=1, rows=1_000, requests=20, waited=7.0)
    shown = render(snapshot({"account_transactions": counts, "data_status": Counts(requests=2)}), width=72)
    _bar, header, row, status, *_ = shown.splitlines()
    assert header.split()[-2:] == ["requests", "waited"]
    assert row.split() == ["account_transactions", "1/12", "1,000", "0", "20", "7", "s"]
    assert status.split() == ["data_status", "0", "0", "2"]


def test_live_table_order_is_stable() -> None:
    """Types that are being read come first, those that are done last; each of them by name."""
    types = {name: Counts(units=2) for name in ("d", "c", "b", "a")}
    rates = progress._Rates()

    def read(name: str, now: float, **changes: int) -> list[str]:
        for field, value in changes.items():
            setattr(types[name], field, value)
        rates.update(types, now)
        return rates.order(types)

    start = rates._updated
    assert read("a", start) == ["a", "b", "c", "d"]
    assert read("d", start + 1, requests=1) == ["d", "a", "b", "c"]
    assert read("c", start + 2, requests=1) == ["c", "d", "a", "b"]
    assert read("d", start + 3, requests=2) == ["c", "d", "a", "b"]
    assert read("d", start + 4, done=2) == ["c", "a", "b", "d"]
    assert read("b", start + 60) == ["a", "b", "c", "d"]


WIDE = [
    ["data type", "lists", "records", "requests", "retries", "MB", "invalid", "failed"],
    ["bank_account_transactions", "40,000", "123,456,789", "1,234,567", "12", "44,000.5", "0", "3"],
    ["total", "40,000", "123,456,789", "1,234,567", "12", "44,000.5", "0", "3"],
]


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (None, WIDE[0]),
        (90, [each for each in WIDE[0] if each != "invalid"]),
        (60, ["data type", "lists", "records", "failed"]),
        (20, ["data type"]),
    ],
)
def test_final_tables_fit(width: int | None, titles: list[str]) -> None:
    """Columns of zeros are left out first, then those that matter less; without a terminal none is."""
    lines = format_table(WIDE, width).splitlines()
    assert re.split(r"\s\s+", lines[0]) == titles
    if width is not None and len(titles) > 1:
        assert max(map(len, lines)) <= width
    assert lines[2].split()[-1] == ("3" if "failed" in titles else "bank_account_transactions")


def test_long_lines_are_wrapped() -> None:
    """Between words, below what a line begins with; a command stays on one line, and so does what fits."""
    text = "all done: 3 lists\nnext: 'codat-async status books' shows what is there"
    text += "\n  seen:    so in 5 records of bills"
    assert wrap_lines(text, 30).splitlines() == [
        "all done: 3 lists",
        "next:",
        "  'codat-async status books'",
        "  shows what is there",
        "  seen:    so in 5 records of",
        "           bills",
    ]
    assert wrap_lines(text, 80) == text
    assert wrap_lines(text) == text


def test_lists_wrap_their_last_column() -> None:
    """Down to the longest word of it; without a terminal it is on one line."""
    rows = [["type", "description"], ["bills", "A purchase that the company owes a supplier for."]]
    assert format_list(rows, 30).splitlines() == [
        "type   description",
        "-----  -----------------------",
        "bills  A purchase that the",
        "       company owes a supplier",
        "       for.",
    ]
    assert format_list(rows).splitlines()[2] == "bills  A purchase that the company owes a supplier for."


async def test_lines_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal a line is written every 30 s."""
    waits: list[float] = []
    two = asyncio.Event()

    async def no_sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 2:
            two.set()
            await asyncio.Future()

    stream = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr("asyncio.sleep", no_sleep)
        async with progress.show_pull(lambda: snapshot({"bills": Counts(units=2, done=1)}), stream):
            await two.wait()
    assert waits == [30.0, 30.0, 30.0]
    assert [line.split(" · ")[1] for line in stream.getvalue().splitlines()] == ["1 of 2 lists"] * 2


async def test_lines_of_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line when something was done since the last one; warnings at once, without what a terminal obeys."""
    done, lines, end = Followed(), list[str](), asyncio.Event()
    stream = io.StringIO()

    async def no_sleep(seconds: float) -> None:
        lines.append(stream.getvalue())
        if len(lines) == 2:
            done.events, done.acknowledged, done.pulls, done.companies, done.requests = 3, 2, 1, 2, 6
        if len(lines) == 4:
            logging.getLogger("codat_async").warning("failed: \x1b[2J")
            end.set()
            await asyncio.Future()

    with monkeypatch.context() as patch:
        patch.setattr("asyncio.sleep", no_sleep)
        async with progress.show_listening(lambda: done, stream):
            await end.wait()
    line = "3 events, 1 pull of 2 companies, 6 requests, 1 left\n"
    assert lines == ["", "", line, line]
    assert stream.getvalue() == f"{line}failed: \\u001b[2J\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` prints the installed version."""
    assert command("--version") == 0
    assert capsys.readouterr().out == f"codat-async {importlib.metadata.version('codat-async')}\n"


def options(name: str | None) -> set[str]:
    """All option names of a command; those of the group for None."""
    found = group if name is None else group.commands[name]
    return {each for parameter in found.params for each in parameter.opts if each.startswith("--")}


@pytest.mark.parametrize("name", [None, *sorted(group.commands)])
def test_help_has_examples_that_parse(capsys: pytest.CaptureFixture[str], name: str | None) -> None:
    """Each help text has examples, whose commands and options exist."""
    assert command(*([name] if name else []), "--help") == 0
    examples = capsys.readouterr().out.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert examples
    for example in examples:
        words = shlex.split(example.partition("|")[0], comments=True)
        assert words[0] == "codat-async"
        assert name in (words[1], None)
        assert {word for word in words if word.startswith("--")} <= options(words[1])


def test_help_has_the_form_of_durations() -> None:
    """Each option with a duration says how one is written, and its default is one."""
    durations = [
        parameter
        for each in group.commands.values()
        for parameter in each.params
        if isinstance(parameter, click.Option) and parameter.metavar == "DURATION"
    ]
    assert {"--overlap", "--stale-after"} <= {each.opts[0] for each in durations}
    for each in durations:
        assert each.help is not None
        assert DURATION in each.help
        assert parse_time_span(str(each.default))
    for example in re.findall(r"\d+[smhd]", DURATION):
        assert parse_time_span(example)


def test_help_names_what_options_take() -> None:
    """Not by the type that a program would check, and in a sentence."""
    for name, each in group.commands.items():
        for option in each.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.is_flag or option.metavar or isinstance(option.type, click.Choice), (
                    name,
                    option,
                )
                assert option.help is not None
                assert re.fullmatch(r"[A-Z].*[.\])]", option.help), (name, option.help)
                assert "  " not in option.help, (name, option.help)


def test_commands_are_described_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is cut off in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert command("--help") == 0
    lines = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == sorted(group.commands)
    assert not [line for line in lines if line.endswith("...")]


def test_durations_too_long_are_bad_input() -> None:
    """They do not overflow."""
    for text in ("9999999999d", f"{'9' * 5000}s"):
        with pytest.raises(InputError, match="too long"):
            parse_time_span(text)


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
    shown = render(snapshot({"bankAccountTransactions": counts}), width=width)
    _bar, header, row, *rest = shown.splitlines()
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


@pytest.mark.parametrize("arguments", [["--help"], ["pull", "--help"], ["listen", "--help"], ["types"]])
def test_help_starts_without_the_client(arguments: list[str]) -> None:
    """It loads the options and the names of the data types, and nothing that only a running command needs."""
    heavy = {"aiohttp", "codat_async.bulk.runner", "codat_async.client", "rich.console", "sqlite3"}
    code = (
        "import contextlib, io, sys\n"
        "from codat_async.cli import main\n"
        f"sys.argv[1:] = {arguments}\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):\n"
        "    main()\n"
        "assert out.getvalue()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "codat_async.cli.pulling" in loaded
    assert not heavy & loaded
