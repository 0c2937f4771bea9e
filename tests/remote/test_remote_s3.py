"""Object storage through obstore, against a real S3 server."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from remote_tools import current, download, duplicates
from s3_server import Proxy

from codat_async import Codat, Limits, bulk
from codat_async.bulk.sinks import conversion, duckdb, present
from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.remote import connect as connect_module
from codat_async.bulk.store.remote.connect import connect
from codat_async.bulk.store.remote.objects import Changed, Missing, ObjectFault, StoreRefused
from codat_async.cli.app import run
from codat_async.sandbox import Sandbox

LOADED = conversion, duckdb, present
"""Python 3.11 fails to compile modules in two threads at once."""


def test_the_calls(proxy: Proxy, tmp_path: Path) -> None:
    objects = connect(f"s3://{proxy.bucket}/a/b")
    assert objects.version("x") is None
    first = objects.replace("x", b"one", None)
    assert objects.version("x") == first
    for version in (None, {"e_tag": '"other"'}):
        with pytest.raises(Changed):
            objects.replace("x", b"two", version)
    second = objects.replace("x", b"two2", first)
    with pytest.raises(Changed):
        objects.replace("x", b"three", first)
    assert objects.get("x") == (b"two2", second)
    assert objects.get("x", 1, 3)[0] == b"wo"
    with pytest.raises(Missing):
        objects.get("y")
    (tmp_path / "large").write_bytes(bytes(range(256)) * 80_000)
    objects.upload("raw/large", tmp_path / "large")
    assert proxy.requests["POST"] == 2
    assert [*objects.listed("raw/")] == [("raw/large", 20_480_000)]
    assert sorted(objects.names()) == ["raw/", "x"]
    (tmp_path / "again").touch()
    objects.download("raw/large", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "large").read_bytes()
    objects.put("z", b"small")
    objects.move("z", "aside/z")
    objects.delete(["x", "missing", "raw/large"])
    assert [*objects.listed("")] == [("aside/z", 5)]


@pytest.mark.parametrize("status", [503, 500, 429, 0])
def test_faults_that_may_pass(proxy: Proxy, status: int) -> None:
    objects = connect(f"s3://{proxy.bucket}/a")
    proxy.fault = lambda method, path: status
    with pytest.raises(ObjectFault):
        objects.put("x", b"")


@pytest.mark.parametrize("status", [401, 403, 400])
def test_refusals(proxy: Proxy, status: int) -> None:
    objects = connect(f"s3://{proxy.bucket}/a")
    proxy.fault = lambda method, path: status
    for call in (lambda: objects.put("x", b""), lambda: objects.get("x"), objects.names):
        with pytest.raises(StoreRefused, match=f"cannot use s3://{proxy.bucket}/a: "):
            call()


def test_what_is_wrong_with_the_bucket_is_one_line_with_status_2(
    proxy: Proxy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODAT_API_KEY", "key")
    # Nothing listens there: nothing of it is asked.
    arguments = ("--base-url", "http://127.0.0.1:9", "--types", "bills")
    assert run(["pull", "--into", "s3://lake-that-is-not-there/books", *arguments]) == 2
    assert capsys.readouterr().err == (
        "codat-async: cannot use s3://lake-that-is-not-there/books: the bucket does not exist\n"
    )
    proxy.fault = lambda method, path: 403
    assert run(["pull", "--into", f"s3://{proxy.bucket}/books", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"codat-async: cannot use s3://{proxy.bucket}/books: ")


async def test_nights_on_wiped_machines(proxy: Proxy, tmp_path: Path) -> None:
    """An incremental night brings no duplicates, and a wiped machine converts what is new alone."""
    url = f"s3://{proxy.bucket}/books"
    types = ("invoices", "bills", "customers", "balance_sheet")
    options = bulk.PullOptions(types=types, source="sandbox", memory=128 * 1024)
    async with (
        Sandbox(companies=3, size=40) as sandbox,
        Codat(sandbox.api_key, base_url=sandbox.base_url, limits=Limits(per_minute=None)) as codat,
    ):
        await bulk.pull(codat, url, options=options)
        for night in range(2):
            shutil.rmtree(tmp_path / "spools")
            assert sandbox.records.touch(0.1, resource="invoices")
            assert (await bulk.pull(codat, url, options=options)).mode == "incremental"
            shutil.rmtree(tmp_path / "spools")
            bulk.convert(url, duckdb=tmp_path / "books.duckdb", current=True)
            assert duplicates(download(url, tmp_path / str(night))) == 0
        await bulk.pull(codat, tmp_path / "local", options=options)
        assert current(tmp_path / "1") == current(tmp_path / "local")
        gone, *_ = sandbox.company_ids
        assert bulk.forget(url, [gone]).files > 0
        assert bulk.status(url, verify=True).damaged == []
        with pytest.raises(DirectoryError, match="has no company nobody"):
            bulk.forget(url, ["nobody"])


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(Exception, match=r"codat-async\[remote\]"):
        connect("s3://lake/books")


def test_without_credentials(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for where a machine of Amazon's has them, which is not here."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(connect_module, "_CLIENT", {"timeout": "1s", "connect_timeout": "1s"})
    with pytest.raises(StoreRefused, match="no credentials were found"):
        connect(f"s3://{proxy.bucket}/a").names()


async def test_the_code_of_the_page(proxy: Proxy, tmp_path: Path) -> None:
    """With a bucket; elsewhere it runs with a local directory."""
    text = (Path(__file__).parents[2] / "docs" / "object-storage.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lake = f"s3://{proxy.bucket}/page"
    async with Sandbox(companies=3) as sandbox:
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", block],
            cwd=tmp_path,
            env={
                **os.environ,
                "LAKE": lake,
                "CODAT_API_KEY": sandbox.api_key,
                "CODAT_BASE_URL": sandbox.base_url,
            },
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, run.stderr
    first, records = run.stdout.splitlines()
    assert first.startswith("done ")
    assert "StoreUse(" in first
    assert int(records) == bulk.status(lake).total.records > 0
