"""Each kind of file, damaged in each way: what status and pull say, and that the next pull heals it."""

import asyncio
from pathlib import Path

import pytest
from bulk_server import Server, customer, everything, files, written_lines
from test_store_seal import spoil

from codat_async import Codat, bulk
from codat_async.bulk import Outcome, PullOptions
from codat_async.bulk.store.sealed import sealed_files

TYPES = ("customers", "suppliers")
WAYS = ("removed", "emptied", "cut", "grown", "flipped")


def options(**more: object) -> PullOptions:
    return PullOptions(types=TYPES, source="test", page_size=4, **more)  # type: ignore[arg-type]


def books(server: Server) -> None:
    """Two lists of two companies."""
    server.companies.append("21111111-1111-4111-8111-111111111111")
    for kind in TYPES:
        server.put(kind, [customer(number) for number in range(10)])


@pytest.mark.parametrize("memory", [1, 1 << 26], ids=["own file", "segment"])
@pytest.mark.parametrize("how", WAYS)
async def test_a_damaged_file_is_named_and_its_lists_are_read_again(
    server: Server, caller: Codat, tmp_path: Path, how: str, memory: int
) -> None:
    """Only its lists are read whole; the others are read incrementally, and all end as they were."""
    books(server)
    await bulk.pull(caller, tmp_path, options=options(memory=memory))
    expected = everything(tmp_path)
    file = sealed_files(tmp_path, ["customers"])[0]
    spoil(file.path, how)
    found = await asyncio.to_thread(bulk.status, tmp_path, verify=True)
    assert found.outcome == Outcome.PARTIAL
    (line,) = found.damaged
    assert line.startswith(f"{file.path} is damaged: it")
    server.requests.clear()
    report = await bulk.pull(caller, tmp_path, options=options(memory=memory))
    assert report.outcome == Outcome.DONE
    assert report.mode == "incremental"
    whole = {
        path.split("/")[2] for path, query in server.requests if "/data/" in path and "query" not in query
    }
    assert len(whole) == (1 if memory == 1 else 2)
    assert everything(tmp_path) == expected
    found = await asyncio.to_thread(bulk.status, tmp_path, verify=True)
    assert (found.outcome, found.damaged, found.total.lost) == (Outcome.DONE, [], 0)
    assert found.total.records == 40


@pytest.mark.parametrize("how", WAYS)
async def test_a_damaged_listing_of_invalid_records_loses_no_records(
    server: Server, caller: Codat, tmp_path: Path, how: str
) -> None:
    """It is named and set aside; the records themselves are in the raw files."""
    server.put("customers", [customer(1), {**customer(2), "contacts": "none"}])
    await bulk.pull(caller, tmp_path, options=options())
    (listing,) = (tmp_path / "invalid").rglob("*.ndjson")
    spoil(listing, how)
    found = await asyncio.to_thread(bulk.status, tmp_path, verify=True)
    assert [line.startswith(f"{listing} is damaged: it") for line in found.damaged] == [True]
    assert (await bulk.pull(caller, tmp_path, options=options())).outcome == Outcome.DONE
    assert (await asyncio.to_thread(bulk.status, tmp_path, verify=True)).outcome == Outcome.DONE


@pytest.mark.parametrize("how", WAYS)
async def test_a_damaged_journal_is_noticed_by_the_next_pull(
    server: Server, caller: Codat, tmp_path: Path, how: str
) -> None:
    """What was in it is read again; one that only became longer is cut."""
    books(server)
    failing = [False]

    def hook(path: str, query: dict[str, str]) -> None:
        if failing[0] and path.endswith("/suppliers"):
            task.cancel()

    server.hook = hook
    failing[0] = True
    task = asyncio.create_task(bulk.pull(caller, tmp_path, options=options(units_at_once=1)))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not files(tmp_path)
    failing[0] = False
    (journal,) = (path for path in (tmp_path / "journal").iterdir() if path.stat().st_size)
    spoil(journal, how)
    report = await bulk.pull(caller, tmp_path, options=options())
    assert report.outcome == Outcome.DONE
    for kind in TYPES:
        assert len(written_lines(tmp_path, kind)) == 20
    found = await asyncio.to_thread(bulk.status, tmp_path, verify=True)
    assert (found.outcome, found.total.records) == (Outcome.DONE, 40)


@pytest.mark.parametrize("how", ["removed", "emptied", "cut", "zeroed"])
async def test_a_damaged_checkpoint_is_refused_until_the_pull_starts_over(
    server: Server, caller: Codat, tmp_path: Path, how: str
) -> None:
    """Status and pull name ``pull --full``, which keeps the old files aside."""
    books(server)
    root = tmp_path / "books"
    await bulk.pull(caller, root, options=options())
    expected = everything(root)
    path = root / "checkpoint.sqlite"
    if how == "zeroed":
        path.write_bytes(bytes(path.stat().st_size))
    else:
        spoil(path, how)
    with pytest.raises(bulk.DirectoryError, match="pull --full"):
        await bulk.pull(caller, root, options=options())
    with pytest.raises(bulk.DirectoryError, match=r"pull --full|has no checkpoint"):
        bulk.status(root, verify=True)
    assert everything(root) == expected
    report = await bulk.pull(caller, root, options=options(full=True))
    assert report.outcome == Outcome.DONE
    assert everything(root) == expected
    (aside,) = root.glob("aside-*")
    assert everything(aside) == expected
