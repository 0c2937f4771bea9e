"""Places that are no local directory, or one that cannot be written to."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runner import command, error_line

from codat_async.sandbox import Address

LIMITED = ("--types", "bills")
NO_BUCKET = "is not a directory in object storage"
NO_EXTRA = "obstore is not installed: pip install 'codat-async[remote]'"
PLACES = {
    "s3://bucket/x": NO_EXTRA,
    "gs://bucket": NO_EXTRA,
    "az://container/x": NO_EXTRA,
    "abfss://a@b/c": NO_BUCKET,
    "http://x": NO_BUCKET,
    "file://host/x": "names another host",
}


@pytest.mark.parametrize("place", PLACES)
def test_urls(
    sandbox: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """Each is one line and status 2, and makes no folder of that name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODAT_ASYNC_SPOOL", str(tmp_path / "spools"))
    monkeypatch.setitem(sys.modules, "obstore", None)
    for arguments in (
        ("pull", *LIMITED, "--into", place),
        ("pull", *LIMITED, "--into", place, "--shard", "0/2"),
        ("plan", *LIMITED, "--into", place),
        ("report", place),
        ("status", place),
        ("convert", place),
        ("forget", place, "x"),
    ):
        assert command(*arguments) == 2
        assert PLACES[place] in error_line(capsys)
    assert command("pull", *LIMITED, "--into", "books", "--duckdb", place) == 2
    assert "is a URL; this must be the path of a local" in error_line(capsys)
    assert set(os.listdir(tmp_path)) <= {"spools"}


def test_a_spool_is_of_a_url(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With a local directory it would have no effect."""
    for option in (("--spool", "x"), ("--seal-every", "1m")):
        assert command("pull", *LIMITED, "--into", tmp_path / "books", *option) == 2
        assert f"{option[0]} can only be used with the URL of a bucket" in error_line(capsys)


def test_a_file_url(sandbox: Address, tmp_path: Path) -> None:
    """It is the local directory."""
    assert command("pull", *LIMITED, "--into", f"file://{tmp_path}/books") == 0
    assert command("status", tmp_path / "books") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_not_utf8(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is one line and status 2."""
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    for arguments in (
        ("pull", *LIMITED, "--into", odd),
        ("pull", *LIMITED, "--into", tmp_path / "books", "--duckdb", odd),
        ("status", odd),
        ("convert", odd),
    ):
        assert command(*arguments) == 2
        assert "caf\\udce9 is not UTF-8" in error_line(capsys)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_everything_is_readable_by_its_owner_only(sandbox: Address, tmp_path: Path) -> None:
    """The raw files, the checkpoint, the locks, the report, Parquet and DuckDB, and their folders."""
    books = tmp_path / "books"
    types = "bills,bankTransactions,balanceSheet,company"
    sinks = ("--parquet", "--duckdb", books / "duck" / "x.duckdb")
    before = os.umask(0)
    try:
        assert command("pull", "--into", books, "--types", types, *sinks) == 0
    finally:
        os.umask(before)
    found = [books, *books.rglob("*")]
    assert {"x.duckdb", "report.json", "checkpoint.sqlite", "parquet", "raw"} <= {each.name for each in found}
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.fixture
def read_only(sandbox: Address, tmp_path: Path) -> Iterator[Path]:
    """The directory of a pull that cannot be changed."""
    books = tmp_path / "books"
    assert command("pull", *LIMITED, "--into", books) == 0
    folders = [Path(folder) for folder, _, _ in os.walk(books)]
    for folder in folders:
        folder.chmod(0o500)
    yield books
    for folder in folders:
        folder.chmod(0o700)


_RUN_EACH = """
import contextlib, io, json, sys
from codat_async.cli.app import run

for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = run(arguments)
    print(json.dumps([int(status), out.getvalue(), err.getvalue()]))
"""


def without_privileges(*commands: tuple[object, ...]) -> list[tuple[int, str, str]]:
    """Status and output of commands in a process that permissions apply to, also for root."""
    prefix: list[str] = []
    if os.geteuid() == 0:
        capabilities = "-dac_override,-dac_read_search,-fowner"
        prefix = ["setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities]
    texts = json.dumps([[*map(str, arguments)] for arguments in commands])
    run = [*prefix, sys.executable, "-c", _RUN_EACH, texts]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(
    sys.platform == "win32" or (os.geteuid() == 0 and shutil.which("setpriv") is None),
    reason="permissions do not apply to this process",
)
def test_directory_that_is_read_only(read_only: Path, tmp_path: Path) -> None:
    """Its status is printed, and it is converted to a file elsewhere; what would change it is one line."""
    before = sorted(read_only.rglob("*"))
    done = without_privileges(
        ("status", read_only, "--verify"),
        ("status", read_only),
        ("convert", read_only, "--duckdb", tmp_path / "x.duckdb"),
        ("convert", read_only, "--parquet"),
        ("forget", read_only, "x"),
    )
    for status, output, error in done[:3]:
        assert (status, error) == (0, "")
        assert "bills" in output
    for status, _, error in done[3:]:
        assert status == 2
        assert len(error.splitlines()) == 1
        assert "codat-async: cannot " in error
    assert len(done) == 5
    assert sorted(read_only.rglob("*")) == before
