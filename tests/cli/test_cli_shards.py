"""``--shard`` and the file of companies that ``plan`` writes."""

import sys
from pathlib import Path

import pytest
from cli_runner import command, error_line

from codat_async.bulk.store.shards import pull_directories
from codat_async.sandbox import Address

PULL = ("pull", "--types", "customers")


def test_shards_of_one_list_of_companies(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is a command of its own; a shard without companies is done, too."""
    file, into = tmp_path / "companies.json", tmp_path / "x"
    assert command("plan", "--write-companies", file) == 0
    assert capsys.readouterr().out == f"2 companies in {file}: pull them by --companies {file}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    for index in range(4):
        assert command(*PULL, "--into", into, "--companies", file, "--shard", f"{index}/4") == 0
    assert len(pull_directories(into)) == 4


def test_shard_of_the_orchestrator(sandbox: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is in the environment."""
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    assert command(*PULL, "--into", tmp_path, "--shard", "auto/3") == 0
    assert [path.name for path in pull_directories(tmp_path)] == ["shard-001-of-003"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--shard", "4/4"), "there is no shard 4/4: a shard is I/N with 0 <= I < N"),
        (("--shard", "auto"), "none of them is set; name it, such as --shard 3/16"),
        (("--shard", "0/4", "--duckdb", "x.duckdb"), "--duckdb cannot be used with --shard: when all shards"),
        (("--shard", "0/4", "--parquet"), "converts them together"),
        (
            ("--shard", "0/4", "--dask", "local:2"),
            "--shard cannot be used with --dask",
        ),
        (("--shards", "4"), "--shards can only be used with --dask; --shard I/N pulls one of N shards"),
        (("--source-address", "203.0.113.1"), "this machine cannot send from it"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    sandbox: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    error: str,
) -> None:
    """With exit status 2, and nothing is written."""
    assert command(*PULL, "--into", tmp_path / "x", *arguments) == 2
    assert error in error_line(capsys)
    assert not (tmp_path / "x").exists()


def test_company_file_without_unlinked_companies(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it does not have cannot be pulled from it."""
    file = tmp_path / "companies.json"
    assert command("plan", "--write-companies", file) == 0
    capsys.readouterr()
    assert command(*PULL, "--into", tmp_path / "x", "--companies", file, "--include-unlinked") == 2
    assert "was written without --include-unlinked: write it again with it" in error_line(capsys)


def test_status_names_the_shards_that_are_missing(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until they are pulled; then all is done."""
    for index in range(3):
        capsys.readouterr()
        assert command(*PULL, "--into", tmp_path, "--shard", f"{index}/3") == 0
        missing = {0: "2 of 3 shards (1, 2)", 1: "1 of 3 shards (2)"}.get(index)
        capsys.readouterr()
        assert command("status", tmp_path) == (0 if missing is None else 3)
        assert (f"not pulled yet: {missing}" in capsys.readouterr().out) == (missing is not None)
    assert command("convert", tmp_path, "--duckdb", tmp_path / "all.duckdb", "--types", "customers") == 0
    assert "40 records" in capsys.readouterr().out


def test_without_dask_one_line_names_the_extra(
    sandbox: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "codat_async.bulk.dask", raising=False)
    assert command(*PULL, "--into", tmp_path / "x", "--dask", "local:2") == 2
    assert error_line(capsys).endswith("distributed is not installed: pip install 'codat-async[dask]'")
    assert not (tmp_path / "x").exists()
