"""How many requests a pull makes to object storage: a count by what there is to write, not by companies."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from memory_objects import MemoryObjects
from remote_tools import hurry
from test_fleet_kill import served

from codat_async import Codat, Limits, bulk
from codat_async.bulk.store.remote.place import RemoteDirectory
from codat_async.bulk.store.writer import Writer

URL = "s3://lake/books"
TYPES = ("accounts", "bills", "customers", "invoices", "items")
START = {"names": 2, "version": 1, "replace": 1, "list": 2}
"""Whether there are shards, twice; the checkpoint, which is then claimed; the files."""
END = {"replace": 1, "put": 1}
"""The checkpoint once more, and the report."""


def requests(seals: int, files: int) -> Counter[str]:
    """Of a pull with so many seals, in which so many files were written, and none were merged."""
    return Counter(START) + Counter(END) + Counter(upload=files, replace=seals)


async def night(port: str, seal_every: float) -> int:
    """A pull; returns how often it sealed before the end."""
    seals = 0
    real = Writer.seal

    async def counted(writer: Writer, *, merge: bool = True) -> None:
        nonlocal seals
        await real(writer, merge=merge)
        seals += not merge

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "seal", counted)
        async with Codat("key", base_url=f"http://127.0.0.1:{port}", limits=Limits(per_minute=None)) as codat:
            options = bulk.PullOptions(types=TYPES, source="fleet", units_at_once=2)
            report = await bulk.pull(codat, RemoteDirectory(URL, seal_every=seal_every), options=options)
    assert report.outcome == "done"
    return seals


@pytest.mark.parametrize("companies", [40, 160])
async def test_requests_grow_with_seals_and_types_and_not_with_companies(
    buckets: dict[str, MemoryObjects], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, companies: int
) -> None:
    hurry(monkeypatch)
    monkeypatch.setitem(Writer.__init__.__kwdefaults__, "journal_bytes", 1 << 26)
    bucket = buckets["lake"]
    with served(companies) as port:
        for seal_every in (1000.0, 0.2):
            shutil.rmtree(tmp_path / "spools", ignore_errors=True)
            bucket.held.clear()
            del bucket.calls[:]
            seals = await night(port, seal_every)
            files = sum("/raw/" in key for key in bucket.held)
            # Each seal writes a file of each type at most, and the end those of the companies too.
            assert files <= (seals + 1) * len(TYPES) + 2
            made, most = Counter(name for name, _ in bucket.calls), requests(seals + 1, files)
            assert made <= most, (made - most, most - made)
        # A night on which nothing changed, on an empty disk.
        shutil.rmtree(tmp_path / "spools")
        del bucket.calls[:]
        assert await night(port, 1000.0) == 0
        made = Counter(name for name, _ in bucket.calls)
        assert (
            made
            <= requests(1, 2) + Counter(get=1)
            == Counter(names=2, version=1, get=1, replace=3, list=2, upload=2, put=1)
        )
        print(companies, seals, files, dict(made))
