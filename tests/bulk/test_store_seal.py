"""The journal and its segments: what is committed survives a kill at any moment, once."""

import os
import random
import signal
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from store_tools import fill, held, on_checkpoint

from codat_async.bulk.store import segments
from codat_async.bulk.store.directory import Directory, DirectoryError, running_pull, seal_if_idle
from codat_async.bulk.store.files import FileKind
from codat_async.bulk.store.journal import read_blocks
from codat_async.bulk.store.layout import Layout
from codat_async.bulk.store.lines import split_line
from codat_async.bulk.store.sealed import find_damage, lost_lists, read_line_blocks, sealed_files
from codat_async.bulk.store.sealing import Sealer
from codat_async.bulk.units.unit import Unit

TYPES = ("invoices", "bills", "customers")


def some(companies: int, *, begin: int = 0) -> list[tuple[Unit, list[bytes]]]:
    """Lists of up to three records, one empty list among them."""
    return [
        (Unit(kind, f"c{company}"), [f'{{"id":"{company}-{row}"}}'.encode() for row in range(company % 4)])
        for company in range(begin, begin + companies)
        for kind in TYPES
    ]


def expected(lists: list[tuple[Unit, list[bytes]]]) -> dict[str, list[bytes]]:
    """What readers find of lists."""
    return {f"{unit.type}/{unit.company}": records for unit, records in lists}


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_journal_is_sealed_into_a_segment_for_each_type(tmp_path: Path, compression: str) -> None:
    """Files grow with types, not with lists; all are private, and nothing is left in the journal."""
    lists = some(20)
    fill(tmp_path / "x", lists, compression=compression)
    assert held(tmp_path / "x") == expected(lists)
    files = sealed_files(tmp_path / "x")
    assert [file.type for file in files] == ["invoices", "bills", "customers"]
    assert [file.lines for file in files] == [
        sum(max(1, len(r)) for u, r in lists if u.type == f.type) for f in files
    ]
    assert [file.rows for file in files] == [sum(len(r) for u, r in lists if u.type == f.type) for f in files]
    assert (
        files[0].path
        == tmp_path
        / "x/raw/invoices"
        / f"000001-20260101T000000Z.ndjson.{'gz' if compression == 'gzip' else 'zst'}"
    )
    assert not find_damage(files, verify=True)
    assert not [path for path in (tmp_path / "x/journal").iterdir() if path.stat().st_size]
    for path in (tmp_path / "x").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_sealing_many_types_takes_no_more_memory_than_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although none of them has enough for a frame of the usual size."""
    monkeypatch.setattr(segments, "_HELD", 1024 * 1024)
    rows = [b'{"id":"%d","text":"%s"}' % (row, b"x" * 5000) for row in range(100)]
    lists = [(Unit(f"type{number}", "company"), rows) for number in range(20)]
    fill(tmp_path, lists, seal=False)
    tracemalloc.start()
    try:
        with Directory(tmp_path) as directory:
            directory.recover(seal=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Ten megabytes are sealed.
    assert peak < 6_000_000
    assert sum(len(lines) for lines in held(tmp_path).values()) == 2000


def test_what_is_in_the_journal_is_sealed_for_readers_when_no_pull_is_running(tmp_path: Path) -> None:
    """An interrupted pull leaves a journal; a conversion seals it first, unless a pull is running."""
    lists = some(5)
    fill(tmp_path, lists, seal=False)
    assert sealed_files(tmp_path) == []
    with Directory(tmp_path):
        assert running_pull(tmp_path) == os.getpid()
        assert not seal_if_idle(tmp_path)
    assert seal_if_idle(tmp_path)
    assert held(tmp_path) == expected(lists)
    assert running_pull(tmp_path) is None


def test_a_torn_tail_of_the_journal_is_cut(tmp_path: Path) -> None:
    """What follows the committed end is of a batch that was interrupted."""
    fill(tmp_path, some(3), seal=False)
    (journal,) = (tmp_path / "journal").iterdir()
    committed = journal.read_bytes()
    journal.write_bytes(committed + b"(\xb5/\xfd torn")
    fill(tmp_path, some(2, begin=3))
    assert held(tmp_path) == expected(some(5))


@pytest.mark.parametrize("moment", ["written", "renamed one", "renamed all", "committed"])
def test_a_kill_in_the_middle_of_sealing_is_done_again_under_the_same_names(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever sealing stops, the next start has each line once, and no other file."""
    lists = some(6)
    fill(tmp_path, lists, seal=False)
    stop = Stop(monkeypatch, moment)
    with pytest.raises(Killed), Directory(tmp_path) as directory:
        directory.recover(seal=True)
    stop.undo()
    fill(tmp_path, [])
    assert held(tmp_path) == expected(lists)
    names = sorted(path.name for path in (tmp_path / "raw").rglob("*.*"))
    assert names == [f"{number:06}-20260101T000000Z.ndjson.zst" for number in (1, 2, 3)]
    assert not [path for path in (tmp_path / "journal").iterdir() if path.stat().st_size]


