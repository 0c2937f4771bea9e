"""What a published checkpoint says: nothing of files that are not uploaded."""

import json
from pathlib import Path

import pytest
from store_tools import begin, fill

from codat_async.bulk.store.checkpoint import REQUEUED, Checkpoint
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.files import FileKind
from codat_async.bulk.store.keys import pack_keys, types_in
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.remote.snapshot import take_snapshot
from codat_async.bulk.store.state import State, UnitState, unpack_state
from codat_async.bulk.units.unit import Unit

COMPANY = "11111111-1111-4111-8111-111111111111"
BILLS, ITEMS = Unit("bills", COMPANY), Unit("items", COMPANY)


def snapshot(root: Path, before: Path | None = None) -> Checkpoint:
    target = root.with_name(f"{root.name}-{before is not None}.sqlite")
    assert take_snapshot(root / "checkpoint.sqlite", target, before)
    return Checkpoint(target, read_only=True)


def upload(root: Path, *, files: tuple[int, ...]) -> None:
    with Directory(root) as directory, directory.checkpoint.transaction():
        directory.checkpoint.files.uploaded({number: f"raw/{number}" for number in files})


@pytest.mark.parametrize("seal", [True, False])
def test_a_list_that_is_not_uploaded_is_queued_again(tmp_path: Path, seal: bool) -> None:
    """In a sealed file, or in the journal; the first time there is no row before."""
    fill(tmp_path / "books", [(BILLS, [b"{}"]), (ITEMS, [])], seal=seal)
    found = snapshot(tmp_path / "books")
    assert [*found.lists.rows()] == []
    assert found.files.all() == []
    assert found.files.journals() == []
    ((company, types),) = found.db.execute(
        "select c.id, queued from asked join companies c on c.key = company"
    )
    assert company == COMPANY
    assert [found.keys.type_name(key) for key in types_in(types)] == ["bills", "items"]
    assert json.loads(found.fact(REQUEUED) or "") == {"bills": 1, "items": 1}
    found.close()


def test_a_list_has_the_row_before_until_its_new_file_is_uploaded(tmp_path: Path) -> None:
    root = tmp_path / "books"
    fill(root, [(BILLS, [b"{}"]), (ITEMS, [b"{}"])])
    upload(root, files=(1, 2))
    before = snapshot(root)
    (bills, items) = before.lists.row(BILLS), before.lists.row(ITEMS)
    assert bills is not None
    assert items is not None
    fill(root, [(BILLS, [b'{"id":"b"}'])], name="20260102T000000Z", whole=False)
    found = snapshot(root, before.path)
    assert (found.lists.row(BILLS), found.lists.row(ITEMS)) == (bills, items)
    assert json.loads(found.fact(REQUEUED) or "") == {"bills": 1}
    assert [each.id for each in found.files.all()] == [1, 2]
    found.close()
    upload(root, files=(3,))
    found = snapshot(root, before.path)
    assert found.lists.row(BILLS) != bills
    assert found.fact(REQUEUED) is None
    assert found.db.execute("select count(*) from asked where queued <> 0").fetchone() == (0,)
    for each in (before, found):
        each.close()


def test_a_list_that_is_read_into_its_own_file_begins_again(tmp_path: Path) -> None:
    """Its pages are not in the bucket. What was decided before it was read remains."""
    root = tmp_path / "books"
    with Directory(root) as directory:
        run = begin(directory)
        with directory.checkpoint.transaction():
            checkpoint = directory.checkpoint
            company = pack_keys([checkpoint.keys.company(COMPANY)])
            file = checkpoint.files.add(
                checkpoint.keys.type("bills"), FileKind.OWN, run.id, "zstd", companies=company
            )
            state = UnitState(
                state=State.READING, n=5, since="2026-01-01T00:00:00Z", next_page=4, file=file,
                bytes_written=900, rows=300, token=b"t", gated=True,
            )  # fmt: skip
            checkpoint.lists.save(run, BILLS, state)
            checkpoint.files.add_page(file, 0, 900, 1)
        found = snapshot(root)
    row = found.lists.row(BILLS)
    assert row is not None
    fresh = unpack_state(row["progress"])
    assert (row["state"], fresh.file, fresh.n, fresh.next_page, fresh.rows) == (State.WAITING, 0, 0, 1, 0)
    assert (fresh.since, fresh.token, fresh.gated) == ("2026-01-01T00:00:00Z", b"t", True)
    assert found.files.all() == []
    assert found.db.execute("select count(*) from pages").fetchone() == (0,)
    found.close()


def test_a_large_list_in_its_own_file_is_uploaded_by_itself(tmp_path: Path) -> None:
    """Its reading began before the journal's last lists, and is not mistaken for one of them."""
    root = tmp_path / "books"
    fill(root, [(ITEMS, [])], seal=False)
    with Directory(root) as directory:
        run = begin(directory)
        with directory.checkpoint.transaction():
            checkpoint = directory.checkpoint
            key, company = checkpoint.keys.type("bills"), checkpoint.keys.company(COMPANY)
            file = checkpoint.files.add(key, FileKind.OWN, run.id, "zstd")
            sizes = {"size": 1, "crc": 0, "lines": 1, "rows": 1}
            checkpoint.files.seal(file, **sizes, first_n=1, last_n=1, companies=[company])
            checkpoint.files.uploaded({file: "raw/bills"})
            checkpoint.lists.finish(run, BILLS, UnitState(n=1, rows=1), Ending(watermark=1, file=file))
        found = snapshot(root)
    assert [row.unit for row in found.lists.rows()] == [BILLS]
    found.close()


def test_a_merged_file_has_to_be_uploaded_first(tmp_path: Path) -> None:
    root = tmp_path / "books"
    fill(root, [(BILLS, [b"{}"])])
    with Directory(root) as directory:
        with directory.checkpoint.transaction():
            directory.checkpoint.db.execute("update files set replaces = ?", (pack_keys([7]),))
        assert not take_snapshot(root / "checkpoint.sqlite", tmp_path / "x.sqlite", None)
