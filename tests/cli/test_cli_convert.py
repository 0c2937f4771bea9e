"""``codat-async convert`` and the sinks of ``pull``: Parquet and DuckDB."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from cli_runner import command, error_line

from codat_async.cli import progress
from codat_async.sandbox import Address


def test_parquet_with_the_pull_and_duckdb_by_convert(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both write all records, and a directory without a pull is bad input."""
    assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--parquet") == 0
    assert list((tmp_path / "books" / "parquet" / "bills").glob("*.parquet"))
    types = ("--types", "bills")
    assert command("convert", tmp_path / "books", "--duckdb", tmp_path / "b.duckdb", *types) == 0
    assert "converted: 40 records" in capsys.readouterr().out
    assert command("convert", tmp_path / "nothing") == 2
    assert str(tmp_path / "nothing") in error_line(capsys)


def test_unusable_duckdb_file_is_reported_before_the_pull(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of another kind, a directory, and one that cannot be created."""
    (tmp_path / "letter.txt").write_text("dear")
    for file in (tmp_path / "letter.txt", tmp_path, Path("/proc/books.duckdb")):
        assert command("pull", "--into", tmp_path / "books", "--types", "bills", "--duckdb", file) == 2
        assert f"cannot write to the DuckDB file {file}: " in error_line(capsys)
    assert not (tmp_path / "books").exists()


def test_fault_of_a_sink_does_not_cost_a_later_pull(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with a DuckDB file that was written before is reported after the pull."""
    into, file = tmp_path / "books", tmp_path / "x.duckdb"
    assert command("pull", "--into", into, "--types", "bills", "--duckdb", file) == 0
    for damage in (lambda: file.write_bytes(b"damaged" * 1000), lambda: (file.unlink(), file.mkdir())):
        damage()
        run = json.loads((into / "report.json").read_bytes())["run"]
        capsys.readouterr()
        assert command("pull", "--into", into, "--types", "bills", "--duckdb", file) == 3
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"codat-async: cannot write to the DuckDB file {file}: ")
        assert "what was pulled is complete" in error
        report = json.loads((into / "report.json").read_bytes())
        assert report["run"] != run
        assert report["outcome"] == "done"


@pytest.mark.parametrize("log", [[], ["--log-json"]])
def test_duckdb_file_in_use_does_not_cost_the_pull(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    """Pull and Parquet are complete, the message names the command for the rest, and that works later."""
    in_use, into = tmp_path / "in_use.duckdb", tmp_path / "my books"
    code = f"import duckdb; base = duckdb.connect({str(in_use)!r}); print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        arguments = ("pull", "--into", into, "--types", "bills", "--parquet", "--duckdb", in_use, *log)
        assert command(*arguments) == 3
        printed = capsys.readouterr()
        holder.communicate(b"\n")
    convert = f"codat-async convert '{into}' --parquet --duckdb {in_use}"
    message = f"the DuckDB file {in_use} is open in process {holder.pid}; what was pulled is complete"
    message += f", and '{convert}' converts the rest"
    assert f"codat-async: {message}" in printed.err.splitlines()
    if log:
        event = json.loads(printed.out.splitlines()[-1])
        assert (event["event"], event["status"], event["message"]) == ("failed", 3, message)
    assert list((into / "parquet" / "bills").glob("*.parquet"))
    assert command(*shlex.split(convert)[1:]) == 0
    with duckdb.connect(str(in_use)) as database:
        assert database.execute("select count(*) from bills").fetchall() == [(40,)]


def test_damage_that_a_conversion_finds_is_read_again_by_the_next_pull(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is named, then its lists as lost, until a pull has read them."""
    arguments = ("pull", "--into", tmp_path / "books", "--types", "bills", "--parquet")
    assert command(*arguments[:-1]) == 0
    (raw,) = (tmp_path / "books" / "raw" / "bills").iterdir()
    content = bytearray(raw.read_bytes())
    content[len(content) // 2] ^= 1
    raw.write_bytes(content)
    capsys.readouterr()
    assert command("convert", tmp_path / "books") == 2
    assert f"{raw} is damaged: " in error_line(capsys)
    assert command("convert", tmp_path / "books") == 2
    assert "the data of 2 lists of bills was damaged; the next pull reads them again" in error_line(capsys)
    assert command(*arguments) == 0


def test_check_of_the_duckdb_file_leaves_nothing_behind(
    sandbox: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the pull fails after it, no file and no directory remains; the file may be inside ``--into``."""
    file = tmp_path / "books" / "tables" / "books.duckdb"
    arguments = ("pull", "--into", tmp_path / "books", "--types", "bills", "--duckdb", file)
    with monkeypatch.context() as patch:
        patch.setenv("CODAT_API_KEY", "wrong")
        assert command(*arguments) == 2
    assert os.listdir(tmp_path) == []
    link = tmp_path / "link.duckdb"
    link.symlink_to(tmp_path / "target.duckdb")
    assert command(*arguments[:-1], link) == 0
    assert link.is_symlink()
    assert (tmp_path / "target.duckdb").exists()
    assert command(*arguments) == 0
    assert file.exists()


def test_conversion_events_of_log_json(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress up to the last file, then a line for each type; timestamps have one format and ascend."""
    monkeypatch.setattr(progress, "_LINE_INTERVAL", 0.0)
    types = ("--types", "bills,suppliers")
    assert command("pull", "--into", tmp_path, *types, "--log-json", "--parquet") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    last = [each for each in events if each["event"] == "converting"][-1]
    assert (last["files"], last["bytes"]) == (last["of_files"], last["of_bytes"])
    converted = {each["type"]: each["records"] for each in events if each["event"] == "converted"}
    assert set(converted) == {"bills", "suppliers", "companies", "connections"}
    assert sum(converted.values()) == last["records"] > 0
    times = [each["at"] for each in events]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", each) for each in times)
    assert times == sorted(times)
    files = list((tmp_path / "raw").rglob("*.ndjson.*"))
    assert last["of_bytes"] == sum(file.stat().st_size for file in files)


def test_conversion_progress_without_a_terminal(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines on stderr; files converted before count as done."""
    assert command("pull", "--into", tmp_path, "--types", "bills") == 0
    monkeypatch.setattr(progress, "_LINE_INTERVAL", 0.0)
    for sink in ((), ("--duckdb", tmp_path / "books.duckdb")):
        for records in (40, 0):
            capsys.readouterr()
            assert command("convert", tmp_path, "--types", "bills", *sink) == 0
            last = capsys.readouterr().err.splitlines()[-1]
            assert last == f"converting · 1 of 1 file · {records} records"


def test_truncated_file_is_not_reported_as_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """click turns every EOFError into Abort; one from a file is raised as it is."""

    def convert(*_: object, **__: object) -> None:
        raise EOFError("Compressed file ended before the end-of-stream marker was reached")

    monkeypatch.setattr("codat_async.bulk.convert", convert)
    with pytest.raises(EOFError, match="end-of-stream"):
        command("convert", tmp_path)