class Killed(BaseException):
    """Raised in place of a kill."""


class Stop:
    """Raises Killed at a moment of sealing or merging."""

    def __init__(self, patch: pytest.MonkeyPatch, moment: str) -> None:
        self._patch = patch
        self._renamed = 0
        publish = segments.publish

        def stopping(part: Path, path: Path) -> None:
            if moment == "written":
                raise Killed
            publish(part, path)
            self._renamed += 1
            if moment == "renamed one":
                raise Killed

        patch.setattr(segments, "publish", stopping)
        for name in ("end_seal", "end_merge"):
            self._wrap(name, moment)

    def _wrap(self, name: str, moment: str) -> None:
        real: Callable[..., None] = getattr(segments, name)

        def stopping(*args: object) -> None:
            if moment == "renamed all":
                raise Killed
            real(*args)

        self._patch.setattr(segments, name, stopping)
        if moment == "committed":

            def unlink(path: Path, missing_ok: bool = False) -> None:
                raise Killed

            self._patch.setattr(Path, "unlink", unlink)

    def undo(self) -> None:
        self._patch.undo()


def test_merging_keeps_every_version_and_names_what_it_replaces(tmp_path: Path) -> None:
    """Small segments become one whose lines are those of all; their numbers stay known to readers."""
    for number in range(5):
        fill(tmp_path, some(2, begin=number), name=f"2026010{number + 1}T000000Z")
    before, files = held(tmp_path), sealed_files(tmp_path, ["bills"])
    assert len(files) == 5
    with Directory(tmp_path) as directory:
        sealer = sealer_of(directory)
        assert sealer.merge("20260201T000000Z", most=4) == 15
    after = sealed_files(tmp_path, ["bills"])
    assert [file.replaces for file in after] == [tuple(file.id for file in files)]
    assert {key: sorted(value) for key, value in held(tmp_path).items()} == {
        key: sorted(value) for key, value in before.items()
    }
    assert len(list((tmp_path / "raw/bills").iterdir())) == 1
    assert (after[0].first_n, after[0].last_n) == (
        min(f.first_n for f in files),
        max(f.last_n for f in files),
    )


