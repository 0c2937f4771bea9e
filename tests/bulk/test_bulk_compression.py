"""Raw files in both compressions: written, resumed, read back and converted."""

import asyncio
import json
from pathlib import Path

import pytest
from bulk_server import Server, customer, files, parts, written_lines

from codat_async import Codat, bulk
from codat_async.bulk import PullOptions
from codat_async.bulk.store import compression
from codat_async.bulk.store.compression import Compression
from codat_async.errors import ConfigurationError

KINDS: list[Compression] = ["gzip", "zstd"]
MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
SUFFIX = {"gzip": ".gz", "zstd": ".zst"}


def options(chosen: Compression | None, memory: int = 1 << 26) -> PullOptions:
    return PullOptions(types=("customers",), source="test", page_size=2, compression=chosen, memory=memory)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_resumed_run_keeps_its_compression(
    server: Server, caller: Codat, tmp_path: Path, kind: Compression
) -> None:
    """The option of the command that resumes it is ignored."""
    server.put("customers", [customer(number) for number in range(20)])

    def hook(path: str, query: dict[str, str]) -> None:
        if query.get("page") == "6" and task is not None:
            task.cancel()

    server.hook = hook
    task = asyncio.create_task(bulk.pull(caller, tmp_path, options=options(kind, memory=1)))
    with pytest.raises(asyncio.CancelledError):
        await task
    task = None
    assert parts(tmp_path)
    (other,) = set(KINDS) - {kind}
    await bulk.pull(caller, tmp_path, options=options(other, memory=1))
    (file,) = files(tmp_path)
    assert file.suffix == SUFFIX[kind]
    assert file.read_bytes().count(MAGIC[kind]) >= 10
    assert [json.loads(line)["id"] for line in written_lines(tmp_path, "customers")] == [
        f"c{n}" for n in range(20)
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_next_run_can_use_another_compression(
    server: Server, caller: Codat, tmp_path: Path, kind: Compression
) -> None:
    """Earlier files are read in their own compression to find the overlap, and the sinks read both."""
    (other,) = set(KINDS) - {kind}
    server.put("customers", [customer(number) for number in range(5)])
    await bulk.pull(caller, tmp_path, options=options(kind))
    server.put("customers", [customer(number) for number in range(7)])
    report = await bulk.pull(caller, tmp_path, options=options(other))
    assert (report.total.rows, report.total.overlap) == (2, 5)
    assert {each.suffix for each in files(tmp_path)} == {".gz", ".zst"}
    done = {each.type: each.records for each in bulk.convert(tmp_path)}
    assert done["customers"] == 7


async def test_zstd_is_the_default_if_it_is_installed(
    server: Server, caller: Codat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra gzip is the default, and asking for zstd raises an error that names the extra."""
    server.put("customers", [customer(1)])
    await bulk.pull(caller, tmp_path / "with", options=options(None))
    monkeypatch.setattr(compression, "find_spec", lambda name: None)
    await bulk.pull(caller, tmp_path / "without", options=options(None))
    assert [each.suffix for each in files(tmp_path / "with")] == [".zst"]
    assert [each.suffix for each in files(tmp_path / "without")] == [".gz"]
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(ConfigurationError, match="codat-async\\[zstd\\]"):
        await bulk.pull(caller, tmp_path / "asked", options=options("zstd"))
