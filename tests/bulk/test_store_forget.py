"""Forgetting companies: nothing of them is left in any file, and everything of the others is."""

import asyncio
import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import zstandard
from bulk_server import COMPANY, Server, customer, everything, written_lines
from store_tools import fill, held

from codat_async import Codat, bulk
from codat_async.bulk import PullOptions
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.events import EventStore, SyncTrouble
from codat_async.bulk.store.sealed import find_damage, sealed_files
from codat_async.bulk.units.unit import Unit

GONE = "99999999-9999-4999-8999-999999999999"
OTHERS = [f"{number}1111111-1111-4111-8111-111111111111" for number in range(1, 6)]
TYPES = ("invoices", "bills", "customers")


def lists(company: str) -> list[tuple[Unit, list[bytes]]]:
    """Small lists of a company; a connection and an account are of one company alone."""
    return [
        *(
            (Unit(kind, company), [f'{{"id":"{company}-{row}"}}'.encode() for row in range(3)])
            for kind in TYPES
        ),
        (Unit("bank_accounts", company, f"connection-{company}"), []),
    ]


def filled(root: Path) -> dict[str, list[bytes]]:
    """A directory of several nights, the last of them not sealed; what it holds of the others."""
    for night in range(3):
        several = [each for company in [*OTHERS, GONE] for each in lists(company)]
        fill(root, several, name=f"2026010{night + 1}T000000Z", seal=night < 2)
    (root / "report.json").write_text(f'{{"failures":[{{"company":"{GONE}"}},{{"company":"{OTHERS[0]}"}}]}}')
    aside = root / "aside-20250101T000000Z"
    fill(aside, [*lists(GONE), *lists(OTHERS[0])])
    with Directory(root) as directory:
        directory.recover(seal=True)
    return {key: value for key, value in held(root).items() if GONE not in key}


def contents(root: Path) -> Iterator[tuple[Path, bytes]]:
    """All files, compressed ones also decompressed."""
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            yield path, data
            if path.suffix == ".zst":
                yield (
                    path,
                    zstandard.ZstdDecompressor().stream_reader(BytesIO(data), read_across_frames=True).read(),
                )
            elif path.suffix == ".gz":
                yield path, gzip.decompress(data)


def found(root: Path, text: str) -> list[Path]:
    """The files in which a text is left."""
    return [path for path, data in contents(root) if text.encode() in data]


def test_nothing_of_a_forgotten_company_is_left(tmp_path: Path) -> None:
    """Neither in segments, listings, files set aside and the report, nor in free space of the checkpoint."""
    root = tmp_path / "x"
    others = filled(root)
    assert len(found(root, GONE)) > 5
    done = bulk.forget(root, [GONE])
    assert done.files == 12
    assert found(root, GONE) == []
    assert held(root) == others
    assert OTHERS[0] in (root / "report.json").read_text()
    assert found(root / "aside-20250101T000000Z", OTHERS[0])
    assert not find_damage(sealed_files(root), verify=True)
    # Again is harmless.
    assert bulk.forget(root, [GONE]).files == 0
    with pytest.raises(bulk.DirectoryError, match="has no company nobody"):
        bulk.forget(root, ["nobody"])


def test_the_case_of_an_id_does_not_matter(tmp_path: Path) -> None:
    """Rows of the checkpoint, and what events said of the company, go with the files."""
    root, company = tmp_path / "x", "abcdef99-9999-4999-8999-99999999abcd"
    fill(root, [*lists(company), *lists(OTHERS[0])])
    with Directory(root) as directory:
        directory.recover(seal=True)
        with directory.checkpoint.transaction():
            directory.checkpoint.roster.name([(company, "Their name")])
    store = EventStore(root)
    store.note([SyncTrouble(company, "bills", "MapError", "", "2026-01-01T00:00:00+00:00")])
    store.close()
    bulk.forget(root, [company.upper()])
    assert found(root, company) == found(root, "Their name") == []
    assert {each.company for each in bulk.unit_statuses(root)} == {OTHERS[0]}
    assert bulk.status(root).troubles == []
    assert bulk.forget(root, [company]).files == 0


def test_a_running_pull_is_not_disturbed(tmp_path: Path) -> None:
    """It is named, and nothing is changed."""
    filled(tmp_path / "x")
    with Directory(tmp_path / "x"), pytest.raises(bulk.DirectoryError, match=f"process {os.getpid()}"):
        bulk.forget(tmp_path / "x", [GONE])
    assert found(tmp_path / "x", GONE)


def test_too_little_room_is_said_before_anything_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the largest file is needed for a moment."""
    filled(tmp_path / "x")
    monkeypatch.setattr("codat_async.bulk.store.erase.room_left", lambda path: 10)
    with pytest.raises(bulk.DirectoryError, match=r"needs [\d,]+ bytes for a copy and .* has 10 left"):
        bulk.forget(tmp_path / "x", [GONE])
    assert found(tmp_path / "x", GONE)


async def test_the_next_pull_reads_a_forgotten_company_only_if_it_is_named(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Its lists come back then, and the tombstone is gone."""
    server.companies = [COMPANY, GONE]
    server.put("customers", [customer(1), customer(2)])
    options = PullOptions(types=["customers"], source="test")
    await bulk.pull(caller, tmp_path, options=options)
    await asyncio.to_thread(bulk.forget, tmp_path, [GONE])
    assert bulk.status(tmp_path).forgotten == 1
    report = await bulk.pull(caller, tmp_path, options=options)
    assert (report.companies, set(everything(tmp_path))) == (1, {f"customers/{COMPANY}"})
    named = PullOptions(types=["customers"], source="test", companies=[GONE])
    assert (await bulk.pull(caller, tmp_path, options=named)).total.rows == 2
    assert set(everything(tmp_path)) == {f"customers/{COMPANY}", f"customers/{GONE}"}
    assert bulk.status(tmp_path).forgotten == 0
    assert len(written_lines(tmp_path, "customers")) == 4


CHILD = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from codat_async.bulk import forget
from codat_async.bulk.store.checkpoint import Checkpoint

root, company, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
count = 0

def moment():
    global count
    count += 1
    if count == last:
        os.kill(os.getpid(), signal.SIGKILL)

def audit(event, arguments):
    if event in ("os.rename", "os.remove"):
        moment()

transaction = Checkpoint.transaction

@contextmanager
def counted(self, **more):
    moment()
    with transaction(self, **more):
        yield
        moment()
    moment()

Checkpoint.transaction = counted
sys.addaudithook(audit)
forget(root, [company])
print(count)
"""


def forget_in_process(root: Path, moment: int) -> "subprocess.CompletedProcess[str]":
    """Forget the company in a process that kills itself at a moment; never at 0."""
    command = [sys.executable, "-c", CHILD, str(root), GONE, str(moment)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.soak)])
def test_killed_it_is_completed_by_the_same_command(tmp_path: Path, kills: int) -> None:
    """At whatever change of a file: nothing of the others is lost, and the company is gone in the end."""
    filled(tmp_path / "calm")
    moments = int(forget_in_process(tmp_path / "calm", 0).stdout)
    assert moments > 60
    for number in range(kills):
        root = tmp_path / str(number)
        others = filled(root)
        killed = forget_in_process(root, 1 + number * (moments - 1) // (kills - 1))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        bulk.forget(root, [GONE])
        assert found(root, GONE) == []
        assert held(root) == others
        assert not find_damage(sealed_files(root), verify=True)