@pytest.mark.parametrize("moment", ["written", "renamed one", "renamed all", "committed"])
def test_a_kill_in_the_middle_of_merging_is_done_again(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is there once, whenever merging stops."""
    for number in range(3):
        fill(tmp_path, some(2, begin=2 * number), name=f"2026010{number + 1}T000000Z")
    stop = Stop(monkeypatch, moment)
    with pytest.raises(Killed), Directory(tmp_path) as directory:
        sealer_of(directory).merge("20260201T000000Z", most=2)
    stop.undo()
    fill(tmp_path, [], name="20260202T000000Z")
    assert held(tmp_path) == expected(some(6))
    assert len(list((tmp_path / "raw").rglob("*.zst"))) == len(sealed_files(tmp_path))


def sealer_of(directory: Directory) -> Sealer:
    """What seals and merges in a directory without a pull."""
    return Sealer(directory.layout, directory.commit)


CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from store_tools import begin, reading
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.writer import Writer
from codat_async.bulk.units.unit import Unit

async def main(root, seconds):
    with Directory(root) as directory:
        directory.recover()
        run = begin(directory, compression={compression!r})
        done = {{row.unit for row in directory.checkpoint.lists.rows()}}
        async with Writer(directory, run, lambda error: None, journal_bytes=3000) as writer:
            for number in range(400):
                unit = Unit(("invoices", "bills", "customers")[number % 3], f"c{{number}}")
                if unit not in done:
                    row = b'{{"id":"%d-%d","text":"%s"}}'
                    records = [row % (number, each, b"x" * 50) for each in range(number % 5)]
                    writer.submit(reading(directory, run, unit, records), size=100_000)
                    await asyncio.sleep(0.004)
            await writer.seal()
    print("done")

asyncio.run(main(Path(sys.argv[1]), 0))
"""


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_killed_writers_lose_nothing_committed_and_write_nothing_twice(
    tmp_path: Path, compression: str
) -> None:
    """A process that is killed at random moments, some in the middle of sealing, ends with each list once."""
    root, script = tmp_path / "x", tmp_path / "child.py"
    script.write_text(CHILD.format(tests=str(Path(__file__).parent), compression=compression))
    draw, kills, done = random.Random(11), 0, False
    while not done:
        child = subprocess.Popen([sys.executable, str(script), str(root)], stdout=subprocess.PIPE, text=True)
        try:
            if kills >= 8:
                child.wait(60)
            else:
                child.wait(draw.uniform(0.3, 0.9))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            kills += 1
        out, _ = child.communicate()
        done = out == "done\n"
        assert done or child.returncode == -signal.SIGKILL
    wanted = {
        f"{TYPES[number % 3]}/c{number}": [
            f'{{"id":"{number}-{row}","text":"{"x" * 50}"}}'.encode() for row in range(number % 5)
        ]
        for number in range(400)
    }
    assert held(root) == wanted
    assert kills >= 3
    assert not find_damage(sealed_files(root), verify=True)


# --- damage --------------------------------------------------------------------------------------


def spoil(path: Path, how: str) -> None:
    """Damage a file."""
    data = path.read_bytes()
    if how == "removed":
        path.unlink()
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "grown":
        path.write_bytes(data + b"x")
    else:
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :])


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("size", [1, 200_000, 1_000_000, 10**9])
def test_blocks_are_whole_lines(tmp_path: Path, size: int, compression: str) -> None:
    """A line that begins in one piece of the file and ends in another too; none is lost or cut."""
    draw = random.Random(5)
    notes = [draw.randbytes(n * 997 % 99_991).hex().encode() for n in range(60)]
    records = [b'{"id":"%d","note":"%s"}' % each for each in enumerate(notes)]
    fill(tmp_path, [(Unit("bills", "c"), records)], compression=compression)
    (file,) = sealed_files(tmp_path, ["bills"])
    blocks = [*read_line_blocks(file, size)]
    assert all(block.endswith(b"\n") for block in blocks)
    assert (len(blocks) == 1) is (size == 10**9)
    assert [split_line(line)[1] for line in b"".join(blocks).splitlines()] == records


@pytest.mark.parametrize("how", ["removed", "emptied", "cut", "grown"])
def test_a_segment_of_another_size_is_found_at_the_start(tmp_path: Path, how: str) -> None:
    """Its lists are read again, those of other types are not, and the file is set aside."""
    fill(tmp_path, some(4))
    file = sealed_files(tmp_path, ["bills"])[0]
    spoil(file.path, how)
    (damage,) = find_damage([file])
    assert str(damage).startswith(f"{file.path} is damaged: it ")
    with Directory(tmp_path) as directory:
        directory.recover()
        assert [each.path for each in directory.damages] == [file.path]
    assert lost_lists(tmp_path) == {"bills": 4}
    assert not file.path.exists()
    assert not sealed_files(tmp_path, ["bills"])
    rows = on_checkpoint(tmp_path, lambda checkpoint: [*checkpoint.lists.rows()])
    assert {row.unit.type for row in rows if row.state == "waiting"} == {"bills"}
    # What is read whole again is no longer lost.
    fill(tmp_path, [each for each in some(4) if each[0].type == "bills"], name="20260102T000000Z")
    assert lost_lists(tmp_path) == {}
    assert held(tmp_path) == expected(some(4))


def test_flipped_bits_are_found_when_a_segment_is_read(tmp_path: Path) -> None:
    """The size is right, so only reading shows it; nothing is taken for an empty list."""
    fill(tmp_path, some(4))
    file = sealed_files(tmp_path, ["bills"])[0]
    spoil(file.path, "flipped")
    assert not find_damage([file])
    assert len(find_damage([file], verify=True)) == 1
    with pytest.raises(Exception, match="is damaged"):
        held(tmp_path)


@pytest.mark.parametrize("how", ["removed", "emptied", "cut", "flipped"])
def test_a_damaged_journal_costs_only_the_readings_in_it(tmp_path: Path, how: str) -> None:
    """Those lists are read whole again; what was sealed before stays."""
    fill(tmp_path, some(2))
    fill(tmp_path, some(2, begin=2), seal=False)
    journal = next(path for path in (tmp_path / "journal").iterdir() if path.stat().st_size)
    spoil(journal, how)
    with Directory(tmp_path) as directory:
        directory.recover(seal=True)
    assert lost_lists(tmp_path) == {"invoices": 2, "bills": 2, "customers": 2}
    assert held(tmp_path) == expected(some(2))
    fill(tmp_path, some(2, begin=2))
    assert held(tmp_path) == expected(some(4))
    assert lost_lists(tmp_path) == {}


@pytest.mark.parametrize("how", ["removed", "zeroed", "emptied", "cut", "page"])
def test_a_damaged_checkpoint_is_refused_and_set_aside_on_request(tmp_path: Path, how: str) -> None:
    """One line names the way out; starting over keeps the old raw files."""
    root = tmp_path / "x"
    fill(root, some(40))
    path = root / "checkpoint.sqlite"
    data = path.read_bytes()
    pages = [data[begins : begins + 4096] for begins in range(0, len(data), 4096)]
    new = {
        "zeroed": bytes(len(data)),
        "emptied": b"",
        "cut": data[: len(data) // 2],
        "page": b"".join(b"\xff" * 4096 if number % 2 else page for number, page in enumerate(pages)),
    }
    path.unlink()
    if how != "removed":
        path.write_bytes(new[how])
    with pytest.raises(DirectoryError, match="pull --full"):
        Directory(root)
    old = sorted(each.read_bytes() for each in (root / "raw").rglob("*.zst"))
    with Directory(root, start_over=True) as directory:
        assert directory.aside is not None
        assert directory.draw() > 1_700_000_000_000, "a sink would take the new readings for older ones"
        assert sorted(each.read_bytes() for each in (directory.aside / "raw").rglob("*.zst")) == old
        assert directory.checkpoint.files.sealed(FileKind.SEGMENT) == []


@pytest.mark.parametrize(("version", "said"), [(2, "0.1.0"), (99, "format 99")])
def test_other_formats_are_refused(tmp_path: Path, version: int, said: str) -> None:
    """A directory of 0.1.0 or of a later release is left as it is."""
    fill(tmp_path / "x", some(1))
    with Directory(tmp_path / "x") as directory:
        directory.checkpoint.db.execute(f"pragma user_version = {version}")
    with pytest.raises(DirectoryError, match=said):
        Directory(tmp_path / "x")


def test_blocks_of_a_journal_are_as_they_were_appended(tmp_path: Path) -> None:
    """Types, companies and numbers come back with the lines."""
    lists = some(3)
    fill(tmp_path, lists, seal=False)
    with Directory(tmp_path) as directory:
        (row,) = directory.checkpoint.files.journals()
        blocks = list(read_blocks(Layout.local(tmp_path), row))
    assert [(block.type, block.n, block.rows) for block in blocks] == [
        (unit.type, number, len(records)) for number, (unit, records) in enumerate(lists, 1)
    ]
    assert (row.first_n, row.last_n) == (1, len(lists))
